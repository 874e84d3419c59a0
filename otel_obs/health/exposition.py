"""Health as Prometheus reads it: a collector over this process's numbers, or over the files of several processes."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, make_asgi_app, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from otel_obs import settings
from otel_obs.contract.health_metrics import METRICS
from otel_obs.health.numbers import ABSENT
from otel_obs.health.process import MULTIPROCESS, process
from otel_obs.instrument.harmless import harmless

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client import Metric


class HealthCollector(Collector):
    """Tells this process's numbers as they are when it is asked; nothing where nothing is recorded."""

    def collect(self) -> Iterable[Metric]:
        """Every metric that has a value."""
        return families()

    def describe(self) -> Iterable[Metric]:
        """Names alone, so that a registry can tell a clash."""
        return [_family(name, {}) for name in METRICS]


class AcrossProcesses(Collector):
    """Tells the numbers of all processes, of this one as they are when it is asked."""

    def __init__(self) -> None:
        self._files = MultiProcessCollector(None)  # type: ignore[no-untyped-call]

    def collect(self) -> Iterable[Metric]:
        """Every metric that has a value; one that was taken away everywhere is left out."""
        _brought_up_to_date()
        for family in self._files.collect():  # type: ignore[no-untyped-call]
            row = METRICS.get(family.name)
            absent = ABSENT.get(row.across) if row is not None else None
            family.samples = [
                sample
                for sample in family.samples
                if not math.isnan(sample.value) and (absent == 0 or sample.value != absent)
            ]
            if family.samples:
                yield family


@harmless(None)
def _brought_up_to_date() -> None:
    if settings.active.enabled:
        process().scraped()


@harmless(())
def families() -> Iterable[Metric]:
    """Every metric that has a value."""
    if not settings.active.enabled:
        return ()
    health = process()
    health.scraped()
    return [_family(name, values) for name, row in METRICS.items() if (values := health.numbers.of(row))]


def _family(name: str, values: dict[tuple[str, ...], float]) -> Metric:
    row = METRICS[name]
    kind = CounterMetricFamily if row.type == "counter" else GaugeMetricFamily
    family = kind(name.removesuffix("_total"), row.doc, labels=row.labels)
    for labels, value in sorted(values.items()):
        family.add_metric(labels, value)
    return family


def registry() -> CollectorRegistry:
    """A registry of health alone: of all processes where prometheus_client's multi-process mode is on."""
    made = CollectorRegistry()
    made.register(AcrossProcesses() if MULTIPROCESS in os.environ else HealthCollector())
    return made


def asgi() -> Any:
    """An ASGI application that answers a scrape."""
    return make_asgi_app(registry())


def wsgi() -> Any:
    """A WSGI application that answers a scrape."""
    return make_wsgi_app(registry())
