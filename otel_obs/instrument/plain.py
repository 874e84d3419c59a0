"""What needs no change: found out cheaply, as most that a bot says is plain. The answers are those of ``values``."""

from __future__ import annotations

from json.encoder import encode_basestring as _quoted
from typing import Any, Final

_INT64: Final = 2**63
_MOST_NAMES: Final = 1_024
_LONGEST_NAME: Final = 128
_ROOM: Final = 8  # characters that a number in a map is counted as


class _Names(dict[str, str]):
    """Names of entries as JSON has them, with their colon; worked out once each. Long and odd ones are not here."""

    def __missing__(self, name: Any) -> str:
        if name.__class__ is not str or len(name) > _LONGEST_NAME or not name.isascii():
            raise KeyError(name)
        if len(self) >= _MOST_NAMES:
            self.clear()
        found = self[name] = f"{_quoted(name)}:"
        return found


_names: Final = _Names()


def is_text(value: Any, longest: int) -> bool:
    """Whether it is text that is sent as it is."""
    return value.__class__ is str and len(value) <= longest and value.isascii()


def flat_map(given: dict[Any, Any], *, longest: int, most_items: int, most_characters: int) -> str | None:
    """A dict of plain numbers and texts as JSON; None where it holds anything else, or is near a bound."""
    if longest < _LONGEST_NAME or len(given) > most_items:
        return None
    names, parts = _names, []
    try:
        for name, value in given.items():
            kind = value.__class__
            if (kind is float and value - value == 0.0) or (kind is int and -_INT64 <= value < _INT64):
                parts.append(f"{names[name]}{value!r}")
            elif kind is str and len(value) <= longest and value.isascii():
                parts.append(names[name] + _quoted(value))
            elif value is None or kind is bool:
                parts.append(names[name] + ("null" if value is None else "true" if value else "false"))
            else:
                return None
    except KeyError:
        return None
    text = f"{{{','.join(parts)}}}"
    return text if len(text) + _ROOM * len(parts) <= most_characters else None
