"""Rows about a whole window: why, summary, rejections, changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - the types are read: by Arrow, by the reference
from decimal import Decimal  # noqa: TC003 - likewise
from typing import TYPE_CHECKING, Any

from otel_obs.analytics.ledgers import ledgers
from otel_obs.reports.rows.base import Row

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self


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
