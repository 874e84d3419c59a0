"""The commands put together: what is common to all, and how an error is shown."""

from __future__ import annotations

import logging
from importlib.metadata import version
from typing import Any

import click

from otel_obs.errors import OtelObsError, QuestionError
from otel_obs.surfaces.cli.completion import completion
from otel_obs.surfaces.cli.demo import demo
from otel_obs.surfaces.cli.doctor import doctor
from otel_obs.surfaces.cli.exits import ASKED_WRONGLY, EXIT_CODES, FAILED
from otel_obs.surfaces.cli.migrate import migrate
from otel_obs.surfaces.cli.report import report
from otel_obs.surfaces.cli.scorecard import scorecard
from otel_obs.surfaces.cli.tail import tail
from otel_obs.surfaces.cli.up import up
from otel_obs.surfaces.cli.upkeep import store

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


class _Group(click.Group):
    """Shows our errors in one line, with the fix, instead of a stack."""

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


for _command in (up, migrate, report, tail, scorecard, store, demo, doctor, completion):
    otel_obs.add_command(_command)
