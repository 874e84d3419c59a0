"""Random orders and fills of random decisions, and what became of each order, worked out in plain Python."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

RANKS = ("submitted", "accepted", "partially_filled", "cancelled", "expired", "rejected", "filled")
FINAL = ("filled", "cancelled", "expired", "rejected")
QUANTITIES = ("1", "0.000000000000000001", "3.5", "12345678901234567890.123456789012345678", "0", "")
PRICES = ("0.1", "64000.123456789012345678", "-37.63", "999999999999999999", "1000000000000000000", "much", "")
FEES = ("0.001", "-0.25", "0.25", "99999999999999999999.9", "")
_SECOND = 1_000_000_000


@dataclass
class Told:
    """One record: a status of an order (``fill`` is None), or an execution."""

    number: int
    at: int
    service: str
    order: str
    status: str = ""
    fill: str | None = None
    price: str = ""
    quantity: str = ""
    fee: str = ""
    currency: str = ""
    side: str = ""
    symbol: str = ""
    decision: str = ""
    trade: str = ""

    def row(self, otlp: Any) -> tuple[Any, ...]:
        kind = "order" if self.fill is None else "fill"
        said = {
            "order.id": self.order,
            "order.status": self.status,
            "order.side": self.side,
            "instrument.symbol": self.symbol,
            "decision.id": self.decision,
            "trade.id": self.trade,
            f"{kind}.quantity": self.quantity,
            f"{kind}.price": self.price,
        }
        said |= {} if self.fill is None else {"fill.id": self.fill, "fill.fee": self.fee}
        said |= {"fill.fee_currency": self.currency}
        given = {name: text for name, text in said.items() if text}
        return otlp.log_row(given, number=self.number, name=kind, at=self.at, service=self.service)


def _amount(text: str) -> Decimal | None:
    return None if text in {"", "much"} else Decimal(text)


def told(nodes: Sequence[Any], seed: int) -> list[Told]:
    """Orders of some decisions and of nobody's, told in any order, at the same moment, twice, in part."""
    dice = random.Random(seed)
    numbers = itertools.count(seed * 1_000_000)
    found: list[Told] = []
    decisions = [node for node in nodes if node.kind == "decision"]
    for index, node in enumerate(dice.sample(decisions, min(400, len(decisions)))):
        named = node.said.get("order.id", "")
        order = dice.choice([named or f"x{index}", named or f"x{index}", f"x{index}", f"x{index // 2}", ""])
        links = dice.choice(
            [(node.id,), (node.id, "", ""), ("",), ("",), (node.id, dice.choice(decisions).id), ("f" * 16, "")]
        )
        service = dice.choice([node.service] * 6 + ["venue"])
        at = node.at + dice.choice([0, 1000, _SECOND, -_SECOND, 3600 * _SECOND, -7200 * _SECOND])
        for number in range(dice.randrange(4)):
            found.append(  # noqa: PERF401 - one dice for all
                Told(
                    number=next(numbers),
                    at=at + dice.choice([0, 0, number * 1000, 3600 * _SECOND]),
                    service=service,
                    order=order,
                    status=dice.choice([*RANKS, "submitted", "submitted", "pending_new", ""]),
                    quantity=dice.choice([*QUANTITIES, "1", "1"]),
                    side=dice.choice(["buy", ""]),
                    symbol=dice.choice([node.symbol, ""]),
                    decision=dice.choice(links),
                    trade=dice.choice(["t1", ""]),
                )
            )
        for number in range(dice.choice([0, 0, 1, 2, 5])):
            fill = Told(
                number=next(numbers),
                at=at + dice.choice([0, 3600 * _SECOND, _SECOND]) + number * 2000,
                service=service,
                order=order,
                fill=dice.choice([f"f{number}"] * 4 + [""]),
                price=dice.choice([*PRICES[:3]] * 4 + [*PRICES]),
                quantity=dice.choice(["1", "0.5", "0.000000000000000001", "-1", *QUANTITIES]),
                fee=dice.choice(FEES),
                currency=dice.choice(["USDT", "BNB", ""]),
                side=dice.choice(["sell", ""]),
                decision=dice.choice(links),
            )
            found.append(fill)
            if dice.random() < 0.3:  # told again in other words
                found.append(
                    Told(**{**vars(fill), "number": next(numbers), "at": fill.at + 500, "price": "7", "fee": "3"})
                )
    return found


