"""Where records go and times come from in this process: OpenTelemetry's globals, unless a test put its own in place."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final

from opentelemetry import _logs, trace

from otel_obs.contract import semconv
from otel_obs.contract.recording import GateCounter, LateRecorder, LeafRecorder
from otel_obs.instrument.clock import Clock, SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry._logs import Logger, LoggerProvider
    from opentelemetry.trace import Tracer, TracerProvider

    from otel_obs.contract.recording import DecisionWatch

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
        self._is_held = False
        self.watch: DecisionWatch | None = None
        self._use(Source())

    def take(self, source: Source) -> Source:
        """Use ``source`` from now on, unless another is held in place; returns the one used before."""
        before = self.source
        if not self._is_held:
            self._use(source)
        return before

    @contextmanager
    def holding(self, source: Source) -> Iterator[None]:
        """Use ``source`` inside, whatever else is told to be used: a test's own, while the bot configures itself."""
        before, was_held = self.source, self._is_held
        self._use(source)
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = was_held
            self._use(before)

    def _use(self, source: Source) -> None:
        self.source = source
        self.clock = source.clock
        self.tracer = source.tracer()
        self.logger = source.logger()
        self.leaf_recorder = self.tracer if isinstance(self.tracer, LeafRecorder) else None
        self.late = self.tracer if isinstance(self.tracer, LateRecorder) else None
        self.gate_counter = self.tracer if isinstance(self.tracer, GateCounter) else None


using: Final = Using()
