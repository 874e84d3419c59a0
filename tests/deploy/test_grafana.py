"""Grafana's provisioning files agree with the services that they name and with what Grafana is given."""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path
from typing import Any

import yaml

from otel_obs.contract.dashboards import DataSource
from otel_obs.store.client import DATABASE, READER

ROOT = Path(__file__).parents[2]


def _provisioned(name: str) -> Any:
    text = (ROOT / "grafana" / "provisioning" / name / "otel_obs.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)


def test_grafana_has_both_sources_under_their_uids(services: dict[str, dict[str, Any]]) -> None:
    sources = {source["uid"]: source for source in _provisioned("datasources")["datasources"]}
    assert sources.keys() == set(DataSource)
    store = sources[DataSource.STORE]
    plugin, _, version = services["grafana"]["environment"]["GF_PLUGINS_PREINSTALL_SYNC"].partition("@")
    assert (store["type"], re.fullmatch(r"\d+\.\d+\.\d+", version) is not None) == (plugin, True)
    told = store["jsonData"]
    assert (told["username"], told["defaultDatabase"], told["protocol"]) == (READER, DATABASE, "http")
    assert (
        f"http://{services['grafana']['environment']['CLICKHOUSE_HOST']}:{told['port']}"
        == (services["collector"]["environment"]["OTEL_OBS_URL"])
    )
    assert "database" not in told  # the plugin reads defaultDatabase
    tables = {told[what]["defaultTable"] for what in ("logs", "traces")}
    assert tables == {"otel_logs", "otel_traces"}
    assert sources[DataSource.METRICS]["type"] == "prometheus"


def test_grafana_is_given_everything_that_its_files_ask_of_the_environment(
    services: dict[str, dict[str, Any]], passwords: dict[str, str]
) -> None:
    given = services["grafana"]["environment"]
    files = [*(ROOT / "grafana" / "provisioning").rglob("*.yaml")]
    text = "".join(file.read_text(encoding="utf-8") for file in files)
    asked = set(re.findall(r"\$\{(\w+)\}", text))
    assert len(re.findall(r"\$", text)) == len(re.findall(r"\$\{\w+\}", text))
    assert asked <= given.keys()
    assert given["CLICKHOUSE_HOST"] in services
    assert given["OTEL_OBS_READER_PASSWORD"] == passwords["OTEL_OBS_READER_PASSWORD"]
    assert not fnmatch.filter(passwords.values(), "*$*")  # would be read as a variable once more


def test_grafanas_own_alerts_go_to_alertmanager_and_its_dashboards_come_from_the_mounted_folder(
    services: dict[str, dict[str, Any]],
) -> None:
    alerting = _provisioned("alerting")
    (point,) = alerting["contactPoints"]
    (receiver,) = point["receivers"]
    assert (receiver["type"], receiver["settings"]) == ("prometheus-alertmanager", {"url": "${ALERTMANAGER_URL}"})
    assert [policy["receiver"] for policy in alerting["policies"]] == [point["name"]]
    (provider,) = _provisioned("dashboards")["providers"]
    targets = {mount["target"] for mount in services["grafana"]["volumes"]}
    assert provider["options"]["path"] in targets
