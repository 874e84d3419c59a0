"""Any value of a bot as an attribute of OpenTelemetry: bounded, encodable, and marked where it had to be changed.

No function here raises, whatever the value does (but for ContractError, under ``strict``).
"""

from __future__ import annotations

import base64
import functools
import json
import math
import traceback
from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from otel_obs import settings
from otel_obs.contract import semconv
from otel_obs.errors import ContractError
from otel_obs.instrument.harmless import Surplus
from otel_obs.instrument.plain import flat_map, is_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_obs.instrument.harmless import Defects

    _Turn = Callable[[str, Any, Defects], Any]

MOST_OWN: Final = 96  # OpenTelemetry keeps 128 attributes and drops the oldest beyond: those that make it a record
_DEEPEST: Final = 8
_INT64: Final = 2**63
_EXACT: Final = 2**53  # beyond it a float cannot say every whole number
_SHORT: Final = 2_000  # bits; what is longer Python may refuse to write in decimal
_PLACES: Final = 100  # a Decimal with an exponent beyond is written with it, not with that many zeros
_MAP_TEXTS: Final = 8  # a map may hold this many times the longest single text
_CUT: Final = "\n…\n"
_FIX_SIZE: Final = "Record less of it, or raise max_text or max_items (OTEL_OBS_MAX_TEXT, OTEL_OBS_MAX_ITEMS)."
_FIX_VALUE: Final = "Record a value that can be turned into text."
_json: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def text(about: str, value: Any, defects: Defects) -> str:
    """``value`` as text of bounded length that UTF-8 can carry."""
    longest = settings.active.max_text
    if is_text(value, longest):
        return value  # type: ignore[no-any-return]
    if type(value) is not str:
        value = _string_of(about, value, defects)
    if len(value) > longest:
        defects.add("too_long", about, f"was cut from {len(value)} to {longest} characters", fix=_FIX_SIZE)
        value = value[:longest]
    try:
        value.encode()
    except UnicodeEncodeError:
        defects.add("not_utf8", about, "held lone surrogates", fix="Decode the text with errors='replace'.")
        value = _utf8(value)
    return value  # type: ignore[no-any-return]


def words(value: Any) -> str:
    """``value`` as text and nothing more: neither bounded nor marked."""
    plain = _plain_scalar(value)
    try:
        return str(value if plain is None else plain)
    except Exception:  # noqa: BLE001 - __str__ of a bot's object may raise anything
        return f"<{type(value).__name__}>"


def is_given(value: Any) -> bool:
    """Whether an optional argument says anything: it is there, and not empty."""
    try:
        return value is not None and bool(value)
    except Exception:  # noqa: BLE001 - the truth of an array is none
        return True


def number(about: str, value: Any, defects: Defects) -> float | None:
    """``value`` as a finite float, or None with a mark."""
    if type(value) is float and math.isfinite(value):
        return value
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
    plain = value if type(value) is str or type(value) is float else _plain_scalar(value)
    if isinstance(plain, bool | int | float):
        return plain
    return text(about, value if plain is None else plain, defects)


def _marked_where_it_raises(written: Callable[[str], str]) -> Callable[[_Turn], _Turn]:
    """Mark what raises, and record its kind in its place, as ``written`` writes it."""

    def decorate(function: _Turn) -> _Turn:
        @functools.wraps(function)
        def total(about: str, value: Any, defects: Defects) -> Any:
            try:
                return function(about, value, defects)
            except ContractError:
                raise
            except Exception as error:  # noqa: BLE001 - a bot's object may raise anything, anywhere
                defects.add("not_serialisable", about, _raised(value, error), fix=_FIX_VALUE)
                return written(f"<{type(value).__name__}>")

        return total

    return decorate


def attribute(about: str, value: Any, defects: Defects) -> Any:
    """``value`` as an attribute: a scalar, a list of texts or numbers, or a map as JSON text."""
    kind = type(value)
    if kind is float or kind is bool:
        return value
    return mapping(about, value, defects) if kind is dict else _attribute(about, value, defects)


