"""Rows about gates: gates, near-misses, co-denials."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime  # noqa: TC003 - the types are read: by Arrow, by the reference

from otel_obs.reports.rows.base import OF_ALL, Row


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
    total: int = field(metadata=OF_ALL)
    denied: int = field(metadata=OF_ALL)
    passed: int = field(metadata=OF_ALL)


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
