"""Trading hours over time: whether a market is open at a moment, and since when; no clock, no thread, no package."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from otel_obs.instrument.clock import nanoseconds
from otel_obs.instrument.harmless import Defects, problem

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import tzinfo

_NANO: Final = 1_000_000_000
_SATURDAY: Final = 5


class Hours(Protocol):
    """Trading hours of a bot's own, as ``hours=`` takes them. They are asked at most once a second."""

    def is_open(self, at: datetime) -> bool:
        """Whether trading is open at ``at`` (aware, UTC)."""

    def opened(self, at: datetime) -> datetime | None:
        """When the session that is open at ``at`` opened (aware); None where it never closes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How a market stands: open or not (None: that is not known), and the opening of the present session.

    ``opened`` is in nanoseconds since the epoch; None while it is not open, and where it was never closed.
    """

    is_open: bool | None
    opened: int | None = None


OPEN: Final = Standing(is_open=True)
CLOSED: Final = Standing(is_open=False)
UNKNOWN: Final = Standing(is_open=None)


class Market(Protocol):
    """Anything that knows its standing."""

    def standing(self, at: int) -> Standing:
        """Tell how it stands at ``at``, nanoseconds since the epoch."""


class Always:
    """24x7."""

    def standing(self, at: int) -> Standing:  # noqa: ARG002 - the protocol's
        """Open, whenever."""
        return OPEN


ALWAYS: Final = Always()


class Weekdays:
    """One session a week: from Monday's midnight to Saturday's, of one time zone."""

    def __init__(self, zone: tzinfo = UTC) -> None:
        self._zone = zone
        self._known = (0, 0, UNKNOWN)

    def standing(self, at: int) -> Standing:
        """Open from Monday to Friday."""
        begin, end, found = self._known
        if begin <= at < end:
            return found
        today = datetime.fromtimestamp(at // _NANO, self._zone)
        monday, saturday, next_monday = (self._midnight(today, weekday) for weekday in (0, _SATURDAY, 7))
        if today.weekday() < _SATURDAY:
            begin, end, found = monday, saturday, Standing(is_open=True, opened=monday)
        else:
            begin, end, found = saturday, next_monday, CLOSED
        self._known = (begin, end, found)
        return found

    def _midnight(self, today: datetime, weekday: int) -> int:
        day = today.date() + timedelta(days=weekday - today.weekday())
        return int(datetime(day.year, day.month, day.day, tzinfo=self._zone).timestamp()) * _NANO


class Sessions:
    """Sessions as they follow one another, in nanoseconds since the epoch; before and beyond them nothing is known.

    Sessions that touch are one: where nothing closed, nothing opened.
    """

    def __init__(self, sessions: Iterable[tuple[int, int]] = ()) -> None:
        self._opens: list[int] = []
        self._closes: list[int] = []
        for opened, closed in sorted(sessions):
            if self._closes and opened <= self._closes[-1]:
                self._closes[-1] = max(closed, self._closes[-1])
            else:
                self._opens.append(opened)
                self._closes.append(closed)

    @property
    def begin(self) -> int:
        """When the first one opens; it may have been open before."""
        return self._opens[0] if self._opens else 0

    @property
    def end(self) -> int:
        """When the last one closes."""
        return self._closes[-1] if self._closes else 0

    def standing(self, at: int) -> Standing:
        """Open from the moment of opening until before the moment of closing."""
        if not self.begin <= at < self.end:
            return UNKNOWN
        number = bisect_right(self._opens, at) - 1
        if at >= self._closes[number]:
            return CLOSED
        return Standing(is_open=True, opened=self._opens[number]) if number else OPEN


class Own:
    """Hours of the bot's own: what they raise is told, and then nothing is known."""

    def __init__(self, hours: Hours) -> None:
        self._hours = hours
        self._known = (-1, UNKNOWN)

    def standing(self, at: int) -> Standing:
        """As they say, to the second."""
        second, found = self._known
        if second != at // _NANO:
            second = at // _NANO
            found = self._asked(datetime.fromtimestamp(second, UTC))
            self._known = (second, found)
        return found

    def _asked(self, at: datetime) -> Standing:
        try:
            if not self._hours.is_open(at):
                return CLOSED
            opened = self._hours.opened(at)
        except Exception as error:  # noqa: BLE001 - a bot's own object may raise anything
            kind = type(self._hours).__name__
            problem(
                "wrong_hours", f"Trading hours {kind} raised {type(error).__name__} at {at.isoformat()}.",
                fix="is_open(at) returns a bool, opened(at) an aware datetime or None.", about=kind,
            )  # fmt: skip
            return UNKNOWN
        since = None if opened is None else nanoseconds(opened, Defects())
        return OPEN if since is None else Standing(is_open=True, opened=min(since, int(at.timestamp()) * _NANO))
