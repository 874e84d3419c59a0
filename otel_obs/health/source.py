"""One source of data: when it was updated, how long it was silent, whether it is connected. Three different things."""

from __future__ import annotations

import threading
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from otel_obs.contract import health_metrics as metrics
from otel_obs.health.hours import ALWAYS
from otel_obs.health.rolling import Rolling, total
from otel_obs.instrument.clock import nanoseconds
from otel_obs.instrument.harmless import Defects, harmless, problem
from otel_obs.instrument.source import using

if TYPE_CHECKING:
    from datetime import datetime

    from otel_obs.health.hours import Market
    from otel_obs.health.numbers import Numbers

NANO: Final = 1_000_000_000
_HOUR: Final = 3600.0
_AHEAD: Final = 60 * NANO  # a venue's clock may be ahead by this much; beyond, a time is a mistake


class State(StrEnum):
    """How a source stands. ``seen`` is all that can be said where no interval was expected.

    While its market is ``closed``, silence says nothing: then it is neither stale nor never seen.
    """

    NEVER_SEEN = "never_seen"
    FRESH = "fresh"
    STALE = "stale"
    SEEN = "seen"
    CLOSED = "closed"


class Source:
    """A feed that the bot depends on. Made by ``health.source(…)``; every call costs microseconds and never raises."""

    def __init__(self, name: str, *, kind: str, numbers: Numbers) -> None:
        self.name = name
        self.kind = kind
        self.expected_every: float | None = None
        self._numbers = numbers
        self._market: Market = ALWAYS
        self._lock = threading.RLock()
        self._updated: int | None = None
        self._arrived: int | None = None
        self._connected: bool | None = None
        self._gaps = Rolling(_HOUR, max)
        self._reconnects = Rolling(_HOUR, total)
        numbers.set(metrics.SOURCE_SEEN, name, kind, value=0.0)
        numbers.add(metrics.SOURCE_UPDATES, name, kind, amount=0.0)
        numbers.add(metrics.SOURCE_RECONNECTS, name, kind, amount=0.0)

    def trade(self, market: Market) -> None:
        """Expect updates while ``market`` is open."""
        self._market = market
        self._tell_market()

    def _tell_market(self) -> None:
        standing = self._market.standing(using.clock.now())
        opened = None if standing.opened is None else standing.opened / NANO
        self._numbers.put(metrics.SOURCE_OPEN, self.name, self.kind, value=standing.is_open)
        self._numbers.put(metrics.SOURCE_OPENED, self.name, self.kind, value=opened)

    def expect(self, seconds: float) -> None:
        """Expect an update at least this often."""
        self.expected_every = seconds
        self._numbers.set(metrics.SOURCE_EXPECTED, self.name, self.kind, value=seconds)

    def in_child(self) -> None:
        """Count anew after a fork."""
        self._lock = threading.RLock()
        self._reconnects = Rolling(_HOUR, total)

    @harmless(None)
    def seen(self, *, at: datetime | int | None = None) -> None:
        """Say that an update came; ``at`` is its event time (aware datetime, or ns since the epoch), else now."""
        now, arrived = using.clock.now(), using.clock.monotonic()
        updated = now if at is None else self._event_time(at, now)
        with self._lock:
            before, self._arrived = self._arrived, arrived
            gap = None if before is None else self._silence(before, arrived, now)
            self._updated = updated if self._updated is None else max(self._updated, updated)
            if gap is not None:
                self._gaps.add(gap, now=arrived)
            newest = self._updated
        numbers, name, kind = self._numbers, self.name, self.kind
        numbers.add(metrics.SOURCE_UPDATES, name, kind)
        numbers.set(metrics.SOURCE_UPDATED, name, kind, value=newest / NANO)
        if before is None:
            numbers.set(metrics.SOURCE_SEEN, name, kind, value=1.0)
        if gap is not None:
            numbers.raise_to(metrics.SOURCE_GAP, name, kind, value=gap)

    def _silence(self, before: int, arrived: int, now: int) -> float | None:
        """Seconds of silence since ``before`` (monotonic), or since the market opened; None while it is closed."""
        silent = (arrived - before) / NANO
        if self._market is ALWAYS:
            return silent
        standing = self._market.standing(now)
        if standing.is_open is False:
            return None
        return silent if standing.opened is None else min(silent, max(0.0, (now - standing.opened) / NANO))

    def _event_time(self, at: Any, now: int) -> int:
        given = nanoseconds(at, Defects())
        if given is None:
            return now
        if given > now + _AHEAD:
            problem(
                "future_time", f"Source {self.name!r} was updated {(given - now) / NANO:.0f} s in the future.",
                fix="Give at= as an aware datetime or nanoseconds; compare the clocks. It was taken for now.",
                about=self.name,
            )  # fmt: skip
            return now
        return given

    @harmless(None)
    def connected(self) -> None:
        """Say that a connection was made. Each one after the first is a reconnect."""
        with self._lock:
            again = self._connected is not None
            self._connected = True
            if again:
                self._reconnects.add(1.0, now=using.clock.monotonic())
        if again:
            self._numbers.add(metrics.SOURCE_RECONNECTS, self.name, self.kind)
        self._tell_connection(1.0)

    @harmless(None)
    def disconnected(self) -> None:
        """Say that the connection was lost."""
        with self._lock:
            self._connected = False
        self._tell_connection(0.0)

    def _tell_connection(self, value: float) -> None:
        self._numbers.set(metrics.SOURCE_CONNECTED, self.name, self.kind, value=value)
        now = using.clock.now() / NANO
        self._numbers.set(metrics.SOURCE_CONNECTION_CHANGED, self.name, self.kind, value=now)

    @property
    def is_connected(self) -> bool | None:
        """Whether it is connected; None where that was never said."""
        return self._connected

    @property
    def updated(self) -> int | None:
        """Event time of the newest update, nanoseconds since the epoch; None where there was none."""
        return self._updated

    @property
    @harmless(None)
    def staleness(self) -> float | None:
        """Seconds since the event time of the newest update; None where there was none."""
        return None if self._updated is None else max(0.0, (using.clock.now() - self._updated) / NANO)

    @property
    @harmless(State.NEVER_SEEN)
    def state(self) -> State:
        """Never seen, fresh, stale (no update for three times the expected interval), closed, or just seen.

        Silence counts from the opening of the market's present session.
        """
        now, updated, limit = using.clock.now(), self._updated, metrics.STALE_AFTER * (self.expected_every or 0.0)
        if updated is not None and limit and now - updated <= limit * NANO:
            return State.FRESH
        standing = self._market.standing(now)
        if standing.is_open is False:
            return State.CLOSED
        if updated is None:
            return State.NEVER_SEEN
        if not limit:
            return State.SEEN
        return State.STALE if now - max(updated, standing.opened or 0) > limit * NANO else State.FRESH

    def gap_within_hour(self) -> float | None:
        """Longest time between two updates within the last hour, in seconds; None where there were no two.

        Of a time over which its market was closed, what followed the opening.
        """
        with self._lock:
            return self._gaps.value(now=using.clock.monotonic())

    def silence_within_hour(self) -> float | None:
        """The same, or the present silence where that is longer."""
        if self._arrived is None:
            return None
        present = self._silence(self._arrived, using.clock.monotonic(), using.clock.now())
        silences = (None if present is None else min(_HOUR, present), self.gap_within_hour())
        return max((each for each in silences if each is not None), default=None)

    def reconnects_within_hour(self) -> int:
        """Connections after the first one within the last hour."""
        with self._lock:
            return int(self._reconnects.value(now=using.clock.monotonic()) or 0)

    def refresh(self) -> None:
        """Let the longest gap go down again as it leaves the hour; tell whether its market is open."""
        if self._market is not ALWAYS:
            self._tell_market()
        if (gap := self.gap_within_hour()) is not None:
            self._numbers.set(metrics.SOURCE_GAP, self.name, self.kind, value=gap)
        elif self._numbers.get(metrics.SOURCE_GAP, self.name, self.kind) is not None:
            self._numbers.set(metrics.SOURCE_GAP, self.name, self.kind, value=0.0)
