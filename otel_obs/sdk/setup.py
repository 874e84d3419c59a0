"""configure, flush and shutdown: OpenTelemetry's providers for this process, set up once and ended within a bound."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import _logs, trace

from otel_obs import settings
from otel_obs.contract import semconv
from otel_obs.errors import MissingExtraError, OtelObsError
from otel_obs.sdk.delivery import (
    AcknowledgedLogs,
    AcknowledgedSpans,
    CountedLogs,
    CountedSpans,
    ShutdownReport,
    Tally,
)
from otel_obs.sdk.ids import SeededIds

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk._logs.export import LogRecordExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace.export import SpanExporter

    from otel_obs.settings import Settings

_log: Final = logging.getLogger("otel_obs")
_GATES_AND_EXCEPTIONS: Final = 16  # room for events that are no gates


@dataclass
class _Process:
    """What is set up in this process; the one global of this room."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    configured: Settings | None = None
    flushes: list[Callable[[int], Any]] = field(default_factory=list)
    shutdowns: list[Callable[[], Any]] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)


_process: Final = _Process()


def configure(**given: Any) -> Settings:
    """Set up OpenTelemetry for this process; see SETTINGS for what can be given, here or in the environment.

    A second call changes limits and switches, and leaves the exporters as they are. An application that has set its
    own TracerProvider or LoggerProvider keeps it, and ours go there. Without ``strict`` nothing is raised: a mistake
    is logged with its fix, and the bot runs on.

    Raises:
        OtelObsError: only under ``strict``.

    """
    with _process.lock:
        try:
            resolved = settings.resolve(**given)
            if resolved.enabled:
                _set_up(resolved)
        except OtelObsError as error:
            if given.get("strict") or settings.active.strict:
                raise
            _log.error("Nothing will be recorded: %s", error)
            resolved = settings.override(enabled=False)
        settings.activate(resolved)
        return resolved


def _set_up(wanted: Settings) -> None:
    if _process.configured is not None:
        fixed = ("service_name", "endpoint", "ids_seed", "max_queue", "send_interval")
        changed = [name for name in fixed if getattr(wanted, name) != getattr(_process.configured, name)]
        if changed:
            _log.warning("configure() was called again: %s stay as they were at first.", ", ".join(changed))
        return
    resource = _resource(wanted)
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        _set_up_spans(wanted, resource)
    if type(_logs.get_logger_provider()).__name__ == "ProxyLoggerProvider":  # OpenTelemetry does not export its name
        _set_up_logs(wanted, resource)
    _process.configured = wanted
    atexit.register(shutdown)


def _resource(wanted: Settings) -> Resource:
    from opentelemetry.sdk.resources import Resource

    given = {semconv.SERVICE_INSTANCE_ID: str(uuid.uuid4())}
    if wanted.service_name:
        given[semconv.SERVICE_NAME] = wanted.service_name
    found = Resource.create(given)
    if str(found.attributes.get(semconv.SERVICE_NAME, "")).startswith("unknown_service"):
        program = Path(sys.argv[0] if sys.argv else "").stem or "python"
        found = found.merge(Resource({semconv.SERVICE_NAME: program}))
    return found


def _set_up_spans(wanted: Settings, resource: Resource) -> None:
    from opentelemetry.sdk.trace import SpanLimits, TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(
        resource=resource,
        shutdown_on_exit=False,
        id_generator=SeededIds(wanted.ids_seed) if wanted.ids_seed else None,
        span_limits=SpanLimits(max_events=wanted.max_gates + _GATES_AND_EXCEPTIONS),
    )
    queue = BatchSpanProcessor(
        AcknowledgedSpans(_span_exporter(wanted), _process.tally),
        max_queue_size=wanted.max_queue,
        schedule_delay_millis=max(1.0, wanted.send_interval * 1000),
        max_export_batch_size=min(wanted.max_queue, 512),
    )
    provider.add_span_processor(CountedSpans(_process.tally))
    provider.add_span_processor(queue)
    trace.set_tracer_provider(provider)
    _process.flushes.append(provider.force_flush)
    _process.shutdowns.append(provider.shutdown)


