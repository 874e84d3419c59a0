"""A migrated store in this process, and rows for it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from otel_obs.store.client import DATABASE, open_directory
from otel_obs.store.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from clickhouse_connect.driver.client import Client


@pytest.fixture(scope="session")
def otlp() -> ModuleType:
    """Builders of rows and OTLP bodies: tests/store/otlp.py. The tests are no package, so it is loaded by its path."""
    spec = importlib.util.spec_from_file_location("tests_otlp", Path(__file__).parents[1] / "store" / "otlp.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A migrated store, empty at first."""
    client = open_directory(tmp_path_factory.mktemp("store") / "engine")
    migrate(client)
    client.database = DATABASE
    yield client
    client.close()
