"""How long rows are kept, counted from their arrival: as it is typed, as the engine has it, as it is shown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from otel_obs.errors import QuestionError

_HOURS: Final = {"h": 1, "d": 24, "w": 24 * 7, "y": 24 * 365}
_TYPED: Final = re.compile(r"(\d{1,7})\s*([a-z]+)")
_WORDS: Final = {
    "hour": "h",
    "hours": "h",
    "day": "d",
    "days": "d",
    "week": "w",
    "weeks": "w",
    "year": "y",
    "years": "y",
}
_FOR_EVER: Final = frozenset({"none", "forever", "never", "unlimited"})
_IN_FORCE: Final = re.compile(r"ingested_at \+ toInterval(Hour|Day|Week|Year)\((\d+)\)")

# The arrival is kept in 32 bits: beyond 2106 a sum of it wraps round, and everything would be past at once.
_MOST_HOURS: Final = 24 * 365 * 50


@dataclass(frozen=True, kw_only=True)
class Period:
    """A whole number of hours."""

    hours: int

    @property
    def span(self) -> timedelta:
        """As Python has it."""
        return timedelta(hours=self.hours)

    @property
    def sql(self) -> str:
        """As the engine writes it back."""
        days, rest = divmod(self.hours, 24)
        return "ingested_at + " + (f"toIntervalHour({self.hours})" if rest else f"toIntervalDay({days})")

    def __str__(self) -> str:
        days, rest = divmod(self.hours, 24)
        return f"{self.hours}h" if rest else f"{days}d"


def period(text: str) -> Period | None:
    """Read ``30d``, ``12h``, ``2w``, ``2y``; None for ``none`` and ``forever``.

    Raises:
        QuestionError: it is none of these.

    """
    asked = text.strip().lower()
    if asked in _FOR_EVER:
        return None
    match = _TYPED.fullmatch(asked)
    unit = _WORDS.get(match[2], match[2]) if match else ""
    if match is None or unit not in _HOURS:
        raise QuestionError(
            f"{text!r} is no length of time.", fix="Write 12h, 30d, 2w or 2y, or `forever` to keep everything."
        )
    hours = int(match[1]) * _HOURS[unit]
    if not 0 < hours <= _MOST_HOURS:
        raise QuestionError(f"{text!r} is not between 1h and 50y.", fix="Use `forever` to keep everything.")
    return Period(hours=hours)


def in_force(ttl: str) -> Period | None:
    """Read the engine's TTL where it is one of ours: a length of time from the arrival, and nothing else."""
    match = _IN_FORCE.fullmatch(ttl)
    return Period(hours=int(match[2]) * _HOURS[match[1][0].lower()]) if match else None
