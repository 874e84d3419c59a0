"""Attributes within their limits, as the specification has them: cleaned once, the oldest dropped and counted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.util.types import Attributes

_log: Final = logging.getLogger("otel_obs")
_AS_THEY_ARE: Final = frozenset({str, int, float, bool, bytes, type(None)})
_TEXT: Final = frozenset({str})
_DEEPEST: Final = 24  # as the encoder has it
_MOST_PARTS: Final = 1_000_000
_PART: Final = 32  # bytes that a part of a value takes, about
_full: Final = threading.RLock()  # of any that is full: making room takes two steps


class _UnfitError(Exception):
    """A value that has no end, or too many parts."""


def clean(value: Any, longest: int | None) -> Any:
    """``value`` as OTLP can carry it: what is none of its kinds becomes its text, or nothing where it has none.

    Never raises, whatever the value does.
    """
    if type(value) is str and longest is None:
        return value
    try:
        return _Cleaning(longest).of(value, ())
    except Exception:  # noqa: BLE001 - a bot's own value may raise anything, and may have no end
        _left_out(value)
        return None


class _Cleaning:
    """One pass over one value; its parts are bounded over the whole of it."""

    __slots__ = ("_left", "_longest")

    def __init__(self, longest: int | None) -> None:
        self._longest = longest
        self._left = _MOST_PARTS

    def of(self, value: Any, inside: tuple[int, ...]) -> Any:
        """The value, of which ``inside`` names what holds it."""
        if isinstance(value, str):
            return value if self._longest is None else value[: self._longest]
        if type(value) in _AS_THEY_ARE or isinstance(value, bool | int | float | bytes):
            return value
        if not isinstance(value, Sequence | Mapping):
            return _text(value)
        if id(value) in inside or len(inside) == _DEEPEST:
            return f"<{type(value).__name__}>"
        inside = (*inside, id(value))
        self._left -= len(value)
        if self._left < 0:
            raise _UnfitError
        if isinstance(value, Sequence):
            return tuple(self._part(one, inside) for one in value)
        return {key: self._part(one, inside) for key, one in _named(value)}

    def _part(self, value: Any, inside: tuple[int, ...]) -> Any:
        try:
            return self.of(value, inside)
        except _UnfitError:
            raise
        except Exception:  # noqa: BLE001 - one part that raises must not cost the others
            _left_out(value)
            return None


def _left_out(value: object) -> None:
    _log.warning("A value of type %s could not be printed, and is left out.", type(value).__name__)


def _text(value: object) -> str | None:
    return str(value) if _has_text(value) else None


def _named(given: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what has a name."""
    for key, value in given.items():
        try:
            name = key if isinstance(key, str) else str(key) if key and _has_text(key) else ""
        except Exception:  # noqa: BLE001 - so may a bot's own name
            _left_out(key)
            continue
        if name:
            yield name, value


def _mapping(given: Mapping[Any, Any], longest: int | None) -> dict[str, Any]:
    found = {}
    try:
        for key, value in _named(given):
            found[key] = clean(value, longest)
    except Exception:  # noqa: BLE001 - and its own mapping
        _left_out(given)
    return found


def _has_text(value: object) -> bool:
    return type(value).__str__ is not object.__str__ or type(value).__repr__ is not object.__repr__


def size_of(held: Mapping[str, Any]) -> int:
    """About how many bytes the long ones of these attributes take."""
    size = 0
    for value in tuple(held.values()):
        if value.__class__ is str or value.__class__ is bytes:
            size += len(value)
        elif value.__class__ is tuple or value.__class__ is dict:
            size += _size_of_parts(value)
    return size


def _size_of_parts(value: Any) -> int:
    parts = value.values() if value.__class__ is dict else value
    size = 0
    for one in parts:
        size += _PART + (len(one) if one.__class__ is str or one.__class__ is bytes else 0)
        if one.__class__ is tuple or one.__class__ is dict:
            size += _size_of_parts(one)
    return size


class Limits:
    """How many attributes, and how long their texts; ``None`` is no limit."""

    __slots__ = ("longest", "most")

    def __init__(self, most: int | None, longest: int | None) -> None:
        self.most = most
        self.longest = longest

    def taken(self, given: Attributes) -> tuple[dict[str, Any], int]:
        """A dict of its own, and how many were left out."""
        if given is None:
            return {}, 0
        is_few = type(given) is dict and (self.most is None or len(given) <= self.most)
        if is_few and self.longest is None and _is_plain(cast("dict[str, Any]", given)):
            return cast("dict[str, Any]", given).copy(), 0
        found: dict[str, Any] = {}
        return found, self.add(found, given)

    def add(self, held: dict[str, Any], given: Mapping[str, Any]) -> int:
        """Put all of ``given`` into ``held``; returns how many were left out for it."""
        try:
            told = len(given)
        except Exception:  # noqa: BLE001 - a bot's own mapping may raise anything
            _left_out(given)
            return 1
        if self.most == 0:
            return told
        cleaned = _mapping(given, self.longest)
        return max(0, told - len(cleaned)) + sum(self._put(held, key, value) for key, value in cleaned.items())

    def put(self, held: dict[str, Any], key: Any, value: Any) -> int:
        """Put one into ``held``; returns how many were left out for it."""
        if self.most == 0 or not isinstance(key, str) or not key:
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
