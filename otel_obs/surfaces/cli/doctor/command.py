"""The command: hop after hop, as lines for people or as JSON."""

from __future__ import annotations

import json
import sys
import textwrap
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
from otel_obs.surfaces.cli.exits import FAILED, INTERRUPTED
from otel_obs.surfaces.cli.render import console

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_obs.surfaces.cli.doctor.finding import Finding, Hop

WAIT_SECONDS: Final = 15.0
_ABOUT_WIDTH: Final = 18
_MARGIN: Final = 2 + len("wrong") + 2 + _ABOUT_WIDTH + 1
_NARROWEST: Final = 40
_OK: Final = ("ok   ", "green")
_NOTE: Final = ("note ", "yellow")
_WRONG: Final = ("wrong", "bold red")


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


class _Progress:
    """On a terminal: how long the span is waited for, on a line that goes away."""

    def __init__(self, wait: float, *, quiet: bool) -> None:
        is_seen = not quiet and sys.stderr.isatty() and sys.stdout.isatty()
        self._status = Console(stderr=True).status("") if is_seen else None
        self._wait = wait

    def tick(self, seconds: float) -> None:
        """Tell."""
        if self._status is not None:
            self._status.update(f"waiting for the span in the store: {seconds:.0f} s of {self._wait:.0f}")
            self._status.start()

    def end(self) -> None:
        """Go away; a further tick brings it back."""
        if self._status is not None:
            self._status.stop()


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
    progress = _Progress(wait, quiet=as_json)
    try:
        for finding in examine(url=url, data=data, send=not no_send, wait=wait, tick=progress.tick):
            progress.end()
            found.append(finding)
            if not as_json:
                _show(finding, is_first=finding.hop is not hop)
            hop = finding.hop
    except KeyboardInterrupt:
        context.exit(INTERRUPTED)
    finally:
        progress.end()
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in found], indent=2))
    if not all(finding.ok for finding in found):
        context.exit(FAILED)


def _show(finding: Finding, *, is_first: bool) -> None:
    out = console()
    if is_first:
        out.print(Text(finding.hop.heading, style="bold"))
    mark = _WRONG if not finding.ok else _NOTE if finding.fix else _OK
    about = f"  {finding.about:<{_ABOUT_WIDTH}} "
    out.print(Text.assemble("  ", mark, about, _wrapped(out, finding.found)), soft_wrap=True)
    if finding.fix:
        out.print(Text(" " * _MARGIN + _wrapped(out, finding.fix)), soft_wrap=True)


def _wrapped(out: Console, text: str) -> str:
    """On a terminal: in lines under one another; in a pipe each finding is one line."""
    if not out.is_terminal:
        return text
    width = max(_NARROWEST, out.width - _MARGIN)
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    return ("\n" + " " * _MARGIN).join(lines)
