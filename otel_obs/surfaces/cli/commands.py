"""The commands put together: what is common to all, and how an error is shown."""

from __future__ import annotations

import logging
from importlib import import_module
from importlib.metadata import version
from typing import Any, Final

import click

from otel_obs.errors import OtelObsError, QuestionError, nearest
from otel_obs.surfaces.cli.exits import ASKED_WRONGLY, EXIT_CODES, FAILED

_EPILOG = "\n".join(
    [
        "\b",
        "Examples:",
        "  otel-obs up                                   a store for your bot, on this machine",
        "  otel-obs report why --from today              why it did what it did, or nothing",
        "  otel-obs tail --outcome vetoed                decisions as they arrive",
        "  otel-obs scorecard 46ba6684                   one run on one card",
        "",
        "\b",
        "Times are ISO (2025-12-19T14:00), dates, now, today, yesterday, or -2h.",
        "",
        "\b",
        "Exit codes:",
        *(f"  {code:<4} {meaning}" for code, meaning in EXIT_CODES.items()),
    ]
)


# Each is imported when it is asked for: who starts a store need not wait for what draws tables.
_COMMANDS: Final = {
    "up": "up:up",
    "report": "report:report",
    "tail": "tail:tail",
    "scorecard": "scorecard:scorecard",
    "journal": "journal:journal",
    "import": "importing:import_files",
    "store": "upkeep:store",
    "migrate": "migrate:migrate",
    "demo": "demo:demo",
    "alerts": "alerts:alerts",
    "doctor": "doctor:doctor",
    "completion": "completion:completion",
}


class _Group(click.Group):
    """Shows our errors in one line, with the fix, instead of a stack."""

    def list_commands(self, _context: click.Context) -> list[str]:
        """In the order of the table: what is used first stands first."""
        return list(_COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        """Import it."""
        if name not in _COMMANDS:
            return None
        module, _, attribute = _COMMANDS[name].partition(":")
        command: click.Command = getattr(import_module(f"otel_obs.surfaces.cli.{module}"), attribute)
        return command

    def resolve_command(self, context: click.Context, args: list[str]) -> Any:
        """Tell the nearest name where one is mistyped."""
        if args[0] not in _COMMANDS and not args[0].startswith("-") and not context.resilient_parsing:
            raise QuestionError(f"There is no command {args[0]!r}.", fix=nearest(args[0], _COMMANDS))
        return super().resolve_command(context, args)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except QuestionError as error:
            click.echo(f"error: {error}", err=True)
            context.exit(ASKED_WRONGLY)
        except OtelObsError as error:
            click.echo(f"error: {error}", err=True)
            context.exit(FAILED)


@click.group(cls=_Group, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("otel-obs"), prog_name="otel-obs")
def otel_obs() -> None:
    """Why did my bot do that, or nothing?

    Start a store with `otel-obs up`, let the bot speak to it, ask with `otel-obs report why`.
    """
    # Its errors come to us as exceptions, and are told once, in our words.
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)
