"""The sides that are compared: each set up as its user would, and how each says the same decision of 14 values.

A bot has numbers and texts; each side has its own way to spread them. Who uses the stock SDK writes 14 attributes; we
are told the same as arguments, two of them maps. A ``…_payload`` builds what is handed over, and nothing else.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import otel_obs as obs
from otel_obs.contract import semconv

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from opentelemetry.trace import Tracer

    Say = Callable[[int], object]

_WHY = "momentum and book imbalance agree"
_NAP = 0.0005


class Side(NamedTuple):
    """``says`` are ways to say a decision: each takes a number, and stands with what builds its payload alone.

    ``leaf`` is one call; ``context`` a ``with`` that has a gate which passes; ``veto`` the same with one that denies.
    ``wait_for_room`` returns when one more can be said without loss; ``numbered`` is how many our ledger has.
    """

    says: dict[str, tuple[Say, Say]]
    stage: Callable[[], AbstractContextManager[object]]
    wait_for_room: Callable[[], object]
    flush: Callable[[], object]
    end: Callable[[], object]
    numbered: Callable[[], int | None]


def ours(port: int, **more: Any) -> Side:
    """Ours by ``obs.configure``; unless said otherwise with a journal, in a directory of its own."""
    home = tempfile.mkdtemp(prefix="otel_obs_bench_")
    atexit.register(shutil.rmtree, home, ignore_errors=True)  # runs after our own end, which is registered later
    more.setdefault("journal", home)
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{port}"
    obs.configure(service_name="bench", **more)
    return Side(our_says(), lambda: obs.stage("bench"), int, lambda: obs.flush(within=120), obs.shutdown, _numbered)


def our_says() -> dict[str, tuple[Say, Say]]:
    """Our ways to say it."""
    return {
        "leaf": (_our_leaf, _our_payload),
        "context": (_our_context, _our_payload),
        "veto": (_our_veto, _our_payload),
    }


def _numbered() -> int:
    return sum(tier.numbered for tier in obs.delivery().tiers.values())


def _our_payload(number: int) -> object:
    return (
        {"hold": 0.38},
        {"model": 0.31, "imbalance": 0.22, "spread": 1.5, "volatility": 0.02, "mid": 1.5 * number, "number": number},
    )


def _our_leaf(number: int) -> None:
    obs.decide(
        "enter long", why=_WHY, confidence=0.62, symbol="BTCUSDT", side="buy", strategy="market maker",
        alternatives={"hold": 0.38},
        inputs={
            "model": 0.31, "imbalance": 0.22, "spread": 1.5, "volatility": 0.02, "mid": 1.5 * number, "number": number,
        },
    )  # fmt: skip


def _our_context(number: int) -> None:
    with obs.decision(
        "enter long", why=_WHY, confidence=0.62, symbol="BTCUSDT", side="buy", strategy="market maker",
        alternatives={"hold": 0.38},
        inputs={
            "model": 0.31, "imbalance": 0.22, "spread": 1.5, "volatility": 0.02, "mid": 1.5 * number, "number": number,
        },
    ) as decision:  # fmt: skip
        decision.gate("spread_guard", observed=1.5, at_most=5.0, unit="bps")


def _our_veto(number: int) -> None:
    with obs.decision(
        "enter long", why=_WHY, confidence=0.62, symbol="BTCUSDT", side="buy", strategy="market maker",
        alternatives={"hold": 0.38},
        inputs={
            "model": 0.31, "imbalance": 0.22, "spread": 1.5, "volatility": 0.02, "mid": 1.5 * number, "number": number,
        },
    ) as decision:  # fmt: skip
        decision.gate("spread_guard", observed=16.7, at_most=5.0, unit="bps")


def stock(port: int, **queue: Any) -> Side:
    """OpenTelemetry's SDK as its documentation has it: batch processor, OTLP over HTTP; ``queue`` are its settings."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({semconv.SERVICE_NAME: "bench"}))
    processor: Any = BatchSpanProcessor(OTLPSpanExporter(f"http://127.0.0.1:{port}/v1/traces"), **queue)
    provider.add_span_processor(processor)
    trace.set_tracer_provider(provider)
    tracer = provider.get_tracer("bench")
    waiting, most = processor._batch_processor._queue, processor._batch_processor._max_queue_size  # noqa: SLF001

    def wait_for_room() -> None:
        while len(waiting) >= most - 1:
            time.sleep(_NAP)

    return Side(
        stock_says(tracer), lambda: tracer.start_as_current_span("bench"), wait_for_room,
        lambda: provider.force_flush(120_000), provider.shutdown, lambda: None,
    )  # fmt: skip


def stock_says(tracer: Tracer) -> dict[str, tuple[Say, Say]]:
    """The stock SDK's ways to say it."""

    def leaf(number: int) -> None:
        attributes = _attributes(number)
        attributes[semconv.DECISION_OUTCOME] = "held"
        tracer.start_span(semconv.DECISION_SPAN, attributes=attributes).end()

    def leaf_payload(number: int) -> None:
        _attributes(number)[semconv.DECISION_OUTCOME] = "held"

    def context(number: int) -> None:
        with tracer.start_as_current_span(semconv.DECISION_SPAN, attributes=_attributes(number)) as span:
            span.add_event(semconv.GATE_EVENT, _gate("pass", 1.5))
            span.set_attribute(semconv.DECISION_OUTCOME, "held")

    def veto(number: int) -> None:
        with tracer.start_as_current_span(semconv.DECISION_SPAN, attributes=_attributes(number)) as span:
            span.add_event(semconv.GATE_EVENT, _gate("deny", 16.7))
            span.set_attribute(semconv.DECISION_OUTCOME, "vetoed")

    def context_payload(number: int) -> None:
        _attributes(number)
        _gate("pass", 1.5)

    return {"leaf": (leaf, leaf_payload), "context": (context, context_payload), "veto": (veto, context_payload)}


def _attributes(number: int) -> dict[str, Any]:
    return {
        semconv.DECISION_WHAT: "enter long",
        semconv.DECISION_WHY: _WHY,
        semconv.DECISION_CONFIDENCE: 0.62,
        semconv.INSTRUMENT_SYMBOL: "BTCUSDT",
        semconv.ORDER_SIDE: "buy",
        semconv.STRATEGY_NAME: "market maker",
        "alternatives.hold": 0.38,
        "inputs.model": 0.31,
        "inputs.imbalance": 0.22,
        "inputs.spread": 1.5,
        "inputs.volatility": 0.02,
        "inputs.mid": 1.5 * number,
        "inputs.number": number,
    }


def _gate(verdict: str, observed: float) -> dict[str, Any]:
    return {
        semconv.GATE_NAME: "spread_guard",
        semconv.GATE_VERDICT: verdict,
        semconv.GATE_OBSERVED: observed,
        semconv.GATE_THRESHOLD: 5.0,
        semconv.GATE_COMPARISON: "at_most",
        semconv.GATE_UNIT: "bps",
    }


SIDES: dict[str, Callable[..., Side]] = {"ours": ours, "stock": stock}
