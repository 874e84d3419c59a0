"""The store's own health over HTTP: /healthz, /readyz and /metrics."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, generate_latest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from otel_obs.errors import StoreError
from otel_obs.store.embedded.otlp_insert import Signal

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp

    from otel_obs.store.embedded.engine import Engine

OPEN_PATHS: Final = frozenset({"/healthz", "/readyz"})  # they tell nothing that needs a password

_RESULTS: Final = ("stored", "malformed", "busy", "failed")


class Meters:
    """What the store counts; every series is there from the start, so that its first increment is seen."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._bodies = Counter(
            "otel_obs_store_bodies", "OTLP bodies received, by result.", ["signal", "result"], registry=self.registry
        )
        self._rejected = Counter(
            "otel_obs_store_rejected_records",
            "Records left out of bodies that were otherwise stored.",
            ["signal"],
            registry=self.registry,
        )
        self._started = Gauge(
            "otel_obs_store_start_timestamp_seconds", "When the store came up.", registry=self.registry
        )
        self._started.set_to_current_time()
        for signal in Signal:
            self._rejected.labels(signal)
            for result in _RESULTS:
                self._bodies.labels(signal, result)

    def count(self, signal: Signal, what: str, number: int) -> None:
        """Count bodies by result, or rejected records."""
        if what == "rejected":
            self._rejected.labels(signal).inc(number)
        else:
            self._bodies.labels(signal, what).inc(number)


def application(engine: Engine, meters: Meters) -> ASGIApp:
    """Build the three pages."""

    async def alive(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(_request: Request) -> Response:
        try:
            await asyncio.to_thread(engine.read, "SELECT count() FROM decisions WHERE 0")
        except StoreError as error:
            return PlainTextResponse(f"not ready: {error}\n", 503)
        return PlainTextResponse("ready\n")

    async def metrics(_request: Request) -> Response:
        return Response(generate_latest(meters.registry), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/healthz", alive), Route("/readyz", ready), Route("/metrics", metrics)])
