"""Any value of a bot as an attribute of OpenTelemetry: bounded, encodable, and marked where it had to be changed."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from otel_obs import settings
from otel_obs.contract import semconv

if TYPE_CHECKING:
    from otel_obs.instrument.harmless import Defects

_DEEPEST: Final = 8
_INT64: Final = range(-(2**63), 2**63)
_MAP_TEXTS: Final = 8  # a map may hold this many times the longest single text
_FIX_SIZE: Final = "Record less of it, or raise max_text or max_items (OTEL_OBS_MAX_TEXT, OTEL_OBS_MAX_ITEMS)."


def text(about: str, value: Any, defects: Defects) -> str:
    """``value`` as text of bounded length that UTF-8 can carry."""
    if not isinstance(value, str):
        value = _string_of(about, value, defects)
    longest = settings.active.max_text
    if len(value) > longest:
        defects.add("too_long", about, f"was cut from {len(value)} to {longest} characters", fix=_FIX_SIZE)
        value = value[:longest]
    try:
        value.encode()
    except UnicodeEncodeError:
        defects.add("not_utf8", about, "held lone surrogates", fix="Decode the text with errors='replace'.")
        value = value.encode("utf-8", "replace").decode()
    return str(value)


def number(about: str, value: Any, defects: Defects) -> float | None:
    """``value`` as a finite float, or None with a mark."""
    try:
        result = math.nan if isinstance(value, bool) else float(value)
    except Exception:  # noqa: BLE001 - __float__ of a bot's object may raise anything
        defects.add("not_a_number", about, f"is {type(value).__name__}, not a number", fix="Give a number, or nothing.")
        return None
    if not math.isfinite(result):
        defects.add("not_a_number", about, f"is {result}", fix="Leave it out where it is unknown.")
        return None
    return result


def scalar(about: str, value: Any, defects: Defects) -> str | bool | int | float:
    """``value`` as what one attribute can hold; numbers stay numbers, all else becomes text."""
    if isinstance(value, bool | float):
        return value
    if isinstance(value, int) and not isinstance(value, Enum):
        return value if value in _INT64 else str(value)
    plain = _plain_scalar(value)
    if isinstance(plain, bool | int | float):
        return plain if not isinstance(plain, int) or plain in _INT64 else str(plain)
    return text(about, value if plain is None else plain, defects)


def attribute(about: str, value: Any, defects: Defects) -> Any:
    """``value`` as an attribute: a scalar, a list of texts or numbers, or a map as JSON text."""
    if isinstance(value, Mapping):
        return mapping(about, value, defects)
    if isinstance(value, list | tuple | set | frozenset):
        items = list(value)[: settings.active.max_items]
        if len(items) < len(value):
            defects.add("too_many", about, f"was cut from {len(value)} to {len(items)} entries", fix=_FIX_SIZE)
        if items and all(isinstance(item, int | float) and not isinstance(item, bool) for item in items):
            return [float(item) for item in items]
        return [text(about, item, defects) for item in items]
    return scalar(about, value, defects)


def mapping(about: str, value: Any, defects: Defects) -> str:
    """Any value as one JSON text (an object where a mapping was given); always valid JSON, of bounded size."""
    walk = _Walk(about, defects)
    return json.dumps(walk.plain(value, 0), ensure_ascii=False, separators=(",", ":"))


def custom(given: Mapping[str, Any] | None, defects: Defects) -> dict[str, Any]:
    """A bot's own attributes; names in our vocabulary are kept under ``custom.``, so that they cannot pass for ours."""
    result: dict[str, Any] = {}
    for name, value in (given or {}).items():
        key = text("attributes", name, defects)
        if key.startswith(semconv.RESERVED):
            defects.add(
                "reserved_name", key, "is a reserved name", fix="Choose a name of your own, or use the argument."
            )
            key = f"custom.{key}"
        if value is not None:
            result[key] = attribute(key, value, defects)
    return result


def _plain_scalar(value: Any) -> str | bool | int | float | None:  # noqa: PLR0911 - one answer a kind
    """What a value of a known kind is as JSON knows it; None where only ``str()`` is left."""
    match value:
        case Enum():
            return _plain_scalar(value.value)
        case str() | bool() | int() | float():
            return value
        case Decimal():
            return format(value, "f") if value.is_finite() else str(value)
        case datetime() | date():
            return value.isoformat()
        case bytes() | bytearray() | memoryview():
            return base64.b64encode(bytes(value)[: settings.active.max_text]).decode()
    item = getattr(value, "item", None)  # numpy's scalars
    if callable(item) and getattr(value, "ndim", None) == 0:
        inner = item()
        return inner if isinstance(inner, str | bool | int | float) else None
    return None


def _string_of(about: str, value: Any, defects: Defects) -> str:
    plain = _plain_scalar(value)
    if plain is not None:
        return str(plain)
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - __str__ of a bot's object may raise anything
        defects.add(
            "not_serialisable", about, f"has a {type(value).__name__} whose __str__ raised {type(error).__name__}",
            fix="Record a value that can be turned into text.",
        )  # fmt: skip
        return f"<{type(value).__name__}>"


class _Walk:
    """One pass over a nested value; entries and characters are bounded over the whole of it."""

    def __init__(self, about: str, defects: Defects) -> None:
        self._about = about
        self._defects = defects
        self._items = settings.active.max_items
        self._characters = settings.active.max_text * _MAP_TEXTS
        self._full = False

    def _room(self, characters: int) -> bool:
        self._items -= 1
        self._characters -= characters
        if self._items >= 0 and self._characters >= 0:
            return True
        if not self._full:
            self._full = True
            self._defects.add("too_many", self._about, "was too large: entries were left out", fix=_FIX_SIZE)
        return False

    def plain(self, value: Any, depth: int) -> Any:
        if isinstance(value, Mapping) or (
            isinstance(value, Iterable) and not isinstance(value, str | bytes | bytearray)
        ):
            if depth >= _DEEPEST:
                self._defects.add("too_deep", self._about, "is nested too deeply", fix="Record it flat.")
                return f"<{type(value).__name__}>"
            return self._mapping(value, depth) if isinstance(value, Mapping) else self._list(value, depth)
        if value is None:
            return None
        plain = _plain_scalar(value)
        if isinstance(plain, float):
            return plain if math.isfinite(plain) else str(plain)
        if isinstance(plain, bool | int):
            return plain
        return text(self._about, value if plain is None else plain, self._defects)

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, inner in value.items():
            name = text(self._about, key, self._defects)
            plain = self.plain(inner, depth + 1)
            if not self._room(len(name) + (len(plain) if isinstance(plain, str) else 8)):
                break
            result[name] = plain
        return result

    def _list(self, value: Iterable[Any], depth: int) -> list[Any] | str:
        if not isinstance(value, list | tuple | set | frozenset) and not hasattr(value, "__len__"):
            return f"<{type(value).__name__}>"  # a generator belongs to the bot: reading it would use it up
        result: list[Any] = []
        for inner in value:
            plain = self.plain(inner, depth + 1)
            if not self._room(len(plain) if isinstance(plain, str) else 8):
                break
            result.append(plain)
        return result
