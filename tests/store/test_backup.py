"""Backup and restore: taken while the store runs, whole or not at all, and exact to the last column."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from otel_obs.errors import SchemaError, StoreError
from otel_obs.reports.registry import report
from otel_obs.reports.run import run
from otel_obs.store import migrate as migrating
from otel_obs.store.client import connect, open_directory
from otel_obs.store.embedded.server import Ports, Server
from otel_obs.store.migrate import migrate, migrations
from otel_obs.store.upkeep import restore as restoring
from otel_obs.store.upkeep import scratch
from otel_obs.store.upkeep.backup import backup
from otel_obs.store.upkeep.content import content
from otel_obs.store.upkeep.manifest import Manifest, read
from otel_obs.store.upkeep.periods import period
from otel_obs.store.upkeep.restore import restore
from otel_obs.store.upkeep.retention import apply, planned
from otel_obs.store.upkeep.slices import slices
from otel_obs.store.upkeep.tables import tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

    from clickhouse_connect.driver.client import Client

DAY = {"from": "2025-12-19", "to": "2025-12-20", "tz": "UTC"}


@contextmanager
def _store(path: Path) -> Iterator[Client]:
    client = open_directory(path)
    try:
        migrate(client)
        client.database = "otel"
        yield client
    finally:
        client.close()


def _exact(client: Client) -> dict[str, bytes]:
    """Every row of every table as the engine's own bytes."""
    found = {}
    for table in tables(client):
        columns = ", ".join(f"`{name}`" for name in table.columns)
        found[table.name] = client.raw_query(
            f"SELECT {columns} FROM {table.sql} FINAL ORDER BY formatRowNoNewline('RowBinary', {columns})",
            fmt="RowBinaryWithNamesAndTypes",
        )
    return found


def _told(client: Client) -> dict[str, Any]:
    return {name: run(client, report(name), DAY).data for name in ("why", "decisions", "gates", "rejections")}


def _databases(client: Client) -> set[str]:
    return {row[0] for row in client.query("SELECT name FROM system.databases").result_rows}


def _fill(client: Client, otlp: ModuleType) -> None:
    """Some of everything, through the views; names and texts that are hard to write down."""
    texts = ["", "tab\t line\n back\\slash 'quote' \\N", "ünï\u202e ☃", "nul\0inside", '{"a": [1, null]}', "\\"]
    deny = ("gate.evaluated", {"gate.name": "spread", "gate.verdict": "deny", "gate.observed": "1e-300"})
    odd = ("gate.evaluated", {"gate.name": b"\xff\xfe", "gate.verdict": "?", "gate.threshold": "nan"})
    spans = [
        otlp.span_row(
            {"decision.what": text, "decision.why": text, "trace.name": text, "stage.name": text, text: text},
            [deny, odd][: number % 3],
            number=number,
            at=otlp.NOON - number * 10 * 86_400_000_000_000,
            status="Error" if number % 2 else "Unset",
        )
        for number, text in enumerate(texts * 4, 1)
    ]
    records = [
        otlp.log_row(
            {"order.id": f"o{number}", "order.price": price, "fill.id": "f", "fill.fee": price, "note": text},
            number=number,
            name=name,
        )
        for number, (price, text) in enumerate(
            zip(
                ["0.000000000000000001", "99999999999999999999.999999999999999999", "-0.1", "no", ""],
                texts,
                strict=False,
            )
        )
        for name in ("order", "fill")
    ]
    otlp.insert(client, "otel_traces", spans)
    otlp.insert(client, "otel_logs", records)
    client.command(
        "INSERT INTO otel.decisions (service, timestamp, trace_id, span_id, confidence, derivation, ingested_at, "
        "`gates.name`, `gates.verdict`, `gates.duration_ms`) "
        "SELECT 's', toDateTime64('1970-01-01 00:00:00.000000001', 9), 't', toString(number), "
        "[nan, inf, 0.1, NULL][number + 1], 7, '2026-01-02 03:04:05', ['a', 'b'], ['deny', NULL], "
        "[NULL, 0.30000000000000004] FROM numbers(4)"
    )


@pytest.fixture
def copy(tmp_path: Path, otlp: ModuleType) -> Path:
    """A backup of a store with some of everything."""
    with _store(tmp_path / "source") as client:
        _fill(client, otlp)
        backup(client, tmp_path / "copy")
    return tmp_path / "copy"


