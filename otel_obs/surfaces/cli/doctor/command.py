"""The command: hop after hop, as lines for people or as JSON."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console
from rich.text import Text

from otel_obs import settings
from otel_obs.surfaces.cli.doctor.arriving import arriving
from otel_obs.surfaces.cli.doctor.here import here, is_off
from otel_obs.surfaces.cli.doctor.sending import sending
from otel_obs.surfaces.cli.doctor.storing import storage
from otel_obs.surfaces.cli.doctor.watching import watching
from otel_obs.surfaces.cli.exits import FAILED
from otel_obs.surfaces.cli.render import console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_obs.surfaces.cli.doctor.finding import Finding, Hop

WAIT_SECONDS: Final = 15.0
_ABOUT_WIDTH: Final = 18


def examine(
    *, url: str | None, data: Path | None, send: bool, wait: float, tick: Callable[[float], None]
) -> Iterator[Finding]:
    """Look at everything, hop after hop; never raises."""
    yield from here()
    wanted = settings.resolve(refused=lambda _told_above: None, enabled=True)
    store = storage(wanted, url=url, data=data)  # opened first: what then passes is the span's time, not ours
    try:
        way = yield from sending(wanted, unsent=_unsent(send=send), store_ports=store.otlp_ports)
        yield from arriving(store, way, wait=wait, tick=tick)
    finally:
        store.close()
    yield from watching(wanted, collector_is_used=way.is_reached and not way.is_store)


def _unsent(*, send: bool) -> str:
    if not send:
        return "--no-send only looks"
    return "a bot here would send nothing, for recording is off" if is_off() else ""


@contextmanager
def _progress(wait: float, *, quiet: bool) -> Iterator[Callable[[float], None]]:
    """On a terminal: how long the span is waited for."""
    if quiet or not (sys.stderr.isatty() and sys.stdout.isatty()):
        yield lambda _seconds: None
        return
    status = Console(stderr=True).status("")

    def tick(seconds: float) -> None:
        status.start()
        status.update(f"waiting for the span in the store: {seconds:.0f} s of {wait:.0f}")

    try:
        yield tick
    finally:
        status.stop()


@click.command(
    epilog="\b\nExamples:\n  otel-obs doctor                               sends one span, and finds it again\n"
    "  otel-obs doctor --no-send                     only looks\n"
    "  otel-obs doctor --json | jq '.[] | select(.ok | not)'"
)
@click.option("--url", metavar="URL", help="The store in which the span is looked for (OTEL_OBS_URL).")
@click.option(
    "--data",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="The store in this directory (OTEL_OBS_DATA).",
)
@click.option("--no-send", is_flag=True, help="Send nothing: only look.")
@click.option(
    "--wait",
    metavar="SECONDS",
    type=click.FloatRange(min=0),
    default=WAIT_SECONDS,
    show_default=True,
    help="How long to look for the span.",
)
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
@click.pass_context
def doctor(
    context: click.Context, url: str | None, data: Path | None, *, no_send: bool, wait: float, as_json: bool
) -> None:
    """Tell what keeps records from arriving, or alerts from being told: hop by hop, each with its fix.

    One marked span is sent as a bot here would send it, and looked for in the store. It is no decision, run or stage,
    so no report counts it. Exit code 1 if anything is wrong.
    """
    if url and data:
        raise click.UsageError("Give --url or --data, not both.")
    found: list[Finding] = []
    hop: Hop | None = None
    with _progress(wait, quiet=as_json) as tick:
        for finding in examine(url=url, data=data, send=not no_send, wait=wait, tick=tick):
            found.append(finding)
            if not as_json:
                _show(finding, is_first=finding.hop is not hop)
            hop = finding.hop
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in found], indent=2))
    if not all(finding.ok for finding in found):
        context.exit(FAILED)


def _show(finding: Finding, *, is_first: bool) -> None:
    out = console()
    if is_first:
        out.print(Text(finding.hop.heading, style="bold"))
    mark = ("ok   ", "green") if finding.ok else ("wrong", "bold red")
    out.print(Text.assemble("  ", mark, f"  {finding.about:<{_ABOUT_WIDTH}} {finding.found}"))
    if finding.fix:
        out.print(Text(f"  {'':<5}  {'':<{_ABOUT_WIDTH}} {finding.fix}"))
