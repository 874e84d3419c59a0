"""A bot as its author would write it, in a market that a test moves: `market.json` beside it says how it is just now.

Usage: watched.py DIRECTORY. It writes its metrics' address there at the start, and what it decided when it is stopped.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections import Counter
from pathlib import Path

import otel_obs as obs

ROUND_SECONDS = 0.05


def run(place: Path) -> None:
    """Go round until SIGTERM."""
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    obs.configure()
    obs.health.declare(gates=["spread_guard", "volatility_guard"])
    feed = obs.health.source("ws:btcusdt", kind="websocket", expected_every=1.0)
    feed.connected()
    (place / "address.new").write_text(obs.health.address(), encoding="utf-8")
    (place / "address.new").rename(place / "address")
    decided: Counter[str] = Counter()
    while not stopped.wait(ROUND_SECONDS):
        market = json.loads((place / "market.json").read_text(encoding="utf-8"))
        if market["feed"]:
            feed.seen()
        with obs.trace("cycle", intent="trade", symbol="BTCUSDT"):
            with obs.decision("enter long", why="the test says so", symbol="BTCUSDT", side="buy") as decision:
                decision.gate("spread_guard", observed=market["spread_bps"], at_most=5.0, unit="bps")
                decision.gate("volatility_guard", observed=0.2, at_most=0.5)
                if decision.allowed:
                    decision.executed()
            decided["executed" if decision.allowed else "vetoed"] += 1
        obs.health.beat(expected_every=1.0)
    obs.shutdown()
    with (place / "decided").open("a", encoding="utf-8") as file:
        file.write(json.dumps(decided) + "\n")


if __name__ == "__main__":
    run(Path(sys.argv[1]))
