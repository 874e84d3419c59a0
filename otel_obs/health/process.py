"""The health of this process: what the bot said of itself, and what its decisions say; the one global of this room."""

from __future__ import annotations

import os
import platform
import sys
import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from otel_obs import settings
from otel_obs.contract import health_metrics as metrics
from otel_obs.contract.gates import Comparison, Mode, Verdict
from otel_obs.contract.outcome import UNNAMED, Outcome
from otel_obs.health.hours import ALWAYS
from otel_obs.health.numbers import OTHER, Names, Numbers, label_of
from otel_obs.health.recorder import Recorder
from otel_obs.health.rolling import Rolling, total
from otel_obs.health.source import NANO, Source
from otel_obs.instrument.harmless import harmless, problem
from otel_obs.instrument.source import VERSION, using

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_obs.contract.gates import Gate
    from otel_obs.health.hours import Market
    from otel_obs.sdk.monitor import Delivery

_HOUR: Final = 3600.0
_QUARTER: Final = 900.0
_LAG_WINDOW: Final = 300.0
_MOST_SOURCES: Final = 100
_MOST_GATES: Final = 100
_MOST_NAMES: Final = 50
_MOST_UNTOLD: Final = 5_000
_AT_ONCE: Final = 1_000  # of what was left, between two looks of a thread of ours at what else is to be done
_A_FEW: Final = 4  # that a bot's thread counts itself with each that it says, where too much was left
MULTIPROCESS: Final = "PROMETHEUS_MULTIPROC_DIR"
_BOUNDS: Final = {
    Comparison.AT_MOST: ("upper",),
    Comparison.AT_LEAST: ("lower",),
    Comparison.BETWEEN: ("lower", "upper"),
    Comparison.EQUALS: ("equal",),
    Comparison.NONE: ("named",),
}


