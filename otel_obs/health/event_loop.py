"""How late an asyncio event loop is: a task that sleeps, and looks by how much it overslept."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from otel_obs.health.process import process
from otel_obs.health.source import NANO
from otel_obs.instrument.harmless import attempt, problem
from otel_obs.instrument.source import using

_running: Final[set[asyncio.Task[None]]] = set()  # a loop itself holds its tasks weakly


def watch(every: float) -> asyncio.Task[None] | None:
    """Start to measure the running loop; None where none is running."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        problem(
            "no_event_loop", "health.watch_event_loop() was called where no event loop runs.",
            fix="Call it inside a coroutine, once.", about="health.watch_event_loop",
        )  # fmt: skip
        return None
    task = loop.create_task(_measure(every), name="otel_obs event loop lag")
    _running.add(task)
    task.add_done_callback(_running.discard)
    return task


async def _measure(every: float) -> None:
    while True:
        start = using.clock.monotonic()
        await asyncio.sleep(every)
        overslept = (using.clock.monotonic() - start) / NANO - every
        attempt(partial(process().lagged, max(0.0, overslept)))
