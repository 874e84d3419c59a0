"""The thread that empties the queue: what it promises to whoever waits for it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from otel_obs.sdk.ledger import Ledger
from otel_obs.sdk.otlp import ResourceRecord, ScopeRecord, SpanRecord
from otel_obs.sdk.recorder.queue import Queue
from otel_obs.sdk.recorder.writer import Writer

if TYPE_CHECKING:
    from otel_obs.sdk.frames import Frame

STANDARD = 2  # the lane of spans of this tier
SCOPE = ScopeRecord(ResourceRecord())


def made(number: int) -> SpanRecord:
    return SpanRecord(SCOPE, number, number, 0, "decision", 1, 1, {})


def test_a_flush_waits_for_all_that_stands_in_the_queue_however_much_and_for_nothing_said_later() -> None:
    handed_on: list[int] = []

    def hand_on(frame: Frame) -> None:
        time.sleep(0.002)
        handed_on.append(frame.records)
        queue.put(STANDARD, 100, made, 1)  # a bot that never stops

    ledger = Ledger()
    writer = Writer(ledger, hand_on)
    queue = Queue(ledger, writer.write_one, most=100_000, most_bytes=1 << 30)
    for number in range(20_000):
        queue.put(STANDARD, 100, made, number)
    writer.start(queue)
    try:
        assert writer.flush(60)
        assert sum(handed_on) >= 20_000
    finally:
        queue.close()
        writer.end(60)
