"""A store that can be asked, at once or awaited."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from otel_obs.query.opening import opened
from otel_obs.query.questions import AsyncQuestions, Questions
from otel_obs.query.texts import texts
from otel_obs.reports import run
from otel_obs.reports.arrivals import Arrivals
from otel_obs.reports.registry import report

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from clickhouse_connect.driver.client import Client

    from otel_obs.reports.answer import Answer
    from otel_obs.reports.rows import DecisionLine


class Store(Questions):
    """A store. Safe to use from many threads; close it, or use it in a ``with``."""

    def __init__(self, client: Client, *, release: Callable[[], None] | None = None) -> None:
        """``release`` lets go of a data directory that this process holds."""
        self._client = client
        self._release = release
        # In this process one connection does one thing at a time; over HTTP each question has a connection of its own.
        self._turn = threading.Lock() if release else nullcontext()

    @property
    def client(self) -> Client:
        """clickhouse-connect's client, for what no report answers."""
        return self._client

    @property
    def is_held_here(self) -> bool:
        """Whether this process holds the data directory: nothing arrives there meanwhile."""
        return self._release is not None

    def ask(self, name: str, /, **given: Any) -> Answer[Any]:
        """Ask the report called ``name``.

        Raises:
            QuestionError: there is no such report or parameter, or a value cannot be read; the nearest name is told.
            QueryError: the store refused the query.

        """
        with self._turn:
            return run.run(self._client, report(name), texts(given))

    def sql(self, name: str, /, **given: Any) -> str:
        """Return the SQL that answers, after its parameters, as clickhouse-client takes both.

        Raises:
            QuestionError: as in ``ask``.

        """
        return run.sql(report(name), texts(given))

    def tail(self, *, every: float = 1.0, **given: Any) -> Iterator[DecisionLine]:
        """Yield decisions as they arrive, asking ``every`` so many seconds, until the caller stops.

        Filters: ``service``, ``symbol``, ``outcome``, ``gate``; ``limit``, how many earlier ones come first.
        """
        arrivals = self.arrivals(**given)
        while True:
            with self._turn:
                found = arrivals.new()
            yield from found
            time.sleep(every)

    def arrivals(self, **given: Any) -> Arrivals:
        """What ``tail`` asks each time, for who wants to ask when it suits."""
        return Arrivals(self._client, texts(given))

    def close(self) -> None:
        """Let go of the store; once is enough."""
        self._client.close()
        if self._release:
            self._release()
            self._release = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncStore(AsyncQuestions):
    """A store whose answers are awaited; the event loop never waits for it. Use it in an ``async with``."""

    def __init__(self, open_store: Callable[[], Store]) -> None:
        """``open_store`` is called when it is entered, in a thread."""
        self._open = open_store
        self._store: Store | None = None

    @property
    def _opened(self) -> Store:
        if self._store is None:
            raise RuntimeError("This store is not open. Use it as `async with query.connect_async(…) as store:`.")
        return self._store

    async def ask(self, name: str, /, **given: Any) -> Answer[Any]:
        """Ask the report called ``name``; see ``Store.ask``."""
        return await asyncio.to_thread(self._opened.ask, name, **given)

    def sql(self, name: str, /, **given: Any) -> str:
        """See ``Store.sql``."""
        return self._opened.sql(name, **given)

    async def tail(self, *, every: float = 1.0, **given: Any) -> AsyncIterator[DecisionLine]:
        """See ``Store.tail``."""
        arrivals = self._opened.arrivals(**given)
        while True:
            for row in await asyncio.to_thread(arrivals.new):
                yield row
            await asyncio.sleep(every)

    async def close(self) -> None:
        """Let go of the store."""
        if self._store is not None:
            await asyncio.to_thread(self._store.close)
            self._store = None

    async def __aenter__(self) -> Self:
        self._store = await asyncio.to_thread(self._open)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def connect(url: str | None = None, *, data: str | Path | None = None) -> Store:
    """Open the store at ``url``, or in the directory ``data``; else as OTEL_OBS_URL and OTEL_OBS_DATA say.

    Raises:
        StoreError: nobody answers there, or the directory cannot be opened.
        MissingExtraError: what it needs is not installed.

    """
    client, release = opened(url, data)
    return Store(client, release=release)


def connect_async(url: str | None = None, *, data: str | Path | None = None) -> AsyncStore:
    """Like ``connect``, to be entered with ``async with``."""
    return AsyncStore(lambda: connect(url, data=data))
