"""Which tables are kept: every one of the database that has ``ingested_at``, as the engine itself describes it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from otel_obs.errors import QuestionError, StoreError
from otel_obs.store.client import DATABASE
from otel_obs.store.cluster import LOCAL
from otel_obs.store.upkeep.asking import quoted, rows
from otel_obs.store.upkeep.periods import Period, in_force

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clickhouse_connect.driver.client import Client

_TTL: Final = re.compile(r" TTL (.*?)(?= SETTINGS |$)", re.DOTALL)
_WEEK: Final = re.compile(r"toMonday\((\w+)\)")
_TABLES: Final = """
SELECT
    name, partition_key, engine_full,
    (SELECT groupArray((table, name)) FROM system.columns
     WHERE database = {database:String} AND default_kind NOT IN ('MATERIALIZED', 'ALIAS', 'EPHEMERAL')) AS columns
FROM system.tables
WHERE database = {database:String} AND engine LIKE '%MergeTree'
ORDER BY name
"""


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table; ``time_column`` is that of the event, empty where the table is not partitioned by its week."""

    database: str
    name: str
    columns: tuple[str, ...]
    time_column: str
    ttl: str

    @property
    def sql(self) -> str:
        """The table in a statement."""
        return f"{quoted(self.database)}.{quoted(self.name)}"

    @property
    def period(self) -> Period | None:
        """How long its rows stay; None where they stay for ever, or by a rule of another kind (``ttl`` has it)."""
        return in_force(self.ttl)

    @property
    def retention(self) -> str:
        """The rule in force, in a word."""
        return str(self.period or self.ttl or "forever")


def tables(client: Client, *, database: str = DATABASE) -> list[Table]:
    """Return every table that keeps rows by their arrival, in order of their names.

    Raises:
        StoreError: there is none: the store has no schema; or it is laid out for a cluster, of which this would be
            one shard.

    """
    found = []
    for row in rows(client, "the list of its tables", _TABLES, database=database):
        columns = tuple(name for table, name in row["columns"] if table == row["name"])
        if "ingested_at" not in columns:
            continue
        week, ttl = _WEEK.fullmatch(row["partition_key"]), _TTL.search(row["engine_full"])
        found.append(
            Table(
                database=database,
                name=row["name"],
                columns=columns,
                time_column=week[1] if week else "",
                ttl=ttl[1] if ttl else "",
            )
        )
    if not found:
        raise StoreError(
            f"The store has no tables of otel_obs in database {database}.", fix="Start it with `otel-obs up`."
        )
    if any(table.name.endswith(LOCAL) for table in found):
        raise StoreError(
            "The store is laid out for a cluster, and this command would look after one shard of it only.",
            fix="Use ON CLUSTER, and BACKUP of the servers themselves: docs/how-to/run-on-a-cluster.md.",
        )
    return found


def named(known: Sequence[Table], name: str) -> Table:
    """Return the table of this name.

    Raises:
        QuestionError: there is none.

    """
    for table in known:
        if table.name == name:
            return table
    names = [table.name for table in known]
    near = get_close_matches(name, names, n=1)
    raise QuestionError(
        f"There is no table {name!r}.", fix=f"Did you mean {near[0]}?" if near else f"There are {', '.join(names)}."
    )
