"""Which store a command asks: a server by --url, or a directory by --data, served by somebody or opened here."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from otel_obs import query

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clickhouse_connect.driver.client import Client

F = TypeVar("F", bound="Callable[..., Any]")

STORE_OPTIONS: Final = (
    click.Option(
        ["--url"], metavar="URL", help="Ask the store at this address (OTEL_OBS_URL; else http://127.0.0.1:8123)."
    ),
    click.Option(["--data"], metavar="DIR", help="Ask the store in this directory, served or not (OTEL_OBS_DATA)."),
)


def store_options(function: F) -> F:
    """Give a command the options that name a store."""
    for option in reversed(STORE_OPTIONS):
        function = click.option(*option.opts, metavar=option.metavar, help=option.help)(function)
    return function


def connected(url: str | None, data: str | None) -> query.Store:
    """Open the store that the options name, else the environment, else the default address."""
    if url and data:
        raise click.UsageError("Give --url or --data, not both.")
    return query.connect(url, data=data)


@contextmanager
def opened(url: str | None, data: str | None) -> Iterator[Client]:
    """Open it for what is no question: clickhouse-connect's client."""
    with connected(url, data) as store:
        yield store.client
