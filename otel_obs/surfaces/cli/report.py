"""`otel-obs report NAME`: one command for each row of REPORTS."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from otel_obs.reports import run
from otel_obs.reports.registry import REPORTS
from otel_obs.reports.registry import report as find
from otel_obs.surfaces.cli import render
from otel_obs.surfaces.cli.exits import NOT_FOUND
from otel_obs.surfaces.cli.store import STORE_OPTIONS, connected

if TYPE_CHECKING:
    from otel_obs.reports.report import Parameter, Report


class _Reports(click.Group):
    """Tells the nearest name where one is mistyped."""

    def resolve_command(self, context: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(context, args)
        except click.UsageError:
            find(args[0])
            raise

    def list_commands(self, _context: click.Context) -> list[str]:
        """In the table's order: what is asked first stands first."""
        return [row.name for row in REPORTS]


_EXAMPLES = """\b
Examples:
  otel-obs report why --from today
  otel-obs report near-misses --gate spread_guard --from -7d
  otel-obs report decisions --outcome vetoed --json
  otel-obs report stages --sql | clickhouse-client --multiquery
"""


@click.group(cls=_Reports, epilog=_EXAMPLES)
def report() -> None:
    """Ask the store a question by name."""


def _option(parameter: Parameter) -> Any:
    if parameter.position:
        return click.Argument([parameter.name])
    shown = f"{parameter.doc} [default: {parameter.default}]" if parameter.default else parameter.doc
    return click.Option(
        [f"--{parameter.name.replace('_', '-')}", parameter.name],
        metavar="|".join(parameter.choices) or parameter.kind.upper(),
        help=shown,
    )


def _command(row: Report[Any]) -> click.Command:
    names = [parameter.name for parameter in row.parameters]

    @click.pass_context
    def ask(context: click.Context, /, **given: Any) -> None:
        asked = {name: given[name] for name in names if given[name] is not None}
        forms = [form for form in ("json", "csv", "md", "sql") if given[f"as_{form}"]]
        if len(forms) > 1:
            raise click.UsageError("Give one of --json, --csv, --md and --sql.")
        if forms == ["sql"]:
            click.echo(run.sql(row, asked), nl=False)
            return
        run.read(row, asked, now=datetime.now(UTC))  # what was asked wrongly is told before a store is looked for
        with connected(given["url"], given["data"]) as store:
            answer = store.ask(row.name, **asked)
        match forms:
            case ["json"]:
                click.echo(render.as_json(answer))
            case ["csv"]:
                click.echo(render.as_csv(answer))
            case ["md"]:
                click.echo(render.as_markdown(answer))
            case _ if answer.found:
                render.screen(answer)
        if not answer.found:
            click.echo(answer.sentence, err=True)
            context.exit(NOT_FOUND)

    forms = [
        click.Option([f"--{form}", f"as_{form}"], is_flag=True, help=doc)
        for form, doc in (
            ("json", "Answer as JSON."),
            ("csv", "Answer as CSV."),
            ("md", "Answer as Markdown."),
            ("sql", "Print the SQL that would answer, with its parameters; ask nothing."),
        )
    ]
    return click.Command(
        row.name,
        callback=ask,
        help=row.question,
        short_help=row.question,
        epilog=f"\b\nExample:\n  {row.example}",
        params=[*(_option(parameter) for parameter in row.parameters), *forms, *STORE_OPTIONS],
    )


for _row in REPORTS:
    report.add_command(_command(_row))
