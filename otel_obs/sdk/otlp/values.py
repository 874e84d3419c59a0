"""OTLP's AnyValue: whatever a bot may have said, however deep; what the wire has no kind for becomes its text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from struct import Struct
from typing import Any, Final

from otel_obs.sdk.otlp.wire import MASK_64, altered, field, utf8, varint, words

_DEEPEST: Final = 24  # each map is three messages deep, and decoders refuse a body that is more than 100 deep
_INT64: Final = 1 << 63
_double: Final = Struct("<cd").pack


def any_value(value: Any, *, inside: tuple[int, ...] = ()) -> bytes:
    """The content of an AnyValue. ``inside`` names what holds this value, so that a cycle ends."""
    try:
        return _any_value(value, inside)
    except Exception:  # noqa: BLE001 - iterating over a bot's object may raise anything
        return _as_text(value, "unreadable")


def _any_value(value: Any, inside: tuple[int, ...]) -> bytes:  # noqa: PLR0911 - one return for each kind
    if value is None:
        return b""
    if isinstance(value, str):
        return field(b"\x0a", utf8(value))
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int):
        whole = int(value)
        fits = -_INT64 <= whole < _INT64
        return b"\x18" + varint(whole & MASK_64) if fits else _as_text(whole, "too_large")
    if isinstance(value, float):
        return _double(b"\x21", value)
    if isinstance(value, bytes):
        return field(b"\x3a", bytes(value))
    if not isinstance(value, (Sequence, Mapping)):
        return _as_text(value, "no_such_kind")
    if id(value) in inside or len(inside) == _DEEPEST:
        return _as_text(value, "too_deep")
    inside = (*inside, id(value))
    if isinstance(value, Sequence):
        return field(b"\x2a", b"".join([field(b"\x0a", any_value(one, inside=inside)) for one in value]))
    return field(b"\x32", b"".join([field(b"\x0a", pair(name, one, inside)) for name, one in value.items()]))


def pair(name: Any, value: Any, inside: tuple[int, ...] = ()) -> bytes:
    """The content of a KeyValue."""
    key = utf8(name if isinstance(name, str) else words(name))
    return field(b"\x0a", key) + field(b"\x12", any_value(value, inside=inside))


def _as_text(value: Any, reason: str) -> bytes:
    altered[reason] += 1
    return field(b"\x0a", utf8(words(value)))
