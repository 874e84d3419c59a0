"""Where the time goes behind the bot's thread: what one decision costs at each step from the queue to the receiver.

One thread does the steps one after the other on the same decisions, so that nothing waits for anything: ``say`` is the
bot's own part, payload included; ``make`` settles and describes, ``encode`` writes the bytes, ``frame`` and ``journal``
put them on disk, ``send`` reads them back and posts them.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sink
from opentelemetry.sdk.resources import Resource
from sides import our_says

import otel_obs as obs
from otel_obs import settings
from otel_obs.contract import semconv
from otel_obs.contract.tiers import Tier
from otel_obs.instrument.source import Source, using
from otel_obs.sdk.exporter.transport import connect
from otel_obs.sdk.frames import Frame, runs
from otel_obs.sdk.journal import Outbox
from otel_obs.sdk.ledger import Ledger
from otel_obs.sdk.otlp import encode_spans
from otel_obs.sdk.recorder.queue import Queue
from otel_obs.sdk.spans import TracerProvider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_TITLES = {"leaf": "decide()", "context": "with decision(), one gate"}
_DECISIONS, _FRAME, _ROUNDS = 2_000, 1_000, 9


def _nanoseconds(call: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter_ns()
    found = call()
    return (time.perf_counter_ns() - start) / _DECISIONS, found


def _made(items: list[Any]) -> list[Any]:
    records = []
    for number, _, _, make, payload in items:
        record = make(payload)
        record.attributes[semconv.OTEL_OBS_TIER] = Tier.STANDARD.value
        record.attributes[semconv.OTEL_OBS_SEQ] = number
        records.append(record)
    return records


def _framed(bodies: list[bytes], numbers: list[list[int]]) -> list[Frame]:
    return [
        Frame("traces", Tier.STANDARD, len(own), runs(own), time.time_ns(), body)
        for own, body in zip(numbers, bodies, strict=True)
    ]


def _steps(say: Callable[[int], object], port: int, scratch: Path) -> dict[str, float]:
    ledger = Ledger()
    queue = Queue(ledger, lambda _: None, most=1 << 20, most_bytes=1 << 40)
    provider = TracerProvider(resource=Resource.create({semconv.SERVICE_NAME: "bench"}), queue=queue)
    before = using.take(Source(tracer_provider=provider))
    costs: dict[str, float] = {}
    try:
        with obs.stage("bench"):
            costs["say"], _ = _nanoseconds(lambda: [say(number) for number in range(_DECISIONS)])
    finally:
        using.take(before or Source())
    costs["take"], items = _nanoseconds(lambda: queue.take(_DECISIONS))
    costs["make"], records = _nanoseconds(lambda: _made(items))
    parts = [records[first : first + _FRAME] for first in range(0, _DECISIONS, _FRAME)]
    costs["encode"], bodies = _nanoseconds(lambda: [encode_spans(part) for part in parts])
    numbers = [[item[0] for item in items[first : first + _FRAME]] for first in range(0, _DECISIONS, _FRAME)]
    costs["frame"], frames = _nanoseconds(lambda: _framed(bodies, numbers))
    outbox = Outbox(ledger, directory=scratch, most_bytes=1 << 30, most_memory=1 << 30)
    costs["journal"], _ = _nanoseconds(lambda: [outbox.put(frame) for frame in frames])
    transport = connect(settings.override(endpoint=f"http://127.0.0.1:{port}"))

    def post() -> None:
        entries = outbox.take(most_records=20_000, most_bytes=8 << 20, wait=0)
        transport.send("traces", b"".join([entry.body() or b"" for entry in entries]), timeout=60)
        outbox.done(entries)

    costs["send"], _ = _nanoseconds(post)
    outbox.close()
    transport.close()
    return costs


def measure() -> Iterator[dict[str, object]]:
    """Yield the figures."""
    with sink.running() as port:
        for kind, (say, _) in our_says().items():
            if kind not in _TITLES:
                continue
            rounds = []
            for _ in range(_ROUNDS):
                with tempfile.TemporaryDirectory() as scratch:
                    rounds.append(_steps(say, port, Path(scratch)))
            for step in rounds[0]:
                yield {
                    "figure": f"{_TITLES[kind]}: {step}", "unit": "µs",
                    "ours": statistics.median(one[step] for one in rounds) / 1e3,
                }  # fmt: skip
