"""What a report is: a question, its parameters, the class of its rows, the function that shapes them. No table here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from otel_obs.reports.answer import Answer
    from otel_obs.reports.rows import Row

R = TypeVar("R", bound="Row")


class Kind(StrEnum):
    """What a parameter holds, which says how it is read and how it is written into SQL."""

    TIME = "time"
    ZONE = "zone"
    TEXT = "text"
    COUNT = "count"
    SHARE = "share"
    NUMBER = "number"


class Picture(StrEnum):
    """How an answer is best drawn."""

    LEDGER = "ledger"
    BARS = "bars"
    TABLE = "table"
    CARD = "card"
    TREE = "tree"


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter of a report. ``choices`` bound a text; a parameter without default has to be given.

    ``position`` says that it is given by place, not by name. ``recorded`` says that its value is a name which records
    carry (``gate``, ``service`` …): one that none carries is told, with the nearest.
    """

    name: str
    kind: Kind
    doc: str
    default: str | None = None
    choices: tuple[str, ...] = ()
    position: bool = False
    recorded: str = ""


@dataclass(frozen=True, kw_only=True)
class Report(Generic[R]):
    """One row of REPORTS: the question, its parameters, what is asked of the store, and the shape of the answer.

    ``row`` is the class of what the ``.sql`` answers (that called ``sql``, else as the report is), ``answers`` that of
    the answer's rows where it is another. ``derive`` adds what follows from other parameters.
    """

    name: str
    question: str
    parameters: tuple[Parameter, ...]
    row: type[R]
    shape: Callable[[Sequence[R], Mapping[str, Any]], Answer[Any]]
    picture: Picture
    example: str
    sql: str = ""
    answers: type | None = None
    derive: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = None

    @property
    def query(self) -> str:
        """Name of the ``.sql``."""
        return self.sql or self.name

    @property
    def answer_row(self) -> type:
        """Class of the answer's rows."""
        return self.answers or self.row
