"""Times as people write them: ISO, dates, `now`, `today`, `-2h`; naive ones in the reader's zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from tzlocal import get_localzone

from otel_obs.errors import QuestionError

if TYPE_CHECKING:
    from datetime import tzinfo

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_RELATIVE: Final = re.compile(r"([+-])\s*(\d+)\s*([smhdw])")
_HELP: Final = (
    "Write 2025-12-19, 2025-12-19T14:00, 2025-12-19T14:00+05:30, now, today, yesterday, or -2h (s, m, h, d, w)."
)
_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(2262, 4, 11, 23, 47, 16, tzinfo=UTC)


def zone(name: str) -> tzinfo:
    """Find the time zone called ``name``; empty means this machine's.

    Raises:
        QuestionError: there is no such zone.

    """
    try:
        found = ZoneInfo(name) if name else get_localzone()
    except (ZoneInfoNotFoundError, ValueError, OSError):
        found = None
    if found is None or (name and name not in available_timezones()):
        raise QuestionError(f"There is no time zone {name!r}.", fix="Write it as Asia/Kolkata, Europe/Berlin, UTC.")
    return found


def moment(text: str, *, tz: tzinfo, now: datetime) -> datetime:
    """Read a time; naive ones are in ``tz``. Clamped to what the store can hold (1970 to 2262).

    Raises:
        QuestionError: it cannot be read.

    """
    word = text.strip().lower()
    midnight = now.astimezone(tz).replace(hour=0, minute=0, second=0, microsecond=0)
    named = {"now": now, "today": midnight, "yesterday": midnight - timedelta(days=1)}
    if word in named:
        found = named[word]
    elif match := _RELATIVE.fullmatch(word):
        sign, count, unit = match.groups()
        try:
            span = timedelta(**{_UNITS[unit]: int(count)})
            found = now + span if sign == "+" else now - span
        except OverflowError:
            found = _LAST if sign == "+" else _FIRST
    else:
        try:
            found = datetime.fromisoformat(text.strip())
        except ValueError:
            raise QuestionError(f"{text!r} is no time.", fix=_HELP) from None
        found = found if found.tzinfo else found.replace(tzinfo=tz)
    return min(max(found, _FIRST), _LAST)


def for_store(at: datetime) -> str:
    """A time as ClickHouse's DateTime64(9, 'UTC') parameter."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def zone_for_store(tz: tzinfo, *, now: datetime) -> str:
    """Return a zone's name as ClickHouse knows it.

    A machine whose /etc/localtime is a copy has a zone without a name. Its offset will do: the store needs the zone to
    know at which minute an hour begins, and times are shown in the zone itself.
    """
    if str(tz) in available_timezones():
        return str(tz)
    minutes = round((now.astimezone(tz).utcoffset() or timedelta()) / timedelta(minutes=1))
    return f"Fixed/UTC{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}:00"
