"""The delivery ledger against a model of plain sets: whatever arrived and whatever was said, both give one answer."""

from __future__ import annotations

import itertools
import json
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st

from otel_obs.reports.registry import report
from otel_obs.reports.run import run

if TYPE_CHECKING:
    from types import ModuleType

    from clickhouse_connect.driver.client import Client

EVERYTHING = {"from": "1970-01-01", "to": "2262-04-11", "tz": "UTC"}
GAPS = 3
numbers = itertools.count(50_000_000)

_near_borders = st.sampled_from([1, 2, 65_534, 65_535, 65_536, 65_537, 131_071, 131_072, 131_073, 262_143, 262_144])
_small = st.integers(1, 60)
_counts = st.integers(0, 6)
_reasons = st.dictionaries(st.sampled_from(["queue_full", "refused", "disk_full"]), _counts, max_size=2)
_ledgers = st.fixed_dictionaries(
    {
        "numbered": st.one_of(st.just(0), _small, _near_borders, st.integers(0, 300_000)),
        "absent": st.sets(_small | _near_borders, max_size=12),
        "arrived": st.sets(_small, max_size=60) | st.sets(_near_borders | st.integers(1, 300_000), max_size=20),
        "is_dense": st.booleans(),
        "off": st.sampled_from([0, 0, 0, 0, 1, -1]),
        "sampled": _counts,
        "journaled": _counts,
        "unconfirmed": _counts,
        "untaken": _reasons,
        "lost": _reasons,
        "ended": st.booleans(),
        "is_told": st.sampled_from([True, True, True, False]),
    }
)


def _arrived(given: dict[str, Any]) -> set[int]:
    """What reaches the store: nearly all of a few, or a few of many; and some that the statement knows nothing of."""
    found = set(given["arrived"])
    if given["is_dense"]:
        found |= set(range(1, min(given["numbered"], 300) + 1))
    return found - given["absent"]


def _expected(given: dict[str, Any], arrived: set[int]) -> dict[str, Any]:
    """By sets, and by the words of the glossary."""
    if not given["is_told"]:
        return {"state": "no_statement", "stored": len(arrived), "produced": None, "unaccounted": 0, "overcounted": 0}
    numbered, lost, untaken = given["numbered"], sum(given["lost"].values()), sum(given["untaken"].values())
    stored = {number for number in arrived if number <= numbered}
    missing = numbered - len(stored)
    produced = max(0, numbered + given["sampled"] + untaken + given["off"])
    off = produced - numbered - given["sampled"] - untaken
    gone = lost + (given["unconfirmed"] if given["ended"] else 0)
    unaccounted = max(0, missing - lost - given["unconfirmed"] - given["journaled"]) + max(0, off)
    overcounted = max(0, gone - missing) + max(0, -off)
    gaps, before = [], 0
    for number in [*sorted(stored), numbered + 1]:
        if number > before + 1:
            gaps.append((before + 1, number - 1))
        before = number
    waits = missing - min(missing, lost)
    waits = min(waits, given["journaled"] + given["unconfirmed"])
    state = (
        "does_not_add_up" if unaccounted or overcounted
        else "lost" if gone or untaken
        else "waiting" if waits
        else "adds_up"
    )  # fmt: skip
    return {
        "state": state, "produced": produced, "stored": len(stored), "unaccounted": unaccounted,
        "overcounted": overcounted, "missing": missing, "since": len(arrived) - len(stored),
        "gaps": [str(first) if first == last else f"{first}-{last}" for first, last in gaps[:GAPS]],
        "missing_elsewhere": sum(last - first + 1 for first, last in gaps[GAPS:]),
    }  # fmt: skip


def _rows(given: dict[str, Any], arrived: set[int], instance: str, tier: str, otlp: ModuleType) -> Any:
    """Spans, log records and statements (an older one, too), some of them twice."""
    of = {"service": "model", "resource": {"service.instance.id": instance}}
    spans, logs = [], []
    for number in arrived:
        told = {"otel_obs.tier": tier, "otel_obs.seq": str(number)}
        if number % 3:
            spans.append(otlp.span_row(told, number=next(numbers), **of))
        else:
            logs.append(otlp.log_row(told, number=next(numbers), name="note", **of))
    if given["is_told"]:
        untaken = sum(given["untaken"].values())
        said = {name: given[name] for name in ("numbered", "journaled", "unconfirmed", "sampled")}
        said["produced"] = max(0, given["numbered"] + given["sampled"] + untaken + given["off"])
        maps = {name: json.dumps(given[name]) for name in ("untaken", "lost")}
        latest = {**said, **maps, "ended": str(given["ended"]).lower(), "delivered": len(arrived)}
        older = {"produced": 0, "numbered": 0}
        for at, told in enumerate([older, latest]):
            named = {"delivery.tier": tier, **{f"delivery.{name}": str(text) for name, text in told.items()}}
            logs.append(otlp.log_row(named, number=next(numbers), name="delivery", at=otlp.NOON + at, **of))
    return spans, logs


