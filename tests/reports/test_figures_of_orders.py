"""What became of each order, money to the last digit, against the same told in plain Python."""

from __future__ import annotations

import random
from collections import Counter
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from otel_obs.reports.registry import report
from otel_obs.reports.run import run

if TYPE_CHECKING:
    from types import ModuleType

    from clickhouse_connect.driver.client import Client

TIMES = ("submitted_at", "first_fill_at", "last_fill_at")


@pytest.fixture(scope="module")
def facts(client: Client, otlp: ModuleType, ordering: ModuleType, history: list[Any]) -> list[Any]:
    """Orders and fills of the history, some delivered twice, all out of order."""
    told: list[Any] = ordering.told(history, 3)
    rows = [fact.row(otlp) for fact in told]
    random.Random(1).shuffle(rows)
    otlp.insert(client, "otel_logs", rows)
    otlp.insert(client, "otel_logs", rows[: len(rows) // 2])
    return told


def test_orders_are_what_became_of_them(
    client: Client, history: list[Any], facts: list[Any], histories: ModuleType, ordering: ModuleType
) -> None:
    seen: set[str] = set()
    for number, asked in enumerate((*histories.questions(history, 6), *histories.questions(facts, 8))):
        for limit in (100_000, 7)[: 1 + (number == 5)]:
            expected = ordering.orders(facts, history, asked)
            answer = run(client, report("orders"), {**asked.given, "limit": str(limit)})
            rows = answer.rows
            assert [(row.service, row.order_id, row.decision_id) for row in rows] == [
                (line["service"], line["order_id"], line["decision_id"]) for line in expected[:limit]
            ], asked
            for row, line in zip(rows, expected, strict=False):
                _same(dict(vars(row)), dict(line), histories)
            states = [line["state"] for line in expected]
            seen |= set(states)
            for row in rows:
                assert (row.total, row.states) == (len(states), Counter(states))
            if rows:
                assert answer.sentence.startswith(f"{len(states)} order")
    assert seen >= {*ordering.RANKS, "asked", "partly filled", "pending_new"} - {"partially_filled"}


def _same(row: dict[str, Any], line: dict[str, Any], histories: ModuleType) -> None:
    for name in ("total", "states"):
        del row[name]
    assert histories.nanoseconds(row.pop("timestamp")) == line.pop("at") // 1000 * 1000
    for name in TIMES:
        at, told = row.pop(name), line.pop(name)
        assert (None if at is None else histories.nanoseconds(at)) == (None if told is None else told // 1000 * 1000)
    price, exact = row.pop("average_price"), line.pop("average_price")
    assert (price is None) == (exact is None), row
    if price is not None:  # cut after 18 digits
        assert 0 <= abs(exact) - abs(Fraction(price)) < Fraction(1, 10**18), row
        assert exact * Fraction(price) >= 0
    assert row == line


def test_a_summary_counts_each_order_and_each_execution_once(
    client: Client, history: list[Any], facts: list[Any], histories: ModuleType
) -> None:
    for asked in histories.questions(facts):
        chosen = [fact for fact in facts if asked.covers(fact)]
        expected: dict[str | None, tuple[int, int]] = {}
        for service in (None, *{fact.service for fact in chosen}):
            told = [fact for fact in chosen if service in {None, fact.service}]
            orders = {(fact.service, fact.order) for fact in told if fact.fill is None and fact.order}
            fills = {(fact.service, fact.order, fact.fill or fact.number) for fact in told if fact.fill is not None}
            expected[service] = (len(orders), len(fills))
        rows = run(client, report("summary"), asked.given).rows
        counts = {row.service: (row.orders, row.fills) for row in rows}
        assert {service: found for service, found in counts.items() if any(found)} == {
            service: found for service, found in expected.items() if any(found)
        }, asked
