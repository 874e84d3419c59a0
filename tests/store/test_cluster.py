"""A cluster gets the tables of the same migrations, a row has one shard, and every answer is what one server says."""

from __future__ import annotations

import math
import random
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from otel_obs.errors import SchemaError, StoreError
from otel_obs.reports.registry import REPORTS
from otel_obs.reports.run import run
from otel_obs.store.client import open_directory
from otel_obs.store.cluster import SHARDED_BY, Cluster
from otel_obs.store.migrate import check, migrate, migrations, script
from otel_obs.store.upkeep import retention

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from clickhouse_connect.driver.client import Client

GOLDEN = Path(__file__).with_name("cluster.sql")
EVERYTHING = {"from": "1970-01-01", "to": "2262-04-12", "tz": "UTC"}


@pytest.fixture(scope="module")
def sharded(beside: Callable[[str], ModuleType]) -> ModuleType:
    """The cluster of two shards that one engine plays: sharded.py."""
    return beside("store/sharded.py")


@pytest.fixture
def pair(sharded: ModuleType, tmp_path: Path) -> Iterator[Client]:
    """An engine that knows a cluster, with nothing of ours."""
    with sharded.engine(tmp_path) as client, sharded.without_keeper(client):
        yield client


def test_the_ddl_of_a_cluster_is_what_was_reviewed() -> None:
    text = script(migrations(), cluster="pair")
    assert text.encode() == GOLDEN.read_bytes(), "review `otel-obs migrate --cluster pair --sql`, and keep it there"


def test_the_engine_reads_every_statement_of_the_ddl(tmp_path: Path) -> None:
    client = open_directory(tmp_path / "engine")
    statements = re.split(r";\n+", script(migrations(), cluster="a b'c"))
    formatted = [
        client.query("SELECT formatQuery({text:String})", parameters={"text": text}).result_rows[0][0]
        for text in statements
        if text
    ]
    client.close()
    assert len(formatted) > 50
    for text in formatted:
        assert (
            text.startswith("INSERT INTO otel.schema_migrations")
            or r"ON CLUSTER `a b\'c`" in text
            or ("ON CLUSTER `a b'c`" in text)
        ), text


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("DROP TABLE decisions", "other words"),
        ("OPTIMIZE TABLE decisions FINAL", "other words"),
        ("CREATE TABLE decisions (a Int8) ENGINE = ReplacingMergeTree ORDER BY a", "other words"),
        ("CREATE TABLE IF NOT EXISTS news (a Int8) ENGINE = ReplacingMergeTree ORDER BY a", "SHARDED_BY"),
        ("CREATE TABLE IF NOT EXISTS gates AS decisions", "columns are wanted"),
        ("CREATE TABLE IF NOT EXISTS otel.gates (a Int8) ENGINE = ReplacingMergeTree ORDER BY a", "plain name"),
        ("CREATE TABLE IF NOT EXISTS gates (a Int8) ENGINE = MergeTree ORDER BY a", "engine MergeTree"),
        ("CREATE TABLE IF NOT EXISTS gates (a Int8)", "without an engine"),
        ("CREATE MATERIALIZED VIEW IF NOT EXISTS v ENGINE = Log AS SELECT 1", "without TO"),
        ("CREATE MATERIALIZED VIEW IF NOT EXISTS v TO news AS SELECT 1 FROM otel_logs", "no table of ours"),
        ("CREATE MATERIALIZED VIEW IF NOT EXISTS v TO gates (a Int8) AS SELECT 1 FROM otel_logs", "TO and AS"),
        ("CREATE MATERIALIZED VIEW IF NOT EXISTS v TO gates AS SELECT 1", "reads 0 tables"),
        ("CREATE MATERIALIZED VIEW IF NOT EXISTS v TO gates AS SELECT 1 FROM elsewhere", "reads elsewhere"),
        ("CREATE MATERIALIZED VIEW IF NOT EXISTS v TO gates AS SELECT 1 FROM (SELECT 1)", r"reads \("),
        ("CREATE MATERIALIZED VIEW IF NOT EXISTS v TO gates AS SELECT 1 FROM stages JOIN fills USING a", "joins"),
        ("CREATE MATERIALIZED VIEW IF NOT EXISTS v TO gates AS SELECT 1 FROM stages, fills", "a list of tables"),
        ("CREATE MATERIALIZED VIEW IF NOT EXISTS v TO gates AS SELECT 1 FROM otel.stages", "reads otel"),
        (
            "CREATE MATERIALIZED VIEW IF NOT EXISTS v TO gates AS SELECT a IN (SELECT 1 FROM fills) FROM stages",
            "2 tables",
        ),
        ("ALTER TABLE gates ADD COLUMN IF NOT EXISTS a Int8, ADD COLUMN IF NOT EXISTS b Int8", "several"),
        ("ALTER TABLE gates DROP COLUMN a", "DROP COLUMN"),
        ("ALTER TABLE gates MODIFY COLUMN a Int8", "MODIFY COLUMN"),
        ("ALTER TABLE gates UPDATE a = 1 WHERE 1", "UPDATE"),
        ("ALTER TABLE gates", "goes on"),
        ("ALTER TABLE news ADD COLUMN IF NOT EXISTS a Int8", "no table of ours"),
        ("ALTER TABLE gates MODIFY QUERY SELECT 1 FROM stages", "MODIFY QUERY"),
    ],
)
def test_what_has_no_form_for_a_cluster_is_refused_and_never_passed_on_as_it_is(statement: str, why: str) -> None:
    with pytest.raises(SchemaError, match=why) as caught:
        Cluster(name="pair").statements(statement)
    assert statement[:40] in caught.value.what


