"""Migrations: numbered .sql files, run forward only, checksummed, recorded in the database that they change."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Final

from otel_obs.errors import SchemaError, StoreError
from otel_obs.store.client import DATABASE
from otel_obs.store.cluster import Cluster
from otel_obs.store.layout import fits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clickhouse_connect.driver.client import Client

_NAME: Final = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_HISTORY: Final = """
CREATE TABLE IF NOT EXISTS {database}.schema_migrations
(
    version UInt32,
    name String,
    sha256 String,
    applied_at DateTime('UTC') DEFAULT now('UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY version
"""


@dataclass(frozen=True, kw_only=True)
class Migration:
    """One file."""

    version: int
    name: str
    text: str

    @property
    def sha256(self) -> str:
        """Checksum of the text; a released file never changes."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def statements(self) -> list[str]:
        """Split at the semicolons that end a line; comments of whole lines are left out."""
        lines = [line for line in self.text.splitlines() if not line.lstrip().startswith("--")]
        return [part.strip() for part in re.split(r";[ \t]*(?:\n|$)", "\n".join(lines)) if part.strip()]


def migrations() -> list[Migration]:
    """Return all migrations of this version, in order."""
    files = resources.files("otel_obs.store").joinpath("migrations").iterdir()
    found = [
        Migration(version=int(match[1]), name=file.name, text=file.read_text(encoding="utf-8"))
        for file in files
        if (match := _NAME.fullmatch(file.name))
    ]
    return sorted(found, key=lambda migration: migration.version)


def applied(client: Client) -> dict[int, tuple[str, str]]:
    """Return version → (name, sha256) of what the store has; empty where it has nothing of ours."""
    known = client.query(
        "SELECT count() FROM system.tables WHERE database = {database:String} AND name = 'schema_migrations'",
        parameters={"database": DATABASE},
    )
    if not known.result_rows[0][0]:
        return {}
    client.database = DATABASE
    rows = client.query("SELECT version, name, sha256 FROM schema_migrations FINAL").result_rows
    return {int(version): (str(name), str(sha256)) for version, name, sha256 in rows}


def check(client: Client, *, cluster: str = "") -> list[Migration]:
    """Return what is still to be applied, to one server or to all of a cluster.

    Raises:
        SchemaError: the store is newer than this program, a file was changed after it had been applied, or the store
            is laid out in another way (one server, or a cluster) than is asked for.
        StoreError: the server knows no such cluster.

    """
    ours = {migration.version: migration for migration in migrations()}
    theirs = applied(client)
    fits(client, cluster=cluster)
    if newer := sorted(theirs.keys() - ours.keys()):
        raise SchemaError(
            f"The store has the schema of a newer otel_obs (migration {theirs[newer[-1]][0]}).",
            fix="Upgrade with `pip install --upgrade otel-obs`, or use another data directory (--data).",
        )
    for version, (name, sha256) in sorted(theirs.items()):
        if ours[version].sha256 != sha256:
            raise SchemaError(
                f"Migration {name} differs from the one that made this store.",
                fix="Released migrations never change: reinstall otel-obs, or use another data directory (--data).",
            )
    return [ours[version] for version in sorted(ours.keys() - theirs.keys())]


def preparation(*, cluster: str = "") -> list[str]:
    """Return the statements that come before all migrations: the database, and where they are recorded."""
    if cluster:
        return Cluster(name=cluster).first()
    return [f"CREATE DATABASE IF NOT EXISTS {DATABASE} ENGINE = Atomic", _HISTORY.format(database=DATABASE).strip()]


def ddl(migration: Migration, *, cluster: str = "") -> list[str]:
    """Return all that is run for one migration, its record last.

    Raises:
        SchemaError: the migration has no form for a cluster.

    """
    own = migration.statements()
    if cluster:
        own = [each for text in own for each in Cluster(name=cluster).statements(text)]
    record = (
        f"INSERT INTO {DATABASE}.schema_migrations (version, name, sha256) "
        f"SELECT {migration.version}, '{migration.name}', '{migration.sha256}'"
    )
    return [*own, record]


def script(those: Sequence[Migration], *, cluster: str = "") -> str:
    """Return the text that ``migrate`` runs for these migrations, for a ClickHouse client or a reader.

    Raises:
        SchemaError: a migration has no form for a cluster.

    """
    if not those:
        return ""
    parts = [*preparation(cluster=cluster), *([] if cluster else [f"USE {DATABASE}"])]
    for migration in those:
        first, *others = ddl(migration, cluster=cluster)
        parts += [f"-- {migration.name}\n{first}", *others]
    return "".join(f"{part};\n\n" for part in parts).removesuffix("\n")


def migrate(client: Client, *, cluster: str = "") -> list[str]:
    """Bring the store to this version's schema; returns the names of what was applied. Running it again does nothing.

    Each file is recorded after its last statement; an interrupted one is run again from its start, which its
    ``IF NOT EXISTS`` allow. With ``cluster``, all servers of that cluster are changed, through this one.

    Raises:
        SchemaError: see ``check``.
        StoreError: a statement was refused, or the server knows no such cluster.

    """
    pending = check(client, cluster=cluster)
    try:
        for text in preparation(cluster=cluster):
            client.command(text)
        client.database = DATABASE
        for migration in pending:
            for text in ddl(migration, cluster=cluster):
                client.command(text)
    except SchemaError:
        raise
    except Exception as error:
        raise StoreError(f"A migration was refused: {error}") from error
    return [migration.name for migration in pending]
