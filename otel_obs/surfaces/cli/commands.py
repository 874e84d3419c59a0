"""The commands put together: what is common to all, and how an error is shown."""

from __future__ import annotations

import logging
from importlib.metadata import version
from typing import Any

import click

from otel_obs.errors import OtelObsError, QuestionError
from otel_obs.surfaces.cli.demo import demo
from otel_obs.surfaces.cli.doctor import doctor
from otel_obs.surfaces.cli.report import report
from otel_obs.surfaces.cli.up import up
from otel_obs.surfaces.cli.upkeep import store

_EPILOG = """\b
Exit codes: 0 answered; 1 failed; 2 asked wrongly; 3 the id that was asked for is not there.
Times are ISO (2025-12-19T14:00), dates, now, today, yesterday, or -2h.
"""


class _Group(click.Group):
    """Shows our errors in one line, with the fix, instead of a stack."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except QuestionError as error:
            click.echo(f"error: {error}", err=True)
            context.exit(2)
        except OtelObsError as error:
            click.echo(f"error: {error}", err=True)
            context.exit(1)


@click.group(cls=_Group, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("otel-obs"), prog_name="otel-obs")
def otel_obs() -> None:
    """Why did my bot do that, or nothing?

    Start a store with `otel-obs up`, let the bot speak to it, ask with `otel-obs report why`.
    """
    # Its errors come to us as exceptions, and are told once, in our words.
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)


for _command in (up, report, store, demo, doctor):
    otel_obs.add_command(_command)