def test_every_table_says_on_which_shard_a_row_belongs_by_what_its_sender_fixed(tmp_path: Path) -> None:
    client = open_directory(tmp_path / "engine")
    migrate(client)
    keys = dict(
        client.query(
            "SELECT name, sorting_key FROM system.tables "
            "WHERE database = 'otel' AND engine != 'MaterializedView' AND name != 'schema_migrations'"
        ).result_rows
    )
    client.close()
    assert keys.keys() == SHARDED_BY.keys()
    for table, key in keys.items():
        assert set(re.findall(r"\w+", SHARDED_BY[table])) - {"cityHash64"} <= set(re.findall(r"\w+", key)), table


def test_every_report_says_of_two_shards_what_it_says_of_one_server(
    pair: Client, otlp: ModuleType, beside: Callable[[str], ModuleType]
) -> None:
    histories, ordering = beside("reports/histories.py"), beside("reports/ordering.py")
    migrate(pair, cluster="pair")
    _one_server(pair, "alone")
    nodes = histories.spans(1)
    facts = ordering.told(nodes, 3)
    snapshots = [
        otlp.log_row(_snapshot(number), number=number, name="health_snapshot", at=otlp.NOON + number)
        for number in range(20)
    ]
    numbered, statements = _ledgers(otlp)
    sent = {
        "otel_traces": [*histories.span_rows(nodes, otlp), *numbered],
        "otel_logs": [*(fact.row(otlp) for fact in facts), *snapshots, *statements],
    }
    for table, rows in sent.items():
        random.Random(0).shuffle(rows)
        otlp.insert(pair, table, rows)
        otlp.insert(pair, table, rows[len(rows) // 2 :])
        pair.command(f"INSERT INTO alone.{table} SELECT * FROM otel.{table}_local")
    _lies_on_both_shards(pair)
    _lies_where_it_was_derived(pair)
    # what was derived may be copied as well: it meets its own kind
    for table in ("decisions", "orders", "health_snapshots"):
        pair.command(f"INSERT INTO otel.{table} SELECT * FROM alone.{table}")
    _lies_on_both_shards(pair)

    [[decision]] = pair.query("SELECT max(decision_id) FROM alone.orders WHERE decision_id != ''").result_rows
    [[trace]] = pair.query("SELECT max(trace_id) FROM alone.stages").result_rows
    answered = 0
    for row in REPORTS:
        id_ = decision if row.name == "decision" else trace
        known = {parameter.name: parameter for parameter in row.parameters}
        asked = [EVERYTHING, *(each.given for each in histories.questions(nodes, 2))] if "from" in known else [{}]
        for each in asked:
            given = {name: text for name, text in each.items() if name in known}
            given |= {name: id_ for name, parameter in known.items() if parameter.position}
            one, both = _answer(pair, "alone", row, given), _answer(pair, "otel", row, given)
            assert _rounded(both) == _rounded(one), (row.name, given)
            answered += bool(one)
    assert answered > len(REPORTS)


def _answer(client: Client, database: str, row: Any, given: dict[str, str]) -> Any:
    client.database = database
    return run(client, row, given).data


def _rounded(found: Any) -> Any:
    """A sum of fractions in another order may differ in its last bits."""
    match found:
        case float():
            return found if math.isnan(found) else float(f"{found:.12g}")
        case dict():
            return {name: _rounded(each) for name, each in found.items()}
        case list() | tuple():
            return [_rounded(each) for each in found]
    return found


def _snapshot(number: int) -> dict[str, str]:
    told = {"state": "fresh", "kind": "websocket", "staleness_ms": number}
    return {
        "event.name": "health_snapshot",
        "health.snapshot_trigger": "periodic_5m",
        "health.sources": str({"ticks": told}).replace("'", '"'),
    }


def _ledgers(otlp: ModuleType) -> tuple[list[Any], list[Any]]:
    """Two processes: numbered spans, which lie on either shard, and what is said of them."""
    spans, statements = [], []
    for place, instance in enumerate(("i-1", "i-2")):
        of = {"resource": {"service.instance.id": instance}}
        for number in {*range(1, 60), *range(65_500, 65_560)} - {7, 65_537}:
            told = {"otel_obs.tier": "durable", "otel_obs.seq": str(number)}
            spans.append(otlp.span_row(told, number=(place + 1) * 10_000_000 + number, **of))
        for at in range(10):
            counts = {"produced": at * 8_000, "numbered": at * 8_000, "delivered": 100 * place + at}
            told = {"delivery.tier": "durable", **{f"delivery.{name}": str(count) for name, count in counts.items()}}
            statements.append(otlp.log_row(told, number=at, name="delivery", at=otlp.NOON + at, **of))
    return spans, statements


def _one_server(client: Client, database: str) -> None:
    client.command(f"CREATE DATABASE {database} ENGINE = Atomic")
    client.database = database
    for migration in migrations():
        for text in migration.statements():
            client.command(text)


def _lies_on_both_shards(client: Client) -> None:
    for table in ("otel_traces", "otel_logs", "decisions", "gates", "traces", "stages", "orders", "fills",
                  "health_snapshots", "delivery", "delivered_numbers"):  # fmt: skip
        [[rows, shards]] = client.query(f"SELECT count(), uniqExact(shardNum()) FROM otel.{table} FINAL").result_rows
        [[alone]] = client.query(f"SELECT count() FROM alone.{table} FINAL").result_rows
        assert (rows, shards) == (alone, 2), table
        assert rows > 0


def _lies_where_it_was_derived(client: Client) -> None:
    """Views put a row beside the raw one; the table's own key must look for it there."""
    for raw, of_raw, of_typed, derived in (
        ("otel_traces", "TraceId, SpanId", "trace_id, span_id", ("decisions", "gates", "traces", "stages")),
        ("otel_logs", "record_hash", "record_hash", ("orders", "fills", "health_snapshots", "delivery")),
    ):
        for typed in derived:
            [[apart, together]] = client.query(
                f"SELECT countIf(r.place != t.place), countIf(r.place = t.place) "
                f"FROM (SELECT tuple({of_raw}) AS id, {SHARDED_BY[raw]} AS place FROM alone.{raw}) AS r "
                f"INNER JOIN (SELECT tuple({of_typed}) AS id, {SHARDED_BY[typed]} AS place FROM alone.{typed}) AS t "
                "ON r.id = t.id"
            ).result_rows
            assert apart == 0, typed
            assert together > 0, typed


def test_a_second_run_finds_nothing_to_do(pair: Client) -> None:
    assert migrate(pair, cluster="pair") == [migration.name for migration in migrations()]
    assert migrate(pair, cluster="pair") == check(pair, cluster="pair") == []


def test_a_cluster_that_the_server_does_not_know_is_refused_with_those_that_it_knows(pair: Client) -> None:
    with pytest.raises(StoreError, match=r"no cluster 'peer'; it knows 'other', 'pair'"):
        migrate(pair, cluster="peer")
    assert pair.query("SELECT count() FROM system.databases WHERE name = 'otel'").result_rows == [(0,)]


def test_a_server_that_has_tables_of_its_own_is_not_taken_for_one_of_a_cluster(pair: Client) -> None:
    migrate(pair)
    with pytest.raises(SchemaError, match="tables of a single server") as caught:
        migrate(pair, cluster="pair")
    assert "without --cluster" in caught.value.fix
    assert migrate(pair) == []


def test_a_server_of_a_cluster_is_not_changed_alone_nor_as_one_of_another_cluster(pair: Client) -> None:
    migrate(pair, cluster="pair")
    with pytest.raises(SchemaError, match="the cluster 'pair'") as alone:
        migrate(pair)
    with pytest.raises(SchemaError, match="the cluster 'pair', not 'other'") as other:
        migrate(pair, cluster="other")
    for caught in (alone, other):
        assert "otel-obs migrate --cluster pair" in caught.value.fix


def test_upkeep_of_one_server_does_not_look_after_one_shard_as_if_it_were_all(pair: Client) -> None:
    migrate(pair, cluster="pair")
    with pytest.raises(StoreError, match="one shard of it only"):
        retention.in_force(pair)
