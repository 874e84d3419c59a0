"""Every figure of every report equals one that is worked out here, by other means, from the same random histories."""

from __future__ import annotations

import itertools
import json
import math
import random
import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass, field
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

SECOND = 1_000_000_000
START = 1_762_048_800 * SECOND  # 2025-11-02T02:00Z; in New York an hour comes twice at 06:00Z
SPAN = 10 * 3600 * SECOND
SERVICES = ("meta", "stacker", "o'neil \\ sons")
SYMBOLS = ("", "BTCUSDT", "ETHUSDT")
GATES = {  # name → comparison, limit(s), unit
    "spread": ("at_most", (5.0,), "bps"),
    "volatility": ("at_least", (0.001,), ""),
    "hours": ("between", (9.0, 17.0), "h"),
    "regime": ("none", (), ""),
    "zero": ("at_most", (0.0,), "USD"),
}


@dataclass
class Gate:
    name: str
    verdict: str
    mode: str
    observed: Any

    def event(self) -> tuple[str, dict[str, str]]:
        comparison, limits, unit = GATES[self.name]
        threshold = json.dumps(limits) if len(limits) == 2 else "".join(map(repr, limits))
        given = {
            "name": self.name,
            "verdict": self.verdict,
            "mode": self.mode,
            "observed": str(self.observed),
            "threshold": threshold,
            "comparison": comparison,
            "unit": unit,
        }
        return "gate.evaluated", {f"gate.{key}": text for key, text in given.items()}


@dataclass
class Node:
    """One span: a cycle, another trace, a stage, a decision, or a stranger's."""

    kind: str
    number: int
    trace: int
    parent: int | None
    at: int
    service: str
    symbol: str
    intent: str = ""
    idle: str = ""
    failed: bool = False
    claimed: str = ""
    gates: list[Gate] = field(default_factory=list)

    @property
    def id(self) -> str:
        return f"{self.number:016x}"

    @property
    def vetoes(self) -> list[str]:
        return [gate.name for gate in self.gates if (gate.verdict, gate.mode) == ("deny", "enforce")]

    @property
    def outcome(self) -> str:
        """The rules of an outcome, for the plain words that are used here."""
        if self.claimed == "executed":
            return "executed"
        if self.failed or self.claimed == "failed":
            return "failed"
        return "vetoed" if self.vetoes or self.claimed == "vetoed" else "held"

    @property
    def blamed(self) -> str:
        return self.vetoes[0] if self.vetoes else "unnamed"

    def attributes(self) -> dict[str, str]:
        own = {"cycle": "trace.name", "stage": "stage.name", "decision": "decision.what"}
        found = {own[self.kind]: self.kind} if self.kind in own else {}
        found |= {"instrument.symbol": self.symbol} if self.symbol else {}
        found |= {"trace.intent": self.intent} if self.intent else {}
        found |= {"trace.idle_reason": self.idle} if self.idle else {}
        return found | ({"decision.outcome": self.claimed} if self.claimed else {})


def _gates(dice: random.Random) -> list[Gate]:
    found = []
    for name in dice.sample(sorted(GATES), dice.randrange(4)):
        limits = GATES[name][1] or (1.0,)
        near = dice.choice(limits) * dice.choice([0.5, 0.899, 0.9, 0.95, 1, 1.05, 1.1, 1.101, 3])
        observed: Any = dice.choice([near, near, near, dice.uniform(-20, 20), "calm", "nan"])
        found.append(
            Gate(
                name,
                dice.choice(["pass", "deny", "deny", "adjust", "error", "?"]),
                dice.choice(["enforce", "enforce", "shadow"]),
                observed,
            )
        )
    return found


