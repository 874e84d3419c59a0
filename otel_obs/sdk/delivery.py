"""What became of every record: counted where it enters the SDK, and where the other side acknowledged it."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk._logs import LogRecordProcessor
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk._logs import ReadableLogRecord, ReadWriteLogRecord


@dataclass(frozen=True, kw_only=True)
class ShutdownReport:
    """What ``shutdown()`` could and could not deliver. ``undelivered`` counts drops, refusals and what was unsent."""

    produced: int
    delivered: int
    seconds: float
    in_time: bool

    @property
    def undelivered(self) -> int:
        """Records that nobody acknowledged."""
        return self.produced - self.delivered


class Tally:
    """Counts of this process; a forked child starts at nothing, as its queues do."""

    def __init__(self) -> None:
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self.produced = 0
        self.delivered = 0

    def produce(self) -> None:
        """Count one record on its way in."""
        with self._lock:
            self.produced += 1

    def deliver(self, count: int) -> None:
        """Count records that the other side acknowledged."""
        with self._lock:
            self.delivered += count


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


class AcknowledgedSpans(SpanExporter):
    """An exporter whose acknowledged spans are counted."""

    def __init__(self, exporter: SpanExporter, tally: Tally) -> None:
        self._exporter = exporter
        self._tally = tally

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Hand on, and count what was acknowledged."""
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            self._tally.deliver(len(spans))
        return result

    def shutdown(self) -> None:
        """Hand on."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Hand on."""
        return self._exporter.force_flush(timeout_millis)


class AcknowledgedLogs(LogRecordExporter):
    """An exporter whose acknowledged log records are counted."""

    def __init__(self, exporter: LogRecordExporter, tally: Tally) -> None:
        self._exporter = exporter
        self._tally = tally

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Hand on, and count what was acknowledged."""
        result = self._exporter.export(batch)
        if result is LogRecordExportResult.SUCCESS:
            self._tally.deliver(len(batch))
        return result

    def shutdown(self) -> Any:
        """Hand on."""
        return self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Hand on."""
        return self._exporter.force_flush(timeout_millis)
