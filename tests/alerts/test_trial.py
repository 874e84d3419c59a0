"""`otel-obs alerts test`: through the real path, to whoever takes it or does not."""

from __future__ import annotations

import json
import subprocess
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from otel_obs.alerting import trial
from otel_obs.contract.alerts import ALERTS
from otel_obs.surfaces.cli.commands import otel_obs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType


def _said(result: Result) -> str:
    """What it told, wherever lines were broken."""
    return " ".join(result.output.split())


def _test(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(otel_obs, ["alerts", "test", "--alertmanager", url, *arguments])


@pytest.fixture
def own(receivers: ModuleType, tmp_path: Path) -> Iterator[tuple[Any, Any]]:
    """Alertmanager and a Slack, for tests in which one of them is in trouble."""
    with receivers.slack() as taking, receivers.alertmanager(tmp_path, taking) as running:
        yield running, taking


def test_a_test_arrives_marked_as_one_and_its_end_as_well(alertmanager: Any, slack: Any) -> None:
    result = _test(alertmanager.url, "--service", "tried", "--resolve", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.output)
    assert (told["delivered"], told["receivers"]) == (True, ["warnings"])
    assert [way["done"] for way in told["firing"] + told["resolved"]] == [True, True]
    firing, over = [message for message in slack.taken if "tried" in message.read()]
    assert "WARNING · TEST: tried: " in firing.title
    assert firing.text.startswith("*This is a test*")
    assert "`otel-obs report why --from -2h --service tried`" in firing.text
    assert "RESOLVED · TEST: " in over.title
    assert firing.attachment["footer"].startswith("RejectionRateHigh · service tried")


def test_a_test_resolves_by_itself(alertmanager: Any, slack: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "ENDS_AFTER", timedelta(seconds=3))
    result = _test(alertmanager.url, "--service", "brief")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("Delivered: RejectionRateHigh to warnings. Taken by slack after ")
    slack.message("its end is told", lambda message: "RESOLVED" in message.title and "brief" in message.read())


def test_two_tests_in_a_row_are_two_messages(alertmanager: Any, slack: Any) -> None:
    for _ in range(2):
        assert _test(alertmanager.url, "--service", "twice").exit_code == 0
    assert len([each for each in slack.taken if "twice" in each.read() and "RESOLVED" not in each.title]) == 2


@pytest.mark.parametrize("answer", [(404, "no_service"), (500, "rollup_error")], ids=["revoked", "in trouble"])
def test_a_test_that_slack_does_not_take_fails_and_says_where_to_look(
    own: tuple[Any, Any], answer: tuple[int, str]
) -> None:
    running, taking = own
    taking.always = answer
    result = _test(running.url, "--wait", "3")
    assert result.exit_code == 1
    assert _said(result).startswith("Not delivered: RejectionRateHigh to warnings. slack refused. Alertmanager's log")
    assert taking.turned_away


def test_a_test_without_the_file_that_holds_the_address_fails(own: tuple[Any, Any], tmp_path: Path) -> None:
    running, _ = own
    (tmp_path / "secrets" / "slack_warnings_url").unlink()
    result = _test(running.url, "--wait", "3")
    assert result.exit_code == 1
    assert "`no such file` is the path in api_url_file" in _said(result)


def test_a_test_that_a_silence_holds_back_fails_and_names_it(own: tuple[Any, Any]) -> None:
    running, _ = own
    made = subprocess.run(
        ["amtool", "silence", "add", "service=my-bot", f"--alertmanager.url={running.url}", "--comment=x", "-a=me"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    result = _test(running.url)
    assert result.exit_code == 1
    assert f"`amtool silence expire {made.stdout.strip()}` ends it." in _said(result)


def test_a_test_to_a_receiver_that_tells_nobody_fails_and_says_so(alertmanager: Any) -> None:
    result = _test(alertmanager.url, "Watchdog")
    assert result.exit_code == 1
    assert "Not delivered: Watchdog to dead-mans-switch. That receiver has no way of telling anybody" in _said(result)


def test_an_alertmanager_that_is_not_there_or_is_something_else_is_told_without_its_password(slack: Any) -> None:
    gone = _test("http://me:hunter2@127.0.0.1:9")
    assert gone.exit_code == 1
    assert gone.stderr == (
        "error: Alertmanager: nobody answers at http://127.0.0.1:9: Connection refused. "
        "Start it, or say where it is: --alertmanager URL, or OTEL_OBS_ALERTMANAGER_URL.\n"
    )
    other = _test(slack.url)
    assert other.exit_code == 1
    assert "Give the address of Alertmanager itself" in other.stderr
    assert "ftp://127.0.0.1 is no address" in _test("ftp://127.0.0.1").stderr


def test_a_name_that_is_mistyped_is_asked_wrongly(alertmanager: Any) -> None:
    result = _test(alertmanager.url, "RejectionRateHihg")
    assert (result.exit_code, result.stderr) == (
        2, "error: There is no alert 'RejectionRateHihg'. Did you mean RejectionRateHigh?\n",
    )  # fmt: skip


def test_every_alert_can_be_tried_and_leaves_no_template_in_its_texts() -> None:
    for row in ALERTS:
        texts = trial.sample(row).annotations
        assert not any(mark in text for text in texts.values() for mark in ("{{", "}}", "<", "<no value>")), texts
        assert texts["summary"] != "TEST: "
        assert texts["look"].startswith("otel-obs ")
