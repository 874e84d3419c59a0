"""From the rows of ``scorecard.sql`` to scorecards: which spans belong to the trace that was asked for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from otel_obs.contract.scorecard import DecisionLine, GateLine, Scorecard, StageLine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Row = Mapping[str, Any]

_SAME: Final = ("name", "trace_id", "duration_ns", "status", "error", "service", "project", "query", "intent", "domain",
                "symbol", "score", "score_max", "passed", "gaps", "idle_reason")  # fmt: skip


def scorecards(rows: Sequence[Row], asked: str) -> list[Scorecard]:
    """Return the scorecard of the trace that ``asked`` names by the beginning of an id; several where it is ambiguous.

    An id of OpenTelemetry's trace means its first trace of ours, the outermost before those within it; the id of a
    trace's own span means that one.
    """
    traces = [row for row in rows if row["kind"] == "trace"]
    by_span = [row for row in traces if row["span_id"].startswith(asked)]
    by_trace: dict[str, Row] = {}
    for row in sorted(traces, key=lambda row: (row["parent_span_id"] != "", row["timestamp"], row["span_id"])):
        if row["trace_id"].startswith(asked):
            by_trace.setdefault(row["trace_id"], row)
    chosen = {(row["trace_id"], row["span_id"]): row for row in (*by_trace.values(), *by_span)}
    if any(trace_id == asked for trace_id in by_trace):  # a whole id is never ambiguous
        chosen = {key: row for key, row in chosen.items() if key[0] == asked and row is by_trace[asked]}
    return [_card(row, rows) for row in chosen.values()]


def _card(trace: Row, rows: Sequence[Row]) -> Scorecard:
    together = [row for row in rows if row["trace_id"] == trace["trace_id"]]
    is_alone = sum(row["kind"] == "trace" for row in together) == 1
    inside = together if is_alone else _below(trace, together)
    stages = [row for row in inside if row["kind"] == "stage"]
    decisions = [row for row in inside if row["kind"] == "decision"]
    made_in: dict[str, int] = {}
    for row in decisions:
        made_in[row["parent_span_id"]] = made_in.get(row["parent_span_id"], 0) + 1
    return Scorecard(
        **{name: trace[name] for name in _SAME},
        principles=_map(trace["principles"]),
        evidence=_map(trace["evidence"]),
        output=_map(trace["output"]),
        stages=[
            StageLine(
                name=row["name"],
                duration_ns=row["duration_ns"],
                decisions=made_in.get(row["span_id"], 0),
                failed=row["status"] == "failed",
                input_tokens=row["input_tokens"],
                output_tokens=row["output_tokens"],
                cost_usd=row["cost_usd"],
            )
            for row in stages
        ],
        decisions=[_decision(row) for row in decisions],
    )


def _decision(row: Row) -> DecisionLine:
    return DecisionLine(
        what=row["name"],
        outcome=row["status"],
        why=row["why"],
        confidence=row["confidence"],
        overridden=row["overridden"],
        gates=[
            GateLine(
                name=name or "unnamed", verdict=verdict or "", mode=mode, observed=observed, threshold=threshold,
                comparison=comparison, unit=unit,
            )
            for name, verdict, mode, observed, threshold, comparison, unit in row["ledger"]
        ],
    )  # fmt: skip


def _below(trace: Row, rows: Sequence[Row]) -> list[Row]:
    """Everything under ``trace``, through whatever lies between; what is both a trace and a decision counts itself."""
    children: dict[str, list[Row]] = {}
    for row in rows:
        children.setdefault(row["parent_span_id"], []).append(row)
    found = {id(row) for row in rows if row["span_id"] == trace["span_id"] and row["kind"] in {"stage", "decision"}}
    left, seen = [trace["span_id"]], {trace["span_id"]}
    while left:
        for row in children.get(left.pop(), ()):
            found.add(id(row))
            if row["span_id"] not in seen:
                seen.add(row["span_id"])
                left.append(row["span_id"])
    return [row for row in rows if id(row) in found]  # in the store's order, which knows nanoseconds


def _map(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
