"""A trace's scorecard: what is worth saying of one run or cycle, and the text of it. Pure; a bot prints one, too."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence  # noqa: TC003 - the types are read: by Arrow
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal  # noqa: TC003 - likewise
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_WIDTH: Final = 62
_COLUMN: Final = 27
_MOST_LINES: Final = 50
_DIGITS: Final = 76  # of an exact sum; an amount has 38
_NANOSECONDS: Final = 1_000_000_000
_SIGNS: Final = {"at_most": "<=", "at_least": ">=", "equals": "=", "between": "in"}
_COLOURS: Final = {"green": "32", "yellow": "33", "red": "31", "bold": "1"}
_UNSEEN: Final = (*range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_CONTROL: Final = {**dict.fromkeys((*range(32), *_UNSEEN), "�"), 9: " ", 10: " ", 13: " "}
_OUTCOMES: Final = ("executed", "vetoed", "held", "failed")
_OF_OUTCOME: Final = {"executed": "green", "vetoed": "yellow", "failed": "red"}


class Form(StrEnum):
    """How much of it is said, and how."""

    COMPACT = "compact"
    VERBOSE = "verbose"
    MARKDOWN = "markdown"


@dataclass(frozen=True, kw_only=True)
class StageLine:
    """One stage: its time in nanoseconds, and how many decisions were made directly in it."""

    name: str
    duration_ns: int
    decisions: int = 0
    failed: bool = False
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class GateLine:
    """A gate as it judged."""

    name: str
    verdict: str
    mode: str = "enforce"
    observed: str = ""
    threshold: str = ""
    comparison: str = "none"
    unit: str = ""

    @property
    def denied(self) -> bool:
        """Whether it denied, and its verdict counted."""
        return self.verdict == "deny" and self.mode == "enforce"

    def __str__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        limit = f", limit {_SIGNS.get(self.comparison, '')} {self.threshold}{unit}" if self.threshold else unit
        return f"{self.name} (saw {self.observed}{limit})" if self.observed else self.name


@dataclass(frozen=True, kw_only=True)
class DecisionLine:
    """One decision and how it ended."""

    what: str
    outcome: str
    why: str = ""
    confidence: float | None = None
    overridden: bool = False
    gates: Sequence[GateLine] = ()

    @property
    def denied_by(self) -> list[GateLine]:
        """The enforced gates that denied, in order."""
        return [gate for gate in self.gates if gate.denied]


@dataclass(frozen=True, kw_only=True)
class Scorecard:
    """One trace, as its scorecard tells it; durations in nanoseconds."""

    name: str
    trace_id: str
    duration_ns: int
    status: str = "complete"
    error: str = ""
    service: str = ""
    project: str = ""
    query: str = ""
    intent: str = ""
    domain: str = ""
    symbol: str = ""
    score: float | None = None
    score_max: float | None = None
    passed: bool | None = None
    principles: Mapping[str, Any] = field(default_factory=dict)
    gaps: Sequence[str] = ()
    idle_reason: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    output: Mapping[str, Any] = field(default_factory=dict)
    stages: Sequence[StageLine] = ()
    decisions: Sequence[DecisionLine] = ()

    @property
    def input_tokens(self) -> int:
        """Of all stages."""
        return sum(stage.input_tokens or 0 for stage in self.stages)

    @property
    def output_tokens(self) -> int:
        """Of all stages."""
        return sum(stage.output_tokens or 0 for stage in self.stages)

    @property
    def cost_usd(self) -> Decimal | None:
        """Of all stages, to the last digit; None where none told its cost."""
        costs = [stage.cost_usd for stage in self.stages if stage.cost_usd is not None]
        if not costs:
            return None
        from decimal import localcontext

        with localcontext(prec=_DIGITS):
            return sum(costs[1:], costs[0])

    def counted(self) -> dict[str, int]:
        """Decisions by outcome; outcomes that did not occur are left out."""
        found = {name: sum(line.outcome == name for line in self.decisions) for name in _OUTCOMES}
        return {name: count for name, count in found.items() if count}


def rendered(card: Scorecard, form: Form, *, colour: bool = False) -> str:
    """The scorecard as text, without a newline at its end; ``colour`` adds those of a terminal, never to Markdown."""
    card = _tamed(card)
    match form:
        case Form.COMPACT:
            lines = _compact(card, _Paint(on=colour))
        case Form.VERBOSE:
            lines = _verbose(card, _Paint(on=colour))
        case Form.MARKDOWN:
            lines = _markdown(card)
    return "\n".join(lines)


def _tamed(value: Any) -> Any:
    """The same, without signs that move a cursor, colour a screen or turn a line round: what bots write is text."""
    match value:
        case str():
            return value.translate(_CONTROL)
        case dict():
            return {_tamed(key): _tamed(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_tamed(inner) for inner in value]
        case Scorecard() | StageLine() | DecisionLine() | GateLine():
            return replace(value, **{column.name: _tamed(getattr(value, column.name)) for column in fields(value)})
        case _:
            return value


class _Paint:
    def __init__(self, *, on: bool) -> None:
        self._on = on

    def __call__(self, text: str, colour: str) -> str:
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self._on and colour in _COLOURS else text


def _rule(title: str, sign: str) -> str:
    return f"{sign * 2} {title} ".ljust(_WIDTH, sign)


def took(duration_ns: int) -> str:
    """A duration as people write it: ``4m 22s``, ``5.2s``, ``12.3ms``."""
    seconds = duration_ns / _NANOSECONDS
    if seconds >= 86400:  # noqa: PLR2004 - a day
        return f"{int(seconds) // 86400}d {int(seconds) % 86400 // 3600:02}h"
    if seconds >= 3600:  # noqa: PLR2004 - an hour
        return f"{int(seconds) // 3600}h {int(seconds) % 3600 // 60:02}m"
    if seconds >= 60:  # noqa: PLR2004 - a minute
        return f"{int(seconds) // 60}m {int(seconds) % 60:02}s"
    return f"{seconds:.1f}s" if seconds >= 0.9995 else f"{seconds * 1e3:.3g}ms"  # noqa: PLR2004 - rounds to a second


def _number(value: float) -> str:
    return f"{value:.6g}"


def _quality(card: Scorecard, paint: _Paint) -> str:
    score = "" if card.score is None else _number(card.score)
    best = "" if card.score_max is None else f"/{_number(card.score_max)}"
    verdict = {True: paint("PASS", "green"), False: paint("FAIL", "red"), None: ""}[card.passed]
    return "  ".join(filter(None, (f"{score}{best if score else ''}", verdict)))


def _status(card: Scorecard, paint: _Paint) -> str:
    return paint("failed", "red") if card.status == "failed" else card.status


def _decided(card: Scorecard, paint: _Paint) -> str:
    return ", ".join(paint(f"{count} {name}", _OF_OUTCOME.get(name, "")) for name, count in card.counted().items())


def _vetoes(card: Scorecard) -> list[GateLine]:
    """The first denial of each gate that stopped a decision first."""
    found: dict[str, GateLine] = {}
    for line in card.decisions:
        if line.outcome == "vetoed" and line.denied_by:
            found.setdefault(line.denied_by[0].name, line.denied_by[0])
    return list(found.values())


def _cost(card: Scorecard) -> str:
    """Dollars to a hundredth of a cent, and never nothing for something; no card rounds cents away."""
    cost = card.cost_usd
    if cost is None:
        return ""
    text = f"{cost:.4f}"
    if cost and not text.strip("-0."):
        return f"${cost.normalize():f}"
    return f"${text[:-2] if text.endswith('00') else text.rstrip('0')}"


def _plain_length(text: str) -> int:
    length, within = 0, False
    for sign in text:
        if sign == "\x1b":
            within = True
        elif within:
            within = sign != "m"
        else:
            length += 1
    return length


def _pairs(pieces: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Lines of two ``name: text`` each; what does not fit into its half has a line of its own."""
    waiting = ""
    for name, text in pieces:
        if not text:
            continue
        piece = f"{name}: {text}"
        if waiting and _plain_length(waiting) < _COLUMN:
            yield waiting + " " * (_COLUMN - _plain_length(waiting)) + piece
            waiting = ""
        else:
            if waiting:
                yield waiting
            waiting = piece
    if waiting:
        yield waiting


