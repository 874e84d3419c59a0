"""The OTLP/gRPC receiver: the same intake as over HTTP, for senders that speak gRPC. It needs grpcio."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

import grpc
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from otel_obs.errors import PortError, StoreError
from otel_obs.store.embedded.credentials import OTLP_HINT
from otel_obs.store.embedded.otlp_committer import BusyError
from otel_obs.store.embedded.otlp_http import response
from otel_obs.store.embedded.otlp_insert import Signal
from otel_obs.store.embedded.otlp_reading import MalformedError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType
    from typing import Self

    from otel_obs.store.embedded.otlp_intake import Intake

_SERVICES: Final = {
    Signal.TRACES: "opentelemetry.proto.collector.trace.v1.TraceService",
    Signal.LOGS: "opentelemetry.proto.collector.logs.v1.LogsService",
    Signal.METRICS: "opentelemetry.proto.collector.metrics.v1.MetricsService",
}
_ANSWERS: Final[tuple[tuple[type[StoreError], str, grpc.StatusCode], ...]] = (
    (TooLargeError, "malformed", grpc.StatusCode.RESOURCE_EXHAUSTED),  # without RetryInfo: it will not get smaller
    (MalformedError, "malformed", grpc.StatusCode.INVALID_ARGUMENT),
    (BusyError, "busy", grpc.StatusCode.UNAVAILABLE),
    (StoreError, "failed", grpc.StatusCode.UNAVAILABLE),
)
_RETRY_SECONDS: Final = 1


def _export(intake: Intake, signal: Signal, admits: Callable[[str], bool]) -> Callable[[bytes, Any], Awaitable[bytes]]:
    async def export(body: bytes, context: Any) -> bytes:
        if not admits(str(dict(context.invocation_metadata()).get("authorization", ""))):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, f"This store wants a password. Set {OTLP_HINT}")
        try:
            accepted = await intake.take(signal, body)
        except StoreError as error:
            what, code = next((what, code) for of, what, code in _ANSWERS if isinstance(error, of))
            intake.count(signal, what, 1)
            if code is grpc.StatusCode.UNAVAILABLE:
                context.set_trailing_metadata((("grpc-status-details-bin", _come_again(code, str(error))),))
            await context.abort(code, str(error))
        intake.count(signal, "stored", 1)
        if accepted.rejected:
            intake.count(signal, "rejected", accepted.rejected)
        return response(signal, accepted).SerializeToString()

    return export


def _come_again(code: grpc.StatusCode, message: str) -> bytes:
    status: Any = Status(code=code.value[0], message=message)
    status.details.add().Pack(RetryInfo(retry_delay=Duration(seconds=_RETRY_SECONDS)))
    packed: bytes = status.SerializeToString()
    return packed


class GrpcListener:
    """Serves ``intake`` over gRPC on ``host:port`` (0 = any free port) from construction until ``stop``.

    Raises:
        PortError: the port cannot be bound.

    """

    def __init__(
        self,
        intake: Intake,
        *,
        port: int,
        host: str = "127.0.0.1",
        option: str = "--otlp-grpc-port",
        admits: Callable[[str], bool] = lambda _authorization: True,
    ) -> None:
        self._intake = intake
        self._admits = admits
        self._asked = (host, port, option)
        self._loop = asyncio.new_event_loop()
        started: Future[int] = Future()
        self._ended: asyncio.Event
        self._within = 10.0
        self._thread = threading.Thread(
            target=lambda: self._loop.run_until_complete(self._serve(started)), name="OTLP over gRPC", daemon=True
        )
        self._thread.start()
        try:
            self.port = started.result()
        except PortError:
            self._thread.join()
            self._loop.close()
            raise
        self.host = host

    async def _serve(self, started: Future[int]) -> None:
        host, port, option = self._asked
        self._ended = asyncio.Event()
        server = grpc.aio.server(
            options=[
                ("grpc.so_reuseport", 0),  # else a second store would share the port, and take every other body
                ("grpc.max_receive_message_length", self._intake.most_bytes),
            ]
        )
        for signal, service in _SERVICES.items():
            handler = grpc.unary_unary_rpc_method_handler(_export(self._intake, signal, self._admits))
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": handler}),))
        try:
            bound = server.add_insecure_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        except RuntimeError:
            await server.stop(None)
            started.set_exception(
                PortError(
                    f"OTLP over gRPC cannot listen on {host}:{port}: the port is in use.",
                    fix=f"Stop what uses it, or choose another with {option} (0 = any free port).",
                )
            )
            return
        await server.start()
        started.set_result(bound)
        await self._ended.wait()
        await server.stop(self._within)

    def stop(self, *, within: float = 10.0) -> None:
        """Take no new requests, let the running ones end (at most ``within`` seconds), free the port."""
        if not self._thread.is_alive():
            return
        self._within = within
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(within + 1)
        if not self._thread.is_alive():
            self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
