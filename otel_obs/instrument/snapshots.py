"""Values as they are at this moment, kept cheaply: what cannot change by itself needs no conversion yet."""

from __future__ import annotations

import sys
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from otel_obs import settings

FIXED: Final = {str, int, float, bool, type(None), Decimal, datetime, date}  # numpy's scalars are added when met
FIGURES: Final = frozenset({int, float, bool})
VALUE: Final = 48  # bytes that a number, or the frame around a text, takes about
CHANGES: Final = object()  # may change, or is too large to be kept: convert it now


def snapshot(value: Any) -> Any:
    """``value`` as it is now, to be converted later; ``CHANGES`` where it has to be converted at once."""
    kind = value.__class__
    if kind is dict:
        return value.copy() if are_figures(value) or _are_fixed(value.values()) else CHANGES
    if kind in FIXED:
        return CHANGES if kind is str and len(value) > settings.active.max_text else value
    if kind is list or kind is tuple:
        return tuple(value) if _are_fixed(value) else CHANGES
    return value if _is_scalar_of_numpy(kind) else CHANGES


def are_figures(given: dict[Any, Any]) -> bool:
    """Whether a map holds plain numbers and nothing else: what most maps of a bot do."""
    try:
        return sum(given.values()).__class__ in FIGURES  # one call: to ask each for its class takes twice as long
    except Exception:  # noqa: BLE001 - texts have no sum, and a bot's own value may raise anything
        return False


def _are_fixed(values: Any) -> bool:
    if not FIXED.issuperset(map(type, values)):
        others = {*map(type, values)} - FIXED
        if not all(map(_is_scalar_of_numpy, others)):
            return False
        FIXED.update(others)
    longest = settings.active.max_text
    return not any(value.__class__ is str and len(value) > longest for value in values)


def _is_scalar_of_numpy(kind: type) -> bool:
    numpy = sys.modules.get("numpy")
    return numpy is not None and issubclass(kind, numpy.generic) and not issubclass(kind, numpy.void | numpy.object_)


def size_of(kept: Any) -> int:
    """About how many bytes a snapshot takes."""
    kind = kept.__class__
    if kind is str:
        return len(kept)
    if kind is dict:
        return VALUE * len(kept) + sum([len(one) for one in kept.values() if one.__class__ is str])
    return VALUE * len(kept) + sum([len(one) for one in kept if one.__class__ is str]) if kind is tuple else VALUE
