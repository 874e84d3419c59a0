"""Random histories and questions about them: spans of any shape, and windows whose edges are their times."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SECOND = 1_000_000_000
START = 1_762_048_800 * SECOND  # 2025-11-02T02:00Z; in New York an hour comes twice at 06:00Z
SPAN = 10 * 3600 * SECOND
SERVICES = ("meta", "stacker", "o'neil \\ sons")
SYMBOLS = ("", "BTCUSDT", "ETHUSDT")
STAGES = ("gather", "weigh", "write")
GATES = {  # name → comparison, limit(s), unit
    "spread": ("at_most", (5.0,), "bps"),
    "volatility": ("at_least", (0.001,), ""),
    "hours": ("between", (9.0, 17.0), "h"),
    "regime": ("none", (), ""),
    "zero": ("at_most", (0.0,), "USD"),
}
UNREADABLE = ("", "many", "-", "1e", "nan")
COSTS = (
    "0.000000000000000001",
    "0.1",
    "0.2",
    "12345678901234567890.123456789012345678",
    "99999999999999999999",
    "7e-3",
)


@dataclass
class Gate:
    """One evaluation, and what follows from it."""

    name: str
    verdict: str
    mode: str
    observed: Any

    def event(self) -> tuple[str, dict[str, str]]:
        comparison, limits, unit = GATES[self.name]
        threshold = json.dumps(limits) if len(limits) == 2 else "".join(map(repr, limits))
        given = {
            "name": self.name,
            "verdict": self.verdict,
            "mode": self.mode,
            "observed": str(self.observed),
            "threshold": threshold,
            "comparison": comparison,
            "unit": unit,
        }
        return "gate.evaluated", {f"gate.{key}": text for key, text in given.items()}

    @property
    def number(self) -> float | None:
        try:
            value = float(self.observed)
        except ValueError:
            return None
        return value if math.isfinite(value) else None

    @property
    def limit(self) -> float | None:
        """The limit that counts: of two the nearer."""
        comparison, limits, _ = GATES[self.name]
        if comparison != "between":
            return limits[0] if limits else None
        if self.number is None:
            return None
        return limits[0] if self.number - limits[0] <= limits[1] - self.number else limits[1]

    @property
    def margin(self) -> float | None:
        """The distance to the limit, positive inside of it."""
        comparison, limits, _ = GATES[self.name]
        if self.number is None or comparison == "none":
            return None
        return {
            "at_most": lambda value: limits[0] - value,
            "at_least": lambda value: value - limits[0],
            "between": lambda value: min(value - limits[0], limits[1] - value),
        }[comparison](self.number)

    @property
    def ratio(self) -> float | None:
        return None if self.margin is None or not self.limit else self.margin / abs(self.limit)

    @property
    def is_veto(self) -> bool:
        return (self.verdict, self.mode) == ("deny", "enforce")


@dataclass
class Node:
    """One span: a cycle, another trace, a stage, a decision, or a stranger's. ``said`` is what it says of itself."""

    kind: str
    number: int
    trace: int
    parent: int | None
    at: int
    service: str
    symbol: str
    intent: str = ""
    idle: str = ""
    failed: bool = False
    claimed: str = ""
    gates: list[Gate] = field(default_factory=list)
    took: int = 1_000
    said: dict[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.number:016x}"

    @property
    def trace_id(self) -> str:
        return f"{self.trace:032x}"

    @property
    def name(self) -> str:
        return self.said.get(f"{_PREFIX[self.kind]}.name", self.kind)

    @property
    def status(self) -> str:
        return self.outcome if self.kind == "decision" else "failed" if self.failed else "complete"

    @property
    def vetoes(self) -> list[str]:
        return [gate.name for gate in self.gates if gate.is_veto]

    @property
    def outcome(self) -> str:
        """The rules of an outcome, for the plain words that are used here."""
        if self.claimed == "executed":
            return "executed"
        if self.failed or self.claimed == "failed":
            return "failed"
        return "vetoed" if self.vetoes or self.claimed == "vetoed" else "held"

    @property
    def blamed(self) -> str:
        return self.vetoes[0] if self.vetoes else "unnamed"

    def number_of(self, name: str) -> float | None:
        """What it says there, as a finite number."""
        try:
            value = float(self.said.get(name, ""))
        except ValueError:
            return None
        return value if math.isfinite(value) else None

    def whole_of(self, name: str) -> int:
        text = self.said.get(name, "")
        return int(text) if text.isdigit() else 0

    @property
    def cost(self) -> Decimal | None:
        text = self.said.get("stage.cost_usd", "")
        return None if text in UNREADABLE else Decimal(text)

    @property
    def confidence(self) -> float | None:
        value = self.number_of("decision.confidence")
        return value if value is not None and 0 <= value <= 1 else None

    @property
    def passed(self) -> bool | None:
        return {"true": True, "false": False}.get(self.said.get("trace.passed", ""))

    @property
    def gaps(self) -> list[str]:
        text = self.said.get("trace.gaps", "")
        return json.loads(text) if text.startswith("[") else []

    @property
    def principles(self) -> dict[str, Any]:
        text = self.said.get("trace.principles", "")
        return json.loads(text) if text.startswith("{") else {}

    def attributes(self) -> dict[str, str]:
        own = {"cycle": "trace.name", "stage": "stage.name", "decision": "decision.what"}
        found = {own[self.kind]: self.kind} if self.kind in own else {}
        found |= {"instrument.symbol": self.symbol} if self.symbol else {}
        found |= {"trace.intent": self.intent} if self.intent else {}
        found |= {"trace.idle_reason": self.idle} if self.idle else {}
        return found | ({"decision.outcome": self.claimed} if self.claimed else {}) | self.said


