"""What a call costs where nothing is recorded: ``enabled=False``, with all its arguments; net of the loop and of them.

Beside it the no-op tracer of OpenTelemetry's API, which is what an instrumented library calls where no SDK is set up.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

from opentelemetry.trace import NoOpTracer

import otel_obs as obs
from otel_obs import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_CALLS, _ROUNDS = 20_000, 15
_INPUTS = {"model": 0.31, "imbalance": 0.22}


def _leaf(inputs: dict[str, float]) -> None:
    for _ in range(_CALLS):
        obs.decide("enter long", why="momentum", confidence=0.62, symbol="BTCUSDT", inputs=inputs)


def _stage(_: dict[str, float]) -> None:
    for _ in range(_CALLS):
        obs.stage("features")


def _decision(inputs: dict[str, float]) -> None:
    for _ in range(_CALLS):
        obs.decision("enter long", why="momentum", confidence=0.62, symbol="BTCUSDT", inputs=inputs)


def _whole(inputs: dict[str, float]) -> None:
    for _ in range(_CALLS):
        with obs.decision("enter long", why="momentum", confidence=0.62, symbol="BTCUSDT", inputs=inputs) as decision:
            decision.gate("spread_guard", observed=1.5, at_most=5.0)


_tracer = NoOpTracer()


def _no_op(inputs: dict[str, float]) -> None:
    for _ in range(_CALLS):
        _tracer.start_span("decision", attributes=inputs).end()


def _nothing(_: dict[str, float]) -> None:
    for _ in range(_CALLS):
        pass


def _nanoseconds(loop: Callable[[dict[str, float]], None]) -> float:
    start = time.perf_counter_ns()
    loop(_INPUTS)
    return (time.perf_counter_ns() - start) / _CALLS


def measure() -> Iterator[dict[str, object]]:
    """Yield the figures."""
    settings.activate(settings.override(enabled=False))
    try:
        for title, loop in (
            ("decide()", _leaf), ("stage()", _stage), ("decision()", _decision), ("with decision() and a gate", _whole),
        ):  # fmt: skip
            rounds = [(_nanoseconds(loop), _nanoseconds(_no_op), _nanoseconds(_nothing)) for _ in range(_ROUNDS)]
            yield {
                "figure": f"disabled: {title}", "unit": "ns",
                "ours": statistics.median(ours - nothing for ours, _, nothing in rounds),
                "stock": statistics.median(stock - nothing for _, stock, nothing in rounds),
            }  # fmt: skip
    finally:
        settings.activate(settings.Settings())
