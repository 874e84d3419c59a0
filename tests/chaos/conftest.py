"""Bots, a network and a store, each as real as can be, and the reckoning between them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType


@pytest.fixture(scope="session")
def kit(beside: Callable[[str], ModuleType]) -> ModuleType:
    """The module beside."""
    return beside("chaos/kit.py")


@pytest.fixture(scope="session")
def common_store(kit: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One store for all tests that do it no harm."""
    one = kit.Store(tmp_path_factory.mktemp("store"))
    yield one
    one.end()


@pytest.fixture
def store(common_store: Any) -> Any:
    """The store that this test's records go to."""
    return common_store


@pytest.fixture
def network(kit: ModuleType, store: Any) -> Iterator[Any]:
    """What stands between bots and the store."""
    one = kit.Network(store.endpoint)
    yield one
    one.close()


@pytest.fixture
def service(request: pytest.FixtureRequest) -> str:
    """A name of this test's own."""
    return re.sub(r"\W+", "-", request.node.name).strip("-")


@pytest.fixture
def start(kit: ModuleType, store: Any, service: str, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Start a program as a bot; it speaks to the store unless it is given another ``endpoint``."""
    started: list[Any] = []

    def start_it(program: str, *, endpoint: str = "", **variables: str) -> Any:
        one = kit.Bot(program, home=tmp_path, endpoint=endpoint or store.endpoint, service=service, **variables)
        started.append(one)
        return one

    yield start_it
    for one in started:
        one.close()


@pytest.fixture
def tallies(tmp_path: Path) -> Path:
    """Where bots count."""
    return tmp_path / "tallies"


@pytest.fixture
def reckoning(kit: ModuleType, store: Any, service: str) -> Iterator[Any]:
    """What the store has of this test's bots."""
    one = kit.Reckoning(store, service)
    yield one
    one.close()


@pytest.fixture
def last_start(start: Callable[..., Any]) -> Callable[..., None]:
    """Start the bot once more, and let it end when nothing is left of the dead."""

    def start_it(**given: str) -> None:
        start(LAST, **given).ends_well(within=120)

    return start_it


LAST = """
import otel_obs as obs
from trading import Tally, adopted_all, wait_for
obs.configure()
Tally().round()
wait_for(adopted_all)
"""
