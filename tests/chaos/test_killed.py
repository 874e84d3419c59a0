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


def _slowly_and_in_doubt(exchange: Any) -> None:
    """Store it, and say so late, or not at all."""
    exchange.body()
    answer = exchange.pass_on()
    time.sleep(random.uniform(0, 0.3))
    if random.random() < 0.5:
        exchange.answer(*answer)
    else:
        exchange.hang_up()


@pytest.mark.parametrize("how", ["as it is", "with a network in doubt", "each durable record at once"])
def test_bots_killed_at_any_moment_lose_no_more_than_their_ledgers_name(
    *, start: Start, last_start: Start, reckoning: Any, tallies: Path, network: Any, how: str
) -> None:
    """Three bots of the same service at a time: each start takes over what others left, and is killed itself."""
    given = {"endpoint": network.endpoint}
    if how == "with a network in doubt":
        network.manner = _slowly_and_in_doubt
    elif how == "each durable record at once":
        given["OTEL_OBS_JOURNAL_SYNC"] = "1"
    for _ in range(7):
        bots = [start(TRADES, **given) for _ in range(3)]
        for place, bot in enumerate(bots):
            if place:
                bot.until_said("configured")
            time.sleep(random.uniform(0, 0.3))
            bot.kill()
    network.manner = type(network).good
    last_start(endpoint=network.endpoint)
    rows = reckoning.add_up(tallies, instances=2, killed=True, seconds=90)
    if how == "each durable record at once":
        assert all(row.unconfirmed <= 1 for row in rows if row.tier == "durable")  # the one that is being said


def test_many_dead_processes_are_taken_over_a_few_at_a_time_also_those_that_said_nothing(
    *, start: Start, reckoning: Any, tallies: Path, network: Any
) -> None:
    """A bot that dies at once, again and again, while the store is away; then one with few files to open."""
    network.go()
    start(DIES_OFTEN, endpoint=network.endpoint).ends_well()
    network.come()
    start(FEW_FILES, endpoint=network.endpoint).ends_well(within=120)
    rows = reckoning.add_up(tallies, instances=72, killed=True)
    assert len({row.instance for row in rows}) == 72  # those that spoke: 70 children, their parent, and the last start


DIES_OFTEN = """
import os, sys
import otel_obs as obs
from trading import Tally
obs.configure()
Tally().round()
for number in range(140):
    child = os.fork()
    if not child:
        if number % 2:
            Tally().round()
            obs.flush(within=0.01)  # it fails, but what was said is on the disk
        os._exit(9)
    os.waitpid(child, 0)
"""

FEW_FILES = """
import resource
import otel_obs as obs
from trading import Tally, adopted_all, wait_for
resource.setrlimit(resource.RLIMIT_NOFILE, (110, 110))
obs.configure()
Tally().round()
wait_for(adopted_all, seconds=100)
open("/dev/null").close()
"""


def test_a_bot_that_ends_without_a_word_or_with_an_exception_in_a_thread_loses_nothing_that_it_had_time_to_write(
    *, start: Start, last_start: Start, reckoning: Any, tallies: Path
) -> None:
    bot = start(NO_WORD)
    assert bot.ends() == 3
    assert "a thread fell" in bot.said()
    last_start()
    reckoning.add_up(tallies, instances=2, killed=True, further=1)


NO_WORD = """
import os, threading, time
import otel_obs as obs
from trading import Tally
obs.configure()
def falls():
    with obs.trace("falls"), obs.decision("enter"):
        raise RuntimeError("a thread fell")
tally = Tally()
tally.rounds(0.3)
thread = threading.Thread(target=falls)
thread.start()
thread.join()
time.sleep(0.5)
os._exit(3)
"""


def test_a_bot_that_is_stopped_and_goes_on_goes_on_where_it_was(
    *, start: Start, reckoning: Any, tallies: Path, store: Any
) -> None:
    bot = start(TRADES.replace("60", "4"))
    bot.until_said("configured")
    for _ in range(5):
        time.sleep(0.2)
        bot.kill(signal.SIGSTOP)
        time.sleep(0.2)
        bot.kill(signal.SIGCONT)
    bot.ends_well()
    reckoning.add_up(tallies)


def test_two_bots_of_one_service_at_once_keep_their_books_apart(*, start: Start, reckoning: Any, tallies: Path) -> None:
    bots = [start(TRADES.replace("60", "1.5")) for _ in range(2)]
    for bot in bots:
        bot.ends_well()
    rows = reckoning.add_up(tallies, instances=2)
    assert {row.state for row in rows} == {"adds_up"}


def test_a_process_s_own_ledger_adds_up_while_it_keeps_what_the_dead_left(
    *, start: Start, last_start: Start, reckoning: Any, tallies: Path, network: Any
) -> None:
    network.go()
    bot = start(TRADES, endpoint=network.endpoint)
    bot.until_said("configured")
    time.sleep(0.5)
    bot.kill()
    start(KEEPS_THE_DEAD_S, endpoint=network.endpoint).ends_well()
    network.come()
    last_start(endpoint=network.endpoint)
    reckoning.add_up(tallies, instances=3, killed=True)


KEEPS_THE_DEAD_S = """
import otel_obs as obs
from trading import Tally, wait_for
obs.configure()
wait_for(lambda: obs.delivery().adopted.waiting > 0)
tally = Tally()
tally.round()
wait_for(lambda: sum(obs.delivery().waiting.values()) == 9)
assert "it adds up" in str(obs.delivery()), obs.delivery()
report = obs.shutdown()
assert report.journaled == report.undelivered == 9, report
"""
