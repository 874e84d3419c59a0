"""What became of every record: counted where it enters the SDK, and where the other side acknowledged it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from opentelemetry.sdk._logs import LogRecordProcessor
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_obs.sdk.ending import in_child

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk._logs import ReadableLogRecord, ReadWriteLogRecord

    from otel_obs.sdk.ending import Tally


class CountedSpans(SpanProcessor):
    """Counts sampled spans as they end. Stands before the queue, so that what the queue drops is missed."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def on_end(self, span: ReadableSpan) -> None:
        """Count."""
        if span.context is not None and span.context.trace_flags.sampled:
            self._tally.produce()


class CountedLogs(LogRecordProcessor):
    """Counts log records as they are emitted."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Count."""
        del log_record
        self._tally.produce()

    def shutdown(self) -> None:
        """Nothing is held."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is held."""
        del timeout_millis
        return True


E = TypeVar("E", SpanExporter, LogRecordExporter)


class OwnExporter(Generic[E]):
    """An exporter of this process alone: a forked child makes its own, and never speaks on its parent's connection."""

    def __init__(self, make: Callable[[], E]) -> None:
        self._make: Callable[[], E] = make
        self._made: E | None = make()
        in_child(self._forget)

    def _forget(self) -> None:
        self._made = None

    def __call__(self) -> E:
        """Return it."""
        if self._made is None:
            self._made = self._make()
        return self._made


class AcknowledgedSpans(SpanExporter):
    """An exporter whose acknowledged spans are counted."""

    def __init__(self, make: Callable[[], SpanExporter], tally: Tally) -> None:
        self._exporter = OwnExporter(make)
        self._tally = tally

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Hand on, and count what was acknowledged."""
        result = self._exporter().export(spans)
        if result is SpanExportResult.SUCCESS:
            self._tally.deliver(len(spans))
        return result

    def shutdown(self) -> None:
        """Hand on."""
        self._exporter().shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Hand on."""
        return self._exporter().force_flush(timeout_millis)


class AcknowledgedLogs(LogRecordExporter):
    """An exporter whose acknowledged log records are counted."""

    def __init__(self, make: Callable[[], LogRecordExporter], tally: Tally) -> None:
        self._exporter = OwnExporter(make)
        self._tally = tally

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Hand on, and count what was acknowledged."""
        result = self._exporter().export(batch)
        if result is LogRecordExportResult.SUCCESS:
            self._tally.deliver(len(batch))
        return result

    def shutdown(self) -> Any:
        """Hand on."""
        return self._exporter().shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Hand on."""
        return self._exporter().force_flush(timeout_millis)