class Health:
    """Counts and times of one process. ``numbers`` is what Prometheus sees, the windows are what snapshots tell."""

    def __init__(self, numbers: Numbers, read: Callable[[], Delivery | None] = lambda: None) -> None:
        self.numbers = numbers
        self.recorder = Recorder(numbers, read)
        self.sources: dict[str, Source] = {}
        self._market: Market = ALWAYS
        self._gate_labels: dict[tuple[str, str], str] = {}
        self._gate_infos: dict[str, tuple[str, str]] = {}
        self.gates, self.loops = Names(_MOST_GATES), Names(_MOST_NAMES)
        self._kinds, self._venues = Names(_MOST_NAMES), Names(_MOST_NAMES)
        self._lock = threading.RLock()
        self._start_counting()
        self.lag = Rolling(_LAG_WINDOW, max)
        numbers.set(metrics.BUILD_INFO, _service(), VERSION, platform.python_version(), value=1.0)
        for outcome in Outcome:
            numbers.add(metrics.DECISIONS, outcome.value, amount=0.0)
        self.gate(UNNAMED)
        self.kind_of_error(OTHER)
        self.venue(OTHER)
        self._tell_market()

    def _start_counting(self) -> None:
        self.started = using.clock.monotonic()
        self._errors = Rolling(_QUARTER, total)
        self._throttles = Rolling(_HOUR, total)
        self._outcomes = {outcome: Rolling(_HOUR, total) for outcome in Outcome}
        self._vetoes: dict[str, Rolling] = {}
        self.numbers.set(metrics.STARTED, value=using.clock.now() / NANO)

    def in_child(self) -> None:
        """Count anew after a fork."""
        self._lock = threading.RLock()
        self.numbers.in_child()
        self.recorder.in_child()
        for source in self.sources.values():
            source.in_child()
        self._start_counting()

    # What the bot says ------------------------------------------------------------------------------------------------

    def source(self, name: str, *, kind: str, expected_every: float | None, market: Market | None = None) -> Source:
        """Return the source of this name; made where it is new."""
        with self._lock:
            found = self.sources.get(name)
            if found is None and len(self.sources) < _MOST_SOURCES:
                found = self.sources[name] = Source(name, kind=kind, numbers=self.numbers)
                market = market or ALWAYS
        if found is None:
            problem(
                "too_many", f"There are {_MOST_SOURCES} sources already; {name!r} is not one of them.",
                fix="Name a source after what it is, never after a connection or an order.", about="health.source",
            )  # fmt: skip
            return Source(name, kind=kind, numbers=Numbers())  # goes nowhere
        if expected_every is not None:
            found.expect(expected_every)
        if market is not None:
            found.trade(market)
        return found

    def trade(self, market: Market) -> None:
        """Take it that the bot trades while ``market`` is open."""
        self._market = market
        self._tell_market()

    def _tell_market(self) -> None:
        standing = self._market.standing(using.clock.now())
        opened = None if standing.opened is None else standing.opened / NANO
        self.numbers.put(metrics.TRADING_OPEN, value=standing.is_open)
        self.numbers.put(metrics.TRADING_OPENED, value=opened)

    def snapshots_begin(self) -> None:
        """Put the number of snapshots at 0: from now on they are sent."""
        for trigger in (*metrics.TRIGGERS, metrics.ON_CHANGE):
            self.numbers.add(metrics.SNAPSHOTS, trigger, amount=0.0)

    def gate(self, name: str, mode: str = Mode.ENFORCE) -> str:
        """Return the gate's label; its series are there from now on, at 0."""
        known = self._gate_labels.get((name, mode))
        if known is not None:
            return known
        label = self.gates.label(name)
        self.numbers.add(metrics.VETOES, label, amount=0.0)
        for verdict in Verdict:
            self.numbers.add(metrics.EVALUATIONS, label, verdict.value, mode, amount=0.0)
        if name in self.gates:
            self._gate_labels[name, mode] = label
        return label

    def kind_of_error(self, name: str) -> str:
        """Return its label; the series is there from now on, at 0."""
        label = self._kinds.label(name)
        self.numbers.add(metrics.ERRORS, label, amount=0.0)
        return label

    def venue(self, name: str) -> str:
        """Return its label; the series is there from now on, at 0."""
        label = self._venues.label(name)
        self.numbers.add(metrics.THROTTLES, label, amount=0.0)
        return label

    def error(self, kind: str) -> None:
        """Count an error."""
        self.numbers.add(metrics.ERRORS, self.kind_of_error(kind))
        with self._lock:
            self._errors.add(1.0, now=using.clock.monotonic())

    def throttle(self, venue: str) -> None:
        """Count that a venue slowed the bot down."""
        self.numbers.add(metrics.THROTTLES, self.venue(venue))
        with self._lock:
            self._throttles.add(1.0, now=using.clock.monotonic())

    def loop(self, name: str) -> str:
        """Return its label; the series is there from now on, at 0."""
        label = self.loops.label(name)
        self.numbers.add(metrics.BEATS, label, amount=0.0)
        return label

    def beat(self, loop: str, expected_every: float | None) -> None:
        """Take a round of a loop."""
        label = self.loop(loop)
        if expected_every is not None:
            self.numbers.set(metrics.BEAT_EXPECTED, label, value=expected_every)
        self.numbers.add(metrics.BEATS, label)
        self.numbers.set(metrics.BEAT, label, value=using.clock.now() / NANO)

    def lagged(self, seconds: float) -> None:
        """Take one measurement of an event loop's lag."""
        now = using.clock.monotonic()
        with self._lock:
            self.lag.add(seconds, now=now)
        self.numbers.add(metrics.LAG_CHECKS)
        self.numbers.add(metrics.LAG_SECONDS, amount=seconds)
        self.numbers.set(metrics.LAG_TIME, value=using.clock.now() / NANO)
        self.refresh()

    def scraped(self) -> None:
        """Bring up to date what depends on the time alone."""
        self.refresh()
        self.recorder.refresh()
        self.numbers.set(metrics.TIME, value=using.clock.now() / NANO)

    def refresh(self) -> None:
        """Let rolling gauges go down as what they tell leaves their window; tell which markets are open."""
        if self._market is not ALWAYS:  # that is told once: a process that knows no hours must not hide another's
            self._tell_market()
        largest = self.largest_lag()
        if largest is not None or self.numbers.get(metrics.LAG_MAX) is not None:
            self.numbers.set(metrics.LAG_MAX, value=largest or 0.0)
        for source in tuple(self.sources.values()):
            source.refresh()

    # What decisions say -----------------------------------------------------------------------------------------------

    def gate_evaluated(self, gate: Gate) -> None:
        """Count a verdict; keep what was seen last, and the limit."""
        label = self.gate(gate.name or UNNAMED, gate.mode.value)
        self.numbers.add(metrics.EVALUATIONS, label, str(gate.verdict), gate.mode.value)
        if label == OTHER:
            return
        self.numbers.set(metrics.EVALUATED, label, value=using.clock.now() / NANO)
        self._gate_described(label, gate)
        if (observed := _number(gate.observed)) is not None:
            self.numbers.set(metrics.OBSERVED, label, value=observed)
        bounds = _BOUNDS[gate.comparison]
        limits = gate.threshold if len(bounds) > 1 else (gate.threshold,)
        if isinstance(limits, tuple | list):
            for bound, limit in zip(bounds, limits, strict=False):
                if (threshold := _number(limit)) is not None:
                    self.numbers.set(metrics.THRESHOLD, label, bound, value=threshold)

    def _gate_described(self, label: str, gate: Gate) -> None:
        """Keep what the gate's numbers are; an evaluation that names neither unit nor limit changes nothing."""
        told, before = (label_of(gate.unit), gate.comparison.value), self._gate_infos.get(label)
        if told == before or (before is not None and told == ("", Comparison.NONE.value)):
            return
        self._gate_infos[label] = told
        if before is not None:
            self.numbers.put(metrics.GATE_INFO, label, *before, value=None)
        self.numbers.set(metrics.GATE_INFO, label, *told, value=1.0)

    def decision_ended(self, outcome: Outcome, vetoed_by: str | None) -> None:
        """Count an outcome, and the veto."""
        now = using.clock.monotonic()
        label = self.gate(vetoed_by or UNNAMED) if outcome is Outcome.VETOED else ""
        with self._lock:
            self._outcomes[outcome].add(1.0, now=now)
            if label:
                self._vetoes.setdefault(label, Rolling(_HOUR, total)).add(1.0, now=now)
        self.numbers.add(metrics.DECISIONS, outcome.value)
        self.numbers.set(metrics.DECISION_TIME, value=using.clock.now() / NANO)
        if label:
            self.numbers.add(metrics.VETOES, label)

    # What the windows hold --------------------------------------------------------------------------------------------

    def errors_within_quarter(self) -> int:
        """Errors of the last 15 minutes."""
        with self._lock:
            return int(self._errors.value(now=using.clock.monotonic()) or 0)

    def throttles_within_hour(self) -> int:
        """Throttles of the last hour."""
        with self._lock:
            return int(self._throttles.value(now=using.clock.monotonic()) or 0)

    def outcomes_within_hour(self) -> dict[Outcome, int]:
        """Decisions of the last hour by outcome."""
        now = using.clock.monotonic()
        with self._lock:
            return {outcome: int(counted.value(now=now) or 0) for outcome, counted in self._outcomes.items()}

    def vetoes_within_hour(self) -> dict[str, int]:
        """Vetoes of the last hour by the gate that denied first."""
        now = using.clock.monotonic()
        with self._lock:
            counts = {gate: int(counted.value(now=now) or 0) for gate, counted in self._vetoes.items()}
        return {gate: number for gate, number in counts.items() if number}

    def largest_lag(self) -> float | None:
        """Largest lag of the event loop within five minutes, in seconds; None where none was measured."""
        with self._lock:
            return self.lag.value(now=using.clock.monotonic())


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    try:
        return float(value)
    except Exception:  # noqa: BLE001 - a bot's own value may raise anything
        return None


