"""Several processes of one bot: numbers also go into the files that prometheus_client's multi-process mode adds up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge

from otel_obs.contract.health_metrics import METRICS
from otel_obs.health.numbers import ABSENT

if TYPE_CHECKING:
    from otel_obs.contract.health_metrics import Metric


class Mirror:
    """One metric of prometheus_client for each row; whoever scrapes reads their files, in whichever process."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._metrics: dict[str, Any] = {}
        for row in METRICS.values():
            if row.type == "counter":
                name = row.name.removesuffix("_total")
                self._metrics[row.name] = Counter(name, row.doc, row.labels, registry=registry)
            else:
                self._metrics[row.name] = Gauge(
                    row.name, row.doc, row.labels, registry=registry, multiprocess_mode=row.across
                )

        self.begin()

    def begin(self) -> None:
        """Begin a file of this process's own, in which nothing is known yet: what has no labels would stand at 0."""
        for row in METRICS.values():
            if row.type == "gauge" and not row.labels and row.across in ABSENT:
                self._metrics[row.name].set(ABSENT[row.across])

    def _child(self, metric: Metric, labels: tuple[str, ...]) -> Any:
        found = self._metrics[metric.name]
        return found.labels(*labels) if labels else found

    def add(self, metric: Metric, labels: tuple[str, ...], amount: float) -> None:
        """Count on."""
        self._child(metric, labels).inc(amount)

    def set(self, metric: Metric, labels: tuple[str, ...], value: float) -> None:
        """Put in place."""
        self._child(metric, labels).set(value)
