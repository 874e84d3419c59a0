"""`otel-obs store`: on a store that runs, by address, and on a directory that nobody serves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from otel_obs.store.client import connect
from otel_obs.store.embedded.server import Ports, Server
from otel_obs.surfaces.cli.commands import otel_obs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

CLI = [sys.executable, "-m", "otel_obs.surfaces.cli"]
DAY = ["--from", "2025-12-19", "--to", "2025-12-20", "--tz", "UTC"]
ENVIRONMENT = {name: text for name, text in os.environ.items() if not name.startswith(("OTEL_", "FORCE_COLOR"))}
ANYWHERE = Ports(otlp=0, otlp_grpc=0, clickhouse=0, web=0)


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of this machine's own settings."""
    for name in os.environ:
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, otlp: ModuleType) -> Iterator[Server]:
    """A running store with three decisions."""
    server = Server(tmp_path_factory.mktemp("upkeep") / "data", ANYWHERE)
    client = connect(server.addresses.clickhouse_url)
    gates = [("gate.evaluated", {"gate.name": "spread_guard", "gate.verdict": "deny"})]
    otlp.insert(client, "otel_traces", [otlp.span_row({"decision.what": "enter"}, gates, number=n) for n in (1, 2, 3)])
    client.close()
    yield server
    server.stop()


def _cli(*arguments: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(otel_obs, ["store", *map(str, arguments)])
    assert result.exit_code == code, (result.output, result.exception)
    return result


def _json(*arguments: str | Path) -> Any:
    return json.loads(_cli(*arguments, "--json").stdout)


def _process(*arguments: str | Path, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*CLI, *map(str, arguments)], input=given, capture_output=True, check=False, timeout=120, env=ENVIRONMENT
    )


def test_a_backup_by_address_is_restored_into_a_directory_and_answers_alike(served: Server, tmp_path: Path) -> None:
    url, copy, new = served.addresses.clickhouse_url, tmp_path / "copy", tmp_path / "new"
    taken = _json("backup", copy, "--url", url)
    assert (taken["rows"], taken["left_out"]) == (3 * 3 + 3, [])  # spans, decisions, gates; one trace id is three
    done = _process("store", "restore", copy, "--data", new)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().startswith("12 rows of ")
    assert b"counts and checksums agree" in done.stdout
    assert b"\x1b" not in done.stdout
    for question in ("why", "decisions"):
        answer = _process("report", question, *DAY, "--data", new, "--json")
        assert answer.returncode == 0, answer.stderr
        assert answer.stdout == _process("report", question, *DAY, "--url", url, "--json").stdout
    again = _process("store", "restore", copy, "--data", new)
    assert (again.returncode, b"not empty" in again.stderr, b"Traceback" in again.stderr) == (1, True, False)


