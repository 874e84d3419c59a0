"""ALERTS: everything that somebody is told of without asking, by groups that are evaluated together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_obs.contract.alerts import decisions, delivery, feeds, monitoring, pipeline, process

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_obs.contract.alerts.alert import Alert


@dataclass(frozen=True, kw_only=True)
class Group:
    """Rules that are evaluated one after the other: what is recorded first is there for the alerts.

    ``by_service`` ones are written once more for each service that has thresholds of its own.
    """

    name: str
    alerts: tuple[Alert, ...]
    records: Mapping[str, str]
    by_service: bool = False


GROUPS: Final = (
    Group(
        name="bots",
        alerts=(*decisions.ALERTS, *feeds.ALERTS, *process.ALERTS),
        records=decisions.RECORDS | feeds.RECORDS,
        by_service=True,
    ),
    Group(name="delivery", alerts=delivery.ALERTS, records={}, by_service=True),
    Group(name="pipeline", alerts=pipeline.ALERTS, records={}),
    Group(name="monitoring", alerts=monitoring.ALERTS, records={}),
)
ALERTS: Final[tuple[Alert, ...]] = tuple(alert for group in GROUPS for alert in group.alerts)
