"""What Python gives a report's parameter, as the text that a report reads."""

from __future__ import annotations

from datetime import date, datetime, timedelta, tzinfo
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def texts(given: Mapping[str, Any]) -> dict[str, str]:
    """Parameters by name, as text; None is left out. ``from_`` is ``from``, which Python keeps for itself."""
    return {name.removesuffix("_"): _text(value) for name, value in given.items() if value is not None}


def _text(value: Any) -> str:
    match value:
        case Enum():
            return str(value.value)
        case datetime() | date():
            return value.isoformat()
        case timedelta():  # from now on, or before now
            seconds = round(value.total_seconds())
            return f"{'-' if seconds < 0 else '+'}{abs(seconds)}s"
        case tzinfo():
            return str(value)
        case _:
            return str(value)
