"""How late an event loop wakes that makes 2,000 decisions a second: nothing said, said to us, said to the stock SDK.

A loop of asyncio sleeps 5 ms and then makes the decisions that are due, each of them a ``with`` that has a gate. How
late it woke is how much longer than 5 ms it slept: what it does itself after it woke does not count. The three take
turns, each in its own process; with nothing said it builds the payloads all the same.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import sink
import worker
from sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TICK, _RATE, _SECONDS, _TURNS = 0.005, 2_000, 4.0, 5
_NOTHING = "nothing"


async def _late(say: Callable[[int], object]) -> list[float]:
    """By how many ms each sleep was too long."""
    late: list[float] = []
    made = 0
    begun = woken = time.perf_counter()
    while woken - begun < _SECONDS:
        for number in range(made, due := int((woken - begun) * _RATE)):
            say(number)
        made = max(made, due)
        slept = time.perf_counter()
        await asyncio.sleep(_TICK)
        woken = time.perf_counter()
        late.append((woken - slept - _TICK) * 1e3)
    return late


def _work(name: str, port: int) -> None:
    side = SIDES["ours" if name == _NOTHING else name](port, **({"enabled": False} if name == _NOTHING else {}))
    say = side.says["context"][1 if name == _NOTHING else 0]

    def answer() -> list[float]:
        gc.collect()
        with side.stage():
            found = asyncio.run(_late(say))
        side.flush()
        return found

    worker.answer(answer)
    side.end()


def measure() -> Iterator[dict[str, object]]:
    """Yield the figures."""
    names = ("ours", "stock", _NOTHING)
    with ExitStack() as stack:
        asks = {
            name: stack.enter_context(worker.running(__file__, name, stack.enter_context(sink.running())))
            for name in names
        }
        turns = [{name: statistics.quantiles(ask(), n=1000) for name, ask in asks.items()} for _ in range(_TURNS)]
    for title, place in (("p50", 499), ("p99", 989), ("p99.9", 998)):
        found = {name: statistics.median(turn[name][place] for turn in turns) for name in names}
        yield {
            "figure": f"a loop wakes late at 2,000 decisions/s, {title}", "unit": "ms",
            "ours": found["ours"], "stock": found["stock"], "none": found[_NOTHING],
        }  # fmt: skip


if __name__ == "__main__":
    _work(sys.argv[1], int(sys.argv[2]))
