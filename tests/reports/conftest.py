"""A migrated store in this process, and rows for it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from otel_obs.store.client import DATABASE, open_directory
from otel_obs.store.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from clickhouse_connect.driver.client import Client


@pytest.fixture(scope="session")
def histories(beside: Callable[[str], ModuleType]) -> ModuleType:
    """Random spans and the questions about them: histories.py."""
    return beside("reports/histories.py")


@pytest.fixture(scope="session")
def ordering(beside: Callable[[str], ModuleType]) -> ModuleType:
    """Random orders and fills: ordering.py."""
    return beside("reports/ordering.py")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A migrated store, empty at first."""
    client = open_directory(tmp_path_factory.mktemp("store") / "engine")
    migrate(client)
    client.database = DATABASE
    yield client
    client.close()


@pytest.fixture(scope="module")
def history(client: Client, otlp: ModuleType, histories: ModuleType) -> list[Any]:
    """A random history in the store, half of it delivered twice, and out of order."""
    nodes: list[Any] = histories.spans(1)
    rows = histories.span_rows(nodes, otlp)
    otlp.insert(client, "otel_traces", rows)
    random.Random(0).shuffle(rows)
    otlp.insert(client, "otel_traces", rows[: len(rows) // 2])
    return nodes
