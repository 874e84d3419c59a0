"""How the bot's records leave, as numbers: read from the recorder when somebody asks, and never waited for."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final, get_args

from otel_obs.contract import health_metrics as metrics
from otel_obs.contract.tiers import Loss
from otel_obs.health.source import NANO
from otel_obs.instrument.harmless import harmless
from otel_obs.instrument.source import using

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otel_obs.contract.health_metrics import Metric
    from otel_obs.health.numbers import Numbers
    from otel_obs.sdk.monitor import Delivery

_QUEUE: Final = ("otel_obs_queue/0", "otel_obs_queue")  # OTel's component name and type
_EXPORTER: Final = ("otel_obs_exporter/0", "otel_obs_exporter")
_NO_ERROR: Final = ""  # an empty label is none to Prometheus
_ERRORS: Final = {Loss.REFUSED: "rejected", Loss.ENDED: "already_shutdown"}  # where OTel has a word of its own


class Recorder:
    """Brings what ``read`` tells into ``numbers``. Its series are absent while it tells None."""

    def __init__(self, numbers: Numbers, read: Callable[[], Delivery | None]) -> None:
        self._numbers = numbers
        self._read = read
        self._gauges: set[tuple[Metric, tuple[str, ...]]] = set()
        self.in_child()

    def in_child(self) -> None:
        """Count anew after a fork, as the recorder does."""
        self._lock = threading.Lock()
        self._counted: dict[tuple[str, ...], int] = {}

    def refresh(self) -> None:
        """Read, unless another thread does: then its reading, or the one before, is what is told."""
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._take_over()
        finally:
            self._lock.release()

    @harmless(None)
    def _take_over(self) -> None:
        delivery = _read(self._read)
        if delivery is None:
            for metric, labels in self._gauges:
                self._numbers.put(metric, *labels, value=None)
            self._gauges.clear()
            return
        self._ledger(delivery)
        self._queue(delivery)
        self._journal(delivery)
        self._exporter(delivery)
        self._others(delivery)

    def _count(self, metric: Metric, *labels: str, to: int) -> None:
        """Bring a counter to where the recorder's stands; a recorder that was made anew counts from 0."""
        key = (metric.name, *labels)
        before = self._counted.get(key)
        if to != before:
            self._numbers.add(metric, *labels, amount=to - before if before is not None and to > before else to)
            self._counted[key] = to

    def _put(self, metric: Metric, *labels: str, value: float | None) -> None:
        self._numbers.put(metric, *labels, value=value)
        self._gauges.add((metric, labels))

    def _since(self, metric: Metric, age: float | None) -> None:
        """Tell an age as the time it began."""
        self._put(metric, value=None if age is None else using.clock.now() / NANO - age)

    def _state(self, metric: Metric, state: str, states: Iterable[str]) -> None:
        for one in states:
            self._put(metric, one, value=float(one == state))

    def _ledger(self, delivery: Delivery) -> None:
        for tier, balance in delivery.tiers.items():
            self._count(metrics.RECORDS_PRODUCED, tier, to=balance.produced)
            self._count(metrics.RECORDS_DELIVERED, tier, to=balance.delivered)
            self._count(metrics.RECORDS_SAMPLED, tier, to=balance.sampled)
            dropped = balance.dropped
            for reason in Loss:
                self._count(metrics.RECORDS_DROPPED, tier, reason, to=dropped.get(reason, 0))
            self._put(metrics.RECORDS_WAITING, tier, value=delivery.waiting.get(tier, 0))
            self._put(metrics.RECORDS_UNCONFIRMED, tier, value=balance.unconfirmed)
        self._put(metrics.LEDGER_DIFFERENCE, value=delivery.difference)
        balances = delivery.tiers.values()
        self._count(metrics.OTEL_PROCESSED, *_QUEUE, _NO_ERROR, to=sum(one.confirmed for one in balances))
        self._count(metrics.OTEL_EXPORTED, *_EXPORTER, _NO_ERROR, to=sum(one.delivered for one in balances))
        for reason in Loss:
            error = _ERRORS.get(reason, reason.value)
            untaken = sum(one.untaken.get(reason, 0) for one in balances)
            self._count(metrics.OTEL_PROCESSED, *_QUEUE, error, to=untaken)
            lost = sum(one.lost.get(reason, 0) for one in balances)
            self._count(metrics.OTEL_EXPORTED, *_EXPORTER, error, to=lost)

    def _queue(self, delivery: Delivery) -> None:
        queue = delivery.queue
        self._put(metrics.OTEL_QUEUE_SIZE, *_QUEUE, value=queue.records)
        self._put(metrics.OTEL_QUEUE_CAPACITY, *_QUEUE, value=queue.capacity)
        self._put(metrics.QUEUE_BYTES, value=queue.bytes)
        self._put(metrics.QUEUE_LIMIT, value=queue.capacity_bytes)
        self._put(metrics.QUEUE_FILL, value=queue.fill)
        self._since(metrics.QUEUE_SINCE, queue.writer_lag)
        self._put(metrics.KILL_SWITCH, value=float(queue.kill_switch))
        self._count(metrics.KILL_SWITCHES, to=queue.kills)

    def _journal(self, delivery: Delivery) -> None:
        from otel_obs.sdk.monitor import JournalState

        journal = delivery.journal
        self._state(metrics.JOURNAL_STATE, journal.state, get_args(JournalState))
        self._put(metrics.JOURNAL_BYTES, value=journal.bytes)
        self._put(metrics.JOURNAL_LIMIT, value=journal.capacity)
        self._put(metrics.JOURNAL_SEGMENTS, value=journal.segments)
        self._since(metrics.WAITING_SINCE, journal.oldest_age)

    def _exporter(self, delivery: Delivery) -> None:
        from otel_obs.sdk.monitor import ExporterState

        exporter = delivery.exporter
        self._state(metrics.EXPORTER_STATE, exporter.state, get_args(ExporterState))
        self._put(metrics.OTEL_INFLIGHT, *_EXPORTER, value=exporter.in_flight)
        self._count(metrics.EXPORTER_REQUESTS, to=exporter.requests)
        self._count(metrics.EXPORTER_FAILURES, to=exporter.failures)
        self._put(metrics.EXPORTER_FAILED_SINCE, value=exporter.consecutive_failures)
        self._since(metrics.EXPORTER_SUCCESS, exporter.seconds_since_success)

    def _others(self, delivery: Delivery) -> None:
        from otel_obs.sdk.otlp.wire import REASONS

        self._count(metrics.ADOPTED_PROCESSES, to=delivery.adopted.instances)
        self._count(metrics.ADOPTED_UNCONFIRMED, to=delivery.adopted.unconfirmed)
        self._put(metrics.ADOPTED_WAITING, value=delivery.adopted.waiting)
        for reason in REASONS:
            self._count(metrics.VALUES_ALTERED, reason, to=delivery.altered.get(reason, 0))


@harmless(None)
def _read(read: Callable[[], Delivery | None]) -> Delivery | None:
    return read()