def _history(seed: int) -> list[Node]:
    """OpenTelemetry traces of any shape: a tree of spans of all kinds, whose parents may not have arrived."""
    dice = random.Random(seed)
    numbers = itertools.count(seed * 1_000_000 + 1)
    nodes: list[Node] = []
    sizes = [*(dice.choice([1, 2, 2, 3, 5, 12]) for _ in range(160)), 1200]  # the last one is a whole session
    for trace, size in enumerate(sizes, start=seed * 100_000 + 1):
        at = START + dice.randrange(SPAN)
        service = dice.choice(SERVICES)
        spans: list[Node] = []
        for index in range(size):
            kind = (
                dice.choice(["cycle", "decision", "decision", "stage", "stranger"])
                if index
                else dice.choice(["cycle", "cycle", "cycle", "decision", "stranger"])
            )
            node = Node(
                kind=kind,
                number=next(numbers),
                trace=trace,
                parent=dice.choice(spans).number if spans else dice.choice([None, None, None, 999_999_999]),
                at=at + index % 20 * dice.choice([0, 1, SECOND, 1800 * SECOND]),
                service=service if dice.random() < 0.9 else dice.choice(SERVICES),
                symbol=dice.choice(SYMBOLS),
            )
            if index and dice.random() < 0.08:
                node.parent = 999_999_000 + index  # a span that never arrived
            if kind == "cycle":
                node.intent = dice.choice(["trade", "trade", "trade", "research", ""])
                node.idle = dice.choice(["", "", "no_data", "stale", "closed"])
            if kind == "decision":
                node.claimed = dice.choice(["", "", "", "executed", "held", "failed", "vetoed"])
                node.gates = _gates(dice)
            node.failed = dice.random() < 0.12
            spans.append(node)
        nodes += spans
    return nodes


