"""Trading hours as a bot says them: ``24x7``, ``weekdays``, an exchange's name, or an object of its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from otel_obs.errors import nearest
from otel_obs.health.hours import ALWAYS, Own, Weekdays
from otel_obs.instrument.harmless import problem

if TYPE_CHECKING:
    from otel_obs.health.exchange import Exchange
    from otel_obs.health.hours import Market

_ALWAYS: Final = frozenset({"24x7", "24/7", ""})
_WEEKDAYS: Final = "weekdays"
_MOST_EXCHANGES: Final = 100

_exchanges: Final[dict[str, Exchange]] = {}


def _in_child() -> None:
    for exchange in _exchanges.values():
        exchange.in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


def market(hours: Any) -> Market:
    """Return the market that keeps ``hours``; 24x7, with a problem told, where they cannot be understood."""
    if isinstance(hours, str):
        return _named(hours.strip())
    if callable(getattr(hours, "is_open", None)) and callable(getattr(hours, "opened", None)):
        return Own(hours)
    kind = type(hours).__name__
    problem(
        "wrong_hours", f"Trading hours are {kind}, which has no is_open(at) and opened(at); they count as 24x7.",
        fix="Give a name, such as 24x7, weekdays or XNYS, or an object with both.", about=kind,
    )  # fmt: skip
    return ALWAYS


def _named(name: str) -> Market:
    word, _, zone = name.partition("@")
    if name.lower() in _ALWAYS:
        return ALWAYS
    if word.lower() == _WEEKDAYS:
        return _weekdays(zone.strip())
    known = _exchanges.get(name)
    if known is None:
        if len(_exchanges) == _MOST_EXCHANGES:
            problem(
                "too_many", f"There are trading hours of {_MOST_EXCHANGES} names already; {name!r} count as 24x7.",
                fix="Name the exchange, never what is traded there.", about="trading hours",
            )  # fmt: skip
            return ALWAYS
        from otel_obs.health.exchange import Exchange

        known = _exchanges.setdefault(name, Exchange(name))
    return known


def _weekdays(zone: str) -> Market:
    if not zone:
        return Weekdays()
    from zoneinfo import ZoneInfo, available_timezones

    try:
        return Weekdays(ZoneInfo(zone))
    except Exception:  # noqa: BLE001 - no such zone, no zones at all, or a path that is none
        zones = available_timezones()
        problem(
            "unknown_hours", f"There is no time zone {zone!r}; the trading hours count as 24x7.",
            fix=nearest(zone, sorted(zones)) if zones else "pip install tzdata", about=zone,
        )  # fmt: skip
        return ALWAYS
