"""How it ends, in a process and in its forked children: within a bound, and with a report of what was not delivered."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def in_child(call: Callable[[], None]) -> None:
    """Make ``call`` in every child that is forked from now on."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=call)


@dataclass(frozen=True, kw_only=True)
class ShutdownReport:
    """What ``shutdown()`` could and could not deliver. ``undelivered`` counts drops, refusals and what was unsent.

    ``journaled`` of those are on disk, for the next start to send.
    """

    produced: int
    delivered: int
    journaled: int = 0
    seconds: float
    in_time: bool

    @property
    def undelivered(self) -> int:
        """Records that nobody acknowledged."""
        return self.produced - self.delivered


class Ending:
    """A call that ends something and may hang, made when asked in a thread that was started long before.

    From Python 3.12 on no thread can be started any more when the interpreter's exit makes its calls.
    """

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._wait_for_it()
        in_child(self._wait_for_it)

    def _wait_for_it(self) -> None:
        self._asked, self._done = threading.Event(), threading.Event()
        threading.Thread(target=self._run, args=(self._asked, self._done), name="otel_obs ending", daemon=True).start()

    def _run(self, asked: threading.Event, done: threading.Event) -> None:
        asked.wait()
        try:
            self._call()
        finally:
            done.set()

    def ask(self) -> None:
        """Let the call be made."""
        self._asked.set()

    def is_done_within(self, seconds: float) -> bool:
        """Wait for its end; what hangs is left behind."""
        return self._done.wait(max(0.0, seconds))
