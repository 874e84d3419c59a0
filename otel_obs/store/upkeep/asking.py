"""Statements of upkeep: run on whichever client there is, refused with our own errors."""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from otel_obs.errors import OtelObsError, QueryError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clickhouse_connect.driver.client import Client

_CODE: Final = re.compile(r"(?i)\bcode:?\s*(\d+)")


class Progress(Protocol):
    """Is told how far a long work is: what is being done, how much of it, of how much."""

    def __call__(self, what: str, done: int, total: int) -> None: ...


def silent(what: str, done: int, total: int) -> None:
    """Tell nobody."""


@contextmanager
def refused(client: Client, doing: str) -> Iterator[None]:
    """Turn what goes wrong inside into a QueryError that says what was being done."""
    try:
        yield
    except OtelObsError:
        raise
    except Exception as error:
        with suppress(Exception):  # in this process, what a refused query had written stands before the next answer
            client.query("SELECT 1")
        text = str(error).strip()
        code = _CODE.search(text)
        raise QueryError(
            f"The store refused {doing}: {text.splitlines()[0] if text else type(error).__name__}",
            code=int(code[1]) if code else 0,
        ) from error


def rows(client: Client, doing: str, sql: str, **parameters: Any) -> Sequence[dict[str, Any]]:
    """Run a query; its rows by name.

    Raises:
        QueryError: the store refused it.

    """
    with refused(client, doing):
        return list(client.query(sql, parameters=parameters).named_results())


def run(client: Client, doing: str, sql: str, **parameters: Any) -> None:
    """Run a statement that answers nothing.

    Raises:
        QueryError: the store refused it.

    """
    with refused(client, doing):
        client.command(sql, parameters=parameters or None)


def quoted(name: str) -> str:
    """``name`` as an identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
