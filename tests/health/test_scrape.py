"""A bot's health over HTTP, as Prometheus reads it: what is there from the start, and what each word of a bot does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

OUTCOMES = ("executed", "vetoed", "held", "failed")


def test_closed_sets_stand_at_zero_from_the_start_and_decisions_count_themselves(
    start: Callable[..., Any], scrape: Callable[..., Any]
) -> None:
    bot = start(
        """
@obs.gate("volatility", at_least=0.001)
def volatility(value):
    return value
obs.configure(service_name="my-bot", metrics_port=0)
obs.health.declare(gates=["spread_guard"], errors=["exchange"], throttles=["binance"], loops=["main"])
tell(obs.health.address())
wait()
for spread in (16.7, 3.0, 12.5):
    with obs.decision("enter") as d:
        d.gate("spread_guard", observed=spread, at_most=5.0)
        volatility(0.002)
        d.gate("calm", observed=0.1, at_most=0.05, mode="shadow")
        if d.allowed:
            d.executed()
with obs.decision("exit") as d:
    d.gate("spread_guard", observed=99, at_most=5.0)
    d.executed()  # though it was denied
try:
    with obs.decision("enter"):
        raise OSError("venue")
except OSError as error:
    obs.health.error(error)
obs.decide("hold")
obs.decide("enter", outcome="vetoed")
obs.health.error("exchange")
obs.health.throttle("binance")
obs.health.throttle("binance")
tell()
wait()
"""
    )
    address = bot.told()
    before = scrape(address)
    assert [before("decisions_total", outcome=outcome) for outcome in OUTCOMES] == [0, 0, 0, 0]
    for gate in ("spread_guard", "volatility", "unnamed"):
        assert before("vetoes_total", gate=gate) == 0
        for verdict in ("pass", "deny", "adjust", "error"):
            assert before("gate_evaluations_total", gate=gate, verdict=verdict, mode="enforce") == 0
    assert (before("errors_total", kind="exchange"), before("throttles_total", venue="binance")) == (0, 0)
    assert before("heartbeats_total", loop="main") == 0
    assert before.labels("build_info", "service") == {"my-bot"}
    assert before("decision_timestamp_seconds") is None
    assert before("start_timestamp_seconds") == pytest.approx(time.time(), abs=60)

    bot.go_on()
    bot.told()
    after = scrape(address)
    assert [after("decisions_total", outcome=outcome) for outcome in OUTCOMES] == [2, 3, 1, 1]
    assert (after("vetoes_total", gate="spread_guard"), after("vetoes_total", gate="unnamed")) == (2, 1)
    assert after("vetoes_total", gate="calm") == 0  # it only watches
    assert after("gate_evaluations_total", gate="spread_guard", verdict="deny", mode="enforce") == 3
    assert after("gate_evaluations_total", gate="calm", verdict="deny", mode="shadow") == 3
    assert after("gate_observed", gate="spread_guard") == 99
    assert after("gate_threshold", gate="spread_guard", bound="upper") == 5
    assert after("gate_threshold", gate="volatility", bound="lower") == 0.001
    assert (after("errors_total", kind="exchange"), after("errors_total", kind="OSError")) == (1, 1)
    assert after("throttles_total", venue="binance") == 2
    assert after("decision_timestamp_seconds") == pytest.approx(time.time(), abs=60)
    bot.end()


def test_never_seen_is_neither_zero_nor_fresh_and_connected_is_not_fresh(
    start: Callable[..., Any], scrape: Callable[..., Any]
) -> None:
    bot = start(
        """
