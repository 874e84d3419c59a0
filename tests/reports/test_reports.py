"""Every figure of every report equals one that is worked out here, by other means, from the same random histories."""

from __future__ import annotations

import itertools
import json
import random
import statistics
from collections import Counter, defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from importlib import resources
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from otel_obs.reports import times
from otel_obs.reports.registry import report
from otel_obs.reports.run import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType

    from clickhouse_connect.driver.client import Client

# ---- why


def _cycles_of(decision: Any, nodes: dict[int, list[Any]], is_cycle: Callable[[Any], bool]) -> list[Any]:
    """The cycles above a decision, by following parents one by one."""
    spans = {node.number: node for node in nodes[decision.trace]}
    found, at = [], decision.parent
    while at in spans:
        if is_cycle(spans[at]):
            found.append(spans[at])
        at = spans[at].parent
    cycles = [node for node in spans.values() if is_cycle(node)]
    if not found and len(cycles) == 1 and cycles[0].parent is None:
        return cycles  # the root of a trace is above all that is in it, even where a span between them never arrived
    return found


def _why(nodes: list[Any], asked: Any, intent: str) -> dict[str, Any]:
    def is_cycle(node: Any) -> bool:
        return node.kind == "cycle" and intent in {"", node.intent}

    by_trace: dict[int, list[Any]] = defaultdict(list)
    for node in nodes:
        by_trace[node.trace].append(node)
    decisions = [node for node in nodes if node.kind == "decision"]
    above = {decision.number: _cycles_of(decision, by_trace, is_cycle) for decision in decisions}
    decided = {cycle.number for cycles in above.values() for cycle in cycles}
    cycles: Counter[str] = Counter()
    idle: Counter[str] = Counter()
    for node in nodes:
        if is_cycle(node) and asked.holds(node):
            cycles["total"] += 1
            if node.number in decided:
                cycles["decided"] += 1
            elif node.failed:
                cycles["failed"] += 1
            elif node.idle:
                idle[node.idle] += 1
            else:
                cycles["unexplained"] += 1
    chosen = [node for node in decisions if asked.holds(node)]
    ended = Counter(node.outcome for node in chosen)
    candidates = ended["vetoed"] + ended["executed"] + ended["failed"]
    known = [node for node in nodes if asked.service in {"", node.service} and node.kind in {"cycle", "decision"}]
    is_known = any(
        not asked.symbol or node.symbol == asked.symbol or (node.kind == "cycle" and not node.symbol) for node in known
    )
    return {
        "state": "active" if cycles["total"] or chosen else "quiet" if is_known else "never_recorded",
        "cycles": {
            **{name: cycles[name] for name in ("total", "decided", "failed", "unexplained")},
            "idle": dict(idle),
        },
        "decisions": len(chosen),
        **{name: ended[name] for name in ("executed", "vetoed", "held", "failed")},
        "outside_cycles": sum(not above[node.number] for node in chosen),
        "by_gate": dict(Counter(node.blamed for node in chosen if node.outcome == "vetoed")),
        "rejection_rate": ended["vetoed"] / candidates if candidates else None,
    }


@pytest.mark.parametrize("intent", ["trade", "", "research", "nothing"])
def test_why_is_what_the_histories_say(client: Client, history: list[Any], histories: ModuleType, intent: str) -> None:
    for asked in histories.questions(history):
        answer = run(client, report("why"), {**asked.given, "intent": intent})
        assert answer.data == _why(history, asked, intent), asked
        cycles = answer.data["cycles"]
        assert (
            cycles["total"]
            == cycles["decided"] + sum(cycles["idle"].values()) + cycles["failed"] + cycles["unexplained"]
        )
        assert answer.data["decisions"] == sum(answer.data[name] for name in ("executed", "vetoed", "held", "failed"))
        assert sum(answer.data["by_gate"].values()) == answer.data["vetoed"]
        counts = list(answer.data["by_gate"].values())
        assert counts == sorted(counts, reverse=True)


