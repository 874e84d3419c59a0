"""ClickHouse's HTTP interface on a free port, and a client of ten lines that hides nothing."""

from __future__ import annotations

import http.client
import itertools
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from otel_obs.store.embedded.clickhouse_http import application
from otel_obs.store.embedded.engine import Engine
from otel_obs.store.embedded.limits import Limits
from otel_obs.store.embedded.listener import Listener
from otel_obs.store.embedded.server import Access

if TYPE_CHECKING:
    from collections.abc import Iterator

_names = (f"t{number}" for number in itertools.count())


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    broken: bool = False

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def error(self) -> tuple[int, int]:
        return self.status, int(self.headers.get("x-clickhouse-exception-code", 0))


@dataclass
class Front:
    engine: Engine
    listener: Listener
    readers: int = 3
    limit: int = 8 << 20

    @property
    def port(self) -> int:
        return self.listener.port

    def ask(self, body: object = b"", *, method: str = "POST", path: str = "/", headers=None, **params: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            data = body.encode() if isinstance(body, str) else body
            connection.request(method, f"{path}?{urlencode(params)}", data, headers or {})
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            try:
                return Answer(response.status, found, response.read())
            except http.client.IncompleteRead as error:
                return Answer(response.status, found, error.partial, broken=True)
        finally:
            connection.close()

    def table(self, columns: str) -> str:
        name = next(_names)
        self.engine.write(f"CREATE TABLE {name} ({columns}) ENGINE = MergeTree ORDER BY tuple()")
        return name

    def rows(self, table: str) -> str:
        return self.engine.read(f"SELECT * FROM {table} ORDER BY ALL").decode()

    def running(self) -> str:
        return self.engine.read("SELECT query FROM system.processes WHERE query NOT LIKE '%system.processes%'").decode()

    @contextmanager
    def another(self, *, own_engine: bool = False, **options: object) -> Iterator[Front]:
        """A second front on the same data, with other options or also with connections of its own."""
        same = Limits(queries=1, memory=self.engine.limits.memory_of_each)
        engine = Engine(Path(self.engine._path), limits=same) if own_engine else self.engine
        with Listener(Access().guarded(application(engine, **options)), port=0, what="another") as listener:
            yield Front(engine, listener)


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    engine = Engine(tmp_path_factory.mktemp("store"), limits=Limits(queries=Front.readers))
    app = Access().guarded(application(engine, limit=Front.limit))
    with Listener(app, port=0, what="the ClickHouse interface") as listener:
        yield Front(engine, listener)
    engine.close()
