"""The store is killed while it stores, or stopped: what it acknowledged it has, and what it did not is sent again."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

    Start = Callable[..., Any]


@pytest.fixture
def store(kit: ModuleType, tmp_path: Path) -> Iterator[Any]:
    """One of this test's own, which it may harm."""
    one = kit.Store(tmp_path / "store")
    yield one
    one.end(signal.SIGKILL)


TRADES_UNTIL_TOLD = """
import sys, threading
import otel_obs as obs
from trading import Tally
obs.configure()
told = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), told.set()), daemon=True).start()
print("configured")
tally = Tally()
while not told.is_set():
    tally.rounds(0.1, pause=0.002)
assert obs.flush(within=60), obs.delivery()
"""


def test_a_store_that_is_killed_during_inserts_has_each_record_once_when_it_is_back(
    *, start: Start, reckoning: Any, tallies: Path, store: Any
) -> None:
    bots = [start(TRADES_UNTIL_TOLD) for _ in range(2)]
    for bot in bots:
        bot.until_said("configured")
    for wait in (0.7, 1.1, 0.9):
        time.sleep(wait)
        store.end(signal.SIGKILL)
        time.sleep(0.3)
        store.start()
    time.sleep(0.5)
    for bot in bots:
        bot.go_on()
    for bot in bots:
        bot.ends_well(within=90)
    rows = reckoning.add_up(tallies, instances=2)
    assert {row.state for row in rows} == {"adds_up"}


def test_a_store_that_is_stopped_and_goes_on_has_everything(
    *, start: Start, reckoning: Any, tallies: Path, store: Any
) -> None:
    bot = start(TRADES_UNTIL_TOLD)
    bot.until_said("configured")
    time.sleep(0.5)
    store.process.send_signal(signal.SIGSTOP)
    time.sleep(2)
    store.process.send_signal(signal.SIGCONT)
    time.sleep(0.5)
    bot.go_on()
    bot.ends_well(within=90)
    rows = reckoning.add_up(tallies)
    assert {row.state for row in rows} == {"adds_up"}
