"""Much at once, and much for long: threads, tasks, and a day without a receiver, in bounded memory."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Start = Callable[..., Any]


def test_threads_and_ten_thousand_tasks_at_once_are_counted_to_the_last(
    *, start: Start, reckoning: Any, tallies: Path
) -> None:
    start(MANY).ends_well(within=120)
    rows = reckoning.settled()
    for row in rows:
        assert (row.unaccounted, row.overcounted, row.unconfirmed) == (0, 0, 0), str(row)
    [durable] = [row for row in rows if row.tier == "durable"]
    assert (durable.produced, durable.stored, durable.dropped) == (8 * 500 + 10_000, 8 * 500 + 10_000, {})
    [standard] = [row for row in rows if row.tier == "standard"]
    assert standard.produced == 2 * 10_000
    assert standard.stored + sum(standard.dropped.values()) == standard.produced
    assert set(standard.dropped) <= {"kill_switch", "queue_full"}


MANY = """
import asyncio, sys, threading, time
import otel_obs as obs
obs.configure()
sys.setswitchinterval(1e-4)
parents = []
async def task(number):
    with obs.trace("cycle", intent="trade") as cycle:
        await asyncio.sleep(0)
        with obs.stage("looks") as looks:
            await asyncio.sleep(0)
            with obs.decision("enter") as one:
                await asyncio.sleep(0)
                one.executed(order_id=str(number))
                assert obs.current_decision() is one
        assert looks.trace_id == cycle.trace_id == one.trace_id
async def everything():
    await asyncio.gather(*(task(number) for number in range(10_000)))
def trades():
    for _ in range(500):
        obs.decide("exit", outcome="executed")
threads = [threading.Thread(target=trades) for _ in range(8)]
for thread in threads:
    thread.start()
asyncio.run(everything())
for thread in threads:
    thread.join()
assert obs.problems() == {}, obs.problems()
assert obs.flush(within=60) or obs.delivery().tiers["standard"].dropped, obs.delivery()
"""


def test_half_a_million_records_while_the_receiver_is_away_stay_within_their_bounds(
    *, start: Start, last_start: Start, reckoning: Any, tallies: Path, network: Any, tmp_path: Path
) -> None:
    network.go()
    bot = start(DAY, endpoint=network.endpoint, OTEL_OBS_JOURNAL_MAX_BYTES="16MiB", OTEL_OBS_MAX_QUEUE_BYTES="16MiB")
    bot.ends_well(within=200)
    found = re.search(r"before (\d+) after (\d+) journal (\d+) slowest ([\d.]+)", bot.said())
    assert found is not None, bot.said()
    before, after, journal, slowest = map(float, found.groups())
    assert after - before < 120 << 20, bot.said()
    assert journal <= 16 << 20
    assert slowest < 3
    network.come()
    last_start(endpoint=network.endpoint)
    rows = reckoning.settled(instances=2)
    for row in rows:
        assert (row.unaccounted, row.overcounted, row.unconfirmed) == (0, 0, 0), str(row)
        assert set(row.dropped) <= {"journal_full", "kill_switch", "queue_full"}
    assert sum(row.produced for row in rows) >= 500_000


DAY = """
import resource, time
import otel_obs as obs
obs.configure()
def rss():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()
obs.decide("warm up")
obs.flush(within=0.1)
before, slowest, most = rss(), 0.0, 0
for number in range(100_000):
    start = time.monotonic()
    with obs.trace("cycle", intent="trade"):
        obs.decide("hold", why="nothing to do", inputs={"bid": 1.5, "ask": 2.5})
        obs.decide("hold", why="nothing to do", inputs={"bid": 1.5, "ask": 2.5})
        obs.decide("hold", why="nothing to do", inputs={"bid": 1.5, "ask": 2.5})
        obs.decide("exit", why="done", outcome="executed")
    slowest = max(slowest, time.monotonic() - start)
    if not number % 1000:
        most = max(most, rss())
print("before", before, "after", most, "journal", obs.delivery().journal.bytes, "slowest", slowest)
"""


def test_a_signal_handler_that_records_in_the_midst_of_anything_neither_hangs_nor_loses(
    *, start: Start, reckoning: Any, tallies: Path
) -> None:
    start(HANDLER_RECORDS).ends_well()
    rows = reckoning.add_up(tallies, further=1_000_000)
    assert {row.state for row in rows} == {"adds_up"}


HANDLER_RECORDS = """
import faulthandler, signal, time
import otel_obs as obs
faulthandler.dump_traceback_later(40, exit=True)
from trading import Tally, trade
obs.configure(max_queue=200, block=0.05)
tally = Tally()
tally.round()  # the first fact imports pydantic, which cannot be interrupted
heard, inside = [], []
def hears(*_):
    if len(inside) > 3:
        return
    inside.append(1)
    heard.append(1)
    trade(-len(heard))
    if not len(heard) % 50:
        obs.flush(within=0.05)
    inside.pop()
signal.signal(signal.SIGALRM, hears)
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
end = time.monotonic() + 3
while time.monotonic() < end:
    tally.rounds(0.2, pause=0)
    obs.flush(within=0.1)
signal.setitimer(signal.ITIMER_REAL, 0)
assert len(heard) > 100
assert obs.flush(within=30)
"""
