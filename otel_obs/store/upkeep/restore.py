"""Putting a backup into an empty store: made and checked beside it, then moved in."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from otel_obs.errors import QuestionError, SchemaError, StoreError
from otel_obs.store.client import DATABASE
from otel_obs.store.migrate import migrate, migrations
from otel_obs.store.upkeep import scratch
from otel_obs.store.upkeep.asking import quoted, refused, rows, run, silent
from otel_obs.store.upkeep.content import content
from otel_obs.store.upkeep.manifest import Manifest, damage, read, text_of
from otel_obs.store.upkeep.periods import period
from otel_obs.store.upkeep.retention import remove_period, set_period
from otel_obs.store.upkeep.tables import named, tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

    from otel_obs.store.migrate import Migration
    from otel_obs.store.upkeep.asking import Progress
    from otel_obs.store.upkeep.manifest import TableCopy
    from otel_obs.store.upkeep.periods import Period
    from otel_obs.store.upkeep.tables import Table

_SHOWN: Final = 5
_MARK: Final = "checked"
_MARKED_IN: Final = f"{scratch.RESTORING}.{_MARK}"
_MARKED: Final = "SELECT id FROM {mark}"
_ANY: Final = "SELECT 1 FROM {table} LIMIT 1"
_COUNT: Final = "SELECT count() AS rows FROM {table} FINAL"
_MARKS: Final = "SELECT count() AS count FROM system.tables WHERE database = {database:String} AND name = {name:String}"
# The engine removes by the part, and a part is of a week: rows of a younger backup are past in the store as well.
_OLD_SECONDS: Final = 7 * 86400.0
_AT_ONCE: Final = 100
_PARTITIONS: Final = """
SELECT DISTINCT partition_id FROM system.parts
WHERE active AND database = {database:String} AND table = {name:String} ORDER BY partition_id
"""


@dataclass(frozen=True, kw_only=True)
class Restored:
    """What came back; ``kept_for_ever`` are tables whose rule would have removed rows of an old backup at once."""

    manifest: Manifest
    migrated: tuple[str, ...]
    kept_for_ever: tuple[str, ...]
    resumed: bool


def restore(client: Client, directory: Path, *, progress: Progress = silent) -> Restored:
    """Put a backup into an empty store.

    The rows are loaded beside the store's tables, counted and hashed there, brought to this version's schema, and
    only then moved in, part by part. An interrupted restore is taken up by running it again.

    Raises:
        StoreError: the backup is damaged, the store is not empty, or what was loaded is not what the backup holds.
        SchemaError: the backup is of a newer version.
        QueryError: the store refused a statement.

    """
    manifest = read(directory)
    if broken := damage(directory, manifest):
        more = f" and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else ""
        raise StoreError(
            f"The backup is damaged: {'; '.join(broken[:_SHOWN])}{more}. Nothing was restored.", fix="Use another one."
        )
    pending = _pending(manifest)
    with scratch.using(client, "default"):  # a new server has no database of ours yet
        migrate(client)
    client.database = DATABASE
    resumed = _is_loaded(client, manifest)
    if not resumed:
        _refuse_if_not_empty(client)
        scratch.drop(client, scratch.RESTORING)
        _load(client, directory, manifest, pending, progress)
    with _other_rules_at_rest(client, manifest):
        _move(client, manifest, progress)
        _count(client, manifest)
    kept = _retain(client, manifest)
    scratch.drop(client, scratch.RESTORING)
    return Restored(
        manifest=manifest, migrated=tuple(step.name for step in pending), kept_for_ever=kept, resumed=resumed
    )


def _pending(manifest: Manifest) -> list[Migration]:
    ours = {step.version: step for step in migrations()}
    if newer := [name for number, name, _ in manifest.migrations if number not in ours]:
        raise SchemaError(
            f"The backup has the schema of a newer otel_obs (migration {newer[-1]}).",
            fix="Upgrade with `pip install --upgrade otel-obs`.",
        )
    return [step for number, step in ours.items() if number not in {known for known, _, _ in manifest.migrations}]


def _is_loaded(client: Client, manifest: Manifest) -> bool:
    """Whether an interrupted restore had this backup beside the store, whole and checked, and had begun to move it."""
    there = rows(client, "the state of a restore", _MARKS, database=scratch.RESTORING, name=_MARK)
    if not there[0]["count"]:
        return False
    mark = rows(client, "the state of a restore", _MARKED.format(mark=_MARKED_IN))
    if not mark:
        return False
    if mark[0]["id"] != manifest.id:
        raise StoreError(
            "The restore of another backup was interrupted while it was being moved into this store.",
            fix=f"Run that one again; or, to throw away what it brought, use another store (database {DATABASE} "
            f"holds some of it, database {scratch.RESTORING} the rest).",
        )
    return True


def _refuse_if_not_empty(client: Client) -> None:
    for table in tables(client):
        if rows(client, f"the rows of {table.name}", _ANY.format(table=table.sql)):
            raise StoreError(
                f"The store is not empty: {table.name} has rows. Nothing was restored.",
                fix="Restore into a new directory (--data NEW), or an empty server (--url).",
            )


def _load(
    client: Client, directory: Path, manifest: Manifest, pending: Sequence[Migration], progress: Progress
) -> None:
    scratch.build(client, scratch.RESTORING, manifest.migrations)
    loading = tables(client, database=scratch.RESTORING)
    total = sum(len(copy.files) for copy in manifest.tables)
    done = 0
    with scratch.views_at_rest(client, scratch.RESTORING):
        for copy in manifest.tables:
            table = named(loading, copy.name)
            for file in copy.files:
                progress(f"loading {copy.name}", done, total)
                with refused(client, f"the rows of {copy.name}"):
                    client.raw_insert(
                        table.sql,
                        [quoted(name) for name in copy.columns],
                        text_of(directory / file.name),
                        fmt="TabSeparated",
                    )
                done += 1
            _check(client, table, copy)
    progress("loaded", total, total)
    scratch.migrate_into(client, scratch.RESTORING, pending)
    doing = "to mark what is loaded"
    run(client, doing, f"CREATE TABLE {_MARKED_IN} (id String) ENGINE = MergeTree ORDER BY id")
    run(client, doing, f"INSERT INTO {_MARKED_IN} SELECT {{id:String}}", id=manifest.id)


def _check(client: Client, table: Table, copy: TableCopy) -> None:
    found = content(client, table, copy.columns)
    if (found.rows, found.checksum) != (copy.rows, copy.checksum):
        raise StoreError(
            f"{copy.name} came back with {found.rows} rows and checksum {found.checksum}, and the backup has "
            f"{copy.rows} rows and checksum {copy.checksum}. Nothing was restored.",
            fix="Run it again; if it stays so, use another backup.",
        )


def _move(client: Client, manifest: Manifest, progress: Progress) -> None:
    """Parts are moved as they are: no view derives anything from them, and no row is written twice."""
    own = tables(client)
    rules = _rules(manifest)
    for table in own:
        if table.ttl and table.name in rules:  # until all is there and counted, nothing goes
            remove_period(client, table)
    loaded = tables(client, database=scratch.RESTORING)
    for number, table in enumerate(loaded):
        progress(f"moving {table.name} in", number, len(loaded))
        target = named(own, table.name)
        found = rows(client, "its partitions", _PARTITIONS, database=table.database, name=table.name)
        moves = [f"MOVE PARTITION ID '{row['partition_id']}' TO TABLE {target.sql}" for row in found]
        for at in range(0, len(moves), _AT_ONCE):
            run(client, f"the rows of {table.name}", f"ALTER TABLE {table.sql} {', '.join(moves[at : at + _AT_ONCE])}")
    progress("moved in", len(loaded), len(loaded))


@contextmanager
def _other_rules_at_rest(client: Client, manifest: Manifest) -> Iterator[None]:
    """Let merges remove nothing by a rule that is no length of time, which is not taken away and put back."""
    rules = _rules(manifest)
    resting = [table for table in tables(client) if table.ttl and table.name not in rules]
    for table in resting:
        run(client, f"the retention of {table.name}", f"SYSTEM STOP TTL MERGES {table.sql}")
    try:
        yield
    finally:
        for table in resting:
            run(client, f"the retention of {table.name}", f"SYSTEM START TTL MERGES {table.sql}")


def _count(client: Client, manifest: Manifest) -> None:
    own = tables(client)
    for copy in manifest.tables:
        table = named(own, copy.name)
        found = rows(client, f"the rows of {copy.name}", _COUNT.format(table=table.sql))[0]["rows"]
        if found < copy.rows:  # more there may be: a store that runs takes rows meanwhile
            raise StoreError(
                f"{copy.name} has {found} rows, and the backup has {copy.rows}.",
                fix="Somebody removed rows during the restore: restore into a new store.",
            )


def _retain(client: Client, manifest: Manifest) -> tuple[str, ...]:
    """Put the backup's own rules in force; but an old backup is not brought back to vanish in the next merge."""
    now = time.time()
    is_old = now - datetime.fromisoformat(manifest.taken_at).timestamp() > _OLD_SECONDS
    arrivals = {copy.name: copy.first_arrival or now for copy in manifest.tables}
    own = tables(client)
    kept = []
    for name, rule in _rules(manifest).items():
        if rule is None:
            continue
        if is_old and arrivals[name] + rule.span.total_seconds() <= now:
            kept.append(name)
            continue
        table = named(own, name)
        set_period(client, table, rule)
        run(client, f"the retention of {name}", f"ALTER TABLE {table.sql} MATERIALIZE TTL SETTINGS mutations_sync = 0")
    return tuple(kept)


def _rules(manifest: Manifest) -> dict[str, Period | None]:
    """Table → how long it kept its rows; those with a rule of another kind have that of the migrations, and keep it."""
    found = {}
    for copy in manifest.tables:
        with suppress(QuestionError):
            found[copy.name] = period(copy.retention)
    return found
