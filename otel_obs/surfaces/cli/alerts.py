"""`otel-obs alerts`: what somebody is told of without asking, and whether they are."""

from __future__ import annotations

import click

from otel_obs.alerting.closed import closed
from otel_obs.surfaces.cli.alerts_rules import default_thresholds, ls, rules, runbook
from otel_obs.surfaces.cli.alerts_trial import trial


@click.group()
def alerts() -> None:
    """Who is told what, without asking: the alerts, their thresholds, what to do then, and whether messages arrive."""


@alerts.command(epilog="\b\nExample:\n  otel-obs alerts calendar XNYS")
@click.argument("exchange")
def calendar(exchange: str) -> None:
    """Print when EXCHANGE is closed in the next twelve months, as alertmanager.yml wants its time_intervals.

    EXCHANGE is a name that the package exchange_calendars knows, such as XNYS or XETR.
    """
    click.echo(closed(exchange).text(), nl=False)


for command in (ls, runbook, rules, default_thresholds, trial):
    alerts.add_command(command)
