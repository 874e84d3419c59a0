"""`otel-obs migrate`: the schema of a ClickHouse server, before anything is sent to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from otel_obs import settings
from otel_obs.errors import OtelObsError, StoreError
from otel_obs.query.opening import DEFAULT_URL
from otel_obs.reports.answer import Answer, Table
from otel_obs.store.client import DATABASE, connect
from otel_obs.store.migrate import check, ddl, migrations, script
from otel_obs.store.migrate import migrate as apply
from otel_obs.surfaces.cli import render

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from otel_obs.store.migrate import Migration


@click.command(
    epilog="\b\nExamples:\n  otel-obs migrate --dry-run --url http://clickhouse:8123\n"
    "  otel-obs migrate --url http://clickhouse:8123 && otelcol --config collector/config/base.yaml\n"
    "  otel-obs migrate --cluster analytics --sql | less"
)
@click.option("--url", metavar="URL", help="The server (OTEL_OBS_URL; else http://127.0.0.1:8123).")
@click.option("--cluster", metavar="NAME", default="", help="All servers of this cluster, through the one at the URL.")
@click.option("--dry-run", is_flag=True, help="Say what would be applied, and do nothing.")
@click.option(
    "--sql", "as_sql", is_flag=True, help="Print the whole DDL: no server is asked. With --dry-run: what it lacks."
)
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
def migrate(url: str | None, cluster: str, *, dry_run: bool, as_sql: bool, as_json: bool) -> None:
    """Bring a ClickHouse server, or a cluster, to this version's schema; running it again does nothing.

    A collector is started only after it. Stores of `otel-obs up` do this by themselves.
    """
    if as_sql and as_json:
        raise click.UsageError("--sql and --json are two forms of an answer: give one of them.")
    if as_sql and not dry_run:
        click.echo(script(migrations(), cluster=cluster), nl=False)
        return
    client = connect(url or settings.resolve(enabled=True).url or DEFAULT_URL)
    try:
        pending = _pending(client, cluster)
        if pending and not dry_run:
            apply(client, cluster=cluster)
    finally:
        client.close()
    if as_sql:
        click.echo(script(pending, cluster=cluster), nl=False)
        return
    answer = _answer(pending, cluster=cluster, dry_run=dry_run)
    if as_json:
        click.echo(render.as_json(answer))
    else:
        render.screen(answer)


def _pending(client: Client, cluster: str) -> list[Migration]:
    try:
        return check(client, cluster=cluster)
    except OtelObsError:
        raise
    except Exception as error:
        raise StoreError(
            f"The store does not tell which schema it has: {error}",
            fix=f"Give OTEL_OBS_USER the right to read, create and insert in {DATABASE}.*, and to create the database.",
        ) from error


def _answer(pending: list[Migration], *, cluster: str, dry_run: bool) -> Answer[Any]:
    of = len(migrations())
    place = f"{DATABASE} on the cluster {cluster}" if cluster else DATABASE
    if not pending:
        sentence = f"The schema is up to date: all {of} migrations were applied before."
    elif dry_run:
        sentence = f"{len(pending)} of {of} migrations would be applied to {place}; nothing was done. --sql shows them."
    else:
        sentence = f"{len(pending)} of {of} migrations were applied to {place}."
    return Answer(
        sentence=sentence,
        data={
            "database": DATABASE,
            "cluster": cluster or None,
            "dry_run": dry_run,
            "migrations": [migration.name for migration in pending],
        },
        tables=[
            Table(
                columns=("migration", "statements", "sha256"),
                rows=[
                    (migration.name, len(ddl(migration, cluster=cluster)) - 1, migration.sha256[:12])
                    for migration in pending
                ],
            )
        ]
        if pending
        else [],
    )
