"""The end of a bot, however it comes: within its bound, never hanging, with what is left on the disk for the next."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Start = Callable[..., Any]

BOUND = 5.0  # seconds, of shutdown()
STARTING_AND_ENDING = 10.0  # what a loaded machine may take beside it

ENDS = {
    "by returning": "",
    "by an exception": "raise ValueError('the end')",
    "by sys.exit in a signal handler": "signal.signal(signal.SIGTERM, lambda *_: sys.exit(4)); wait()",
    "by shutdown in a signal handler": "signal.signal(signal.SIGTERM, ends); wait()",
    "by SIGINT": "wait()",
    "by SIGTERM and no handler": "wait()",
    "by a second shutdown": "obs.shutdown(); obs.shutdown()",
    "by a shutdown without time": "tally.rounds(0.2, pause=0); obs.shutdown(within=0)",
}
CUTS_SHORT = ("by SIGTERM and no handler", "by a shutdown without time")
ONLY_WHILE_AWAY = (*CUTS_SHORT, "by SIGINT", "by an exception", "by a second shutdown")
PROGRAM = """
import os, signal, sys, threading, time
import otel_obs as obs
from trading import Tally
obs.configure()
obs.configure(service_name="another")  # it is told so, and goes on
tally = Tally()
def ends(*_):
    tally.round()
    obs.shutdown()
    os._exit(5)
def wait():
    print("ready")
    while True:
        tally.rounds(0.1)
tally.rounds(0.3)
"""
CODES = {
    "by an exception": 1,
    "by sys.exit in a signal handler": 4,
    "by shutdown in a signal handler": 5,
    "by SIGINT": -2,
    "by SIGTERM and no handler": -15,
}


@pytest.mark.parametrize(
    ("how", "receiver"),
    [*((how, "away") for how in ENDS), *((how, "never answering") for how in ENDS if how not in ONLY_WHILE_AWAY)],
)
def test_a_bot_ends_within_its_bound_while_nobody_takes_what_it_said(
    *, start: Start, last_start: Start, reckoning: Any, tallies: Path, network: Any, how: str, receiver: str
) -> None:
    if receiver == "away":
        network.go()
    else:
        network.manner = lambda _: time.sleep(40)
    bot = start(PROGRAM + ENDS[how], endpoint=network.endpoint)
    if "wait()" in ENDS[how]:
        bot.until_said("ready")
        time.sleep(0.3)
        bot.kill(signal.SIGINT if how == "by SIGINT" else signal.SIGTERM)
    else:
        bot.until_said("configure() was called again")
    began = time.monotonic()
    assert bot.ends() == CODES.get(how, 0), bot.said()
    assert time.monotonic() - began < BOUND + STARTING_AND_ENDING
    last_start()
    reckoning.add_up(tallies, instances=2, killed=how in CUTS_SHORT)


def test_threads_that_go_on_while_the_bot_ends_are_counted_to_the_last(
    *, start: Start, last_start: Start, reckoning: Any, store: Any
) -> None:
    """What is said after the end is counted as such; nothing falls between."""
    bot = start(THREADS_GO_ON)
    bot.ends_well()
    told = [line.split() for line in bot.said().splitlines() if line.startswith("counted")]
    assert len(told) == 8
    for _, said, produced, elsewhere in told:
        assert int(said) == int(produced), bot.said()
        assert elsewhere == "0"


THREADS_GO_ON = """
import os, sys, threading, time
import otel_obs as obs
def one():
    obs.configure()
    sys.setswitchinterval(1e-5)
    counts, stop = [0] * 6, threading.Event()
    def trades(place):
        while not stop.is_set():
            obs.decide("exit", outcome="executed")
            counts[place] += 1
    threads = [threading.Thread(target=trades, args=(place,)) for place in range(6)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    obs.shutdown()
    time.sleep(0.05)
    stop.set()
    for thread in threads:
        thread.join()
    durable = obs.delivery().tiers["durable"]
    lost = sum(durable.lost.values())
    print("counted", sum(counts), durable.produced, durable.numbered - durable.delivered - lost, flush=True)
for _ in range(8):  # each in a process of its own
    child = os.fork()
    if not child:
        one()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
"""
