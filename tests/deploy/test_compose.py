"""The Compose file: what Docker understands of it is safe and whole, and agrees with the other files and the code."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import yaml

from otel_obs.settings import SETTINGS, resolve
from otel_obs.store.client import DATABASE, READER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "deploy" / "compose"
COLLECTOR = (ROOT / "collector" / "config" / "base.yaml").read_text(encoding="utf-8")
USERS = ET.parse(ROOT / "deploy" / "clickhouse" / "users.xml").getroot()
SERVER = ET.parse(ROOT / "deploy" / "clickhouse" / "config.xml").getroot()
ONE_SHOT = {"migrate"}

Services = dict[str, dict[str, Any]]


def _listens(service: dict[str, Any], name: str) -> set[int]:
    """The ports on which a container answers, each from where it is decided."""
    given = service.get("environment") or {}
    decided: dict[str, set[int]] = {
        "clickhouse": {8123, int(SERVER.findtext("prometheus/port") or 0)},  # HTTP: the server's own default
        "bot": {int(given.get("OTEL_OBS_METRICS_PORT", 0))},
        "collector": {
            int(str(given[f"COLLECTOR_{part}"]).rpartition(":")[2])
            for part in ("OTLP_HTTP", "OTLP_GRPC", "HEALTH", "METRICS_PORT")
            if f"COLLECTOR_{part}" in given
        },
        "prometheus": {9090}, "alertmanager": {9093}, "grafana": {3000}, "migrate": set(),  # the programs' defaults
    }  # fmt: skip
    return decided[name]


# ---- what Docker understands


def test_it_does_not_start_without_each_of_its_passwords_and_says_how_to_make_them(
    read_compose: Callable[[Path], subprocess.CompletedProcess[str]], passwords: dict[str, str], as_written: Services,
    tmp_path: Path,
) -> None:  # fmt: skip
    needed = set(re.findall(r"\$\{(\w+)", json.dumps(as_written)))
    assert needed <= passwords.keys()
    for missing in sorted(needed):
        file = tmp_path / missing
        file.write_text("".join(f"{name}={value}\n" for name, value in passwords.items() if name != missing))
        done = read_compose(file)
        assert done.returncode != 0
        assert f"required variable {missing} is missing a value: run make compose-env" in done.stderr


def test_every_service_is_bounded_watched_and_without_rights(services: Services) -> None:
    for name, service in services.items():
        assert int(service["mem_limit"]) <= 4 << 30, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["cap_drop"] == ["ALL"], name
        assert "privileged" not in service, name
        assert service["restart"] == ("no" if name in ONE_SHOT else "unless-stopped"), name
        assert ("healthcheck" in service) == (name not in ONE_SHOT), name
        user = service.get("user") or _last(service, "USER")
        assert re.fullmatch(r"[1-9]\d*:\d+", user), (name, user)


def test_only_this_machine_reaches_what_is_published(services: Services) -> None:
    published = [port for service in services.values() for port in service.get("ports") or []]
    assert {port["host_ip"] for port in published} == {"127.0.0.1"}
    assert all(port["published"] == str(port["target"]) for port in published)
    assert {port["target"] for port in published} == {
        3000, 4317, 4318, 8123, 8888, 9090, 9093, 9464, 13133,
    }  # fmt: skip


def test_every_image_is_of_one_exact_version(services: Services) -> None:
    images = {service["image"] for service in services.values() if "build" not in service}
    bases = {line.split()[1] for file in COMPOSE.glob("*Dockerfile") for line in _lines(file, "FROM")}
    assert len(images) == 4
    for image in images | bases:
        assert re.search(r":v?\d+\.\d+\.\d+", image), image


def _lines(file: Path, word: str) -> list[str]:
    return [line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith(f"{word} ")]


def _last(service: dict[str, Any], word: str) -> str:
    return _lines(ROOT / service["build"]["dockerfile"], word)[-1].split()[1]


# ---- files


def test_every_file_that_is_mounted_is_there(services: Services, environment: Path) -> None:
    mounts = [(name, mount) for name, service in services.items() for mount in service.get("volumes") or []]
    assert mounts
    for name, mount in mounts:
        if mount["type"] == "bind":
            source = Path(mount["source"])
            if source.is_relative_to(COMPOSE / "secrets"):
                source = environment.parent / source.relative_to(COMPOSE)  # made with the passwords
            assert source.exists(), f"{name} mounts {source}"
            assert mount["read_only"], f"{name} could write {source}"


def test_every_file_that_an_image_copies_is_there_and_sent_to_the_builder() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    assert ignored[0] == "*"
    for file in COMPOSE.glob("*Dockerfile"):
        for line in _lines(file, "COPY"):
            for source in [] if "--from" in line else line.split()[1:-1]:
                assert (ROOT / source).exists(), f"{file.name}: {source}"
                assert any(source == name or source.startswith(f"{name}/") for name in allowed), source


def test_what_alertmanager_reads_from_files_is_where_it_looks_for_it(services: Services, environment: Path) -> None:
    file = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
    asked = set(re.findall(r"^[^#\n]*_file: *(\S+)", file.read_text(encoding="utf-8"), re.MULTILINE))
    (folder,) = [
        mount for mount in services["alertmanager"]["volumes"] if mount["source"].endswith("secrets/alertmanager")
    ]
    made = {f"{folder['target']}/{made.name}" for made in (environment.parent / "secrets" / "alertmanager").iterdir()}
    assert asked
    assert asked <= made


# ---- names, ports, users


def _urls(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for each in value.values():
            yield from _urls(each)
    elif isinstance(value, list):
        for each in value:
            yield from _urls(each)
    elif isinstance(value, str):
        yield from re.findall(r"https?://[a-z0-9.]+:\d+", value)


def test_every_address_is_one_on_which_a_service_answers(services: Services) -> None:
    for name, service in services.items():
        for url in _urls([service.get("environment"), service.get("healthcheck")]):
            host, port = urlsplit(url).hostname, urlsplit(url).port
            asked = name if host == "127.0.0.1" else host
            assert port in _listens(services[asked], asked), f"{name} asks {url}"
        for port in service.get("ports") or []:
            assert port["target"] in _listens(service, name), f"{name} publishes {port['target']}"


def test_every_target_of_prometheus_is_one_on_which_a_service_answers(services: Services) -> None:
    files = sorted((COMPOSE / "targets").rglob("*.yml"))
    assert len(files) == 5
    for file in files:
        for group in yaml.safe_load(file.read_text(encoding="utf-8")):
            for target in group["targets"]:
                host, _, port = target.partition(":")
                assert int(port) in _listens(services[host], host), f"{file.name}: {target}"


def test_a_bots_target_bears_the_name_under_which_the_bot_speaks(services: Services) -> None:
    (group,) = yaml.safe_load((COMPOSE / "targets" / "bots" / "demo.yml").read_text(encoding="utf-8"))
    assert group["labels"] == {"service": services["bot"]["environment"]["OTEL_SERVICE_NAME"]}


def test_every_variable_is_one_that_its_reader_knows(services: Services) -> None:
    read = set(re.findall(r"\$\{env:(\w+)", COLLECTOR)) | {"GOMEMLIMIT"}
    assert services["collector"]["environment"].keys() <= read
    ours = {variable for row in SETTINGS for variable in row.variables}
    for name in ("migrate", "bot"):
        assert services[name]["environment"].keys() <= ours
        resolve(services[name]["environment"])
    hashes = {password.attrib["from_env"] for password in USERS.iter("password_sha256_hex")}
    clickhouse = services["clickhouse"]["environment"]
    assert clickhouse.keys() == hashes | {"CLICKHOUSE_SKIP_USER_SETUP"}


def test_users_passwords_and_the_database_are_the_same_everywhere(
    services: Services, passwords: dict[str, str]
) -> None:
    known = {user.tag: user for user in USERS.find("users") or []}
    for name, who in (("migrate", "owner"), ("collector", "writer")):
        given = services[name]["environment"]
        assert (given["OTEL_OBS_USER"], who in known) == (who, True)
        assert given["OTEL_OBS_PASSWORD"] == passwords[f"OTEL_OBS_{who.upper()}_PASSWORD"]
        hashed = known[who].find("password_sha256_hex").attrib["from_env"]
        assert hashed == f"OTEL_OBS_{who.upper()}_PASSWORD_SHA256"
    grants = {grant.text.split(" ON ")[1] for who in ("writer", READER) for grant in known[who].iter("query")}
    assert grants == {f"{DATABASE}.*"}
    assert yaml.safe_load(COLLECTOR)["exporters"]["clickhouse"]["database"] == DATABASE


def test_no_password_is_written_anywhere(as_written: Services) -> None:
    for name, service in as_written.items():
        for variable, value in (service.get("environment") or {}).items():
            if re.search(r"PASSWORD|SECRET|TOKEN|KEY", variable):
                assert re.fullmatch(r"\$\{\w+:\?run make compose-env\}", value), f"{name}: {variable}"
    for user in USERS.find("users") or []:
        assert user.find("password") is None
        assert user.find("no_password") is None
        hashed = user.find("password_sha256_hex")
        assert (hashed.text, list(hashed.attrib)) == (None, ["from_env"]), user.tag
    files = [*(ROOT / "grafana" / "provisioning").rglob("*.yaml"), *(ROOT / "deploy").rglob("*.yml")]
    for file in files:
        for value in re.findall(r"(?im)^[^#\n]*password: +(\S.*)$", file.read_text(encoding="utf-8")):
            assert value.startswith("${"), f"{file.name}: {value}"


def test_the_collector_starts_after_the_schema_is_there(services: Services) -> None:
    assert services["collector"]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    assert services["migrate"]["depends_on"]["clickhouse"]["condition"] == "service_healthy"
    assert services["migrate"]["command"] == ["migrate"]


def test_the_collectors_queue_lies_on_a_volume_that_its_user_may_write(services: Services) -> None:
    (volume,) = services["collector"]["volumes"]
    dockerfile = (COMPOSE / "collector.Dockerfile").read_text(encoding="utf-8")
    assert f"${{env:COLLECTOR_QUEUE_DIR:-{volume['target']}}}" in COLLECTOR
    uid = _last(services["collector"], "USER").partition(":")[0]
    assert f"install -d -o {uid} -g {uid} -m 0700 {volume['target']}" in dockerfile


def test_the_collector_accepts_its_configuration_with_what_compose_gives_it(
    services: Services, beside: Callable[[str], Any], tmp_path: Path
) -> None:
    line = beside("acceptance/pipeline.py")
    assert line.OTELCOL.exists(), "missing: the collector. `make collector` builds it"
    asked = json.loads(_lines(COMPOSE / "collector.Dockerfile", "CMD")[0].removeprefix("CMD "))
    copied = _lines(COMPOSE / "collector.Dockerfile", "COPY")[-1].split()[-1]
    command = [part.replace(copied, str(line.CONFIG)) for part in asked]
    environment = {**services["collector"]["environment"], "COLLECTOR_QUEUE_DIR": str(tmp_path)}
    done = subprocess.run(
        [line.OTELCOL, "validate", *command], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, command[1]) == (0, str(line.CONFIG / "base.yaml")), done.stderr