def test_every_column_of_every_table_comes_back_to_the_last_bit(tmp_path: Path, otlp: ModuleType) -> None:
    with _store(tmp_path / "source") as client:
        _fill(client, otlp)
        rules = {"otel_logs": period("36h"), "gates": None}
        apply(client, planned(client, rules))
        taken, told, exact = backup(client, tmp_path / "copy"), _told(client), _exact(client)
        assert _databases(client) & set(scratch.SCRATCH_DATABASES) == set()
    assert {table.name for table in taken.tables} == set(exact)
    assert {table.name: table.rows for table in taken.tables}["decisions"] == 28

    with _store(tmp_path / "restored") as client:
        restored = restore(client, tmp_path / "copy")
        assert (restored.manifest, restored.resumed, restored.migrated) == (taken, False, ())
        assert _exact(client) == exact
        assert _told(client) == told
        assert _databases(client) & set(scratch.SCRATCH_DATABASES) == set()
        kept = {table.name: table.retention for table in tables(client)}
        assert (kept["otel_logs"], kept["gates"], kept["otel_traces"]) == ("36h", "forever", "90d")
        # and it is a store like any other: the views derive what comes next
        otlp.insert(client, "otel_traces", [otlp.span_row({"decision.what": "next"}, number=9_999)])
        rows = client.query("SELECT count() FROM otel.decisions FINAL WHERE what = 'next'").result_rows
        assert rows[0][0] == 1
        with pytest.raises(StoreError, match="not empty"):
            restore(client, tmp_path / "copy")


def test_a_backup_of_a_running_store_is_one_moment_of_it(tmp_path: Path, otlp: ModuleType, receiver_at: Any) -> None:
    """What was acknowledged before it is in it, and no record is there without what is derived from it."""
    server = Server(tmp_path / "source", Ports(otlp=0, clickhouse=0, web=0))
    try:
        receiver = receiver_at(server.addresses.otlp_port)
        stop = threading.Event()
        acknowledged: list[int] = []
        later = otlp.NOON + 7 * 86_400_000_000_000

        def speak() -> None:
            while not stop.is_set():
                spans = [otlp.decision("enter", otlp.gate("g"), otlp.gate("h"), at=later + n) for n in range(50)]
                receiver.send(otlp.traces(*spans))
                acknowledged.append(len(spans))

        first = [otlp.decision("enter", otlp.gate("spread"), at=otlp.NOON + n) for n in range(20)]
        receiver.send(otlp.traces(otlp.cycle(), *first))
        client = connect(server.addresses.clickhouse_url)
        client.database = "otel"
        told = _told(client)
        speaker = threading.Thread(target=speak)
        speaker.start()
        try:
            taken = []
            for number in range(3):
                while len(acknowledged) < 3 * (number + 1):
                    stop.wait(0.01)
                before = sum(acknowledged)
                taken.append((before, backup(client, tmp_path / f"copy{number}")))
        finally:
            stop.set()
            speaker.join()
        client.close()
    finally:
        server.stop()
    for number, (before, manifest) in enumerate(taken):
        with _store(tmp_path / f"restored{number}") as client:
            restore(client, tmp_path / f"copy{number}")
            _agrees(client, manifest)
            assert _told(client) == told
            counts = {copy.name: copy.rows for copy in manifest.tables}
            assert before + 21 <= counts["otel_traces"] <= sum(acknowledged) + 21
            assert counts["decisions"] == counts["otel_traces"] - 1
            assert counts["gates"] == 2 * (counts["decisions"] - 20) + 20
            missing = "SELECT count() FROM otel.otel_traces FINAL WHERE SpanId NOT IN (SELECT span_id FROM otel.{})"
            assert client.query(missing.format("decisions")).result_rows[0][0] == 1
            assert client.query(missing.format("gates")).result_rows[0][0] == 1


def test_slices_have_every_row_once_however_the_times_lie(tmp_path: Path, otlp: ModuleType) -> None:
    """A store bounds each query, so what is large is read in slices: by weeks, hours, and inside one hour."""
    hour = 3_600_000_000_000
    ats = [otlp.NOON + n for n in range(300)] + [otlp.NOON + n * hour for n in range(-400, 400)]
    ats += [2**64 - 2**61, 2**62, 2**64 - 1, 0, 0]  # 1896 and 2116; a negative number has the highest bit
    with _store(tmp_path / "source") as client:
        otlp.insert(client, "otel_traces", [otlp.span_row({}, number=n, at=at) for n, at in enumerate(ats, 1)])
        table = next(table for table in tables(client) if table.name == "otel_traces")
        found = []
        for each in slices(client, table, most=50):
            query = f"SELECT SpanId FROM {table.sql} FINAL WHERE {each.condition}"
            found.append([row[0] for row in client.query(query, parameters=dict(each.parameters)).result_rows])
    assert sorted(int(id_, 16) for ids in found for id_ in ids) == list(range(1, len(ats) + 1))
    assert max(map(len, found)) < 100


def _agrees(client: Client, manifest: Manifest) -> None:
    by_name = {table.name: table for table in tables(client)}
    for copy in manifest.tables:
        found = content(client, by_name[copy.name], copy.columns)
        assert (copy.name, found.rows, found.checksum) == (copy.name, copy.rows, copy.checksum)


