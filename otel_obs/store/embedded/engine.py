"""The ClickHouse engine in this process: one data directory, and its connections, each with the rights it needs."""

from __future__ import annotations

import queue
import re
import threading
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import chdb

from otel_obs.errors import QueryError, StoreError
from otel_obs.store.embedded.limits import Limits
from otel_obs.store.embedded.rights import Rights, configuration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
TOO_MANY_QUERIES: Final = 202
_CODE: Final = re.compile(r"Code:\s*(\d+)")
_SETTING: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class _Connection:
    """One chdb connection: one query at a time, so it is lent to one user at a time."""

    def __init__(self, target: str, rights: Rights, limits: Mapping[str, str] = _NOTHING) -> None:
        self._chdb = chdb.connect(target)
        self._database = ""
        self._base = {**_BASE_SETTINGS, **limits}
        try:
            self._chdb.query("SET " + ", ".join(f"{name} = '{value}'" for name, value in self._base.items()))
            self._chdb.query(f"SET ROLE {rights}")
        except BaseException:
            self._chdb.close()
            raise

    def change_nothing(self) -> None:
        """Refuse from now on to store, to change, and to set; chdb cannot take this back."""
        self._chdb.query("SET readonly = 1")

    def use(self, database: str) -> None:
        if database and database != self._database:
            with _translated():
                self._chdb.query(f"USE `{database.replace('`', '')}`")
            self._database = database

    def set(self, settings: Mapping[str, str]) -> None:
        for name, value in settings.items():
            with _translated():
                self._chdb.query(f"SET {_name(name)} = {_text(value)}")

    @contextmanager
    def under(self, settings: Mapping[str, str]) -> Iterator[None]:
        """Put a client's settings in force, and take them back: SET belongs to the connection."""
        applied: list[str] = []
        try:
            for name, value in settings.items():
                self.set({name: value})
                applied.append(name)
            yield
        finally:
            for name in applied:
                base = self._base.get(name)
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

    ``limits`` say how many queries of clients run at once, and what each of them may take.

    Raises:
        StoreError: the engine cannot open the directory.

    """

    def __init__(self, directory: Path, *, limits: Limits | None = None) -> None:
        self._path = str(directory.resolve())
        self.limits = limits or Limits()
        self._readers: queue.SimpleQueue[_Connection] = queue.SimpleQueue()
        self._writing = threading.Lock()
        self._clients_writing = threading.Lock()
        self._stopping = threading.Lock()
        with ExitStack() as opened:
            try:
                self._open(opened)
            except Exception as error:
                raise StoreError(
                    f"The engine cannot open {self._path}: {error}",
                    fix="Is another process using it? `otel-obs doctor --data` tells.",
                ) from error
            opened.pop_all()

    def _open(self, opened: ExitStack) -> None:
        with configuration(self.limits) as file:
            self._target = f"{self._path}?config-file={file}"
            self._writer = opened.enter_context(closing(_Connection(self._target, Rights.OURS)))
        self._writer.query(f"CREATE DATABASE IF NOT EXISTS {DATABASE} ENGINE = Atomic", "Null", {})
        self._writer.use(DATABASE)
        self._hide_the_files()
        client = _Connection(self._target, Rights.CLIENT, self.limits.of_writing())
        self._clients_writer = opened.enter_context(closing(client))
        self._stopper = opened.enter_context(closing(_Connection(self._target, Rights.OURS)))
        for _ in range(self.limits.queries):
            reader = _Connection(self._target, Rights.CLIENT, self.limits.of_reading())
            self._readers.put(opened.enter_context(closing(reader)))

    def _hide_the_files(self) -> None:
        """Make `default` an ordinary database: the engine lays the machine's files behind it at each start."""
        kind = self._writer.query("SELECT engine FROM system.databases WHERE name = 'default'", "TabSeparated", {})
        if kind.strip() != b"Overlay":
            return
        metadata = Path(self._path, "metadata")
        own = metadata / "default"
        self._writer.query("DETACH DATABASE default", "Null", {})
        for left in ("default.sql", "default.sql.tmp"):  # of the last start, perhaps killed: the engine replaces none
            (metadata / left).unlink(missing_ok=True)
        if own.is_symlink():  # to the directory of its tables, which is named as the database is identified
            known = f"ATTACH DATABASE default UUID '{own.readlink().name}' ENGINE = Atomic"
        else:
            known = "CREATE DATABASE default ENGINE = Atomic"
        self._writer.query(known, "Null", {})

    @contextmanager
    def _reader(self, database: str, settings: Mapping[str, str], rights: Rights) -> Iterator[_Connection]:
        try:
            connection = self._readers.get(timeout=self.limits.wait_seconds)
        except queue.Empty:
            raise self._too_many() from None
        try:
            if rights is Rights.READER:
                with self._for_one_query(database, settings) as own:
                    yield own
            else:
                connection.use(database)
                with connection.under(self.limits.lowered(settings)):
                    yield connection
        finally:
            self._readers.put(connection)

    @contextmanager
    def _for_one_query(self, database: str, settings: Mapping[str, str]) -> Iterator[_Connection]:
        """A connection that changes nothing, while a pooled one waits; never used again, as its settings are fixed."""
        with _translated():
            connection = _Connection(self._target, Rights.READER, self.limits.of_reading())
        try:
            connection.use(database)
            connection.set(self.limits.lowered(settings))
            connection.change_nothing()
            yield connection
        finally:
            connection.close()

    def _too_many(self) -> QueryError:
        return QueryError(
            f"Too many simultaneous queries: {self.limits.queries} are running, and none ended within "
            f"{self.limits.wait_seconds:g} s.",
            code=TOO_MANY_QUERIES,
            fix="Ask again later, or for less. (TOO_MANY_SIMULTANEOUS_QUERIES)",
        )

    def read(
        self,
        sql: str,
        form: str = "TabSeparated",
        *,
        params: Mapping[str, str] = _NOTHING,
        settings: Mapping[str, str] = _NOTHING,
        database: str = DATABASE,
        rights: Rights = Rights.CLIENT,
    ) -> bytes:
        """Run a statement on a reading connection and return its whole answer in ClickHouse's format ``form``.

        ``params`` are the statement's ``{name:Type}`` values, escaped as ClickHouse's HTTP interface wants them;
        ``settings`` hold for this statement only.

        Raises:
            QueryError: the engine refused the statement, or is too busy.

        """
        with self._reader(database, settings, rights) as connection:
            return connection.query(sql, form, params)

    def stream(
        self,
        sql: str,
        form: str,
        *,
        params: Mapping[str, str] = _NOTHING,
        settings: Mapping[str, str] = _NOTHING,
        database: str = DATABASE,
        rights: Rights = Rights.CLIENT,
    ) -> Iterator[bytes]:
        """Like ``read``, in pieces as the engine makes them; a reader is held until the iterator is closed."""
        with self._reader(database, settings, rights) as connection:
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
        """Run a statement of ours on the one writing connection; concurrent callers wait for one another.

        Raises:
            QueryError: the engine refused the statement.

        """
        with self._writing:
            self._writer.use(database)
            with self._writer.under(settings):
                return self._writer.query(sql, form, params)

    def write_for_client(
        self,
        sql: str,
        form: str = "Null",
        *,
        params: Mapping[str, str] = _NOTHING,
        settings: Mapping[str, str] = _NOTHING,
        database: str = DATABASE,
    ) -> bytes:
        """Like ``write``, for a client and with its rights: on a connection beside ours, which it cannot keep waiting.

        Raises:
            QueryError: the engine refused the statement, or others of clients take too long.

        """
        if not self._clients_writing.acquire(timeout=self.limits.wait_seconds):
            raise self._too_many()
        try:
            self._clients_writer.use(database)
            with self._clients_writer.under(self.limits.lowered_of_writing(settings)):
                return self._clients_writer.query(sql, form, params)
        finally:
            self._clients_writing.release()

    def stop(self, mark: str) -> None:
        """End every running statement whose text holds ``mark``; this waits for no other connection.

        Raises:
            QueryError: the engine is closed.

        """
        with self._stopping:
            self._stopper.query("KILL QUERY WHERE position(query, {mark:String}) > 0 ASYNC", "Null", {"mark": mark})

    def close(self) -> None:
        """Wait for what is running, then let go of the directory."""
        with self._writing, self._clients_writing:
            for _ in range(self.limits.queries):
                self._readers.get().close()
            self._clients_writer.close()
            self._writer.close()
        with self._stopping:
            self._stopper.close()
