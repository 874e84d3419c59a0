"""Health never harms the bot: busy ports, forks, nonsense, and a switch that is off."""

from __future__ import annotations

import socket
import urllib.error
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def test_a_busy_port_is_told_once_with_the_fix_and_the_bot_runs_on(start: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bot = start(
            """
obs.configure(strict=True)
obs.configure()
obs.health.beat()
tell(obs.health.address())
""",
            OTEL_OBS_METRICS_PORT=str(taken.getsockname()[1]),
        )
        assert bot.told() == ""
        logged = bot.end()
    assert logged.count("cannot be bound") == 1
    assert "OTEL_OBS_METRICS_PORT" in logged


def test_nothing_is_served_unless_asked_and_nothing_at_all_where_telemetry_is_off(start: Callable[..., Any]) -> None:
    program = """
import threading
obs.configure(**{})
source = obs.health.source("ws", kind="websocket", expected_every=1)
source.connected(); source.seen(); source.disconnected()
obs.health.beat(); obs.health.error("x"); obs.health.throttle(); obs.health.declare(gates=["g"])
with obs.decision("enter") as d:
    d.gate("spread", observed=9, at_most=5)
threads = [t.name for t in threading.enumerate() if "health" in t.name]
tell([obs.health.address(), d.allowed, obs.problems(), "prometheus_client" in sys.modules, threads])
tell(len([s for f in obs.health.collector().collect() for s in f.samples]))
"""
    quiet = start(program, OTEL_OBS_HEALTH_SNAPSHOTS="off")
    assert quiet.told() == ["", False, {}, False, []]
    assert quiet.told() > 20
    off = start(program, OTEL_OBS_DISABLED="1", OTEL_OBS_METRICS_PORT="0")
    assert off.told() == ["", False, {}, False, []]
    assert off.told() == 0


def test_nonsense_is_counted_and_never_raised(start: Callable[..., Any]) -> None:
    bot = start(
        """
class Evil:
    def __str__(self): raise RuntimeError("no")
    __float__ = __repr__ = __str__
obs.configure(metrics_port=0)
for bad in (None, Evil(), "", "x" * 10_000, "\\ud800", 3.5, [], float("nan")):
    obs.health.source(bad, kind=bad, expected_every=bad).seen(at=bad)
    obs.health.beat(bad, expected_every=bad)
    obs.health.error(bad)
    obs.health.throttle(bad)
    obs.health.declare(gates=bad, errors=bad)
    obs.health.watch_event_loop(every=bad)
    with obs.decision("enter") as d:
        d.gate(bad, True, observed=bad, threshold=bad)
obs.health.source("ws", kind="websockt", spelled="wrong").seen()
obs.health.source("ahead").seen(at=2**62)
tell([obs.health.address(), obs.problems()])
wait()
"""
    )
    address, problems = bot.told()
    assert {"unknown_kind", "wrong_interval", "future_time", "no_event_loop"} <= set(problems)
    with urllib.request.urlopen(address, timeout=20) as answer:
        text = answer.read().decode()
    assert 'otel_obs_decisions_total{outcome="held"} 8.0' in text
    assert max(len(line) for line in text.splitlines() if not line.startswith("#")) < 400
    assert "Did you mean websocket" in bot.end()


def test_a_forked_child_counts_anew_and_gives_its_parents_port_free(start: Callable[..., Any]) -> None:
    bot = start(
        """
import os, time, signal
obs.configure(metrics_port=0)
obs.health.error("exchange")
obs.health.source("ws").seen()
tell([obs.health.address()])
child = os.fork()
if child == 0:
    obs.health.error("exchange")
    [value] = [s.value for f in obs.health.collector().collect() for s in f.samples
               if s.name == "otel_obs_errors_total" and s.labels["kind"] == "exchange"]
    tell([obs.health.address(), value])
    os.close(1), os.close(2)
    time.sleep(60)
    os._exit(0)
wait()
tell(child)
os._exit(0)
"""
    )
    import os
    import signal

    [address] = bot.told()
    assert bot.told() == ["", 1]
    bot.go_on()
    child = bot.told()
    try:
        bot.process.wait(timeout=30)
        with pytest.raises(urllib.error.URLError):
            urllib.request.urlopen(address, timeout=5)
        socket.create_server(("127.0.0.1", int(address.split(":")[2].split("/")[0]))).close()
    finally:
        os.kill(child, signal.SIGKILL)
