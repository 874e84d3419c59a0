"""The figures of traces and stages, each worked out here by other means from the same random histories."""

from __future__ import annotations

import itertools
import json
import statistics
from collections import Counter, defaultdict
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from otel_obs.reports.registry import report
from otel_obs.reports.run import run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from clickhouse_connect.driver.client import Client

    Inner = dict[tuple[int, int], list[Any]]


@pytest.fixture(scope="module")
def inner(history: list[Any]) -> Inner:
    """The stages directly inside each span."""
    found: Inner = defaultdict(list)
    for node in history:
        if node.kind == "stage" and node.parent is not None:
            found[node.trace, node.parent].append(node)
    return found


# ---- stages


def _own(node: Any, inside: Sequence[Any]) -> int:
    """Time in which nothing inside ran, by the moments at which something begins or ends."""
    if all(stage.at == node.at for stage in inside):  # a replay: one after the other
        return max(0, node.took - sum(stage.took for stage in inside))
    edges = {node.at, node.at + node.took} | {at for one in inside for at in (one.at, one.at + one.took)}
    marks = sorted(at for at in edges if node.at <= at <= node.at + node.took)
    return sum(
        end - start
        for start, end in itertools.pairwise(marks)
        if not any(one.at <= start and end <= one.at + one.took for one in inside)
    )


def test_stages_are_measured_and_their_own_time_adds_up(
    client: Client, history: list[Any], histories: ModuleType, inner: Inner
) -> None:
    for asked in histories.questions(history):
        told: dict[str, list[Any]] = defaultdict(list)
        for node in history:
            if node.kind == "stage" and asked.covers(node):
                told[node.name].append(node)
        own = {name: sum(_own(node, inner[node.trace, node.number]) for node in nodes) for name, nodes in told.items()}
        answer = run(client, report("stages"), asked.given)
        assert [row.stage for row in answer.rows] == sorted(told, key=lambda name: (-own[name], name)), asked
        for row in answer.rows:
            nodes = told[row.stage]
            took = [node.took for node in nodes]
            figures = [row.p50_ms, row.p95_ms, row.p99_ms, row.max_ms, row.total_ms, row.own_ms]
            expected = [*np.percentile(took, [50, 95, 99]), max(took), sum(took), own[row.stage]]
            assert figures == pytest.approx([value / 1e6 for value in expected], rel=1e-12)
            assert (row.runs, row.failed) == (len(nodes), sum(node.failed for node in nodes))
            assert row.share == (pytest.approx(own[row.stage] / sum(own.values())) if any(own.values()) else None)
            for name in ("input_tokens", "output_tokens"):
                assert getattr(row, name) == sum(node.whole_of(f"gen_ai.usage.{name}") for node in nodes)
            with localcontext(prec=200):
                assert row.cost_usd == sum((node.cost for node in nodes if node.cost is not None), Decimal(0))
        if any(own.values()):
            assert sum(row.share for row in answer.rows) == pytest.approx(1)
            assert answer.rows[0].stage in answer.sentence


def test_own_time_leaves_out_what_runs_inside_once(client: Client, otlp: ModuleType, histories: ModuleType) -> None:
    """Overlapping, outliving, before, after; and one after the other in a replay, where time stands still."""
    second, at = 10**9, otlp.NOON
    spans = {  # name → start, length, parent
        "live": (0, 10, None), "a": (1, 3, "live"), "b": (2, 4, "live"),
        "late": (9, 60, "live"), "after": (20, 1, "live"),
        "replayed": (0, 10, None), "c": (0, 3, "replayed"), "d": (0, 4, "replayed"),
        "short": (0, 2, None), "long": (0, 7, "short"),
    }  # fmt: skip
    numbers = {name: 9_100_000 + number for number, name in enumerate(spans)}
    rows = [
        otlp.span_row(
            {"stage.name": name}, number=numbers[name], trace=91, parent=numbers.get(parent), service="own",
            at=at + start * second, took=length * second,
        )
        for name, (start, length, parent) in spans.items()
    ]  # fmt: skip
    otlp.insert(client, "otel_traces", rows)
    asked = histories.Question(at, at + 3600 * second, service="own")
    found = {row.stage: row.own_ms for row in run(client, report("stages"), asked.given).rows}
    assert {name: found[name] for name in ("live", "replayed", "short")} == {"live": 4e3, "replayed": 3e3, "short": 0}
    # what lies inside counts even where it is outside of the window, and only directly there
    narrow = run(client, report("stages"), histories.Question(at, at + 1000, service="own").given).rows
    assert {row.stage: row.own_ms for row in narrow}["live"] == 4e3


