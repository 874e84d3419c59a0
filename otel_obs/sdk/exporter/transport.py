"""What a receiver may answer to one body, and the way there for each signal: over HTTP or gRPC, as was asked for."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol, get_args

from otel_obs.sdk import protocol
from otel_obs.sdk.exporter.variables import Variables
from otel_obs.sdk.frames import Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otel_obs.settings import Settings

_log: Final = logging.getLogger("otel_obs")


class Verdict(StrEnum):
    """What became of a body."""

    DELIVERED = "delivered"
    AGAIN = "again"
    TOO_LARGE = "too_large"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What the receiver said, or that it said nothing.

    ``after`` are the seconds that it asked to wait; ``rejected`` of the records it did not take, though it took the
    rest; ``told`` is short and holds no secret. ``fix`` is there where nothing gets through before somebody changes
    the configuration, and says what.
    """

    verdict: Verdict
    after: float | None = None
    rejected: int = 0
    told: str = ""
    fix: str = ""


class Transport(Protocol):
    """Hands bodies to a receiver; used by one thread at a time, and never by a forked child of whoever made it."""

    most_bytes: int
    """The largest body that receivers usually take."""

    def send(self, signal: Signal, body: bytes, *, timeout: float) -> Reply:
        """What became of ``body``, a whole OTLP request, within ``timeout`` seconds or the configured, if fewer."""

    def place(self, signal: Signal) -> str:
        """Where the signal goes, as others may read it."""

    def close(self) -> None:
        """Let go of the connections."""


class Route(Protocol):
    """A transport of one signal."""

    shown: str
    most_bytes: int

    def send(self, body: bytes, *, timeout: float) -> Reply:
        """See Transport."""

    def close(self) -> None:
        """See Transport."""


class Routes:
    """A transport whose signals may each have a way of their own."""

    def __init__(self, routes: Mapping[Signal, Route]) -> None:
        self._routes = routes
        self.most_bytes: int = min(route.most_bytes for route in routes.values())

    def send(self, signal: Signal, body: bytes, *, timeout: float) -> Reply:
        """See Transport."""
        return self._routes[signal].send(body, timeout=timeout)

    def place(self, signal: Signal) -> str:
        """See Transport."""
        return self._routes[signal].shown

    def close(self) -> None:
        """See Transport."""
        for route in self._routes.values():
            route.close()


def connect(wanted: Settings, *, endpoint: str = "", tell: Callable[..., object] = _log.warning) -> Transport:
    """The transport that the settings and OpenTelemetry's variables ask for. Nothing is sent yet.

    ``endpoint`` is one that goes before them all, those of one signal too: for who was told it by hand. ``tell`` is
    called as a logger is, with what cannot be read in the variables.

    Raises:
        MissingExtraError: gRPC was asked for, and is not installed.
        SettingError: an endpoint or a certificate cannot be used.

    """
    return Routes({signal: _route(wanted, signal, endpoint, tell) for signal in get_args(Signal)})


def _route(wanted: Settings, signal: Signal, endpoint: str, tell: Callable[..., object]) -> Route:
    way = protocol.way(wanted, signal.upper(), endpoint=endpoint)
    variables = Variables(signal.upper(), tell=tell)
    if way.protocol == protocol.GRPC:
        from otel_obs.sdk.exporter.grpc import GrpcRoute

        return GrpcRoute(signal, way, variables)
    from otel_obs.sdk.exporter.http import HttpRoute

    return HttpRoute(signal, way, variables)
