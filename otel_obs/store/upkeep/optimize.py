"""Merging what is closed to one part for each week, which is what answers are fastest from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_obs.store.upkeep.asking import rows, run, silent
from otel_obs.store.upkeep.tables import named, tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clickhouse_connect.driver.client import Client

    from otel_obs.store.upkeep.asking import Progress
    from otel_obs.store.upkeep.tables import Table

_CLOSED: Final = """
SELECT partition_id AS id, count() AS parts
FROM system.parts
WHERE active AND database = {database:String} AND table = {name:String}
  AND toDateOrNull(partition) < toMonday(toDate(now('UTC')))
GROUP BY partition_id
HAVING parts > 1
ORDER BY partition_id
"""
_PARTS: Final = """
SELECT count() AS parts, sum(rows) AS rows, sum(bytes_on_disk) AS bytes
FROM system.parts
WHERE active AND database = {database:String} AND table = {name:String} AND has({ids:Array(String)}, partition_id)
"""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What some weeks of a table lie in; ``rows`` still has twice what was delivered twice into different parts."""

    parts: int
    rows: int
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Merged:
    """One table: how many of its closed weeks have several parts, before, and after (None: nothing was done)."""

    table: str
    weeks: int
    before: Parts
    after: Parts | None


def optimize(
    client: Client, names: Sequence[str] = (), *, dry_run: bool = False, progress: Progress = silent
) -> list[Merged]:
    """Merge the closed weeks of these tables (default: all) to one part each.

    Raises:
        QuestionError: there is no table of that name.
        QueryError: the store refused a statement.

    """
    known = tables(client)
    chosen = [named(known, name) for name in names] or known
    closed = {table.name: _closed(client, table) for table in chosen}
    total, done = sum(map(len, closed.values())), 0
    merged = []
    for table in chosen:
        ids = closed[table.name]
        before = _parts(client, table, ids)
        for id_ in () if dry_run else ids:
            progress(f"merging {table.name} {id_}", done, total)
            run(client, f"to merge {table.name}", f"OPTIMIZE TABLE {table.sql} PARTITION ID '{id_}' FINAL")
            done += 1
        after = None if dry_run else _parts(client, table, ids)
        merged.append(Merged(table=table.name, weeks=len(ids), before=before, after=after))
    progress("merged", done, total)
    return merged


def _closed(client: Client, table: Table) -> list[str]:
    if not table.time_column:
        return []
    found = rows(client, f"the weeks of {table.name}", _CLOSED, database=table.database, name=table.name)
    return [row["id"] for row in found]


def _parts(client: Client, table: Table, ids: Sequence[str]) -> Parts:
    doing = f"the parts of {table.name}"
    return Parts(**rows(client, doing, _PARTS, database=table.database, name=table.name, ids=list(ids))[0])
