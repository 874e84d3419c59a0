"""Which store is asked: a server by its address, or a data directory, served by somebody or opened here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_obs import settings
from otel_obs.errors import DataDirectoryError, MissingExtraError, QuestionError
from otel_obs.store.client import DATABASE, connect, open_directory

if TYPE_CHECKING:
    from collections.abc import Callable

    from clickhouse_connect.driver.client import Client

DEFAULT_URL: Final = "http://127.0.0.1:8123"
_PATIENCE_SECONDS: Final = 10.0  # two that ask the same directory take turns


def opened(url: str | None = None, data: str | Path | None = None) -> tuple[Client, Callable[[], None] | None]:
    """Open the store that is named, else the one of the environment, else the default address.

    Returns the client and, where the directory is now held by this process, what lets go of it.

    Raises:
        QuestionError: both are named.
        StoreError: nobody answers there, or the directory cannot be opened.
        MissingExtraError: what it needs is not installed.

    """
    if url and data:
        raise QuestionError("Both a URL and a data directory are named.", fix="Give one of them.")
    found = settings.resolve(enabled=True)
    place = data or ("" if url else found.data)
    client, release = _at_directory(Path(place)) if place else (connect(url or found.url or DEFAULT_URL), None)
    client.database = DATABASE
    return client, release


def _at_directory(path: Path) -> tuple[Client, Callable[[], None] | None]:
    """Ask the server that holds the directory; where none does, hold it and open it here."""
    try:
        from otel_obs.store.embedded.directory import DataDirectory, running_at
    except ImportError:
        raise MissingExtraError("A data directory", extra="local") from None
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