def test_a_restore_into_a_running_store_lets_it_run(served: Server, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    taken = _json("backup", copy, "--url", served.addresses.clickhouse_url)
    ports = tmp_path / "ports.json"
    options = ["--otlp-port", "0", "--otlp-grpc-port", "0", "--clickhouse-port", "0", "--web-port", "0"]
    up = subprocess.Popen(
        [*CLI, "up", "--data", str(tmp_path / "other"), *options, "--ports-file", str(ports)],
        stdout=subprocess.PIPE, env=ENVIRONMENT,
    )  # fmt: skip
    try:
        assert up.stdout is not None
        while not ports.exists():
            assert up.stdout.readline()
        restored = _json("restore", copy, "--data", tmp_path / "other")
        assert (restored["tables"], restored["resumed"]) == (taken["tables"], False)
        found = _json("size", "--data", tmp_path / "other")
        assert (found["rows"], found["left_over"]) == (taken["rows"], [])
    finally:
        up.terminate()
        up.communicate(timeout=60)
    assert up.returncode == 0


def test_size_says_it_in_a_sentence_first(served: Server) -> None:
    url = served.addresses.clickhouse_url
    found = _json("size", "--url", url)
    row = next(each for each in found["tables"] if each["table"] == "decisions")
    assert (row["rows"], row["parts"], row["retention"]) == (3, 1, "730d")
    assert row["first_event"] == row["last_event"] == "2025-12-19T12:00:00+00:00"
    assert found["bytes"] == sum(each["bytes"] for each in found["tables"])
    told = _cli("size", "--url", url).stdout.splitlines()[0]
    assert told.startswith(f"{found['rows']} rows in {len(found['tables'])} tables, ")
    assert "are free" in told


def test_retention_is_shown_tried_confirmed_and_read_back(served: Server) -> None:
    where = ("--url", served.addresses.clickhouse_url)
    rules = {each["table"]: each["retention"] for each in _json("retention", *where)}
    assert (rules["otel_traces"], rules["decisions"], rules["orders"]) == ("90d", "730d", "3650d")
    plan = _json("retention", "orders=30d", "decisions=forever", "--dry-run", *where)
    assert [(each["table"], each["wanted"], each["goes"]["rows"], each["stays"]["rows"]) for each in plan] == [
        ("orders", "30d", 0, 0),
        ("decisions", "forever", 0, 3),
    ]
    assert {each["table"]: each["retention"] for each in _json("retention", *where)} == rules

    # nobody is there to ask
    refused = _process("store", "retention", "orders=30d", *where, given=b"y\n")
    assert (refused.returncode, b"--yes" in refused.stderr) == (2, True)
    assert {each["table"]: each["retention"] for each in _json("retention", *where)} == rules

    done = _json("retention", "orders=30d", "decisions=forever", "--yes", *where)
    assert [(each["table"], each["retention"]) for each in done] == [("orders", "30d"), ("decisions", "forever")]
    after = {each["table"]: each["retention"] for each in _json("retention", *where)}
    assert after == {**rules, "orders": "30d", "decisions": "forever"}


def test_rules_outlive_a_restart(tmp_path: Path) -> None:
    data = tmp_path / "data"
    nothing = _process("store", "size", "--data", data)
    assert (nothing.returncode, b"holds no store" in nothing.stderr) == (1, True)
    _prepare(data)
    for _ in range(2):  # the second time there is no rule left to take away
        done = _process("store", "retention", "fills=36h", "orders=none", "--yes", "--data", data)
        assert done.returncode == 0, done.stderr
    rules = json.loads(_process("store", "retention", "--data", data, "--json").stdout)
    told = {each["table"]: each["retention"] for each in rules}
    assert (told["fills"], told["orders"], told["otel_logs"]) == ("36h", "forever", "90d")


def _prepare(data: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "from otel_obs.store.embedded.directory import DataDirectory\n"
        "DataDirectory(pathlib.Path(sys.argv[1])).release()\n"
    )
    subprocess.run([sys.executable, "-c", code, str(data)], check=True, timeout=60, env=ENVIRONMENT)


def test_optimize_finds_nothing_to_do_in_weeks_of_one_part(served: Server) -> None:
    told = _cli("optimize", "traces", "--dry-run", "--url", served.addresses.clickhouse_url).stdout
    assert told.startswith("Nothing to merge")


@pytest.mark.parametrize(
    ("arguments", "told", "code"),
    [
        (["retention", "otel_traces"], "TABLE=PERIOD", 2),
        (["retention", "otel_traces=30"], "30d", 2),
        (["retention", "otel_traces=30d", "otel_traces=31d"], "twice", 2),
        (["retention", "otel_trace=30d", "--dry-run"], "Did you mean otel_traces?", 2),
        (["optimize", "decision"], "Did you mean decisions?", 2),
        (["restore", "/nowhere"], "manifest.json", 1),
        (["backup", "/"], "is there already", 1),
        (["backup", "/proc/no/where"], "cannot be written", 1),
    ],
)
def test_what_is_asked_wrongly_is_told_with_the_way_out(
    served: Server, arguments: list[str], told: str, code: int
) -> None:
    result = _cli(*arguments, "--url", served.addresses.clickhouse_url, code=code)
    assert told in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize("command", [[], ["size"], ["retention"], ["optimize"], ["backup"], ["restore"]], ids=" ".join)
def test_every_command_explains_itself(command: list[str]) -> None:
    assert "Usage:" in _cli(*command, "--help").stdout
