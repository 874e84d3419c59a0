"""A receiver, a bot, and transports to that receiver alone, whatever the environment says."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from otel_obs import settings
from otel_obs.sdk.exporter.sender import Sender
from otel_obs.sdk.exporter.transport import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType


@pytest.fixture
def kit(beside: Callable[[str], ModuleType]) -> Any:
    """The classes of ``receiving.py``."""
    return beside("sdk/exporter/receiving.py")


@pytest.fixture
def receiver(kit: Any) -> Iterator[Any]:
    """One on loopback."""
    one = kit.Receiver()
    yield one
    one.close()


@pytest.fixture
def bot(kit: Any) -> Any:
    """One whose records are numbered from 1 on."""
    return kit.Bot()


@pytest.fixture
def outbox(kit: Any) -> Any:
    """One in memory."""
    return kit.MemoryOutbox()


@pytest.fixture(autouse=True)
def _nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("OTEL_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def to(receiver: Any) -> Iterator[Callable[..., Any]]:
    """Make a transport: to the receiver, or to where is said."""
    made = []

    def make(endpoint: str = "") -> Any:
        made.append(connect(settings.resolve({}, endpoint=endpoint or receiver.endpoint)))
        return made[-1]

    yield make
    for transport in made:
        transport.close()


@pytest.fixture
def sending(outbox: Any, to: Callable[..., Any]) -> Iterator[Callable[..., Sender]]:
    """Start a sender from the outbox to the receiver, whose pauses are a twentieth of what they should be."""
    started: list[Sender] = []

    def start(**given: Any) -> Sender:
        given = {"send_interval": 0.01, "transport": to(), "chance": lambda: 0.05} | given
        started.append(Sender(outbox, given.pop("transport"), **given))
        return started[-1]

    yield start
    for sender in started:
        sender.shutdown(0.5)