@pytest.mark.parametrize("seed", [1, 2])
def test_any_arrivals_and_any_statements_give_what_sets_give(client: Client, otlp: ModuleType, seed: int) -> None:
    drawn = otlp.drawn(_ledgers, 250)
    dice = random.Random(seed)
    spans, logs, expected = [], [], {}
    for index, given in enumerate(drawn):
        instance, tier = f"{seed}-{index // 2}", ("durable", "best_effort")[index % 2]
        arrived = _arrived(given)
        if arrived or given["is_told"]:
            expected[instance, tier] = (_expected(given, arrived), given)
        more_spans, more_logs = _rows(given, arrived, instance, tier, otlp)
        spans += more_spans
        logs += more_logs
    for table, rows in (("otel_traces", spans), ("otel_logs", logs)):
        dice.shuffle(rows)
        half = len(rows) // 2
        otlp.insert(client, table, rows[:half])
        otlp.insert(client, table, rows[half // 2 :])
    answer = run(client, report("delivery"), {**EVERYTHING, "gaps": str(GAPS), "service": "model"})
    found = {(row.instance, row.tier): row for row in answer.rows if row.instance and row.instance[0] == str(seed)}
    assert found.keys() == expected.keys()
    for key, (wanted, given) in expected.items():
        row = found[key]
        assert {name: getattr(row, name) for name in wanted} == wanted, (key, given)
    for row in answer.rows:
        if row.produced is not None:
            whole = row.stored + row.journaled + sum(row.dropped.values()) + row.sampled + row.unconfirmed
            assert row.produced == whole + row.unaccounted - row.overcounted, row
    assert answer.rows[0].not_numbered == 0


def test_a_million_numbers_take_a_few_kilobytes_and_the_two_that_are_missing_are_named(client: Client) -> None:
    client.command(
        "INSERT INTO otel_traces (Timestamp, TraceId, SpanId, ServiceName, ResourceAttributes, SpanAttributes) "
        "SELECT toDateTime64('2025-12-19 12:00:00', 9) + toIntervalMicrosecond(number), hex(number), hex(number), "
        "'million', map('service.instance.id', 'i'), "
        "map('otel_obs.tier', 'durable', 'otel_obs.seq', toString(number + 1)) "
        "FROM numbers(1000000) WHERE number NOT IN (499998, 999998)"
    )
    answer = run(client, report("delivery"), {**EVERYTHING, "service": "million"})
    assert [(row.instance, row.state, row.stored) for row in answer.rows] == [
        (None, "no_statement", 999_998),
        ("i", "no_statement", 999_998),
    ]
    told = {"produced": 1_000_000, "numbered": 1_000_000, "delivered": 999_998, "lost": '{"refused": 2}'}
    pairs = ", ".join(f"'delivery.{name}', '{text}'" for name, text in told.items())
    client.command(
        "INSERT INTO otel_logs (Timestamp, ServiceName, EventName, ResourceAttributes, LogAttributes) SELECT "
        "toDateTime64('2025-12-19 12:00:00', 9), 'million', 'delivery', map('service.instance.id', 'i'), "
        f"map('delivery.tier', 'durable', {pairs})"
    )
    [_, row] = run(client, report("delivery"), {**EVERYTHING, "service": "million"}).rows
    assert (row.state, row.stored, row.dropped) == ("lost", 999_998, {"refused": 2})
    assert (row.gaps, row.missing_elsewhere) == (["499999", "999999"], 0)
    client.command("OPTIMIZE TABLE delivered_numbers FINAL")
    [[rows, size]] = client.query(
        "SELECT count(), sum(length(formatRowNoNewline('RowBinary', offsets))) FROM delivered_numbers "
        "WHERE service = 'million'"
    ).result_rows
    assert rows == 16
    assert size < 16_384
