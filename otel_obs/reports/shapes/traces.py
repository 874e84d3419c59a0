"""Answers about traces, their stages and their quality."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from otel_obs.analytics.comparison import differences
from otel_obs.analytics.scorecards import scorecards
from otel_obs.analytics.trees import tree
from otel_obs.contract import semconv
from otel_obs.contract.scorecard import Form, rendered, took
from otel_obs.reports.answer import Answer, Table, listed, missing
from otel_obs.reports.rows import Difference
from otel_obs.reports.shapes.words import count, limited, milliseconds, number, percent, time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from otel_obs.contract.scorecard import Scorecard
    from otel_obs.reports import rows


def trace(found: Sequence[rows.Span], asked: Mapping[str, Any]) -> Answer[rows.Span]:
    """What happened in one trace, as a tree with times?"""
    if not found:
        return missing(f"No span has the trace id {asked['id']!r}. `otel-obs report traces` lists ids.")
    nodes = tree([asdict(row) for row in found])
    errors = sum(row.status == "Error" for row in found)
    return Answer(
        sentence=f"{count(len(found), 'span')} from {time(found[0].timestamp, asked)}, {errors} of them failed.",
        rows=found,
        data={"trace_id": asked["id"], "spans": nodes},
        tables=[Table(columns=("time", "span", "took", "outcome", "id"), rows=list(_branches(nodes, asked)))],
    )


def _branches(
    nodes: Sequence[Mapping[str, Any]], asked: Mapping[str, Any], depth: int = 0
) -> Iterator[tuple[Any, ...]]:
    for node in nodes:
        blame = f"by {node['veto_reason_primary']}" if node["veto_reason_primary"] else ""
        said = " ".join(filter(None, (node["outcome"], blame, node["error"])))
        what = node["attributes"].get(semconv.DECISION_WHAT)
        mark = " (parent missing)" if node["orphan"] else ""
        yield (
            time(node["timestamp"], asked),
            f"{'  ' * depth}{node['name']}{f': {what}' if what else ''}{mark}",
            f"{node['duration_ns'] / 1e6:.3f} ms",
            said,
            node["span_id"],
        )
        yield from _branches(node["children"], asked, depth + 1)


def traces(found: Sequence[rows.TraceLine], asked: Mapping[str, Any]) -> Answer[rows.TraceLine]:
    """Which traces were there?"""
    sentence = "No such trace in this window."
    if found:
        sentence = f"{count(found[0].total, 'trace')}, the latest first.{limited(found, found[0].total)}"
    return listed(found, sentence, _trace_table(found, asked))


def gate_failures(found: Sequence[rows.TraceLine], asked: Mapping[str, Any]) -> Answer[rows.TraceLine]:
    """Which traces did not pass their quality gate?"""
    sentence = "No trace failed its quality gate in this window."
    if found:
        total = found[0].total
        sentence = (
            f"{count(total, 'trace')} did not pass {'its' if total == 1 else 'their'} quality gate, the latest first."
        )
        sentence += limited(found, total)
    return listed(found, sentence, _trace_table(found, asked))


def _trace_table(found: Sequence[rows.TraceLine], asked: Mapping[str, Any]) -> Table:
    gate = {True: "passed", False: "not passed", None: ""}
    return Table(
        columns=("time", "service", "name", "project", "intent", "domain", "status", "score", "quality gate", "gaps",
                 "took ms", "trace id"),
        rows=[
            (
                time(row.timestamp, asked), row.service, row.name, row.project, row.intent, row.domain,
                f"idle: {row.idle_reason}" if row.idle_reason else row.status,
                number(row.score) + (f"/{number(row.score_max)}" if row.score_max is not None else ""),
                gate[row.passed], ", ".join(row.gaps), milliseconds(row.duration_ms), row.trace_id,
            )
            for row in found
        ],
    )  # fmt: skip


def principles(found: Sequence[rows.Principle], asked: Mapping[str, Any]) -> Answer[rows.Principle]:
    """Which principles fall short most often?"""
    worst = next((row for row in found if row.failures), None)
    sentence = f"No principle was judged in {asked['min_runs']} traces or more." if not found else "None fell short."
    if worst:
        sentence = (
            f"{worst.principle} fell short most: in {worst.failures} of {worst.runs} traces "
            f"({percent(worst.failure_rate)}), last at {time(worst.last_failure, asked)}."
        )
    table = Table(
        columns=("principle", "traces", "fell short", "share", "average score", "last"),
        rows=[
            (
                row.principle, row.runs, row.failures, percent(row.failure_rate), number(row.average_score),
                time(row.last_failure, asked),
            )
            for row in found
        ],
    )  # fmt: skip
    return listed(found, sentence, table)


def stages(found: Sequence[rows.StageStatistics], _asked: Mapping[str, Any]) -> Answer[rows.StageStatistics]:
    """How long does each stage take, and which is the bottleneck?"""
    sentence = "No stage in this window."
    if found:
        slow = found[0]
        share = f"{percent(slow.share)} of all stages' own time, " if slow.share is not None else ""
        sentence = f"{slow.stage} is the bottleneck: {share}p95 {milliseconds(slow.p95_ms)} ms."
    table = Table(
        columns=("stage", "runs", "failed", "p50 ms", "p95 ms", "p99 ms", "max ms", "own ms", "share", "tokens", "USD"),
        rows=[
            (
                row.stage, row.runs, row.failed, milliseconds(row.p50_ms), milliseconds(row.p95_ms),
                milliseconds(row.p99_ms), milliseconds(row.max_ms), milliseconds(row.own_ms), percent(row.share),
                row.input_tokens + row.output_tokens or "", row.cost_usd or "",
            )
            for row in found
        ],
    )  # fmt: skip
    return listed(found, sentence, table)


def slowest(found: Sequence[rows.Slow], asked: Mapping[str, Any]) -> Answer[rows.Slow]:
    """What took longest?"""
    sentence = "Nothing was recorded in this window."
    if found:
        row = found[0]
        inside = f", {milliseconds(row.longest_stage_ms)} ms of it in {row.longest_stage}" if row.longest_stage else ""
        sentence = f"The slowest: {row.kind} {row.name}, {milliseconds(row.duration_ms)} ms{inside}."
    table = Table(
        columns=("time", "service", "symbol", "kind", "name", "took ms", "status", "longest stage", "ms", "id"),
        rows=[
            (
                time(row.timestamp, asked), row.service, row.symbol, row.kind, row.name, milliseconds(row.duration_ms),
                row.status, row.longest_stage, milliseconds(row.longest_stage_ms),
                row.trace_id if row.kind == "trace" else row.span_id,
            )
            for row in found
        ],
    )  # fmt: skip
    return listed(found, sentence, table)


def _one(found: Sequence[Mapping[str, Any]], asked: str) -> Scorecard | str:
    """The scorecard, or why there is none."""
    cards = scorecards(found, asked) if asked else []
    if len(cards) == 1:
        return cards[0]
    if cards:
        return f"More than one trace's id starts with {asked!r}: give more of it."
    return f"No trace has the id {asked!r}. `otel-obs report traces` lists ids."


def scorecard(found: Sequence[rows.Said], asked: Mapping[str, Any]) -> Answer[Any]:
    """What is worth saying of one trace?"""
    card = _one([vars(row) for row in found], asked["id"])
    if isinstance(card, str):
        return missing(card)
    decided = ", ".join(f"{number_of} {ended}" for ended, number_of in card.counted().items())
    sentence = f"{card.name}: {card.status} in {took(card.duration_ns)}{f'; decisions: {decided}' if decided else ''}."
    return Answer(sentence=sentence, rows=[card], data=asdict(card), text=rendered(card, Form(asked["form"])))


def compare(found: Sequence[rows.Said], asked: Mapping[str, Any]) -> Answer[Any]:
    """What do two traces say differently?"""
    told = [vars(row) for row in found]
    cards = [_one(told, asked[side]) for side in ("a", "b")]
    a, b = cards
    if isinstance(a, str) or isinstance(b, str):
        return missing(" ".join(card for card in cards if isinstance(card, str)))
    lines = [Difference(**line) for line in differences(a, b)]
    unlike = [line for line in lines if (line.a, line.a_text) != (line.b, line.b_text)]
    moved = [
        *_moved(lines),
        *(f"gap {line.name} only in {'a' if line.a_text else 'b'}" for line in unlike if line.subject == "gap"),
    ]
    head = f"{count(len(unlike), 'difference')} of {len(lines)} figures"
    table = Table(
        columns=("about", "name", "a", "b", "b - a"),
        rows=[
            (line.subject, line.name, line.a_text or number(line.a), line.b_text or number(line.b), number(line.delta))
            for line in unlike
        ],
    )
    return listed(lines, f"{head}{': ' + ', '.join(moved) if moved else ''}.", table)


_LEAST_CHANGE: Final = 0.05  # of a duration, below which it is noise


def _moved(lines: Sequence[Difference]) -> Iterator[str]:
    figures = {line.name: line for line in lines if line.subject == "trace"}
    for name, shown, unit in (("score", "score", ""), ("cost_usd", "cost", " USD"), ("duration_ms", "duration", " ms")):
        line = figures.get(name)
        is_noise = name == "duration_ms" and line and abs(float(line.delta or 0)) < _LEAST_CHANGE * float(line.a or 0)
        if line and line.delta and not is_noise:
            yield f"{shown} {line.delta:+.6g}{unit}"
