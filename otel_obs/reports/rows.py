"""The typed rows that reports answer with: one class for each, its fields columns of the ``.sql`` that it asks."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from datetime import datetime  # noqa: TC003 - the types are read: by Arrow, by the reference
from decimal import Decimal  # noqa: TC003 - likewise
from typing import TYPE_CHECKING, Any, Final

from otel_obs.analytics.decisions import ledger
from otel_obs.analytics.ledgers import ledgers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row; times are aware and in UTC, amounts are ``Decimal``, None is unknown or does not apply."""

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        """Make one of what the store answered; columns that are no fields are left out."""
        return cls(**{column.name: found[column.name] for column in fields(cls)})


_OF_ALL: Final = {"of_all": True}


def columns(row: type) -> list[str]:
    """The columns that are told of each row; what is said of all rows at once is not among them."""
    return [column.name for column in fields(row) if not column.metadata.get("of_all")]


def told(row: Any) -> dict[str, Any]:
    """A row as a dict of its columns."""
    found = asdict(row)
    return {name: found[name] for name in columns(type(row))}


@dataclass(frozen=True, kw_only=True)
class Cycles:
    """The ledger of cycles: total = decided + idle + failed + unexplained."""

    total: int
    decided: int
    idle: dict[str, int]
    failed: int
    unexplained: int


@dataclass(frozen=True, kw_only=True)
class Why(Row):
    """Both ledgers of a window: decisions = executed + vetoed + held + failed."""

    state: str
    cycles: Cycles
    decisions: int
    executed: int
    vetoed: int
    held: int
    failed: int
    outside_cycles: int
    by_gate: dict[str, int]
    rejection_rate: float | None
    latest_record: datetime | None

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        """Make it of the one row of ``why.sql``."""
        told = ledgers(found)
        return cls(**{**told, "cycles": Cycles(**told["cycles"])}, latest_record=found["latest_record"])


@dataclass(frozen=True, kw_only=True)
class Summary(Row):
    """One service in a window, or all of them (``service`` is None)."""

    service: str | None
    first_record: datetime
    latest_record: datetime
    traces: int
    traces_failed: int
    decisions: int
    executed: int
    vetoed: int
    held: int
    failed: int
    rejection_rate: float | None
    orders: int
    fills: int
    scored: int
    average_score: float | None
    passed: int
    not_passed: int
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal


@dataclass(frozen=True, kw_only=True)
class Rejections(Row):
    """One gate's vetoes in one hour of the reader's zone."""

    hour: datetime
    gate: str
    vetoes: int
    share: float
    decisions: int
    vetoed: int
    rejection_rate: float


@dataclass(frozen=True, kw_only=True)
class GateStatistics(Row):
    """One gate in one mode."""

    gate: str
    mode: str
    evaluations: int
    passed: int
    denied: int
    errors: int
    unreadable: int
    pass_rate: float
    median_observed: float | None
    median_threshold: float | None
    lowest_threshold: float | None
    highest_threshold: float | None
    comparison: str
    unit: str
    near_misses: int
    near_denials: int


@dataclass(frozen=True, kw_only=True)
class NearMiss(Row):
    """One evaluation of a gate close to its limit, on either side; ``margin`` is positive inside it."""

    timestamp: datetime
    service: str
    symbol: str
    gate: str
    mode: str
    verdict: str | None
    observed: float
    threshold: float
    comparison: str
    unit: str
    margin: float
    margin_ratio: float
    outcome: str
    span_id: str
    trace_id: str
    total: int = field(metadata=_OF_ALL)
    denied: int = field(metadata=_OF_ALL)
    passed: int = field(metadata=_OF_ALL)


@dataclass(frozen=True, kw_only=True)
class CoDenial(Row):
    """Two gates that denied the same decisions; ``other`` is None for decisions that ``gate`` alone denied.

    ``vetoed`` of these ended vetoed, the others acted or failed. ``share`` is together / gate_denied, ``overlap``
    together / (gate_denied + other_denied - together).
    """

    gate: str
    other: str | None
    together: int
    vetoed: int
    gate_denied: int
    other_denied: int | None
    share: float
    overlap: float | None


@dataclass(frozen=True, kw_only=True)
class StageStatistics(Row):
    """One stage; ``share`` is its share of all stages' own time.

    ``own_ms`` leaves out the time in which a stage directly inside it ran: those that overlap count once, those that all
    begin with their parent (a replay's, in event time) one after the other.
    """

    stage: str
    runs: int
    failed: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    total_ms: float
    own_ms: float
    share: float | None
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal


@dataclass(frozen=True, kw_only=True)
class Slow(Row):
    """One trace, stage or decision and how long it took."""

    timestamp: datetime
    service: str
    symbol: str
    kind: str
    name: str
    duration_ms: float
    status: str
    longest_stage: str
    longest_stage_ms: float | None
    span_id: str
    trace_id: str


@dataclass(frozen=True, kw_only=True)
class ConfidenceBand(Row):
    """Decisions whose confidence is in [low, high), the last band with its end; low and high are None for unknown."""

    low: float | None
    high: float | None
    decisions: int
    executed: int
    vetoed: int
    held: int
    failed: int
    rejection_rate: float | None