def test_a_decision_below_many_strangers_is_in_its_cycle(
    client: Client, otlp: ModuleType, histories: ModuleType
) -> None:
    """Third parties' spans between ours, a trace in a trace, and a span that is both a cycle and a decision."""
    at = histories.START + 400 * 86_400 * histories.SECOND
    strangers = range(7_000_002, 7_000_060)
    rows = [
        otlp.span_row({}, number=7_000_000, trace=7, at=at, service="nested"),
        otlp.span_row(
            {"trace.name": "outer", "trace.intent": "trade"},
            number=7_000_001,
            trace=7,
            parent=7_000_000,
            at=at,
            service="nested",
        ),
        *(
            otlp.span_row({}, number=number, trace=7, parent=number - 1, at=at, service="elsewhere")
            for number in strangers
        ),
        otlp.span_row(
            {"trace.name": "inner", "trace.intent": "trade"},
            number=7_000_100,
            trace=7,
            parent=strangers[-1],
            at=at,
            service="nested",
        ),
        otlp.span_row({"decision.what": "enter"}, number=7_000_101, trace=7, parent=7_000_100, at=at, service="nested"),
        otlp.span_row(
            {"trace.name": "beside", "trace.intent": "trade"},
            number=7_000_102,
            trace=7,
            parent=7_000_000,
            at=at,
            service="nested",
        ),
        otlp.span_row(
            {"decision.what": "beside all"}, number=7_000_103, trace=7, parent=7_000_000, at=at, service="nested"
        ),
        otlp.span_row(
            {"trace.name": "both", "trace.intent": "trade", "decision.what": "at once"},
            number=7_000_104,
            trace=7,
            parent=7_000_000,
            at=at,
            service="nested",
        ),
    ]
    otlp.insert(client, "otel_traces", rows)
    data = run(client, report("why"), histories.Question(at, at + histories.SECOND, service="nested").given).data
    assert data["cycles"] == {"total": 4, "decided": 3, "idle": {}, "failed": 0, "unexplained": 1}
    assert (data["decisions"], data["outside_cycles"]) == (3, 1)


def test_parents_that_form_a_ring_end_the_search(client: Client, otlp: ModuleType, histories: ModuleType) -> None:
    at = histories.START + 500 * 86_400 * histories.SECOND
    rows = [
        otlp.span_row({"decision.what": "enter"}, number=8_000_001, trace=8, parent=8_000_002, at=at, service="ring"),
        otlp.span_row({}, number=8_000_002, trace=8, parent=8_000_001, at=at, service="ring"),
        otlp.span_row(
            {"trace.name": "c", "trace.intent": "trade"},
            number=8_000_003,
            trace=8,
            parent=8_000_003,
            at=at,
            service="ring",
        ),
    ]
    otlp.insert(client, "otel_traces", rows)
    data = run(client, report("why"), histories.Question(at, at + histories.SECOND, service="ring").given).data
    assert (data["cycles"]["unexplained"], data["outside_cycles"]) == (1, 1)
    spans = run(client, report("trace"), {"id": f"{8:032x}", "tz": "UTC"}).data["spans"]
    assert sum(_size(span) for span in spans) == 3


# ---- rejections


