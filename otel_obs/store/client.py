"""The one client of the store: clickhouse-connect, over HTTP to a server or in this process on a data directory."""

from __future__ import annotations

import re
from contextlib import suppress
from importlib import resources
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from otel_obs import settings
from otel_obs.errors import MissingExtraError, QueryError, StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from urllib.parse import SplitResult

    from clickhouse_connect.driver.client import Client

DATABASE: Final = "otel"
READER: Final = "reader"

_AUTHENTICATION_FAILED: Final = 516

# Of every query of ours: FINAL stays inside a partition, where our keys make a repeated row meet itself. On a cluster a
# subquery is asked of all shards, once, and an insert is done when the shards have it.
_SETTINGS: Final = {
    "do_not_merge_across_partitions_select_final": 1,
    "max_partitions_per_insert_block": 0,
    "distributed_product_mode": "global",
    "distributed_foreground_insert": 1,
}
_PARAMETER: Final = re.compile(r"\{(\w+):")


def _library() -> Any:
    try:
        import clickhouse_connect
    except ImportError:
        raise MissingExtraError("Asking the store", extra="query") from None
    return clickhouse_connect


def _reason(error: BaseException) -> str:
    """Say the first cause of an error in a few words: what the operating system said, where it spoke."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror.lower()
        seen = seen.__cause__ or seen.__context__
    return next(iter(str(error).splitlines()), type(error).__name__)[:200]


def _who(parts: SplitResult) -> tuple[str, str]:
    """User and password: what the URL says, else the settings."""
    found = settings.resolve(enabled=True)
    name = unquote(parts.username or "") or found.user
    reading = (found.reader_password or found.store_password) if name == READER else found.store_password
    return name, unquote(parts.password) if parts.password is not None else reading


def connect(url: str) -> Client:
    """Open a client of a ClickHouse server, or of `otel-obs up`, at ``http://[user[:password]@]host:port``.

    A user or password that the URL does not tell is OTEL_OBS_USER, OTEL_OBS_PASSWORD or OTEL_OBS_PASSWORD_FILE.

    Raises:
        SettingError: a file of a password cannot be read.
        StoreError: nobody answers there, or refuses.
        MissingExtraError: clickhouse-connect is not installed.

    """
    try:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        port = parts.port or (8443 if parts.scheme == "https" else 8123)
    except ValueError as error:
        raise StoreError(f"--url is no address: {error}.", fix="Write it as http://127.0.0.1:8123.") from error
    place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"  # never the password
    name, password = _who(parts)
    try:
        client: Client = _library().get_client(
            interface=parts.scheme or "http",
            host=parts.hostname or "127.0.0.1",
            port=port,
            username=name or ("default" if password else None),
            password=password,
            autogenerate_session_id=False,
            tz_mode="aware",
        )
    except MissingExtraError:
        raise
    except Exception as error:
        if getattr(error, "code", None) == _AUTHENTICATION_FAILED:
            raise StoreError(
                f"The store at {place} does not let {name or 'default'} in with this password.",
                fix="Set OTEL_OBS_USER and OTEL_OBS_PASSWORD_FILE (or OTEL_OBS_PASSWORD) to those of the store.",
            ) from None
        raise StoreError(
            f"No store answers at {place}: {_reason(error)}.",
            fix="Is `otel-obs up` (or ClickHouse) running there? See --url and --data.",
        ) from error
    for setting, value in _SETTINGS.items():
        known = client.server_settings.get(setting)
        if known is not None and not known.readonly:  # a read-only user may change none; his answers are the same
            client.set_client_setting(setting, value)
    return client


def open_directory(directory: Path) -> Client:
    """Open a data directory in this process. The caller holds the directory's lock (``embedded.directory``).

    Raises:
        StoreError: the engine cannot open it.
        MissingExtraError: chdb is not installed.

    """
    library = _library()
    try:
        client: Client = library.get_client(
            interface="chdb", path=str(directory), database="default", settings=_SETTINGS, tz_mode="aware"
        )
    except ImportError:
        raise MissingExtraError("Opening a data directory", extra="local") from None
    except Exception as error:
        raise StoreError(f"The engine cannot open {directory}: {error}") from error
    return client


def statement(name: str) -> str:
    """Return the text of ``queries/<name>.sql``."""
    return resources.files("otel_obs.store").joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")


def assignments(parameters: Mapping[str, Any], text: str) -> list[str]:
    """Lines that give a statement's ``{name:Type}`` their values in a ClickHouse client: ``SET param_name = …;``."""
    return [
        f"SET param_{name} = {_literal(_bound(parameters[name]))};"
        for name in dict.fromkeys(_PARAMETER.findall(text))
        if name in parameters
    ]


def _bound(value: Any) -> str:
    if value is None:
        return "\\N"
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    return str(value)


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def clock(client: Client) -> int:
    """What time it is where the store is, in whole seconds since the epoch."""
    return int(client.query("SELECT toUnixTimestamp(now())").result_rows[0][0])


def ask(client: Client, name: str, parameters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Run ``queries/<name>.sql`` with its typed parameters; rows as dicts, times aware and in UTC.

    Raises:
        QueryError: the store refused the query.

    """
    try:
        answer = client.query(statement(name), parameters=dict(parameters))
    except Exception as error:
        with suppress(Exception):  # in this process, what a refused query had written stands before the next answer
            client.query("SELECT 1")
        raise QueryError(f"The store refused the query {name!r}: {error}") from error
    return list(answer.named_results())
