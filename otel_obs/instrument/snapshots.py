"""Values as they are at this moment, kept cheaply: what cannot change by itself needs no conversion yet."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from otel_obs import settings

FIXED: Final = frozenset({str, int, float, bool, type(None), Decimal, datetime, date})
_TEXT: Final = frozenset({str})
_VALUE: Final = 48  # bytes that a number, or the frame around a text, takes about
CHANGES: Final = object()  # may change, or is too large to be kept: convert it now


def snapshot(value: Any) -> Any:
    """``value`` as it is now, to be converted later; ``CHANGES`` where it has to be converted at once."""
    kind = value.__class__
    if kind is dict:
        kinds = {*map(type, value.values())}
        if kinds <= FIXED and _TEXT.issuperset(map(type, value)) and not (str in kinds and _is_long(value.values())):
            return value.copy()
        return CHANGES
    if kind in FIXED:
        return CHANGES if kind is str and len(value) > settings.active.max_text else value
    if kind is list or kind is tuple:
        kinds = {*map(type, value)}
        if kinds <= FIXED and not (str in kinds and _is_long(value)):
            return tuple(value)
    return CHANGES


def _is_long(values: Any) -> bool:
    longest = settings.active.max_text
    return any(value.__class__ is str and len(value) > longest for value in values)


def size_of(kept: Any) -> int:
    """About how many bytes a snapshot takes."""
    kind = kept.__class__
    if kind is dict:
        return _VALUE * len(kept) + sum([len(value) for value in kept.values() if value.__class__ is str])
    if kind is str:
        return len(kept)
    return _VALUE * len(kept) if kind is tuple else _VALUE
