"""A picture of the store that stands still: its own tables go on, these share their parts and cost no room."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from otel_obs.errors import StoreError
from otel_obs.store.client import DATABASE
from otel_obs.store.upkeep import scratch
from otel_obs.store.upkeep.asking import quoted, rows, run
from otel_obs.store.upkeep.tables import Table, tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clickhouse_connect.driver.client import Client

_POLL_SECONDS: Final = 0.1
_PATIENCE_SECONDS: Final = 60.0
_SLACK_SECONDS: Final = 2

# Where rows come in: what views read from and none writes to.
_RAW: Final = """
WITH (SELECT groupArray(create_table_query) FROM system.tables
      WHERE database = {database:String} AND engine = 'MaterializedView') AS views
SELECT name FROM system.tables
WHERE database = {database:String} AND notEmpty(dependencies_table)
  AND NOT arrayExists(view -> position(view, concat(' TO ', database, '.', name, ' ')) > 0, views)
"""
_RUNNING: Final = """
SELECT toUnixTimestamp(now()) AS now, groupArrayIf(query_id, inserts) AS ids, maxIf(elapsed, inserts) AS longest
FROM (SELECT query_id, elapsed, query_kind IN ('Insert', 'AsyncInsertFlush') AS inserts FROM system.processes)
"""
_STILL_RUNNING: Final = "SELECT count() AS count FROM system.processes WHERE has({ids:Array(String)}, query_id)"
_AGAIN: Final = """
INSERT INTO {copy} SELECT * FROM {copy} WHERE ingested_at >= toDateTime({{since:Int64}}, 'UTC')
"""
# Merging keeps the highest number of a block, and every insert makes a higher one.
_BLOCKS: Final = """
SELECT table, groupArray((partition_id, last)) AS blocks
FROM (SELECT table, partition_id, max(max_block_number) AS last FROM system.parts
      WHERE active AND database = {database:String} AND has({names:Array(String)}, table)
      GROUP BY table, partition_id ORDER BY table, partition_id)
GROUP BY table ORDER BY table
"""


@contextmanager
def snapshot(client: Client, migrations: Sequence[tuple[int, str, str]]) -> Iterator[list[Table]]:
    """The store's tables as they are now, in a database of their own, which is removed in the end.

    All that had been stored when it began is in it, whole. Rows that arrive while it is being made may be in it, too,
    and if so with all that is derived from them.

    Raises:
        StoreError: another snapshot is being used.
        QueryError: the store refused a statement.

    """
    if scratch.exists(client, scratch.SNAPSHOT):
        raise StoreError(
            f"Another backup is running, or one was killed: there is a database {scratch.SNAPSHOT}.",
            fix="Wait for it; or, if none is running, run the backup with --discard-interrupted.",
        )
    try:
        scratch.build(client, scratch.SNAPSHOT, migrations)
        frozen = {table.name: table for table in tables(client, database=scratch.SNAPSHOT)}
        for table in frozen.values():
            run(client, f"to let {table.sql} rest", f"SYSTEM STOP MERGES {table.sql}")
        _fill(client, [table for table in tables(client) if table.name in frozen])
        yield list(frozen.values())
    finally:
        scratch.drop(client, scratch.SNAPSHOT)


def _fill(client: Client, own: Sequence[Table]) -> None:
    """Raw tables last: what slips in meanwhile is then in a raw table at least, and can be derived anew."""
    doing = "a snapshot"
    raw = {row["name"] for row in rows(client, doing, _RAW, database=DATABASE)}
    before = _blocks(client, raw)
    running = rows(client, doing, _RUNNING)[0]
    for table in own:
        if table.name not in raw:
            _share(client, table)
    _wait(client, running["ids"])
    for table in own:
        if table.name in raw:
            _share(client, table)
    if running["ids"] or before != _blocks(client, raw):
        since = running["now"] - int(running["longest"]) - _SLACK_SECONDS
        for name in sorted(raw):
            copy = f"{quoted(scratch.SNAPSHOT)}.{quoted(name)}"
            run(
                client, f"to derive what had just arrived in {name}",
                _AGAIN.format(copy=copy), since=since,
            )  # fmt: skip


def _share(client: Client, table: Table) -> None:
    copy = f"{quoted(scratch.SNAPSHOT)}.{quoted(table.name)}"
    run(client, f"a snapshot of {table.name}", f"ALTER TABLE {copy} ATTACH PARTITION ALL FROM {table.sql}")


def _blocks(client: Client, names: set[str]) -> list[tuple[str, tuple[tuple[str, int], ...]]]:
    found = rows(client, "a snapshot", _BLOCKS, database=DATABASE, names=sorted(names))
    return [(row["table"], tuple(map(tuple, row["blocks"]))) for row in found]


def _wait(client: Client, ids: Sequence[str]) -> None:
    """Until these inserts have ended: what they have in a derived table they then have in the raw one."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while ids and rows(client, "a snapshot", _STILL_RUNNING, ids=list(ids))[0]["count"]:
        if time.monotonic() > deadline:
            raise StoreError(
                f"An INSERT has been running for more than {_PATIENCE_SECONDS:g} s.",
                fix="Look at system.processes; run the backup again when it has ended.",
            )
        time.sleep(_POLL_SECONDS)
