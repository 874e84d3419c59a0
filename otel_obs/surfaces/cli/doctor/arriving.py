"""From the collector to the store: whether the marked span has arrived, and where it is held where it has not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from otel_obs.errors import OtelObsError
from otel_obs.store import standing
from otel_obs.surfaces.cli.doctor.collector import HOW_TO, Queue, collector
from otel_obs.surfaces.cli.doctor.finding import Hop, at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_obs import query
    from otel_obs.surfaces.cli.doctor.finding import Finding
    from otel_obs.surfaces.cli.doctor.sending import Sending
    from otel_obs.surfaces.cli.doctor.storing import Storage

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0
_AT_ONCE_SECONDS: Final = 2.0  # the local store thanks for what it has stored
_ABOUT: Final = "span found"
_finding: Final = at(Hop.COLLECTOR)


def arriving(found: Storage, sending: Sending, *, wait: float, tick: Callable[[float], None]) -> Iterator[Finding]:
    """Tell how the store is, and whether the marked span has come; ``tick`` is told how long it is waited for."""
    is_taken = sending.sent is not None and sending.sent.is_accepted
    yield from _nobody_to_go_to(found) if is_taken and found.is_unserved else found.findings
    within = min(wait, _AT_ONCE_SECONDS) if sending.is_store else wait
    arrived, untold = None, None
    if sending.sent is not None and is_taken and found.store is not None:
        try:
            arrived = _seconds_until(found.store, sending.sent.trace_id, within=within, tick=tick)
        except OtelObsError as error:
            untold = _finding(_ABOUT, f"the store does not tell: {error.what}", ok=False, fix=error.fix)
    queue = Queue()
    if sending.is_reached and not sending.is_store:
        of_collector, queue = collector(sending.host)
        yield of_collector
    if untold is not None:
        yield untold
    elif not is_taken:
        yield _finding(_ABOUT, "not looked for: none was taken")
    elif not found.is_named:
        yield _finding(_ABOUT, "not looked for: no store is named")
    elif arrived is not None:
        yield _finding(_ABOUT, f"in the store {arrived:.2f} s after it was taken")
    elif found.store is None:
        yield _unsought(queue)
    elif sending.is_store:
        yield _finding(
            _ABOUT, f"a local store has taken it, and it is not in the one at {found.place}", ok=False,
            fix="These are two stores: compare OTEL_EXPORTER_OTLP_ENDPOINT with OTEL_OBS_URL and OTEL_OBS_DATA.",
        )  # fmt: skip
    else:
        yield _missing(found.place, queue, wait)


def _nobody_to_go_to(found: Storage) -> Iterator[Finding]:
    """Nobody serves the directory: as long as nothing is sent, that is no fault."""
    fix = f"otel-obs up --data {found.place}: until then it has nowhere to go."
    for finding in found.findings:
        yield _finding(finding.about, finding.found, ok=False, fix=fix)


def _seconds_until(store: query.Store, trace_id: str, *, within: float, tick: Callable[[float], None]) -> float | None:
    """After how many seconds it was there."""
    started, pause = time.monotonic(), _FIRST_PAUSE
    while not standing.holds_trace(store.client, trace_id):
        left = started + within - time.monotonic()
        if left <= 0:
            return None
        tick(within - left)
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, _LONGEST_PAUSE)
    return time.monotonic() - started


def _unsought(queue: Queue) -> Finding:
    waiting = f"; the collector's queues hold {queue.size:.0f}" if queue.is_told else ""
    return _finding(
        _ABOUT, f"not looked for: the store cannot be asked{waiting}", ok=False,
        fix="Mend the store first. A collector of ours keeps what it has taken on disk, and sends it when it can.",
    )  # fmt: skip


def _missing(place: str, queue: Queue, wait: float) -> Finding:
    late = f"not within {wait:.0f} s"
    if not queue.is_told:
        return _finding(
            _ABOUT, f"{late}, and no collector tells why", ok=False,
            fix="Whoever took it has not passed it on. If it is a collector, its log and its "
            f"otelcol_exporter_queue_size tell why: {HOW_TO}. Else it takes OTLP for another store than {place}.",
        )  # fmt: skip
    if queue.size:
        return _finding(
            _ABOUT, f"{late}: the collector has it, whose queues hold {queue.size:.0f}", ok=False,
            fix=f"It does not reach its store, or is refused there; its log says why (`Exporting failed. Will retry`). "
            f"Is {place} its OTEL_OBS_URL, with the right password? {HOW_TO}",
        )  # fmt: skip
    return _finding(
        _ABOUT, f"{late}, and nothing waits in the collector", ok=False,
        fix=f"It passes on to another store than {place} (its own OTEL_OBS_URL), to a gateway that keeps it, or leaves "
        "it out (a processor of its configuration).",
    )  # fmt: skip
