"""An exchange's sessions by the package exchange_calendars, which is imported and asked on a thread of its own."""

from __future__ import annotations

import os
import threading
import warnings
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from otel_obs.errors import ContractError, nearest
from otel_obs.health.hours import ALWAYS, Sessions
from otel_obs.instrument.harmless import problem
from otel_obs.instrument.source import using

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_obs.health.hours import Market, Standing

_NANO: Final = 1_000_000_000
_DAY: Final = 86_400 * _NANO
_BACK: Final = timedelta(days=30)  # longer than any holidays: what is closed now was open within
_AHEAD: Final = timedelta(days=365)
_RENEWED_BEFORE: Final = 60 * _DAY
_TOLD_BEFORE: Final = 14 * _DAY
_BETWEEN_TRIES: Final = 3600 * _NANO
_LONGEST_WAIT: Final = 10.0
_MOST_WARNINGS: Final = 8
OURS: Final = ("24x7", "weekdays", "weekdays@America/New_York")


class _Import:
    """Keeps a fork apart from the import: a child born amid it could never import the same modules."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._is_held = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self._wait, after_in_parent=self._go_on, after_in_child=self._in_child)

    def _wait(self) -> None:
        self._is_held = self.lock.acquire(timeout=_LONGEST_WAIT)

    def _go_on(self) -> None:
        if self._is_held:
            self.lock.release()

    def _in_child(self) -> None:
        self.lock = threading.RLock()


_import: Final = _Import()


class _UnknownNameError(Exception):
    pass


class Exchange:
    """One exchange. Until its sessions are known, and beyond their end, nothing is; they are renewed well before."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._market: Market = Sessions()
        self._is_asking = False
        self._tried: int | None = None
        self._lock = threading.Lock()

    def in_child(self) -> None:
        """Ask anew after a fork, where the parent was asking."""
        self._lock = threading.Lock()
        self._is_asking, self._tried = False, None

    def standing(self, at: int) -> Standing:
        """As the calendar says; what it does not cover is asked for, and answered later."""
        market = self._market
        if isinstance(market, Sessions) and not market.begin <= at < market.end - _RENEWED_BEFORE:
            self._ask(at)
        return market.standing(at)

    def _ask(self, at: int) -> None:
        now = using.clock.monotonic()
        with self._lock:
            if self._is_asking or (self._tried is not None and now - self._tried < _BETWEEN_TRIES):
                return
            self._is_asking, self._tried = True, now
        try:
            threading.Thread(target=self._learn, args=(at,), name="otel_obs trading hours", daemon=True).start()
        except RuntimeError:  # no thread can be started, for example at the interpreter's end
            self._is_asking = False

    def _learn(self, at: int) -> None:
        try:
            with _import.lock:
                self._market = learned = _learned(self.name, datetime.fromtimestamp(at // _NANO, UTC))
            if not learned.begin <= at < learned.end - _TOLD_BEFORE:
                self._tell_end(learned)
        except ContractError:
            raise
        except Exception as error:  # noqa: BLE001 - a package of others may raise anything
            self._tell_failure(error)
        finally:
            self._is_asking = False

    def _tell_end(self, learned: Sessions) -> None:
        first, last = (datetime.fromtimestamp(each // _NANO, UTC).date() for each in (learned.begin, learned.end))
        problem(
            "calendar_ended",
            f"The calendar of {self.name} holds sessions from {first} to {last}: beyond, nothing is known.",
            fix="pip install --upgrade exchange-calendars, or give hours of your own.", about=self.name,
        )  # fmt: skip

    def _tell_failure(self, error: Exception) -> None:
        known = f"Without it there are {', '.join(OURS)}, and hours of your own."
        if isinstance(error, _UnknownNameError):
            self._market = ALWAYS
            problem(
                "unknown_hours", f"Trading hours {self.name!r} are not known; they count as 24x7.",
                fix=str(error), about=self.name,
            )  # fmt: skip
        elif isinstance(error, ImportError):
            self._market = ALWAYS
            problem(
                "no_calendars",
                f"Trading hours {self.name!r} need the package exchange_calendars ({error}); they count as 24x7.",
                fix=f"pip install 'otel-obs[calendars]'. {known}", about=self.name,
            )  # fmt: skip
        else:
            problem(
                "calendar_failed", f"The calendar of {self.name} could not be made: {type(error).__name__}: {error}.",
                fix="It is tried again each hour; until then it is as before. Is exchange_calendars up to date?",
                about=self.name,
            )  # fmt: skip


def _learned(name: str, at: datetime) -> Sessions:
    """Sessions around ``at``, also where the bot makes warnings errors: what others' packages warn of is not its doing.

    Only what was raised is ignored, for good: to put filters back from a thread would undo those of others.
    """
    for _ in range(_MOST_WARNINGS):
        try:
            return Sessions(_sessions(name, at))
        except Warning as raised:
            warnings.filterwarnings("ignore", category=type(raised), module=r"exchange_calendars|pandas|numpy")
    return Sessions(_sessions(name, at))


def _sessions(name: str, at: datetime) -> Iterator[tuple[int, int]]:
    """Sessions from a month before ``at`` to a year after, without their breaks."""
    import exchange_calendars

    known = {each.upper(): each for each in exchange_calendars.get_calendar_names()}
    if name.upper() not in known:
        every = (*OURS, *known.values())
        raise _UnknownNameError(min(nearest(name, every), nearest(name.upper(), every), key=len))
    calendar = _calendar(known[name.upper()], at)
    times = (calendar.opens_nanos, calendar.break_starts_nanos, calendar.break_ends_nanos, calendar.closes_nanos)
    for opened, paused, resumed, closed in zip(*(each.tolist() for each in times), strict=True):
        bounds = (opened, paused, resumed, closed) if opened < paused else (opened, closed)
        yield from list(pairwise(bounds))[::2]


def _calendar(name: str, at: datetime) -> Any:
    """Make the calendar around ``at``: what the package takes by default ends a year after its import."""
    import exchange_calendars

    try:
        return exchange_calendars.get_calendar(name, start=(at - _BACK).date(), end=(at + _AHEAD).date())
    except ValueError:  # it is known for a shorter time, or is one that the bot registered
        return exchange_calendars.get_calendar(name)
