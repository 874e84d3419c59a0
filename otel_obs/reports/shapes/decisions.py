"""Answers about decisions and what came of them: decisions, decision, confidence, overridden, orders."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from otel_obs.contract.scorecard import took
from otel_obs.reports.answer import Answer, Table, listed, missing
from otel_obs.reports.shapes.words import LIMIT_SIGNS, count, limited, percent, time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_obs.reports import rows


def decisions(found: Sequence[rows.DecisionLine], asked: Mapping[str, Any]) -> Answer[rows.DecisionLine]:
    """Which decisions were there?"""
    table = Table(
        columns=("time", "service", "symbol", "what", "outcome", "vetoed by", "confidence", "why", "id"),
        rows=[
            (
                time(row.timestamp, asked), row.service, row.symbol, row.what, row.outcome,
                row.veto_reason_primary or "", percent(row.confidence), row.why, row.span_id,
            )
            for row in found
        ],
    )  # fmt: skip
    sentence = "No decision in this window."
    if found:
        sentence = f"{count(found[0].total, 'decision')}, the latest first.{limited(found, found[0].total)}"
    return listed(found, sentence, table)


_FACTS: Final = (
    "what", "why", "confidence", "outcome", "service", "strategy", "symbol", "side", "alternatives", "inputs", "error",
    "trace_id",
)  # fmt: skip


def decision(found: Sequence[rows.Decision], asked: Mapping[str, Any]) -> Answer[rows.Decision]:
    """What was one decision, whole?"""
    if len(found) != 1:
        many = f"More than one decision's id starts with {asked['id']!r}: give more of it."
        none = f"No decision has the id {asked['id']!r}. `otel-obs report decisions` lists ids."
        return missing(many if found else none)
    row = found[0]
    data = asdict(row)
    because = f" by {row.veto_reason_primary}" if row.outcome == "vetoed" and row.veto_reason_primary else ""
    overridden = f", though {row.veto_reason_primary} denied" if row.veto_overridden else ""
    facts = Table(
        columns=("", ""),
        rows=[("time", time(row.timestamp, asked))]
        + [(name, data[name]) for name in _FACTS if data[name] not in (None, "", [])]
        + [("defect", text) for text in row.defects],
    )
    ledger = Table(
        title="Gates, in the order of evaluation",
        columns=("gate", "verdict", "mode", "observed", "limit", "unit", "reason"),
        rows=[
            (
                gate["name"], gate["verdict"] or "?", gate["mode"], gate["observed"],
                f"{LIMIT_SIGNS.get(gate['comparison'], '')} {gate['threshold']}".strip(), gate["unit"], gate["reason"],
            )
            for gate in row.gates
        ],
    )  # fmt: skip
    events = [
        Table(title=title, columns=tuple(told[0]), rows=[tuple(line.values()) for line in told])
        for title, told in (("Orders", row.orders), ("Fills", row.fills))
        if told
    ]
    return Answer(
        sentence=f"{row.what}: {row.outcome}{because}{overridden}.",
        rows=found,
        data=data,
        tables=[table for table in (facts, ledger, *events) if table.rows],
    )


def confidence(found: Sequence[rows.ConfidenceBand], _asked: Mapping[str, Any]) -> Answer[rows.ConfidenceBand]:
    """How did decisions end, by how sure the bot was?"""
    known = [row for row in found if row.low is not None]
    unknown = sum(row.decisions for row in found if row.low is None)
    sentence = "No decision in this window."
    if known:
        top = known[-1]
        sentence = (
            f"{count(sum(row.decisions for row in known), 'decision')} with a confidence. Of those from "
            f"{percent(top.low)} to {percent(top.high)} sure, {top.executed} of {top.decisions} were executed, "
            f"{top.vetoed} vetoed, {top.failed} failed."
        )
    if unknown:
        told = f"{count(unknown, 'decision')} told no confidence."
        sentence = f"{sentence} {told}" if known else told
    table = Table(
        columns=("confidence", "decisions", "executed", "vetoed", "held", "failed", "rejection rate"),
        rows=[
            (
                "unknown" if row.low is None else f"{percent(row.low)} to {percent(row.high)}", row.decisions,
                row.executed, row.vetoed, row.held, row.failed, percent(row.rejection_rate),
            )
            for row in found
        ],
    )  # fmt: skip
    return listed(found, sentence, table)


def overridden(found: Sequence[rows.Overridden], asked: Mapping[str, Any]) -> Answer[rows.Overridden]:
    """Which decisions acted though an enforced gate had denied?"""
    sentence = "No decision acted against a gate."
    if found:
        gate, times = Counter(row.denied_by for row in found).most_common(1)[0]
        sentence = (
            f"{count(found[0].total, 'decision')} acted though an enforced gate had denied; "
            f"{'of those shown ' if len(found) < found[0].total else ''}most often {gate} ({times})."
            f"{limited(found, found[0].total)}"
        )
    table = Table(
        columns=("time", "service", "symbol", "what", "denied by", "also", "order", "why", "id"),
        rows=[
            (
                time(row.timestamp, asked), row.service, row.symbol, row.what, row.denied_by,
                ", ".join(row.also_denied_by), row.order_id, row.why, row.span_id,
            )
            for row in found
        ],
    )  # fmt: skip
    return listed(found, sentence, table)


_STATES: Final = {
    "asked": "asked for by a decision and never seen",
    "submitted": "submitted and not ended",
    "accepted": "accepted and not ended",
}


def _most_first(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def orders(found: Sequence[rows.OrderLine], asked: Mapping[str, Any]) -> Answer[rows.OrderLine]:
    """What became of each order: asked, submitted, filled?"""
    sentence = "No order in this window."
    if found:
        total, states = found[0].total, found[0].states
        told = ", ".join(f"{number_of} {_STATES.get(state, state)}" for state, number_of in _most_first(states))
        sentence = f"{count(total, 'order')}: {told}.{limited(found, total)}"
    table = Table(
        columns=(
            "decided", "service", "symbol", "side", "what", "order", "state", "ordered", "filled", "average price",
            "fees", "submitted after", "filled after", "decision",
        ),
        rows=[
            (
                time(row.timestamp, asked), row.service, row.symbol, row.side, row.what, row.order_id, row.state,
                _amount(row.ordered), _amount(row.filled), _average(row.average_price),
                ", ".join(f"{_amount(paid)} {currency}".strip() for currency, paid in row.fees.items()),
                _after(row, row.submitted_at), _after(row, row.first_fill_at), row.decision_id,
            )
            for row in found
        ],
    )  # fmt: skip
    return listed(found, sentence, table)


def _amount(value: Any, places: str = "") -> str:
    if value is None:
        return ""
    text = format(value, f"{places}f")  # not round(), whose context holds 28 digits
    return (text.rstrip("0").rstrip(".") if "." in text else text) if value else "0"


def _average(value: Any) -> str:
    """A quotient, which has no end: eight places on the screen, all of them in the data."""
    return _amount(value, ".8")


def _after(row: rows.OrderLine, at: Any) -> str:
    return "" if at is None else took(round((at - row.timestamp).total_seconds() * 1e9))
