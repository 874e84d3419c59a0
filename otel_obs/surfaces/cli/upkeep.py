"""`otel-obs store`: how much is kept, for how long, and its copies elsewhere."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from otel_obs.errors import MissingExtraError, QuestionError
from otel_obs.store.upkeep.backup import backup as back_up
from otel_obs.store.upkeep.optimize import optimize as merge
from otel_obs.store.upkeep.periods import period
from otel_obs.store.upkeep.restore import restore as put_back
from otel_obs.store.upkeep.retention import apply, in_force, planned
from otel_obs.store.upkeep.size import size as measure
from otel_obs.surfaces.cli import render
from otel_obs.surfaces.cli import upkeep_answers as answers
from otel_obs.surfaces.cli.store import STORE_OPTIONS, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from otel_obs.reports.answer import Answer
    from otel_obs.store.upkeep.asking import Progress
    from otel_obs.store.upkeep.periods import Period

_PATH = click.Path(path_type=Path)
_JSON = click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
_DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
_YES = click.option("--yes", is_flag=True, help="Do not ask: for scripts.")


def _of_a_store(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --url and --data."""
    command.__click_params__ = [*reversed(STORE_OPTIONS), *getattr(command, "__click_params__", [])]  # type: ignore[attr-defined]
    return command


@click.group()
def store() -> None:
    """Look after what is kept: its size, how long it stays, its copies."""


@store.command()
@_JSON
@_of_a_store
def size(url: str | None, data: str | None, *, as_json: bool) -> None:
    """How large is the store, what does it grow by, and how much room is there?"""
    with opened(url, data) as client:
        _show(answers.of_size(measure(client)), as_json=as_json)


@store.command(
    epilog="\b\nExamples:\n  otel-obs store retention\n"
    "  otel-obs store retention otel_traces=30d decisions=2y orders=forever --dry-run"
)
@click.argument("rules", metavar="[TABLE=PERIOD]...", nargs=-1)
@_DRY_RUN
@_YES
@_JSON
@_of_a_store
def retention(
    rules: Sequence[str], url: str | None, data: str | None, *, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """How long does each table keep its rows, counted from their arrival? Or change that.

    PERIOD is 12h, 30d, 2w, 2y or forever. Rows that are past it are removed at once; --dry-run shows which.
    """
    asked = _rules(rules)
    with opened(url, data) as client:
        if not asked:
            _show(answers.of_rules(in_force(client)), as_json=as_json)
            return
        changes = planned(client, asked)
        if dry_run:
            _show(answers.of_plan(changes), as_json=as_json)
            return
        if not yes:
            _confirm(answers.of_plan(changes))
        with _bar() as progress:
            after = apply(client, changes, progress=progress)
        _show(answers.of_change(changes, after), as_json=as_json)


@store.command()
@click.argument("tables", metavar="[TABLE]...", nargs=-1)
@_DRY_RUN
@_JSON
@_of_a_store
def optimize(tables: Sequence[str], url: str | None, data: str | None, *, dry_run: bool, as_json: bool) -> None:
    """Merge the weeks that are over to one part each: answers come faster, repeated rows go."""
    with opened(url, data) as client:
        with _bar() as progress:
            merged = merge(client, tables, dry_run=dry_run, progress=progress)
        _show(answers.of_merging(merged), as_json=as_json)


@store.command(epilog="\b\nExample:\n  otel-obs store backup backups/2026-01-31 --data otel_obs_data")
@click.argument("path", type=_PATH)
@click.option("--discard-interrupted", is_flag=True, help="Remove what a backup that was killed has left in the store.")
@_JSON
@_of_a_store
def backup(path: Path, url: str | None, data: str | None, *, discard_interrupted: bool, as_json: bool) -> None:
    """Copy the store to a new directory PATH, while it runs."""
    with opened(url, data) as client:
        with _bar() as progress:
            manifest = back_up(client, path, discard_interrupted=discard_interrupted, progress=progress)
        _show(answers.of_backup(path, manifest), as_json=as_json)


@store.command(epilog="\b\nExample:\n  otel-obs store restore backups/2026-01-31 --data otel_obs_restored")
@click.argument("path", type=_PATH)
@_JSON
@_of_a_store
def restore(path: Path, url: str | None, data: str | None, *, as_json: bool) -> None:
    """Put the backup in PATH into an empty store, and check it. A --data directory is made if need be."""
    if data and not url:
        _make(Path(data))
    with opened(url, data) as client:
        with _bar() as progress:
            restored = put_back(client, path, progress=progress)
        _show(answers.of_restore(path, restored), as_json=as_json)


def _rules(given: Sequence[str]) -> dict[str, Period | None]:
    asked: dict[str, Period | None] = {}
    for rule in given:
        name, equals, text = rule.partition("=")
        if not equals or not name:
            raise QuestionError(f"{rule!r} is no rule.", fix="Write TABLE=PERIOD, such as otel_traces=30d.")
        if name in asked:
            raise QuestionError(f"{name} is given twice.", fix="Give one period to each table.")
        asked[name] = period(text)
    return asked


def _confirm(plan: Answer[Any]) -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("This removes rows, and nobody is there to confirm it. Add --yes, or --dry-run to look.")
    click.echo(render.as_markdown(plan) + "\n", err=True)
    click.confirm("Do it?", abort=True, err=True)


def _make(path: Path) -> None:
    try:
        from otel_obs.store.embedded.directory import DataDirectory, running_at
    except ImportError:
        raise MissingExtraError("--data", extra="local") from None
    if running_at(path) is None:
        DataDirectory(path).release()


@contextmanager
def _bar() -> Iterator[Progress]:
    """A bar on the terminal while something long is done; nothing in a pipe."""
    out = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def tell(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield tell


def _show(answer: Answer[Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(render.as_json(answer))
    else:
        render.screen(answer)
