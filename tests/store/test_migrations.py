"""Migrations run once and forward only, whatever happens on the way; a store that does not fit is told its way out."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from otel_obs.contract.streams import STREAMS
from otel_obs.errors import SchemaError, StoreError
from otel_obs.store import migrate as module
from otel_obs.store.client import open_directory
from otel_obs.store.migrate import Migration, applied, check, migrate, migrations

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

    from clickhouse_connect.driver.client import Client


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Client]:
    """An engine without anything of ours."""
    client = open_directory(tmp_path / "engine")
    yield client
    client.close()


def _tables(client: Client) -> set[str]:
    found = client.query("SELECT name FROM system.tables WHERE database = 'otel'").result_rows
    return {name for (name,) in found}


def _pretend(monkeypatch: pytest.MonkeyPatch, *those: Migration) -> None:
    monkeypatch.setattr(module, "migrations", lambda: list(those))


def test_a_fresh_store_gets_everything_once_and_a_second_run_changes_nothing(bare: Client) -> None:
    assert applied(bare) == {}
    names = [migration.name for migration in migrations()]
    assert names == sorted(names)
    assert migrate(bare) == names
    tables = _tables(bare)
    created = re.findall(
        r"CREATE (?:TABLE|MATERIALIZED VIEW) IF NOT EXISTS (\w+)", "".join(m.text for m in migrations())
    )
    assert tables == {*created, "schema_migrations"}
    assert migrate(bare) == []
    assert (check(bare), _tables(bare)) == ([], tables)


def test_retention_is_what_the_streams_say(bare: Client) -> None:
    migrate(bare)
    for stream in STREAMS:
        [[engine]] = bare.query(
            "SELECT engine_full FROM system.tables WHERE database = 'otel' AND name = {name:String}",
            parameters={"name": stream.table},
        ).result_rows
        assert f"TTL ingested_at + toIntervalDay({stream.retention_days})" in engine


def test_every_table_collapses_what_is_repeated_and_ages_from_arrival(bare: Client) -> None:
    migrate(bare)
    rows = bare.query(
        "SELECT name, engine, partition_key, sorting_key, engine_full FROM system.tables "
        "WHERE database = 'otel' AND engine != 'MaterializedView' AND name != 'schema_migrations'"
    ).result_rows
    assert len(rows) == 17
    for table, engine, partition, key, full in rows:
        if table == "delivered_numbers":  # sets, of which a union is made, whenever their numbers came
            assert (engine, partition) == ("AggregatingMergeTree", "")
        else:
            assert engine == "ReplacingMergeTree", table
            assert partition.startswith("toMonday("), table
        assert "TTL ingested_at" in full, table
        derived = {"outcome", "veto_reason_primary", "derivation", "verdict"}
        assert not set(re.findall(r"\w+", key)) & derived, table


def test_an_interrupted_migration_is_completed_by_the_next_run(bare: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = migrations()
    middle = whole[1]
    statements = middle.statements()
    broken = Migration(
        version=middle.version, name=middle.name, text=";\n".join([*statements[:2], "DROP TABLE nowhere"])
    )
    _pretend(monkeypatch, whole[0], broken, *whole[2:])
    with pytest.raises(StoreError, match="migration was refused"):
        migrate(bare)
    assert list(applied(bare)) == [whole[0].version]
    assert "decisions" in _tables(bare)

    _pretend(monkeypatch, *whole)
    assert migrate(bare) == [migration.name for migration in whole[1:]]
    assert {"decisions", "gates_from_decisions", "fills"} <= _tables(bare)


def test_a_file_that_was_changed_after_it_had_been_applied_is_refused(
    bare: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(bare)
    first, *others = migrations()
    changed = Migration(version=first.version, name=first.name, text=first.text + "\n-- a word more\n")
    _pretend(monkeypatch, changed, *others)
    with pytest.raises(SchemaError, match=first.name) as caught:
        migrate(bare)
    assert "--data" in caught.value.fix


def test_a_store_of_a_newer_version_is_refused_and_left_as_it_is(bare: Client) -> None:
    migrate(bare)
    bare.command("INSERT INTO otel.schema_migrations (version, name, sha256) VALUES (9001, '9001_the_future.sql', 'x')")
    before = _tables(bare)
    with pytest.raises(SchemaError, match=r"9001_the_future\.sql") as caught:
        migrate(bare)
    assert "pip install --upgrade" in caught.value.fix
    assert _tables(bare) == before


def test_a_semicolon_inside_a_text_does_not_end_a_statement() -> None:
    text = "-- a remark; with one\nCREATE TABLE a (b String DEFAULT 'x; y');\nSELECT 1;  \n\nSELECT 2\n"
    migration = Migration(version=1, name="0001_a.sql", text=text)
    assert migration.statements() == ["CREATE TABLE a (b String DEFAULT 'x; y')", "SELECT 1", "SELECT 2"]


def test_a_store_of_an_earlier_version_keeps_what_it_has_and_learns_what_is_new(
    bare: Client, monkeypatch: pytest.MonkeyPatch, otlp: ModuleType
) -> None:
    ours = migrations()
    _pretend(monkeypatch, *(migration for migration in ours if migration.version <= 4))  # the first release
    migrate(bare)
    stage = {"stage.name": "synthesis", "stage.cost_usd": "0.32"}
    otlp.insert(bare, "otel_traces", [otlp.span_row(stage, number=1)])
    _pretend(monkeypatch, *ours)
    assert migrate(bare) == [migration.name for migration in ours if migration.version > 4]
    otlp.insert(bare, "otel_traces", [otlp.span_row(stage, number=2)])
    found = bare.query("SELECT span_id, name, cost_usd FROM stages FINAL ORDER BY span_id").result_rows
    assert found == [(f"{1:016x}", "synthesis", None), (f"{2:016x}", "synthesis", Decimal("0.32"))]
