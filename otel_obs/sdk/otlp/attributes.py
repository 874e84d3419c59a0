"""Lists of attributes, the bulk of every record: what stands in front of a value is worked out once for each key."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from otel_obs.sdk.otlp.values import pair
from otel_obs.sdk.otlp.wire import MASK_64, Remembered, field, utf8, varint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MOST_KEYS: Final = 512
_MOST_LENGTHS: Final = 256  # of texts, for each key
_LONGEST_KEY: Final = 256
_INT64: Final = 1 << 63
_TEXT: Final = b"\x0a"
_BOOL: Final = b"\x10"
_INT: Final = b"\x18"
_DOUBLE: Final = b"\x21"
_double: Final = Struct("<d").pack


def _front(tag: bytes, key: bytes, kind: bytes, length: int) -> bytes:
    """All of a KeyValue up to the ``length`` bytes that are its value's own."""
    value = 1 + length if kind != _TEXT else 1 + len(varint(length)) + length
    inner = field(b"\x0a", key) + b"\x12" + varint(value)
    own_length = varint(length) if kind == _TEXT else b""
    return tag + varint(len(inner) + value) + inner + kind + own_length


class _Fronts(Remembered):
    """What stands in front of the values of one key and kind, by their length in bytes."""

    __slots__ = ("_key", "_kind", "_tag")

    def __init__(self, tag: bytes, key: bytes, kind: bytes) -> None:
        super().__init__(_MOST_LENGTHS)
        self._tag, self._key, self._kind = tag, key, kind

    def __missing__(self, length: int) -> bytes:
        front = _front(self._tag, self._key, self._kind, length)
        self.keep(length, front)
        return front


class _Keys(Remembered):
    """What ``make`` makes of a key, once; names that are long or no text are not remembered."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[[bytes], Any]) -> None:
        super().__init__(_MOST_KEYS)
        self._make = make

    def __missing__(self, name: Any) -> Any:
        made = self._make(utf8(name))
        if type(name) is str and len(name) <= _LONGEST_KEY:
            self.keep(name, made)
        return made


class Attributes:
    """Attributes as the repeated field ``tag`` of the message that has them."""

    __slots__ = ("_bools", "_doubles", "_ints", "_tag", "_texts")

    def __init__(self, tag: bytes) -> None:
        self._tag = tag
        self._texts = _Keys(lambda key: _Fronts(tag, key, _TEXT))
        self._ints = _Keys(lambda key: _Fronts(tag, key, _INT))
        self._doubles = _Keys(lambda key: _front(tag, key, _DOUBLE, 8))
        self._bools = _Keys(lambda key: [_front(tag, key, _BOOL, 1) + said for said in (b"\x00", b"\x01")])

    def put(self, given: Mapping[str, Any], append: Callable[[bytes], object]) -> None:
        """Append the bytes of each attribute."""
        texts, doubles = self._texts, self._doubles
        for name, value in given.items():
            kind = type(value)
            if kind is str:
                try:
                    text = value.encode()
                except UnicodeEncodeError:
                    text = utf8(value)
                append(texts[name][len(text)])
                append(text)
            elif kind is float:
                append(doubles[name])
                append(_double(value))
            elif kind is bool:
                append(self._bools[name][value])
            elif kind is int and -_INT64 <= value < _INT64:
                whole = varint(value & MASK_64)
                append(self._ints[name][len(whole)])
                append(whole)
            else:
                append(field(self._tag, pair(name, value)))

    def one_by_one(self, given: Mapping[str, Any]) -> list[bytes]:
        """The bytes of each attribute."""
        return [field(self._tag, pair(name, value)) for name, value in given.items()]
