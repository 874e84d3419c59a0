"""`otel-obs migrate`: the schema of a ClickHouse server, before anything is sent to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from otel_obs import settings
from otel_obs.errors import OtelObsError, StoreError
from otel_obs.query.opening import DEFAULT_URL
from otel_obs.reports.answer import Answer, Table
from otel_obs.store.client import DATABASE, connect
from otel_obs.store.migrate import check, migrations
from otel_obs.store.migrate import migrate as apply
from otel_obs.surfaces.cli import render

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from otel_obs.store.migrate import Migration


@click.command(
    epilog="\b\nExamples:\n  otel-obs migrate --dry-run --url http://clickhouse:8123\n"
    "  otel-obs migrate --url http://clickhouse:8123 && otelcol --config collector/config/base.yaml"
)
@click.option("--url", metavar="URL", help="The server (OTEL_OBS_URL; else http://127.0.0.1:8123).")
@click.option("--dry-run", is_flag=True, help="Say what would be applied, and do nothing.")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
def migrate(url: str | None, *, dry_run: bool, as_json: bool) -> None:
    """Bring a ClickHouse server to this version's schema; running it again does nothing.

    A collector is started only after it. Stores of `otel-obs up` do this by themselves.
    """
    client = connect(url or settings.resolve(enabled=True).url or DEFAULT_URL)
    try:
        pending = _pending(client)
        if pending and not dry_run:
            apply(client)
    finally:
        client.close()
    answer = _answer(pending, dry_run=dry_run)
    if as_json:
        click.echo(render.as_json(answer))
    else:
        render.screen(answer)


def _pending(client: Client) -> list[Migration]:
    try:
        return check(client)
    except OtelObsError:
        raise
    except Exception as error:
        raise StoreError(
            f"The store does not tell which schema it has: {error}",
            fix=f"Give OTEL_OBS_USER the right to read, create and insert in {DATABASE}.*, and to create the database.",
        ) from error


def _answer(pending: list[Migration], *, dry_run: bool) -> Answer[Any]:
    of = len(migrations())
    if not pending:
        sentence = f"The schema is up to date: all {of} migrations were applied before."
    elif dry_run:
        sentence = f"{len(pending)} of {of} migrations would be applied to {DATABASE}; nothing was done."
    else:
        sentence = f"{len(pending)} of {of} migrations were applied to {DATABASE}."
    return Answer(
        sentence=sentence,
        data={"database": DATABASE, "dry_run": dry_run, "migrations": [migration.name for migration in pending]},
        tables=[
            Table(
                columns=("migration", "statements", "sha256"),
                rows=[(migration.name, len(migration.statements()), migration.sha256[:12]) for migration in pending],
            )
        ]
        if pending
        else [],
    )
