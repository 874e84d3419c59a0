"""`otel-obs doctor` on a bot's recorder, as the bot's own metrics tell it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from click.testing import CliRunner

from otel_obs.surfaces.cli.commands import otel_obs

pytestmark = pytest.mark.timeout(240)
_BOT = """
import otel_obs as obs
from otel_obs import settings
from otel_obs.contract.tiers import Loss, Tier
from otel_obs.sdk.ledger import Balance
from otel_obs.sdk.monitor import *
def recorder():
    return {told}
obs.configure(service_name="my-bot", metrics_port=0)
obs.health.start(settings.active, delivery=recorder)
print(obs.health.address(), flush=True)
input()
"""
_WHOLE = """Delivery(
    instance='i', tiers={Tier.DURABLE: Balance(numbered=9, confirmed=9, delivered=7)}, waiting={Tier.DURABLE: 2})
"""
_ILL = """Delivery(
    instance='i', waiting={}, queue=QueueStanding(kill_switch=True, kills=1),
    journal=JournalStanding(state="disk_full"),
    tiers={Tier.DURABLE: Balance(numbered=9, confirmed=9, delivered=7),
           Tier.STANDARD: Balance(untaken={Loss.KILL_SWITCH: 4})})
"""


def _doctor(told: str) -> dict[str, dict[str, Any]]:
    """What doctor finds of a bot whose recorder tells this."""
    clean = {name: text for name, text in os.environ.items() if not name.startswith(("OTEL_", "PROMETHEUS_"))}
    nowhere = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_OBS_SHUTDOWN_TIMEOUT": "0.1"}
    with subprocess.Popen(
        [sys.executable, "-c", _BOT.replace("{told}", told)], env=clean | nowhere, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as bot:  # fmt: skip
        try:
            assert bot.stdout is not None
            port = bot.stdout.readline().rpartition(":")[2].partition("/")[0]
            elsewhere = {f"OTEL_OBS_{name}_URL": "http://127.0.0.1:1" for name in ("PROMETHEUS", "ALERTMANAGER")}
            result = CliRunner().invoke(
                otel_obs, ["doctor", "--json", "--no-send"], env=nowhere | elsewhere | {"OTEL_OBS_METRICS_PORT": port}
            )
        finally:
            bot.kill()
    return {row["about"]: row for row in json.loads(result.stdout) if row["about"].startswith("bot's ")}


def test_a_recorder_that_does_its_work_is_told_with_its_figures() -> None:
    found = _doctor(_WHOLE)
    assert found.keys() == {"bot's recorder", "bot's metrics"}
    told = found["bot's recorder"]
    assert told["found"] == "9 records since its start: 7 delivered, 2 waiting, 0 dropped (0 durable)"
    assert (told["ok"], told["fix"]) == (True, "")


def test_a_full_disk_a_kill_switch_and_a_ledger_that_does_not_add_up_are_told_each_with_its_fix() -> None:
    found = _doctor(_ILL)
    told = found["bot's recorder"]
    assert told["found"] == "13 records since its start: 7 delivered, 0 waiting, 4 dropped (0 durable)"
    assert "otel-obs report delivery" in told["fix"]
    assert found["bot's journal"]["found"] == "disk_full"
    assert "JournalUnwritable" in found["bot's journal"]["fix"]
    assert found["bot's ledger"]["found"].startswith("2 records")
    wrong = {about for about, row in found.items() if not row["ok"]}
    assert wrong == {"bot's journal", "bot's kill switch", "bot's ledger"}


def test_of_a_bot_whose_records_another_sdk_takes_nothing_is_said() -> None:
    assert _doctor("None").keys() == {"bot's metrics"}
