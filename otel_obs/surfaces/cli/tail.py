"""`otel-obs tail`: decisions as they arrive."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from otel_obs.contract.outcome import Outcome
from otel_obs.errors import StoreError
from otel_obs.reports.answer import plain
from otel_obs.reports.rows import told
from otel_obs.reports.times import zone
from otel_obs.surfaces.cli import render
from otel_obs.surfaces.cli.exits import INTERRUPTED
from otel_obs.surfaces.cli.store import connected, store_options

if TYPE_CHECKING:
    from datetime import tzinfo

    from otel_obs.reports.rows import DecisionLine

_EXAMPLES = """\b
Examples:
  otel-obs tail
  otel-obs tail --last 20 --service my-bot --outcome vetoed
  otel-obs tail --json | jq .veto_reason_primary
"""


@click.command(epilog=_EXAMPLES)
@click.option("--service", metavar="NAME", help="Only this bot (service.name).")
@click.option("--symbol", metavar="NAME", help="Only this instrument.")
@click.option("--outcome", type=click.Choice([outcome.value for outcome in Outcome]), help="Only those that ended so.")
@click.option("--gate", metavar="NAME", help="Only those whose first denial was this gate's.")
@click.option(
    "--last", metavar="COUNT", type=click.IntRange(0), default=10, show_default=True, help="First so many earlier ones."
)
@click.option(
    "--every",
    metavar="SECONDS",
    type=click.FloatRange(0.1, 10),
    default=1.0,
    show_default=True,
    help="How often the store is asked.",
)
@click.option("--tz", metavar="ZONE", default="", help="Time zone of times shown; else this machine's.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each decision.")
@store_options
@click.pass_context
def tail(
    context: click.Context,
    service: str | None,
    symbol: str | None,
    outcome: str | None,
    gate: str | None,
    last: int,
    every: float,
    tz: str,
    as_json: bool,  # noqa: FBT001 - click's flag
    url: str | None,
    data: str | None,
) -> None:
    """Show decisions as they arrive, until Ctrl-C."""
    local, out = zone(tz), render.console()
    with connected(url, data) as store:
        if store.is_held_here:
            raise StoreError(
                "Nobody serves this directory, so nothing can arrive.",
                fix="Start it with `otel-obs up --data …`; `otel-obs report decisions` shows what is there.",
            )
        asked = {"service": service, "symbol": symbol, "outcome": outcome, "gate": gate}
        arrivals = store.arrivals(**asked, limit=last)
        for sentence in arrivals.unknown():
            click.echo(f"{sentence} Waiting for it.", err=True)
        try:
            while True:
                for row in arrivals.new():
                    if as_json:
                        click.echo(render.one_line_json(plain(told(row), local)))
                    else:
                        out.print(_line(row, local), soft_wrap=True)
                time.sleep(every)
        except KeyboardInterrupt:
            context.exit(INTERRUPTED)


def _line(row: DecisionLine, tz: tzinfo) -> Text:
    by = f" by {row.veto_reason_primary}" if row.outcome == "vetoed" and row.veto_reason_primary else ""
    sure = "" if row.confidence is None else f"  {row.confidence:.0%}"
    parts: list[Any] = [
        (row.timestamp.astimezone(tz).strftime("%Y-%m-%d %H:%M:%S"), "dim"),
        f"  {render.cell(row.service)}  {render.cell(row.symbol)}  {render.cell(row.what)}: ",
        (row.outcome, render.style(row.outcome)),
        f"{render.cell(by)}{sure}",
        (f"  {' '.join(render.cell(row.why).split())}" if row.why else "", "italic"),
        (f"  {row.span_id}", "dim"),
    ]
    return Text.assemble(*parts)
