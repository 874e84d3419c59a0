"""The OTLP/HTTP receiver: takes protobuf or JSON, and acknowledges what the engine has stored."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any, Final

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from otel_obs.errors import StoreError
from otel_obs.store.embedded.otlp_committer import BusyError
from otel_obs.store.embedded.otlp_insert import Signal
from otel_obs.store.embedded.otlp_reading import MalformedError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message
    from starlette.requests import Request
    from starlette.types import ASGIApp

    from otel_obs.store.embedded.otlp_intake import Accepted, Intake

_PROTOBUF: Final = "application/x-protobuf"
_JSON: Final = "application/json"
RESPONSES: Final = {
    Signal.TRACES: (ExportTraceServiceResponse, "rejected_spans"),
    Signal.LOGS: (ExportLogsServiceResponse, "rejected_log_records"),
    Signal.METRICS: (ExportMetricsServiceResponse, "rejected_data_points"),
}
_RETRY_AFTER_SECONDS: Final = "1"
_ANSWERS: Final[tuple[tuple[type[StoreError], str, int], ...]] = (
    (TooLargeError, "malformed", 413), (MalformedError, "malformed", 400), (BusyError, "busy", 503),
    (StoreError, "failed", 503),
)  # fmt: skip


def application(intake: Intake) -> ASGIApp:
    """Build the receiver. Bodies beyond the intake's limit get 413."""

    def endpoint(signal: Signal) -> Callable[[Request], Any]:
        async def receive(request: Request) -> Response:
            return await _receive(request, signal, intake)

        return receive

    async def unknown(request: Request) -> Response:
        if request.url.path in {f"/v1/{signal}" for signal in Signal}:
            return _status(405, "OTLP is sent with POST.", _kind(request))
        places = ", ".join(f"/v1/{signal}" for signal in Signal)
        return _status(404, f"OTLP is taken at {places}, not at {request.url.path}.", _kind(request))

    return Starlette(
        routes=[
            *(Route(f"/v1/{signal}", endpoint(signal), methods=["POST"]) for signal in Signal),
            Route("/{path:path}", unknown, methods=["GET", "POST"]),
        ]
    )


def _kind(request: Request) -> str:
    return str(request.headers.get("content-type", "")).split(";")[0].strip().lower()


def _status(code: int, message: str, kind: str) -> Response:
    """Answer with google.rpc.Status, whose field 2 is the message, in the request's own encoding."""
    headers = {"retry-after": _RETRY_AFTER_SECONDS} if code in {429, 503} else {}
    if kind != _PROTOBUF:
        return Response(json.dumps({"message": message}), code, headers, media_type=_JSON)
    text = message.encode()
    size, length = bytearray(), len(text)
    while length > 0x7F:  # noqa: PLR2004 - seven bits a byte
        size.append(length & 0x7F | 0x80)
        length >>= 7
    size.append(length)
    return Response(b"\x12" + bytes(size) + text, code, headers, media_type=_PROTOBUF)


def response(signal: Signal, accepted: Accepted) -> Message:
    """Thank for a body, in OTLP's words."""
    kind, rejected = RESPONSES[signal]
    answer: Any = kind()
    if accepted.rejected:
        setattr(answer.partial_success, rejected, accepted.rejected)
        answer.partial_success.error_message = accepted.reason
    return answer  # type: ignore[no-any-return]


def _success(signal: Signal, kind: str, accepted: Accepted) -> Response:
    answer = response(signal, accepted)
    if kind == _JSON:
        return Response(json_format.MessageToJson(answer, indent=None), media_type=_JSON)
    return Response(answer.SerializeToString(), media_type=_PROTOBUF)


async def _body(request: Request, most_bytes: int) -> bytes:
    """Read the body, unpacked; stops as soon as it is larger than allowed."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip", "deflate", ""}:
        raise MalformedError(f"Content-Encoding {encoding!r} is not known.", fix="Send gzip, deflate or none.")
    is_packed = encoding in {"gzip", "deflate"}
    unpack: Any = None
    pieces, size = [], 0
    async for piece in request.stream():
        rest = piece
        while rest:
            data, rest = rest, b""
            if is_packed:
                if unpack is None or unpack.eof:  # gzip may come in several members
                    unpack = zlib.decompressobj(wbits=47)
                try:
                    data = unpack.decompress(data, most_bytes + 1 - size)
                except zlib.error as error:
                    raise MalformedError(f"The packed body cannot be unpacked: {error}.") from error
                rest = unpack.unused_data
            size += len(data)
            if size > most_bytes:
                raise TooLargeError(f"The body is larger than {most_bytes} bytes.", fix="Send smaller batches.")
            pieces.append(data)
    if unpack is not None and not unpack.eof:
        raise MalformedError("The packed body ends too early.")
    return b"".join(pieces)


async def _receive(request: Request, signal: Signal, intake: Intake) -> Response:
    kind = _kind(request)
    if kind not in {_PROTOBUF, _JSON}:
        intake.count(signal, "malformed", 1)
        return _status(415, f"Content-Type {kind!r} is not OTLP: send {_PROTOBUF} or {_JSON}.", _JSON)
    try:
        body = await _body(request, intake.most_bytes)
        accepted = await intake.take(signal, body, is_json=kind == _JSON)
    except StoreError as error:
        what, status = next((what, status) for of, what, status in _ANSWERS if isinstance(error, of))
        intake.count(signal, what, 1)
        return _status(status, str(error), kind)
    intake.count(signal, "stored", 1)
    if accepted.rejected:
        intake.count(signal, "rejected", accepted.rejected)
    return _success(signal, kind, accepted)