def orders(facts: Iterable[Told], nodes: Iterable[Any], asked: Any) -> list[dict[str, Any]]:
    """What is answered for a question: one line for each order, and for each decision whose order was never seen."""
    acted = [node for node in nodes if node.kind == "decision" and node.outcome == "executed"]
    records = [fact for fact in facts if fact.order]
    by_order: dict[tuple[str, str], list[Told]] = defaultdict(list)
    for fact in records:
        by_order[fact.service, fact.order].append(fact)
    lines = [_line(service, order, told, acted) for (service, order), told in by_order.items()]
    mentioned = {fact.decision for fact in records}
    lines += [
        {**_NOTHING, **_of(node), "at": node.at, "order_id": node.said.get("order.id", "")}
        for node in acted
        if node.id not in mentioned and (node.service, node.said.get("order.id", "")) not in by_order
    ]
    chosen = [
        line
        for line in lines
        if asked.start <= line["at"] < asked.end
        and asked.service in {"", line["service"]}
        and asked.symbol in {"", line["symbol"]}
    ]
    return sorted(chosen, key=lambda line: (-line["at"], line["service"], line["order_id"], line["decision_id"]))


_NOTHING: dict[str, Any] = {
    "state": "asked", "latest_status": "", "ordered": None, "filled": None, "average_price": None, "fees": {},
    "fills": 0, "submitted_at": None, "first_fill_at": None, "last_fill_at": None, "trade_id": "",
}  # fmt: skip


def _of(node: Any) -> dict[str, Any]:
    side = node.said.get("order.side", "")
    return {"service": node.service, "symbol": node.symbol, "side": side, "what": "decision", "decision_id": node.id}


def _line(service: str, order: str, told: Sequence[Told], acted: Sequence[Any]) -> dict[str, Any]:
    statuses = [fact for fact in told if fact.fill is None]
    executions: dict[Any, Told] = {}
    for fact in sorted((fact for fact in told if fact.fill is not None), key=lambda fact: fact.at):
        executions.setdefault(fact.fill or fact.number, fact)
    fills = list(executions.values())
    events = [*statuses, *fills]

    def first(name: str) -> str:
        return min(((fact.at, getattr(fact, name)) for fact in events if getattr(fact, name)), default=(0, ""))[1]

    def progress(fact: Told) -> tuple[int, int]:
        return fact.at, RANKS.index(fact.status) if fact.status in RANKS else -1

    named = [node for node in acted if (node.service, node.said.get("order.id")) == (service, order)]
    decider = first("decision") or min(((node.at, node.id) for node in named), default=(0, ""))[1]
    decision = next((node for node in acted if node.id == decider), None)
    status = max(((*progress(fact), fact.status) for fact in statuses if fact.status), default=("",))[-1]
    quantities = [(*progress(fact), amount) for fact in statuses if (amount := _amount(fact.quantity)) is not None]
    ordered = max(quantities)[-1] if quantities else None
    amounts = [amount for fact in fills if (amount := _amount(fact.quantity)) is not None]
    filled = _sum(amounts) if amounts else None
    times = [fact.at for fact in fills]
    found = {
        "service": service, "symbol": "", "side": "", "what": "", "decision_id": decider,
        **(_of(decision) if decision else {}),
        "order_id": order, "latest_status": status, "ordered": ordered, "filled": filled, "trade_id": first("trade"),
        "at": decision.at if decision else min(fact.at for fact in events),
        "average_price": _average(fills, filled), "fees": _fees(fills), "fills": len(fills),
        "submitted_at": min((fact.at for fact in statuses if fact.status == "submitted"), default=None),
        "first_fill_at": min(times, default=None), "last_fill_at": max(times, default=None),
        "state": _state(status, ordered, filled, fills),
    }  # fmt: skip
    return {**found, "symbol": first("symbol") or found["symbol"], "side": first("side") or found["side"]}


def _state(status: str, ordered: Decimal | None, filled: Decimal | None, fills: Sequence[Told]) -> str:
    if status in FINAL:
        return status
    if filled is not None and ordered is not None and filled >= ordered:
        return "filled"
    if fills:
        return "partly filled" if status else "filled"
    return status or "asked"


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    with localcontext(prec=200):
        return sum(amounts, Decimal(0))


def _average(fills: Sequence[Told], filled: Decimal | None) -> Fraction | None:
    pairs = [(_amount(fact.price), _amount(fact.quantity)) for fact in fills]
    if not filled or any(value is None or abs(value) >= 10**18 for pair in pairs for value in pair):
        return None
    return sum(Fraction(price) * Fraction(quantity) for price, quantity in pairs) / Fraction(filled)  # type: ignore[arg-type]


def _fees(fills: Sequence[Told]) -> dict[str, Decimal]:
    paid: dict[str, list[Decimal]] = defaultdict(list)
    for fact in fills:
        if (fee := _amount(fact.fee)) is not None:
            paid[fact.currency].append(fee)
    return {currency: _sum(fees) for currency, fees in paid.items()}
