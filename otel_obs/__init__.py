"""Why did my bot do that, or nothing? Say decisions, stages and facts over OpenTelemetry; ask afterwards.

import otel_obs as obs

obs.configure(service_name="my-bot")
with obs.trace("cycle", intent="trade"):
    with obs.decision("enter long", why="momentum", confidence=0.62, symbol="BTCUSDT") as d:
        d.gate("spread_guard", observed=16.7, at_most=5.0, unit="bps")
        if d.allowed:
            d.executed(order_id=place_order())
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_obs import health
from otel_obs.contract.gates import Gate, Mode, Verdict
from otel_obs.contract.outcome import Outcome
from otel_obs.instrument.api import (
    current_decision,
    current_stage,
    current_trace,
    decide,
    decision,
    stage,
    trace,
)
from otel_obs.instrument.context import carry
from otel_obs.instrument.decision import Decision
from otel_obs.instrument.facts import emit, fill, order
from otel_obs.instrument.gate import gate
from otel_obs.instrument.harmless import problems
from otel_obs.instrument.record import Stage, Trace

if TYPE_CHECKING:
    from otel_obs.sdk import ShutdownReport
    from otel_obs.sdk.monitor import Delivery
    from otel_obs.settings import Settings

__all__ = [
    "Decision",
    "Gate",
    "Mode",
    "Outcome",
    "Stage",
    "Trace",
    "Verdict",
    "carry",
    "configure",
    "current_decision",
    "current_stage",
    "current_trace",
    "decide",
    "decision",
    "delivery",
    "emit",
    "fill",
    "flush",
    "gate",
    "health",
    "order",
    "problems",
    "shutdown",
    "stage",
    "trace",
]


def configure(
    *,
    service_name: str | None = None,
    endpoint: str | None = None,
    enabled: bool | None = None,
    strict: bool | None = None,
    ids_seed: str | None = None,
    **more: Any,
) -> Settings:
    """Set up OpenTelemetry for this process and start to record; all of it can come from the environment instead.

    Args:
        service_name: the bot's name (OTEL_SERVICE_NAME).
        endpoint: where OTLP over HTTP goes (OTEL_EXPORTER_OTLP_ENDPOINT).
        enabled: False records nothing (OTEL_OBS_DISABLED, OTEL_SDK_DISABLED).
        strict: raise on a record that breaks the contract; for tests (OTEL_OBS_STRICT).
        ids_seed: the same ids at each run of a replay or backtest (OTEL_OBS_IDS_SEED).
        more: any other row of ``otel_obs.settings.SETTINGS``.

    Returns:
        The settings in force.

    """
    from otel_obs import sdk
    from otel_obs.health.process import process
    from otel_obs.instrument.source import Source, using

    sdk.each_round(process.drain_aside)
    resolved = sdk.configure(
        service_name=service_name, endpoint=endpoint, enabled=enabled, strict=strict, ids_seed=ids_seed, **more
    )
    using.take(Source())  # what the SDK set up may offer more than OpenTelemetry's API
    if sdk.delivery() is not None:
        from otel_obs.sdk.otlp.turns import GiveWay

        process.be_drained(GiveWay())
    health.start(resolved, delivery=sdk.delivery)
    return resolved


def delivery() -> Delivery | None:
    """Where every record of this process is: produced, delivered, waiting, dropped and why; None before configure().

    ``print(obs.delivery())`` shows one screen.
    """
    from otel_obs import sdk

    return sdk.delivery()


def flush(*, within: float | None = None) -> bool:
    """Send what is waiting; whether everything said so far was acknowledged within ``within`` seconds."""
    from otel_obs import sdk

    return sdk.flush(within=within)


def shutdown(*, within: float | None = None) -> ShutdownReport:
    """Send what is waiting, end the exporters, and tell what could not be delivered. Runs at exit by itself."""
    from otel_obs import sdk

    health.stop()
    return sdk.shutdown(within=within)
