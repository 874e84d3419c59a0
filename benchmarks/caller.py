"""What one decision costs the thread that makes it: ours beside the stock SDK, in turns, each in its own process.

Each side is set up as a user would, and sends to a process of its own that answers at once; ours has its journal on.
Every call is timed by itself, under an open stage. The same is done with what builds the payload alone, and the median
of that is taken from every figure: what is left is what telemetry costs. ``flat out`` are bursts of 1,000 calls, which
both queues hold, drained between two; ``paced`` is one call every 0.5 ms, as a bot makes them: with cold caches, and
beside the threads that encode and send. A figure is the median of the turns.
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import sink
import worker
from sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BURST, _BURSTS = 1_000, 4
_PACE, _PACED = 0.0005, 2_000
_TURNS = 3
_TITLES = {
    "leaf": "decide()",
    "context": "with decision(), a gate passes",
    "veto": "with decision(), a gate denies",
}
_WAYS = {"flat": "flat out", "paced": "2,000/s"}


def _flat(say: Callable[[int], object]) -> list[int]:
    clock = time.perf_counter_ns
    took = []
    for number in range(_BURST):
        start = clock()
        say(number)
        took.append(clock() - start)
    return took


def _paced(say: Callable[[int], object]) -> list[int]:
    clock, sleep = time.perf_counter_ns, time.sleep
    took = []
    due = time.perf_counter()
    for number in range(_PACED):
        due += _PACE
        if (left := due - time.perf_counter()) > 0:
            sleep(left)
        start = clock()
        say(number)
        took.append(clock() - start)
    return took


def _work(name: str, port: int) -> None:
    side = SIDES[name](port)

    def answer(way: str, kind: str) -> dict[str, float]:
        say, payload = side.says[kind]
        whole: list[int] = []
        alone: list[int] = []
        with side.stage():
            for _ in range(_BURSTS if way == "flat" else 1):
                gc.collect()
                alone += (_flat if way == "flat" else _paced)(payload)
                whole += (_flat if way == "flat" else _paced)(say)
                side.flush()
        built = statistics.median(alone)
        percentiles = statistics.quantiles(whole, n=100)
        return {"p50": percentiles[49] - built, "p99": percentiles[98] - built, "mean": statistics.mean(whole) - built}

    worker.answer(answer)
    side.end()


def measure() -> Iterator[dict[str, object]]:
    """Yield the figures."""
    with ExitStack() as stack:
        asks = {
            name: stack.enter_context(worker.running(__file__, name, stack.enter_context(sink.running())))
            for name in SIDES
        }
        for kind, title in _TITLES.items():
            for way, told in _WAYS.items():
                for ask in asks.values():  # the first is not counted
                    ask("flat", kind)
                turns: list[dict[str, Any]] = [
                    {name: ask(way, kind) for name, ask in asks.items()} for _ in range(_TURNS)
                ]
                for figure in ("p50", "mean", "p99"):
                    ours, stock = (
                        statistics.median(turn[name][figure] for turn in turns) for name in ("ours", "stock")
                    )
                    yield {
                        "figure": f"{title}, {told}, {figure}",
                        "unit": "µs",
                        "ours": ours / 1e3,
                        "stock": stock / 1e3,
                    }


if __name__ == "__main__":
    _work(sys.argv[1], int(sys.argv[2]))
