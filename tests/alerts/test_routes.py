"""Who is told and who is not: the file that we ship, in the real programs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType

    Build = Callable[..., dict[str, Any]]

AMTOOL = shutil.which("amtool") or "amtool"
WAYS = ("telegram", "discord", "email", "webhook", "deadman", "weekend")


def _amtool(*arguments: str | Path) -> str:
    done = subprocess.run([AMTOOL, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("on", [(), *((way,) for way in WAYS), WAYS], ids=lambda on: "+".join(on) or "as it is")
def test_every_way_that_can_be_switched_on_is_taken_by_alertmanager(
    receivers: ModuleType, on: tuple[str, ...], tmp_path: Path
) -> None:
    file = receivers.shipped(tmp_path, "https://hooks.slack.com/services", on=on)
    assert "SUCCESS" in _amtool("check-config", file)
    left = set(re.findall(r"#(\w+)\| ", file.read_text(encoding="utf-8")))
    assert left == set(WAYS) - set(on)


def test_no_secret_stands_in_the_file_and_what_is_off_is_off(receivers: ModuleType) -> None:
    config = yaml.safe_load((receivers.DEPLOY / "alertmanager.yml").read_text(encoding="utf-8"))
    ways = {receiver["name"]: set(receiver) - {"name"} for receiver in config["receivers"]}
    assert ways == {
        "critical": {"slack_configs"}, "warnings": {"slack_configs"}, "dead-mans-switch": set(), "nobody": set(),
    }  # fmt: skip
    assert all(
        set(way) >= {"api_url_file", "send_resolved"} and "api_url" not in way
        for receiver in config["receivers"]
        for way in receiver.get("slack_configs", [])
    )


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("alertname=SourceStale severity=critical component=bots service=a source=x", "critical"),
        ("alertname=SourceGap severity=warning component=bots service=a source=x", "warnings"),
        ("alertname=CollectorDown severity=critical component=collector", "critical"),
        ("alertname=Watchdog severity=none component=prometheus", "dead-mans-switch"),
        ("alertname=Other severity=none", "nobody"),
        ("alertname=SomebodyElsesRule", "warnings"),
        ("alertname=SourceStale severity=critical test=true", "critical"),
        ("alertname=RejectionRateHigh severity=warning test=true", "warnings"),
        ("alertname=Watchdog severity=none test=true", "dead-mans-switch"),
    ],
)
def test_each_alert_has_one_receiver(receivers: ModuleType, labels: str, receiver: str) -> None:
    told = _amtool(
        "config", "routes", "test", f"--config.file={receivers.DEPLOY / 'alertmanager.yml'}", *labels.split()
    )
    assert told.strip() == receiver


def _held_back(receivers: ModuleType, alertmanager: Any) -> dict[str, bool]:
    """Alert → whether another one holds it back."""
    _, text = receivers.line.request(alertmanager.port, "GET", "/api/v2/alerts")
    return {
        f"{each['labels']['alertname']} {each['labels'].get('which', '')}".strip(): bool(each["status"]["inhibitedBy"])
        for each in json.loads(text)
    }


def test_what_follows_from_something_that_is_down_is_held_back_and_nothing_else(
    receivers: ModuleType, alertmanager: Any, slack: Any, alert: Build
) -> None:
    here, there = {"service": "a", "instance": "1"}, {"service": "a", "instance": "2"}
    alertmanager.post(
        alert("CollectorDown", component="collector"),
        alert("DecisionsNotDelivered", component="collector", derives_from="collector"),
        alert("StoreDown", component="store"),
        alert("CollectorRefusing", component="collector", derives_from="store"),
        alert("BotDown", **here),
        alert("SourceStale", derives_from="bots", which="of the dead", source="x", **here),
        alert("SourceStale", derives_from="bots", which="of the living", source="x", **there),
        alert("RejectionRateHigh", which="of the dead", **here),
        alert("Throttled", "critical", which="worse", service="b", instance="3", kind="k"),
        alert("Throttled", "warning", which="less", service="b", instance="3", kind="k"),
        alert("Throttled", "warning", which="other", service="b", instance="3", kind="l"),
        alert("StoreDown", which="test", component="store", test="true", test_run="1"),
        alert("CollectorRefusing", which="test", derives_from="store", test="true", test_run="2"),
    )
    expected = {
        "CollectorDown": False,
        "DecisionsNotDelivered": True,
        "StoreDown": False,
        "CollectorRefusing": True,
        "BotDown": False,
        "SourceStale of the dead": True,
        "SourceStale of the living": False,
        "RejectionRateHigh of the dead": False,
        "Throttled worse": False,
        "Throttled less": True,
        "Throttled other": False,
        "StoreDown test": False,
        "CollectorRefusing test": False,
    }
    slack.message("the collector is told", lambda message: "CollectorDown" in message.read())
    receivers.line.eventually(
        "all that follows is held back", lambda: _held_back(receivers, alertmanager) == expected, within=20
    )
    assert not any("DecisionsNotDelivered" in message.read() for message in slack.taken)


def test_a_test_of_something_being_down_holds_no_real_alert_back(
    receivers: ModuleType, alert: Build, tmp_path: Path
) -> None:
    with receivers.slack() as taking, receivers.alertmanager(tmp_path, taking) as running:
        running.post(
            alert("StoreDown", component="store", test="true", test_run="1"),
            alert("CollectorRefusing", component="collector", derives_from="store"),
        )
        taking.message("the real one is told", lambda message: "CollectorRefusing" in message.read())


def test_while_an_interval_mutes_feeds_only_messages_about_feeds_are_held_back(
    receivers: ModuleType, alert: Build, tmp_path: Path
) -> None:
    always = {"[saturday, sunday]": "['sunday:saturday']"}
    with receivers.slack() as taking:
        with receivers.alertmanager(tmp_path, taking, on=("weekend",), changed=always) as running:
            running.post(
                alert("SourceStale", service="muted", source="x"),
                alert("SourceGap", "warning", service="muted", source="x"),
                alert("HeartbeatLost", service="loud"),
            )  # fmt: skip
            taking.message("the loop is told", lambda message: "loud" in message.read())
            receivers.line.eventually(
                "both are muted", lambda: running.told().count("Notifications not sent, route is within mute time") >= 2
            )
        assert [message.read() for message in taking.taken if "muted" in message.read()] == []


@pytest.mark.parametrize(
    "answers", [[(429, "rate_limited")], [(500, "rollup_error"), (503, "")]], ids=["rate limited", "in trouble"]
)
def test_what_slack_does_not_take_at_once_is_sent_again(
    receivers: ModuleType, alert: Build, tmp_path: Path, answers: list[tuple[int, str]]
) -> None:
    with receivers.slack() as taking, receivers.alertmanager(tmp_path, taking) as running:
        taking.answers += answers
        running.post(alert("HeartbeatLost", service="patient"))
        taking.message("it is told in the end", lambda message: "patient" in message.read())
        assert taking.turned_away == answers
