"""What is kept of the last hour: the largest of its gaps, in bounded memory, until it leaves the hour."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from otel_obs.contract import health_metrics as metrics
from otel_obs.health.numbers import Numbers
from otel_obs.health.process import Health
from otel_obs.health.rolling import Rolling, total
from otel_obs.instrument.source import Source, using

if TYPE_CHECKING:
    from collections.abc import Iterator

SECOND = 1_000_000_000


class Clock:
    """Goes when told."""

    def __init__(self) -> None:
        self.at = 1_700_000_000 * SECOND

    def now(self) -> int:
        return self.at

    def monotonic(self) -> int:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += int(seconds * SECOND)


@pytest.fixture
def clock() -> Iterator[Clock]:
    """A clock of its own."""
    one = Clock()
    with using.holding(Source(clock=one)):
        yield one


@pytest.mark.parametrize("seed", range(5))
def test_a_window_holds_what_lies_in_it_to_a_slices_length_and_never_grows(seed: int) -> None:
    dice = random.Random(seed)
    counted, largest = Rolling(3600, total), Rolling(3600, max)
    said: list[tuple[float, float]] = []
    now = 0.0
    for _ in range(3_000):
        now += dice.expovariate(1 / 20)
        value = dice.random()
        said.append((now, value))
        counted.add(value, now=int(now * SECOND))
        largest.add(value, now=int(now * SECOND))
        if dice.random() < 0.05:
            surely = [value for at, value in said if at > now - 3600 + 61]
            perhaps = [value for at, value in said if at > now - 3600 - 61]
            assert sum(surely) - 1e-6 <= (counted.value(now=int(now * SECOND)) or 0) <= sum(perhaps) + 1e-6
            assert max(surely) <= (largest.value(now=int(now * SECOND)) or 0) <= max(perhaps)
    assert len(counted._slices) <= 61
    assert counted.value(now=int((now + 3700) * SECOND)) is None


def test_the_largest_gap_leaves_with_its_hour_and_the_present_silence_counts(clock: Clock) -> None:
    health = Health(Numbers())
    feed = health.source("ws", kind="websocket", expected_every=1.0)
    labels = ("ws", "websocket")
    assert (feed.gap_within_hour(), feed.silence_within_hour(), feed.staleness) == (None, None, None)
    feed.seen()
    clock.sleep(90)
    feed.seen()
    for _ in range(3500 // 5):
        clock.sleep(5)
        feed.seen()
    health.refresh()
    assert health.numbers.get(metrics.SOURCE_GAP, *labels) == 90
    for _ in range(150 // 5):
        clock.sleep(5)
        feed.seen()
    health.refresh()
    assert health.numbers.get(metrics.SOURCE_GAP, *labels) == 5
    clock.sleep(40)
    assert (feed.gap_within_hour(), feed.silence_within_hour(), feed.staleness) == (5, 40, 40)
    assert feed.state == "stale"
