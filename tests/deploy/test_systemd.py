"""The units: systemd takes them, they can do little harm, and what they start finds its files."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "deploy" / "systemd"
NAMES = {"otel_obs-agent.service": "agent", "otel_obs-gateway.service": "gateway", "otel_obs-bot@.service": ""}


def _unit(name: str) -> str:
    return (UNITS / name).read_text(encoding="utf-8")


def _commands(name: str) -> list[str]:
    return re.findall(r"^ExecStart=(.*)$", _unit(name), re.MULTILINE)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units with programs that are on this machine; systemd asks whether they can be run."""
    for name in NAMES:
        text = re.sub(r"^ExecStart=/(usr/local|opt)\S+", "ExecStart=/bin/true", _unit(name), flags=re.MULTILINE)
        (tmp_path / name.replace("@", "@example")).write_text(text, encoding="utf-8")
    return tmp_path


def test_there_is_no_unit_that_is_not_looked_at() -> None:
    assert {file.name for file in UNITS.glob("*.service")} == NAMES.keys()


@pytest.mark.parametrize("name", NAMES)
def test_systemd_takes_it_and_finds_little_that_it_could_harm(name: str, installed: Path) -> None:
    unit = installed / name.replace("@", "@example")
    for command in (["verify", "--man=no"], ["security", "--offline=true", "--threshold=20"]):
        done = subprocess.run(["systemd-analyze", *command, unit], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert command[0] != "verify" or done.stderr == ""


@pytest.mark.parametrize("name", NAMES)
def test_it_comes_back_is_bounded_and_holds_no_secret(name: str) -> None:
    text = _unit(name)
    assert "Restart=always" in text
    assert re.search(r"^MemoryMax=\d", text, re.MULTILINE)
    assert "DynamicUser=yes" in text
    for variable in re.findall(r"^Environment=(\w*(?:PASSWORD|SECRET|TOKEN)\w*)", text, re.MULTILINE):
        pytest.fail(f"{variable} stands in the unit")


@pytest.mark.parametrize(("name", "overlay"), [(name, overlay) for name, overlay in NAMES.items() if overlay])
def test_a_collectors_files_variables_and_credentials_are_those_of_its_configuration(name: str, overlay: str) -> None:
    (command,) = _commands(name)
    files = re.findall(r"--config /etc/otel_obs/collector/(\w+\.yaml)", command)
    assert files == ["base.yaml", f"{overlay}.yaml"]
    config = "".join((ROOT / "collector" / "config" / file).read_text(encoding="utf-8") for file in files)
    given = dict(re.findall(r"^Environment=(COLLECTOR_\w+)=(.*)$", _unit(name), re.MULTILINE))
    assert given.keys() <= set(re.findall(r"\$\{env:(\w+)", config))
    loaded = set(re.findall(r"^LoadCredential=([^:]+):", _unit(name), re.MULTILINE))
    asked = {value.removeprefix("%d/") for value in given.values() if value.startswith("%d/")}
    assert asked | set(re.findall(r"cat %d/(\w+)", command)) == loaded
    state = re.findall(r"^StateDirectory=(.*)$", _unit(name), re.MULTILINE)
    assert [given["COLLECTOR_QUEUE_DIR"]] == [f"%S/{folder}" for folder in state]


def test_the_gateway_takes_the_stores_password_from_its_credential(
    beside: Callable[[str], Any], tmp_path: Path
) -> None:
    line = beside("acceptance/pipeline.py")
    assert line.OTELCOL.exists(), "missing: the collector. `make collector` builds it"
    (tmp_path / "store_password").write_text("it's: 1 $word\n", encoding="utf-8")
    (command,) = _commands("otel_obs-gateway.service")
    shell = re.fullmatch(r"/bin/sh -c '(.*)'", command)[1].replace("$$", "$").replace("%d", str(tmp_path))
    shell = shell.replace("/usr/local/bin/otelcol", f"{line.OTELCOL} print-config --mode=unredacted --format=json")
    shell = shell.replace("/etc/otel_obs/collector", str(line.CONFIG))
    for file in ("ca.crt", "gateway.crt", "gateway.key"):
        (tmp_path / file).touch()
    environment = {
        "PATH": "/usr/bin:/bin", "COLLECTOR_QUEUE_DIR": str(tmp_path), "COLLECTOR_TLS_CA": str(tmp_path / "ca.crt"),
        "COLLECTOR_TLS_CERT": str(tmp_path / "gateway.crt"), "COLLECTOR_TLS_KEY": str(tmp_path / "gateway.key"),
    }  # fmt: skip
    done = subprocess.run(["/bin/sh", "-c", shell], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.JSONDecoder().raw_decode(done.stdout[done.stdout.index("{") :])[0]
    assert told["exporters"]["clickhouse"]["password"] == "it's: 1 $word"


def test_a_bot_speaks_to_the_agent_beside_it_and_has_time_to_say_all() -> None:
    text = _unit("otel_obs-bot@.service")
    assert "Environment=OTEL_SERVICE_NAME=%i\n" in text
    agent = (ROOT / "collector" / "config" / "base.yaml").read_text(encoding="utf-8")
    assert "Environment=OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318\n" in text
    assert "COLLECTOR_OTLP_HTTP:-127.0.0.1:4318" in agent
    assert "Requires=" not in text.replace("No Requires=", "")