@_marked_where_it_raises(str)
def _attribute(about: str, value: Any, defects: Defects) -> Any:
    if isinstance(value, str | float | int):
        return scalar(about, value, defects)
    if isinstance(value, Mapping):
        return mapping(about, value, defects)
    if isinstance(value, Collection) and not isinstance(value, bytes | bytearray | memoryview):
        items = list(islice(value, settings.active.max_items))
        if len(items) < len(value):
            defects.add("too_many", about, f"was cut from {len(value)} to {len(items)} entries", fix=_FIX_SIZE)
        return _numbers(items) or [text(about, item, defects) for item in items]
    return scalar(about, value, defects)


def mapping(about: str, value: Any, defects: Defects) -> str:
    """Any value as one JSON text (an object where a mapping was given); always valid JSON, of bounded size."""
    if type(value) is dict:
        now = settings.active
        longest = now.max_text
        flat = flat_map(
            value, longest=longest, most_items=now.max_items, most_characters=longest * _MAP_TEXTS
        )  # fmt: skip
        if flat is not None:
            return flat
    return _mapping(about, value, defects)  # type: ignore[no-any-return]


@_marked_where_it_raises(_json)
def _mapping(about: str, value: Any, defects: Defects) -> str:
    return _json(_Walk(about, defects).plain(value, 0))


def pieces(about: str, given: Any, defects: Defects) -> dict[str, str]:
    """Each value of a mapping as JSON, by its name: a part of a map that is told in parts."""
    if not isinstance(given, Mapping):
        defects.add("not_a_map", about, f"is {type(given).__name__}, not a map", fix="Give names and values.")
        given = {"value": given}
    try:
        told = list(islice(given.items(), settings.active.max_items + 1))
    except Exception as error:  # noqa: BLE001 - a bot's mapping may raise anything
        defects.add("not_serialisable", about, _raised(given, error), fix=_FIX_VALUE)
        return {}
    return {text(about, name, defects): mapping(about, value, defects) for name, value in told}


def joined(about: str, told: Mapping[str, str], defects: Defects) -> str:
    """One JSON object of bounded size from ``pieces``."""
    room = settings.active.max_text * _MAP_TEXTS
    parts: list[str] = []
    for name, value in told.items():
        room -= len(name) + len(value)
        if room < 0 or len(parts) == settings.active.max_items:
            defects.add("too_many", about, "was too large: entries were left out", fix=_FIX_SIZE)
            break
        parts.append(f"{_json(name)}:{value}")
    return f"{{{','.join(parts)}}}"


def custom(given: Any, defects: Defects) -> dict[str, Any]:
    """A bot's own attributes; names in our vocabulary are kept under ``custom.``, so that they cannot pass for ours."""
    result: dict[str, Any] = {}
    if given is None:
        return result
    if isinstance(given, Surplus):
        defects.note(given.wrong)
        result = custom(given.attributes, defects)
    try:
        told = list(islice(given.items(), MOST_OWN + 1)) if isinstance(given, Mapping) else [("attributes", given)]
    except Exception as error:  # noqa: BLE001 - a bot's mapping may raise anything
        defects.add("not_serialisable", "attributes", _raised(given, error), fix=_FIX_VALUE)
        return result
    for name, value in told:
        key = text("attributes", name, defects)
        if key.startswith(semconv.RESERVED):
            defects.add(
                "reserved_name", key, "is a reserved name", fix="Choose a name of your own, or use the argument."
            )
            key = f"custom.{key}"
        if len(result) == MOST_OWN:
            defects.add("too_many", "attributes", f"are more than {MOST_OWN}", fix="Record less, or as one map.")
            break
        if value is not None:
            result[key] = attribute(key, value, defects)
    return result


def exception(error: BaseException) -> dict[str, str]:
    """An exception as OpenTelemetry's event tells it; of bounded size, unmarked: its words are no argument of ours."""
    kind, module = type(error).__qualname__, type(error).__module__
    try:
        stack = "".join(traceback.format_exception(error))
    except Exception:  # noqa: BLE001 - parts of a bot's exception may raise anything
        stack = ""
    return {
        semconv.EXCEPTION_TYPE: kind if module == "builtins" else f"{module}.{kind}",
        semconv.EXCEPTION_MESSAGE: shortened(words(error)),
        semconv.EXCEPTION_STACKTRACE: shortened(stack),
    }


