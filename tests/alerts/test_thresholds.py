"""The operator's file of thresholds: the committed one, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from otel_obs.alerting import rules, thresholds
from otel_obs.contract.alerts.thresholds import THRESHOLDS, Thresholds
from otel_obs.errors import SettingError

ROOT = Path(__file__).parents[2]


def test_the_committed_file_is_what_is_printed_and_changes_nothing():
    committed = ROOT / "deploy" / "prometheus" / "thresholds.yaml"
    assert committed.read_text(encoding="utf-8") == thresholds.defaults()
    assert rules.files(thresholds.read(committed)) == rules.files(Thresholds())
    assert yaml.safe_load(thresholds.defaults()).keys() == THRESHOLDS.keys()


def test_the_example_of_a_service_in_the_committed_file_works_when_it_is_uncommented(tmp_path):
    _, _, tail = thresholds.defaults().partition("by its `service`:\n")
    file = tmp_path / "thresholds.yaml"
    file.write_text("\n".join(line.removeprefix("# ") for line in tail.splitlines()), encoding="utf-8")
    assert thresholds.read(file).of("daily-bot")["no_decisions_after"] == "30h"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rejection_ration: 0.9", ["'rejection_ration'", "rejection_ratio"]),
        ("rejection_ratio: 80%", ["rejection_ratio", "'80%'", "a share between 0 and 1"]),
        ("rejection_ratio: 1.5", ["rejection_ratio", "1.5", "a share between 0 and 1"]),
        ("rejection_window: 120", ["rejection_window", "120", "2h"]),
        ("rejection_window: 0s", ["rejection_window", "'0s'", "such as 15s"]),
        ("rejection_window:", ["rejection_window", "None"]),
        ("reconnect_max: -1", ["reconnect_max", "-1", "0 or more"]),
        ("reconnect_max: true", ["reconnect_max", "True"]),
        ("reconnect_max: .nan", ["reconnect_max", "nan"]),
        ("grafana: 'http://x/\"}'", ["grafana", "an address"]),
        ("services: daily-bot", ["services", "is not a map", "my-bot: {rejection_ratio: 0.9}"]),
        ("services: {daily-bot: 30h}", ["services", "is not a map"]),
        ("services: {daily-bot: {down_for: 5m}}", ["down_for", "'daily-bot'", "at the top"]),
        ("services: {daily-bot: {no_decisions: 5m}}", ["'no_decisions'", "no_decisions_after"]),
        ("services: {daily-bot: {reconnect_max: many}}", ["reconnect_max", "'many'", "a number"]),
        ("- rejection_ratio", ["is no map", "name: value"]),
        ("rejection_ratio: [", ["is no YAML", "name: value"]),
    ],
)
def test_a_wrong_file_is_told_by_its_name_the_value_and_what_is_wanted(tmp_path, text, says):
    file = tmp_path / "mine.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingError) as caught:
        thresholds.read(file)
    assert [word for word in [str(file), *says] if word not in str(caught.value)] == []


def test_a_file_that_is_not_there_is_told_with_how_to_begin_one(tmp_path):
    with pytest.raises(SettingError, match=r"none\.yaml cannot be read.*otel-obs alerts thresholds"):
        thresholds.read(tmp_path / "none.yaml")


def test_an_empty_file_wishes_nothing(tmp_path):
    file = tmp_path / "empty.yaml"
    file.write_text("# nothing yet\n", encoding="utf-8")
    assert thresholds.read(file).everywhere == Thresholds().everywhere
