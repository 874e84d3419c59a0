"""The ClickHouse engine in this process: one data directory, one writing connection, a bounded number of readers."""

from __future__ import annotations

import os
import queue
import re
import threading
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import chdb

from otel_obs.errors import QueryError, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

DATABASE: Final = "otel"

# Of every connection, whoever uses it. The first keeps a nine-year backtest in one batch from failing (Code 252);
# the second lets FINAL stay inside a partition, where our keys guarantee that a repeated row meets itself. The last one
# refuses inserts while there is room: chdb takes a write that fails for lack of room for done, and leaves a broken
# part behind.
_BASE_SETTINGS: Final = {
    "max_partitions_per_insert_block": "0",
    "do_not_merge_across_partitions_select_final": "1",
    "async_insert": "0",
    "session_timezone": "UTC",
    "min_free_disk_bytes_to_perform_insert": str(256 << 20),
}
_FEWEST_READERS: Final = 4  # a client that stops reading its answer holds one
_CODE: Final = re.compile(r"Code:\s*(\d+)")
_SETTING: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class _Connection:
    """One chdb connection: one query at a time, so it is lent to one user at a time."""

    def __init__(self, target: str) -> None:
        self._chdb = chdb.connect(target)
        self._database = ""
        self._chdb.query("SET " + ", ".join(f"{name} = '{value}'" for name, value in _BASE_SETTINGS.items()))

    def use(self, database: str) -> None:
        if database and database != self._database:
            with _translated():
                self._chdb.query(f"USE `{database.replace('`', '')}`")
            self._database = database

    @contextmanager
    def under(self, settings: Mapping[str, str]) -> Iterator[None]:
        """Put a client's settings in force, and take them back: SET belongs to the connection."""
        applied: list[str] = []
        try:
            for name, value in settings.items():
                with _translated():
                    self._chdb.query(f"SET {_name(name)} = {_text(value)}")
                applied.append(name)
            yield
        finally:
            for name in applied:
                base = _BASE_SETTINGS.get(name)
                self._chdb.query(f"SET {name} = " + ("DEFAULT" if base is None else _text(base)))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep what a failed statement had already written out of the next one's answer, where chdb would put it."""
        try:
            with _translated():
                yield
        except QueryError:
            with suppress(Exception):  # the connection may be what failed, or be closed
                self._chdb.query("SELECT 1", "Null")
            raise

    def query(self, sql: str, form: str, params: Mapping[str, str]) -> bytes:
        with self._alone():
            answer: bytes | None = self._chdb.query(sql, form, params=dict(params)).bytes()
        return answer or b""

    def stream(self, sql: str, form: str, params: Mapping[str, str]) -> Iterator[bytes]:
        with self._alone():
            answer = self._chdb.send_query(sql, form, params=dict(params))
            try:
                while (chunk := answer.fetch()) is not None and (data := chunk.bytes()):
                    yield data
            finally:
                answer.close()

    def close(self) -> None:
        self._chdb.close()


def _name(text: str) -> str:
    if not _SETTING.fullmatch(text):
        raise QueryError(f"{text!r} is no name of a setting.", code=115)
    return text


def _text(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the engine's errors into ours, with ClickHouse's number."""
    try:
        yield
    except QueryError:
        raise
    except Exception as error:
        text = str(error)
        code = _CODE.search(text)
        raise QueryError(text[code.start() :] if code else text, code=int(code.group(1)) if code else 0) from error


class Engine:
    """The engine on one data directory; safe to use from many threads.

    Raises:
        StoreError: the engine cannot open the directory.

    """

    def __init__(self, directory: Path, *, readers: int | None = None) -> None:
        self._target = str(directory.resolve())
        self._readers: queue.SimpleQueue[_Connection] = queue.SimpleQueue()
        self._writing = threading.Lock()
        self._stopping = threading.Lock()
        self._count = readers or max(_FEWEST_READERS, os.cpu_count() or 1)
        try:
            self._writer = _Connection(self._target)
            self._writer.query(f"CREATE DATABASE IF NOT EXISTS {DATABASE} ENGINE = Atomic", "Null", {})
            self._writer.use(DATABASE)
            self._stopper = _Connection(self._target)
            for _ in range(self._count):
                self._readers.put(_Connection(self._target))
        except Exception as error:
            raise StoreError(
                f"The engine cannot open {self._target}: {error}",
                fix="Is another process using it? `otel-obs doctor --data` tells.",
            ) from error

    @contextmanager
    def _reader(self, database: str, settings: Mapping[str, str]) -> Iterator[_Connection]:
        connection = self._readers.get()
        try:
            connection.use(database)
            with connection.under(settings):
                yield connection
        finally:
            self._readers.put(connection)

    def read(
        self,
        sql: str,
        form: str = "TabSeparated",
        *,
        params: Mapping[str, str] = _NOTHING,
        settings: Mapping[str, str] = _NOTHING,
        database: str = DATABASE,
    ) -> bytes:
        """Run a statement on a reading connection and return its whole answer in ClickHouse's format ``form``.

        ``params`` are the statement's ``{name:Type}`` values, escaped as ClickHouse's HTTP interface wants them;
        ``settings`` hold for this statement only.

        Raises:
            QueryError: the engine refused the statement.

        """
        with self._reader(database, settings) as connection:
            return connection.query(sql, form, params)

    def stream(
        self,
        sql: str,
        form: str,
        *,
        params: Mapping[str, str] = _NOTHING,
        settings: Mapping[str, str] = _NOTHING,
        database: str = DATABASE,
    ) -> Iterator[bytes]:
        """Like ``read``, in pieces as the engine makes them; a reader is held until the iterator is closed."""
        with self._reader(database, settings) as connection:
            yield from connection.stream(sql, form, params)

    def write(
        self,
        sql: str,
        form: str = "Null",
        *,
        params: Mapping[str, str] = _NOTHING,
        settings: Mapping[str, str] = _NOTHING,
        database: str = DATABASE,
    ) -> bytes:
        """Run a statement on the one writing connection; concurrent callers wait for one another.

        Raises:
            QueryError: the engine refused the statement.

        """
        with self._writing:
            self._writer.use(database)
            with self._writer.under(settings):
                return self._writer.query(sql, form, params)

    def stop(self, mark: str) -> None:
        """End every running statement whose text holds ``mark``; this waits for no other connection.

        Raises:
            QueryError: the engine is closed.

        """
        with self._stopping:
            self._stopper.query("KILL QUERY WHERE position(query, {mark:String}) > 0 ASYNC", "Null", {"mark": mark})

    def close(self) -> None:
        """Wait for what is running, then let go of the directory."""
        with self._writing:
            for _ in range(self._count):
                self._readers.get().close()
            self._writer.close()
        with self._stopping:
            self._stopper.close()
