"""Migrations: numbered .sql files, run forward only, checksummed, recorded in the database that they change."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Final

from otel_obs.errors import SchemaError, StoreError
from otel_obs.store.client import DATABASE

if TYPE_CHECKING:
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


def check(client: Client) -> list[Migration]:
    """Return what is still to be applied.

    Raises:
        SchemaError: the store is newer than this program, or a file was changed after it had been applied.

    """
    ours = {migration.version: migration for migration in migrations()}
    theirs = applied(client)
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


def migrate(client: Client) -> list[str]:
    """Bring the store to this version's schema; returns the names of what was applied. Running it again does nothing.

    Each file is recorded after its last statement; an interrupted one is run again from its start, which its
    ``IF NOT EXISTS`` allow.

    Raises:
        SchemaError: see ``check``.
        StoreError: a statement was refused.

    """
    pending = check(client)
    try:
        client.command(f"CREATE DATABASE IF NOT EXISTS {DATABASE} ENGINE = Atomic")
        client.command(_HISTORY.format(database=DATABASE))
        client.database = DATABASE
        for migration in pending:
            for text in migration.statements():
                client.command(text)
            client.command(
                "INSERT INTO schema_migrations (version, name, sha256) "
                "SELECT {version:UInt32}, {name:String}, {sha256:String}",
                parameters={"version": migration.version, "name": migration.name, "sha256": migration.sha256},
            )
    except Exception as error:
        raise StoreError(f"A migration was refused: {error}") from error
    return [migration.name for migration in pending]
