"""The OTLP/HTTP receiver: takes traces and logs, protobuf or JSON, and acknowledges what the engine has stored."""

from __future__ import annotations

import asyncio
import json
import zlib
from typing import TYPE_CHECKING, Any, Final

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from otel_obs.store.embedded.otlp_bodies import MalformedError, Rewritten, from_json, repaired
from otel_obs.store.embedded.otlp_committer import BodyError, BusyError, Committer
from otel_obs.store.embedded.otlp_insert import UNREADABLE, Signal

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp

from otel_obs.errors import StoreError

_PROTOBUF: Final = "application/x-protobuf"
_JSON: Final = "application/json"
_RESPONSES: Final = {Signal.TRACES: ExportTraceServiceResponse, Signal.LOGS: ExportLogsServiceResponse}
_REJECTED: Final = {Signal.TRACES: "rejected_spans", Signal.LOGS: "rejected_log_records"}
_RETRY_AFTER_SECONDS: Final = "1"


class _TooLargeError(Exception):
    pass


def application(
    committer: Committer, *, most_bytes: int = 64 << 20, count: Callable[[Signal, str, int], None] | None = None
) -> ASGIApp:
    """Build the receiver. Bodies beyond ``most_bytes`` (unpacked) get 413.

    ``count(signal, what, n)`` is told of each body: ``stored``, ``malformed``, ``busy``, ``failed``, and of
    ``rejected`` records within one.
    """
    told = count or (lambda _signal, _what, _n: None)

    def endpoint(signal: Signal) -> Callable[[Request], Any]:
        async def receive(request: Request) -> Response:
            return await _receive(request, signal, committer, most_bytes, told)

        return receive

    async def unknown(request: Request) -> Response:
        if request.url.path in {f"/v1/{signal}" for signal in Signal}:
            return _status(405, "OTLP is sent with POST.", _kind(request))
        return _status(404, f"OTLP is taken at /v1/traces and /v1/logs, not at {request.url.path}.", _kind(request))

    return Starlette(
        routes=[
            Route("/v1/traces", endpoint(Signal.TRACES), methods=["POST"]),
            Route("/v1/logs", endpoint(Signal.LOGS), methods=["POST"]),
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


def _success(signal: Signal, kind: str, outcome: Rewritten) -> Response:
    answer: Any = _RESPONSES[signal]()
    if outcome.rejected:
        setattr(answer.partial_success, _REJECTED[signal], outcome.rejected)
        answer.partial_success.error_message = outcome.reason
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
                data = unpack.decompress(data, most_bytes + 1 - size)
                rest = unpack.unused_data
            size += len(data)
            if size > most_bytes:
                raise _TooLargeError
            pieces.append(data)
    if unpack is not None and not unpack.eof:
        raise MalformedError("The packed body ends too early.")
    return b"".join(pieces)


async def _receive(
    request: Request, signal: Signal, committer: Committer, most_bytes: int, told: Callable[[Signal, str, int], None]
) -> Response:
    kind = _kind(request)
    if kind not in {_PROTOBUF, _JSON}:
        told(signal, "malformed", 1)
        return _status(415, f"Content-Type {kind!r} is not OTLP: send {_PROTOBUF} or {_JSON}.", _JSON)
    try:
        body = await _body(request, most_bytes)
        outcome = await _stored(signal, kind, body, committer)
    except _TooLargeError:
        told(signal, "malformed", 1)
        return _status(413, f"The body is larger than {most_bytes} bytes: send smaller batches.", kind)
    except (MalformedError, zlib.error) as error:
        told(signal, "malformed", 1)
        return _status(400, str(error), kind)
    except BusyError as error:
        told(signal, "busy", 1)
        return _status(503, str(error), kind)
    except StoreError as error:
        told(signal, "failed", 1)
        return _status(503, str(error), kind)
    told(signal, "stored", 1)
    if outcome.rejected:
        told(signal, "rejected", outcome.rejected)
    return _success(signal, kind, outcome)


async def _stored(signal: Signal, kind: str, body: bytes, committer: Committer) -> Rewritten:
    """Store a body; one that the engine refuses is rewritten and tried once more."""
    if kind == _JSON:
        outcome = await asyncio.to_thread(from_json, signal, body)
    else:
        outcome = Rewritten(body=body)
    if not outcome.body:
        return outcome
    try:
        await asyncio.wrap_future(committer.commit(signal, outcome.body))
    except BodyError:
        again = await asyncio.to_thread(repaired, signal, outcome.body)
        try:
            await asyncio.wrap_future(committer.commit(signal, again.body))
        except BodyError as error:
            if error.code in UNREADABLE:  # for good: else its sender would come again for ever
                raise MalformedError(f"The engine cannot read the body: {error}") from error
            raise
        return Rewritten(
            body=again.body, rejected=outcome.rejected + again.rejected, reason=outcome.reason or again.reason
        )
    return outcome
