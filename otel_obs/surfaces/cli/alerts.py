"""`otel-obs alerts`: what somebody is told of without asking, and whether they are."""

from __future__ import annotations

import click

from otel_obs.alerting.closed import closed
from otel_obs.surfaces.cli.alerts_trial import trial


@click.group()
def alerts() -> None:
    """Alerts: does a message arrive where somebody reads it, and when is it held back?"""


@alerts.command(epilog="\b\nExample:\n  otel-obs alerts calendar XNYS")
@click.argument("exchange")
def calendar(exchange: str) -> None:
    """Print when EXCHANGE is closed in the next twelve months, as alertmanager.yml wants its time_intervals.

    EXCHANGE is a name that the package exchange_calendars knows, such as XNYS or XETR.
    """
    click.echo(closed(exchange).text(), nl=False)


alerts.add_command(trial)
