"""A front on a free port, for the clients that users have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_obs.store.embedded.clickhouse_http import application
from otel_obs.store.embedded.engine import Engine
from otel_obs.store.embedded.limits import Limits
from otel_obs.store.embedded.listener import Listener

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = Engine(tmp_path_factory.mktemp("store"), limits=Limits(queries=3))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def front(engine: Engine) -> Iterator[Listener]:
    with Listener(application(engine), port=0, what="the ClickHouse interface") as listener:
        yield listener