def test_rejections_are_counted_hour_by_hour_in_the_reader_s_zone(
    client: Client, history: list[Any], histories: ModuleType
) -> None:
    for asked in histories.questions(history):
        zone = ZoneInfo(asked.tz)
        hours: dict[float, list[Any]] = defaultdict(list)
        for node in history:
            if node.kind == "decision" and asked.holds(node):
                local = datetime.fromtimestamp(node.at // histories.SECOND, zone)
                hours[local.replace(minute=0, second=0).timestamp()].append(node)
        expected = {}
        for hour, nodes in hours.items():
            ended = Counter(node.outcome for node in nodes)
            for gate, count in Counter(node.blamed for node in nodes if node.outcome == "vetoed").items():
                expected[hour, gate] = {
                    "vetoes": count,
                    "share": count / ended["vetoed"],
                    "decisions": len(nodes),
                    "vetoed": ended["vetoed"],
                    "rejection_rate": ended["vetoed"] / (ended["vetoed"] + ended["executed"] + ended["failed"]),
                }
        data = run(client, report("rejections"), asked.given).data
        found = {(datetime.fromisoformat(row.pop("hour")).timestamp(), row.pop("gate")): row for row in data}
        assert found == expected, asked
        assert list(found) == sorted(found, key=lambda key: (key[0], -found[key]["vetoes"], key[1]))


@pytest.mark.parametrize(("tz", "minutes"), [("Asia/Kolkata", 30), ("Asia/Kathmandu", 15), ("Australia/Eucla", 15)])
def test_an_hour_begins_where_the_reader_s_clock_says(
    client: Client, history: list[Any], histories: ModuleType, tz: str, minutes: int
) -> None:
    rows = run(
        client,
        report("rejections"),
        histories.Question(histories.START, histories.START + 2 * histories.SPAN, tz=tz).given,
    ).data
    assert rows
    for row in rows:
        assert row["hour"][14:16] == "00"
        assert datetime.fromisoformat(row["hour"]).astimezone(UTC).minute in {minutes, 60 - minutes}


def test_hours_of_a_zone_without_a_name_are_the_zone_s(
    client: Client, history: list[Any], histories: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container that is given its host's /etc/localtime has a zone, and no name for it."""
    named = run(
        client,
        report("rejections"),
        histories.Question(histories.START, histories.START + 2 * histories.SPAN, tz="Asia/Kathmandu").given,
    ).data
    with resources.files("tzdata.zoneinfo.Asia").joinpath("Kathmandu").open("rb") as copy:
        nameless = ZoneInfo.from_file(copy, key="local")
    monkeypatch.setattr(times, "get_localzone", lambda: nameless)
    assert (
        run(
            client,
            report("rejections"),
            histories.Question(histories.START, histories.START + 2 * histories.SPAN, tz="").given,
        ).data
        == named
    )


# ---- gates


def _median(values: Iterable[float | None]) -> Any:
    known = [value for value in values if value is not None]
    return pytest.approx(statistics.median(known), rel=1e-12) if known else None


@pytest.mark.parametrize("near", ["0.10", "0", "0.05", "1.5"])
def test_gates_are_counted_and_their_medians_are_medians(
    client: Client, history: list[Any], histories: ModuleType, near: str
) -> None:
    for asked in itertools.islice(histories.questions(history), 8):
        told: dict[tuple[str, str], list[Any]] = defaultdict(list)
        for node in history:
            if node.kind == "decision" and asked.holds(node):
                for gate in node.gates:
                    told[gate.name, gate.mode].append(gate)
        expected = {}
        for (name, mode), gates in told.items():
            verdicts = Counter(gate.verdict for gate in gates)
            close = [gate for gate in gates if gate.ratio is not None and round(abs(gate.ratio), 9) <= float(near)]
            limits = [gate.limit for gate in gates if gate.limit is not None]
            expected[name, mode] = {
                "evaluations": len(gates),
                "passed": verdicts["pass"] + verdicts["adjust"],
                "denied": verdicts["deny"],
                "errors": verdicts["error"],
                "unreadable": verdicts["?"],
                "pass_rate": (verdicts["pass"] + verdicts["adjust"]) / len(gates),
                "median_observed": _median(gate.number for gate in gates),
                "median_threshold": _median(gate.limit for gate in gates),
                "comparison": histories.GATES[name][0],
                "unit": histories.GATES[name][2],
                "lowest_threshold": min(limits, default=None),
                "highest_threshold": max(limits, default=None),
                "near_misses": len(close),
                "near_denials": sum(gate.verdict == "deny" for gate in close),
            }
        data = run(client, report("gates"), {**asked.given, "near": near}).data
        order = [(-row["denied"], -row["evaluations"], row["gate"], row["mode"]) for row in data]
        assert order == sorted(order)
        assert {(row.pop("gate"), row.pop("mode")): row for row in data} == expected, asked


# ---- decisions, decision, trace


def test_decisions_are_listed_the_latest_first(client: Client, history: list[Any], histories: ModuleType) -> None:
    for number, asked in enumerate(histories.questions(history)):
        outcome = ["", "vetoed", "executed", "held", "failed"][number % 5]
        gate = ["", "", "spread"][number % 3]
        limit = [1000, 3][number % 2]
        expected = [
            node
            for node in sorted(history, key=lambda node: (-node.at, node.trace, node.number))
            if node.kind == "decision"
            and asked.holds(node)
            and outcome in {"", node.outcome}
            and (not gate or node.vetoes[:1] == [gate])
        ]
        given = {**asked.given, "outcome": outcome, "gate": gate, "limit": str(limit)}
        data = run(client, report("decisions"), given).data
        assert [row["span_id"] for row in data] == [node.id for node in expected][:limit], asked
        for row, node in zip(data, expected, strict=False):
            at = datetime.fromisoformat(row["timestamp"])
            assert int(at.timestamp()) == node.at // histories.SECOND
            assert at.utcoffset() == datetime.fromtimestamp(node.at // histories.SECOND, ZoneInfo(asked.tz)).utcoffset()
            assert row["outcome"] == node.outcome
            assert row["veto_reason_primary"] == (node.vetoes[0] if node.vetoes else None)
            assert (row["service"], row["symbol"], row["trace_id"]) == (node.service, node.symbol, f"{node.trace:032x}")


def test_a_decision_is_told_whole(client: Client, history: list[Any], histories: ModuleType) -> None:
    decisions = [node for node in history if node.kind == "decision"]
    for node in random.Random(2).sample(decisions, 25):
        data = run(client, report("decision"), {"id": node.id, "tz": "UTC"}).data
        assert data["outcome"] == node.outcome
        assert [(gate["name"], gate["mode"], gate["observed"]) for gate in data["gates"]] == [
            (gate.name, gate.mode, str(gate.observed)) for gate in node.gates
        ]
        assert data["veto_reason_secondary"] == node.vetoes[1:]
        assert list(data["guard_details"]) == list(dict.fromkeys(node.vetoes))
        assert data["veto_overridden"] == (node.outcome == "executed" and bool(node.vetoes))
        assert data["error"] == ("it failed" if node.failed else "")


def test_a_decision_s_orders_and_fills_are_its_own_and_exact(client: Client, otlp: ModuleType) -> None:
    amount = Decimal("12345678901234567890.123456789012345678")  # all 38 digits
    otlp.insert(client, "otel_traces", [otlp.span_row({"decision.what": "enter"}, number=0xABC000)])
    mine, other = f"{0xABC000:016x}", f"{0xABC001:016x}"  # the other one's decision was sampled away
    rows = []
    for number, (id_, status, at) in enumerate([(mine, "filled", 2), (mine, "submitted", 1), (other, "submitted", 3)]):
        order = {"order.id": "o1", "order.status": status, "order.price": str(amount), "decision.id": id_}
        rows.append(otlp.log_row(order, number=number, name="order", at=otlp.NOON + at))
    fill = {
        "fill.id": "f1",
        "order.id": "o1",
        "fill.price": "0.10",
        "fill.quantity": "-0",
        "fill.fee": "1e-7",
        "decision.id": mine,
    }
    rows.append(otlp.log_row(fill, number=5, name="fill"))
    otlp.insert(client, "otel_logs", rows * 2)
    for prefix in (mine, mine[:-2]):
        data = run(client, report("decision"), {"id": prefix, "tz": "UTC"}).data
        assert [(order["status"], order["price"], order["quantity"]) for order in data["orders"]] == [
            ("submitted", str(amount), None),
            ("filled", str(amount), None),
        ]
        assert [(fill["price"], fill["quantity"], fill["fee"]) for fill in data["fills"]] == [("0.1", "0", "0.0000001")]


def test_an_id_may_be_cut_short_only_while_it_names_one(
    client: Client, history: list[Any], histories: ModuleType
) -> None:
    many = run(client, report("decision"), {"id": "0000", "tz": "UTC"})
    assert (many.found, many.data) == (False, None)
    assert "give more of it" in many.sentence
    none = run(client, report("decision"), {"id": "ffff", "tz": "UTC"})
    assert (none.found, none.data) == (False, None)
    assert not run(client, report("decision"), {"id": "", "tz": "UTC"}).found


def _size(span: dict[str, Any]) -> int:
    return 1 + sum(map(_size, span["children"]))


def _tree(node: Any, nodes: list[Any]) -> dict[str, Any]:
    children = sorted((one for one in nodes if one.parent == node.number), key=lambda one: (one.at, one.number))
    return {"id": node.id, "children": [_tree(child, nodes) for child in children]}


def _shape(span: dict[str, Any]) -> dict[str, Any]:
    return {"id": span["span_id"], "children": [_shape(child) for child in span["children"]]}


def test_a_trace_is_the_tree_of_its_spans(client: Client, history: list[Any], histories: ModuleType) -> None:
    for trace, nodes in random.Random(4).sample(sorted(histories.by_trace(history).items()), 30):
        here = {node.number for node in nodes}
        tops = sorted((node for node in nodes if node.parent not in here), key=lambda node: (node.at, node.number))
        spans = run(client, report("trace"), {"id": f"{trace:032x}", "tz": "UTC"}).data["spans"]
        assert [_shape(span) for span in spans] == [_tree(top, nodes) for top in tops]
        assert [span["orphan"] for span in spans] == [top.parent is not None for top in tops]
        flat = {span["span_id"]: span for span in _flat(spans)}
        for node in nodes:
            span = flat[node.id]
            assert span["outcome"] == (node.outcome if node.kind == "decision" else "")
            assert span["gates_evaluated"] == len(node.gates)
            assert (span["duration_ns"], span["status"] == "Error") == (node.took, node.failed)


def _flat(spans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for span in spans for one in (span, *_flat(span["children"]))]


def test_a_trace_of_spans_that_were_never_closed_is_still_told(client: Client, otlp: ModuleType) -> None:
    """A bot that opens each cycle inside the one before makes a tree as deep as its day is long."""
    first, count = 6_000_000, 3_000
    rows = [
        otlp.span_row(
            {"trace.name": "c"},
            number=first + n,
            trace=6,
            parent=first + n - 1 if n else None,
            at=otlp.NOON + n,
            service="deep",
        )
        for n in range(count)
    ]
    otlp.insert(client, "otel_traces", rows)
    answer = run(client, report("trace"), {"id": f"{6:032x}", "tz": "UTC"})
    assert len(_flat(answer.data["spans"])) == count
    assert len(answer.tables[0].rows) == count
    assert json.loads(json.dumps(answer.data))
