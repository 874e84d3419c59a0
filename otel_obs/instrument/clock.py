"""Time: the wall clock and the monotonic one, and any ``at=`` as nanoseconds since the epoch."""

from __future__ import annotations

import calendar
import operator
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol, SupportsIndex

from otel_obs.errors import ContractError

if TYPE_CHECKING:
    from otel_obs.instrument.harmless import Defects

_LATEST: Final = 2**63 - 1  # 2262-04-11: the last nanosecond of a signed 64-bit count
_FIX: Final = "Give an aware datetime, or whole nanoseconds since the epoch."


class Clock(Protocol):
    """Where times come from; a test puts its own in place."""

    def now(self) -> int:
        """Nanoseconds since the epoch."""

    def monotonic(self) -> int:
        """Nanoseconds of a clock that never goes back."""


class SystemClock:
    """The machine's clocks."""

    now = staticmethod(time.time_ns)
    monotonic = staticmethod(time.monotonic_ns)


def nanoseconds(at: Any, defects: Defects) -> int | None:
    """``at`` as nanoseconds since the epoch; None with a mark where it cannot be read."""
    try:
        result = _read(at, defects)
    except ContractError:
        raise
    except OverflowError:  # the first or the last day of years, in a zone that would lead beyond them
        result = -1
    except Exception as error:  # noqa: BLE001 - a bot's own zone or number may raise anything
        defects.add("wrong_time", "at", f"is {type(at).__name__}, which raised {type(error).__name__}", fix=_FIX)
        return None
    if result is not None and not 0 <= result <= _LATEST:
        defects.add("wrong_time", "at", "lies outside 1970-2262", fix=_FIX)
        return None
    return result


def _read(at: Any, defects: Defects) -> int | None:
    if isinstance(at, datetime):
        aware = at
        if at.utcoffset() is None:
            defects.add("naive_time", "at", "is a time without a zone; it was taken for UTC", fix=_FIX)
            aware = at.replace(tzinfo=UTC)
        seconds = calendar.timegm(aware.utctimetuple())
        return seconds * 1_000_000_000 + at.microsecond * 1_000 + int(getattr(at, "nanosecond", 0))
    if isinstance(at, SupportsIndex) and not isinstance(at, bool):  # an int, or a whole number of numpy's
        return operator.index(at)
    defects.add("wrong_time", "at", f"is {type(at).__name__}, which is no time", fix=_FIX)
    return None
