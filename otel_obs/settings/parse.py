"""What a setting's text means: one function for each kind; each raises ValueError with what it would have taken."""

from __future__ import annotations

import re
from typing import Final

_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]?)(?:i?b)?", re.IGNORECASE)
_UNITS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off", ""})


def flag(text: str) -> bool:
    """A yes or a no."""
    word = text.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError("a yes or a no: 1, true, yes, on, 0, false, no, off")


def not_flag(text: str) -> bool:
    """The opposite of a yes or a no."""
    return not flag(text)


def count(text: str) -> int:
    """A whole number above 0."""
    number = int(text)
    if number < 1:
        raise ValueError("a whole number above 0")
    return number


def size(text: str) -> int:
    """Bytes, such as ``256MiB``."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError("a size, such as 256MiB, 64k or 1g")
    number = int(float(found[1]) * _UNITS[found[2].lower()])
    if number < 1:
        raise ValueError("a size above 0")
    return number


def fsync(text: str) -> str:
    """When a file is forced to the disk."""
    word = text.strip().lower()
    if word not in {"never", "second", "each"}:
        raise ValueError("never, second or each")
    return word


def seconds(text: str) -> float:
    """Seconds, 0 or more."""
    number = float(text)
    if not 0 <= number < float("inf"):
        raise ValueError("seconds, 0 or more")
    return number


def port(text: str) -> int:
    """A port; -1 is none."""
    word = text.strip().lower()
    number = -1 if word in {"", "off"} else int(word)
    if not -1 <= number <= 65_535:  # noqa: PLR2004 - the last port there is
        raise ValueError("a port, 0 for any free one, or off")
    return number


def card(text: str) -> str:
    """The form of a scorecard."""
    word = text.strip().lower() or "off"
    if word not in {"off", "compact", "verbose"}:
        raise ValueError("off, compact or verbose")
    return word
