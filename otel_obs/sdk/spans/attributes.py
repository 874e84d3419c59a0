"""Attributes within their limits, as the specification has them: cleaned once, the oldest dropped and counted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from opentelemetry.util.types import Attributes

_log: Final = logging.getLogger("otel_obs")
_AS_THEY_ARE: Final = frozenset({str, int, float, bool, bytes, type(None)})
_TEXT: Final = frozenset({str})
_full: Final = threading.Lock()  # of any that is full: making room takes two steps


def clean(value: Any, longest: int | None) -> Any:
    """``value`` as OTLP can carry it: what is none of its kinds becomes its text, or nothing where it has none."""
    if isinstance(value, str):
        return value if longest is None else value[:longest]
    if type(value) in _AS_THEY_ARE or isinstance(value, bool | int | float | bytes):
        return value
    if isinstance(value, Sequence):
        return tuple(clean(one, longest) for one in value)
    if isinstance(value, Mapping):
        return _mapping(value, longest)
    return _text(value)


def _text(value: object) -> str | None:
    try:
        return str(value) if _has_text(value) else None
    except Exception:  # noqa: BLE001 - a bot's own value may raise anything
        _log.warning("A value of type %s could not be printed, and is left out.", type(value).__name__)
        return None


def _mapping(given: Mapping[Any, Any], longest: int | None) -> dict[str, Any]:
    found = {}
    for key, value in given.items():
        if not key or not (isinstance(key, str) or _has_text(key)):
            continue
        found[key if isinstance(key, str) else str(key)] = clean(value, longest)
    return found


def _has_text(value: object) -> bool:
    return type(value).__str__ is not object.__str__ or type(value).__repr__ is not object.__repr__


class Limits:
    """How many attributes, and how long their texts; ``None`` is no limit."""

    __slots__ = ("longest", "most")

    def __init__(self, most: int | None, longest: int | None) -> None:
        self.most = most
        self.longest = longest

    def taken(self, given: Attributes) -> tuple[dict[str, Any], int]:
        """A dict of its own, and how many were left out."""
        if not given:
            return {}, 0
        if self.most is None or len(given) <= self.most:
            if type(given) is dict and self.longest is None and _is_plain(given):
                return given.copy(), 0
            found = _mapping(given, self.longest)
            return found, len(given) - len(found)
        found = {}
        return found, self.add(found, given)

    def add(self, held: dict[str, Any], given: Mapping[str, Any]) -> int:
        """Put all of ``given`` into ``held``; returns how many were left out for it."""
        if self.most == 0:
            return len(given)
        cleaned = _mapping(given, self.longest)
        return len(given) - len(cleaned) + sum(self._put(held, key, value) for key, value in cleaned.items())

    def put(self, held: dict[str, Any], key: str, value: Any) -> int:
        """Put one into ``held``; returns how many were left out for it."""
        if self.most == 0 or not key or not isinstance(key, str):
            return 1
        return self._put(held, key, clean(value, self.longest))

    def _put(self, held: dict[str, Any], key: str, value: Any) -> int:
        held.pop(key, None)  # what is said again stands last
        if self.most is None or len(held) < self.most:
            held[key] = value
            return 0
        with _full:
            held.pop(next(iter(held)), None)
            held[key] = value
        return 1


def _is_plain(given: dict[Any, Any]) -> bool:
    """Whether nothing is to be cleaned; without a step of Python for each item."""
    return _AS_THEY_ARE.issuperset(map(type, given.values())) and _TEXT.issuperset(map(type, given)) and "" not in given
