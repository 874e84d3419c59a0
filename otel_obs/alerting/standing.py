"""How Prometheus and Alertmanager stand, read from their own HTTP APIs: what they have of ours, and what ails them."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from otel_obs.alerting.asking import UnansweredError, ask, get, shown
from otel_obs.contract.alerts.alert import LOOK, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS: Final = "otel_obs"  # the names of our groups of rules begin so
# Alertmanager tells its configuration as it writes it itself: what a list holds stands at its key's own margin.
_RECEIVERS: Final = re.compile(r"(?ms)^receivers:\n(.*?)(?=^\w|\Z)")
_RECEIVER: Final = re.compile(r"(?m)^- name: (.+)\n((?: .*\n?)*)")
_WAY: Final = re.compile(r"(?m)^  ([a-z0-9]+)_configs:$")
_SAMPLE: Final = re.compile(r"(?m)^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)(?: \d+)?$")
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


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
class PrometheusStanding:
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


@dataclass(frozen=True, kw_only=True)
class AlertmanagerStanding:
    """Whom Alertmanager would tell, and by what ways; how each way's attempts went since it started: (all, failed)."""

    url: str
    version: str
    receivers: dict[str, list[str]]
    attempts: dict[str, tuple[int, int]] = field(default_factory=dict)


def prometheus(url: str) -> PrometheusStanding:
    """Ask Prometheus.

    Raises:
        UnansweredError: nobody answers, or it is no Prometheus.

    """
    with _only_its_own_words(url):
        return _prometheus(url)


def _prometheus(url: str) -> PrometheusStanding:
    before = time.time()
    now = _data(url, "/api/v1/query?query=time()")
    after = time.time()
    groups = [group for group in _data(url, "/api/v1/rules")["groups"] if group["name"].startswith(OURS)]
    rules = [rule for group in groups for rule in group["rules"]]
    active = _data(url, "/api/v1/targets?state=active")["activeTargets"]
    alertmanagers = _data(url, "/api/v1/alertmanagers")["activeAlertmanagers"]
    told = float(now["result"][1])
    return PrometheusStanding(
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


def alertmanager(url: str) -> AlertmanagerStanding:
    """Ask Alertmanager.

    Raises:
        UnansweredError: nobody answers, it is not ready, or it is no Alertmanager.

    """
    with _only_its_own_words(url):
        return _alertmanager(url)


def _alertmanager(url: str) -> AlertmanagerStanding:
    status = ask(url, "/api/v2/status")
    ready = get(url, "/-/ready")
    if ready.status != 200:  # noqa: PLR2004 - HTTP's word for yes
        raise UnansweredError(f"{shown(url)} is not ready: HTTP {ready.status}")
    return AlertmanagerStanding(
        url=shown(url),
        version=status.get("versionInfo", {}).get("version", ""),
        receivers=_receivers(status["config"]["original"]),
        attempts=_attempts(get(url, "/metrics").text),
    )


def _receivers(configuration: str) -> dict[str, list[str]]:
    """Those that have a way to tell anybody."""
    section = _RECEIVERS.search(configuration)
    found = {name.strip("\"'"): _WAY.findall(rest) for name, rest in _RECEIVER.findall(section[1] if section else "")}
    return {name: ways for name, ways in found.items() if ways}


def _attempts(text: str) -> dict[str, tuple[int, int]]:
    def by_integration(name: str) -> dict[str, int]:
        found: dict[str, int] = {}
        for labels, value in samples(text, name):
            key = labels.get("integration", "")
            found[key] = found.get(key, 0) + int(value)
        return found

    tried, failed = (
        by_integration("alertmanager_notification_requests_total"),
        by_integration("alertmanager_notification_requests_failed_total"),
    )
    return {name: (count, failed.get(name, 0)) for name, count in tried.items() if count}


def samples(text: str, name: str) -> list[tuple[dict[str, str], float]]:
    """Labels and value of each series of a metric in Prometheus's text format."""
    return [
        (dict(_LABEL.findall(labels or "")), float(value))
        for found, labels, value in _SAMPLE.findall(text)
        if found == name
    ]