_PREFIX = {"cycle": "trace", "stage": "stage", "decision": "decision", "stranger": "span"}


def _gates(dice: random.Random) -> list[Gate]:
    names = dice.sample(sorted(GATES), dice.randrange(4))
    names += dice.sample(names, 1) if names and dice.random() < 0.2 else []  # asked once more
    found = []
    for name in names:
        limits = GATES[name][1] or (1.0,)
        near = dice.choice(limits) * dice.choice([0.5, 0.899, 0.9, 0.95, 1, 1.05, 1.1, 1.101, 3])
        observed: Any = dice.choice([near, near, near, dice.uniform(-20, 20), "calm", "nan"])
        found.append(
            Gate(
                name,
                dice.choice(["pass", "deny", "deny", "adjust", "error", "?"]),
                dice.choice(["enforce", "enforce", "shadow"]),
                observed,
            )
        )
    return found


def _said(node: Node, dice: random.Random) -> dict[str, str]:
    """What a span says beside its kind; some of it cannot be read."""
    if node.kind == "stage":
        said = {
            "stage.name": dice.choice(STAGES),
            "gen_ai.usage.input_tokens": dice.choice(["0", "17", "18446744073709551615", *UNREADABLE]),
            "gen_ai.usage.output_tokens": dice.choice(["5", "1200", *UNREADABLE]),
            "stage.cost_usd": dice.choice([*COSTS, *COSTS, *UNREADABLE]),
        }
    elif node.kind == "decision":
        tenth = dice.randrange(11) / 10
        sure = dice.choice([tenth, tenth, math.nextafter(tenth, 2), math.nextafter(tenth, -1), dice.random()])
        said = {
            "decision.why": f"signal {node.number}",
            "order.side": dice.choice(["buy", "sell"]),
            "decision.confidence": dice.choice([repr(sure)] * 7 + ["-0.1", "1.1", "nan", "inf", "very"]),
        }
        if dice.random() < 0.2:
            del said["decision.confidence"]
        said["order.id"] = dice.choice(["", f"o{node.number}", *[f"o{node.number // 4}"] * 3])
    elif node.kind == "cycle":
        marks: dict[str, Any] = {
            "clarity": dice.choice([1, 2.5, 4, "high", "3", None, True]),
            "depth": dice.randrange(5),
        }
        marks |= {"rigour": dice.uniform(0, 5)} if dice.random() < 0.5 else {}
        gaps = dice.choices(["clarity", "depth", "unheard of"], k=dice.randrange(4))
        said = {
            "trace.name": dice.choice(["tick", "study"]),
            "trace.project": dice.choice(["atlas", "beta", ""]),
            "trace.domain": dice.choice(["crypto", "edtech", ""]),
            "trace.query": f"what of {node.number}?",
            "trace.score": dice.choice(["0", "2.5", "4", repr(dice.uniform(0, 5)), *UNREADABLE]),
            "trace.score_max": "5",
            "trace.passed": dice.choice(["true", "false", "false", "", "perhaps"]),
            "trace.principles": dice.choice([json.dumps(marks)] * 4 + ["", "[1]", "clarity"]),
            "trace.gaps": dice.choice([json.dumps(gaps)] * 4 + ["", "depth", '{"depth": 1}']),
        }
    else:
        said = {}
    return {name: text for name, text in said.items() if text}


