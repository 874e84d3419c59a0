"""How large the store is, what it grows by, and how much room there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from otel_obs.store.upkeep.asking import rows
from otel_obs.store.upkeep.scratch import SCRATCH_DATABASES
from otel_obs.store.upkeep.tables import tables

if TYPE_CHECKING:
    from datetime import datetime

    from clickhouse_connect.driver.client import Client

    from otel_obs.store.upkeep.tables import Table

_LATELY_DAYS: Final = 7
_PARTS: Final = """
SELECT
    sumIf(rows, active) AS rows,
    countIf(active) AS parts,
    sumIf(bytes_on_disk, active) AS bytes,
    sumIf(data_uncompressed_bytes, active) AS uncompressed,
    sumIf(bytes_on_disk, NOT active) AS leaving
FROM system.parts
WHERE database = {database:String} AND table = {name:String}
"""
# A day is counted whole only after it is over, so a store of some hours is not taken for one of a week.
_TIMES: Final = """
SELECT
    min({event}) AS first, max({event}) AS last,
    countIf(ingested_at > now('UTC') - toIntervalDay({{days:UInt32}})) AS lately,
    greatest(1, least({{days:UInt32}}, dateDiff('second', min(ingested_at), now('UTC')) / 86400)) AS over
FROM {table}
HAVING count() > 0
"""
_LEFT_OVER: Final = "SELECT name FROM system.databases WHERE has({names:Array(String)}, name) ORDER BY name"


@dataclass(frozen=True, kw_only=True)
class TableSize:
    """One table; ``leaving`` bytes are of parts that the engine has replaced and not yet removed."""

    table: str
    rows: int
    parts: int
    bytes: int
    uncompressed: int
    leaving: int
    first_event: datetime | None
    last_event: datetime | None
    rows_a_day: float
    retention: str

    @property
    def bytes_a_row(self) -> float | None:
        """On disk; None without rows."""
        return self.bytes / self.rows if self.rows else None

    @property
    def bytes_a_day(self) -> float:
        """What the table grew by, by rows that arrived in the last seven days."""
        return self.rows_a_day * (self.bytes_a_row or 0.0)


@dataclass(frozen=True, kw_only=True)
class Size:
    """The whole store; ``free`` is the room on its disk, None where that is not told."""

    tables: tuple[TableSize, ...]
    free: int | None
    left_over: tuple[str, ...]


def size(client: Client) -> Size:
    """Measure the store.

    Raises:
        QueryError: the store refused a query.
        StoreError: it has no tables of ours.

    """
    disks = rows(client, "the room on its disk", "SELECT min(free_space) AS free FROM system.disks")
    left_over = rows(client, "the list of its databases", _LEFT_OVER, names=list(SCRATCH_DATABASES))
    return Size(
        tables=tuple(_measured(client, table) for table in tables(client)),
        free=disks[0]["free"] if disks else None,
        left_over=tuple(row["name"] for row in left_over),
    )


def _measured(client: Client, table: Table) -> TableSize:
    doing = f"the size of {table.name}"
    parts = rows(client, doing, _PARTS, database=table.database, name=table.name)[0]
    query = _TIMES.format(event=table.time_column or "ingested_at", table=table.sql)
    times = rows(client, doing, query, days=_LATELY_DAYS)
    found: dict[str, Any] = times[0] if times else {"first": None, "last": None, "lately": 0, "over": 1}
    return TableSize(
        table=table.name, **parts, first_event=found["first"], last_event=found["last"],
        rows_a_day=found["lately"] / found["over"], retention=table.retention,
    )  # fmt: skip
