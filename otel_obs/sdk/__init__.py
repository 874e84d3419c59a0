"""How records leave the process: OpenTelemetry's SDK set up, every record counted, an end within a bound."""

from __future__ import annotations

from otel_obs.sdk.ending import ShutdownReport
from otel_obs.sdk.setup import configure, delivery, each_round, flush, shutdown

__all__ = ["ShutdownReport", "configure", "delivery", "each_round", "flush", "shutdown"]
