"""Rows about traces: traces, trace, stages, slowest, compare, scorecard, principles."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003 - the types are read: by Arrow, by the reference
from decimal import Decimal  # noqa: TC003 - likewise

from otel_obs.reports.rows.base import OF_ALL, Row


@dataclass(frozen=True, kw_only=True)
class StageStatistics(Row):
    """One stage; ``share`` is its share of all stages' own time.

    ``own_ms`` leaves out the time in which a stage directly inside it ran: those that overlap count once, those that
    all begin with their parent (a replay's, in event time) one after the other.
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
    total: int = field(metadata=OF_ALL)


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
    overridden: bool
    ledger: list[tuple[str, str | None, str, str, str, str, str]]
