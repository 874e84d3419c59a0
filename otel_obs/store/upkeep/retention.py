"""How long each table keeps its rows: what a change would remove, the change, and what is there afterwards."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from otel_obs.errors import StoreError
from otel_obs.store.upkeep.asking import rows, run, silent
from otel_obs.store.upkeep.tables import named, tables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from clickhouse_connect.driver.client import Client

    from otel_obs.store.upkeep.asking import Progress
    from otel_obs.store.upkeep.periods import Period
    from otel_obs.store.upkeep.tables import Table

_POLL_SECONDS: Final = 0.2
_AT: Final = "toDateTime({cutoff:Int64}, 'UTC')"
# Rows as answers count them (FINAL): of one that was delivered twice the later copy counts, and that is what stays.
_DIVIDED: Final = """
SELECT
    countIf(past) AS goes, countIf(NOT past) AS stays,
    minOrNullIf(event, past) AS goes_from, maxOrNullIf(event, past) AS goes_to,
    minOrNullIf(event, NOT past) AS stays_from, maxOrNullIf(event, NOT past) AS stays_to
FROM (SELECT {event} AS event, ingested_at <= {cutoff} AS past FROM {table} FINAL)
"""
_BYTES: Final = """
SELECT
    toUInt64(sum(bytes_on_disk * gone / greatest(rows, 1))) AS goes, toUInt64(sum(bytes_on_disk) - goes) AS stays
FROM (SELECT name, rows, bytes_on_disk FROM system.parts
      WHERE active AND database = {{database:String}} AND table = {{name:String}}) AS parts
LEFT JOIN (SELECT _part AS name, count() AS gone FROM {table} WHERE ingested_at <= {cutoff} GROUP BY name) AS past
USING (name)
"""
_UNDONE: Final = """
SELECT parts_to_do, latest_fail_reason AS failure FROM system.mutations
WHERE NOT is_done AND database = {database:String} AND table = {name:String}
ORDER BY create_time
"""


@dataclass(frozen=True, kw_only=True)
class Share:
    """Some of a table's rows: how many, about how many bytes on disk, between which times of their events."""

    rows: int
    bytes: int
    first_event: datetime | None
    last_event: datetime | None


@dataclass(frozen=True, kw_only=True)
class Change:
    """One table under a rule: rows that arrived until ``cutoff`` (Unix seconds, UTC) are past, the others stay."""

    table: Table
    period: Period | None
    cutoff: int
    goes: Share
    stays: Share

    @property
    def wanted(self) -> str:
        """The rule as it is shown."""
        return str(self.period or "forever")


def in_force(client: Client) -> list[Change]:
    """Every table under the rule that it has now.

    Raises:
        QueryError: the store refused a query.

    """
    now = _now(client)
    return [_change(client, table, table.period, now) for table in tables(client)]


def planned(client: Client, asked: Mapping[str, Period | None]) -> list[Change]:
    """Say what rules would remove; ``asked`` is table → how long, None is for ever. Nothing is changed.

    Raises:
        QuestionError: there is no table of that name.
        QueryError: the store refused a query.

    """
    known, now = tables(client), _now(client)
    return [_change(client, named(known, name), period, now) for name, period in asked.items()]


def apply(client: Client, changes: Sequence[Change], *, progress: Progress = silent) -> list[Change]:
    """Put rules in force, remove exactly the rows that are past, and read both back; returns what is there then.

    The engine itself removes a part only when all of it is past; so that what was shown is what goes, the rows are
    deleted here, and the rule holds from then on.

    Raises:
        StoreError: afterwards a rule or the rows are not as they were asked for.
        QueryError: the store refused a statement.

    """
    for number, change in enumerate(changes):
        tell = partial(progress, done=number, total=len(changes))
        tell(f"retention of {change.table.name}")
        _put_in_force(client, change)
        _wait_for_mutations(client, change.table, tell)
    progress("retention", len(changes), len(changes))
    after = {table.name: table for table in tables(client)}
    return [_read_back(client, change, after[change.table.name]) for change in changes]


