"""Bots of many processes: each has books of its own, whoever was its parent, and however it ends."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Start = Callable[..., Any]


@pytest.mark.parametrize("way", ["fork", "spawn", "forkserver"])
def test_workers_of_multiprocessing_each_add_up(
    *, start: Start, last_start: Start, reckoning: Any, tallies: Path, way: str
) -> None:
    start(WORKERS, WAY=way).ends_well()
    last_start()
    rows = reckoning.add_up(tallies, instances=5)
    assert {row.state for row in rows} == {"adds_up"}


WORKERS = """
import multiprocessing, os
import otel_obs as obs
from trading import Tally
def work(number):
    obs.configure()
    Tally().rounds(0.3)
if __name__ == "__main__":
    obs.configure()
    tally = Tally()
    tally.rounds(0.2)
    context = multiprocessing.get_context(os.environ["WAY"])
    workers = [context.Process(target=work, args=(number,)) for number in range(3)]
    for worker in workers:
        worker.start()
        tally.round()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
"""


def test_a_server_that_forks_its_workers_before_they_serve_adds_up_though_they_are_killed(
    *, start: Start, last_start: Start, reckoning: Any, tallies: Path
) -> None:
    """As gunicorn does it: workers that die are replaced; at the end they get SIGTERM, and one that hears nothing."""
    bot = start(PREFORK)
    for signal_number in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        pids = _served(bot)
        os.kill(pids[-1], signal_number)
    _served(bot)
    bot.kill(signal.SIGTERM)
    bot.ends_well()
    last_start()
    reckoning.add_up(tallies, instances=7, killed=True)


def _served(bot: Any) -> list[int]:
    """The workers, once a new one has served for a while."""
    before, end = bot.said().count("serving"), time.monotonic() + 60
    while bot.said().count("serving") == before and time.monotonic() < end and before < 3:
        time.sleep(0.02)
    while bot.said().count("serving") < 3:
        assert time.monotonic() < end, bot.said()
        time.sleep(0.02)
    time.sleep(0.3)
    return [int(line.split()[1]) for line in bot.said().splitlines() if line.startswith("serving")]


PREFORK = """
import os, signal, sys, time
import otel_obs as obs
from trading import Tally
obs.configure()
tally = Tally()
tally.round()
def worker():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    own = Tally()
    own.round()
    print("serving", os.getpid())
    while True:
        own.rounds(1)
def fork():
    child = os.fork()
    if not child:
        try:
            worker()
        except SystemExit:
            obs.shutdown()
        os._exit(0)
    return child
children = {fork() for _ in range(3)}
ends = []
signal.signal(signal.SIGTERM, lambda *_: ends.append(1))
while not ends:
    tally.round()
    try:
        child, _ = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        child = 0
    if child:
        children.remove(child)
        children.add(fork())
    time.sleep(0.02)
for number, child in enumerate(children):
    os.kill(child, signal.SIGTERM if number else signal.SIGKILL)
for child in children:
    os.waitpid(child, 0)
"""


def test_a_fork_in_the_midst_of_threads_that_trade_neither_hangs_nor_mixes_their_books(
    *, start: Start, last_start: Start, reckoning: Any, tallies: Path
) -> None:
    start(FORKS_AMONG_THREADS).ends_well(within=90)
    last_start()
    reckoning.add_up(tallies, instances=32)


FORKS_AMONG_THREADS = """
import os, sys, threading, time
import otel_obs as obs
from opentelemetry import trace
from trading import Tally, trade
obs.configure()
sys.setswitchinterval(1e-5)
ends = threading.Event()
def trades():
    while not ends.is_set():
        with obs.trace("other"), trace.get_tracer("library").start_as_current_span("GET") as span:
            span.set_attribute("key", "value")
            obs.decide("hold")
threads = [threading.Thread(target=trades) for _ in range(4)]
for thread in threads:
    thread.start()
tally = Tally()
children = []
for _ in range(30):
    tally.round()
    child = os.fork()
    if not child:
        own = Tally()
        with trace.get_tracer("library").start_as_current_span("GET") as span:
            span.set_attribute("key", "value")
        own.round()
        obs.shutdown()
        os._exit(0)
    children.append(child)
ends.set()
for thread in threads:
    thread.join()
deadline = time.monotonic() + 60
for child in children:
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        assert time.monotonic() < deadline, "a child hangs"
        time.sleep(0.01)
"""


def test_a_bot_that_forks_while_it_takes_over_the_dead_leaves_each_to_one_of_them(
    *, start: Start, last_start: Start, reckoning: Any, tallies: Path, network: Any
) -> None:
    network.go()
    for _ in range(3):
        bot = start(UNTIL_KILLED, endpoint=network.endpoint)
        bot.until_said("traded")
        bot.kill()
    network.come()
    network.manner = lambda exchange: (time.sleep(0.05), exchange.deliver())
    start(FORKS_AT_ONCE, endpoint=network.endpoint).ends_well(within=90)
    last_start(endpoint=network.endpoint)
    reckoning.add_up(tallies, instances=13, killed=True)


UNTIL_KILLED = """
import time
import otel_obs as obs
from trading import Tally
obs.configure()
Tally().rounds(0.3)
print("traded")
time.sleep(60)
"""
FORKS_AT_ONCE = """
import os, time
import otel_obs as obs
from trading import Tally
obs.configure()
tally = Tally()
for _ in range(8):
    tally.round()
    child = os.fork()
    if not child:
        Tally().round()
        obs.shutdown()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""


def test_a_fork_after_the_end_says_nothing_more_and_does_no_harm(
    *, start: Start, reckoning: Any, tallies: Path
) -> None:
    start(FORKS_AFTERWARDS).ends_well()
    rows = reckoning.settled()
    assert {row.instance for row in rows} == {file.name for file in tallies.iterdir()}
    assert all(row.unaccounted == row.overcounted == 0 for row in rows)


FORKS_AFTERWARDS = """
import os
import otel_obs as obs
from trading import Tally, trade
obs.configure()
Tally().round()
obs.shutdown()
child = os.fork()
if not child:
    trade(1)
    obs.flush(within=1)
    obs.shutdown(within=1)
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
trade(2)
"""
