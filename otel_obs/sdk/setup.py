"""configure, flush and shutdown: OpenTelemetry's providers for this process, set up once and ended within a bound."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
import uuid
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import _logs, trace

from otel_obs import settings
from otel_obs.contract import semconv
from otel_obs.errors import SettingError
from otel_obs.sdk import protocol
from otel_obs.sdk.ending import Ending, ShutdownReport, in_child

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanLimits

    from otel_obs.sdk.logs import LoggerProvider
    from otel_obs.sdk.monitor import Delivery
    from otel_obs.sdk.recorder.recorder import Recorder
    from otel_obs.sdk.spans import TracerProvider
    from otel_obs.settings import Settings

_log: Final = logging.getLogger("otel_obs")
_GATES_AND_EXCEPTIONS: Final = 16  # room for events that are no gates
_FIXED: Final = (  # by the first call
    "service_name", "endpoint", "ids_seed", "max_queue", "max_queue_bytes", "block", "journal", "journal_max_bytes",
    "journal_fsync", "journal_sync", "trace_files", "trace_files_keep_days", "trace_files_max_bytes", "send_interval",
    "scorecard",
)  # fmt: skip


@dataclass
class _Process:
    """What is set up in this process; the one global of this room."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    given: dict[str, Any] = field(default_factory=dict)
    configured: Settings | None = None
    has_ended: bool = False
    is_untouched: bool = False
    recorder: Recorder | None = None
    providers: list[Any] = field(default_factory=list)
    flushes: list[Callable[[int], Any]] = field(default_factory=list)
    endings: list[Ending] = field(default_factory=list)
    each_round: list[Callable[[], None]] = field(default_factory=list)


_process: Final = _Process()


@contextmanager
def untouched() -> Iterator[None]:
    """Let ``configure`` set up nothing inside: for tests, whose bot may configure itself."""
    before, _process.is_untouched = _process.is_untouched, True
    try:
        yield
    finally:
        _process.is_untouched = before


def configure(**given: Any) -> Settings:
    """Set up OpenTelemetry for this process; see SETTINGS for what can be given, here or in the environment.

    A further call changes the limits and switches that it names, and leaves the exporters as they are. An application
    that has set its own TracerProvider or LoggerProvider keeps it, and ours go there. Without ``strict`` nothing is
    raised: a mistake is logged with its fix, and the bot runs on; a
    setting that cannot be read keeps its default.

    Raises:
        OtelObsError: only under ``strict``.

    """
    with _process.lock:
        told = _process.given | {name: value for name, value in given.items() if value is not None}
        is_strict = given.get("strict") or settings.active.strict or _is_strict_by_environment()
        try:
            resolved = settings.resolve(refused=None if is_strict else _told_default, **told)
            if _process.is_untouched:
                return settings.active
            if resolved.enabled:
                resolved = _set_up(resolved)
        except Exception as error:
            if is_strict:
                raise
            if _process.configured is not None or _process.is_untouched:
                _log.error("configure() changed nothing: %s", error)
                return settings.active
            _log.error("Nothing will be recorded: %s", error)
            resolved = settings.override(enabled=False)
        else:
            _process.given = {name: value for name, value in told.items() if getattr(resolved, name, None) == value}
        settings.activate(resolved)
        return resolved


def _told_default(error: SettingError) -> None:
    _log.error("%s This one is left out; all others are in force.", error)


def _is_strict_by_environment() -> bool:
    variables = next(row.variables for row in settings.SETTINGS if row.name == "strict")
    with suppress(SettingError):
        return settings.resolve({name: os.environ[name] for name in variables if name in os.environ}).strict
    return False


def _set_up(wanted: Settings) -> Settings:
    if _process.configured is not None:
        fixed = {name: getattr(_process.configured, name) for name in _FIXED}
        changed = [name for name, value in fixed.items() if getattr(wanted, name) != value]
        if changed:
            _log.warning("configure() was called again: %s stay as they were at first.", ", ".join(changed))
        if _process.has_ended:
            _log.warning("configure() was called after shutdown(): what is said from now on is sent nowhere.")
        return replace(wanted, **fixed)
    from otel_obs.sdk.recorder.recorder import Recorder  # the SDK reads its variables as it is imported, and may raise

    protocol.tell_what_is_not_spoken(wanted)
    resource = _resource(wanted)
    speaks_spans = isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
    speaks_logs = type(_logs.get_logger_provider()).__name__ == "ProxyLoggerProvider"  # OpenTelemetry hides its name
    if speaks_spans or speaks_logs:
        _process.recorder = recorder = Recorder(wanted, resource, each_round=_process.each_round)
        if speaks_spans:
            _set_up_spans(wanted, resource, recorder)
        if speaks_logs:
            _set_up_logs(resource, recorder)
    _process.configured = wanted
    atexit.register(shutdown)
    _end_with_worker()
    in_child(_start_in_child)
    return wanted


def each_round(call: Callable[[], None]) -> None:
    """Have the recorder make ``call`` some 20 times a second, from a thread of its own."""
    if call not in _process.each_round:
        _process.each_round.append(call)


