"""Bots that are killed, stopped, or end without a word: what they had said is delivered by the next start."""

from __future__ import annotations

import random
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Start = Callable[..., Any]

TRADES = """
import otel_obs as obs
from trading import Tally
obs.configure()
print("configured")
Tally().rounds(60, pause=0.0005)
"""


@pytest.mark.parametrize("batch", range(3))
def test_bots_killed_at_any_moment_lose_no_more_than_their_ledgers_name(
    start: Start, last_start: Start, reckoning: Any, tallies: Path, batch: int
) -> None:
    """Three bots of the same service at a time: each start takes over what others left, and is killed itself."""
    chance = random.Random()
    for _ in range(7):
        bots = [start(TRADES) for _ in range(3)]
        for place, bot in enumerate(bots):
            if place:
                bot.until_said("configured")
            time.sleep(chance.uniform(0, 0.3))
            bot.kill()
    last_start()
    rows = reckoning.add_up(tallies, instances=2, killed=True, seconds=90)
    assert any(row.unconfirmed for row in rows) or len(rows) > 10