@pytest.fixture(scope="module")
def history(client: Client, otlp: ModuleType) -> list[Node]:
    nodes = _history(1)
    rows = [
        otlp.span_row(
            node.attributes(),
            [gate.event() for gate in node.gates],
            number=node.number,
            trace=node.trace,
            parent=node.parent,
            at=node.at,
            status="Error" if node.failed else "Unset",
            service=node.service,
        )
        for node in nodes
    ]
    otlp.insert(client, "otel_traces", rows)
    random.Random(0).shuffle(rows)
    otlp.insert(client, "otel_traces", rows[: len(rows) // 2])  # delivered twice
    return nodes


# ---- the windows that are asked about


def _iso(at: int) -> str:
    return datetime.fromtimestamp(at // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{at % SECOND // 1000:06}Z"


def _whole(at: int) -> int:
    return at // 1000 * 1000  # what can be asked for: microseconds


@dataclass
class Question:
    """A window and filters, as parameters and as a predicate."""

    start: int
    end: int
    service: str = ""
    symbol: str = ""
    tz: str = "UTC"

    @property
    def given(self) -> dict[str, str]:
        return {
            "from": _iso(self.start),
            "to": _iso(self.end),
            "service": self.service,
            "symbol": self.symbol,
            "tz": self.tz,
        }

    def holds(self, node: Node) -> bool:
        symbols = {self.symbol, ""} if node.kind == "cycle" else {self.symbol}
        return (
            self.start <= node.at < self.end
            and self.service in {"", node.service}
            and (not self.symbol or node.symbol in symbols)
        )


def _questions(nodes: list[Node], count: int = 9) -> Iterable[Question]:
    dice = random.Random(5)
    yield Question(START, START + 2 * SPAN)
    yield Question(START - SPAN, START)
    for _ in range(count):
        edges = sorted(_whole(dice.choice(nodes).at + dice.choice([0, 0, 1000, -1000])) for _ in range(2))
        yield Question(
            *edges,
            service=dice.choice(["", "", *SERVICES, "unknown"]),
            symbol=dice.choice(["", "", "BTCUSDT", "DOGE"]),
            tz=dice.choice(["UTC", "Asia/Kolkata", "Asia/Kathmandu", "America/New_York", "Australia/Lord_Howe"]),
        )


# ---- why


def _cycles_of(decision: Node, nodes: dict[int, list[Node]], is_cycle: Callable[[Node], bool]) -> list[Node]:
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


def _why(nodes: list[Node], asked: Question, intent: str) -> dict[str, Any]:
    def is_cycle(node: Node) -> bool:
        return node.kind == "cycle" and intent in {"", node.intent}

    by_trace: dict[int, list[Node]] = defaultdict(list)
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
def test_why_is_what_the_histories_say(client: Client, history: list[Node], intent: str) -> None:
    for asked in _questions(history):
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


def test_a_decision_below_many_strangers_is_in_its_cycle(client: Client, otlp: ModuleType) -> None:
    """Third parties' spans between ours, a trace in a trace, and a span that is both a cycle and a decision."""
    at = START + 400 * 86_400 * SECOND
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
    data = run(client, report("why"), Question(at, at + SECOND, service="nested").given).data
    assert data["cycles"] == {"total": 4, "decided": 3, "idle": {}, "failed": 0, "unexplained": 1}
    assert (data["decisions"], data["outside_cycles"]) == (3, 1)


def test_parents_that_form_a_ring_end_the_search(client: Client, otlp: ModuleType) -> None:
    at = START + 500 * 86_400 * SECOND
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
    data = run(client, report("why"), Question(at, at + SECOND, service="ring").given).data
    assert (data["cycles"]["unexplained"], data["outside_cycles"]) == (1, 1)
    spans = run(client, report("trace"), {"id": f"{8:032x}", "tz": "UTC"}).data["spans"]
    assert sum(_size(span) for span in spans) == 3


# ---- rejections


def test_rejections_are_counted_hour_by_hour_in_the_reader_s_zone(client: Client, history: list[Node]) -> None:
    for asked in _questions(history):
        zone = ZoneInfo(asked.tz)
        hours: dict[float, list[Node]] = defaultdict(list)
        for node in history:
            if node.kind == "decision" and asked.holds(node):
                local = datetime.fromtimestamp(node.at // SECOND, zone)
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
    client: Client, history: list[Node], tz: str, minutes: int
) -> None:
    rows = run(client, report("rejections"), Question(START, START + 2 * SPAN, tz=tz).given).data
    assert rows
    for row in rows:
        assert row["hour"][14:16] == "00"
        assert datetime.fromisoformat(row["hour"]).astimezone(UTC).minute in {minutes, 60 - minutes}


def test_hours_of_a_zone_without_a_name_are_the_zone_s(
    client: Client, history: list[Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container that is given its host's /etc/localtime has a zone, and no name for it."""
    named = run(client, report("rejections"), Question(START, START + 2 * SPAN, tz="Asia/Kathmandu").given).data
    with resources.files("tzdata.zoneinfo.Asia").joinpath("Kathmandu").open("rb") as copy:
        nameless = ZoneInfo.from_file(copy, key="local")
    monkeypatch.setattr(times, "get_localzone", lambda: nameless)
    assert run(client, report("rejections"), Question(START, START + 2 * SPAN, tz="").given).data == named


# ---- gates


def _number(observed: Any) -> float | None:
    try:
        value = float(observed)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _ratio(gate: Gate) -> float | None:
    comparison, limits, _ = GATES[gate.name]
    value = _number(gate.observed)
    if value is None or comparison == "none":
        return None
    inside = {
        "at_most": lambda: (limits[0] - value, limits[0]),
        "at_least": lambda: (value - limits[0], limits[0]),
        "between": lambda: min((value - limits[0], limits[0]), (limits[1] - value, limits[1])),
    }[comparison]()
    return inside[0] / abs(inside[1]) if inside[1] else None


def _limit(gate: Gate) -> float | None:
    """The limit that counts: of two the nearer."""
    comparison, limits, _ = GATES[gate.name]
    value = _number(gate.observed)
    if comparison != "between":
        return limits[0] if limits else None
    if value is None:
        return None
    return limits[0] if value - limits[0] <= limits[1] - value else limits[1]


def _median(values: Iterable[float | None]) -> Any:
    known = [value for value in values if value is not None]
    return pytest.approx(statistics.median(known), rel=1e-12) if known else None


@pytest.mark.parametrize("near", ["0.10", "0", "0.05", "1.5"])
def test_gates_are_counted_and_their_medians_are_medians(client: Client, history: list[Node], near: str) -> None:
    for asked in itertools.islice(_questions(history), 8):
        told: dict[tuple[str, str], list[Gate]] = defaultdict(list)
        for node in history:
            if node.kind == "decision" and asked.holds(node):
                for gate in node.gates:
                    told[gate.name, gate.mode].append(gate)
        expected = {}
        for (name, mode), gates in told.items():
            verdicts = Counter(gate.verdict for gate in gates)
            ratios = [ratio for gate in gates if (ratio := _ratio(gate)) is not None]
            expected[name, mode] = {
                "evaluations": len(gates),
                "passed": verdicts["pass"] + verdicts["adjust"],
                "denied": verdicts["deny"],
                "errors": verdicts["error"],
                "unreadable": verdicts["?"],
                "pass_rate": (verdicts["pass"] + verdicts["adjust"]) / len(gates),
                "median_observed": _median(_number(gate.observed) for gate in gates),
                "median_threshold": _median(_limit(gate) for gate in gates),
                "comparison": GATES[name][0],
                "unit": GATES[name][2],
                "near_misses": sum(abs(ratio) <= float(near) for ratio in ratios),
            }
        data = run(client, report("gates"), {**asked.given, "near": near}).data
        order = [(-row["denied"], -row["evaluations"], row["gate"], row["mode"]) for row in data]
        assert order == sorted(order)
        assert {(row.pop("gate"), row.pop("mode")): row for row in data} == expected, asked


# ---- decisions, decision, trace


def test_decisions_are_listed_the_latest_first(client: Client, history: list[Node]) -> None:
    for number, asked in enumerate(_questions(history)):
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
            assert int(at.timestamp()) == node.at // SECOND
            assert at.utcoffset() == datetime.fromtimestamp(node.at // SECOND, ZoneInfo(asked.tz)).utcoffset()
            assert row["outcome"] == node.outcome
            assert row["veto_reason_primary"] == (node.vetoes[0] if node.vetoes else None)
            assert (row["service"], row["symbol"], row["trace_id"]) == (node.service, node.symbol, f"{node.trace:032x}")


def test_a_decision_is_told_whole(client: Client, history: list[Node]) -> None:
    decisions = [node for node in history if node.kind == "decision"]
    for node in random.Random(2).sample(decisions, 25):
        data = run(client, report("decision"), {"id": node.id, "tz": "UTC"}).data
        assert data["outcome"] == node.outcome
        assert [(gate["name"], gate["mode"], gate["observed"]) for gate in data["gates"]] == [
            (gate.name, gate.mode, str(gate.observed)) for gate in node.gates
        ]
        assert data["veto_reason_secondary"] == node.vetoes[1:]
        assert list(data["guard_details"]) == node.vetoes
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


def test_an_id_may_be_cut_short_only_while_it_names_one(client: Client, history: list[Node]) -> None:
    many = run(client, report("decision"), {"id": "0000", "tz": "UTC"})
    assert (many.found, many.data) == (False, None)
    assert "give more of it" in many.sentence
    none = run(client, report("decision"), {"id": "ffff", "tz": "UTC"})
    assert (none.found, none.data) == (False, None)
    assert not run(client, report("decision"), {"id": "", "tz": "UTC"}).found


def _size(span: dict[str, Any]) -> int:
    return 1 + sum(map(_size, span["children"]))


def _tree(node: Node, nodes: list[Node]) -> dict[str, Any]:
    children = sorted((one for one in nodes if one.parent == node.number), key=lambda one: (one.at, one.number))
    return {"id": node.id, "children": [_tree(child, nodes) for child in children]}


def _shape(span: dict[str, Any]) -> dict[str, Any]:
    return {"id": span["span_id"], "children": [_shape(child) for child in span["children"]]}


def test_a_trace_is_the_tree_of_its_spans(client: Client, history: list[Node]) -> None:
    by_trace: dict[int, list[Node]] = defaultdict(list)
    for node in history:
        by_trace[node.trace].append(node)
    for trace, nodes in random.Random(4).sample(sorted(by_trace.items()), 30):
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
            assert (span["duration_ns"], span["status"] == "Error") == (1_000, node.failed)


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
