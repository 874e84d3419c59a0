"""Delivered at least once, answered exactly once: whatever is sent again, however it is cut, no number changes."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from otel_obs.reports.registry import REPORTS
from otel_obs.reports.run import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from clickhouse_connect.driver.client import Client

TABLES = ("otel_traces", "otel_logs", "decisions", "gates", "traces", "stages", "orders", "fills")
SECOND = 1_000_000_000
HOUR = 3600 * SECOND


@dataclass
class History:
    """What a bot did, as records that may be cut into batches."""

    service: str
    spans: list[Any]
    records: list[Any]


def _history(otlp: ModuleType, service: str, seed: int) -> History:
    """Cycles with stages, decisions, gates, orders and fills over two weeks; maps deep and shallow."""
    dice = random.Random(seed)
    spans, records = [], []
    for number in range(40):
        at = otlp.NOON + number * 8 * HOUR + dice.randrange(SECOND)
        trace, root = otlp.new_trace(), otlp.new_span()
        shared = {"trace": trace, "at": at}
        spans.append(otlp.cycle(**shared, id=root, more={"trace.output": {"report": [], "score": 1.0}}))
        stage = otlp.span({"stage.name": "features", "stage.evidence": {"a": {"b": [1.0, {}]}}}, **shared, parent=root)
        spans.append(stage)
        for _ in range(dice.randrange(3)):
            gates = [
                otlp.gate(
                    f"gate{index}",
                    dice.choice(["pass", "deny"]),
                    observed=dice.random(),
                    threshold=0.5,
                    comparison="at_most",
                )
                for index in range(dice.randrange(4))
            ]
            made = otlp.decision(
                "enter", *gates, outcome=dice.choice([None, "executed", "held"]), **shared, parent=stage.span_id
            )
            spans.append(made)
            id_ = made.span_id.hex()
            for status in ("submitted", "filled"):
                order = otlp.order(
                    f"o{id_}", status, at=at, decision_id=id_, order_price="43210.5", order_quantity="0.01"
                )
                # a shallow map that says 1.0, beside a map that only the receiver's own code can read
                order.attributes.extend(otlp.pairs({"note": {"x": 1.0, "y": [], "z": "ü"}}))
                if dice.random() < 0.3:
                    order.attributes.extend(otlp.pairs({"deep": {"a": {"b": {"c": [1.0, 2, None]}}}}))
                records.append(order)
            records.append(otlp.fill(f"f{id_}", at=at, decision_id=id_, fill_price="43210.5", fill_quantity="0.01"))
    return History(service, spans, records)


def _numbers(client: Client) -> dict[str, Any]:
    """Every count and every answer there is."""
    rows = {table: client.query(f"SELECT count() FROM {table} FINAL").result_rows[0][0] for table in TABLES}
    found: dict[str, Any] = {"rows": rows}
    everything = {"from": "1970-01-01", "to": "2262-04-12", "tz": "UTC"}
    for row in REPORTS:
        if row.parameters[0].name == "from":
            found[row.name] = run(client, row, everything).data
    [[decision, trace]] = client.query(
        "SELECT max(span_id), max(trace_id) FROM decisions WHERE order_id = ''"
    ).result_rows
    by_name = {row.name: row for row in REPORTS}
    for name, id_ in (("decision", decision), ("trace", trace)):
        found[name] = run(client, by_name[name], {"id": id_, "tz": "UTC"}).data
    return found


def _cut(otlp: ModuleType, history: History, seed: int) -> Iterator[Any]:
    """The same records in other batches: shuffled, of any size, some of them twice in one batch."""
    dice = random.Random(seed)
    for records, packed in ((history.spans, otlp.traces), (history.records, otlp.logs)):
        left = dice.sample(records, len(records))
        while left:
            size = dice.choice([1, 2, 7, 50])
            batch, left = left[:size], left[size:]
            yield packed(*batch, *batch[: dice.randrange(2)], service=history.service)


@pytest.fixture(scope="module")
def told(otlp: ModuleType, receiver: Any, asked: Client) -> tuple[list[History], dict[str, Any]]:
    """Two bots' histories, sent once, and the numbers they make."""
    histories = [_history(otlp, "one", 1), _history(otlp, "two", 2)]
    for history in histories:
        receiver.send(otlp.traces(*history.spans, service=history.service))
        receiver.send(otlp.logs(*history.records, service=history.service))
    numbers = _numbers(asked)
    assert numbers["rows"]["otel_traces"] == sum(len(history.spans) for history in histories)
    assert numbers["rows"]["orders"] + numbers["rows"]["fills"] == sum(len(history.records) for history in histories)
    return histories, numbers


def test_a_batch_sent_twice_changes_no_number(told: Any, otlp: ModuleType, receiver: Any, asked: Client) -> None:
    histories, before = told
    for history in histories:
        receiver.send(otlp.traces(*history.spans, service=history.service), packed=True)
        receiver.send(otlp.logs(*history.records, service=history.service))
    assert _numbers(asked) == before


