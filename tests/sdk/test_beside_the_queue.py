"""What a recorder does beside the queue: adoption in turns, forcing to the disk, and what it does not record."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

from otel_obs import settings
from otel_obs.contract import semconv
from otel_obs.contract.tiers import Tier
from otel_obs.sdk.frames import Frame
from otel_obs.sdk.journal import open_home
from otel_obs.sdk.otlp import ResourceRecord, ScopeRecord, SpanRecord, encode_spans

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., subprocess.CompletedProcess[str]]

WHO = ScopeRecord(ResourceRecord({semconv.SERVICE_NAME: "bot"}), "test")


def _killed(root: Path, number: int, *, has_spoken: bool) -> int:
    """A directory as kill -9 leaves it; the bytes in it."""
    resource = {semconv.SERVICE_NAME: "bot", semconv.SERVICE_INSTANCE_ID: f"dead-{number}"}
    home = open_home(settings.override(journal=str(root)), resource)
    assert home is not None
    outbox = home.outbox(settings.Settings())
    if has_spoken:
        said = {semconv.DECISION_WHAT: f"of {number}"}
        span = SpanRecord(WHO, number, number, 0, "decision", number, number, said)
        outbox.put(Frame("traces", Tier.DURABLE, 1, ((home.ledger.number(0),) * 2,), number, encode_spans([span])))
    outbox.abandon()
    home.abandon()
    return sum(path.stat().st_size for path in home.directory.iterdir())


def test_what_many_dead_processes_left_is_taken_over_in_turns_and_counted_from_the_first_moment(
    run: Run, collector: Any, tmp_path: Path
) -> None:
    sizes = [_killed(tmp_path / "journal", number, has_spoken=number % 2 == 0) for number in range(1, 141)]
    collector.answers.clear()
    program = """
import os, sys, time
import otel_obs as obs

obs.configure(service_name="bot")
place, most = sys.argv[1], int(sys.argv[2])
limit = time.monotonic() + 25
def until(holds):
    while not holds():
        assert time.monotonic() < limit, (obs.delivery().adopted, obs.delivery().journal, os.listdir(place))
        time.sleep(0.02)
until(lambda: obs.delivery().adopted.instances == 32)
until(lambda: obs.delivery().journal.bytes >= most)
print(obs.delivery().adopted.instances)
open(place + "/../../seen", "w").close()
until(lambda: len([name for name in os.listdir(place) if name.startswith("dead")]) == 0)
print(obs.delivery().adopted.instances, obs.shutdown().undelivered)
"""

    def let_it_answer() -> None:
        while not (tmp_path / "seen").exists() and not over.wait(0.02):
            pass
        collector.answers.set()

    over = threading.Event()
    thread = threading.Thread(target=let_it_answer)
    thread.start()
    try:
        done = run(
            program, str(tmp_path / "journal" / "bot"), str(sum(sizes[32:])),
            OTEL_OBS_JOURNAL=str(tmp_path / "journal"), OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
        )  # fmt: skip
    finally:
        over.set()
        thread.join()
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["32", "140", "0"]
    assert collector.whats() == sorted(f"of {number}" for number in range(2, 141, 2))
    ended = {one["service.instance.id"] for one in collector.statements if one[semconv.DELIVERY_ENDED]}
    assert ended == {f"dead-{number}" for number in range(2, 141, 2)}  # who said nothing has no last word


def test_the_journal_is_forced_to_the_disk_each_second_also_while_a_request_hangs(
    run: Run, collector: Any, tmp_path: Path
) -> None:
    program = """
import os, threading, time
forced, real = [], os.fdatasync
def fdatasync(file):
    real(file)
    forced.append(threading.current_thread().name)
os.fdatasync = fdatasync
import otel_obs as obs

obs.configure(service_name="bot")
obs.decide("hold")
limit = time.monotonic() + 25
while not obs.delivery().exporter.in_flight and time.monotonic() < limit:
    time.sleep(0.01)
forced.clear()
while len(forced) < 2 and time.monotonic() < limit:
    obs.decide("hold")
    time.sleep(0.01)
