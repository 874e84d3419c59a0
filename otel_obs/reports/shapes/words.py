"""How figures and times are written for people, the same in every report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from decimal import Decimal

LIMIT_SIGNS: Final = {"at_most": "≤", "at_least": "≥", "equals": "=", "between": "in", "none": ""}


def percent(share: float | None) -> str:
    """``28.5%``; ``-`` where there is none."""
    return "-" if share is None else f"{share:.1%}".replace(".0%", "%")


def time(at: datetime | None, asked: Mapping[str, Any]) -> str:
    """A time in the reader's zone, to the second."""
    return "" if at is None else at.astimezone(asked["tz"]).strftime("%Y-%m-%d %H:%M:%S")


def number(value: float | Decimal | None) -> str:
    """Six digits, or nothing."""
    return "" if value is None else f"{value:.6g}"


def milliseconds(value: float | None) -> str:
    """Milliseconds to three digits, or nothing."""
    return "" if value is None else f"{value:.3f}"


def count(number_of: int, thing: str, things: str = "") -> str:
    """``1 decision``, ``2 decisions``."""
    return f"{number_of} {thing if number_of == 1 else things or f'{thing}s'}"


def limited(shown: Sequence[Any], total: int) -> str:
    """What to add where not all are shown."""
    return f" The first {len(shown)} of {total} are shown; --limit shows more." if len(shown) < total else ""
