"""Retention: counted from arrival, shown before, applied exactly, read back; size and merging beside it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from otel_obs.errors import QuestionError, StoreError
from otel_obs.store.upkeep import retention
from otel_obs.store.upkeep.optimize import optimize
from otel_obs.store.upkeep.periods import period
from otel_obs.store.upkeep.retention import apply, in_force, planned
from otel_obs.store.upkeep.size import size
from otel_obs.store.upkeep.tables import tables

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from clickhouse_connect.driver.client import Client

DAY = 86_400
WEEK_NS = 7 * DAY * 1_000_000_000


@dataclass(frozen=True)
class Arrival:
    """A span whose event is ``weeks`` weeks after NOON of the test kit, and which arrived ``days`` days ago."""

    number: int
    weeks: int
    days: int


def _arrive(client: Client, otlp: ModuleType, arrivals: Sequence[Arrival], service: str) -> None:
    """Old and new arrivals lie in the same parts: the engine alone would keep the old ones with the new."""
    now = client.query("SELECT toUnixTimestamp(now())").result_rows[0][0]
    columns = (*otlp.SPAN_COLUMNS, "ingested_at")
    packed = b"".join(
        otlp.row_binary(
            [
                otlp.span_row(
                    {"decision.what": "enter"}, number=each.number, at=otlp.NOON + each.weeks * WEEK_NS, service=service
                )
            ]
        )
        + (now - each.days * DAY).to_bytes(4, "little")
        for each in arrivals
    )
    client.raw_insert("otel.otel_traces", columns, packed, fmt="RowBinary")


def _left(client: Client, service: str) -> set[int]:
    query = "SELECT SpanId FROM otel.otel_traces FINAL WHERE ServiceName = {service:String}"
    return {int(row[0], 16) for row in client.query(query, parameters={"service": service}).result_rows}


def _counts(client: Client) -> dict[str, int]:
    return {
        table.name: client.query(f"SELECT count() FROM {table.sql} FINAL").result_rows[0][0] for table in tables(client)
    }


def _rule(client: Client, name: str) -> str:
    query = "SELECT create_table_query FROM system.tables WHERE database = 'otel' AND name = {name:String}"
    return str(client.query(query, parameters={"name": name}).result_rows[0][0])


def test_what_a_dry_run_shows_is_what_goes_and_nothing_else(asked: Client, otlp: ModuleType) -> None:
    dice = random.Random(4)
    arrivals = [Arrival(number, dice.randrange(-12, 3), dice.randrange(80)) for number in range(1, 400)]
    _arrive(asked, otlp, arrivals, "mixed")
    before = _counts(asked)
    past = {each.number for each in arrivals if each.days >= 30}

    shown = planned(asked, {"otel_traces": period("30d")})[0]
    assert shown.goes.rows == len(past)
    assert shown.stays.rows == before["otel_traces"] - len(past)
    assert 0 < shown.goes.bytes < sum(each.bytes for each in size(asked).tables if each.table == "otel_traces")
    weeks = [each.weeks for each in arrivals if each.number in past]
    assert shown.goes.first_event is not None
    assert shown.goes.last_event is not None
    assert shown.goes.first_event.timestamp() == otlp.NOON / 1e9 + min(weeks) * 7 * DAY
    assert shown.goes.last_event.timestamp() == otlp.NOON / 1e9 + max(weeks) * 7 * DAY
    assert (_left(asked, "mixed"), _counts(asked)) == ({each.number for each in arrivals}, before)

    after = apply(asked, [shown])[0]
    assert _left(asked, "mixed") == {each.number for each in arrivals} - past
    assert _counts(asked) == {**before, "otel_traces": before["otel_traces"] - len(past)}
    assert (after.goes.rows, after.stays.rows) == (0, shown.stays.rows)
    assert "TTL ingested_at + toIntervalDay(30) " in _rule(asked, "otel_traces")
    assert {each.table.name: each.goes.rows for each in in_force(asked)}["otel_traces"] == 0


def test_a_replay_of_long_ago_outlives_every_merge(asked: Client, otlp: ModuleType) -> None:
    apply(asked, planned(asked, {"otel_traces": period("1d"), "decisions": period("1d")}))
    for half in (range(500, 520), range(520, 540)):
        _arrive(asked, otlp, [Arrival(number, -52 * (number % 5), 0) for number in half], "replay")
    asked.command("OPTIMIZE TABLE otel.otel_traces FINAL")
    asked.command("OPTIMIZE TABLE otel.decisions FINAL")
    assert _left(asked, "replay") == set(range(500, 540))
    query = "SELECT count() FROM otel.decisions FINAL WHERE service = 'replay'"
    assert asked.query(query).result_rows[0][0] == 40
    assert planned(asked, {"otel_traces": period("1h")})[0].goes.rows == 0


def test_of_a_row_that_came_twice_the_later_arrival_counts(asked: Client, otlp: ModuleType) -> None:
    _arrive(asked, otlp, [Arrival(600, 0, 0), Arrival(601, 0, 25)], "twice")
    _arrive(asked, otlp, [Arrival(600, 0, 26)], "twice-elsewhere")
    now = asked.query("SELECT toUnixTimestamp(now())").result_rows[0][0]
    shown = planned(asked, {"otel_traces": period("20d")})[0]
    apply(asked, [shown])
    assert _left(asked, "twice") == {600}
    assert _left(asked, "twice-elsewhere") == set()
    assert shown.cutoff == pytest.approx(now - 20 * DAY, abs=60)


@pytest.mark.parametrize("loss", ["the rule", "the rows"])
def test_a_rule_that_was_not_taken_is_told(asked: Client, otlp: ModuleType, loss: str, monkeypatch: Any) -> None:
    """A retention call that reports success and does nothing is what we must never be."""
    _arrive(asked, otlp, [Arrival(700, 0, 900)], "kept")
    name, shown = "otel_traces", planned(asked, {"otel_traces": period("700d" if loss == "the rule" else "600d")})
    if loss == "the rule":
        monkeypatch.setattr(retention, "set_period", lambda *_: None)
    else:
        monkeypatch.setattr(retention, "_put_in_force", lambda *_: None)
        asked.command(
            f"ALTER TABLE otel.{name} MODIFY TTL {period('600d').sql} SETTINGS materialize_ttl_after_modify = 0"
        )  # type: ignore[union-attr]
        _arrive(asked, otlp, [Arrival(701, 0, 900), Arrival(702, 0, 0)], "kept")
    with pytest.raises(StoreError, match="engine says" if loss == "the rule" else "still there"):
        apply(asked, shown)


@pytest.mark.parametrize("text", ["", "30", "30m", "-3d", "3.5d", "0d", "90y", "999999999d", "30d; DROP TABLE x", "d"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    """90 years are: an arrival is kept in 32 bits, and beyond 2106 everything would be past at once."""
    with pytest.raises(QuestionError, match="forever"):
        period(text)


def test_an_unknown_table_is_told_with_the_nearest(asked: Client) -> None:
    with pytest.raises(QuestionError, match="Did you mean otel_traces"):
        planned(asked, {"otel_trace": period("1d")})
    with pytest.raises(QuestionError, match="no table"):
        planned(asked, {"schema_migrations": period("1d")})


def test_merging_makes_one_part_of_a_week_that_is_over_and_changes_no_row(asked: Client, otlp: ModuleType) -> None:
    for _ in range(3):
        _arrive(asked, otlp, [Arrival(number, -100, 0) for number in range(800, 850)], "merged")
    apply(asked, planned(asked, {"otel_traces": None}))  # what is past would go with the merge
    assert " TTL " not in _rule(asked, "otel_traces")
    assert optimize(asked, ["traces"])[0].weeks == 0
    before = _counts(asked)
    found = {each.table: each for each in optimize(asked, dry_run=True)}["otel_traces"]
    assert (found.after, found.before.parts >= 3 * found.weeks > 0) == (None, True)
    merged = {each.table: each for each in optimize(asked)}["otel_traces"]
    assert merged.after is not None
    assert merged.after.parts == merged.weeks
    assert merged.after.rows <= before["otel_traces"]
    assert _counts(asked) == before
    assert {each.weeks for each in optimize(asked, dry_run=True)} == {0}


def test_size_adds_up_with_what_the_engine_says(asked: Client) -> None:
    asked.command("OPTIMIZE TABLE otel.otel_traces FINAL")
    found = size(asked)
    assert {each.table for each in found.tables} >= {
        "otel_traces",
        "otel_logs",
        "decisions",
        "gates",
        "orders",
        "fills",
    }
    row = next(each for each in found.tables if each.table == "otel_traces")
    told = asked.query("SELECT count(), min(Timestamp), max(Timestamp) FROM otel.otel_traces FINAL").result_rows[0]
    assert (row.rows, row.first_event, row.last_event) == told
    assert row.bytes_a_row == pytest.approx(row.bytes / row.rows)
    assert row.bytes > 0
    assert row.uncompressed > 0
    assert row.rows_a_day > 0
    assert found.free
    assert found.left_over == ()
