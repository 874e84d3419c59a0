"""Databases beside the store's own that hold a copy for a while: built by the same migrations, without retention."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from otel_obs.errors import SchemaError
from otel_obs.store.migrate import migrations
from otel_obs.store.upkeep.asking import quoted, refused, rows, run
from otel_obs.store.upkeep.retention import remove_period
from otel_obs.store.upkeep.tables import tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clickhouse_connect.driver.client import Client

    from otel_obs.store.migrate import Migration

SNAPSHOT: Final = "otel_snapshot"
RESTORING: Final = "otel_restoring"
SCRATCH_DATABASES: Final = (SNAPSHOT, RESTORING)
_VIEWS: Final = "SELECT name FROM system.tables WHERE database = {database:String} AND engine = 'MaterializedView'"


def exists(client: Client, database: str) -> bool:
    """Whether there is such a database."""
    query = "SELECT name FROM system.databases WHERE name = {database:String}"
    return bool(rows(client, "the list of its databases", query, database=database))


def drop(client: Client, database: str) -> None:
    """Remove a scratch database, if it is there."""
    run(client, f"to remove {database}", f"DROP DATABASE IF EXISTS {quoted(database)} SYNC")


def build(client: Client, database: str, recorded: Sequence[tuple[int, str, str]]) -> None:
    """Make a new database with the schema of these migrations (version, name, sha256), which keeps all rows for ever.

    Raises:
        SchemaError: one of them is not ours, or differs.
        QueryError: the store refused a statement.

    """
    ours = [_same(*each) for each in sorted(recorded)]
    run(client, f"to make {database}", f"CREATE DATABASE {quoted(database)} ENGINE = Atomic")
    migrate_into(client, database, ours)
    for table in tables(client, database=database):
        if table.ttl:
            remove_period(client, table)


def migrate_into(client: Client, database: str, steps: Sequence[Migration]) -> None:
    """Run migrations in another database than the store's own; they are not recorded there."""
    with using(client, database):
        for step in steps:
            for text in step.statements():
                run(client, f"migration {step.name} in {database}", text)


@contextmanager
def using(client: Client, database: str) -> Iterator[None]:
    """Let unqualified names mean this database."""
    before = client.database
    client.database = database
    try:
        yield
    finally:
        client.database = before


@contextmanager
def views_at_rest(client: Client, database: str) -> Iterator[None]:
    """Let what is inserted derive nothing."""
    names = [row["name"] for row in rows(client, "the list of its views", _VIEWS, database=database)]
    views = [f"{quoted(database)}.{quoted(name)}" for name in names]
    with refused(client, f"to set aside the views of {database}"):
        for view in views:
            client.command(f"DETACH TABLE {view} SYNC")
    yield
    # not in `finally`: after an error the database is dropped, and a store that is gone must not hide the cause
    with refused(client, f"to put back the views of {database}"):
        for view in views:
            client.command(f"ATTACH TABLE {view}")


def _same(version: int, name: str, sha256: str) -> Migration:
    for migration in migrations():
        if migration.version == version:
            if migration.sha256 != sha256:
                raise SchemaError(
                    f"Migration {name} differs from the one that made these data.",
                    fix="Released migrations never change: reinstall otel-obs.",
                )
            return migration
    raise SchemaError(
        f"These data have the schema of a newer otel_obs (migration {name}).",
        fix="Upgrade with `pip install --upgrade otel-obs`.",
    )