# ---- slowest


@pytest.mark.parametrize("more", [("trace", 20), ("stage", 7), ("decision", 1000), ("", 500)])
def test_the_slowest_are_the_slowest(
    client: Client, history: list[Any], histories: ModuleType, inner: Inner, more: tuple[str, int]
) -> None:
    kind, limit = more
    kinds = {"cycle": "trace", "stage": "stage", "decision": "decision"}
    for asked in histories.questions(history):
        expected = sorted(
            (
                node
                for node in history
                if kinds.get(node.kind) in ({kind} if kind else {*kinds.values()}) and asked.covers(node)
            ),
            key=lambda node: (-node.took, -node.at, node.trace, node.number),
        )[:limit]
        rows = run(client, report("slowest"), {**asked.given, "kind": kind, "limit": str(limit)}).rows
        assert [
            (row.span_id, row.kind, row.name, row.duration_ms, row.status, row.longest_stage, row.longest_stage_ms)
            for row in rows
        ] == [
            (node.id, kinds[node.kind], node.name, node.took / 1e6, node.status, name, ms)
            for node in expected
            for name, ms in [_longest(inner[node.trace, node.number])]
        ], asked


def _longest(inside: Sequence[Any]) -> tuple[str, float | None]:
    took, name = max(((stage.took, stage.name) for stage in inside), default=(0, ""))
    return (name, took / 1e6) if inside else ("", None)


# ---- traces, gate failures


FILTERS: list[dict[str, str]] = [
    {}, {"intent": "trade"}, {"domain": "edtech", "project": "atlas"}, {"project": "beta"}, {"intent": "research"},
]  # fmt: skip


def _chosen(nodes: Sequence[Any], asked: Any, given: dict[str, str]) -> list[Any]:
    found = [
        node
        for node in nodes
        if node.kind == "cycle" and asked.covers(node)
        and given.get("intent", "") in {"", node.intent}
        and all(given.get(name, "") in {"", node.said.get(f"trace.{name}", "")} for name in ("domain", "project"))
    ]  # fmt: skip
    return sorted(found, key=lambda node: (-node.at, node.trace, node.number))


def _told(node: Any) -> tuple[Any, ...]:
    return (
        node.id, node.trace_id, node.service, node.name, node.said.get("trace.project", ""), node.intent,
        node.said.get("trace.domain", ""), node.symbol, node.said["trace.query"], node.status,
        node.number_of("trace.score"), 5.0, node.passed, node.gaps, node.idle, node.took / 1e6,
    )  # fmt: skip


def _line(row: Any) -> tuple[Any, ...]:
    return (
        row.span_id, row.trace_id, row.service, row.name, row.project, row.intent, row.domain, row.symbol, row.query,
        row.status, row.score, row.score_max, row.passed, row.gaps, row.idle_reason, row.duration_ms,
    )  # fmt: skip


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"min_score": "2.5"},
        {"max_score": "2.5", "limit": "3"},
        {"status": "failed", "min_score": "0"},
        {"max_score": "-1"},
    ],
)
def test_traces_are_listed_by_what_they_say(
    client: Client, history: list[Any], histories: ModuleType, more: dict[str, str]
) -> None:
    for number, asked in enumerate(histories.questions(history)):
        given = FILTERS[number % len(FILTERS)]
        least, most = float(more.get("min_score", "-inf")), float(more.get("max_score", "inf"))
        expected = [
            node
            for node in _chosen(history, asked, given)
            if more.get("status", "") in {"", node.status}
            and (not {"min_score", "max_score"} & set(more) or node.number_of("trace.score") is not None)
            and least <= (node.number_of("trace.score") or 0) <= most
        ]
        limit = int(more.get("limit", "10000"))
        rows = run(client, report("traces"), {**asked.given, **given, **more, "limit": str(limit)}).rows
        assert [_line(row) for row in rows] == [_told(node) for node in expected][:limit], asked
        assert {row.total for row in rows} <= {len(expected)}
        assert [histories.nanoseconds(row.timestamp) for row in rows] == [node.at // 1000 * 1000 for node in expected][
            :limit
        ]


def _of_runs(asked: Any) -> dict[str, str]:
    return {name: text for name, text in asked.given.items() if name != "symbol"}


def test_gate_failures_are_the_traces_that_did_not_pass(
    client: Client, history: list[Any], histories: ModuleType
) -> None:
    for number, asked in enumerate(histories.questions(history)):
        asked.symbol, given = "", FILTERS[number % len(FILTERS)]
        expected = [node for node in _chosen(history, asked, given) if node.passed is False]
        rows = run(client, report("gate-failures"), {**_of_runs(asked), **given, "limit": "1000"}).rows
        assert [_line(row) for row in rows] == [_told(node) for node in expected], asked


