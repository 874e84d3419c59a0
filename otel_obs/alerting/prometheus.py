"""How Prometheus stands, read from its own HTTP API: what it has of ours, and what ails it."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from otel_obs.alerting.asking import ask, shown
from otel_obs.contract.alerts.alert import LOOK, Severity
from otel_obs.errors import UnansweredError

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS: Final = "otel_obs"  # the names of our groups of rules begin so


@dataclass(frozen=True, kw_only=True)
class Target:
    """Something that Prometheus scrapes."""

    job: str
    url: str
    health: str  # up, down, unknown: not scraped yet
    error: str


@dataclass(frozen=True, kw_only=True)
class Firing:
    """An alert of ours that fires now."""

    name: str
    labels: dict[str, str]
    since: str
    summary: str
    look: str


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What Prometheus has of ours. ``ahead`` bounds the seconds by which its clock is ahead of this machine's."""

    url: str
    groups: list[str]
    rules: int
    ill: dict[str, str]  # rule → its last error
    targets: list[Target]
    alertmanagers: list[str]
    firing: list[Firing]
    ahead: tuple[float, float]

    def of_job(self, job: str) -> list[Target]:
        """The targets of one job."""
        return [target for target in self.targets if target.job == job]


def prometheus(url: str) -> Standing:
    """Ask Prometheus.

    Raises:
        UnansweredError: nobody answers, or it is no Prometheus.

    """
    with _only_its_own_words(url):
        return _prometheus(url)


def _prometheus(url: str) -> Standing:
    before = time.time()
    now = _data(url, "/api/v1/query?query=time()")
    after = time.time()
    groups = [group for group in _data(url, "/api/v1/rules")["groups"] if group["name"].startswith(OURS)]
    rules = [rule for group in groups for rule in group["rules"]]
    active = _data(url, "/api/v1/targets?state=active")["activeTargets"]
    alertmanagers = _data(url, "/api/v1/alertmanagers")["activeAlertmanagers"]
    told = float(now["result"][1])
    return Standing(
        url=shown(url),
        groups=[group["name"] for group in groups],
        rules=len(rules),
        ill={rule["name"]: rule.get("lastError", "") for rule in rules if rule.get("health") == "err"},
        targets=[_target(target) for target in active],
        alertmanagers=[shown(one["url"].partition("/api/")[0]) for one in alertmanagers],
        firing=[_firing(alert) for rule in rules for alert in rule.get("alerts", []) if alert["state"] == "firing"],
        ahead=(told - after, told - before),
    )


@contextmanager
def _only_its_own_words(url: str) -> Iterator[None]:
    """Whoever answers otherwise than is documented is somebody else."""
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        raise UnansweredError(f"{shown(url)} answers, and not as was asked", fix="Is it another program?") from None


def _data(url: str, path: str) -> Any:
    answer = ask(url, path)
    if answer["status"] != "success":
        raise ValueError(answer["status"])
    return answer["data"]


def _target(found: dict[str, Any]) -> Target:
    return Target(
        job=found["labels"].get("job", ""), url=found["scrapeUrl"], health=found["health"], error=found["lastError"]
    )


def _firing(found: dict[str, Any]) -> Firing:
    labels, texts = dict(found["labels"]), found.get("annotations", {})
    return Firing(
        name=labels.pop("alertname", ""),
        labels=labels,
        since=found.get("activeAt", "").partition(".")[0],
        summary=texts.get("summary", ""),
        look=texts.get(LOOK, ""),
    )


def is_for_somebody(alert: Firing) -> bool:
    """Whether somebody is to be told, and not only that alerting is alive."""
    return alert.labels.get("severity") != Severity.NONE