print(*sorted(set(forced)), sep=",", flush=True)
os._exit(0)
"""
    collector.answers.clear()
    done = run(
        program, OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, OTEL_EXPORTER_OTLP_TIMEOUT="60",
        OTEL_OBS_JOURNAL=str(tmp_path / "journal"), OTEL_OBS_JOURNAL_FSYNC="second",
    )  # fmt: skip
    assert done.stdout.strip() == "otel_obs writer", done.stderr


def test_what_otlp_cannot_carry_is_told_once_for_each_reason(run: Run, collector: Any) -> None:
    program = """
import otel_obs as obs
from opentelemetry import trace

obs.configure(service_name="bot")
for _ in range(3):
    trace.get_tracer("other").start_span("odd", attributes={"name": "\\ud800"}).end()
    obs.flush()
print(obs.delivery().altered["not_utf8"])
"""
    done = run(program, OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint)
    assert done.stdout.strip() == "3", done.stderr
    assert done.stderr.count("lone surrogates were sent as question marks. Further ones are only counted.") == 1


OWN_REQUESTS = """
import json, logging, sys, threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import requests, urllib3
from opentelemetry import _logs, trace
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled, suppress_instrumentation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from wrapt import wrap_function_wrapper

import otel_obs as obs

obs.configure(service_name="bot")
tracer, logger = trace.get_tracer("bot"), _logs.get_logger("bot")

def traced(wrapped, instance, args, kwargs):  # as opentelemetry-instrumentation-urllib3 does it
    if not is_http_instrumentation_enabled():
        return wrapped(*args, **kwargs)
    with tracer.start_as_current_span("urlopen"):
        return wrapped(*args, **kwargs)

class ToOpenTelemetry(logging.Handler):
    def emit(self, record):
        logger.emit(body=record.getMessage(), severity_text=record.levelname)

class Venue(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *_):
        pass

wrap_function_wrapper("urllib3.connectionpool", "HTTPConnectionPool.urlopen", traced)
RequestsInstrumentor().instrument()
logging.basicConfig(level=logging.DEBUG, handlers=[ToOpenTelemetry()])
venue = HTTPServer(("127.0.0.1", 0), Venue)
threading.Thread(target=venue.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{venue.server_port}/depth"
for _ in range(3):
    requests.get(url)
    with urllib3.PoolManager() as pool:
        pool.request("GET", url)
    assert obs.flush()
def say(tracer, logger):
    with suppress_instrumentation():
        requests.get(url)
        tracer.start_span("by hand").end()
        logger.emit(body="by hand")
logging.getLogger().handlers.clear()
say(tracer, logger)
spans, logs = InMemorySpanExporter(), InMemoryLogRecordExporter()
stock, stock_logs = TracerProvider(), LoggerProvider()
stock.add_span_processor(SimpleSpanProcessor(spans))
stock_logs.add_log_record_processor(SimpleLogRecordProcessor(logs))
say(stock.get_tracer("bot"), stock_logs.get_logger("bot"))
venue.shutdown()
venue.server_close()
obs.shutdown()
print(json.dumps([[span.name for span in spans.get_finished_spans()],
                  [one.log_record.body for one in logs.get_finished_logs()]]))
"""


def test_our_own_requests_are_not_recorded_and_what_is_said_under_suppression_is_as_with_the_stock_sdk(
    run: Run, collector: Any
) -> None:
    done = run(OWN_REQUESTS, OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint)
    assert done.returncode == 0, done.stderr
    stock_spans, stock_logs = json.loads(done.stdout)
    port = collector.endpoint.rpartition(":")[2]
    names = [one["name"] for one in collector.records if one["path"] == "/v1/traces"]
    bodies = [one["body"] for one in collector.records if one["path"] == "/v1/logs"]
    assert sorted(names) == sorted(["GET"] * 3 + ["urlopen"] * 3 + stock_spans)
    assert [body for body in bodies if port in body or "/v1/" in body] == []
    assert len([body for body in bodies if "/depth" in body]) == 6  # urllib3's own words on what the bot asked
    assert [body for body in bodies if body == "by hand"] == stock_logs
