"""Instrumentations of other libraries, as they are, on our provider: what they record nests in what the bot says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

PROGRAM = """
import json, logging, sys, threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import requests
from opentelemetry.instrumentation.logging import LoggingInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import SpanProcessor

import otel_obs as obs
from opentelemetry import trace

obs.configure(service_name="bot")
ended, asked = [], {}

class Keeper(SpanProcessor):
    def on_end(self, span):
        ended.append(span)

class Venue(BaseHTTPRequestHandler):
    def do_GET(self):
        asked.update(self.headers)
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass

trace.get_tracer_provider().add_span_processor(Keeper())
RequestsInstrumentor().instrument()
LoggingInstrumentor().instrument(inject_trace_context=True)
records = []
class Kept(logging.Handler):
    def emit(self, record):
        records.append(record)
logging.getLogger().addHandler(Kept())

venue = HTTPServer(("127.0.0.1", 0), Venue)
threading.Thread(target=venue.serve_forever, daemon=True).start()
with obs.trace("cycle", intent="trade"):
    with obs.stage("quotes") as stage:
        requests.get(f"http://127.0.0.1:{venue.server_port}/depth")
        logging.getLogger("bot").warning("the venue is slow")
    with obs.decision("hold", why="no quotes") as decision:
        pass
venue.shutdown()
obs.shutdown()
http = next(span for span in ended if span.kind is trace.SpanKind.CLIENT)
record = next(record for record in records if record.name == "bot")
print(json.dumps({
    "parent": f"{http.parent.span_id:016x}", "stage": stage.id, "traceparent": asked["traceparent"],
    "http": [f"{http.context.trace_id:032x}", f"{http.context.span_id:016x}", http.status.status_code.name],
    "log": [record.otelTraceID, record.otelSpanID], "trace": stage.trace_id, "names": [span.name for span in ended],
    "scope": http.instrumentation_scope.name,
}))
"""


def test_requests_and_logging_nest_in_our_stages_and_carry_their_ids_on(
    run: Callable[..., subprocess.CompletedProcess[str]], collector: Any
) -> None:
    done = run(PROGRAM, OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["scope"] == "opentelemetry.instrumentation.requests"
    assert told["parent"] == told["stage"]
    assert told["log"] == [told["trace"], told["stage"]]
    trace_id, span_id, status = told["http"]
    assert (trace_id, status) == (told["trace"], "ERROR")
    assert told["traceparent"] == f"00-{trace_id}-{span_id}-03"  # sampled, and of a random id
    # both libraries' spans arrive; our own exporter's requests make none
    assert told["names"] == ["GET", "quotes", "decision", "cycle"]
    assert {span_id, told["stage"]} <= {record["span_id"] for record in collector.records}