def test_a_batch_cut_differently_and_mixed_with_others_changes_no_number(
    told: Any, otlp: ModuleType, receiver: Any, asked: Client
) -> None:
    histories, before = told
    batches = [batch for seed, history in enumerate(histories) for batch in _cut(otlp, history, seed)]
    random.Random(3).shuffle(batches)
    for batch in batches:
        receiver.send(batch)
    assert _numbers(asked) == before


def test_the_same_records_in_the_other_encoding_change_no_number(
    told: Any, otlp: ModuleType, receiver: Any, asked: Client
) -> None:
    histories, before = told
    for history in histories:
        for path, request in (
            ("/v1/traces", otlp.traces(*history.spans, service=history.service)),
            ("/v1/logs", otlp.logs(*history.records, service=history.service)),
        ):
            assert receiver.post(path, otlp.json_bytes(request), "application/json").status == 200
    assert _numbers(asked) == before


def test_a_record_reads_the_same_alone_and_beside_one_that_has_to_be_rewritten(
    otlp: ModuleType, receiver: Any, asked: Client
) -> None:
    """A body that the engine cannot read is rewritten as a whole: its other values must not change by that."""
    values = {
        "a": 1.0,
        "b": [],
        "c": {},
        "d": 1e21,
        "e": 1e-7,
        "f": -0.0,
        "g": 'ü"\\\n\x7f/',
        "h": None,
        "i": True,
        "j": 2**53,
    }
    mine = [
        otlp.order(f"m{index}", at=otlp.NOON, order_note=value)
        for index, value in enumerate(
            [values, list(values.values()), 1e21, 1.0, b"\x00\xff", [], {}, float("inf"), [float("nan")]]
        )
    ]
    deep = otlp.order("deep", order_note={"a": {"b": {"c": 1}}})
    receiver.send(otlp.logs(*mine, service="alone"))
    receiver.send(otlp.logs(*mine, deep, service="alone"))
    assert (
        receiver.post("/v1/logs", otlp.json_bytes(otlp.logs(*mine, service="alone")), "application/json").status == 200
    )
    [[rows]] = asked.query(
        "SELECT count() FROM orders FINAL WHERE service = 'alone' AND startsWith(order_id, 'm')"
    ).result_rows
    assert rows == len(mine)


def test_merges_change_no_number(told: Any, asked: Client) -> None:
    before = _numbers(asked)
    for table in (*TABLES, "otel_traces_trace_id_ts"):
        asked.command(f"OPTIMIZE TABLE {table} FINAL")
    assert _numbers(asked) == before
    for table in TABLES:  # and now without FINAL as well
        assert asked.query(f"SELECT count() FROM {table}").result_rows[0][0] == before["rows"][table]


def test_retention_counts_from_arrival_and_does_take_what_is_too_old(
    otlp: ModuleType, receiver: Any, asked: Client
) -> None:
    receiver.send(otlp.traces(otlp.decision("of 2015", at=1_420_000_000 * SECOND), service="retention"))
    for table, time, service, days in (
        ("otel_traces", "Timestamp", "ServiceName", 91),
        ("otel_logs", "Timestamp", "ServiceName", 91),
        ("decisions", "timestamp", "service", 731),
        ("orders", "timestamp", "service", 3651),
    ):
        asked.command(
            f"INSERT INTO {table} ({time}, {service}, ingested_at) "
            f"SELECT toDateTime64('2026-06-01 00:00:00', 9), 'too old', now() - toIntervalDay({days})"
        )
        asked.command(f"OPTIMIZE TABLE {table} FINAL")
        assert asked.query(f"SELECT count() FROM {table} WHERE {service} = 'too old'").result_rows == [(0,)]
    assert asked.query("SELECT what FROM decisions FINAL WHERE service = 'retention'").result_rows == [("of 2015",)]


def test_nine_years_of_daily_bars_fit_into_one_batch_and_survive_merges(
    otlp: ModuleType, receiver: Any, asked: Client
) -> None:
    first = datetime(2004, 8, 19, tzinfo=UTC)
    spans = []
    for day in range(9 * 365):
        at = int((first + timedelta(days=day)).timestamp()) * SECOND
        trace, root = otlp.new_trace(), otlp.new_span()
        spans.append(otlp.cycle(trace=trace, id=root, at=at))
        spans.append(otlp.decision("enter", otlp.gate("cooldown"), trace=trace, parent=root, at=at))
    request = otlp.traces(*spans, service="backtest")
    why = next(row for row in REPORTS if row.name == "why")
    window = {"from": "2004-01-01", "to": "2014-01-01", "tz": "UTC", "service": "backtest"}
    receiver.send(request, packed=True)
    once = run(asked, why, window).data
    assert (once["cycles"]["decided"], once["by_gate"]) == (9 * 365, {"cooldown": 9 * 365})
    receiver.send(request)
    assert run(asked, why, window).data == once
    asked.command("OPTIMIZE TABLE decisions FINAL")
    assert run(asked, why, window).data == once