@pytest.mark.parametrize("damage", ["cut", "changed", "gone", "manifest changed", "manifest cut", "manifest gone"])
def test_a_damaged_backup_is_refused_before_anything_is_touched(copy: Path, tmp_path: Path, damage: str) -> None:
    what, _, how = damage.rpartition(" ")
    file = copy / "manifest.json" if what else max(copy.rglob("*.zst"), key=lambda path: path.stat().st_size)
    content_ = bytearray(file.read_bytes())
    if how == "gone":
        file.unlink()
    elif how == "cut":
        file.write_bytes(content_[:-7])
    elif what:
        file.write_bytes(content_.replace(b'"rows": 28', b'"rows": 29'))
    else:
        content_[len(content_) // 2] ^= 1
        file.write_bytes(content_)
    with _store(tmp_path / "restored") as client:
        with pytest.raises(StoreError) as refused:
            restore(client, copy)
        assert ("manifest.json" if what else file.name) in str(refused.value)
        counts = [client.query(f"SELECT count() FROM {table.sql}").result_rows[0][0] for table in tables(client)]
        assert set(counts) == {0}
        assert _databases(client) & set(scratch.SCRATCH_DATABASES) == set()


@pytest.mark.parametrize("at", ["loading gates", "moving fills in", "moving orders in", "moved in"])
def test_an_interrupted_restore_is_finished_by_running_it_again(copy: Path, tmp_path: Path, at: str) -> None:
    def interrupt(what: str, done: int, total: int) -> None:
        if what == at:
            raise KeyboardInterrupt

    with _store(tmp_path / "restored") as client, pytest.raises(KeyboardInterrupt):
        restore(client, copy, progress=interrupt)
    with _store(tmp_path / "restored") as client:
        restored = restore(client, copy)
        assert restored.resumed == (not at.startswith("loading"))
        _agrees(client, restored.manifest)
        assert {table.retention for table in tables(client)} >= {"90d", "730d", "3650d"}
        assert _databases(client) & set(scratch.SCRATCH_DATABASES) == set()


def test_an_interrupted_backup_leaves_no_directory_and_a_killed_one_is_told(
    tmp_path: Path, otlp: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(what: str, done: int, total: int) -> None:
        if what == "copying otel_logs":
            raise KeyboardInterrupt

    with _store(tmp_path / "source") as client:
        _fill(client, otlp)
        with pytest.raises(KeyboardInterrupt):
            backup(client, tmp_path / "copies" / "copy", progress=interrupt)
        assert list((tmp_path / "copies").iterdir()) == []
        with monkeypatch.context() as killed:
            killed.setattr(scratch, "drop", lambda *_: None)
            with pytest.raises(KeyboardInterrupt):
                backup(client, tmp_path / "copies" / "copy", progress=interrupt)
        with pytest.raises(StoreError, match="--discard-interrupted"):
            backup(client, tmp_path / "copies" / "copy")
        backup(client, tmp_path / "copies" / "copy", discard_interrupted=True)
        with pytest.raises(StoreError, match="is there already"):
            backup(client, tmp_path / "copies" / "copy")
    assert read(tmp_path / "copies" / "copy").rows


def test_an_older_backup_is_loaded_and_then_brought_to_the_present_schema(
    tmp_path: Path, otlp: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as old:
        for module in (migrating, scratch, restoring):
            old.setattr(module, "migrations", lambda: migrations()[:3])
        with _store(tmp_path / "source") as client:
            otlp.insert(client, "otel_traces", [otlp.span_row({"decision.what": "enter"}, number=1)])
            manifest = backup(client, tmp_path / "copy")
    assert len(manifest.migrations) == 3
    with _store(tmp_path / "restored") as client:
        restored = restore(client, tmp_path / "copy")
        assert restored.migrated == tuple(step.name for step in migrations()[3:])
        _agrees(client, manifest)
        assert {"orders", "fills"} <= {table.name for table in tables(client)}
        assert migrate(client) == []


def test_a_newer_backup_is_refused_with_the_way_out(copy: Path, tmp_path: Path) -> None:
    manifest = read(copy)
    replace(manifest, migrations=(*manifest.migrations, (9999, "9999_later.sql", "0" * 64))).write(copy)
    with _store(tmp_path / "restored") as client, pytest.raises(SchemaError, match=r"9999_later.*Upgrade"):
        restore(client, copy)


def test_what_an_old_backup_brings_back_does_not_vanish_in_the_next_merge(tmp_path: Path, otlp: ModuleType) -> None:
    with _store(tmp_path / "source") as client:
        apply(client, planned(client, {"otel_traces": None}))
        otlp.insert(client, "otel_traces", [otlp.span_row({"decision.what": "enter"}, number=1)])
        client.command(
            "INSERT INTO otel.otel_traces SELECT * REPLACE ("
            "now() - toIntervalDay(200) AS ingested_at, 'old' AS SpanId) FROM otel.otel_traces"
        )
        taken = backup(client, tmp_path / "copy")
    rules = tuple(replace(table, retention="90d") if table.name == "otel_traces" else table for table in taken.tables)
    then = (datetime.now(UTC) - timedelta(days=150)).isoformat()
    replace(taken, tables=rules, taken_at=then).write(tmp_path / "copy")
    with _store(tmp_path / "restored") as client:
        assert restore(client, tmp_path / "copy").kept_for_ever == ("otel_traces",)
        client.command("OPTIMIZE TABLE otel.otel_traces FINAL")
        _agrees(client, taken)
        kept = {table.name: table.retention for table in tables(client)}
        assert (kept["otel_traces"], kept["otel_logs"]) == ("forever", "90d")
