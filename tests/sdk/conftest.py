"""A collector in miniature: a loopback HTTP server that decodes the OTLP it is sent; and programs that send to it."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Collector:
    """What arrived: each record's attributes with its resource's, its signal, path and connection.

    ``statements`` are what the process said of its ledger; no bot said them.
    """

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.statements: list[dict[str, Any]] = []
        self.answers = threading.Event()
        self.answers.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self.answers.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def whats(self) -> list[str]:
        """What was decided, sorted."""
        return sorted(str(record["decision.what"]) for record in self.records if "decision.what" in record)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                for record in _decoded(self.path, body, self.client_address[1]):
                    is_statement = record.get("event.name") == "delivery"
                    (collector.statements if is_statement else collector.records).append(record)
                collector.answers.wait()
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        return Handler


def _decoded(path: str, body: bytes, connection: int) -> list[dict[str, Any]]:
    told = []
    request: Any = ExportLogsServiceRequest() if "logs" in path else ExportTraceServiceRequest()
    request.ParseFromString(body)
    for resource in request.resource_logs if "logs" in path else request.resource_spans:
        for scope in resource.scope_logs if "logs" in path else resource.scope_spans:
            for record in scope.log_records if "logs" in path else scope.spans:
                attributes = [*resource.resource.attributes, *record.attributes]
                named = {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
                words = {"body": record.body.string_value} if "logs" in path else {"name": record.name}
                found = {"path": path, "connection": connection, "span_id": record.span_id.hex()}
                told.append({**named, **found, **words})
    return told


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector that answers, until ``answers`` is cleared."""
    one = Collector()
    yield one
    one.close()


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a program as a file ``bot.py`` in a process of its own, with nothing of OpenTelemetry in its environment."""

    def run_it(program: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        file = tmp_path / "bot.py"
        file.write_text(program, encoding="utf-8")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTHON"))}
        return subprocess.run(
            [sys.executable, str(file), *arguments],
            env=environment | variables, capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip

    return run_it
