"""The numbers of this process: every row of HEALTH_METRICS with its label sets, bounded; a forked child counts anew."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Final

from otel_obs.contract.health_metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol

    from otel_obs.contract.health_metrics import Metric

    class Forward(Protocol):
        """Where numbers go as they change, besides here."""

        def add(self, metric: Metric, labels: tuple[str, ...], amount: float) -> None:
            """Count on."""

        def set(self, metric: Metric, labels: tuple[str, ...], value: float) -> None:
            """Put in place."""

        def begin(self) -> None:
            """Begin anew, in a forked child."""


OTHER: Final = "other"
_LONGEST_LABEL: Final = 100
# What a series that was taken away is among those of other processes: what changes neither smallest, largest nor sum.
ABSENT: Final = {"livemin": math.inf, "livemax": -math.inf, "max": -math.inf, "livesum": 0.0}


def label_of(text: str) -> str:
    """``text`` as a label's value, of bounded length."""
    return text[:_LONGEST_LABEL].encode("utf-8", "replace").decode()


class Names:
    """The closed set of one label's values: what is beyond the bound is ``other``."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[str, str] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._known.values()))

    def __contains__(self, name: object) -> bool:
        return name in self._known

    @property
    def is_full(self) -> bool:
        """Whether a further name is ``other``."""
        return len(self._known) >= self._most

    def label(self, name: str) -> str:
        """Return ``name`` as a label, and keep it where there is room."""
        known = self._known.get(name)
        if known is not None:
            return known
        if self.is_full:
            return OTHER
        return self._known.setdefault(name, label_of(name))


class Numbers:
    """Every metric's values by label set. ``forward`` is told of each change."""

    def __init__(self, forward: Forward | None = None) -> None:
        self._forward = forward
        self._lock = threading.RLock()
        self._values: dict[str, dict[tuple[str, ...], float]] = {name: {} for name in METRICS}

    def add(self, metric: Metric, *labels: str, amount: float = 1.0) -> None:
        """Count on; 0 creates the label set."""
        values = self._values[metric.name]
        with self._lock:
            values[labels] = values.get(labels, 0.0) + amount
            if self._forward is not None:
                self._forward.add(metric, labels, amount)

    def set(self, metric: Metric, *labels: str, value: float) -> None:
        """Put a gauge's value in place."""
        with self._lock:
            self._values[metric.name][labels] = value
            if self._forward is not None:
                self._forward.set(metric, labels, value)

    def put(self, metric: Metric, *labels: str, value: float | None) -> None:
        """Put a gauge's value in place, or take the series away; ``forward`` is then told ABSENT."""
        if value is not None:
            self.set(metric, *labels, value=value)
            return
        with self._lock:
            if self._values[metric.name].pop(labels, None) is not None and self._forward is not None:
                self._forward.set(metric, labels, ABSENT.get(metric.across, math.nan))

    def raise_to(self, metric: Metric, *labels: str, value: float) -> None:
        """Put a gauge's value in place unless it is larger already."""
        if value > self._values[metric.name].get(labels, float("-inf")):
            self.set(metric, *labels, value=value)

    def get(self, metric: Metric, *labels: str) -> float | None:
        """The value; None where there is none."""
        return self._values[metric.name].get(labels)

    def of(self, metric: Metric) -> dict[tuple[str, ...], float]:
        """A copy of all of a metric's values."""
        with self._lock:
            return dict(self._values[metric.name])

    def in_child(self) -> None:
        """Begin again at 0 after a fork: what was counted before is the parent's. Label sets and gauges stay."""
        self._lock = threading.RLock()
        if self._forward is not None:
            self._forward.begin()
        for name, values in self._values.items():
            if METRICS[name].type == "counter":
                values.update(dict.fromkeys(values, 0.0))
