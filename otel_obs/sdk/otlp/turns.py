"""Whose turn it is: a background thread that encodes lets the bot's threads go first, and is not starved by them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

TURN: Final = 0.0001  # seconds that we keep the interpreter from a thread that woke meanwhile
LONG_TURN: Final = 0.001  # where much waits: each pause costs us about 0.07 ms, in which nobody works
_BUSY: Final = 0.001  # seconds that only a thread keeps the interpreter which computes, and waits for nothing
_LONGEST: Final = 0.005  # as Python grants whoever computes


def hold_on() -> None:
    """Go on without a pause: for whoever encodes where nobody waits."""


class GiveWay:
    """A pause for ``encode_spans`` and ``encode_logs``: lets go of the interpreter, so that a waiting thread has it.

    It is called often, and pauses once in ``turn`` seconds: so long waits at most a thread that wakes. One that
    computes on and on keeps the interpreter 5 ms each time, which would leave next to nothing to whoever pauses so
    often: beside it turns become longer.
    """

    def __init__(
        self, *, sleep: Callable[[float], object] = time.sleep, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._sleep, self._clock = sleep, clock
        self.turn = TURN
        self._stretch = 1
        self._until = 0.0

    def __call__(self) -> None:
        """Pause, if it is time."""
        start = self._clock()
        if start < self._until:
            return
        self._sleep(0)
        end = self._clock()
        was_busy = end - start > _BUSY
        self._stretch = min(2 * self._stretch, round(_LONGEST / self.turn)) if was_busy else 1
        self._until = end + self.turn * self._stretch
