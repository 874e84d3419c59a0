"""An answer: one sentence in words, the data, and how it is laid out as a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows to be shown under a title; cells are values, not text."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """``data`` is what ``--json`` prints, ``tables`` what a reader sees; ``found`` is False for an unknown id."""

    sentence: str
    data: Any
    tables: Sequence[Table] = field(default_factory=tuple)
    found: bool = True


def plain(value: Any, tz: tzinfo) -> Any:
    """``value`` as JSON knows it: times ISO in ``tz`` with their offset, decimals as text, nested values alike."""
    match value:
        case datetime():
            return value.astimezone(tz).isoformat()
        case Decimal():
            text = format(value, "f")  # not normalize(), which rounds to 28 digits
            return (text.rstrip("0").rstrip(".") if "." in text else text) if value else "0"
        case dict():
            return {str(key): plain(inner, tz) for key, inner in value.items()}
        case list() | tuple():
            return [plain(inner, tz) for inner in value]
        case _:
            return value
