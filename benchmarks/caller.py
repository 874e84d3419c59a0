"""What one decision costs on the bot's own thread: ours beside the stock SDK used by hand, in alternation."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider as StockTracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

import otel_obs as obs
from otel_obs import settings
from otel_obs.contract import semconv
from otel_obs.instrument.source import Source, using
from otel_obs.sdk.spans import TracerProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ROUNDS, _CALLS = 9, 300


class _Nowhere(SpanExporter):
    def export(self, spans: object) -> SpanExportResult:
        del spans
        return SpanExportResult.SUCCESS


def _ours() -> None:
    with obs.decision(
        "enter long", why="momentum and book imbalance agree", confidence=0.62, alternatives={"hold": 0.38},
        inputs={"S_model": 0.31, "obi_10": 0.22}, symbol="BTCUSDT", side="buy",
    ) as decision:  # fmt: skip
        decision.gate("spread_guard", observed=16.7, at_most=5.0, unit="bps")


def _stock() -> None:
    span = using.tracer.start_span(
        semconv.DECISION_SPAN,
        attributes={
            semconv.DECISION_WHAT: "enter long",
            semconv.DECISION_WHY: "momentum and book imbalance agree",
            semconv.DECISION_CONFIDENCE: 0.62,
            semconv.DECISION_ALTERNATIVES: '{"hold":0.38}',
            semconv.DECISION_INPUTS: '{"S_model":0.31,"obi_10":0.22}',
            semconv.INSTRUMENT_SYMBOL: "BTCUSDT",
            semconv.ORDER_SIDE: "buy",
        },
    )
    span.add_event(
        semconv.GATE_EVENT,
        {
            semconv.GATE_NAME: "spread_guard",
            semconv.GATE_VERDICT: "deny",
            semconv.GATE_OBSERVED: 16.7,
            semconv.GATE_THRESHOLD: 5.0,
            semconv.GATE_UNIT: "bps",
        },
    )
    span.set_attribute(semconv.DECISION_OUTCOME, "vetoed")
    span.end()


def _leaf() -> None:
    obs.decide("hold", why="no signal", confidence=0.9, symbol="BTCUSDT")


def _stock_leaf() -> None:
    using.tracer.start_span(
        semconv.DECISION_SPAN,
        attributes={
            semconv.DECISION_WHAT: "hold",
            semconv.DECISION_WHY: "no signal",
            semconv.DECISION_CONFIDENCE: 0.9,
            semconv.INSTRUMENT_SYMBOL: "BTCUSDT",
            semconv.DECISION_OUTCOME: "held",
        },
    ).end()


def _nanoseconds(call: Callable[[], None]) -> float:
    start = time.perf_counter_ns()
    for _ in range(_CALLS):
        call()
    return (time.perf_counter_ns() - start) / _CALLS


def _measured(source: Source, call: Callable[[], None]) -> float:
    using.take(source)
    return _nanoseconds(call)


def _pair(
    name: str, ours: tuple[Source, Callable[[], None]], stock: tuple[Source, Callable[[], None]]
) -> dict[str, object]:
    pairs = [(_measured(*ours), _measured(*stock)) for _ in range(_ROUNDS)]
    return {
        "figure": f"{name}, µs",
        "ours": statistics.median(pair[0] for pair in pairs) / 1e3,
        "stock": statistics.median(pair[1] for pair in pairs) / 1e3,
    }


def measure() -> Iterator[dict[str, object]]:
    """Yield the figures."""
    providers = (TracerProvider(resource=Resource.create({})), StockTracerProvider(shutdown_on_exit=False))
    for provider in providers:
        provider.add_span_processor(BatchSpanProcessor(_Nowhere(), max_queue_size=1 << 20, schedule_delay_millis=100))
    ours, stock = (Source(tracer_provider=provider) for provider in providers)
    before = using.take(ours)
    try:
        yield _pair("a decision with one gate, on the caller's thread", (ours, _ours), (stock, _stock))
        yield _pair("a leaf decision, on the caller's thread", (ours, _leaf), (stock, _stock_leaf))
        yield _pair("a span by OpenTelemetry's API, with one event", (ours, _stock), (stock, _stock))
        settings.activate(settings.override(enabled=False))
        disabled = [_nanoseconds(_leaf) for _ in range(_ROUNDS)]
        yield {"figure": "a leaf decision, disabled, ns", "ours": statistics.median(disabled)}
        stage = [_nanoseconds(lambda: obs.stage("features")) for _ in range(_ROUNDS)]
        yield {"figure": "opening a stage, disabled, ns", "ours": statistics.median(stage)}
    finally:
        settings.activate(settings.Settings())
        using.take(before or Source())
        for provider in providers:
            provider.shutdown()
