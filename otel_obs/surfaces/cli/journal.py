"""`otel-obs journal`: what bots said and nobody has acknowledged yet, and what the dead left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from otel_obs import settings
from otel_obs.errors import OtelObsError, QuestionError
from otel_obs.sdk.exporter.by_hand import ByHand
from otel_obs.sdk.exporter.transport import connect
from otel_obs.sdk.journal import reading, root_of
from otel_obs.sdk.journal.replay import replay as deliver_what_is_left
from otel_obs.surfaces.cli import journal_answers as answers
from otel_obs.surfaces.cli import render
from otel_obs.surfaces.cli.exits import FAILED, NOT_FOUND

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_obs.reports.answer import Answer
    from otel_obs.sdk.journal.reading import Instance

_JSON = click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
_MANY = 200


def _of_a_journal(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --journal and --service."""
    service = click.option("--service", metavar="NAME", default="", help="Only this bot (service.name).")
    journal = click.option(
        "--journal",
        "place",
        metavar="DIR",
        type=click.Path(path_type=Path),
        help="The directory of the journals (OTEL_OBS_JOURNAL; else in the user's state directory).",
    )
    return service(journal(command))


@click.group()
def journal() -> None:
    """What bots said and the receiver has not acknowledged: who left it, what it is, whether it is whole.

    A bot delivers it by itself, and its next start what it left when it was killed. Living bots' journals are only
    read.
    """


@journal.command(name="ls", epilog="\b\nExample:\n  otel-obs journal ls --service my-bot")
@_JSON
@_of_a_journal
def ls(place: Path | None, service: str, *, as_json: bool) -> None:
    """List every process that has a journal: alive or dead, what waits there, what died with it."""
    root = _root(place)
    _show(answers.of_instances(root, _instances(root, service), _refused(root, service)), as_json=as_json)


@journal.command(
    name="show",
    epilog="\b\nExamples:\n  otel-obs journal show\n  otel-obs journal show 1f3a --records --last 20\n"
    "  otel-obs journal show --refused --records",
)
@click.argument("instance", required=False)
@click.option("--records", is_flag=True, help="Decode the records themselves.")
@click.option("--refused", is_flag=True, help="What receivers refused for good, and why, instead of what waits.")
@click.option(
    "--last", metavar="COUNT", type=click.IntRange(1), default=_MANY, show_default=True, help="Only the newest so many."
)
@_JSON
@_of_a_journal
@click.pass_context
def show(
    context: click.Context,
    place: Path | None,
    service: str,
    instance: str | None,
    *,
    records: bool,
    refused: bool,
    last: int,
    as_json: bool,
) -> None:
    """Show what waits: frames, or with --records each record. INSTANCE is an id or its beginning; else the newest."""
    root = _root(place)
    if refused:
        frames = _refused(root, service)
        if instance:
            frames = [one for one in frames if one.found.header.instance.startswith(instance)]
        what = f"were refused and set aside in {root}"
    else:
        found = [one for one in _instances(root, service) if one.about.instance.startswith(instance or "")]
        if not found:
            click.echo(f"No process{f' {instance}' if instance else ''} has a journal in {root}.", err=True)
            context.exit(NOT_FOUND)
        chosen = found[-1]
        frames, what = list(chosen.frames), f"of {chosen.about.service}, {chosen.about.instance}, wait"
    _show((answers.of_records if records else answers.of_frames)(frames, what, last=last), as_json=as_json)


@journal.command(name="verify")
@_JSON
@_of_a_journal
@click.pass_context
def verify(context: click.Context, place: Path | None, service: str, *, as_json: bool) -> None:
    """Check every checksum, and that the ledgers of dead processes add up. Exit code 1 where something is wrong.

    A torn last frame is what a kill in mid-write leaves: it is told, and nothing is wrong.
    """
    found = _instances(_root(place), service)
    _show(answers.of_problems(found), as_json=as_json)
    if any(not problem.is_expected for one in found for problem in one.problems):
        context.exit(FAILED)


@journal.command(name="replay", epilog="\b\nExample:\n  otel-obs journal replay --endpoint http://127.0.0.1:4318")
@click.option("--endpoint", metavar="URL", help="Where OTLP goes (OTEL_EXPORTER_OTLP_ENDPOINT).")
@click.option("--dry-run", is_flag=True, help="Say what would be delivered, and deliver nothing.")
@_JSON
@_of_a_journal
@click.pass_context
def replay(
    context: click.Context, place: Path | None, service: str, *, endpoint: str | None, dry_run: bool, as_json: bool
) -> None:
    """Deliver what dead processes left, without waiting for the next start of their bot.

    What cannot be delivered stays; a record that is refused for good is set aside: in both cases the exit code is 1.
    Delivering twice does no harm: the store keeps one.
    """
    root = _root(place)
    dead = [one for one in _instances(root, service) if not one.is_alive]
    if dry_run:
        _show(answers.of_plan(dead), as_json=as_json)
        return
    way = ByHand(connect(settings.active, endpoint=endpoint or ""))
    out = Console(stderr=True, highlight=False)
    columns = (TextColumn("delivering records"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task("", total=None)
        done = deliver_what_is_left(
            [one.directory for one in dead],
            way,
            most_aside=settings.active.journal_max_bytes,
            tell=lambda done, of: bar.update(task, completed=done, total=of),
        )
    way.close()
    _show(answers.of_replay(done, way.place("traces")), as_json=as_json)
    if done.left or done.damaged or done.refused:
        context.exit(FAILED)


def _root(place: Path | None) -> Path:
    root = place or root_of(settings.active)
    if root is None:
        raise QuestionError("OTEL_OBS_JOURNAL is `off`: there is no journal.", fix="Name its directory with --journal.")
    if place is not None and not place.is_dir():
        raise QuestionError(f"{place} is no directory.", fix="Name the directory of the journals.")
    return root


def _instances(root: Path, service: str) -> list[Instance]:
    try:
        return reading.instances(root, service=service)
    except OSError as error:
        raise _unreadable(root, error) from None


def _refused(root: Path, service: str) -> list[reading.Lying]:
    try:
        return reading.refused(root, service=service)
    except OSError as error:
        raise _unreadable(root, error) from None


def _unreadable(root: Path, error: OSError) -> OtelObsError:
    return OtelObsError(
        f"{error.filename or root} cannot be read: {error.strerror or error}.",
        fix="Ask as the user whom the bot runs as.",
    )


def _show(answer: Answer[Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(render.as_json(answer))
    else:
        render.screen(answer)
