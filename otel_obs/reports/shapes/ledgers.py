"""Answers about a whole window: why, summary, rejections, changes."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from otel_obs.reports.answer import Answer, Table, listed
from otel_obs.reports.shapes.words import count, number, percent, time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_obs.reports import rows


def why(found: Sequence[rows.Why], asked: Mapping[str, Any]) -> Answer[rows.Why]:
    """Why did the bot do that, or nothing?"""
    row = found[0]
    if row.state == "never_recorded":
        asked_for = " ".join(filter(None, (asked["service"], asked["symbol"])))
        sentence = "Nothing was ever recorded" + (f" for {asked_for}" if asked_for else "") + "."
    elif row.state == "quiet":
        latest = time(row.latest_record, asked)
        sentence = f"Recorded, and quiet: no cycle and no decision in this window. The latest record is of {latest}."
    else:
        sentence = _told(row)
    data = asdict(row)
    del data["latest_record"]
    return Answer(sentence=sentence, rows=found, data=data, tables=_why_tables(row) if row.state == "active" else ())


def _told(row: rows.Why) -> str:
    blame = ", ".join(f"{count} by {gate}" for gate, count in row.by_gate.items())
    vetoes = f"{row.vetoed} vetoed{f' ({blame})' if blame else ''}"
    return (
        f"{count(row.decisions, 'decision')}: {row.executed} executed, {vetoes}, {row.held} held, {row.failed} failed."
    )


def _why_tables(row: rows.Why) -> list[Table]:
    cycles = row.cycles
    tables = [
        Table(
            title="Cycles",
            columns=("total", "decided", "idle", "failed", "unexplained"),
            rows=[(cycles.total, cycles.decided, sum(cycles.idle.values()), cycles.failed, cycles.unexplained)],
        ),
        Table(title="Idle because", columns=("reason", "cycles"), rows=[*cycles.idle.items()]),
        Table(
            title="Decisions",
            columns=("total", "executed", "vetoed", "held", "failed", "outside cycles", "rejection rate"),
            rows=[
                (
                    row.decisions, row.executed, row.vetoed, row.held, row.failed, row.outside_cycles,
                    percent(row.rejection_rate),
                )
            ],
        ),
        Table(
            title="Vetoed by",
            columns=("gate", "vetoes", "share"),
            rows=[(gate, vetoes, percent(vetoes / row.vetoed)) for gate, vetoes in row.by_gate.items()],
        ),
    ]  # fmt: skip
    return [table for table in tables if table.rows]


def summary(found: Sequence[rows.Summary], asked: Mapping[str, Any]) -> Answer[rows.Summary]:
    """What was recorded, and how did it end?"""
    sentence = "Nothing was recorded in this window."
    total = next((row for row in found if row.service is None), None)
    if total:
        sentence = (
            f"{count(len(found) - 1, 'service')}: {count(total.traces, 'trace')} ({total.traces_failed} failed), "
            f"{count(total.decisions, 'decision')} ({total.executed} executed, {total.vetoed} vetoed, "
            f"{total.held} held, {total.failed} failed), {count(total.orders, 'order')}, {count(total.fills, 'fill')}."
        )
    table = Table(
        columns=(
            "service", "latest", "traces", "decisions", "executed", "vetoed", "held", "failed", "rejection rate",
            "orders", "fills",
        ),
        rows=[
            (
                _named(row), time(row.latest_record, asked), row.traces, row.decisions, row.executed, row.vetoed,
                row.held, row.failed, percent(row.rejection_rate), row.orders, row.fills,
            )
            for row in found
        ],
    )  # fmt: skip
    scored = Table(
        title="Quality and cost",
        columns=("service", "scored", "average", "passed", "not passed", "tokens in", "tokens out", "USD"),
        rows=[
            (
                _named(row), row.scored, number(row.average_score), row.passed, row.not_passed,
                row.input_tokens, row.output_tokens, row.cost_usd,
            )
            for row in found
            if row.scored or row.passed or row.not_passed or row.input_tokens or row.output_tokens or row.cost_usd
        ],
    )  # fmt: skip
    return listed(found, sentence, table, scored)


def _named(row: rows.Summary) -> str:
    return "all" if row.service is None else row.service  # a bot may have no name


def rejections(found: Sequence[rows.Rejections], asked: Mapping[str, Any]) -> Answer[rows.Rejections]:
    """Which gate refused how much, hour by hour?"""
    worst = max(found, key=lambda row: row.vetoes, default=None)
    sentence = "No decision was vetoed."
    if worst:
        most = f"{worst.vetoes} by {worst.gate} from {time(worst.hour, asked)}"
        sentence = f"{sum(row.vetoes for row in found)} vetoes; most in one hour: {most}."
    table = Table(
        columns=("hour", "gate", "vetoes", "share of vetoes", "hour's decisions", "hour's rejection rate"),
        rows=[
            (
                time(row.hour, asked), row.gate, row.vetoes, percent(row.share), row.decisions,
                percent(row.rejection_rate),
            )
            for row in found
        ],
    )  # fmt: skip
    return listed(found, sentence, table)


_SHARES = frozenset({"rejection rate", "denied"})


def changes(found: Sequence[rows.Change], asked: Mapping[str, Any]) -> Answer[rows.Change]:
    """What differs between two windows?"""
    base = f"{time(asked['base_from'], asked)} to {time(asked['base_to'], asked)}"
    sentence = f"Nothing differs from the window {base}."
    if found:
        sentence = f"{count(len(found), 'figure')} differ{'s' if len(found) == 1 else ''} from the window {base}"
        told = [text for row in found if (text := _headline(row, asked))]
        sentence += (": " + "; ".join(told[:3]) if told else "") + "."
    table = Table(
        columns=("about", "name", "measure", "before", "now", "change", "since"),
        rows=[
            (
                row.subject, row.name, row.measure, _shown(row.measure, row.before, row.before_text),
                _shown(row.measure, row.after, row.after_text), row.change, time(row.since, asked),
            )
            for row in found
        ],
    )  # fmt: skip
    return listed(found, sentence, table)


def _shown(measure: str, value: float | None, text: str) -> str:
    return text or (percent(value) if measure in _SHARES else number(value) or "-")


def _headline(row: rows.Change, asked: Mapping[str, Any]) -> str:
    before, after = (
        _shown(row.measure, *pair) for pair in ((row.before, row.before_text), (row.after, row.after_text))
    )
    if row.subject == "all" and row.measure in {"decisions", "rejection rate"}:
        return f"{row.measure} {before} → {after}"
    if row.subject == "gate" and row.measure == "limit":
        since = f" since {time(row.since, asked)}" if row.since else ""
        return (
            f"limit of {row.name} {before} → {after}{since}"
            if "-" not in {before, after}
            else f"{row.name} {row.change}"
        )
    return ""
