"""A migrated store in this process, and rows for it."""

from __future__ import annotations

import importlib.util
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from otel_obs.store.client import DATABASE, open_directory
from otel_obs.store.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from clickhouse_connect.driver.client import Client


def _loaded(name: str, path: Path) -> ModuleType:
    """A module beside the tests. They are no package, so it is loaded by its path."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def otlp() -> ModuleType:
    """Builders of rows and OTLP bodies: tests/store/otlp.py."""
    return _loaded("tests_otlp", Path(__file__).parents[1] / "store" / "otlp.py")


@pytest.fixture(scope="session")
def histories() -> ModuleType:
    """Random spans and the questions about them: histories.py."""
    return _loaded("tests_histories", Path(__file__).with_name("histories.py"))


@pytest.fixture(scope="session")
def ordering() -> ModuleType:
    """Random orders and fills: ordering.py."""
    return _loaded("tests_ordering", Path(__file__).with_name("ordering.py"))


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
