"""What one decision takes in memory while it waits: 10,000 of them in each side's queue, which nobody empties."""

from __future__ import annotations

import gc
import tracemalloc
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider as StockTracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from sides import our_says, stock_says

import otel_obs as obs
from otel_obs.contract import semconv
from otel_obs.instrument.source import Source, using
from otel_obs.sdk.ledger import Ledger
from otel_obs.sdk.recorder.queue import Queue
from otel_obs.sdk.spans import TracerProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DECISIONS = 10_000
_NEVER = 10**9  # ms


class _Nowhere(SpanExporter):
    def export(self, spans: object) -> SpanExportResult:
        del spans
        return SpanExportResult.SUCCESS


def _bytes(say: Callable[[int], object]) -> float:
    for number in range(100):
        say(number)
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(_DECISIONS):
        say(number)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / _DECISIONS


def _ours(kind: str) -> float:
    queue = Queue(Ledger(), lambda _: None, most=1 << 20, most_bytes=1 << 40)
    provider = TracerProvider(resource=Resource.create({semconv.SERVICE_NAME: "bench"}), queue=queue)
    before = using.take(Source(tracer_provider=provider))
    try:
        with obs.stage("bench"):
            return _bytes(our_says()[kind][0])
    finally:
        using.take(before or Source())


def _stock(kind: str) -> float:
    provider = StockTracerProvider(shutdown_on_exit=False)
    queue: Any = BatchSpanProcessor(
        _Nowhere(), max_queue_size=4 * _DECISIONS, max_export_batch_size=4 * _DECISIONS, schedule_delay_millis=_NEVER
    )
    provider.add_span_processor(queue)
    tracer = provider.get_tracer("bench")
    with tracer.start_as_current_span("bench"):
        found = _bytes(stock_says(tracer)[kind][0])
    provider.shutdown()
    return found


def measure() -> Iterator[dict[str, object]]:
    """Yield the figures."""
    for kind, title in (("leaf", "decide()"), ("context", "with decision(), one gate")):
        yield {"figure": f"{title}, in the queue", "unit": "bytes", "ours": _ours(kind), "stock": _stock(kind)}
