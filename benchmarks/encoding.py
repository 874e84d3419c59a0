"""One batch as OTLP bytes, ours beside the official encoder; and what it leaves to a bot beside it."""

from __future__ import annotations

import statistics
import threading
import time
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans as official
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_obs import settings
from otel_obs.contract import semconv
from otel_obs.sdk.otlp import GiveWay, encode_spans
from otel_obs.sdk.otlp.from_sdk import span_records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.sdk.trace import ReadableSpan

_BATCH, _ROUNDS = 512, 25
_TICK, _LISTENING = 0.005, 2.0


def _batch() -> list[ReadableSpan]:
    """Spans of 14 attributes, as the SDK keeps them."""
    kept = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({semconv.SERVICE_NAME: "bench"}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer(semconv.SCOPE)
    with tracer.start_as_current_span("cycle"):
        for number in range(_BATCH):
            attributes = {
                semconv.DECISION_WHAT: "enter long",
                semconv.DECISION_WHY: "momentum and book imbalance agree",
                semconv.DECISION_CONFIDENCE: 0.62,
                semconv.DECISION_ALTERNATIVES: '{"hold":0.38}',
                semconv.DECISION_INPUTS: f'{{"S_model":0.31,"obi_10":0.22,"number":{number}}}',
                semconv.DECISION_OUTCOME: "executed",
                semconv.INSTRUMENT_SYMBOL: "BTCUSDT",
                semconv.ORDER_SIDE: "buy",
                semconv.STRATEGY_NAME: "market maker",
                "bench.order": f"o-{number}",
                "bench.quantity": 1.5 * number,
                "bench.number": number,
                "bench.is_live": True,
                "bench.venue": "paper",
            }
            tracer.start_span(semconv.DECISION_SPAN, attributes=attributes).end()
    return list(kept.get_finished_spans()[:_BATCH])


def _nanoseconds(call: Callable[[], object]) -> float:
    start = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - start) / _BATCH


def _encoding(batch: list[ReadableSpan]) -> Iterator[dict[str, object]]:
    records = list(span_records(batch))
    rounds = [
        (
            _nanoseconds(lambda: encode_spans(records)),
            _nanoseconds(lambda: encode_spans(span_records(batch))),
            _nanoseconds(lambda: official(batch).SerializeToString()),
        )
        for _ in range(_ROUNDS)
    ]
    from_records, from_sdk, stock = (statistics.median(one) for one in zip(*rounds, strict=True))
    yield {"figure": "encode a span of 14 attributes, ns", "ours": from_records, "stock": stock}
    yield {"figure": "the same, taken from the SDK's spans, ns", "ours": from_sdk, "stock": stock}


def _lateness(work: Callable[[], object]) -> tuple[float, float]:
    """How late a tick of 5 ms wakes while a background thread works, in ms: the median, and the 90th percentile."""
    stop = threading.Event()

    def background() -> None:
        while not stop.is_set():
            work()

    thread = threading.Thread(target=background)
    thread.start()
    late = []
    end = time.perf_counter() + _LISTENING
    while (now := time.perf_counter()) < end:
        time.sleep(_TICK)
        late.append((time.perf_counter() - now - _TICK) * 1e3)
    stop.set()
    thread.join()
    deciles = statistics.quantiles(late, n=10)
    return deciles[4], deciles[8]


def _waking(batch: list[ReadableSpan]) -> Iterator[dict[str, object]]:
    pause = GiveWay()
    ours = _lateness(lambda: encode_spans(span_records(batch), pause=pause))
    without = _lateness(lambda: encode_spans(span_records(batch)))
    stock = _lateness(lambda: official(batch).SerializeToString())
    none = _lateness(lambda: time.sleep(_TICK))
    for index, name in enumerate(("p50", "p90")):
        yield {
            "figure": f"a 5 ms tick beside the encoder wakes late, {name}, ms",
            "ours": ours[index],
            "stock": stock[index],
        }
        yield {"figure": f"the same, were the interpreter not given back, {name}, ms", "ours": without[index]}
        yield {"figure": f"the same, beside nothing, {name}, ms", "ours": none[index]}


def _share(work: Callable[[], object]) -> float:
    """Spans per second that a background thread encodes while the bot's own computes without end."""
    stop, batches = threading.Event(), 0

    def background() -> None:
        nonlocal batches
        while not stop.is_set():
            work()
            batches += 1

    thread = threading.Thread(target=background)
    thread.start()
    end = time.perf_counter() + _LISTENING
    while time.perf_counter() < end:
        sum(range(1_000))
    stop.set()
    thread.join()
    return batches * _BATCH / _LISTENING


def _beside_a_busy_bot(batch: list[ReadableSpan]) -> Iterator[dict[str, object]]:
    pause = GiveWay()
    yield {
        "figure": "spans encoded beside a thread that computes on and on, 1/s",
        "ours": _share(lambda: encode_spans(span_records(batch), pause=pause)),
        "stock": _share(lambda: official(batch).SerializeToString()),
    }


def measure() -> Iterator[dict[str, object]]:
    """Yield the figures."""
    settings.activate(settings.Settings())
    batch = _batch()
    yield from _encoding(batch)
    yield from _waking(batch)
    yield from _beside_a_busy_bot(batch)
