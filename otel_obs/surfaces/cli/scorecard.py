"""`otel-obs scorecard TRACE`: one trace as a card, in the colours of a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from otel_obs.contract.scorecard import Form, rendered
from otel_obs.surfaces.cli import render
from otel_obs.surfaces.cli.exits import NOT_FOUND
from otel_obs.surfaces.cli.store import connected, store_options

if TYPE_CHECKING:
    from otel_obs.contract.scorecard import Scorecard

_EXAMPLES = """\b
Examples:
  otel-obs scorecard 46ba6684
  otel-obs scorecard 46ba6684 --verbose
  otel-obs scorecard 46ba6684 --md > summary.md
"""


@click.command(epilog=_EXAMPLES)
@click.argument("trace")
@click.option("--verbose", is_flag=True, help="Say all of it: stages, decisions and their reasons.")
@click.option("--md", "as_markdown", is_flag=True, help="As Markdown.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@store_options
@click.pass_context
def scorecard(
    context: click.Context,
    trace: str,
    verbose: bool,  # noqa: FBT001 - click's flag
    as_markdown: bool,  # noqa: FBT001 - likewise
    as_json: bool,  # noqa: FBT001 - likewise
    url: str | None,
    data: str | None,
) -> None:
    """Show one trace: quality, decisions, stages, cost. TRACE is an id, or its unique beginning.

    A bot prints its own after each trace with OTEL_OBS_SCORECARD=compact or verbose.
    """
    if verbose + as_markdown + as_json > 1:
        raise click.UsageError("Give one of --verbose, --md and --json.")
    with connected(url, data) as store:
        answer = store.ask("scorecard", id=trace)
    if as_json:
        click.echo(render.as_json(answer))
    if not answer.found:
        click.echo(answer.sentence, err=True)
        context.exit(NOT_FOUND)
    if not as_json:
        card: Scorecard = answer.rows[0]
        form = Form.MARKDOWN if as_markdown else Form.VERBOSE if verbose else Form.COMPACT
        colour = not render.console().no_color and sys.stdout.isatty()
        click.echo(rendered(card, form, colour=colour), color=colour)
