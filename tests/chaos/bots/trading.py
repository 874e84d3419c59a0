"""What a bot does in a round, and its own count of it, in a file that outlives the bot however it ends."""

from __future__ import annotations

import mmap
import os
import time
from pathlib import Path

from opentelemetry import trace

import otel_obs as obs

DURABLE = 5  # records of a round
_WORDS = 4


class Tally:
    """Rounds begun, rounds done, the longest and their sum in ns. The file is named by the process's instance id."""

    def __init__(self) -> None:
        standing = obs.delivery()
        path = Path(os.environ["TALLIES"]) / (standing.instance if standing else f"nobody-{os.getpid()}")
        path.write_bytes(bytes(8 * _WORDS))
        with path.open("r+b") as file:
            self._words = memoryview(mmap.mmap(file.fileno(), 8 * _WORDS)).cast("Q")

    @property
    def done(self) -> int:
        """How many rounds are done."""
        return int(self._words[1])

    def round(self) -> None:
        """Trade once."""
        words = self._words
        words[0] += 1
        start = time.monotonic_ns()
        trade(words[0])
        took = time.monotonic_ns() - start
        words[2] = max(words[2], took)
        words[3] += took
        words[1] += 1

    def rounds(self, seconds: float, *, pause: float = 0.002) -> None:
        """Trade on for so many seconds."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.round()
            time.sleep(pause)


def trade(number: int) -> None:
    """Say what a bot says in a round: five durable records, three standard ones, and another library's span."""
    with obs.trace("cycle", intent="trade"):
        with obs.stage("signals"):
            trace.get_tracer("requests").start_span("GET").end()
        with obs.decision("enter long", why="momentum", confidence=0.6, inputs={"bid": 1.5, "ask": 2.5}) as entry:
            if entry.gate("spread", observed=1.0, at_most=5.0, unit="bps"):
                entry.executed(order_id=f"o{number}")
        obs.order(id=f"o{number}", status="filled", side="buy", quantity="1", price="10.5")
        obs.fill(id=f"f{number}", price="10.5", quantity="1", order_id=f"o{number}")
        with obs.decision("enter short") as refused:
            refused.gate("volatility", observed=9.0, at_most=5.0)
        obs.decide("hold", why="nothing to do")
        obs.decide("exit", outcome="executed")


def wait_for(holds: object, *, seconds: float = 60.0) -> None:
    """Go on once ``holds()`` is true; end this bot where it never is."""
    until = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        if time.monotonic() > until:
            raise TimeoutError(f"it never came: {obs.delivery()}")
        time.sleep(0.02)


def adopted_all() -> bool:
    """Whether nothing is left of the dead, nor of this process."""
    root = Path(os.environ["XDG_STATE_HOME"]) / "otel_obs" / "journal"
    left = [path for path in root.glob("*/*") if not path.name.startswith((".new-", "refused"))]
    return len(left) <= 1
