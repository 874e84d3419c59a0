"""An answer: one sentence in words, typed rows, the data as JSON knows it, and how it is laid out as tables."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from otel_obs.reports.rows import told

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows to be shown under a title; cells are values, not text."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class Answer(Generic[R]):
    """What a report found.

    ``rows`` are typed (times aware, in UTC; amounts ``Decimal``), ``data`` is what ``--json`` prints, ``tables`` what a
    reader sees, ``text`` stands in their place where the answer is laid out already. ``found`` is False where what was
    asked for by its id or name is not there. ``row`` is the rows' class, ``window``
    the time that was asked about, as people write it.
    """

    sentence: str
    rows: Sequence[R] = ()
    data: Any = None
    tables: Sequence[Table] = field(default_factory=tuple)
    text: str = ""
    found: bool = True
    row: type[R] | None = None
    window: str = ""

    def to_arrow(self) -> Any:
        """The rows as a ``pyarrow.Table``; see ``frames.arrow``."""
        from otel_obs.reports.frames import arrow

        return arrow(self.rows, self._row)

    def to_pandas(self) -> Any:
        """The rows as a ``pandas.DataFrame``; see ``frames.pandas``."""
        from otel_obs.reports.frames import pandas

        return pandas(self.rows, self._row)

    @property
    def _row(self) -> type[R]:
        if self.row is None:
            raise TypeError("This answer has no rows of one kind.")
        return self.row

    def plainly(self, tz: tzinfo) -> Answer[R]:
        """The same answer, its data and tables as JSON knows them, times in ``tz``."""
        return replace(
            self,
            data=plain(self.data, tz),
            tables=[replace(table, rows=plain(list(table.rows), tz)) for table in self.tables],
        )


def listed(rows: Sequence[R], sentence: str, *tables: Table) -> Answer[R]:
    """An answer whose data are its rows."""
    return Answer(
        sentence=sentence,
        rows=rows,
        data=[told(row) for row in rows],
        tables=[table for table in tables if table.rows],
    )


def missing(sentence: str) -> Answer[Any]:
    """The answer where nothing has the id or the name that was asked for."""
    return Answer(sentence=sentence, rows=(), found=False)


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
