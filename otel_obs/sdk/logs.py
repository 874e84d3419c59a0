"""Our LoggerProvider: facts, and whatever is logged over OpenTelemetry's API, into the same queue as spans."""

from __future__ import annotations

import logging
import os
import threading
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import _logs
from opentelemetry.sdk._logs import LogRecordLimits, ReadWriteLogRecord, SynchronousMultiLogRecordProcessor
from opentelemetry.sdk.resources import PROCESS_PID, Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from otel_obs.contract.dearness import of_log
from otel_obs.sdk.ending import in_child
from otel_obs.sdk.exceptions import told_of
from otel_obs.sdk.otlp.from_sdk import log_record, resource_record, scope_record
from otel_obs.sdk.spans.attributes import Limits, clean, size_of

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk._logs import LogRecordProcessor
    from opentelemetry.util.types import AnyValue, Attributes

    from otel_obs.sdk.otlp.records import LogRecord, ScopeRecord
    from otel_obs.sdk.recorder.queue import Queue

    Said = tuple[_logs.LogRecord, ScopeRecord, dict[str, Any], int]  # itself, who speaks, attributes, how many left out

_log: Final = logging.getLogger("otel_obs")
_SIZE: Final = 400  # bytes that a log record takes of which little is said, about


class OurLogger(_logs.Logger):
    """Takes the log records of one scope."""

    def __init__(self, provider: LoggerProvider, scope: InstrumentationScope) -> None:
        super().__init__(scope.name, scope.version, scope.schema_url, scope.attributes)
        self._provider = provider
        self._scope = scope
        self._recorded: tuple[Resource, ScopeRecord] | None = None

    def enabled(self, **_: Any) -> bool:
        """All that is said is taken."""
        return True

    def emit(
        self,
        record: _logs.LogRecord | None = None,
        *,
        timestamp: int | None = None,
        observed_timestamp: int | None = None,
        context: Context | None = None,
        severity_number: _logs.SeverityNumber | None = None,
        severity_text: str | None = None,
        body: AnyValue | None = None,
        attributes: Attributes = None,
        event_name: str | None = None,
        exception: BaseException | None = None,
    ) -> None:
        said = getattr(record, "log_record", record) or _logs.LogRecord(
            timestamp=timestamp, observed_timestamp=observed_timestamp, context=context,
            severity_number=severity_number, severity_text=severity_text, body=body, attributes=attributes,
            event_name=event_name, exception=exception,
        )  # fmt: skip
        provider = self._provider
        if provider.has_processors:
            if said.exception is not None:
                said.attributes = {**told_of(said.exception), **provider.limits.taken(said.attributes)[0]}
            provider.tell(said, self._scope)
        kept, left_out = provider.limits.taken(said.attributes)
        if said.exception is not None:
            kept = {**told_of(said.exception), **kept}
        said.body = clean(said.body, None)
        queue = provider.queue
        tier = of_log(said.event_name, kept)
        queue.put(2 * tier.place + 1, _size(said.body, kept), of_said, (said, self._speaker(), kept, left_out))

    def _speaker(self) -> ScopeRecord:
        recorded, resource = self._recorded, self._provider.resource
        if recorded is None or recorded[0] is not resource:
            recorded = self._recorded = (resource, scope_record(resource_record(resource), self._scope))
        return recorded[1]


def of_said(said: Said) -> LogRecord:
    """The encoder's record of a log record; its attributes are a dict of its own."""
    record, scope, attributes, left_out = said
    return log_record(record, scope, attributes, left_out)


def _size(body: Any, attributes: dict[str, Any]) -> int:
    return _SIZE + size_of(attributes) + (len(body) if body.__class__ is str else size_of({"": body}))


class LoggerProvider(_logs.LoggerProvider):
    """OpenTelemetry's provider over our queue. What the environment says of limits holds."""

    def __init__(self, *, resource: Resource, queue: Queue) -> None:
        self.resource = resource
        self.queue = queue
        self.has_processors = self._is_told = False
        most = LogRecordLimits()
        self.limits = Limits(most.max_log_record_attributes, most.max_log_record_attribute_length)
        self._processors = SynchronousMultiLogRecordProcessor()
        self._loggers: dict[InstrumentationScope, OurLogger] = {}
        self._lock = threading.RLock()
        in_child(self._go_on)

    def _go_on(self) -> None:
        self._lock = threading.RLock()
        if PROCESS_PID in self.resource.attributes:
            self.resource = self.resource.merge(Resource({PROCESS_PID: os.getpid()}))

    def get_logger(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> OurLogger:
        scope = InstrumentationScope(name or "", version or "", schema_url, attributes)
        with self._lock:
            if scope not in self._loggers:
                self._loggers[scope] = OurLogger(self, scope)
            return self._loggers[scope]

    def add_log_record_processor(self, processor: LogRecordProcessor) -> None:
        """Tell ``processor`` of each log record from now on."""
        self._processors.add_log_record_processor(processor)
        self.has_processors = True

    def tell(self, said: _logs.LogRecord, scope: InstrumentationScope) -> None:
        """Tell the processors, which may change it."""
        try:
            self._processors.on_emit(
                ReadWriteLogRecord(log_record=said, resource=self.resource, instrumentation_scope=scope)
            )
        except Exception:  # noqa: BLE001 - somebody else's must cost neither the bot nor the record
            if not self._is_told:  # once: what is logged may come back here
                self._is_told = True
                _log.exception("A log record processor failed. Records are sent all the same; this is told once.")

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Have all processors send what waits."""
        return self._processors.force_flush(timeout_millis)

    def shutdown(self) -> None:
        """End all processors."""
        self._processors.shutdown()
