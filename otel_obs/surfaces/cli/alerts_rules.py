"""`otel-obs alerts ls`, `rules`, `thresholds`, `runbook`: what somebody is told of, when, and what to do then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from rich.markdown import Markdown

from otel_obs.alerting import rules as written
from otel_obs.alerting import runbooks, thresholds
from otel_obs.contract.alerts import ALERTS
from otel_obs.contract.alerts.thresholds import Thresholds, filled
from otel_obs.errors import OtelObsError, QuestionError, nearest
from otel_obs.reports.answer import Answer, Table
from otel_obs.surfaces.cli import render


@click.command(name="ls")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
def ls(*, as_json: bool) -> None:
    """List every alert: how urgent it is, what it is about, and what it means."""
    values = Thresholds().everywhere
    rows = [
        (alert.name, alert.severity.value, alert.component.value, filled(alert.runbook.meaning, values))
        for alert in ALERTS
    ]
    columns = ("alert", "severity", "about", "meaning")
    answer: Answer[Any] = Answer(
        sentence=f"{len(rows)} alerts. `otel-obs alerts runbook NAME` says what to do about one.",
        data=[dict(zip(columns, row, strict=True)) for row in rows],
        tables=[Table(columns=columns, rows=rows)],
    )
    if as_json:
        click.echo(render.as_json(answer))
    else:
        render.screen(answer)


@click.command(
    name="rules",
    epilog="\b\nExample:\n  otel-obs alerts rules --thresholds thresholds.yaml --into /etc/prometheus/rules\n"
    "  curl -X POST http://127.0.0.1:9090/-/reload",
)
@click.option(
    "--thresholds", "file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help="The thresholds; else the defaults, which `otel-obs alerts thresholds` prints.",
)  # fmt: skip
@click.option(
    "--into", metavar="DIR", type=click.Path(path_type=Path, file_okay=False), required=True,
    help="Where the files go; those of the same names are replaced.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
def rules(file: Path | None, into: Path, *, as_json: bool) -> None:
    """Write the rules that Prometheus evaluates, with your thresholds."""
    files = written.files(thresholds.read(file) if file else Thresholds())
    try:
        into.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (into / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise OtelObsError(f"{into} cannot be written: {error.strerror}.", fix="Give another directory.") from None
    if as_json:
        click.echo(json.dumps({"files": [str(into / name) for name in files]}, indent=2))
    else:
        click.echo(f"{len(files)} files of rules in {into}. Prometheus reads them on SIGHUP or POST /-/reload.")


@click.command(name="thresholds")
def default_thresholds() -> None:
    """Print the file of thresholds as it is without any wish, with what each value means."""
    click.echo(thresholds.defaults(), nl=False)


@click.command(name="runbook")
@click.argument("name")
@click.option("--md", "as_markdown", is_flag=True, help="Answer as Markdown, also on a terminal.")
def runbook(name: str, *, as_markdown: bool) -> None:
    """Say what an alert means, and what to do first, in order."""
    known = {alert.name.lower(): alert for alert in ALERTS}
    found = known.get(name.lower())
    if found is None:
        raise QuestionError(f"There is no alert {name!r}.", fix=nearest(name, [alert.name for alert in ALERTS]))
    out = render.console()
    if as_markdown or not out.is_terminal:
        click.echo(runbooks.page(found), nl=False)
    else:
        out.print(Markdown(runbooks.page(found)))
