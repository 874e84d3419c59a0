"""A receiver that is away, slow, unwilling or half there: the bot trades on, and all arrives in the end, once."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Start = Callable[..., Any]

TRADES_UNTIL_TOLD = """
import sys, threading
import otel_obs as obs
from trading import Tally
obs.configure()
told = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), told.set()), daemon=True).start()
tally = Tally()
while not told.is_set():
    tally.rounds(0.1, pause=0.005)
print("traded")
assert obs.flush(within=60), obs.delivery()
"""


def test_a_receiver_that_goes_and_comes_back_twice_has_everything_in_the_end(
    *, start: Start, reckoning: Any, tallies: Path, network: Any
) -> None:
    bot = start(TRADES_UNTIL_TOLD, endpoint=network.endpoint)
    for _ in range(2):
        _until_it_is_asked(network)
        network.go()
        time.sleep(2)
        network.come()
    _until_it_is_asked(network)
    bot.go_on()
    bot.ends_well(within=120)
    rows = reckoning.add_up(tallies)
    assert {row.state for row in rows} == {"adds_up"}
    assert "does not take what is sent" in bot.said()


def test_a_receiver_that_comes_back_at_another_port_gets_what_the_next_start_finds(
    *, start: Start, last_start: Start, reckoning: Any, tallies: Path, network: Any
) -> None:
    bot = start(TRADES_UNTIL_TOLD.replace("assert obs.flush(within=60), obs.delivery()", ""), endpoint=network.endpoint)
    _until_it_is_asked(network)
    network.go()
    time.sleep(1)
    network.come(port=0)
    bot.go_on()
    bot.ends_well()
    assert "stand in the journal" in bot.said()
    last_start(endpoint=network.endpoint)
    rows = reckoning.add_up(tallies, instances=2)
    assert {row.state for row in rows} == {"adds_up"}


def _until_it_is_asked(network: Any) -> None:
    before, end = network.requests, time.monotonic() + 60
    while network.requests == before:
        assert time.monotonic() < end
        time.sleep(0.02)


class Sometimes:
    """Treats one request well, and the next as it is told to."""

    def __init__(self, badly: Callable[[Any], None]) -> None:
        self._badly = badly
        self._turns = 0
        self._lock = threading.Lock()

    def __call__(self, exchange: Any) -> None:
        with self._lock:
            self._turns += 1
            turn = self._turns
        if turn % 2:
            exchange.deliver()
        else:
            self._badly(exchange)


def _slowly(exchange: Any) -> None:
    time.sleep(1.0)
    exchange.deliver()


def _too_much(exchange: Any) -> None:
    exchange.body()
    exchange.answer(429, Retry_After="1")


def _overloaded(exchange: Any) -> None:
    exchange.body()
    exchange.answer(503, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT")


def _half_an_answer(exchange: Any) -> None:
    exchange.body()
    exchange.pass_on()
    exchange.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 99\r\n\r\n\x0a")


def _half_a_head(exchange: Any) -> None:
    exchange.body()
    exchange.pass_on()
    exchange.write(b"HTTP/1.1 200 O")


def _cut_in_the_body(exchange: Any) -> None:
    exchange.handler.rfile.read(exchange.length // 2)
    exchange.hang_up()


def _stored_but_denied(exchange: Any) -> None:
    exchange.body()
    exchange.pass_on()
    exchange.answer(500, b"I have it, and say I have not")


def _a_web_page(exchange: Any) -> None:
    exchange.body()
    exchange.answer(200, b"<html>Welcome to the hotel", Content_Type="text/html")


@pytest.mark.parametrize(
    "badly",
    [_slowly, _too_much, _overloaded, _half_an_answer, _half_a_head, _cut_in_the_body, _stored_but_denied, _a_web_page],
)
def test_a_receiver_that_treats_every_other_request_badly_has_each_record_once_in_the_end(
    *, start: Start, reckoning: Any, tallies: Path, network: Any, badly: Callable[[Any], None]
) -> None:
    network.manner = Sometimes(badly)
    bot = start(TRADES_UNTIL_TOLD, endpoint=network.endpoint)
    end = time.monotonic() + 60
    while network.requests < 6:
        assert time.monotonic() < end
        time.sleep(0.02)
    bot.go_on()
    bot.until_said("traded")
    network.manner = type(network.manner)(lambda exchange: exchange.deliver())
    bot.ends_well(within=90)
    rows = reckoning.add_up(tallies)
    assert {row.state for row in rows} == {"adds_up"}


def test_a_receiver_that_never_answers_keeps_nobody_and_the_next_start_delivers(
    *, start: Start, last_start: Start, reckoning: Any, tallies: Path, network: Any
) -> None:
    released = threading.Event()
    network.manner = lambda _: released.wait(60)
    bot = start(TRADES_UNTIL_TOLD.replace("assert obs.flush(within=60), obs.delivery()", ""), endpoint=network.endpoint)
    _until_it_is_asked(network)
    time.sleep(1)
    bot.go_on()
    bot.until_said("traded")
    started = time.monotonic()
    bot.ends_well(within=30)
    assert time.monotonic() - started < 15  # 5 s, and what a loaded machine takes to end a process
    released.set()
    last_start()
    reckoning.add_up(tallies, instances=2)


def test_one_record_that_is_refused_is_set_aside_and_named_and_all_others_arrive(
    *, start: Start, reckoning: Any, tallies: Path, network: Any, tmp_path: Path
) -> None:
    def refuses_poison(exchange: Any) -> None:
        if b"poison" in exchange.body():
            exchange.answer(400, b"I do not like it")
        else:
            exchange.answer(*exchange.pass_on())

    network.manner = refuses_poison
    start(POISON, endpoint=network.endpoint).ends_well(within=120)
    rows = reckoning.settled()
    for row in rows:
        assert (row.unaccounted, row.overcounted, row.unconfirmed, row.journaled) == (0, 0, 0, 0)
    [durable] = [row for row in rows if row.tier == "durable"]
    assert durable.dropped == {"refused": 1}
    assert durable.missing == 1
    [standard] = [row for row in rows if row.tier == "standard"]
    assert standard.dropped == {}
    assert [path for path in (tmp_path / "state").rglob("refused/*") if b"poison" in path.read_bytes()]


POISON = """
import otel_obs as obs
from trading import Tally, wait_for
obs.configure()
tally = Tally()
tally.rounds(0.3)
obs.decide("poison", outcome="executed")
tally.rounds(0.3)
obs.flush(within=30)
wait_for(lambda: sum(one.waiting for one in obs.delivery().tiers.values()) == 0)
"""
