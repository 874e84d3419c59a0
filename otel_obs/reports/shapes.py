"""From rows to answers: one pure function for each report, named as the report is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel_obs.analytics.decisions import ledger
from otel_obs.analytics.ledgers import ledgers
from otel_obs.analytics.trees import tree
from otel_obs.contract import semconv
from otel_obs.reports.answer import Answer, Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    Rows = Sequence[Mapping[str, Any]]


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}".replace(".0%", "%")


def _time(at: datetime, asked: Mapping[str, Any]) -> str:
    return at.astimezone(asked["tz"]).strftime("%Y-%m-%d %H:%M:%S")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def why(rows: Rows, asked: Mapping[str, Any]) -> Answer:
    """Why did the bot do that, or nothing?"""
    data = ledgers(rows[0])
    gates = data["by_gate"]
    if data["state"] == "never_recorded":
        asked_for = " ".join(filter(None, (asked["service"], asked["symbol"])))
        sentence = "Nothing was ever recorded" + (f" for {asked_for}" if asked_for else "") + "."
    elif data["state"] == "quiet":
        latest = _time(rows[0]["latest_record"], asked)
        sentence = f"Recorded, and quiet: no cycle and no decision in this window. The latest record is of {latest}."
    else:
        blame = ", ".join(f"{count} by {gate}" for gate, count in gates.items())
        vetoes = f"{data['vetoed']} vetoed{f' ({blame})' if blame else ''}"
        sentence = (
            f"{data['decisions']} decisions: {data['executed']} executed, {vetoes}, "
            f"{data['held']} held, {data['failed']} failed."
        )
    cycles = data["cycles"]
    idle = sum(cycles["idle"].values())
    tables = (
        Table(
            title="Cycles",
            columns=("total", "decided", "idle", "failed", "unexplained"),
            rows=[(cycles["total"], cycles["decided"], idle, cycles["failed"], cycles["unexplained"])],
        ),
        *([Table(title="Idle because", columns=("reason", "cycles"), rows=[*cycles["idle"].items()])] if idle else []),
        Table(
            title="Decisions",
            columns=("total", "executed", "vetoed", "held", "failed", "outside cycles", "rejection rate"),
            rows=[
                (
                    data["decisions"], data["executed"], data["vetoed"], data["held"], data["failed"],
                    data["outside_cycles"], _percent(data["rejection_rate"]),
                )
            ],
        ),
        *(
            [
                Table(
                    title="Vetoed by",
                    columns=("gate", "vetoes", "share"),
                    rows=[(gate, count, _percent(count / data["vetoed"])) for gate, count in gates.items()],
                )
            ]
            if gates
            else []
        ),
    )  # fmt: skip
    return Answer(sentence=sentence, data=data, tables=tables if data["state"] == "active" else ())


def rejections(rows: Rows, asked: Mapping[str, Any]) -> Answer:
    """Which gate refused how much, hour by hour?"""
    total = sum(row["vetoes"] for row in rows)
    worst = max(rows, key=lambda row: row["vetoes"], default=None)
    sentence = "No decision was vetoed."
    if worst:
        most = f"{worst['vetoes']} by {worst['gate']} from {_time(worst['hour'], asked)}"
        sentence = f"{total} vetoes; most in one hour: {most}."
    table = Table(
        columns=("hour", "gate", "vetoes", "share of vetoes", "decisions", "rejection rate"),
        rows=[
            (
                _time(row["hour"], asked), row["gate"], row["vetoes"], _percent(row["share"]), row["decisions"],
                _percent(row["rejection_rate"]),
            )
            for row in rows
        ],
    )  # fmt: skip
    return Answer(sentence=sentence, data=[dict(row) for row in rows], tables=[table] if rows else ())


_LIMIT_SIGNS: Final = {"at_most": "≤", "at_least": "≥", "equals": "=", "between": "in", "none": ""}


def gates(rows: Rows, _asked: Mapping[str, Any]) -> Answer:
    """How often does each gate pass, and where does what it sees stand against its limit?"""
    data = [{key: value for key, value in row.items() if not key.endswith("_or_nan")} for row in rows]
    strictest = next((row for row in data if row["denied"]), None)
    sentence = f"{len(data)} gates were evaluated; none denied." if data else "No gate was evaluated."
    if strictest:
        sentence = (
            f"{strictest['gate']} denied most: {strictest['denied']} of {strictest['evaluations']} "
            f"({_percent(strictest['pass_rate'])} pass)."
        )
    table = Table(
        columns=(
            "gate", "mode", "evaluations", "passed", "denied", "errors", "pass rate", "median observed", "limit",
            "near misses",
        ),
        rows=[
            (
                row["gate"], row["mode"], row["evaluations"], row["passed"], row["denied"], row["errors"],
                _percent(row["pass_rate"]), f"{_number(row['median_observed'])} {row['unit']}".strip(),
                f"{_LIMIT_SIGNS.get(row['comparison'], '')} {_number(row['median_threshold'])}".strip(),
                row["near_misses"],
            )
            for row in data
        ],
    )  # fmt: skip
    return Answer(sentence=sentence, data=data, tables=[table] if data else ())


def decisions(rows: Rows, asked: Mapping[str, Any]) -> Answer:
    """Which decisions were there?"""
    table = Table(
        columns=("time", "service", "symbol", "what", "outcome", "vetoed by", "confidence", "why", "id"),
        rows=[
            (
                _time(row["timestamp"], asked), row["service"], row["symbol"], row["what"], row["outcome"],
                row["veto_reason_primary"] or "", _percent(row["confidence"]), row["why"], row["span_id"],
            )
            for row in rows
        ],
    )  # fmt: skip
    shown = f"{len(rows)} decisions" + (", the latest first." if rows else " in this window.")
    return Answer(sentence=shown, data=[dict(row) for row in rows], tables=[table] if rows else ())


_FACTS: Final = (
    "what", "why", "confidence", "outcome", "service", "strategy", "symbol", "side", "alternatives", "inputs", "error",
    "trace_id",
)  # fmt: skip


def decision(rows: Rows, asked: Mapping[str, Any]) -> Answer:
    """What was one decision, whole?"""
    if len(rows) != 1:
        many = f"More than one decision's id starts with {asked['id']!r}: give more of it."
        none = f"No decision has the id {asked['id']!r}. `otel-obs report decisions` lists ids."
        return Answer(sentence=many if rows else none, data=None, found=False)
    data = ledger(rows[0])
    because = (
        f" by {data['veto_reason_primary']}" if data["outcome"] == "vetoed" and data["veto_reason_primary"] else ""
    )
    overridden = f", though {data['veto_reason_primary']} denied" if data["veto_overridden"] else ""
    tables = [
        Table(
            columns=("", ""),
            rows=[("time", _time(data["timestamp"], asked))]
            + [(name, data[name]) for name in _FACTS if data[name] not in (None, "", [])]
            + [("defect", text) for text in data["defects"]],
        )
    ]
    if data["gates"]:
        tables.append(
            Table(
                title="Gates, in the order of evaluation",
                columns=("gate", "verdict", "mode", "observed", "limit", "unit", "reason"),
                rows=[
                    (
                        gate["name"], gate["verdict"] or "?", gate["mode"], gate["observed"],
                        f"{_LIMIT_SIGNS.get(gate['comparison'], '')} {gate['threshold']}".strip(), gate["unit"],
                        gate["reason"],
                    )
                    for gate in data["gates"]
                ],
            )
        )  # fmt: skip
    for title in ("orders", "fills"):
        if data[title]:
            columns = tuple(data[title][0])
            tables.append(
                Table(title=title.capitalize(), columns=columns, rows=[tuple(row.values()) for row in data[title]])
            )
    return Answer(sentence=f"{data['what']}: {data['outcome']}{because}{overridden}.", data=data, tables=tables)


def _lines(nodes: Sequence[Mapping[str, Any]], asked: Mapping[str, Any], depth: int = 0) -> Iterator[tuple[Any, ...]]:
    for node in nodes:
        blame = f"by {node['veto_reason_primary']}" if node["veto_reason_primary"] else ""
        said = " ".join(filter(None, (node["outcome"], blame, node["error"])))
        what = node["attributes"].get(semconv.DECISION_WHAT)
        mark = " (parent missing)" if node["orphan"] else ""
        yield (
            _time(node["timestamp"], asked),
            f"{'  ' * depth}{node['name']}{f': {what}' if what else ''}{mark}",
            f"{node['duration_ns'] / 1e6:.3f} ms",
            said,
            node["span_id"],
        )
        yield from _lines(node["children"], asked, depth + 1)


def trace(rows: Rows, asked: Mapping[str, Any]) -> Answer:
    """What happened in one trace, as a tree with times?"""
    if not rows:
        return Answer(sentence=f"No span has the trace id {asked['id']!r}.", data=None, found=False)
    nodes = tree(rows)
    errors = sum(row["status"] == "Error" for row in rows)
    table = Table(columns=("time", "span", "took", "outcome", "id"), rows=list(_lines(nodes, asked)))
    sentence = f"{len(rows)} spans from {_time(rows[0]['timestamp'], asked)}, {errors} of them failed."
    return Answer(sentence=sentence, data={"trace_id": asked["id"], "spans": nodes}, tables=[table])
