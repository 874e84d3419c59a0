"""What the journal costs whoever puts a frame into it, by how often it is forced to the disk; beside memory alone."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from otel_obs.contract import semconv
from otel_obs.contract.tiers import Tier
from otel_obs.sdk.frames import Frame
from otel_obs.sdk.journal import Outbox
from otel_obs.sdk.ledger import Ledger
from otel_obs.sdk.otlp import ResourceRecord, ScopeRecord, SpanRecord, encode_spans

if TYPE_CHECKING:
    from collections.abc import Iterator

_POLICIES = ("memory", "never", "second", "each")
_SECONDS = 4.0
_KEPT = 32 << 20  # bytes after which what waits is delivered
_SYNC_EVERY = 1.0


def _body(records: int) -> bytes:
    """Spans as a leaf decision makes them, about 400 bytes each."""
    scope = ScopeRecord(ResourceRecord({semconv.SERVICE_NAME: "bench"}), semconv.SCOPE)
    said = {
        semconv.DECISION_WHAT: "enter long",
        semconv.DECISION_WHY: "momentum and book imbalance agree",
        semconv.DECISION_INPUTS: '{"S_model":0.31,"obi_10":0.22,"number":12345}',
        semconv.DECISION_OUTCOME: "executed",
        semconv.INSTRUMENT_SYMBOL: "BTCUSDT",
        semconv.STRATEGY_NAME: "market maker",
    }
    return encode_spans([SpanRecord(scope, one, one, 0, "decision", one, one, said) for one in range(1, records + 1)])


def _put(policy: str, records: int, place: Path) -> tuple[float, list[float]]:
    """Records a second, and the µs of each put, flat out for some seconds; delivery is not counted."""
    ledger = Ledger()
    directory = None if policy == "memory" else place
    outbox = Outbox(
        ledger, directory=directory, most_bytes=256 << 20, most_memory=64 << 20,
        fsync="never" if directory is None else policy,
    )  # fmt: skip
    body, took, first = _body(records), [], 1
    at_once = max(1, _KEPT // len(body))
    synced = time.perf_counter()
    while sum(took) < _SECONDS * 1e6:
        for _ in range(min(at_once, 200)):
            frame = Frame("traces", Tier.DURABLE, records, ((first, first + records - 1),), time.time_ns(), body)
            first += records
            start = time.perf_counter_ns()
            outbox.put(frame)
            took.append((time.perf_counter_ns() - start) / 1e3)
        if policy == "second" and time.perf_counter() - synced > _SYNC_EVERY:
            start = time.perf_counter_ns()
            outbox.sync()
            took[-1] += (time.perf_counter_ns() - start) / 1e3  # flat out, whoever puts next waits for nobody else
            synced = time.perf_counter()
        while batch := outbox.take(most_records=1 << 20, most_bytes=1 << 30, wait=0):
            outbox.done(batch)
    outbox.close()
    return len(took) * records / (sum(took) / 1e6), took


def measure() -> Iterator[dict[str, object]]:
    """Yield the figures."""
    for records in (1, 100):
        for policy in _POLICIES:
            with tempfile.TemporaryDirectory(dir=Path.cwd()) as place:
                per_second, took = _put(policy, records, Path(place))
            percentiles = statistics.quantiles(took, n=100)
            what = f"frames of {records}, {policy}"
            yield {"figure": f"journal, {what}: records/s", "ours": per_second}
            yield {"figure": f"journal, {what}: put() p50, µs", "ours": percentiles[49]}
            yield {"figure": f"journal, {what}: put() p99, µs", "ours": percentiles[98]}