def _compact(card: Scorecard, paint: _Paint) -> Iterator[str]:
    yield _rule(f"Trace: {card.name}", "-")
    yield from _pairs(
        [
            ("Quality", _quality(card, paint)),
            ("Status", _status(card, paint) if card.status != "complete" else ""),
            ("Duration", took(card.duration_ns)),
            ("Cost", _cost(card)),
            ("Evidence", _gathered(card.evidence)),
            ("Gaps", ", ".join(card.gaps)),
        ]
    )
    if card.error:
        yield f"Error: {paint(_line(card.error), 'red')}"
    if card.idle_reason:
        yield f"Idle: {card.idle_reason}"
    if card.decisions:
        yield f"Decisions: {_decided(card, paint)}"
    for gate in _vetoes(card):
        yield f"  vetoed by {gate}"
    yield f"Trace: {card.trace_id}"
    yield "-" * _WIDTH


def _gathered(evidence: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in evidence.items() if not isinstance(value, dict | list))


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, dict | list) else _line(str(value))


def _line(text: str) -> str:
    return " ".join(text.split())


def _verbose(card: Scorecard, paint: _Paint) -> Iterator[str]:
    yield _rule("Trace", "=")
    for name, text in _identity(card):
        yield f"{name + ':':<11}{text}"
    yield from _pairs([("Status", _status(card, paint)), ("Duration", took(card.duration_ns)), ("Cost", _cost(card))])
    if card.error:
        yield f"Error: {paint(_line(card.error), 'red')}"
    if card.idle_reason:
        yield f"Idle: {card.idle_reason}"
    if card.input_tokens or card.output_tokens:
        yield f"Tokens: {card.input_tokens} in, {card.output_tokens} out"
    if quality := _quality(card, paint):
        yield ""
        yield _rule("Quality", "-")
        yield f"Score: {quality}"
        for name, value in card.principles.items():
            yield f"  {name}: {value}{paint('  < gap', 'yellow') if name in card.gaps else ''}"
        if others := [gap for gap in card.gaps if gap not in card.principles]:
            yield f"  Gaps: {', '.join(others)}"
    yield from _stage_lines(card, paint)
    yield from _decision_lines(card, paint)
    for title, found in (("Evidence", card.evidence), ("Output", card.output)):
        if found:
            yield ""
            yield _rule(title, "-")
            yield from (f"  {key}: {_shown(value)}" for key, value in found.items())
    yield "=" * _WIDTH


