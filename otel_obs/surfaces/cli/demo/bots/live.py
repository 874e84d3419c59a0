"""A bot that runs until it is stopped: it watches an invented order book, and its gates refuse what is too dear.

A program as a bot's author would write it; it uses the public API alone. Nothing is traded: prices are a random walk,
and an order goes nowhere. It is what `deploy/compose/compose.yaml` runs, so that there is something to look at.
"""

from __future__ import annotations

import random
import signal
import threading
from dataclasses import dataclass, field

import otel_obs as obs

SYMBOL = "BTCUSDT"
STRATEGY = "invented-book"
ROUND_SECONDS = 2.0
MAX_SPREAD_BPS = 5.0
MIN_DEPTH = 3.5
MOMENTUM_BPS = 6.0


@dataclass
class Book:
    """The best prices of a market that does not exist."""

    dice: random.Random = field(default_factory=random.Random)
    mid: float = 43_000.0
    last: float = 43_000.0
    spread_bps: float = 3.0
    depth: float = 5.0

    def move(self) -> None:
        """One update."""
        self.last = self.mid
        self.mid *= 1 + self.dice.gauss(0, 8) / 1e4
        self.spread_bps = max(0.5, 0.9 * self.spread_bps + 0.1 * self.dice.expovariate(1 / 4.5) + self.dice.gauss(0, 1))
        self.depth = max(0.1, 0.8 * self.depth + 0.2 * self.dice.expovariate(1 / 5))

    @property
    def momentum_bps(self) -> float:
        """How far it went with the last update."""
        return (self.mid / self.last - 1) * 1e4


def look(book: Book, number: int) -> None:
    """One round: decide, or say why there was nothing to decide."""
    with obs.trace("cycle", project="demo", intent="trade", domain="crypto", symbol=SYMBOL, strategy=STRATEGY) as cycle:
        if abs(book.momentum_bps) < MOMENTUM_BPS:
            cycle.idle("no_signal")
            return
        side = "buy" if book.momentum_bps > 0 else "sell"
        with obs.decision(
            "enter long" if side == "buy" else "enter short",
            why=f"the price moved by {book.momentum_bps:+.1f} bps",
            symbol=SYMBOL,
            side=side,
            strategy=STRATEGY,
            inputs={"momentum_bps": round(book.momentum_bps, 2), "mid": round(book.mid, 1)},
        ) as decision:
            decision.gate("spread_guard", observed=round(book.spread_bps, 2), at_most=MAX_SPREAD_BPS, unit="bps")
            decision.gate("depth", observed=round(book.depth, 2), at_least=MIN_DEPTH, unit="BTC")
            if decision.allowed:
                decision.executed(order_id=f"invented-{number}")


def run() -> None:
    """Go round until SIGTERM or Ctrl-C."""
    stopped = threading.Event()
    for told in (signal.SIGTERM, signal.SIGINT):
        signal.signal(told, lambda *_: stopped.set())
    obs.configure()
    obs.health.declare(gates=["spread_guard", "depth"], errors=["venue"], throttles=["venue"])
    source = obs.health.source("book:btcusdt", kind="orderbook", expected_every=ROUND_SECONDS)
    source.connected()
    book, number = Book(), 0
    while not stopped.wait(ROUND_SECONDS):
        number += 1
        book.move()
        source.seen()
        look(book, number)
        obs.health.beat(expected_every=ROUND_SECONDS)
    source.disconnected()
    obs.shutdown()


if __name__ == "__main__":
    run()
