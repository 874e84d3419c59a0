"""How many decisions one process delivers a second when none may be lost, and what each costs in time of the processor.

``decide()`` is called on and on; who has no room makes the caller wait (ours by the setting ``block``, the stock SDK by
looking at its queue, which waits for no one). The clock runs from the first call to the last acknowledgement. The sink
decodes what arrived and counts it, and our ledger is asked as well. Each round has a process of its own.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from typing import TYPE_CHECKING, Any

import sink
import worker
from sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Iterator

_DECISIONS = {"ours": 120_000, "stock": 20_000}
_TURNS = 3
KNOBS: dict[str, dict[str, Any]] = {
    "a journal": {},
    "no journal": {"journal": "off"},
    "a journal, fsync each second": {"journal_fsync": "second"},
    "a journal, fsync each frame": {"journal_fsync": "each"},
}


def _seconds_of_the_processor() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _work(name: str, port: int, knob: str) -> None:
    side = SIDES[name](port, **({"block": 60.0} | KNOBS[knob] if name == "ours" else {"max_queue_size": 16_384}))
    say, payload = side.says["leaf"]

    def answer(kind: str, decisions: int) -> tuple[float, float, int | None]:
        call, wait = say if kind == "say" else payload, side.wait_for_room
        start, used = time.perf_counter(), _seconds_of_the_processor()
        with side.stage():
            for number in range(decisions):
                wait()
                call(number)
        if kind == "say":
            side.flush()
        return time.perf_counter() - start, _seconds_of_the_processor() - used, side.numbered()

    worker.answer(answer)
    side.end()


def delivered(name: str, knob: str = "a journal") -> tuple[float, float]:
    """Decisions delivered per second, and µs of the processor that one takes, its payload included.

    Raises:
        RuntimeError: not all arrived.

    """
    decisions = _DECISIONS[name]
    with sink.running() as port, worker.running(__file__, name, port, knob) as ask:
        ask("say", 500)
        before = sink.received(port)
        seconds, used, numbered = ask("say", decisions)
        arrived = sink.received(port)
    expected = decisions + 1  # with the stage that is open meanwhile
    if before != 501 or arrived != expected or numbered not in {None, expected + before}:
        raise RuntimeError(f"{name}: {arrived} of {expected} spans arrived, {numbered} were numbered")
    return decisions / seconds, used / decisions * 1e6


def measure() -> Iterator[dict[str, object]]:
    """Yield the figures."""
    turns = [{name: delivered(name) for name in SIDES} for _ in range(_TURNS)]
    for place, (title, unit) in enumerate(
        (("delivered with nothing lost, one process", "1/s"), ("time of the processor for one that is delivered", "µs"))
    ):
        found = {name: statistics.median(turn[name][place] for turn in turns) for name in SIDES}
        yield {"figure": title, "unit": unit, **found}
    rounds = [{knob: delivered("ours", knob)[0] for knob in KNOBS} for _ in range(_TURNS - 1)]
    for knob in KNOBS:
        yield {
            "figure": f"delivered with {knob}", "unit": "1/s",
            "ours": statistics.median(one[knob] for one in rounds),
        }  # fmt: skip


if __name__ == "__main__":
    _work(sys.argv[1], int(sys.argv[2]), sys.argv[3])
