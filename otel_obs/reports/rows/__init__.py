"""The typed rows that reports answer with: one class for each, its fields columns of the ``.sql`` that it asks."""

from __future__ import annotations

from otel_obs.reports.rows.base import Row, columns, told
from otel_obs.reports.rows.decisions import (
    ConfidenceBand,
    Decision,
    DecisionLine,
    OrderLine,
    Overridden,
)
from otel_obs.reports.rows.delivery import Delivery
from otel_obs.reports.rows.gates import (
    CoDenial,
    GateStatistics,
    NearMiss,
)
from otel_obs.reports.rows.health import Freshness
from otel_obs.reports.rows.traces import (
    Difference,
    Principle,
    Said,
    Slow,
    Span,
    StageStatistics,
    TraceLine,
)
from otel_obs.reports.rows.windows import (
    Change,
    Cycles,
    Rejections,
    Summary,
    Why,
)

__all__ = [
    "Change",
    "CoDenial",
    "ConfidenceBand",
    "Cycles",
    "Decision",
    "DecisionLine",
    "Delivery",
    "Difference",
    "Freshness",
    "GateStatistics",
    "NearMiss",
    "OrderLine",
    "Overridden",
    "Principle",
    "Rejections",
    "Row",
    "Said",
    "Slow",
    "Span",
    "StageStatistics",
    "Summary",
    "TraceLine",
    "Why",
    "columns",
    "told",
]
