"""What a faster encoder could bring at most: delivered decisions a second with one that returns bytes made before.

``encoded for nothing`` stands for one in another language that takes no time at all; ``described and encoded for
nothing`` for one that also turns what was said into attributes. What is left is the bot's own part, queue, journal,
sending and the interpreter's hand-overs: no encoder touches these. Turns, each in its own process; all must arrive.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import TYPE_CHECKING, Any

import sink
import worker
from sides import SIDES

from otel_obs.instrument import api
from otel_obs.sdk.otlp import spans

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_obs.sdk.otlp.records import SpanRecord

_DECISIONS, _TURNS = 120_000, 5
_WAYS = ("as it is", "encoded for nothing", "described and encoded for nothing")


def _encode_for_nothing() -> None:
    make: Any = spans._span  # noqa: SLF001
    prepared: list[bytes] = []

    def encode(record: SpanRecord) -> bytes:
        if not prepared:
            prepared.append(make(record))
        return prepared[0]

    spans._span = encode  # noqa: SLF001


def _describe_for_nothing() -> None:
    make = api.describe_later
    prepared: list[dict[str, Any]] = []

    def describe(leaf: Any) -> dict[str, Any]:
        if not prepared:
            prepared.append(make(leaf))
        return prepared[0]

    api.describe_later = describe


def _work(port: int, way: str) -> None:
    if way != _WAYS[0]:
        _encode_for_nothing()
    if way == _WAYS[2]:
        _describe_for_nothing()
    side = SIDES["ours"](port, block=60.0)
    say, _ = side.says["leaf"]

    def answer(decisions: int) -> tuple[float, float]:
        start, used = time.perf_counter(), time.process_time()
        for number in range(decisions):
            say(number)
        side.flush()
        return time.perf_counter() - start, time.process_time() - used

    worker.answer(answer)
    side.end()


def _measured(way: str) -> tuple[float, float]:
    with sink.running() as port, worker.running(__file__, port, way) as ask:
        ask(500)
        seconds, used = ask(_DECISIONS)
        arrived = sink.received(port)
    if arrived != _DECISIONS + 500:
        raise RuntimeError(f"{way}: {arrived} of {_DECISIONS + 500} arrived")
    return _DECISIONS / seconds, used / _DECISIONS * 1e6


def measure() -> Iterator[dict[str, object]]:
    """Yield the figures."""
    turns = [{way: _measured(way) for way in _WAYS} for _ in range(_TURNS)]
    for way in _WAYS:
        delivered = statistics.median(turn[way][0] for turn in turns)
        used = statistics.median(turn[way][1] for turn in turns)
        yield {"figure": f"delivered, {way}", "unit": "1/s", "ours": delivered}
        yield {"figure": f"the processor's time for one, {way}", "unit": "µs", "ours": used}


if __name__ == "__main__":
    _work(int(sys.argv[1]), sys.argv[2])