@pytest.mark.parametrize("least", [1, 3, 40])
def test_principles_are_counted_in_traces(
    client: Client, history: list[Any], histories: ModuleType, least: int
) -> None:
    for number, asked in enumerate(histories.questions(history)):
        asked.symbol, given = "", FILTERS[number % len(FILTERS)]
        judged: dict[str, list[Any]] = defaultdict(list)
        for node in _chosen(history, asked, given):
            for name in {*node.principles, *node.gaps}:
                judged[name].append(node)
        expected = {}
        for name, nodes in judged.items():
            scores = [node.principles.get(name) for node in nodes]
            numbers = [score for score in scores if isinstance(score, int | float) and not isinstance(score, bool)]
            short = [node.at // 1000 * 1000 for node in nodes if name in node.gaps]
            average = pytest.approx(statistics.fmean(numbers), rel=1e-12) if numbers else None
            if len(nodes) >= least:
                expected[name] = (len(nodes), len(short), len(short) / len(nodes), average, max(short, default=None))
        rows = run(client, report("principles"), {**_of_runs(asked), **given, "min_runs": str(least)}).rows
        assert {
            row.principle: (
                row.runs, row.failures, row.failure_rate, row.average_score,
                row.last_failure and histories.nanoseconds(row.last_failure),
            )
            for row in rows
        } == expected, asked  # fmt: skip
        order = [(-row.failures, -row.failure_rate, row.principle) for row in rows]
        assert order == sorted(order)


# ---- scorecards


def _inside(trace: Any, nodes: Sequence[Any]) -> list[Any]:
    """What belongs to a trace: all of its OpenTelemetry trace where it is alone in it, else what lies below it."""
    if sum(node.kind == "cycle" for node in nodes) == 1:
        return list(nodes)
    parents = {node.number: node.parent for node in nodes}

    def is_below(node: Any) -> bool:
        at = node.parent
        while at in parents and at != trace.number:
            at = parents[at]
        return at == trace.number

    return [node for node in nodes if is_below(node)]


def test_a_scorecard_is_what_its_trace_says(client: Client, history: list[Any], histories: ModuleType) -> None:
    together = histories.by_trace(history)
    cycles = [node for node in history if node.kind == "cycle"]
    for node in cycles[::7]:
        inside = sorted(_inside(node, together[node.trace]), key=lambda one: (one.at, one.number))
        stages = [one for one in inside if one.kind == "stage"]
        decisions = [one for one in inside if one.kind == "decision"]
        card = run(client, report("scorecard"), {"id": node.id, "tz": "UTC"}).rows[0]
        assert (card.name, card.status, card.duration_ns, card.trace_id) == (
            node.name,
            node.status,
            node.took,
            node.trace_id,
        )
        assert (card.score, card.passed, list(card.gaps)) == (node.number_of("trace.score"), node.passed, node.gaps)
        assert card.principles == node.principles
        assert [(line.name, line.duration_ns, line.failed, line.cost_usd, line.decisions) for line in card.stages] == [
            (one.name, one.took, one.failed, one.cost, sum(made.parent == one.number for made in decisions))
            for one in stages
        ]
        assert [(line.outcome, line.confidence, [gate.name for gate in line.denied_by]) for line in card.decisions] == [
            (one.outcome, one.confidence, one.vetoes) for one in decisions
        ]
        assert card.counted() == dict(Counter(one.outcome for one in decisions))
        assert card.input_tokens == sum(one.whole_of("gen_ai.usage.input_tokens") for one in stages)
        with localcontext(prec=200):
            costs = [one.cost for one in stages if one.cost is not None]
            assert card.cost_usd == (sum(costs, Decimal(0)) if costs else None)


def test_a_trace_compared_with_itself_has_no_differences(client: Client, history: list[Any]) -> None:
    for node in [node for node in history if node.kind == "cycle"][::40]:
        answer = run(client, report("compare"), {"a": node.id, "b": node.id, "tz": "UTC"})
        assert answer.sentence.startswith("0 differences of ")
        assert answer.tables == []
        assert {row.delta for row in answer.rows} <= {None, 0}


def test_two_traces_are_compared_figure_by_figure_and_to_the_last_digit(client: Client, otlp: ModuleType) -> None:
    def gate(name: str, verdict: str, mode: str = "enforce") -> tuple[str, dict[str, str]]:
        return "gate.evaluated", {"gate.name": name, "gate.verdict": verdict, "gate.mode": mode}

    large, tiny = "12345678901234567890.123456789012345678", "0.000000000000000001"
    rows = [  # two traces in one OpenTelemetry trace, with a stranger's span between the second and its stage
        otlp.span_row({}, number=0xA0, trace=0xA, service="cmp"),
        otlp.span_row(
            {
                "trace.name": "one", "trace.score": "2", "trace.gaps": '["deep"]',
                "trace.principles": '{"clear": 1, "deep": "no"}',
            },
            number=0xA1, trace=0xA, parent=0xA0, took=5_000_000, service="cmp",
        ),
        otlp.span_row(
            {"stage.name": "s", "stage.cost_usd": large}, number=0xA2, trace=0xA, parent=0xA1, took=1_000_000,
        ),
        otlp.span_row({"stage.name": "s", "stage.cost_usd": tiny}, number=0xA3, trace=0xA, parent=0xA1, took=2_000_000),
        otlp.span_row(
            {"decision.what": "d"}, [gate("g", "deny"), gate("g", "deny"), gate("w", "deny", "shadow")],
            number=0xA4, trace=0xA, parent=0xA2,
        ),
        otlp.span_row(
            {
                "trace.name": "two", "trace.score": "2.5", "trace.passed": "true",
                "trace.principles": '{"clear": 4, "new": 2}',
            },
            number=0xB1, trace=0xA, parent=0xA0, took=7_500_000, at=otlp.NOON + 1, service="cmp",
        ),
        otlp.span_row({}, number=0xB2, trace=0xA, parent=0xB1),
        otlp.span_row({"stage.name": "s", "stage.cost_usd": "1"}, number=0xB3, trace=0xA, parent=0xB2, took=1_500_000),
        otlp.span_row(
            {"decision.what": "d", "decision.outcome": "executed"}, [gate("g", "pass")],
            number=0xB4, trace=0xA, parent=0xB3,
        ),
        otlp.span_row({"decision.what": "e"}, number=0xB5, trace=0xA, parent=0xB2),
    ]  # fmt: skip
    otlp.insert(client, "otel_traces", rows)
    a, b = f"{0xA1:016x}", f"{0xB1:016x}"
    answer = run(client, report("compare"), {"a": a, "b": b, "tz": "UTC"})
    found = {
        (row.subject, row.name): (row.a, row.b, row.delta)
        if row.a_text == row.b_text == ""
        else (row.a_text, row.b_text)
        for row in answer.rows
    }
    exact = Decimal("12345678901234567890.123456789012345679")
    with localcontext(prec=200):
        assert found.pop(("trace", "cost_usd")) == (exact, Decimal(1), 1 - exact)
    assert found == {
        ("trace", "score"): (2.0, 2.5, 0.5),
        ("trace", "duration_ms"): (5.0, 7.5, 2.5),
        ("trace", "input_tokens"): (0, 0, 0),
        ("trace", "output_tokens"): (0, 0, 0),
        ("trace", "decisions"): (1, 2, 1),
        ("trace", "name"): ("one", "two"),
        ("trace", "status"): ("complete", "complete"),
        ("trace", "quality gate"): ("", "passed"),
        ("stage", "s"): (3.0, 1.5, -1.5),
        ("decision", "d"): ("vetoed by g", "executed"),
        ("decision", "e"): ("", "held"),
        ("gate", "g"): (2, 0, -2),
        ("gate", "w"): (0, 0, 0),
        ("principle", "clear"): (1, 4, 3),
        ("principle", "deep"): ("no", ""),
        ("principle", "new"): (None, 2, None),
        ("gap", "deep"): ("gap", ""),
    }
    data = {(line["subject"], line["name"]): line for line in json.loads(json.dumps(answer.data))}
    assert data["trace", "cost_usd"]["delta"] == "-12345678901234567889.123456789012345679"


def test_an_id_of_a_trace_may_be_cut_short_only_while_it_names_one(client: Client, history: list[Any]) -> None:
    alone = {node.trace_id: node for node in history if node.kind == "cycle"}
    first = next(iter(alone.values()))
    whole = run(client, report("scorecard"), {"id": first.trace_id, "tz": "UTC"})
    assert whole.found
    for given in ({"a": first.id, "b": "0000"}, {"a": "ffff", "b": first.id}, {"a": "", "b": "0"}):
        answer = run(client, report("compare"), {**given, "tz": "UTC"})
        assert (answer.found, answer.data) == (False, None)
        assert ("give more of it" in answer.sentence) == ("0" in (given["b"] or " ")[:1] and given["b"] != first.id)
