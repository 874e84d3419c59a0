"""Group commit: bodies that arrive together are inserted in one statement, and each is answered when it is stored."""

from __future__ import annotations

import errno
import itertools
import os
import queue
import shutil
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from otel_obs.errors import QueryError, StoreError
from otel_obs.store.embedded.otlp_insert import CUT_SHORT, Form, Spool
from otel_obs.store.embedded.otlp_reading import is_whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_obs.store.embedded.engine import Engine

_MOST_BODIES: Final = 64  # in one statement
_MOST_BYTES: Final = 64 << 20
_LEAST_FREE_BYTES: Final = 64 << 20  # after an insert; below it somebody else may have filled the disk meanwhile
_LINGER_SECONDS: Final = 0.01
_JOINED_BYTES: Final = 4 << 20  # in one spooled file
_BODIES: Final = frozenset({Form.TRACES, Form.LOGS})  # as they came


class BusyError(StoreError):
    """More is waiting than is allowed; the sender should come back later."""


class BodyError(StoreError):
    """The engine cannot read one body; its neighbours are not harmed."""

    def __init__(self, what: str, *, code: int) -> None:
        super().__init__(what)
        self.code = code


@dataclass
class _Waiting:
    form: Form
    body: bytes
    done: Future[None] = field(default_factory=Future)


class Committer:
    """Takes bodies from many threads, and stores them one statement after the other on a thread of its own."""

    def __init__(self, engine: Engine, spool: Spool, *, most_waiting_bytes: int = 256 << 20) -> None:
        self._engine = engine
        self._spool = spool
        self._names = itertools.count()
        self._arrived: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._bytes = 0
        self._most_waiting = most_waiting_bytes
        self._closed = False
        self._last_group = 0
        spool.prepare()
        self._thread = threading.Thread(target=self._run, name="otel_obs committer", daemon=True)
        self._thread.start()

    def commit(self, form: Form, body: bytes) -> Future[None]:
        """Store a ``body`` of ``form``; the future ends when the engine has its rows.

        The future raises ``BodyError`` where the engine cannot read the body, ``StoreError`` where it cannot be stored.

        Raises:
            BusyError: too much is waiting, or the store is closing.

        """
        if form in _BODIES and not is_whole(body):
            cut: Future[None] = Future()
            cut.set_exception(BodyError("The body ends in the middle of a field.", code=CUT_SHORT))
            return cut
        with self._lock:
            if self._closed:
                raise BusyError("The store is closing.", fix="Send it again when the store is up.")
            if self._bytes and self._bytes + len(body) > self._most_waiting:
                raise BusyError(f"{self._bytes} bytes wait to be stored.", fix="Send it again later.")
            self._bytes += len(body)
            waiting = _Waiting(form, body)
            self._arrived.put(waiting)
        return waiting.done

    def close(self) -> None:
        """Take nothing more, store what was taken, end the thread."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._arrived.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (taken := self._take()) is not None:
            size = sum(len(waiting.body) for waiting in taken)
            # A sender that has gone away was never answered: it sends again, or has given up.
            wanted = [waiting for waiting in taken if waiting.done.set_running_or_notify_cancel()]
            for form in Form:
                self._store(form, [waiting for waiting in wanted if waiting.form is form])
            with self._lock:
                self._bytes -= size

    def _take(self) -> list[_Waiting] | None:
        """Wait for a body, and take with it what else is there; None when closed and empty.

        Senders that were answered together come back together: where the last group was of several, the first of the
        next one waits a moment for the others. Without that, groups of one and of all the rest take turns.
        """
        first = self._arrived.get()
        if first is None:
            return None
        taken, size = [first], len(first.body)
        until = time.monotonic() + (_LINGER_SECONDS if self._last_group > 1 else 0.0)
        while len(taken) < _MOST_BODIES and size < _MOST_BYTES:
            left = until - time.monotonic()
            try:
                another = (
                    self._arrived.get(timeout=left)
                    if left > 0 and len(taken) < self._last_group
                    else (self._arrived.get_nowait())
                )
            except queue.Empty:
                break
            if another is None:
                self._arrived.put(None)  # closing: come back for it when this group is stored
                break
            taken.append(another)
            size += len(another.body)
        self._last_group = len(taken)
        return taken

    def _store(self, form: Form, group: list[_Waiting]) -> None:
        """Store a group in one statement; where that fails, its halves, so that a bad body is refused alone."""
        if not group:
            return
        try:
            self._insert(form, group)
        except QueryError as error:
            if len(group) == 1:
                group[0].done.set_exception(BodyError(str(error), code=error.code))
                return
            middle = len(group) // 2
            self._store(form, group[:middle])
            self._store(form, group[middle:])
        except OSError as error:
            full = error.errno in {errno.ENOSPC, errno.EDQUOT}
            fix = "Free space on the data directory's disk." if full else "See the data directory."
            for waiting in group:
                waiting.done.set_exception(StoreError(f"The body cannot be written: {error.strerror}.", fix=fix))
        except Exception as error:  # noqa: BLE001 - whatever happens, every sender is answered and the thread lives
            for waiting in group:
                waiting.done.set_exception(StoreError(f"The body cannot be stored: {error}"))
        else:
            for waiting in group:
                waiting.done.set_result(None)

    def _insert(self, form: Form, group: list[_Waiting]) -> None:
        files = []
        try:
            for joined in _joined(group):
                file = self._spool.directory / f"body{next(self._names)}"
                files.append(file)
                file.write_bytes(joined)
            self._engine.write(self._spool.statement(form, [file.name for file in files]))
            if shutil.disk_usage(self._spool.directory).free < _LEAST_FREE_BYTES:  # the engine would not have noticed
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            for file in files:
                file.unlink(missing_ok=True)


def _joined(group: list[_Waiting]) -> Iterator[bytes]:
    """Put small bodies together: a file costs the engine milliseconds, and messages one after the other are one."""
    pieces: list[bytes] = []
    size = 0
    for waiting in group:
        if pieces and size + len(waiting.body) > _JOINED_BYTES:
            yield b"".join(pieces)
            pieces, size = [], 0
        pieces.append(waiting.body)
        size += len(waiting.body)
    yield b"".join(pieces)
