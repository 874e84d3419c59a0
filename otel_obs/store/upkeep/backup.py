"""Copying the store to files while it runs."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from otel_obs.errors import StoreError
from otel_obs.store.client import DATABASE
from otel_obs.store.migrate import applied
from otel_obs.store.upkeep import scratch
from otel_obs.store.upkeep.asking import quoted, refused, rows, silent
from otel_obs.store.upkeep.content import content
from otel_obs.store.upkeep.manifest import DataFile, Manifest, TableCopy, Writer
from otel_obs.store.upkeep.snapshot import snapshot
from otel_obs.store.upkeep.tables import tables

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

    from otel_obs.store.upkeep.asking import Progress
    from otel_obs.store.upkeep.tables import Table

_PIECE: Final = 1 << 20
# A file is one INSERT when it comes back, and ports refuse bodies of more than 256 MiB.
_FULL: Final = 64 << 20
_PARTITIONS_AT_ONCE: Final = 64
_PARTITIONS: Final = """
SELECT partition_id FROM system.parts
WHERE active AND database = {database:String} AND table = {name:String}
GROUP BY partition_id ORDER BY partition_id
"""
_ROWS: Final = "SELECT {columns} FROM {table} FINAL WHERE has({{ids:Array(String)}}, _partition_id)"
_OTHERS: Final = """
SELECT name FROM system.tables
WHERE database = {database:String} AND engine LIKE '%MergeTree'
  AND NOT has({ours:Array(String)}, name) AND name != 'schema_migrations'
ORDER BY name
"""


def backup(
    client: Client, directory: Path, *, discard_interrupted: bool = False, progress: Progress = silent
) -> Manifest:
    """Copy the store to a new directory, which is there when all of it is.

    Raises:
        StoreError: the directory is there already or cannot be written, or another backup is running.
        QueryError: the store refused a statement.

    """
    if directory.exists():
        raise StoreError(f"{directory} is there already.", fix="Give a new name to each backup.")
    recorded = tuple((number, *rest) for number, rest in sorted(applied(client).items()))
    if not recorded:
        raise StoreError("There is no store of otel_obs to back up.", fix="See --data and --url.")
    if discard_interrupted:
        scratch.drop(client, scratch.SNAPSHOT)
    unfinished = directory.with_name(f"{directory.name}.unfinished-{os.getpid()}")
    try:
        unfinished.mkdir(parents=True)
        with snapshot(client, recorded) as frozen:
            manifest = Manifest(
                taken_at=datetime.now(UTC).isoformat(timespec="seconds"),
                otel_obs=version("otel-obs"),
                engine=str(rows(client, "its version", "SELECT version() AS version")[0]["version"]),
                migrations=recorded,
                tables=_copied(client, frozen, unfinished, progress),
                left_out=tuple(
                    row["name"]
                    for row in rows(client, "its tables", _OTHERS, database=DATABASE, ours=[t.name for t in frozen])
                ),
            )
        manifest.write(unfinished)
        _settle(unfinished)
        unfinished.rename(directory)
    except OSError as error:
        raise StoreError(
            f"{directory} cannot be written: {error.strerror}.", fix="Give a place with room that you may write to."
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return manifest


def _copied(client: Client, frozen: list[Table], directory: Path, progress: Progress) -> tuple[TableCopy, ...]:
    retention = {table.name: table.retention for table in tables(client)}
    copies = []
    for number, table in enumerate(frozen):
        progress(f"copying {table.name}", number, len(frozen))
        copies.append(_copy(client, table, directory, retention[table.name]))
    progress("copied", len(frozen), len(frozen))
    return tuple(copies)


def _copy(client: Client, table: Table, directory: Path, retention: str) -> TableCopy:
    files = _Files(directory, table.name)
    for piece in _text(client, table):
        files.take(piece)
    written = files.close()
    found = content(client, table, table.columns)
    if sum(file.rows for file in written) != found.rows:
        raise StoreError(
            f"{table.name} has {found.rows} rows, and {sum(file.rows for file in written)} were read.",
            fix="The connection may have been cut: run the backup again.",
        )
    return TableCopy(
        name=table.name, columns=table.columns, retention=retention, files=written, rows=found.rows,
        checksum=found.checksum, first_arrival=found.first_arrival, last_arrival=found.last_arrival,
    )  # fmt: skip


def _text(client: Client, table: Table) -> Iterator[bytes]:
    """The table's rows as tab-separated text, neighbouring partitions together."""
    doing = f"the rows of {table.name}"
    found = rows(client, doing, _PARTITIONS, database=table.database, name=table.name)
    ids = [row["partition_id"] for row in found]
    query = _ROWS.format(columns=", ".join(map(quoted, table.columns)), table=table.sql)
    for at in range(0, len(ids), _PARTITIONS_AT_ONCE):
        with refused(client, doing):
            parameters = {"ids": ids[at : at + _PARTITIONS_AT_ONCE]}
            stream: Any = client.raw_stream(query, parameters=parameters, fmt="TabSeparated")
            try:
                while piece := stream.read(_PIECE):
                    yield piece
            finally:
                stream.close()


@dataclass
class _Files:
    """The files of one table; a new one is begun, at the end of a line, when one is full."""

    directory: Path
    table: str

    def __post_init__(self) -> None:
        self._written: list[DataFile] = []
        self._open: Writer | None = None

    def take(self, text: bytes) -> None:
        if self._open is None:
            self._open = Writer(self.directory, f"{self.table}/{len(self._written) + 1:06d}.tsv.zst")
        end = text.rfind(b"\n") + 1
        if not end or self._open.taken + end < _FULL:
            self._open.write(text)
            return
        self._open.write(text[:end])
        self._written.append(self._open.close())
        self._open = None
        if end < len(text):
            self.take(text[end:])

    def close(self) -> tuple[DataFile, ...]:
        if self._open is not None:
            self._written.append(self._open.close())
            self._open = None
        return tuple(self._written)


def _settle(directory: Path) -> None:
    """Let the disk have all of it before it gets its name."""
    for path in [*directory.rglob("*"), directory]:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
