"""Where figures go wrong: the ends of time, midnight and daylight saving, one, repetition, ties, no variance."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_obs.reports.registry import REPORTS, report
from otel_obs.reports.run import run

if TYPE_CHECKING:
    from types import ModuleType

    from clickhouse_connect.driver.client import Client

WINDOWED = [row for row in REPORTS if any(parameter.name == "from" for parameter in row.parameters)]
OF_SYMBOL = [row for row in WINDOWED if any(parameter.name == "symbol" for parameter in row.parameters)]
ALWAYS = {"from": "1970-01-01", "to": "2262-04-11T23:47:16Z", "tz": "UTC"}
_HEALTH = {
    "health.snapshot_trigger": "periodic_5m",
    "health.sources": '{"ws": {"kind": "websocket", "state": "fresh"}}',
}
numbers = itertools.count(10_000_000)


def _told(otlp: ModuleType, *, at: int, service: str) -> tuple[list[Any], list[Any]]:
    """Rows of a trace, a stage in it, a decision in that, its order and its fill; a snapshot; all at one moment."""
    root, stage, decision = next(numbers), next(numbers), next(numbers)
    gate = {
        "gate.name": "g",
        "gate.verdict": "deny",
        "gate.observed": "1",
        "gate.threshold": "1",
        "gate.comparison": "at_most",
    }
    trace = {
        "trace.name": "t", "trace.intent": "trade", "trace.score": "1", "trace.passed": "false",
        "trace.principles": '{"p": 1}', "trace.gaps": '["p"]',
    }  # fmt: skip
    made = {"decision.what": "enter", "decision.outcome": "executed", "decision.confidence": "1"}
    given: dict[str, Any] = {"trace": root, "at": at, "service": service}
    spans = [
        otlp.span_row(trace, number=root, **given),
        otlp.span_row({"stage.name": "s"}, number=stage, parent=root, **given),
        otlp.span_row(made, [("gate.evaluated", gate)], number=decision, parent=stage, **given),
    ]
    id_ = f"{decision:016x}"
    order = {"order.id": f"o{root}", "order.status": "submitted", "order.quantity": "1", "decision.id": id_}
    fill = {"order.id": f"o{root}", "fill.id": f"f{root}", "fill.quantity": "1", "fill.price": "2"}
    logs = [
        otlp.log_row(order, number=stage, name="order", at=at, service=service),
        otlp.log_row(fill, number=decision, name="fill", at=at, service=service),
        otlp.log_row(_HEALTH, number=root, name="health_snapshot", at=at, service=service),
    ]
    return spans, logs


def _insert(client: Client, otlp: ModuleType, told: tuple[list[Any], list[Any]]) -> None:
    otlp.insert(client, "otel_traces", told[0])
    otlp.insert(client, "otel_logs", told[1])


def _size(answer: Any) -> int:
    """How much was found."""
    row = answer.rows[0] if answer.rows else None
    return getattr(row, "decisions", len(answer.rows))


# ---- one row, its repetition, and the ends of time


@pytest.mark.parametrize(
    "at", ["1970-01-01T00:00:00Z", "1999-12-31T23:59:59.999999Z", "2100-02-28T00:00:00Z", "2262-04-11T23:47:15Z"]
)
def test_what_is_told_once_is_found_once_whenever_it_was(client: Client, otlp: ModuleType, at: str) -> None:
    service, since = f"once {at}", datetime.fromisoformat(at) - datetime(1970, 1, 1, tzinfo=UTC)
    nanoseconds = (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000
    spans, logs = _told(otlp, at=nanoseconds, service=service)
    _insert(client, otlp, (spans, logs))
    _insert(client, otlp, (spans[::-1] * 2, logs[::-1] * 2))  # repeated, it is still one
    for row in WINDOWED:
        more = {"min_runs": "1"} if row.name == "principles" else {}
        more |= {"base_from": ALWAYS["from"], "base_to": ALWAYS["from"]} if row.name == "changes" else {}
        answer = run(client, row, {**ALWAYS, **more, "service": service})
        if row.name == "summary":
            assert [(one.traces, one.decisions, one.orders, one.fills) for one in answer.rows] == [(1, 1, 1, 1)] * 2
        elif row.name not in {"rejections", "changes"}:  # nothing was vetoed; changes lists measures
            assert _size(answer) == 1
        before = run(client, row, {**ALWAYS, **more, "to": at, "service": service})
        assert _size(before) == 0


def test_of_one_record_every_quantile_is_it_and_no_share_is_more_than_all(client: Client, otlp: ModuleType) -> None:
    _insert(client, otlp, _told(otlp, at=otlp.NOON, service="one"))
    asked = {**ALWAYS, "service": "one"}
    stage = run(client, report("stages"), asked).rows[0]
    assert {stage.p50_ms, stage.p95_ms, stage.p99_ms, stage.max_ms, stage.total_ms, stage.own_ms} == {0.001}
    assert stage.share == 1
    pair = run(client, report("co-denials"), asked).rows[0]
    assert (pair.other, pair.together, pair.share, pair.overlap) == (None, 1, 1.0, None)
    near = run(client, report("near-misses"), {**asked, "near": "0"}).rows[0]
    assert (near.margin, near.margin_ratio) == (0, 0)  # at the limit
    band = run(client, report("confidence"), asked).rows[0]
    assert (band.low, band.high, band.rejection_rate) == (0.9, 1.0, 0)
    order = run(client, report("orders"), asked).rows[0]
    assert (order.state, order.average_price, order.first_fill_at) == ("filled", 2, order.timestamp)


def test_stages_that_took_no_time_have_no_bottleneck(client: Client, otlp: ModuleType) -> None:
    rows = [otlp.span_row({"stage.name": name}, number=next(numbers), took=0, service="still") for name in "ba"]
    otlp.insert(client, "otel_traces", rows)
    answer = run(client, report("stages"), {**ALWAYS, "service": "still"})
    assert [(row.stage, row.share, row.own_ms) for row in answer.rows] == [("a", None, 0), ("b", None, 0)]


def test_what_ties_is_told_in_the_same_order_every_time(client: Client, otlp: ModuleType) -> None:
    for _ in range(30):
        _insert(client, otlp, _told(otlp, at=otlp.NOON, service="ties"))
    for row in WINDOWED:
        found = [run(client, row, {**ALWAYS, "service": "ties"}).data for _ in range(2)]
        assert found[0] == found[1]
    for name in ("decisions", "traces", "slowest", "orders", "near-misses", "overridden", "gate-failures"):
        whole = run(client, report(name), {**ALWAYS, "service": "ties", "limit": "1000"}).rows
        some = run(client, report(name), {**ALWAYS, "service": "ties", "limit": "7"}).rows
        assert [vars(row) for row in some] == [vars(row) for row in whole[:7]]
        assert len(whole) == 30


# ---- names that nobody carries


@pytest.mark.parametrize("row", WINDOWED, ids=lambda row: row.name)
def test_an_unknown_service_is_told_with_the_nearest(client: Client, otlp: ModuleType, row: Any) -> None:
    _insert(client, otlp, _told(otlp, at=otlp.NOON, service="momentum"))
    answer = run(client, row, {**ALWAYS, "service": "momentun"})
    assert "momentum?" in answer.sentence
    assert row.name == "why" or not answer.found


# ---- days that are not 24 hours long


@pytest.mark.parametrize(
    "day_of",
    [
        ("Europe/Berlin", "2025-03-30", 23), ("Europe/Berlin", "2025-10-26", 25),
        ("America/New_York", "2025-11-02", 25), ("Australia/Lord_Howe", "2025-10-05", 23.5),
        ("Asia/Kolkata", "2025-10-26", 24), ("America/Santiago", "2025-09-07", 23),
    ],
)  # fmt: skip
def test_a_day_of_the_reader_is_as_long_as_his_clock_says(
    client: Client, otlp: ModuleType, day_of: tuple[str, str, float]
) -> None:
    """A decision in each quarter of an hour from the evening before to the morning after."""
    zone, day, hours = day_of
    tz, service, quarter = ZoneInfo(zone), f"day {zone} {day}", 900 * 10**9
    noon = int(datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=tz).timestamp()) * 10**9
    times = [noon + step * quarter for step in range(-4 * 20, 4 * 20)]
    rows = [otlp.span_row({"decision.what": "x"}, number=next(numbers), at=at, service=service) for at in times]
    otlp.insert(client, "otel_traces", rows)
    after = (datetime.fromisoformat(day).toordinal() + 1, day)
    asked = {"from": day, "to": datetime.fromordinal(after[0]).date().isoformat(), "tz": zone, "service": service}
    assert run(client, report("why"), asked).rows[0].decisions == hours * 4
    assert run(client, report("summary"), asked).rows[0].decisions == hours * 4
    told = run(client, report("decisions"), {**asked, "limit": "1000"}).data
    assert {row["timestamp"][:10] for row in told} == {day}
    assert len({row["timestamp"] for row in told}) == hours * 4  # the hour that comes twice has two offsets
    length = {
        row.measure: row.before
        for row in run(client, report("changes"), {**asked, "base_to": asked["from"], "base_from": "1999-01-01"}).rows
    }
    assert "decisions per day" in length


# ---- what is no number


@pytest.mark.parametrize("text", ["nan", "-nan", "inf", "-inf", "", "1e999", "null", "0x10", "\u0661", "1,5"])
def test_what_is_no_finite_number_is_in_no_figure(client: Client, otlp: ModuleType, text: str) -> None:
    service = f"no number {text}"
    gate = {
        "gate.name": "g",
        "gate.verdict": "deny",
        "gate.observed": text,
        "gate.threshold": text,
        "gate.comparison": "at_most",
    }
    rows = [
        otlp.span_row(
            {"decision.what": "d", "decision.confidence": text}, [("gate.evaluated", gate)],
            number=next(numbers), service=service,
        ),
        otlp.span_row(
            {"trace.name": "t", "trace.score": text, "trace.passed": text, "trace.principles": f'{{"p": "{text}"}}'},
            number=next(numbers), service=service,
        ),
        otlp.span_row(
            {"stage.name": "s", "stage.cost_usd": text, "gen_ai.usage.input_tokens": text},
            number=next(numbers), service=service,
        ),
    ]  # fmt: skip
    otlp.insert(client, "otel_traces", rows)
    asked = {**ALWAYS, "service": service}
    total = run(client, report("summary"), asked).rows[0]
    assert (total.scored, total.average_score, total.passed, total.not_passed) == (0, None, 0, 0)
    assert (total.input_tokens, total.cost_usd) == (0, 0)
    assert [row.low for row in run(client, report("confidence"), asked).rows] == [None]
    assert run(client, report("near-misses"), {**asked, "near": "1e300"}).rows == []
    assert run(client, report("traces"), {**asked, "min_score": "-1e300"}).rows == []
    principle = run(client, report("principles"), {**asked, "min_runs": "1"}).rows[0]
    assert (principle.runs, principle.failures, principle.average_score) == (1, 0, None)
    for row in WINDOWED:
        figures = [value for found in run(client, row, asked).rows for value in vars(found).values()]
        assert not any(isinstance(value, float) and not math.isfinite(value) for value in figures)


# ---- whatever the history, the ledgers agree


@settings(max_examples=8, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(drawn=st.tuples(st.integers(2, 2**20), st.data()))
def test_the_ledgers_of_any_history_add_up(
    client: Client, otlp: ModuleType, histories: ModuleType, ordering: ModuleType, drawn: tuple[int, st.DataObject]
) -> None:
    seed, data = drawn
    nodes = histories.spans(seed)[:-1200]
    for node in nodes:
        node.service = f"{node.service} {seed}"
    facts = ordering.told(nodes, seed + 1)
    rows = histories.span_rows(nodes, otlp)
    random.Random(seed).shuffle(rows)
    otlp.insert(client, "otel_traces", rows + rows[:300])
    otlp.insert(client, "otel_logs", [fact.row(otlp) for fact in facts])
    edges = sorted(data.draw(st.sampled_from(nodes)).at // 1000 * 1000 for _ in range(2))
    service = data.draw(st.sampled_from([*sorted({node.service for node in nodes})]))
    asked = histories.Question(*edges, service=service, symbol=data.draw(st.sampled_from(["", "BTCUSDT"]))).given

    def found(name: str, **more: str) -> list[Any]:
        return list(run(client, report(name), {**asked, **more}).rows)

    why = found("why", intent="")[0]
    cycles = why.cycles
    assert cycles.total == cycles.decided + sum(cycles.idle.values()) + cycles.failed + cycles.unexplained
    outcomes = ("executed", "vetoed", "held", "failed")
    assert why.decisions == sum(getattr(why, outcome) for outcome in outcomes)
    assert sum(why.by_gate.values()) == why.vetoed == sum(row.vetoes for row in found("rejections"))
    totals = [row for row in found("summary") if row.service is None]
    bands, listed = found("confidence"), found("decisions", limit="100000")
    for name in ("decisions", *outcomes):
        assert (
            sum(getattr(row, name) for row in totals) == getattr(why, name) == sum(getattr(row, name) for row in bands)
        )
    assert len(listed) == why.decisions
    assert Counter(row.outcome for row in listed) == Counter({name: getattr(why, name) for name in outcomes})
    assert len(found("overridden", limit="100000")) == sum(row.veto_overridden for row in listed)
    denials = {row.gate: row.gate_denied for row in found("co-denials")}
    evaluated = {row.gate: row.denied for row in found("gates") if row.mode == "enforce" and row.denied}
    assert set(denials) == set(evaluated)
    assert all(denials[gate] <= evaluated[gate] for gate in denials)  # a gate may deny a decision twice
    shares = [row.share for row in found("stages") if row.share is not None]
    assert not shares or sum(shares) == pytest.approx(1)
    orders = found("orders", limit="100000")
    states = Counter(row.state for row in orders)
    for row in orders:
        assert (row.total, row.states) == (len(orders), states)
    ended = {"filled", "cancelled", "expired", "rejected"}
    assert len(found("orders", limit="100000", state="open")) == sum(row.state not in ended for row in orders)
    same = {"base_from": asked["from"], "base_to": asked["to"]}
    assert found("changes", **same) == []
