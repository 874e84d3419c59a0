"""Which store a command asks: a server by --url, or a directory by --data, served by somebody or opened here."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from otel_obs import settings
from otel_obs.errors import DataDirectoryError, MissingExtraError
from otel_obs.store.client import DATABASE, connect, open_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from clickhouse_connect.driver.client import Client


_PATIENCE_SECONDS: Final = 10.0  # two that ask the same directory take turns
STORE_OPTIONS: Final = (
    click.Option(
        ["--url"], metavar="URL", help="Ask the store at this address (OTEL_OBS_URL; else http://127.0.0.1:8123)."
    ),
    click.Option(["--data"], metavar="DIR", help="Ask the store in this directory, served or not (OTEL_OBS_DATA)."),
)


@contextmanager
def opened(url: str | None, data: str | None) -> Iterator[Client]:
    """Open the store that the options name, else the environment, else the default address."""
    if url and data:
        raise click.UsageError("Give --url or --data, not both.")
    found = settings.resolve(enabled=True)
    place = data or ("" if url else found.data)
    client, release = (
        _at_directory(Path(place)) if place else (connect(url or found.url or "http://127.0.0.1:8123"), None)
    )
    try:
        client.database = DATABASE
        yield client
    finally:
        client.close()
        if release:
            release()


def _at_directory(path: Path) -> tuple[Client, Callable[[], None] | None]:
    """Ask the server that holds the directory; where none does, hold it and open it here."""
    try:
        from otel_obs.store.embedded.directory import DataDirectory, running_at
    except ImportError:
        raise MissingExtraError("--data", extra="local") from None
    from otel_obs.store.migrate import migrate

    running = running_at(path)
    if running is not None:
        return connect(running.clickhouse_url), None
    try:
        directory = DataDirectory(path, create=False, patience=_PATIENCE_SECONDS)
    except DataDirectoryError:
        running = running_at(path)  # a server that was just coming up
        if running is None:
            raise
        return connect(running.clickhouse_url), None
    try:
        client = open_directory(directory.engine)
        try:
            migrate(client)
        except BaseException:
            client.close()
            raise
    except BaseException:
        directory.release()
        raise
    return client, directory.release
