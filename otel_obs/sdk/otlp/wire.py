"""Protobuf's wire format: varints, lengths and text. What a field may not hold is replaced by what it may, and counted.

A body that holds one illegal byte is refused as a whole by whoever reads it: so nothing illegal ever leaves.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

MASK_64: Final = (1 << 64) - 1
MASK_128: Final = (1 << 128) - 1
MASK_32: Final = (1 << 32) - 1
_MOST_SMALL: Final = 1 << 12
_SEVEN_BITS: Final = 0x7F
_MOST_DIGITS: Final = 8_000  # bits of an int whose decimal text Python still writes without complaint

REASONS: Final = {
    "mended": "a record held what its fields cannot",
    "no_such_kind": "a value of a kind that OTLP has not was sent as its text",
    "not_a_number": "what should be a time or a count was no number, and was sent as 0",
    "not_text": "what should be a name was no text, and was sent as its text",
    "not_utf8": "lone surrogates were sent as question marks",
    "out_of_range": "a time, a count or an id was out of range, and was sent as the nearest that fits",
    "too_deep": "a value that is nested too deep, or in itself, was sent as its text",
    "too_large": "a whole number beyond 64 bits was sent as its text",
    "unreadable": "a value that cannot be read was sent as its text",
}
altered: Final[Counter[str]] = Counter()
"""How often, in this process, something could not be sent as it was; by one of REASONS. For reading only."""


def _varint(number: int) -> bytes:
    written = bytearray()
    while number > _SEVEN_BITS:
        written.append(number & _SEVEN_BITS | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


_SMALL: Final = tuple(_varint(number) for number in range(_MOST_SMALL))


def varint(number: int) -> bytes:
    """A number from 0 to 2**64 - 1, seven bits a byte."""
    return _SMALL[number] if 0 <= number < _MOST_SMALL else _varint(number & MASK_64)


def uint32(number: int) -> bytes:
    """A number of a field that holds 32 bits.

    Raises:
        OverflowError: it does not fit.

    """
    if not 0 <= number <= MASK_32:
        raise OverflowError(number)
    return varint(number)


def field(tag: bytes, content: bytes) -> bytes:
    """A field with its length in front; ``tag`` is its number and wire type."""
    return tag + varint(len(content)) + content


def utf8(text: Any) -> bytes:
    """Text as UTF-8: a lone surrogate becomes a question mark, and what is no text becomes its text."""
    if not isinstance(text, str):
        if text is None:
            return b""
        altered["not_text"] += 1
        text = words(text)
    try:
        return str.encode(text)
    except UnicodeEncodeError:
        altered["not_utf8"] += 1
        return str.encode(text, errors="replace")


def words(value: Any) -> str:
    """Any value as text; one that refuses is told by its type."""
    try:
        if isinstance(value, int) and value.bit_length() > _MOST_DIGITS:
            return hex(value)
        return str(value)
    except Exception:  # noqa: BLE001 - __str__ of a bot's object may raise anything
        return f"<{type(value).__name__}>"


def within(number: Any, most: int) -> int:
    """A number from 0 to ``most``; what lies outside becomes the nearer end, what is no number 0."""
    if number is None:
        return 0
    try:
        found = int(number)
        kept = min(max(found, 0), most)
    except Exception:  # noqa: BLE001 - __int__ of a bot's object may raise anything
        altered["not_a_number"] += 1
        return 0
    if kept != found:
        altered["out_of_range"] += 1
    return kept


class Remembered(dict[Any, Any]):
    """What was worked out once per key, for a bounded number of keys: when it is full it starts anew."""

    __slots__ = ("_most",)

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def keep(self, key: Any, value: Any) -> None:
        """Remember."""
        if len(self) >= self._most:
            self.clear()
        self[key] = value
