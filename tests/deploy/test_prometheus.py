"""Prometheus' file: the real promtool and the real Prometheus take it, with the targets of each environment."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import yaml

from otel_obs.contract.alerts.alert import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
ENVIRONMENTS = ("compose", "systemd")


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    for program in ("prometheus", "promtool"):
        assert shutil.which(program), f"missing: {program}. On Debian: apt-get install prometheus"


def _assembled(environment: str, place: Path) -> Path:
    """As it is mounted, or lies in /etc/prometheus."""
    shutil.copy(PROMETHEUS / "prometheus.yml", place)
    shutil.copytree(ROOT / "deploy" / environment / "targets", place / "targets")
    if (PROMETHEUS / "rules").exists():
        shutil.copytree(PROMETHEUS / "rules", place / "rules")
    return place / "prometheus.yml"


def _promtool(*arguments: str | Path) -> str:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_promtool_accepts_it_with_the_targets_and_rules_of_each_environment(environment: str, tmp_path: Path) -> None:
    said = _promtool("check", "config", _assembled(environment, tmp_path))
    assert "WARNING" not in said
    assert "rule files found" in said


def test_what_is_scraped_are_the_jobs_that_alerts_know() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text(encoding="utf-8"))
    assert [job["job_name"] for job in config["scrape_configs"]] == list(Job)
    assert config["global"] == {"scrape_interval": "15s", "evaluation_interval": "15s"}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_job_has_its_target_and_a_bot_has_a_name(environment: str, tmp_path: Path) -> None:
    config = yaml.safe_load(_assembled(environment, tmp_path).read_text(encoding="utf-8"))
    for job in config["scrape_configs"]:
        ((pattern,),) = [discovery["files"] for discovery in job["file_sd_configs"]]
        (file,) = tmp_path.glob(pattern)
        (group,) = yaml.safe_load(file.read_text(encoding="utf-8"))
        assert len(group["targets"]) == 1
        assert list(group.get("labels", {})) == (["service"] if job["job_name"] == Job.BOTS else [])


@pytest.fixture
def processes(beside: Callable[[str], Any], tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    line = beside("acceptance/pipeline.py")
    started = []

    def process(name: str) -> Any:
        started.append(line.Process(name, tmp_path / f"{name}.log"))
        return started[-1]

    yield process
    for each in started:
        if each.popen is not None and each.ended() is None:
            each.end()
        sys.stdout.write(f"---- {each.name}\n{each.told()}\n")


def _port(line: Any, process: Any, path: str) -> int:
    """Where a process answers ``path``, among the ports that it listens on."""

    def found() -> int:
        assert process.ended() is None, process.told()
        for port in line._listening(process.pid):
            if line.request(port, "GET", path)[0] == 200:
                return port
        return 0

    return line.eventually(f"{process.name} answers {path}", found)


def test_the_example_bot_is_scraped_under_its_name_speaks_and_ends_in_order(
    beside: Callable[[str], Any], processes: Callable[[str], Any], tmp_path: Path
) -> None:
    line = beside("acceptance/pipeline.py")
    bot, prometheus = processes("bot"), processes("prometheus")
    with line.sink() as (url, kept):
        given = {"PYTHONPATH": str(ROOT), "OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_OBS_METRICS_PORT": "0"}
        bot.run(
            [sys.executable, "-m", "otel_obs.surfaces.cli.demo.bots.live"], {**given, "OTEL_SERVICE_NAME": "demo-bot"}
        )
        config = _assembled("compose", tmp_path)
        config.write_text(config.read_text(encoding="utf-8").replace("15s", "1s"), encoding="utf-8")
        target = tmp_path / "targets" / "bots" / "demo.yml"
        there = f"127.0.0.1:{_port(line, bot, '/metrics')}"
        target.write_text(target.read_text(encoding="utf-8").replace("bot:9464", there), encoding="utf-8")
        prometheus.run(
            ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'tsdb'}",
             "--web.listen-address=127.0.0.1:0"], {"PATH": os.environ["PATH"]},
        )  # fmt: skip
        port = _port(line, prometheus, "/-/ready")

        def scraped() -> bool:
            query = 'otel_obs_heartbeats_total{job="bots", service="demo-bot"} >= 2 and on(service) up == 1'
            answer = json.loads(line.request(port, "GET", f"/api/v1/query?query={quote(query)}")[1])
            return bool(answer["data"]["result"])

        line.eventually("two rounds are scraped", scraped)
        assert bot.end(signal.SIGTERM) == 0, bot.told()
    assert {path for path, _ in kept} >= {"/v1/traces"}
    assert any(b"demo-bot" in body for _, body in kept)
    assert "not delivered" not in bot.told()
