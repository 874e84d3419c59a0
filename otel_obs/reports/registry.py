"""REPORTS: every question once; the CLI, and whatever else answers, walks this table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from otel_obs.contract.outcome import Outcome
from otel_obs.errors import QuestionError
from otel_obs.reports import shapes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from otel_obs.reports.answer import Answer


class Kind(StrEnum):
    """What a parameter holds, which says how it is read and how it is written into SQL."""

    TIME = "time"
    ZONE = "zone"
    TEXT = "text"
    COUNT = "count"
    SHARE = "share"


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter of a report. ``choices`` bound a text; a parameter without default has to be given."""

    name: str
    kind: Kind
    doc: str
    default: str | None = None
    choices: tuple[str, ...] = ()
    position: bool = False  # whether it is given by place, not by name


class Picture(StrEnum):
    """How an answer is best drawn."""

    LEDGER = "ledger"
    BARS = "bars"
    TABLE = "table"
    CARD = "card"
    TREE = "tree"


@dataclass(frozen=True, kw_only=True)
class Report:
    """One row: the question, its parameters, the ``.sql`` of the same name, the function that shapes its rows."""

    name: str
    question: str
    parameters: tuple[Parameter, ...]
    shape: Callable[[Sequence[Mapping[str, Any]], Mapping[str, Any]], Answer]
    picture: Picture
    example: str


_FROM = Parameter(name="from", kind=Kind.TIME, default="-24h", doc="Start of the window, included.")
_TO = Parameter(name="to", kind=Kind.TIME, default="now", doc="End of the window, not included.")
_TZ = Parameter(name="tz", kind=Kind.ZONE, default="", doc="Time zone of times read and shown; else this machine's.")
_SERVICE = Parameter(name="service", kind=Kind.TEXT, default="", doc="Only this bot (service.name).")
_SYMBOL = Parameter(name="symbol", kind=Kind.TEXT, default="", doc="Only this instrument.")
_WINDOW = (_FROM, _TO, _TZ, _SERVICE, _SYMBOL)

REPORTS: Final[tuple[Report, ...]] = (
    Report(
        name="why",
        question="Why did the bot do that, or nothing? Two ledgers: cycles, and decisions by outcome and gate.",
        parameters=(
            *_WINDOW,
            Parameter(name="intent", kind=Kind.TEXT, default="trade", doc="Which traces are cycles; '' takes all."),
        ),
        shape=shapes.why,
        picture=Picture.LEDGER,
        example="otel-obs report why --from 2025-12-19T14:00 --to 2025-12-19T16:00 --tz Asia/Kolkata",
    ),
    Report(
        name="rejections",
        question="Which gate refused how much, hour by hour?",
        parameters=_WINDOW,
        shape=shapes.rejections,
        picture=Picture.BARS,
        example="otel-obs report rejections --from today",
    ),
    Report(
        name="gates",
        question="How often does each gate pass, and where does what it sees stand against its limit?",
        parameters=(
            *_WINDOW,
            Parameter(
                name="near",
                kind=Kind.SHARE,
                default="0.10",
                doc="A near miss lies within this share of the limit, on either side.",
            ),
        ),
        shape=shapes.gates,
        picture=Picture.TABLE,
        example="otel-obs report gates --from -7d --service my-bot",
    ),
    Report(
        name="decisions",
        question="Which decisions were there, the latest first?",
        parameters=(
            *_WINDOW,
            Parameter(
                name="outcome",
                kind=Kind.TEXT,
                default="",
                choices=tuple(outcome.value for outcome in Outcome),
                doc="Only those that ended so.",
            ),
            Parameter(name="gate", kind=Kind.TEXT, default="", doc="Only those whose first denial was this gate's."),
            Parameter(name="limit", kind=Kind.COUNT, default="50", doc="At most so many."),
        ),
        shape=shapes.decisions,
        picture=Picture.TABLE,
        example="otel-obs report decisions --from -2h --outcome vetoed",
    ),
    Report(
        name="decision",
        question="What was one decision: what, why, with which gates, and what came of it?",
        parameters=(
            Parameter(name="id", kind=Kind.TEXT, position=True, doc="The decision's id, or its unique beginning."),
            _TZ,
        ),
        shape=shapes.decision,
        picture=Picture.CARD,
        example="otel-obs report decision 5f3a90c1d2e4b687",
    ),
    Report(
        name="trace",
        question="What happened in one trace, as a tree with times?",
        parameters=(Parameter(name="id", kind=Kind.TEXT, position=True, doc="The trace id."), _TZ),
        shape=shapes.trace,
        picture=Picture.TREE,
        example="otel-obs report trace 46ba668494c05cab9846e039e0a15f64",
    ),
)


def report(name: str) -> Report:
    """Return the report called ``name``.

    Raises:
        QuestionError: there is none; the nearest name is told.

    """
    import difflib

    for row in REPORTS:
        if row.name == name:
            return row
    names = [row.name for row in REPORTS]
    near = difflib.get_close_matches(name, names, n=1)
    fix = f"Did you mean {near[0]}?" if near else f"There are {', '.join(names)}."
    raise QuestionError(f"There is no report {name!r}.", fix=fix)
