"""A program that knows OpenTelemetry alone: its stock SDK, and the names that our attributes have on the wire.

Usage: foreign.py ours|stock. Either way it decides the same three times; only who says it differs.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta

BARS = [datetime(2025, 12, 19, 14, 0, tzinfo=UTC) + timedelta(minutes=minutes) for minutes in range(3)]
SPREADS = (3.0, 16.7, 4.9)


def ours() -> None:
    """As somebody says it who has our package."""
    import otel_obs as obs

    obs.configure(service_name="ours")
    for bar, spread in zip(BARS, SPREADS, strict=True):
        with (
            obs.trace("cycle", intent="trade", symbol="BTCUSDT", at=bar),
            obs.decision(
                "enter long", why="momentum", confidence=0.7, symbol="BTCUSDT", side="buy", inputs={"rsi": 71.5}, at=bar
            ) as decision,
        ):
            decision.gate("spread_guard", observed=spread, at_most=5.0, unit="bps")
            if decision.allowed:
                decision.executed()
    obs.shutdown()


def stock() -> None:
    """As somebody says it who has OpenTelemetry's SDK."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": "stock"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    tracer = provider.get_tracer("a program of somebody else's")
    for bar, spread in zip(BARS, SPREADS, strict=True):
        at = int(bar.timestamp()) * 10**9
        cycle = {"trace.name": "cycle", "trace.intent": "trade", "instrument.symbol": "BTCUSDT"}
        with tracer.start_as_current_span("cycle", attributes=cycle, start_time=at, end_on_exit=False) as around:
            decision = tracer.start_span("decision", start_time=at)
            decision.set_attributes(
                {
                    "decision.what": "enter long", "decision.why": "momentum", "decision.confidence": 0.7,
                    "instrument.symbol": "BTCUSDT", "order.side": "buy", "decision.inputs": json.dumps({"rsi": 71.5}),
                }
            )  # fmt: skip
            verdict = "pass" if spread <= 5 else "deny"
            decision.add_event(
                "gate.evaluated",
                {
                    "gate.name": "spread_guard", "gate.verdict": verdict, "gate.observed": spread,
                    "gate.threshold": 5.0, "gate.comparison": "at_most", "gate.unit": "bps",
                },
                timestamp=at,
            )  # fmt: skip
            if verdict == "pass":
                decision.set_attribute("decision.outcome", "executed")
            decision.end(at + 1_000_000)
            around.end(at + 2_000_000)
    provider.shutdown()


if __name__ == "__main__":
    {"ours": ours, "stock": stock}[sys.argv[1]]()