def _set_up_logs(wanted: Settings, resource: Resource) -> None:
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
    queue = BatchLogRecordProcessor(
        AcknowledgedLogs(_log_exporter(wanted), _process.tally),
        max_queue_size=wanted.max_queue,
        schedule_delay_millis=max(1.0, wanted.send_interval * 1000),
        max_export_batch_size=min(wanted.max_queue, 512),
    )
    provider.add_log_record_processor(CountedLogs(_process.tally))
    provider.add_log_record_processor(queue)
    _logs.set_logger_provider(provider)
    _process.flushes.append(provider.force_flush)
    _process.shutdowns.append(provider.shutdown)


def _speaks_grpc(signal: str) -> bool:
    chosen = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    return chosen == "grpc"


def _url(wanted: Settings, signal: str, path: str) -> str | None:
    """Where a signal goes; None where the user named a place for this signal, which the exporter reads itself."""
    if os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"):
        return None
    return wanted.endpoint.rstrip("/") + path


def _span_exporter(wanted: Settings) -> SpanExporter:
    if _speaks_grpc("TRACES"):
        try:
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
        except ImportError:
            raise MissingExtraError("OTEL_EXPORTER_OTLP_PROTOCOL=grpc", extra="grpc") from None
        exporter: SpanExporter = GrpcSpanExporter()
        return exporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(endpoint=_url(wanted, "TRACES", "/v1/traces"))


def _log_exporter(wanted: Settings) -> LogRecordExporter:
    if _speaks_grpc("LOGS"):
        try:
            from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogExporter
        except ImportError:
            raise MissingExtraError("OTEL_EXPORTER_OTLP_PROTOCOL=grpc", extra="grpc") from None
        exporter: LogRecordExporter = GrpcLogExporter()
        return exporter
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter

    return OTLPLogExporter(endpoint=_url(wanted, "LOGS", "/v1/logs"))


def _all_within(calls: list[Callable[[], Any]], seconds: float) -> bool:
    """Make the calls side by side; whether all returned in time. What hangs is left behind in a daemon thread."""
    deadline = time.monotonic() + seconds
    threads = [threading.Thread(target=call, name="otel_obs ending", daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return not any(thread.is_alive() for thread in threads)


def flush(*, within: float | None = None) -> bool:
    """Send what is waiting; blocks at most ``within`` seconds (default: the shutdown timeout).

    Returns:
        Whether everything that was produced has been acknowledged.

    """
    seconds = settings.active.shutdown_timeout if within is None else within
    milliseconds = max(1, int(seconds * 1000))
    in_time = _all_within([lambda call=call: call(milliseconds) for call in _process.flushes], seconds)  # type: ignore[misc]
    return in_time and _process.tally.delivered >= _process.tally.produced


def shutdown(*, within: float | None = None) -> ShutdownReport:
    """Send what is waiting and end the exporters; blocks at most ``within`` seconds (default: the setting).

    It runs by itself when the interpreter exits. What could not be delivered is counted in the answer and logged.
    """
    seconds = settings.active.shutdown_timeout if within is None else within
    with _process.lock:
        calls, _process.shutdowns = _process.shutdowns, []
        _process.flushes = []
    start = time.monotonic()
    in_time = _all_within(calls, seconds)
    report = ShutdownReport(
        produced=_process.tally.produced,
        delivered=_process.tally.delivered,
        seconds=time.monotonic() - start,
        in_time=in_time,
    )
    if calls and report.undelivered:
        _log.warning(
            "%d of %d records were not delivered to %s. Is the store or collector running there?",
            report.undelivered, report.produced, settings.active.endpoint,
        )  # fmt: skip
    return report
