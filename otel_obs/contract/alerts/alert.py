"""What an alert is: when it fires, what it says to whoever is on call, and what to do first."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_obs.contract.dashboards import Dashboard


class Severity(StrEnum):
    """How soon somebody must look."""

    CRITICAL = "critical"  # now, at night too
    WARNING = "warning"  # today
    NONE = "none"  # nobody: it says that alerting itself is alive


class Job(StrEnum):
    """What Prometheus scrapes; the label `job` of every target."""

    BOTS = "bots"
    COLLECTOR = "collector"
    STORE = "store"
    PROMETHEUS = "prometheus"
    ALERTMANAGER = "alertmanager"


@dataclass(frozen=True, kw_only=True)
class Runbook:
    """What the person on call does, in order; paragraphs and steps are Markdown."""

    meaning: str
    first: tuple[str, ...]
    causes: tuple[str, ...]
    mend: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One row of ALERTS.

    ``expression``, ``lasting`` and the texts may name thresholds as ``<rejection_window>``. ``summary`` and
    ``description`` are templates of Prometheus; ``example`` is one description as it arrives, ``example_labels`` are
    those it then has. ``look`` is the command that shows more, with the alert's labels in it. ``component`` is who is
    ill; an alert that ``derives_from`` another component is silent while that one is down.
    """

    name: str
    severity: Severity
    component: Job
    expression: str
    summary: str
    description: str
    look: str
    example: str
    runbook: Runbook
    dashboard: Dashboard
    lasting: str = "0s"
    derives_from: Job | None = None
    example_labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def labels(self) -> dict[str, str]:
        """What the rule adds to the labels of its series; Alertmanager routes and inhibits by them."""
        derived = {"derives_from": self.derives_from.value} if self.derives_from else {}
        return {"severity": self.severity.value, "component": self.component.value, **derived}


# What every rule writes beside summary and description; the message's template reads them by these names.
LOOK: Final = "look"
RUNBOOK: Final = "runbook_url"
DASHBOARD: Final = "dashboard_url"