def shortened(told: str) -> str:
    """``told`` of bounded length, its middle left out, as UTF-8 can carry it; unmarked."""
    longest = settings.active.max_text
    if len(told) > longest:
        half = (longest - len(_CUT)) // 2
        told = f"{told[:half]}{_CUT}{told[-half:]}" if half > 0 else told[:longest]
    return _utf8(told)


def _utf8(told: str) -> str:
    return told.encode("utf-8", "replace").decode()


def _raised(value: Any, error: Exception) -> str:
    return f"has a {type(value).__name__} that raised {type(error).__name__}"


def _numbers(items: Sequence[Any]) -> list[float] | None:
    """Return the items as floats where each is a number, and none loses a digit."""
    plain = [_plain_scalar(item) for item in items]
    if any(isinstance(item, bool) or not isinstance(item, int | float) for item in plain):
        return None
    if any(isinstance(item, int) and abs(item) > _EXACT for item in plain):
        return None
    return [float(item) for item in plain if item is not None]


def _plain_scalar(value: Any) -> str | bool | int | float | None:
    """What a value of a known kind is as JSON knows it; None where only ``str()`` is left."""
    try:
        return _known_scalar(value)
    except Exception:  # noqa: BLE001 - a bot's own number, text or array may raise anything
        return None


def _known_scalar(value: Any) -> str | bool | int | float | None:  # noqa: PLR0911 - one answer a kind
    match value:
        case Enum():
            return _known_scalar(value.value)
        case bool():
            return value
        case str():
            return str.__str__(value)
        case float():
            return float.__float__(value)
        case int():
            return _whole(int.__int__(value))
        case Decimal():
            return format(value, "f") if value.is_finite() and abs(value.adjusted()) < _PLACES else str(value)
        case datetime() | date():
            return value.isoformat()
        case bytes() | bytearray() | memoryview():
            return base64.b64encode(bytes(value[: settings.active.max_text])).decode()
    return _inside(value)


def _whole(number: int) -> int | str:
    if -_INT64 <= number < _INT64:
        return number
    return str(number) if number.bit_length() < _SHORT else hex(number)


def _inside(value: Any) -> str | bool | int | float | None:
    """Take a scalar of numpy's out of it."""
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "ndim", None) == 0:
        inner = item()
        return _known_scalar(inner) if isinstance(inner, str | int | float) else None
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
            fix=_FIX_VALUE,
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
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is dict or kind is list:
            return self._nested(value, depth)
        plain = value if kind is str or kind is float else _plain_scalar(value)
        if isinstance(plain, float):
            return plain if math.isfinite(plain) else str(plain)
        if isinstance(plain, bool | int):
            return plain
        if plain is None and isinstance(value, Iterable):
            return self._nested(value, depth)
        return text(self._about, value if plain is None else plain, self._defects)

    def _nested(self, value: Iterable[Any], depth: int) -> Any:
        if depth >= _DEEPEST:
            self._defects.add("too_deep", self._about, "is nested too deeply", fix="Record it flat.")
            return f"<{type(value).__name__}>"
        try:
            return self._mapping(value, depth) if isinstance(value, Mapping) else self._list(value, depth)
        except ContractError:
            raise
        except Exception as error:  # noqa: BLE001 - a bot's object may raise anything, anywhere
            self._defects.add("not_serialisable", self._about, _raised(value, error), fix=_FIX_VALUE)
            return f"<{type(value).__name__}>"

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
        if not hasattr(value, "__len__"):
            return f"<{type(value).__name__}>"  # a generator belongs to the bot: reading it would use it up
        result: list[Any] = []
        for inner in value:
            plain = self.plain(inner, depth + 1)
            if not self._room(len(plain) if isinstance(plain, str) else 8):
                break
            result.append(plain)
        return result