@dataclass(frozen=True, kw_only=True)
class DecisionLine(Row):
    """One decision in a list."""

    timestamp: datetime
    service: str
    symbol: str
    side: str
    what: str
    why: str
    confidence: float | None
    outcome: str
    veto_reason_primary: str | None
    veto_overridden: bool
    span_id: str
    trace_id: str
    total: int = field(metadata=_OF_ALL)


@dataclass(frozen=True, kw_only=True)
class Overridden(Row):
    """One decision that acted though an enforced gate had denied."""

    timestamp: datetime
    service: str
    symbol: str
    side: str
    what: str
    why: str
    denied_by: str
    also_denied_by: list[str]
    guard_details: str
    order_id: str
    span_id: str
    trace_id: str
    total: int = field(metadata=_OF_ALL)


@dataclass(frozen=True, kw_only=True)
class Change(Row):
    """One measure that differs between two windows. Where their lengths differ, counts are per hour or per day.

    ``subject`` is ``all``, ``service``, ``symbol`` or ``gate``; a gate's name carries its mode. ``before`` and
    ``after`` are None where there was nothing to measure, or no length to divide by; ``before_text`` and ``after_text``
    tell limits, ``since`` when one that is new was first seen.
    """

    subject: str
    name: str
    measure: str
    before: float | None
    after: float | None
    difference: float | None
    before_text: str
    after_text: str
    change: str
    since: datetime | None


@dataclass(frozen=True, kw_only=True)
class OrderLine(Row):
    """One order and the decision that asked for it; ``order_id`` is empty where a decision's order was never seen.

    ``state`` is ``asked`` (nothing was seen of it), ``partly filled``, ``filled`` (by its fills, or as the venue says),
    or the latest status that was told. ``average_price`` is Σ price·quantity / Σ quantity over the fills,
    cut after 18 places.
    """

    timestamp: datetime
    service: str
    symbol: str
    side: str
    what: str
    order_id: str
    state: str
    latest_status: str
    ordered: Decimal | None
    filled: Decimal | None
    average_price: Decimal | None
    fees: dict[str, Decimal]
    fills: int
    submitted_at: datetime | None
    first_fill_at: datetime | None
    last_fill_at: datetime | None
    decision_id: str
    trade_id: str
    total: int = field(metadata=_OF_ALL)
    states: dict[str, int] = field(metadata=_OF_ALL)


@dataclass(frozen=True, kw_only=True)
class Difference(Row):
    """One thing that two traces say, differently or alike; numbers in ``a`` and ``b``, all else as text."""

    subject: str
    name: str
    a: float | Decimal | None
    b: float | Decimal | None
    delta: float | Decimal | None
    a_text: str
    b_text: str


@dataclass(frozen=True, kw_only=True)
class TraceLine(Row):
    """One trace in a list."""

    timestamp: datetime
    service: str
    name: str
    project: str
    intent: str
    domain: str
    symbol: str
    query: str
    status: str
    score: float | None
    score_max: float | None
    passed: bool | None
    gaps: list[str]
    idle_reason: str
    duration_ms: float
    span_id: str
    trace_id: str
    total: int = field(metadata=_OF_ALL)


@dataclass(frozen=True, kw_only=True)
class Principle(Row):
    """How often one principle fell short, among the traces that were judged by it."""

    principle: str
    runs: int
    failures: int
    failure_rate: float
    average_score: float | None
    last_failure: datetime | None


@dataclass(frozen=True, kw_only=True)
class Decision(Row):
    """One decision, whole."""

    timestamp: datetime
    service: str
    environment: str
    strategy: str
    symbol: str
    side: str
    what: str
    why: str
    confidence: float | None
    outcome: str
    outcome_raw: str | None
    veto_reason_primary: str | None
    veto_reason_secondary: list[str]
    veto_overridden: bool
    order_id: str
    error: str
    duration_ns: int
    defects: list[str]
    span_id: str
    parent_span_id: str
    trace_id: str
    alternatives: Any
    inputs: Any
    guard_details: Any
    gates: list[dict[str, Any]]
    orders: list[dict[str, Any]]
    fills: list[dict[str, Any]]

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        """Make it of a row of ``decision.sql``."""
        return cls(**ledger(found))


@dataclass(frozen=True, kw_only=True)
class Span(Row):
    """One span of a trace; ``outcome``, ``veto_reason_primary`` and ``gates_evaluated`` are those of a decision."""

    span_id: str
    parent_span_id: str
    name: str
    service: str
    timestamp: datetime
    duration_ns: int
    status: str
    error: str
    attributes: dict[str, str] = field(default_factory=dict)
    outcome: str = ""
    veto_reason_primary: str | None = None
    gates_evaluated: int = 0


@dataclass(frozen=True, kw_only=True)
class Said(Row):
    """One span of the traces that a scorecard or a comparison is about; which columns count depends on ``kind``."""

    kind: str
    trace_id: str
    span_id: str
    parent_span_id: str
    timestamp: datetime
    duration_ns: int
    service: str
    symbol: str
    status: str
    error: str
    name: str
    project: str
    intent: str
    domain: str
    query: str
    score: float | None
    score_max: float | None
    passed: bool | None
    principles: str
    gaps: list[str]
    idle_reason: str
    evidence: str
    output: str
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: Decimal | None
    why: str
    confidence: float | None
    veto: str
    overridden: bool
    ledger: list[tuple[str, str | None, str, str, str, str, str]]
