"""Rows about decisions and orders: decisions, decision, confidence, overridden, orders."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003 - the types are read: by Arrow, by the reference
from decimal import Decimal  # noqa: TC003 - likewise
from typing import TYPE_CHECKING, Any

from otel_obs.analytics.decisions import ledger
from otel_obs.reports.rows.base import OF_ALL, Row

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self


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
    total: int = field(metadata=OF_ALL)


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
    total: int = field(metadata=OF_ALL)


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
    total: int = field(metadata=OF_ALL)
    states: dict[str, int] = field(metadata=OF_ALL)


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