def spans(seed: int) -> list[Node]:
    """OpenTelemetry traces of any shape: a tree of spans of all kinds, whose parents may not have arrived."""
    dice, words = random.Random(seed), random.Random(seed + 1)
    numbers = itertools.count(seed * 1_000_000 + 1)
    nodes: list[Node] = []
    sizes = [*(dice.choice([1, 2, 2, 3, 5, 12]) for _ in range(160)), 1200]  # the last one is a whole session
    for trace, size in enumerate(sizes, start=seed * 100_000 + 1):
        at = START + dice.randrange(SPAN)
        at -= at % 1000 if trace % 2 else 0  # what a window's edge can hit
        service = dice.choice(SERVICES)
        own: list[Node] = []
        for index in range(size):
            kind = (
                dice.choice(["cycle", "decision", "decision", "stage", "stage", "stranger"])
                if index
                else dice.choice(["cycle", "cycle", "cycle", "decision", "stranger"])
            )
            node = Node(
                kind=kind,
                number=next(numbers),
                trace=trace,
                parent=dice.choice(own).number if own else dice.choice([None, None, None, 999_999_999]),
                at=at + index % 20 * dice.choice([0, 1, SECOND, 1800 * SECOND]),
                service=service if dice.random() < 0.9 else dice.choice(SERVICES),
                symbol=dice.choice(SYMBOLS),
            )
            if index and dice.random() < 0.08:
                node.parent = 999_999_000 + index  # a span that never arrived
            if kind == "cycle":
                node.intent = dice.choice(["trade", "trade", "trade", "research", ""])
                node.idle = dice.choice(["", "", "no_data", "stale", "closed"])
            if kind == "decision":
                node.claimed = dice.choice(["", "", "", "executed", "executed", "held", "failed", "vetoed"])
                node.gates = _gates(dice)
            node.failed = dice.random() < 0.12
            node.took = words.choice([0, 1, 1_000, SECOND, words.randrange(60 * SECOND), words.randrange(SPAN)])
            node.said = _said(node, words)
            own.append(node)
        nodes += own
    return nodes


def span_rows(nodes: Iterable[Node], otlp: Any) -> list[tuple[Any, ...]]:
    """Rows of otel_traces."""
    return [
        otlp.span_row(
            node.attributes(),
            [gate.event() for gate in node.gates],
            number=node.number,
            trace=node.trace,
            parent=node.parent,
            at=node.at,
            took=node.took,
            status="Error" if node.failed else "Unset",
            service=node.service,
        )
        for node in nodes
    ]


# ---- the windows that are asked about


def _iso(at: int) -> str:
    return datetime.fromtimestamp(at // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{at % SECOND // 1000:06}Z"


def _whole(at: int) -> int:
    return at // 1000 * 1000  # what can be asked for: microseconds


@dataclass
class Question:
    """A window and filters, as parameters and as a predicate."""

    start: int
    end: int
    service: str = ""
    symbol: str = ""
    tz: str = "UTC"

    @property
    def given(self) -> dict[str, str]:
        return {
            "from": _iso(self.start),
            "to": _iso(self.end),
            "service": self.service,
            "symbol": self.symbol,
            "tz": self.tz,
        }

    def covers(self, told: Any) -> bool:
        """Whether something of that time, service and symbol is asked about."""
        return (
            self.start <= told.at < self.end and self.service in {"", told.service} and self.symbol in {"", told.symbol}
        )

    def holds(self, node: Node) -> bool:
        """As ``covers``, but a cycle without a symbol may be about any."""
        return self.covers(node) or (node.kind == "cycle" and not node.symbol and self._without_symbol.covers(node))

    @property
    def _without_symbol(self) -> Question:
        return Question(self.start, self.end, self.service)


def questions(told: Sequence[Any], count: int = 9) -> Iterable[Question]:
    """All of it, nothing of it, and windows whose edges are the very times of what is told."""
    dice = random.Random(5)
    yield Question(START, START + 3 * SPAN)
    yield Question(START - SPAN, START)
    for _ in range(count):
        edges = sorted(_whole(dice.choice(told).at + dice.choice([0, 0, 1000, -1000])) for _ in range(2))
        yield Question(
            *edges,
            service=dice.choice(["", "", *SERVICES, "unknown"]),
            symbol=dice.choice(["", "", "BTCUSDT", "DOGE"]),
            tz=dice.choice(["UTC", "Asia/Kolkata", "Asia/Kathmandu", "America/New_York", "Australia/Lord_Howe"]),
        )


def nanoseconds(at: datetime) -> int:
    """An answer's time since the epoch; answers are told as finely as Python's times are, in whole microseconds."""
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * SECOND + since.microseconds * 1_000


def by_trace(nodes: Iterable[Node]) -> dict[int, list[Node]]:
    found: dict[int, list[Node]] = defaultdict(list)
    for node in nodes:
        found[node.trace].append(node)
    return found