def _identity(card: Scorecard) -> list[tuple[str, str]]:
    told = (
        ("Trace", card.name), ("Trace id", card.trace_id), ("Service", card.service), ("Project", card.project),
        ("Query", _line(card.query)), ("Intent", card.intent), ("Domain", card.domain), ("Symbol", card.symbol),
    )  # fmt: skip
    return [(name, text) for name, text in told if text]


def _stage_lines(card: Scorecard, paint: _Paint) -> Iterator[str]:
    if not card.stages:
        return
    yield ""
    yield _rule("Stages", "-")
    for stage in card.stages[:_MOST_LINES]:
        count = f"  ({stage.decisions} decision{'s' if stage.decisions != 1 else ''})" if stage.decisions else ""
        failed = paint("  failed", "red") if stage.failed else ""
        yield f"  {stage.name:<24} {took(stage.duration_ns):>8}{count}{failed}"
    yield from _left_out(len(card.stages))


def _decision_lines(card: Scorecard, paint: _Paint) -> Iterator[str]:
    if not card.decisions:
        return
    yield ""
    yield _rule(f"Decisions: {_decided(card, _Paint(on=False))}", "-")
    for line in card.decisions[:_MOST_LINES]:
        sure = "" if line.confidence is None else f"  {line.confidence:.0%} sure"
        yield f"  {line.what}: {paint(line.outcome, _OF_OUTCOME.get(line.outcome, ''))}{sure}"
        if line.why:
            yield f"    why: {_line(line.why)}"
        for gate in line.denied_by:
            yield f"    denied by {gate}{', overridden' if line.overridden else ''}"
    yield from _left_out(len(card.decisions))


def _left_out(count: int) -> Iterator[str]:
    if count > _MOST_LINES:
        yield f"  … and {count - _MOST_LINES} more"


def _escaped(text: str) -> str:
    return _line(text).replace("|", "\\|")


def _markdown(card: Scorecard) -> Iterator[str]:
    plain = _Paint(on=False)
    yield f"# Trace: {_escaped(card.name)}"
    yield ""
    facts = [
        *_identity(card)[1:],
        ("Status", card.status), ("Error", card.error), ("Idle", card.idle_reason),
        ("Duration", took(card.duration_ns)), ("Quality", _quality(card, plain)), ("Cost", _cost(card)),
        ("Gaps", ", ".join(card.gaps)), ("Decisions", _decided(card, plain)),
    ]  # fmt: skip
    yield from (f"- **{name}**: {_escaped(text)}" for name, text in facts if text)
    if card.principles:
        yield from _section("Principles", ("principle", "score", ""), [
            (name, str(value), "gap" if name in card.gaps else "") for name, value in card.principles.items()
        ])  # fmt: skip
    if card.stages:
        yield from _section("Stages", ("stage", "took", "decisions"), [
            (stage.name + (" (failed)" if stage.failed else ""), took(stage.duration_ns), str(stage.decisions))
            for stage in card.stages[:_MOST_LINES]
        ])  # fmt: skip
        yield from _left_out(len(card.stages))
    if card.decisions:
        yield from _section("Decisions", ("decision", "outcome", "denied by", "why"), [
            (line.what, line.outcome, "; ".join(map(str, line.denied_by)), line.why)
            for line in card.decisions[:_MOST_LINES]
        ])  # fmt: skip
        yield from _left_out(len(card.decisions))


def _section(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield from ("", f"## {title}", "", f"| {' | '.join(columns)} |", "|" + " --- |" * len(columns))
    yield from (f"| {' | '.join(_escaped(cell) for cell in row)} |" for row in rows)
