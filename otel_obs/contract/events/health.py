"""Health snapshots: how a bot stood at one moment, in the audit's words."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from otel_obs.contract import semconv
from otel_obs.contract.events.base import Event


class HealthSnapshot(Event):
    """How a bot stood. What does not apply, or was never seen, is absent."""

    snapshot_trigger: str = Field(serialization_alias=semconv.HEALTH_TRIGGER)
    uptime_sec: float = Field(serialization_alias=semconv.HEALTH_UPTIME)
    error_rate_15m: float = Field(serialization_alias=semconv.HEALTH_ERROR_RATE)
    order_reject_rate_1h: float | None = Field(default=None, serialization_alias=semconv.HEALTH_REJECT_RATE)
    executed_1h: int = Field(serialization_alias=semconv.HEALTH_EXECUTED)
    vetoed_1h: int = Field(serialization_alias=semconv.HEALTH_VETOED)
    held_1h: int = Field(serialization_alias=semconv.HEALTH_HELD)
    failed_1h: int = Field(serialization_alias=semconv.HEALTH_FAILED)
    vetoes_1h: dict[str, int] = Field(serialization_alias=semconv.HEALTH_VETOES)
    throttle_events_1h: int = Field(serialization_alias=semconv.HEALTH_THROTTLES)
    ws_staleness_ms: float | None = Field(default=None, serialization_alias=semconv.HEALTH_WS_STALENESS)
    funding_staleness_sec: float | None = Field(default=None, serialization_alias=semconv.HEALTH_FUNDING_STALENESS)
    last_market_update_ms: int | None = Field(default=None, serialization_alias=semconv.HEALTH_LAST_MARKET_UPDATE)
    market_data_gap_max_ms_1h: float | None = Field(default=None, serialization_alias=semconv.HEALTH_GAP)
    ws_reconnect_count_1h: int = Field(serialization_alias=semconv.HEALTH_RECONNECTS)
    heartbeat_age_sec: float | None = Field(default=None, serialization_alias=semconv.HEALTH_HEARTBEAT_AGE)
    event_loop_lag_max_ms_5m: float | None = Field(default=None, serialization_alias=semconv.HEALTH_LAG)
    sources: dict[str, dict[str, Any]] = Field(serialization_alias=semconv.HEALTH_SOURCES)
