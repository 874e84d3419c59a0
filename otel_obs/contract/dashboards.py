"""The fixed names by which alerts, links and Grafana's files find a dashboard, and dashboards their data."""

from __future__ import annotations

from enum import StrEnum


class Dashboard(StrEnum):
    """A dashboard's UID. It never changes: links that people kept lead there."""

    WHY = "otel-obs-why"
    GATES = "otel-obs-gates"
    DECISION = "otel-obs-decision"
    TRACE = "otel-obs-trace"
    STAGES = "otel-obs-stages"
    HEALTH = "otel-obs-health"
    PIPELINE = "otel-obs-pipeline"
    QUALITY = "otel-obs-quality"


class DataSource(StrEnum):
    """The UID of a data source in Grafana; dashboards name it."""

    STORE = "otel-obs-clickhouse"
    METRICS = "otel-obs-prometheus"
