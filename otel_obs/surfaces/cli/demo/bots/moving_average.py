"""A moving-average bot on the `backtesting` library and its bundled daily prices, which says why it did what it did.

A program as a bot's author would write it; it uses the public API alone. Every bar is a cycle, in bar time. Entries and
exits are decisions whose gates bind: an entry that a gate denies is not made.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import TYPE_CHECKING, Any

import otel_obs as obs

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # a plotting library tells notebooks how to show it
    from backtesting import Backtest, Strategy
    from backtesting.test import GOOG, SMA

if TYPE_CHECKING:
    from datetime import datetime

SYMBOL = "GOOG"
STRATEGY = "moving-average-cross"


class MovingAverageCross(Strategy):
    """Long while the fast average is above the slow one, as far as the gates allow."""

    fast = 10
    slow = 20
    max_range_bps = 450.0  # the bar's range stands for the spread that a daily bar does not have
    max_volatility = 0.035  # standard deviation of the last 20 daily returns
    cooldown_bars = 5
    max_drawdown = 0.30

    def init(self) -> None:
        """Prepare the averages."""
        close = self.data.Close
        self.fast_average = self.I(SMA, close, self.fast)
        self.slow_average = self.I(SMA, close, self.slow)
        self.returns = close.s.pct_change().rolling(20).std()
        self.bar = len(close) - len(self.data)
        self.last_exit_bar = -self.cooldown_bars
        self.peak = self.equity
        self.decided: dict[str, str] = {}  # order id → id of the decision that asked for it
        self.booked: set[tuple[int, str]] = set()
        self.made = {"enter": 0, "exit": 0}

    def next(self) -> None:
        """One bar: one cycle."""
        self.bar = len(self.data) - 1
        self.peak = max(self.peak, self.equity)
        with obs.trace(
            "bar", project="demo", intent="trade", domain="equities", symbol=SYMBOL, strategy=STRATEGY, at=self.time()
        ) as cycle:
            self.book_fills()
            with obs.stage("signal") as stage:
                above = bool(self.fast_average[-1] > self.slow_average[-1])
                was_above = bool(self.fast_average[-2] > self.slow_average[-2])
                stage.evidence(fast=self.fast_average[-1], slow=self.slow_average[-1], above=above)
            bars_left = len(GOOG) - 1 - self.bar
            if bars_left == 0:
                cycle.idle("closed")
            elif self.position and (not above or bars_left == 1):
                self.ask_to_exit("the averages crossed down" if not above else "the data end", binding=bars_left > 1)
            elif not self.position and above and not was_above and bars_left > 1:
                self.ask_to_enter()
            else:
                cycle.idle("no_signal")

    def ask_to_enter(self) -> None:
        """Decide on an entry."""
        gap = float(self.fast_average[-1] / self.slow_average[-1] - 1)
        with obs.decision(
            "enter long", why="the fast average crossed above the slow one", symbol=SYMBOL, side="buy",
            strategy=STRATEGY, alternatives=["stay flat"], inputs={"close": self.data.Close[-1], "gap": gap},
        ) as decision:  # fmt: skip
            self.evaluate(decision, mode="enforce")
            decision.gate("cooldown", observed=self.bar - self.last_exit_bar, at_least=self.cooldown_bars, unit="bars")
            decision.gate("risk_budget", observed=self.drawdown(), at_most=self.max_drawdown, unit="share of peak")
            if decision.allowed:
                self.submit("enter", decision)
                self.buy(size=0.95)

    def ask_to_exit(self, why: str, *, binding: bool) -> None:
        """Decide on an exit; at the end of the data the gates are asked, and do not bind."""
        with obs.decision(
            "exit long", why=why, symbol=SYMBOL, side="sell", strategy=STRATEGY, alternatives=["hold on"],
            inputs={"close": self.data.Close[-1], "profit": self.position.pl_pct},
        ) as decision:  # fmt: skip
            self.evaluate(decision, mode="enforce" if binding else "shadow")
            if decision.allowed:
                self.submit("exit", decision)
                self.last_exit_bar = self.bar
                self.position.close()

    def evaluate(self, decision: obs.Decision, *, mode: str) -> None:
        """Ask the gates that entries and exits share."""
        high, low, close = self.data.High[-1], self.data.Low[-1], self.data.Close[-1]
        decision.gate("spread", observed=(high - low) / close * 1e4, at_most=self.max_range_bps, unit="bps", mode=mode)
        decision.gate(
            "volatility", observed=self.returns.iloc[self.bar], at_most=self.max_volatility, unit="per day", mode=mode
        )

    def submit(self, kind: str, decision: obs.Decision) -> None:
        """Record that an order is handed to the library."""
        order_id = f"{kind}-{self.bar}"
        self.made[kind] += 1
        self.decided[order_id] = decision.id
        decision.executed(order_id=order_id)
        obs.order(
            id=order_id, status="submitted", type="market", side="buy" if kind == "enter" else "sell", symbol=SYMBOL,
            strategy=STRATEGY,
        )  # fmt: skip

    def book_fills(self) -> None:
        """Record the fills that the library made at this bar's open, for orders of the bar before."""
        for trade in (*self.closed_trades, *self.trades):
            self.book(trade, "enter", trade.entry_bar, trade.entry_time, trade.entry_price)
            if trade.exit_bar is not None:
                self.book(trade, "exit", trade.exit_bar, trade.exit_time, trade.exit_price)

    def book(self, trade: Any, kind: str, bar: int, time: datetime, price: float) -> None:
        """Record one fill, once."""
        if (bar, kind) in self.booked:
            return
        self.booked.add((bar, kind))
        order_id = f"{kind}-{bar - 1}"
        said = {
            "side": "buy" if kind == "enter" else "sell", "symbol": SYMBOL, "strategy": STRATEGY,
            "decision_id": self.decided.get(order_id), "trade_id": f"trade-{trade.entry_bar}", "at": _utc(time),
        }  # fmt: skip
        obs.order(id=order_id, status="filled", type="market", **said)
        obs.fill(id=f"fill-{order_id}", order_id=order_id, price=repr(float(price)), quantity=abs(trade.size), **said)

    def drawdown(self) -> float:
        """Share of the highest equity that is lost."""
        return float(1 - self.equity / self.peak)

    def time(self) -> datetime:
        """When this bar was."""
        return _utc(self.data.index[-1])


def _utc(time: Any) -> datetime:
    return time.tz_localize("UTC")


def run() -> None:
    """Run the backtest and print what the library itself reports of it."""
    obs.configure(service_name="moving-average", ids_seed="moving average on GOOG")
    backtest = Backtest(GOOG, MovingAverageCross, cash=100_000, commission=0.0)
    stats = backtest.run()
    report = obs.shutdown(within=60)
    strategy = stats["_strategy"]
    print(
        json.dumps(
            {
                "bars": len(GOOG),
                "trades": len(stats["_trades"]),
                "entries": strategy.made["enter"],
                "exits": strategy.made["exit"],
                "sent": report.delivered,
            }
        )
    )
    sys.exit(1 if report.undelivered else 0)


if __name__ == "__main__":
    run()
