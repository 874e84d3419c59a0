"""To Prometheus and on to Alertmanager: what is scraped, which rules are there, and whether somebody would be told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

from otel_obs.alerting import prometheus
from otel_obs.alerting.alertmanager import DEFAULT_URL, Alertmanager
from otel_obs.alerting.asking import request
from otel_obs.contract.alerts.alert import Job
from otel_obs.errors import UnansweredError
from otel_obs.surfaces.cli.doctor.finding import Hop, at, clock
from otel_obs.surfaces.cli.doctor.recorder import recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_obs.settings import Settings
    from otel_obs.surfaces.cli.doctor.finding import Finding

S = TypeVar("S")

_PROMETHEUS: Final = "http://127.0.0.1:9090"
_MOST_TOLD: Final = 10
_scraped: Final = at(Hop.PROMETHEUS)
_alerted: Final = at(Hop.ALERTMANAGER)


def watching(wanted: Settings, *, collector_is_used: bool) -> Iterator[Finding]:
    """Ask both, where the settings or the usual ports say."""
    found, finding = _asked(
        prometheus.prometheus, wanted.prometheus_url, usual=_PROMETHEUS, name="Prometheus", hop=Hop.PROMETHEUS,
        variable="OTEL_OBS_PROMETHEUS_URL",
    )  # fmt: skip
    yield finding
    if found is not None and not wanted.prometheus_url and not found.groups and not _targets_of_ours(found):
        yield _scraped(
            "rules", "none of ours, and no target of ours: it is somebody else's, or not set up yet",
            fix="Load our rules and scrape our jobs, or name another with OTEL_OBS_PROMETHEUS_URL.",
        )  # fmt: skip
        found = None
    if found is not None:
        yield from _prometheus(found, collector_is_used=collector_is_used)
    yield from _metrics_of_bot(wanted, found)
    if found is not None:
        yield from _ways_to_alertmanager(found)
    teller, finding = _asked(
        _ready, wanted.alertmanager_url, usual=DEFAULT_URL, name="Alertmanager", hop=Hop.ALERTMANAGER,
        variable="OTEL_OBS_ALERTMANAGER_URL",
    )  # fmt: skip
    yield finding
    if teller is not None:
        yield from _alertmanager(teller)


def _asked(
    ask: Callable[[str], S], named: str, *, usual: str, name: str, hop: Hop, variable: str
) -> tuple[S | None, Finding]:
    finding = at(hop)
    try:
        found = ask(named or usual)
    except UnansweredError as error:
        if named:
            return None, finding(
                name, error.what, ok=False, fix=error.fix or f"Is it running there? {variable} says where it is."
            )
        return None, finding(name, f"not asked: {error.what}", fix=f"If there is one, set {variable}.")
    return found, finding(name, f"{named or usual} answers")


def _targets_of_ours(found: prometheus.Standing) -> list[prometheus.Target]:
    return [target for job in (Job.BOTS, Job.COLLECTOR, Job.STORE) for target in found.of_job(job)]


def _prometheus(found: prometheus.Standing, *, collector_is_used: bool) -> Iterator[Finding]:
    yield clock(Hop.PROMETHEUS, "its clock", found.ahead)
    if found.groups:
        yield _scraped("rules", f"{found.rules} of ours, in {', '.join(found.groups)}")
    else:
        yield _scraped(
            "rules", "none of ours: nobody is told of anything", ok=False,
            fix="Name deploy/prometheus/rules/*.yml under rule_files of prometheus.yml, and reload it.",
        )  # fmt: skip
    for rule, error in found.ill.items():
        yield _scraped(
            f"rule {rule}", f"cannot be evaluated: {error}", ok=False,
            fix=f"Load the rules of this version, deploy/prometheus/rules/*.yml; {found.url}/rules shows what it has.",
        )  # fmt: skip
    for job in (Job.BOTS, Job.COLLECTOR, Job.STORE):
        yield from _job(found, job, is_needed=job is not Job.COLLECTOR or collector_is_used)
    told = [alert for alert in found.firing if prometheus.is_for_somebody(alert)]
    if not told:
        yield _scraped("alerts", "none of ours fires")
    for alert in told[:_MOST_TOLD]:
        of = ", ".join(f"{name}={value}" for name, value in sorted(alert.labels.items()))
        yield _scraped(
            "alert", f"{alert.name} fires since {alert.since} ({of}): {alert.summary}",
            fix=f"Look: {alert.look}" if alert.look else "",
        )  # fmt: skip
    if len(told) > _MOST_TOLD:
        yield _scraped("alerts", f"{len(told) - _MOST_TOLD} more fire: {found.url}/alerts")


def _job(found: prometheus.Standing, job: Job, *, is_needed: bool) -> Iterator[Finding]:
    about, targets = f"job {job}", found.of_job(job)
    if not targets:
        yield _scraped(
            about, "no target" if is_needed else "no target, and none is in use here", ok=not is_needed,
            fix=f"Add job_name: {job} with its targets under scrape_configs of prometheus.yml." if is_needed else "",
        )  # fmt: skip
        return
    ill = [target for target in targets if target.health == "down"]
    waiting = sum(target.health == "unknown" for target in targets)
    up = len(targets) - len(ill) - waiting
    later = f", {waiting} not scraped yet" if waiting else ""
    if up or waiting:
        yield _scraped(about, f"{up} of {len(targets)} up{later}")
    for target in ill[:_MOST_TOLD]:
        yield _scraped(
            about, f"{target.url} is down: {target.error}", ok=False,
            fix="Is it running, and does it listen where Prometheus can reach it?",
        )  # fmt: skip
    if len(ill) > _MOST_TOLD:
        yield _scraped(about, f"{len(ill) - _MOST_TOLD} more are down", ok=False, fix=f"{found.url}/targets")


def _metrics_of_bot(wanted: Settings, found: prometheus.Standing | None) -> Iterator[Finding]:
    """The port that a bot with these settings listens on."""
    about = "bot's metrics"
    if wanted.metrics_port < 0:
        return
    if wanted.metrics_port == 0:
        yield _scraped(about, "not asked: the bot takes any free port (OTEL_OBS_METRICS_PORT=0), and logs which")
        return
    host = wanted.metrics_host if wanted.metrics_host not in {"0.0.0.0", "::", ""} else "127.0.0.1"  # noqa: S104
    place = f"http://{f'[{host}]' if ':' in host else host}:{wanted.metrics_port}"
    try:
        text = request(place, "/metrics").text
        of_recorder = list(recorder(text)) if "otel_obs_" in text else []
    except UnansweredError as error:
        yield _scraped(
            about, error.what, ok=False,
            fix="Is the bot running? It listens from the moment on that it feeds otel_obs.health first.",
        )  # fmt: skip
        return
    if "otel_obs_" not in text:
        yield _scraped(
            about, f"{place}/metrics is somebody else's", ok=False,
            fix="Another program has this port: give the bot another with OTEL_OBS_METRICS_PORT.",
        )  # fmt: skip
        return
    yield from of_recorder
    if found is None:
        yield _scraped(about, f"{place}/metrics answers")
        return
    ports = {urlsplit(target.url).port for target in found.of_job(Job.BOTS)}
    if wanted.metrics_port in ports:
        yield _scraped(about, f"{place}/metrics answers, and Prometheus scrapes that port")
        return
    yield _scraped(
        about, f"{place}/metrics answers, and Prometheus does not scrape that port", ok=False,
        fix=f"Add it to the targets of job {Job.BOTS} in prometheus.yml.",
    )  # fmt: skip


def _ways_to_alertmanager(found: prometheus.Standing) -> Iterator[Finding]:
    if found.alertmanagers:
        yield _alerted("alerts go to", ", ".join(found.alertmanagers))
        return
    yield _alerted(
        "alerts go to", "nobody: Prometheus knows no Alertmanager", ok=False,
        fix="Name it under alerting: alertmanagers: of prometheus.yml, and reload it.",
    )  # fmt: skip


def _ready(url: str) -> Alertmanager:
    found = Alertmanager(url)
    found.receivers()  # nobody else has any
    found.ready()
    return found


def _alertmanager(found: Alertmanager) -> Iterator[Finding]:
    ways = {name: sorted(ways) for name, ways in found.receivers().items() if ways}
    if ways:
        yield _alerted("receivers", ", ".join(f"{name} by {' and '.join(by)}" for name, by in ways.items()))
    else:
        yield _alerted(
            "receivers", "none that tells anybody", ok=False,
            fix="Give a receiver of alertmanager.yml a way (slack_configs …), and a route to it.",
        )  # fmt: skip
    for name, tried in sorted(found.attempts().items()):
        if tried.made:
            yield _alerted(
                f"sent by {name}", f"{tried.taken} of {tried.made} attempts got through since it started",
                ok=tried.taken > 0, fix="Its log says why: `Notify for alerts failed`." if tried.failed else "",
            )  # fmt: skip
