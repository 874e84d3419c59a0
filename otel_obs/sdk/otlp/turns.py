"""Whose turn it is: a background thread that encodes lets the bot's threads go first, and is not starved by them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_BUSY: Final = 0.001  # seconds that only a thread keeps the interpreter which computes, and waits for nothing
_FEWEST: Final = 25  # one pause of so many: about the 5 ms that Python grants whoever computes


def hold_on() -> None:
    """Go on without a pause: for whoever encodes where nobody waits."""


class GiveWay:
    """A pause for ``encode_spans`` and ``encode_logs``: lets go of the interpreter, so that a waiting thread has it.

    A thread that wakes for a moment is let in at every pause. One that computes on and on keeps the interpreter 5 ms
    each time, which would leave next to nothing to whoever pauses every few records: beside it pauses become rare.
    """

    def __init__(
        self, *, sleep: Callable[[float], object] = time.sleep, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._sleep, self._clock = sleep, clock
        self._of = 1  # one pause of so many is made
        self._left = 0

    def __call__(self) -> None:
        """Pause, if it is time."""
        if self._left:
            self._left -= 1
            return
        start = self._clock()
        self._sleep(0)
        was_busy = self._clock() - start > _BUSY
        self._of = min(2 * self._of, _FEWEST) if was_busy else 1
        self._left = self._of - 1
