"""From the bot to Slack: the whole of the pipeline as processes, with the files that we ship."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from otel_obs.surfaces.cli.commands import otel_obs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(400)
# Windows of seconds; what stands for hours is proven by promtool.
THRESHOLDS = {
    "evaluation_interval": "1s",
    "rejection_window": "20s",
    "gate_window": "1h",
    "source_stale_factor": 3,
    "source_stale_min": "4s",
    "down_for": "3s",
}
JOBS = {"bots", "collector", "store", "prometheus", "alertmanager"}


class House:
    """Everything that runs in production, each a process of its own."""

    def __init__(self, place: Path, slack: Any, *, watching: Any, receivers: Any) -> None:
        self.pipeline = receivers.line.Pipeline(place)
        self.request = receivers.line.request
        self.alertmanager = receivers.Alertmanager(
            "alertmanager", place / "alertmanager.log",
            config=receivers.shipped(place, slack.url, changed=receivers.QUICK),
        )  # fmt: skip
        self.prometheus = watching.Prometheus("prometheus", place / "prometheus.log", place=place / "prometheus")
        self.bot = watching.Watched("bot", place / "bot.log", place=place)
        self.pipeline.processes += [self.alertmanager, self.prometheus, self.bot]

    def open(self) -> None:
        """Make the rules, and start everything for the first time."""
        self.prometheus.prepare(THRESHOLDS)
        self.bot.market(spread_bps=3.0)
        self.store = self.pipeline.store()
        self.collector = self.pipeline.collector(self.store.url)
        self.start()

    def start(self) -> None:
        """Start what does not run; whatever is elsewhere than before is told to who looks for it."""
        if self.store.ended() is not None:
            self.store.start()
        self.collector.start()
        self.alertmanager.start()
        self.bot.otlp = f"http://127.0.0.1:{self.collector.otlp}"
        self.bot.start()
        look = self.prometheus.target
        look("bots/watched", self.bot.port, service="watched", instance="watched-1")
        look("collector", self.collector.metrics, instance="collector-1")
        look("store", self.store.ports["web_port"], instance="store-1")
        look("alertmanager", self.alertmanager.port)
        self.prometheus.start()
        look("prometheus", self.prometheus.port)

    def stop(self) -> None:
        """Stop all of it, in the order in which a machine that goes down might."""
        for process in (self.bot, self.prometheus, self.collector, self.store, self.alertmanager):
            process.end()

    def known_to_alertmanager(self) -> set[str]:
        """The names of the alerts that it holds as firing."""
        _, alerts = self.request(self.alertmanager.port, "GET", "/api/v2/alerts?active=true")
        return {alert["labels"]["alertname"] for alert in json.loads(alerts)}

    def report(self, name: str, *asked: str) -> Any:
        done = CliRunner().invoke(otel_obs, ["report", name, *asked, "--json", "--url", self.store.url])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)


@pytest.fixture
def house(tmp_path: Path, beside: Any) -> Iterator[tuple[House, Any]]:
    receivers = beside("alerts/receivers.py")
    with receivers.slack() as slack:
        made = House(tmp_path, slack, watching=beside("acceptance/watching.py"), receivers=receivers)
        try:
            made.open()
            yield made, slack
        finally:
            made.pipeline.close()


def test_a_rejection_spike_and_a_silent_feed_reach_slack_and_resolve_and_a_restart_of_everything_changes_nothing(
    house: tuple[House, Any], beside: Any
) -> None:
    made, slack = house
    wait = beside("acceptance/pipeline.py").eventually

    def up() -> set[str]:
        return {one["metric"]["job"] for one in made.prometheus.ask("up == 1")}

    wait("all are scraped", lambda: up() == JOBS)
    wait("the window has filled", lambda: made.prometheus.ask("otel_obs_decisions_total offset 25s"))
    assert made.prometheus.firing() == set()
    assert slack.taken == []

    made.bot.market(spread_bps=16.7)
    told = slack.message("a rejection spike", lambda message: "RejectionRateHigh" in message.read()).read()
    for evidence in (
        "spread_guard denied",
        "last observed 16.7 bps",
        "at most 5 bps",
        "otel-obs report why --from -20s",
    ):
        assert evidence in told, told

    before = len(slack.taken)
    made.stop()
    made.start()
    wait("all are scraped again", lambda: up() == JOBS)
    wait("the alert goes on", lambda: "RejectionRateHigh" in made.known_to_alertmanager())
    assert [message.read() for message in slack.taken[before:] if "RejectionRateHigh" in message.read()] == []

    made.bot.market(spread_bps=3.0, feed=False)
    told = slack.message("a silent feed", lambda message: "SourceStale" in message.read()).read()
    assert "ws:btcusdt" in told
    assert "--source ws:btcusdt" in told
    slack.message("the spike is over", lambda message: "RejectionRateHigh" in message.read() and _over(message))

    made.bot.market(spread_bps=3.0)
    slack.message("the feed is back", lambda message: "SourceStale" in message.read() and _over(message))
    assert slack.turned_away == []

    made.bot.end()
    decided = made.bot.decided()
    wait("everything is stored", lambda: made.store.holds(decided.total(), "decisions"))
    why = made.report("why", "--from", "-1h", "--service", "watched")
    assert (why["decisions"], why["vetoed"], why["executed"]) == (
        decided.total(),
        decided["vetoed"],
        decided["executed"],
    )
    assert why["by_gate"] == {"spread_guard": decided["vetoed"]}


def _over(message: Any) -> bool:
    return "resolved" in message.read().lower()
