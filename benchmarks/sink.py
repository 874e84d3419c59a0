"""A loopback receiver in a process of its own that answers at once, and counts spans only when it is asked (GET)."""

from __future__ import annotations

import http.client
import subprocess
import sys
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

_bodies: list[bytes] = []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/traces":
            _bodies.append(body)
        self._answer(b"")

    def do_GET(self) -> None:
        requests = map(ExportTraceServiceRequest.FromString, _bodies)
        scopes = (scope for request in requests for one in request.resource_spans for scope in one.scope_spans)
        self._answer(str(sum(len(scope.spans) for scope in scopes)).encode())
        _bodies.clear()

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *_: object) -> None: ...


@contextmanager
def running() -> Iterator[int]:
    """The port of a sink, which ends with the block."""
    process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout is None:
            raise RuntimeError("the sink has no standard output")
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


def received(port: int) -> int:
    """How many spans arrived since this was asked last."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("GET", "/")
    answer = int(connection.getresponse().read())
    connection.close()
    return answer


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
