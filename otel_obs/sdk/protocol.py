"""Which of OTLP's protocols is spoken, and to where: the user's choice in OpenTelemetry's variables, else HTTP."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_obs import settings

if TYPE_CHECKING:
    from otel_obs.settings import Settings

GRPC: Final = "grpc"
HTTP: Final = "http/protobuf"
VARIABLE: Final = "OTEL_EXPORTER_OTLP_PROTOCOL"
SIGNALS: Final = ("TRACES", "LOGS")
_GRPC_PLACE: Final = "http://127.0.0.1:4317"
_log: Final = logging.getLogger("otel_obs")


@dataclass(frozen=True)
class Way:
    """How one signal leaves the process. ``place`` has no path; ``is_own`` says that it was named for this signal."""

    protocol: str
    place: str
    asked: str = ""  # the word that was given for the protocol
    is_own: bool = False

    @property
    def is_understood(self) -> bool:
        """Whether the protocol that was asked for is the one that is spoken."""
        return self.asked in {"", self.protocol}


def way(wanted: Settings, signal: str, *, endpoint: str = "") -> Way:
    """How ``signal`` (``TRACES``, ``LOGS``) is sent: over gRPC where that was asked for, else over HTTP as protobuf.

    ``endpoint`` was named by hand, and goes before all variables.
    """
    asked = (os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL") or os.environ.get(VARIABLE) or "").strip().lower()
    protocol = GRPC if asked == GRPC else HTTP
    if endpoint:
        return Way(protocol, endpoint, asked)
    own = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT", "")
    default = next(row.default for row in settings.SETTINGS if row.name == "endpoint")
    is_default = wanted.endpoint == default and "OTEL_EXPORTER_OTLP_ENDPOINT" not in os.environ
    common = _GRPC_PLACE if protocol == GRPC and is_default else wanted.endpoint
    return Way(protocol, own or common, asked, bool(own))


def url(way: Way, path: str) -> str:
    """Where a signal goes over HTTP: a place that was named for it alone is taken as it is."""
    return way.place if way.is_own else way.place.rstrip("/") + path


def tell_what_is_not_spoken(wanted: Settings) -> None:
    """Log each protocol that was asked for and has another sent in its place."""
    ways = [way(wanted, signal) for signal in SIGNALS]
    for asked in dict.fromkeys(found.asked for found in ways if not found.is_understood):
        _log.warning("%s=%s is not spoken here: %s is sent. Use %s or %s.", VARIABLE, asked, HTTP, HTTP, GRPC)
