"""A document as JSON text for people: short objects on one line, long ones by member, each exact record on a line."""

from __future__ import annotations

import json
from functools import partial
from typing import Any, Final

_WIDTH: Final = 118
_A_LINE_EACH: Final = frozenset({"gates", "orders", "fills"})
_EXACT_A_LINE_EACH: Final = frozenset({"spans", "logRecords"})
_CONTROL: Final = {  # what would move the cursor, or turn the line round, of who reads the file on a terminal
    code: f"\\u{code:04x}"
    for code in (*range(127, 160), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}
_quoted: Final = json.encoder.encode_basestring
_said: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
_exact: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def text(document: dict[str, Any]) -> bytes:
    """The document as UTF-8; lone surrogates become question marks, as on the wire.

    Raises:
        ValueError: it holds a number that JSON has not.

    """
    members = [
        f'"{name}": {_laid_exact(value, 2, name) if name == "otlp" else _laid(value, 2, name)}'
        for name, value in document.items()
    ]
    whole = "{\n  " + ",\n  ".join(members) + "\n}\n"
    if not whole.isascii():
        whole = whole.translate(_CONTROL)
    return whole.encode(errors="replace")


def one_line(written: bytes) -> bytes:
    """A document's text on one line: line feeds stand between its tokens alone."""
    return b"".join(line.lstrip(b" ") for line in written.splitlines()) + b"\n"


def _laid(value: Any, indent: int, name: str) -> str:  # noqa: PLR0911 - one return for each form
    """Entries by member, each member on a line if it fits; gates, orders and fills on a line each in any case."""
    if type(value) is str:
        return _quoted(value)
    if type(value) is int:
        return repr(value)
    if not value or not isinstance(value, (dict, list)):
        return _said(value)
    pad = " " * (indent + 2)
    if isinstance(value, list) and isinstance(value[0], dict):
        laid = _said if name in _A_LINE_EACH else partial(_laid, indent=indent + 2, name="")
        return f"[\n{pad}" + f",\n{pad}".join([laid(one) for one in value]) + "\n" + " " * indent + "]"
    if name:
        short = _said(value)
        if len(short) + indent <= _WIDTH:
            return short
    if isinstance(value, list):
        inner = [_laid(one, indent + 2, "-") for one in value]
        return f"[\n{pad}" + f",\n{pad}".join(inner) + "\n" + " " * indent + "]"
    inner = [f"{_quoted(str(key))}: {_laid(one, indent + 2, str(key) or '-')}" for key, one in value.items()]
    return f"{{\n{pad}" + f",\n{pad}".join(inner) + "\n" + " " * indent + "}"


def _laid_exact(value: Any, indent: int, name: str) -> str:
    if not value or not isinstance(value, (dict, list)) or name in {"resource", "scope"}:
        return _exact(value)
    pad = " " * (indent + 1)
    if isinstance(value, list):
        inner = [_exact(one) if name in _EXACT_A_LINE_EACH else _laid_exact(one, indent + 1, "") for one in value]
        return f"[\n{pad}" + f",\n{pad}".join(inner) + "\n" + " " * indent + "]"
    inner = [f"{_exact(key)}:{_laid_exact(one, indent + 1, key)}" for key, one in value.items()]
    return f"{{\n{pad}" + f",\n{pad}".join(inner) + "\n" + " " * indent + "}"