def _service() -> str:
    """The bot's name, as the resource of its records has it where no attribute of the resource was given."""
    return settings.active.service_name or Path(sys.argv[0] if sys.argv else "").stem or "python"


class Process:
    """Holds this process's health, made when there is first something to say; and is told of decisions.

    ``delivery`` reads how the recorder stands, where there is one; it is asked at each scrape, and may not wait.
    """

    def __init__(self) -> None:
        self._health: Health | None = None
        self.delivery: Callable[[], Delivery | None] | None = None
        self._expected_gates: list[str] = []
        self._lock = threading.RLock()
        self._untold: deque[Gate | tuple[Outcome, str | None]] = deque()
        self._is_drained = False
        self._give_way: Callable[[], None] | None = None
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._in_child)

    def _in_child(self) -> None:
        self._lock = threading.RLock()
        self._untold.clear()
        if self._health is not None:
            self._health.in_child()

    def __call__(self) -> Health:
        """Return it, with all that it was told."""
        if self._untold:
            self.drain()
        return self._it()

    def _it(self) -> Health:
        health = self._health
        if health is not None:
            return health
        with self._lock:
            if self._health is None:
                self._health = self._made()
            return self._health

    def _read_delivery(self) -> Delivery | None:
        return self.delivery() if self.delivery is not None else None

    def _made(self) -> Health:
        if MULTIPROCESS in os.environ:
            from otel_obs.health.multiprocess import Mirror

            made = Health(Numbers(Mirror()), self._read_delivery)
        else:
            made = Health(Numbers(), self._read_delivery)
        for name in self._expected_gates:
            made.gate(name)
        return made

    @harmless(None)
    def gate_known(self, gate: str) -> None:
        """Learn of a gate before it is evaluated for the first time."""
        if self._health is not None:
            self._health.gate(gate)
        elif len(self._expected_gates) < _MOST_GATES:
            self._expected_gates.append(gate)

    def be_drained(self, give_way: Callable[[], None]) -> None:
        """Learn that ``drain_aside`` is called many times a second: the bot's thread then only leaves what it says.

        Not where several processes count in files: what a worker left would end with it.
        """
        self._give_way = give_way
        self._is_drained = MULTIPROCESS not in os.environ

    def drain_aside(self) -> None:
        """Count what was left, and let the bot's threads go first: for a thread of ours."""
        self.drain(self._give_way, most=_AT_ONCE)

    @harmless(None)
    def drain(self, pause: Callable[[], None] | None = None, *, most: int | None = None) -> None:
        """Count what was left, at most so many; ``pause`` is called before each."""
        untold = self._untold
        for _ in range(len(untold) if most is None else min(most, len(untold))):
            if pause is not None:
                pause()
            try:
                told = untold.popleft()
            except IndexError:  # another thread counted it meanwhile
                return
            health = self._it()
            if isinstance(told, tuple):
                health.decision_ended(*told)
            else:
                health.gate_evaluated(told)

    def gate_evaluated(self, gate: Gate) -> None:
        """Take one verdict."""
        self._untold.append(gate)
        if not self._is_drained or len(self._untold) > _MOST_UNTOLD:
            self.drain(most=_A_FEW)

    def decision_ended(self, outcome: Outcome, vetoed_by: str | None) -> None:
        """Take an outcome."""
        self._untold.append((outcome, vetoed_by))
        if not self._is_drained or len(self._untold) > _MOST_UNTOLD:
            self.drain(most=_A_FEW)


process: Final = Process()