import time
from datetime import UTC, datetime, timedelta
obs.configure(metrics_port=0)
feed = obs.health.source("ws:btcusdt", kind="websocket", expected_every=2.5)
feed.connected()
obs.health.source("funding", kind="funding")
tell([obs.health.address(), feed.state, feed.is_connected])
wait()
old = datetime.now(UTC) - timedelta(seconds=90)
feed.seen(at=old)
feed.seen(at=old - timedelta(seconds=30))  # out of order: the newest counts
feed.disconnected()
feed.connected()
feed.connected()
tell([old.timestamp(), feed.state, feed.is_connected])
wait()
time.sleep(0.3)
feed.seen()
tell([feed.state, obs.health.source("ws:btcusdt") is feed, obs.problems()])
wait()
"""
    )
    address, state, is_connected = bot.told()
    assert (state, is_connected) == ("never_seen", True)
    ws = {"source": "ws:btcusdt", "kind": "websocket"}
    never = scrape(address)
    assert (never("source_seen", **ws), never("source_updates_total", **ws)) == (0, 0)
    assert never("source_update_timestamp_seconds", **ws) is None
    assert (never("source_connected", **ws), never("source_expected_interval_seconds", **ws)) == (1, 2.5)
    assert never("source_reconnects_total", **ws) == 0
    assert never("source_connected", source="funding", kind="funding") is None

    bot.go_on()
    updated, state, is_connected = bot.told()
    assert (state, is_connected) == ("stale", True)
    stale = scrape(address)
    assert stale("source_seen", **ws) == 1
    assert stale("source_update_timestamp_seconds", **ws) == pytest.approx(updated, abs=1e-6)
    assert stale("source_reconnects_total", **ws) == 2
    time.sleep(0.05)
    assert scrape(address)("source_update_timestamp_seconds", **ws) == stale("source_update_timestamp_seconds", **ws)

    bot.go_on()
    assert bot.told() == ["fresh", True, {}]
    fresh = scrape(address)
    assert fresh("source_update_timestamp_seconds", **ws) > updated + 80
    assert fresh("source_gap_max_seconds", **ws) >= 0.3
    assert fresh("source_updates_total", **ws) == 3
    bot.end()


def test_a_bot_that_hangs_is_scraped_all_the_same_and_cannot_look_younger(
    start: Callable[..., Any], scrape: Callable[..., Any]
) -> None:
    bot = start(
        """
import asyncio, time
obs.configure(metrics_port=0)
async def main():
    obs.health.watch_event_loop(every=0.01)
    obs.health.beat(expected_every=0.5)
    while (found := obs.health.collector().collect()) and not any(
        f.name == "otel_obs_event_loop_lag_checks" and f.samples[0].value for f in found
    ):
        await asyncio.sleep(0.01)
    time.sleep(0.4)
    await asyncio.sleep(0.1)
    tell(obs.health.address())
    wait()  # hangs
asyncio.run(main())
"""
    )
    address = bot.told()
    first = scrape(address)
    time.sleep(0.2)
    second = scrape(address)
    assert first("heartbeat_timestamp_seconds", loop="main") == second("heartbeat_timestamp_seconds", loop="main")
    assert first("event_loop_check_timestamp_seconds") == second("event_loop_check_timestamp_seconds")
    assert second("heartbeat_expected_interval_seconds", loop="main") == 0.5
    assert first("event_loop_lag_max_seconds") >= 0.35
    assert first("event_loop_lag_seconds_total") >= first("event_loop_lag_max_seconds")
    bot.end()


def test_labels_are_bounded_whatever_a_bot_calls_things(start: Callable[..., Any], scrape: Callable[..., Any]) -> None:
    bot = start(
        """
obs.configure(metrics_port=0)
for number in range(400):
    obs.health.source(f"order-{number}").seen()
    obs.health.error(f"error {number}")
    obs.health.throttle(f"venue {number}")
    obs.health.beat(f"loop {number}")
    with obs.decision("enter") as d:
        d.gate(f"gate {number}", False, observed=number)
tell([obs.health.address(), obs.problems()])
wait()
"""
    )
    address, problems = bot.told()
    found = scrape(address)
    assert problems == {"too_many": 300}
    assert len(found.labels("source_updates_total", "source")) == 100
    assert len(found.labels("errors_total", "kind")) <= 51
    assert len(found.labels("throttles_total", "venue")) <= 51
    assert len(found.labels("heartbeats_total", "loop")) <= 51
    assert len(found.labels("vetoes_total", "gate")) <= 101
    assert found("errors_total", kind="other") > 300
    assert found("vetoes_total", gate="other") > 250
    assert found("decisions_total", outcome="vetoed") == 400
    bot.end()
