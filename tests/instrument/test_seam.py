"""A faster recorder takes its place through contract/recording.py: what its tracer offers beyond the API is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import otel_obs as obs
from otel_obs.contract import semconv
from otel_obs.instrument.source import Source, using

if TYPE_CHECKING:
    import pytest


class Recorder:
    """A tracer that does more than OpenTelemetry's API asks for."""

    def __init__(self, tracer: Any) -> None:
        self._tracer = tracer
        self.leaves: list[tuple[str, dict[str, Any], int]] = []
        self.gates: list[tuple[str, str, str]] = []

    def start_span(self, *args: Any, **kwargs: Any) -> Any:
        return self._tracer.start_span(*args, **kwargs)

    def record_leaf(self, name: str, attributes: dict[str, Any], *, start_ns: int, context: object) -> None:
        assert context is not None
        self.leaves.append((name, attributes, start_ns))

    def count_gate(self, gate: str, verdict: str, mode: str) -> None:
        self.gates.append((gate, verdict, mode))


def test_what_a_recorder_offers_beyond_the_api_is_used_and_spans_stay_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    spans, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    recorder = Recorder(provider.get_tracer("under"))
    monkeypatch.setattr(Source, "tracer", lambda _source: recorder)
    before = using.take(Source())
    try:
        obs.decide("hold", symbol="BTCUSDT", at=1_700_000_000_000_000_000)
        with obs.decision("enter") as decision:
            decision.gate("spread_guard", observed=16.7, at_most=5.0)
            decision.gate("volatility", observed=0.0, at_least=0.001, mode="shadow")
    finally:
        monkeypatch.undo()
        using.take(before or Source())
        provider.shutdown()
    [(name, attributes, start)] = recorder.leaves
    assert (name, start) == (semconv.DECISION_SPAN, 1_700_000_000_000_000_000)
    assert attributes[semconv.DECISION_WHAT] == "hold"
    assert attributes[semconv.DECISION_OUTCOME] == "held"
    assert recorder.gates == [("spread_guard", "deny", "enforce"), ("volatility", "deny", "shadow")]
    assert [span.name for span in spans.get_finished_spans()] == [semconv.DECISION_SPAN]
