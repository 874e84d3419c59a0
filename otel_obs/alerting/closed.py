"""When an exchange is closed, as Alertmanager's time intervals: never a minute in which it is open."""

from __future__ import annotations

import warnings
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

from otel_obs.errors import MissingExtraError, QuestionError, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

_DAY: Final = 24 * 60
_YEAR: Final = timedelta(days=366)
_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WHOLE: Final = frozenset(range(_DAY))

Minutes = frozenset[int]


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Times of the day that are closed, on weekdays or on days of one month."""

    ranges: tuple[tuple[int, int], ...]
    weekdays: tuple[str, ...] = ()
    year: int = 0
    month: int = 0
    days: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Closed:
    """An exchange's closed times from ``first`` to ``last``, both included, in its own zone."""

    name: str
    location: str
    first: date
    last: date
    intervals: tuple[Interval, ...]

    def text(self) -> str:
        """The block to be put into alertmanager.yml."""
        lines = [
            f"# {self.name}: closed from {self.first} to {self.last}, holidays and half days included. It knows",
            f"# nothing beyond: print it anew before that, `otel-obs alerts calendar {self.name}`.",
            "time_intervals:",
            f"  - name: {self.name}-closed",
            "    time_intervals:",
        ]
        for interval in self.intervals:
            entries = [f"location: {self.location}"]
            if interval.weekdays:
                entries.append(f"weekdays: [{', '.join(interval.weekdays)}]")
            else:
                days = ", ".join(f"'{day}'" for day in interval.days)
                entries += [f"years: ['{interval.year}']", f"months: ['{interval.month}']", f"days_of_month: [{days}]"]
            if interval.ranges != ((0, _DAY),):
                entries.append("times:")
                entries += [f"  - {{start_time: '{_clock(a)}', end_time: '{_clock(b)}'}}" for a, b in interval.ranges]
            lines += [f"      {'-' if index == 0 else ' '} {entry}" for index, entry in enumerate(entries)]
        return "\n".join(lines) + "\n"


def closed(name: str, *, today: date | None = None) -> Closed:
    """The closed times of the next twelve months.

    What all Mondays have in common is said once of Mondays; what a date has beyond that, of the date. Alertmanager adds
    intervals up and cannot take from them, so that nothing else is safe where an exchange opens on one Sunday a year.

    Raises:
        MissingExtraError: exchange_calendars is not installed.
        QuestionError: there is no such exchange, or it never closes.

    """
    first = today or datetime.now(UTC).date()
    last = first + _YEAR
    calendar = _calendar(name, first - timedelta(days=7), last + timedelta(days=7))
    location = str(calendar.tz)
    days = {day: _WHOLE - minutes for day, minutes in _open(calendar, first, last).items()}
    weekly = {
        weekday: frozenset.intersection(*(minutes for day, minutes in days.items() if day.weekday() == weekday))
        for weekday in range(7)
    }
    rest = {day: minutes for day, minutes in days.items() if minutes - weekly[day.weekday()]}
    intervals = (*_by_weekday(weekly), *_by_month(rest))
    if not intervals:
        raise QuestionError(f"{calendar.name} never closes.", fix="There is nothing to hold back: leave it out.")
    return Closed(name=calendar.name, location=location, first=first, last=last, intervals=intervals)


def _calendar(name: str, start: date, end: date) -> Any:
    try:
        import exchange_calendars
    except ImportError:
        raise MissingExtraError("An exchange's calendar", extra="calendars") from None
    known = {each.upper(): each for each in exchange_calendars.get_calendar_names()}
    if name.upper() not in known:
        raise QuestionError(f"There is no exchange {name!r}.", fix=nearest(name.upper(), known))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the packages below warn of one another, not of the calendar
        return exchange_calendars.get_calendar(known[name.upper()], start=start, end=end)


def _open(calendar: Any, first: date, last: date) -> dict[date, Minutes]:
    """Day in the exchange's own zone → minutes of it in which trading is open."""
    found: dict[date, set[int]] = {first + timedelta(days=ahead): set() for ahead in range((last - first).days + 1)}
    for opening, closing in _spans(calendar):
        at, end = opening.astimezone(calendar.tz), closing.astimezone(calendar.tz)
        while at < end:
            midnight = datetime.combine(at.date() + timedelta(days=1), time.min, at.tzinfo)
            until = min(end, midnight)
            if at.date() in found:
                minutes = _DAY if until == midnight else _minute(until)
                found[at.date()].update(range(_minute(at), minutes))
            at = until
    return {day: frozenset(minutes) for day, minutes in found.items()}


def _spans(calendar: Any) -> Iterable[tuple[datetime, datetime]]:
    """From opening to closing, and around a break at noon where there is one; in UTC."""
    for row in calendar.schedule.itertuples():
        opening, closing = row.open.to_pydatetime(), row.close.to_pydatetime()
        if row.break_start == row.break_start:  # NaT alone is not equal to itself
            yield opening, row.break_start.to_pydatetime()
            opening = row.break_end.to_pydatetime()
        yield opening, closing


def _minute(moment: datetime) -> int:
    return moment.hour * 60 + moment.minute


def _by_weekday(weekly: dict[int, Minutes]) -> list[Interval]:
    alike: dict[Minutes, list[int]] = defaultdict(list)
    for weekday, minutes in weekly.items():
        alike[minutes].append(weekday)
    return [
        Interval(ranges=_ranges(minutes), weekdays=tuple(_WEEKDAYS[weekday] for weekday in weekdays))
        for minutes, weekdays in alike.items()
        if minutes
    ]


def _by_month(rest: dict[date, Minutes]) -> list[Interval]:
    alike: dict[tuple[int, int, Minutes], list[int]] = defaultdict(list)
    for day, minutes in rest.items():
        alike[day.year, day.month, minutes].append(day.day)
    return [
        Interval(ranges=_ranges(minutes), year=year, month=month, days=tuple(days))
        for (year, month, minutes), days in alike.items()
    ]


def _ranges(minutes: Minutes) -> tuple[tuple[int, int], ...]:
    """The minutes as (first, one beyond the last)."""
    starts = sorted(minute for minute in minutes if minute - 1 not in minutes)
    ends = sorted(minute + 1 for minute in minutes if minute + 1 not in minutes)
    return tuple(zip(starts, ends, strict=True))


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
