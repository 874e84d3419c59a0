"""How a store stands, for who asks what is broken: its schema, its clock, and whether a trace has arrived."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from otel_obs.store.client import DATABASE
from otel_obs.store.migrate import check
from otel_obs.store.upkeep.asking import refused, rows

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


def missing_migrations(client: Client) -> list[str]:
    """The names of the migrations that it has not got; none where its schema is this version's.

    Raises:
        SchemaError: it is newer than this program, or was changed.
        QueryError: it does not tell.

    """
    with refused(client, "to tell which schema it has"):
        missing = [migration.name for migration in check(client)]
    client.database = DATABASE
    return missing


def ahead(client: Client) -> tuple[float, float]:
    """Between how many seconds its clock is ahead of this machine's, at least and at most; negative is behind.

    Raises:
        QueryError: it does not tell.

    """
    before = time.time()
    [row] = rows(client, "to tell its time", "SELECT toUnixTimestamp64Milli(now64(3)) AS milliseconds")
    theirs = int(row["milliseconds"]) / 1000
    return theirs - time.time(), theirs + 0.001 - before


def holds_trace(client: Client, trace_id: str) -> bool:
    """Whether a span of this trace is there.

    Raises:
        QueryError: it does not tell.

    """
    found = rows(
        client, "to look for a span",
        f"SELECT count() AS spans FROM {DATABASE}.otel_traces WHERE TraceId = {{id:String}}",  # noqa: S608 - our name
        id=trace_id,
    )  # fmt: skip
    return bool(found[0]["spans"])
