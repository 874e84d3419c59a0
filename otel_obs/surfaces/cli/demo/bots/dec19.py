"""A replay of 19 December 2025: the day on which a bot decided 58 times, and every decision was vetoed.

A program as a bot's author would write it; it uses the public API alone. The figures are those of the audit of that
day: 58 decisions from 09:30 to 21:19 in Asia/Kolkata, 45 refused first by spread_guard (12 to 16.7 bps against 5.0)
and 13 by volatility; 30 of the 58 between 14:00 and 16:00, 28 and 2 by gate.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import otel_obs as obs

KOLKATA = ZoneInfo("Asia/Kolkata")
DAY = datetime(2025, 12, 19, tzinfo=KOLKATA)
MAX_SPREAD_BPS = 5.0
MIN_VOLATILITY = 0.001


@dataclass(frozen=True)
class Candidate:
    """What the bot saw when it decided."""

    at: datetime
    spread_bps: float
    volatility: float


def _spread_over(start: str, end: str, count: int) -> list[datetime]:
    """``count`` minutes from ``start`` to ``end``, both included, evenly."""
    first, last = (datetime.combine(DAY, time.fromisoformat(text), KOLKATA) for text in (start, end))
    minutes = int((last - first) / timedelta(minutes=1))
    return [first + timedelta(minutes=minutes * index // (count - 1)) for index in range(count)]


def candidates() -> list[Candidate]:
    """The day's 58, in order of time. In the wide-spread ones volatility was too low as well: the secondary veto."""
    quiet_spread = {  # by part of the day: which of its decisions had a narrow spread, and fell to volatility alone
        ("09:30", "13:55", 14): {1, 3, 5, 7, 9, 11},
        ("14:00", "15:56", 30): {10, 20},
        ("16:05", "21:19", 14): {2, 4, 6, 8, 10},
    }
    found = []
    for (start, end, count), narrow in quiet_spread.items():
        for index, at in enumerate(_spread_over(start, end, count)):
            spread = 3.1 + index % 4 / 10 if index in narrow else 12.0 + len(found) * 7 % 48 / 10
            found.append(Candidate(at=at, spread_bps=round(spread, 1), volatility=0.0))
    return found


def decide(candidate: Candidate, number: int) -> str:
    """One cycle of the bot; returns how its decision ended."""
    side = "buy" if number % 3 else "sell"
    with (
        obs.trace("cycle", project="metastacker", intent="trade", domain="crypto", symbol="BTCUSDT", at=candidate.at),
        obs.decision(
            "enter long" if side == "buy" else "enter short",
            why="the model sees an edge",
            symbol="BTCUSDT",
            side=side,
            strategy="meta-stacker",
            inputs={"spread_bps": candidate.spread_bps, "rv_1h": candidate.volatility},
        ) as decision,
    ):
        decision.gate("spread_guard", observed=candidate.spread_bps, at_most=MAX_SPREAD_BPS, unit="bps")
        decision.gate("volatility", observed=candidate.volatility, at_least=MIN_VOLATILITY, unit="rv_1h")
        if decision.allowed:
            decision.executed(order_id=f"order-{number}")
    return decision.outcome


def run() -> None:
    """Replay the day."""
    obs.configure(service_name="metastacker", ids_seed="replay of 2025-12-19")
    outcomes = [decide(candidate, number) for number, candidate in enumerate(candidates(), start=1)]
    report = obs.shutdown(within=30)
    print(json.dumps({"decisions": len(outcomes), "vetoed": outcomes.count("vetoed"), "sent": report.delivered}))
    sys.exit(1 if report.undelivered else 0)


if __name__ == "__main__":
    run()
