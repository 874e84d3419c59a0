"""Where records go and times come from in this process: OpenTelemetry's globals, unless a test put its own in place."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

from opentelemetry import _logs, trace

from otel_obs.contract import semconv
from otel_obs.contract.recording import GateCounter, LeafRecorder
from otel_obs.instrument.clock import Clock, SystemClock

if TYPE_CHECKING:
    from opentelemetry._logs import Logger, LoggerProvider
    from opentelemetry.trace import Tracer, TracerProvider

try:
    VERSION: Final = version("otel-obs")
except PackageNotFoundError:  # running from a tree that was never installed
    VERSION: Final = "0"  # type: ignore[misc]


@dataclass(frozen=True, kw_only=True)
class Source:
    """Tracer, logger and clock that every record is made with. Providers that are None mean OpenTelemetry's globals."""

    tracer_provider: TracerProvider | None = None
    logger_provider: LoggerProvider | None = None
    clock: Clock = field(default_factory=SystemClock)

    def tracer(self) -> Tracer:
        """OpenTelemetry's tracer for our scope."""
        return trace.get_tracer(semconv.SCOPE, VERSION, tracer_provider=self.tracer_provider)

    def logger(self) -> Logger:
        """OpenTelemetry's logger for our scope."""
        return _logs.get_logger(semconv.SCOPE, VERSION, logger_provider=self.logger_provider)


class Using:
    """The source in use, with its tracer and logger kept; the one global of this room."""

    def __init__(self) -> None:
        self.take(Source())

    def take(self, source: Source) -> Source | None:
        """Use ``source`` from now on; returns the one used before."""
        before = getattr(self, "source", None)
        self.source = source
        self.clock = source.clock
        self.tracer = source.tracer()
        self.logger = source.logger()
        self.leaf_recorder = self.tracer if isinstance(self.tracer, LeafRecorder) else None
        self.gate_counter = self.tracer if isinstance(self.tracer, GateCounter) else None
        return before


using: Final = Using()
