"""An alert on trial: sent through the real Alertmanager, and followed until somebody has taken it."""

from __future__ import annotations

import re
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from otel_obs.alerting.alertmanager import Attempts, Standing
from otel_obs.contract.alerts.alert import LOOK, RUNBOOK
from otel_obs.contract.alerts.thresholds import Thresholds, filled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_obs.alerting.alertmanager import Alertmanager
    from otel_obs.contract.alerts.alert import Alert

TEST: Final = "test"
RUN: Final = "test_run"
SERVICE: Final = "service"
ENDS_AFTER: Final = timedelta(minutes=1)
_POLL_SECONDS: Final = 0.2
# The few forms in which rules put labels into a text; figures there are none.
_IF_THERE: Final = re.compile(r"\{\{ (?:with|if match \"[^\"]*\") \$labels\.(\w+) \}\}(.*?)\{\{ end \}\}")
_FIRST_OF: Final = re.compile(r"\{\{ or \$labels\.(\w+) \$labels\.(\w+) \}\}")
_LABEL: Final = re.compile(r"\{\{ \$labels\.(\w+) \}\}")
_ANYTHING: Final = re.compile(r"\{\{.*?\}\}")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What is sent: a row of ALERTS with its example, marked as a test, and told from all others by ``run``."""

    name: str
    run: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    began: datetime

    def until(self, end: datetime) -> dict[str, Any]:
        """The alert as Alertmanager takes it, over at ``end``."""
        times = {"startsAt": self.began.isoformat(), "endsAt": end.isoformat()}
        return {"labels": dict(self.labels), "annotations": dict(self.annotations), **times}


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One way of telling: how many of its addresses were to take the message, and how many did."""

    way: str
    wanted: int
    taken: int
    refused: int

    @property
    def done(self) -> bool:
        """Whether all did."""
        return self.taken >= self.wanted


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of it; ``seconds`` until the last way had taken it."""

    sample: Sample
    standing: Standing
    firing: tuple[Delivery, ...]
    resolved: tuple[Delivery, ...] | None
    seconds: float

    @property
    def delivered(self) -> bool:
        """Whether somebody was told by every way that there is, and of its end where that was asked."""
        told = (self.firing, self.resolved) if self.resolved is not None else (self.firing,)
        return all(each and all(delivery.done for delivery in each) for each in told)


def sample(row: Alert, *, service: str = "", now: datetime | None = None) -> Sample:
    """``row`` as it would arrive, with its example."""
    began = now or datetime.now(UTC)
    run = f"{began:%Y%m%dT%H%M%S.%f}"
    about = {**row.example_labels, **({SERVICE: service} if service else {})}
    return Sample(
        name=row.name,
        run=run,
        labels={"alertname": row.name, **about, **row.labels, TEST: "true", RUN: run},
        annotations={
            "summary": f"TEST: {spoken(row.summary, about) or row.name}",
            "description": row.example,
            LOOK: spoken(row.look, about),
            RUNBOOK: f"docs/runbooks/{row.name}.md",
        },
        began=began,
    )


def spoken(text: str, labels: Mapping[str, str]) -> str:
    """A rule's text with ``labels`` and the default thresholds in it, and `…` where Prometheus would put a figure."""
    text = filled(text, Thresholds().everywhere)
    text = _IF_THERE.sub(
        lambda found: found[2].replace("{{ . }}", labels[found[1]]) if found[1] in labels else "", text
    )
    text = _FIRST_OF.sub(lambda found: labels.get(found[1]) or labels.get(found[2], ""), text)
    text = _LABEL.sub(lambda found: labels.get(found[1], ""), text)
    return _ANYTHING.sub("…", text)


def sent(alertmanager: Alertmanager, tried: Sample, *, wait: float, resolve: bool = False) -> Outcome:
    """Send ``tried`` and follow it for at most ``wait`` seconds; with ``resolve`` end it and follow that as well.

    Alertmanager counts messages by their way, not by alert: another alert's, taken in the same seconds, counts too.

    Raises:
        UnansweredError: Alertmanager does not answer, or refuses it.

    """
    began = time.monotonic()
    ways = alertmanager.receivers()
    before = alertmanager.attempts()
    alertmanager.post([tried.until(tried.began + ENDS_AFTER)])
    standing = _standing(alertmanager, tried, until=began + wait)
    kept_back = standing.silenced_by or standing.inhibited_by
    wanted: Counter[str] = Counter()
    for receiver in standing.receivers:
        wanted += ways.get(receiver, Counter())
    firing = _followed(alertmanager, wanted, before, until=0 if kept_back else began + wait)
    resolved = None
    if resolve and firing and all(delivery.done for delivery in firing):
        before = alertmanager.attempts()
        alertmanager.post([tried.until(datetime.now(UTC))])
        resolved = _followed(alertmanager, wanted, before, until=time.monotonic() + wait)
    return Outcome(sample=tried, standing=standing, firing=firing, resolved=resolved, seconds=time.monotonic() - began)


def _standing(alertmanager: Alertmanager, tried: Sample, *, until: float) -> Standing:
    """How it stands; Alertmanager shows what it has taken a moment later."""
    while True:
        found = alertmanager.standing(RUN, tried.run)
        if found is not None or time.monotonic() > until:
            return found or Standing(receivers=(), silenced_by=(), inhibited_by=())
        time.sleep(_POLL_SECONDS)


def _followed(
    alertmanager: Alertmanager, wanted: Counter[str], before: Mapping[str, Attempts], *, until: float
) -> tuple[Delivery, ...]:
    seen = False
    while True:
        now = alertmanager.attempts()
        found = tuple(_delivery(way, count, before, now) for way, count in sorted(wanted.items()))
        done = all(delivery.done for delivery in found)
        # Alertmanager counts an attempt first, and then that it failed: only what is still true a moment later is.
        if (done and seen) or time.monotonic() > until:
            return found
        seen = done
        time.sleep(_POLL_SECONDS)


def _delivery(way: str, wanted: int, before: Mapping[str, Attempts], now: Mapping[str, Attempts]) -> Delivery:
    new = now.get(way, Attempts()).since(before.get(way, Attempts()))
    return Delivery(way=way, wanted=wanted, taken=new.taken, refused=new.failed)
