"""A clock that stands still until it is told to go on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class FrozenClock:
    """Wall clock and monotonic clock of a test; both move by ``advance`` alone."""

    def __init__(self, at: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = (at.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1) * 1_000
        self._monotonic = 0

    def now(self) -> int:
        """Nanoseconds since the epoch."""
        return self._now

    def monotonic(self) -> int:
        """Nanoseconds since the clock was made."""
        return self._monotonic

    def advance(self, by: timedelta | float) -> None:
        """Let time pass: a timedelta, or seconds."""
        nanoseconds = round((by.total_seconds() if isinstance(by, timedelta) else by) * 1e9)
        self._now += nanoseconds
        self._monotonic += nanoseconds

    def jump(self, by: timedelta | float) -> None:
        """Set the wall clock forward or back, as a machine's clock may be; the monotonic one stays."""
        self._now += round((by.total_seconds() if isinstance(by, timedelta) else by) * 1e9)
