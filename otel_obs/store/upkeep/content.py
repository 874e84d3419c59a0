"""What a table holds, as two numbers that any order of its rows, and any engine, gives alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_obs.store.upkeep.asking import quoted, rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clickhouse_connect.driver.client import Client

    from otel_obs.store.upkeep.tables import Table

# Of each row's text, which is what a backup's file holds of it: hashes of the types' own bytes may change with an
# engine's version. A sum, not an exclusive or, in which two equal rows would vanish.
_CONTENT: Final = """
SELECT
    count() AS rows, sum(sipHash64(formatRowNoNewline('TabSeparated', {columns}))) AS checksum,
    if(count() = 0, NULL, toUnixTimestamp(min(ingested_at))) AS first_arrival,
    if(count() = 0, NULL, toUnixTimestamp(max(ingested_at))) AS last_arrival
FROM {table} FINAL
"""


@dataclass(frozen=True, kw_only=True)
class Content:
    """Rows as answers count them, the sum of their hashes (modulo 2⁶⁴), and when they arrived (Unix seconds)."""

    rows: int
    checksum: int
    first_arrival: int | None
    last_arrival: int | None


def content(client: Client, table: Table, columns: Sequence[str]) -> Content:
    """Count and hash a table.

    Raises:
        QueryError: the store refused the query.

    """
    query = _CONTENT.format(table=table.sql, columns=", ".join(map(quoted, columns)))
    return Content(**rows(client, f"the checksum of {table.name}", query)[0])
