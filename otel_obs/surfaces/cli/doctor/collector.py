"""The collector itself, by its own metrics: what it has passed on, and what still waits in it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_obs.alerting.asking import request, samples
from otel_obs.errors import UnansweredError
from otel_obs.surfaces.cli.doctor.finding import Hop, at

if TYPE_CHECKING:
    from otel_obs.surfaces.cli.doctor.finding import Finding

HOW_TO: Final = "docs/how-to/run-the-collector.md"
_PORT: Final = "8888"  # as base.yaml has it
_FULL: Final = 0.5
_finding: Final = at(Hop.COLLECTOR)


@dataclass(frozen=True)
class Queue:
    """What waits in the collector, of how much that may, in its own measure; ``is_told`` where it answered."""

    size: float = 0
    capacity: float = 0
    is_told: bool = False


def collector(host: str) -> tuple[Finding, Queue]:
    """Ask the collector on ``host``, unless its own variables say that it answers elsewhere."""
    asked = os.environ.get("COLLECTOR_METRICS_HOST", "") or host
    asked = "127.0.0.1" if asked in {"0.0.0.0", "::"} else asked  # noqa: S104 - where it listens, not where we do
    bracketed = f"[{asked}]" if ":" in asked else asked
    place = f"http://{bracketed}:{os.environ.get('COLLECTOR_METRICS_PORT') or _PORT}"
    hint = "COLLECTOR_METRICS_HOST and COLLECTOR_METRICS_PORT tell where they are, as they tell the collector."
    try:
        text = request(place, "/metrics").text
    except UnansweredError as error:
        return _finding("collector", f"its own metrics were not read: {error.what}", fix=hint), Queue()
    if "otelcol_" not in text:
        return _finding("collector", f"{place}/metrics is not a collector's", fix=hint), Queue()

    def figure(name: str) -> float:
        return sum(value for whole in (name, f"{name}_total") for _, value in samples(text, f"otelcol_{whole}"))

    queue = Queue(figure("exporter_queue_size"), figure("exporter_queue_capacity"), is_told=True)
    refused = figure("receiver_refused_spans") + figure("exporter_enqueue_failed_spans")
    told = (
        f"{figure('exporter_sent_spans'):.0f} spans passed on, {figure('exporter_send_failed_spans'):.0f} given up, "
        f"{refused:.0f} refused since it started; its queues hold {queue.size:.0f} of {queue.capacity:.0f}"
    )
    if queue.capacity and queue.size > _FULL * queue.capacity:
        return _finding("collector", told, ok=False, fix=f"It will refuse what bots send: {HOW_TO}."), queue
    return _finding("collector", told), queue
