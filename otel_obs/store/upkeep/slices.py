"""A table cut into slices that a store which bounds every query still answers: some rows each, together all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from otel_obs.store.upkeep.asking import rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from clickhouse_connect.driver.client import Client

    from otel_obs.store.upkeep.tables import Table

ROWS: Final = 1_000_000
_MOST_PARTITIONS: Final = 64
_PARTITIONS: Final = """
SELECT partition_id AS id, sum(rows) AS rows FROM system.parts
WHERE active AND database = {database:String} AND table = {name:String}
GROUP BY id ORDER BY id
"""
_HOURS: Final = """
SELECT toUnixTimestamp(toStartOfHour({time})) AS hour, count() AS rows FROM {table}
WHERE _partition_id = {{id:String}} GROUP BY hour ORDER BY hour
"""
_OF_PARTITIONS: Final = "has({ids:Array(String)}, _partition_id)"
# The hour is part of the key, so that only its rows are read; the hash parts an hour that is too much by itself.
_OF_HOURS: Final = """
has({{ids:Array(String)}}, _partition_id)
AND toUnixTimestamp(toStartOfHour({time})) BETWEEN {{first:Int64}} AND {{last:Int64}}
AND sipHash64(toString({time})) % {{of:UInt32}} = {{number:UInt32}}
"""


@dataclass(frozen=True, kw_only=True)
class Slice:
    """A condition on a table's rows, with the values of its parameters."""

    condition: str
    parameters: Mapping[str, Any]


def slices(client: Client, table: Table, *, most: int = ROWS) -> Iterator[Slice]:
    """Cut a table that nobody changes; a slice has about ``most`` rows at most, as far as times tell them apart.

    Raises:
        QueryError: the store refused a query.

    """
    ids: list[str] = []
    count = 0
    for row in rows(client, f"the parts of {table.name}", _PARTITIONS, database=table.database, name=table.name):
        if ids and (count + row["rows"] > most or len(ids) == _MOST_PARTITIONS):
            yield Slice(condition=_OF_PARTITIONS, parameters={"ids": ids})
            ids, count = [], 0
        if row["rows"] > most and table.time_column:
            yield from _by_time(client, table, row["id"], most)
        else:
            ids, count = [*ids, row["id"]], count + row["rows"]
    if ids:
        yield Slice(condition=_OF_PARTITIONS, parameters={"ids": ids})


def _by_time(client: Client, table: Table, partition: str, most: int) -> Iterator[Slice]:
    condition = _OF_HOURS.format(time=table.time_column)
    query = _HOURS.format(time=table.time_column, table=table.sql)
    hours = [(row["hour"], row["rows"]) for row in rows(client, f"the hours of {table.name}", query, id=partition)]
    at = 0
    while at < len(hours):
        end, count = at + 1, hours[at][1]
        while end < len(hours) and count + hours[end][1] <= most:
            count += hours[end][1]
            end += 1
        of = -(-count // most)
        for number in range(of):
            yield Slice(
                condition=condition,
                parameters={"ids": [partition], "first": hours[at][0], "last": hours[end - 1][0], "of": of,
                            "number": number},
            )  # fmt: skip
        at = end
