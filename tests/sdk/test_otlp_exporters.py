"""What leaves a bot over HTTP is encoded by us; all else about it is OpenTelemetry's: retries, headers, compression."""

from __future__ import annotations

import gzip
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanContext

from otel_obs.sdk.otlp import exporters

if TYPE_CHECKING:
    from collections.abc import Iterator


class Sink:
    """A server that answers with the given codes, then with 200, and keeps what it was sent."""

    def __init__(self, *codes: int) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        sink, left = self, list(codes)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                sink.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(left.pop(0) if left else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1/traces"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def unavailable_once() -> Iterator[Sink]:
    """A sink that is unavailable the first time."""
    one = Sink(503)
    yield one
    one.close()


@pytest.fixture(autouse=True)
def _nothing_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporters, "_told", set())


SAID = {
    "decision.what": "hold",
    "odd": "\ud800",
}  # to the official encoder the second one is an error: it leaves it out
SPAN = ReadableSpan("decision", SpanContext(1, 2, is_remote=False), resource=Resource({}), attributes=SAID)


def test_spans_are_encoded_by_us_retried_compressed_and_sent_with_the_user_s_headers_by_opentelemetry(
    unavailable_once: Sink, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=let-me-in")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip")
    exporter = exporters.span_exporter(unavailable_once.url)
    assert exporter.export([SPAN]) is SpanExportResult.SUCCESS
    assert exporter.export([SPAN]) is SpanExportResult.SUCCESS
    exporter.shutdown()
    [(headers, body), again, _] = unavailable_once.requests
    assert (headers["authorization"], headers["content-type"]) == ("let-me-in", "application/x-protobuf")
    assert gzip.decompress(again[1]) == gzip.decompress(body)
    [span] = ExportTraceServiceRequest.FromString(gzip.decompress(body)).resource_spans[0].scope_spans[0].spans
    assert [(pair.key, pair.value.string_value) for pair in span.attributes] == [
        ("decision.what", "hold"),
        ("odd", "?"),
    ]
    [told] = [text for text in caplog.messages if "surrogates" in text]
    assert told.endswith("lone surrogates were sent as question marks. Further ones are only counted.")


@pytest.mark.parametrize("make", [exporters.span_exporter, exporters.log_exporter])
def test_this_version_of_opentelemetry_calls_its_encoder_by_the_name_under_which_we_stand_in(
    make: Any, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = make("http://127.0.0.1:9")
    assert type(exporter).export is not type(exporter).__base__.export
    assert caplog.messages == []
    exporter.shutdown()


class _OfTheFuture(SpanExporter):
    def export(self, spans: Any) -> SpanExportResult:
        del spans
        return SpanExportResult.SUCCESS


def test_an_exporter_that_calls_no_such_name_keeps_its_own_encoder_and_that_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for _ in range(2):
        found: Any = exporters._speaking_ours(_OfTheFuture, "encode_spans", bytes)  # type: ignore[type-var]
        assert found is _OfTheFuture
    [told] = caplog.messages
    assert told.startswith("_OfTheFuture of this OpenTelemetry calls no encode_spans")


def test_a_batch_that_we_cannot_encode_is_left_to_the_official_encoder(
    unavailable_once: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    class Odd(ReadableSpan):
        @property
        def context(self) -> Any:
            raise RuntimeError("not here")

    exporter = exporters.span_exporter(unavailable_once.url)
    assert isinstance(exporter, OTLPSpanExporter)
    odd = Odd("odd", SpanContext(1, 2, is_remote=False), resource=Resource({}))
    assert exporter.export([odd]) is SpanExportResult.SUCCESS
    exporter.shutdown()
    _, body = unavailable_once.requests[-1]
    assert ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans[0].spans[0].name == "odd"
    assert any("left to OpenTelemetry's own encoder: RuntimeError('not here')" in text for text in caplog.messages)