def _start_in_child() -> None:
    """Start anew in a forked child: another thread of its parent may have held the lock."""
    _process.lock = threading.RLock()
    recorder = _process.recorder
    if recorder is not None and not _process.has_ended:
        from opentelemetry.sdk.resources import Resource

        own = Resource({semconv.SERVICE_INSTANCE_ID: str(uuid.uuid4())})
        for provider in _process.providers:
            provider.resource = provider.resource.merge(own)
        try:
            recorder.begin_in_child(_process.providers[0].resource)
        except Exception as error:  # noqa: BLE001 - a bot's child must start
            _log.error("Nothing will be recorded in this child: %s", error)
        for provider in _process.providers:
            provider.queue = recorder.queue
    if (util := sys.modules.get("multiprocessing.util")) is not None:
        util.register_after_fork(_process, lambda _: _end_with_worker())


def _end_with_worker() -> None:
    """End with a worker process of ``multiprocessing``, which makes no calls of ``atexit``."""
    multiprocessing = sys.modules.get("multiprocessing.process")
    if multiprocessing is not None and multiprocessing.parent_process() is not None:
        from multiprocessing.util import Finalize

        Finalize(None, shutdown, exitpriority=0)


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


def span_limits(wanted: Settings) -> SpanLimits:
    """Limits of the SDK under which no gate of a decision is lost."""
    from opentelemetry.sdk.trace import SpanLimits

    return SpanLimits(max_events=wanted.max_gates + _GATES_AND_EXCEPTIONS)


def _set_up_spans(wanted: Settings, resource: Resource, recorder: Recorder) -> None:
    from otel_obs.sdk.ids import SeededIds
    from otel_obs.sdk.spans import TracerProvider

    provider = TracerProvider(
        resource=resource,
        ids=SeededIds(wanted.ids_seed) if wanted.ids_seed else None,
        limits=span_limits(wanted),
        queue=recorder.queue,
    )
    if wanted.scorecard != "off":
        from otel_obs.contract.scorecard import Form
        from otel_obs.sdk.scorecards import Scorecards

        provider.add_span_processor(Scorecards(Form(wanted.scorecard)))
    trace.set_tracer_provider(provider)
    _keep(provider)


def _set_up_logs(resource: Resource, recorder: Recorder) -> None:
    from otel_obs.sdk.logs import LoggerProvider

    provider = LoggerProvider(resource=resource, queue=recorder.queue)
    _logs.set_logger_provider(provider)
    _keep(provider)


def _keep(provider: TracerProvider | LoggerProvider) -> None:
    _process.providers.append(provider)
    _process.flushes.append(provider.force_flush)
    _process.endings.append(Ending(provider.shutdown))


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
    start = time.monotonic()
    milliseconds = max(1, int(seconds * 1000))
    in_time = _all_within([lambda call=call: call(milliseconds) for call in _process.flushes], seconds)  # type: ignore[misc]
    recorder = _process.recorder
    return (recorder is None or recorder.flush(start + seconds - time.monotonic())) and in_time


def shutdown(*, within: float | None = None) -> ShutdownReport:
    """Send what is waiting and end the exporters; blocks at most ``within`` seconds (default: the setting).

    It runs by itself when the interpreter exits. What could not be delivered is counted in the answer and logged.
    """
    seconds = settings.active.shutdown_timeout if within is None else within
    with _process.lock:
        endings, _process.endings = _process.endings, []
        _process.flushes = []
        is_first = not _process.has_ended
        _process.has_ended = _process.configured is not None
    start = time.monotonic()
    for ending in endings:
        ending.ask()
    in_time = all(ending.is_done_within(start + seconds - time.monotonic()) for ending in endings)
    recorder = _process.recorder
    if recorder is None:
        return ShutdownReport(produced=0, delivered=0, seconds=time.monotonic() - start, in_time=in_time)
    if is_first:
        left = max(0.0, start + seconds - time.monotonic())
        in_time = recorder.shutdown(left, may_leave=within is None) and in_time
    report = _report(recorder, seconds=time.monotonic() - start, in_time=in_time)
    if is_first and report.undelivered:
        _log.warning(
            "%d of %d records were not delivered to %s. Is the store or collector running there?%s",
            report.undelivered, report.produced, settings.active.endpoint, _where_they_are(report),
        )  # fmt: skip
    return report


def _report(recorder: Recorder, *, seconds: float, in_time: bool) -> ShutdownReport:
    balances = recorder.ledger.read().values()
    return ShutdownReport(
        produced=sum(one.produced - one.sampled for one in balances),
        delivered=sum(one.delivered for one in balances),
        journaled=recorder.journaled,
        seconds=seconds,
        in_time=in_time,
    )


def _where_they_are(report: ShutdownReport) -> str:
    if not report.journaled:
        return ""
    return (
        f" {report.journaled} of them stand in the journal: the next start of this bot sends them, or "
        "`otel-obs journal replay`."
    )


def delivery() -> Delivery | None:
    """Where every record of this process is; None where nothing was set up, or the application has its own SDK."""
    return None if _process.recorder is None else _process.recorder.delivery()
