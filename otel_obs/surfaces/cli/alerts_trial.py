"""`otel-obs alerts test`: one alert through the real Alertmanager, and whether somebody was told."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from otel_obs import settings
from otel_obs.alerting.alertmanager import Alertmanager
from otel_obs.alerting.trial import Outcome, sample, sent
from otel_obs.contract.alerts import ALERTS
from otel_obs.errors import QuestionError, nearest
from otel_obs.reports.answer import Answer, Table
from otel_obs.surfaces.cli import render
from otel_obs.surfaces.cli.exits import FAILED

if TYPE_CHECKING:
    from otel_obs.alerting.trial import Delivery
    from otel_obs.contract.alerts.alert import Alert

_USUAL = "RejectionRateHigh"


@click.command(
    name="test",
    epilog="\b\nExamples:\n  otel-obs alerts test\n  otel-obs alerts test SourceStale --service my-bot --resolve",
)
@click.argument("name", default=_USUAL)
@click.option("--service", metavar="NAME", default="", help="The bot that it is about; else the example's.")
@click.option("--resolve", is_flag=True, help="End it at once, and see that its end is told as well.")
@click.option(
    "--alertmanager", "url", metavar="URL", default="",
    help="Alertmanager; else OTEL_OBS_ALERTMANAGER_URL, else http://127.0.0.1:9093.",
)  # fmt: skip
@click.option(
    "--wait", metavar="SECONDS", type=click.FloatRange(min=0), default=15.0, show_default=True,
    help="How long a message may take.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
@click.pass_context
def trial(
    context: click.Context, name: str, service: str, url: str, *, resolve: bool, wait: float, as_json: bool
) -> None:
    """Send one alert, marked as a test, and see that it arrives where people read it.

    It goes to Alertmanager as Prometheus would send it and resolves by itself in about a minute. Exit code 1 if it is
    not delivered.
    """
    alertmanager = Alertmanager(url or settings.resolve(enabled=True).alertmanager_url)
    outcome = sent(alertmanager, sample(_row(name), service=service), wait=wait, resolve=resolve)
    answer = _answer(outcome, alertmanager.url, wait)
    if as_json:
        click.echo(render.as_json(answer))
    else:
        render.screen(answer)
    if not outcome.delivered:
        context.exit(FAILED)


def _row(name: str) -> Alert:
    known = {row.name.lower(): row for row in ALERTS}
    if name.lower() not in known:
        raise QuestionError(f"There is no alert {name!r}.", fix=nearest(name, [row.name for row in ALERTS]))
    return known[name.lower()]


def _answer(outcome: Outcome, url: str, wait: float) -> Answer[Any]:
    phases = {"firing": outcome.firing, "resolved": outcome.resolved or ()}
    fix = "" if outcome.delivered else _fix(outcome, wait)
    return Answer(
        sentence=_sentence(outcome),
        text=fix,
        tables=[
            Table(
                columns=("message", "way", "taken", "refused"),
                rows=[
                    (phase, each.way, f"{min(each.taken, each.wanted)} of {each.wanted}", each.refused)
                    for phase, found in phases.items()
                    for each in found
                ],
            )
        ]
        if outcome.firing
        else [],
        data={
            "alert": outcome.sample.name,
            "alertmanager": url,
            "delivered": outcome.delivered,
            "seconds": round(outcome.seconds, 3),
            "fix": fix,
            **asdict(outcome.standing),
            "firing": [_told(each) for each in outcome.firing],
            "resolved": None if outcome.resolved is None else [_told(each) for each in outcome.resolved],
            "labels": dict(outcome.sample.labels),
            "annotations": dict(outcome.sample.annotations),
        },
    )


def _told(delivery: Delivery) -> dict[str, Any]:
    return {**asdict(delivery), "done": delivery.done}


def _sentence(outcome: Outcome) -> str:
    to = f"{outcome.sample.name} to {', '.join(outcome.standing.receivers) or 'nobody'}"
    if not outcome.delivered:
        return f"Not delivered: {to}."
    ways = ", ".join(each.way for each in outcome.firing)
    end = "and its end too" if outcome.resolved else "and it resolves by itself in about a minute"
    return f"Delivered: {to}. Taken by {ways} after {outcome.seconds:.1f} s, {end}."


def _fix(outcome: Outcome, wait: float) -> str:
    standing = outcome.standing
    if standing.silenced_by:
        return f"A silence holds it back: `amtool silence expire {standing.silenced_by[0]}` ends it."
    if standing.inhibited_by:
        return "Another alert holds it back (inhibit_rules); those of deploy/alertmanager let a test pass."
    if not standing.receivers:
        return "Alertmanager took it and does not show it: is its clock, or this one, more than a minute off?"
    if not outcome.firing:
        return "That receiver has no way of telling anybody: give it one in alertmanager.yml, or test another alert."
    refused = [each.way for each in outcome.firing + (outcome.resolved or ()) if each.refused and not each.done]
    if refused:
        return (
            f"{' and '.join(refused)} refused. Alertmanager's log says how (`Notify attempt failed` or `Notify for "
            "alerts failed`): 404 or no_service is a webhook that was revoked, make another; `no such file` is the "
            "path in api_url_file; with 429 and 5xx it is tried again."
        )
    return (
        f"Nothing was tried within {wait:g} s: alertmanager.yml may make it wait (group_wait; that of "
        'deploy/alertmanager sends what has test="true" at once). Give it longer: --wait 60.'
    )