def _now(client: Client) -> int:
    return int(rows(client, "its clock", "SELECT toUnixTimestamp(now()) AS now")[0]["now"])


def _change(client: Client, table: Table, period: Period | None, now: int) -> Change:
    cutoff = max(0, now - int(period.span.total_seconds())) if period else 0
    doing = f"the rows of {table.name}"
    query = _DIVIDED.format(event=table.time_column or "ingested_at", cutoff=_AT, table=table.sql)
    found = rows(client, doing, query, cutoff=cutoff)[0]
    query = _BYTES.format(table=table.sql, cutoff=_AT)
    size = rows(client, doing, query, cutoff=cutoff, database=table.database, name=table.name)[0]
    return Change(
        table=table,
        period=period,
        cutoff=cutoff,
        goes=Share(rows=found["goes"], bytes=size["goes"], first_event=found["goes_from"], last_event=found["goes_to"]),
        stays=Share(
            rows=found["stays"], bytes=size["stays"], first_event=found["stays_from"], last_event=found["stays_to"]
        ),
    )


def _put_in_force(client: Client, change: Change) -> None:
    table, doing = change.table, f"the retention of {change.table.name}"
    if change.period is not None:
        set_period(client, table, change.period)
        # both in one: every part is rewritten, and the engine takes about 0.15 s for each
        run(
            client, doing,
            f"ALTER TABLE {table.sql} DELETE WHERE ingested_at <= {_AT}, MATERIALIZE TTL SETTINGS mutations_sync = 0",
            cutoff=change.cutoff,
        )  # fmt: skip
    elif table.ttl:
        remove_period(client, table)


def set_period(client: Client, table: Table, period: Period) -> None:
    """Let a table keep its rows so long from now on; parts that are there learn of it by MATERIALIZE TTL only.

    Raises:
        QueryError: the store refused it.

    """
    doing = f"the retention of {table.name}"
    # else it would keep a store's one writing connection until every part is rewritten
    run(client, doing, f"ALTER TABLE {table.sql} MODIFY TTL {period.sql} SETTINGS materialize_ttl_after_modify = 0")


def remove_period(client: Client, table: Table) -> None:
    """Let a table that has a TTL keep its rows for ever.

    Raises:
        QueryError: the store refused it.

    """
    doing = f"the retention of {table.name}"
    run(client, doing, f"ALTER TABLE {table.sql} REMOVE TTL SETTINGS materialize_ttl_after_modify = 0")


def _wait_for_mutations(client: Client, table: Table, tell: Callable[[str], None]) -> None:
    """Wait until the engine has rewritten what it was told to; the store takes and answers meanwhile."""
    doing = f"the state of {table.name}"
    while undone := rows(client, doing, _UNDONE, database=table.database, name=table.name):
        if failure := undone[0]["failure"]:
            raise StoreError(
                f"The engine cannot rewrite {table.name}: {failure.splitlines()[0]}",
                fix="It keeps trying. See `otel-obs store size` for the room on the disk.",
            )
        tell(f"retention of {table.name}: {undone[-1]['parts_to_do']} parts left")
        time.sleep(_POLL_SECONDS)


def _read_back(client: Client, change: Change, table: Table) -> Change:
    if table.ttl != (change.period.sql if change.period else ""):
        raise StoreError(
            f"{table.name} should keep its rows {change.wanted}, and the engine says {table.retention}.",
            fix="Somebody else may have changed it at the same time: run it again.",
        )
    found = _change(client, table, change.period, change.cutoff + _seconds(change))
    if found.goes.rows:
        raise StoreError(
            f"{found.goes.rows} rows of {table.name} that are past {change.wanted} are still there.",
            fix="Run it again; if it stays so, look at system.mutations.",
        )
    if found.stays.rows < change.stays.rows:
        raise StoreError(
            f"{table.name} has {found.stays.rows} rows, and {change.stays.rows} were to stay.",
            fix="Somebody else removed rows at the same time; a backup may have them (`otel-obs store restore`).",
        )
    return found


def _seconds(change: Change) -> int:
    return int(change.period.span.total_seconds()) if change.period else 0
