"""The command line: what it prints in each form, how it ends, and what it says where something is wrong."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any, cast

import pytest
from click.testing import CliRunner, Result

from otel_obs.reports.registry import REPORTS
from otel_obs.store.client import open_directory
from otel_obs.store.embedded import otlp_http
from otel_obs.store.embedded.directory import DataDirectory
from otel_obs.store.embedded.listener import Listener
from otel_obs.store.embedded.otlp_grpc import GrpcListener
from otel_obs.store.embedded.otlp_intake import Intake
from otel_obs.store.migrate import migrate
from otel_obs.surfaces.cli.commands import otel_obs

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import ModuleType

CLI = [sys.executable, "-m", "otel_obs.surfaces.cli"]
DAY = ["--from", "2025-12-19", "--to", "2025-12-20", "--tz", "UTC"]
ENVIRONMENT = {name: text for name, text in os.environ.items() if not name.startswith(("OTEL_", "FORCE_COLOR"))}
SNEAKY = "\x1b[2J\x1b]0;owned\x07 wide\x9b31m spread\x7f \u202egnp.exe"
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, otlp: ModuleType) -> Path:
    """A store that nobody serves: two vetoes, a held one, and one that tries to take over the screen."""
    data = tmp_path_factory.mktemp("cli") / "data"
    gates = [
        (
            "gate.evaluated",
            {
                "gate.name": "spread_guard",
                "gate.verdict": "deny",
                "gate.observed": "16.7",
                "gate.threshold": "5",
                "gate.comparison": "at_most",
                "gate.unit": "bps",
            },
        )
    ]
    rows = [
        otlp.span_row({"trace.name": "cycle", "trace.intent": "trade"}, number=0xA0),
        otlp.span_row(
            {"decision.what": "enter", "decision.why": 'a, "b" | c\nd'}, gates, number=0xA1, trace=0xA0, parent=0xA0
        ),
        otlp.span_row({"decision.what": "enter"}, gates, number=0xA2),
        otlp.span_row({"decision.what": "hold"}, number=0xA3),
        otlp.span_row(
            {
                "decision.what": SNEAKY,
                "decision.why": SNEAKY,
                "decision.inputs": json.dumps({SNEAKY: SNEAKY}, ensure_ascii=False),
            },
            [("gate.evaluated", {"gate.name": SNEAKY, "gate.verdict": "deny", "gate.reason": SNEAKY})],
            number=0xA4,
            service=SNEAKY,
        ),
        otlp.span_row(
            {"trace.name": SNEAKY, "trace.query": SNEAKY, "trace.evidence": json.dumps({"a": SNEAKY})}, number=0xA5
        ),
    ]
    with DataDirectory(data) as directory:
        client = open_directory(directory.engine)
        migrate(client)
        otlp.insert(client, "otel_traces", rows)
        client.close()
    return data


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of this machine's own settings."""
    for name in os.environ:
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)


def _cli(*arguments: str | Path, env: Mapping[str, str] | None = None) -> Result:
    result = CliRunner().invoke(otel_obs, [str(argument) for argument in arguments], env=env)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def _process(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*CLI, *map(str, arguments)], capture_output=True, check=False, timeout=60, env={**ENVIRONMENT, **environment}
    )


# ---- forms


def test_json_is_the_data_and_nothing_else(data: Path) -> None:
    result = _cli("report", "why", *DAY, "--data", data, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    answer = json.loads(result.stdout)
    assert (answer["decisions"], answer["vetoed"], answer["held"]) == (4, 3, 1)
    assert answer["by_gate"]["spread_guard"] == 2
    assert next(iter(answer["by_gate"])) == "spread_guard"


def test_csv_is_rows_for_lists_and_names_with_values_for_one_answer(data: Path) -> None:
    listed = _cli("report", "decisions", *DAY, "--data", data, "--csv")
    rows = list(csv.DictReader(io.StringIO(listed.stdout)))
    assert [row["outcome"] for row in rows] == ["vetoed", "vetoed", "held", "vetoed"]
    assert rows[0]["why"] == 'a, "b" | c\nd'
    assert rows[0]["timestamp"] == "2025-12-19T12:00:00+00:00"
    one = dict(csv.reader(io.StringIO(_cli("report", "why", *DAY, "--data", data, "--csv").stdout)))
    assert (one["name"], one["cycles.total"], one["by_gate.spread_guard"], one["rejection_rate"]) == (
        "value",
        "1",
        "2",
        "1.0",
    )
    empty = _cli("report", "decisions", "--from", "2020-01-01", "--to", "2020-01-02", "--data", data, "--csv")
    assert (empty.exit_code, empty.stdout.strip()) == (0, listed.stdout.splitlines()[0])  # the columns are told


def test_markdown_tables_hold_together_whatever_a_cell_says(data: Path) -> None:
    lines = _cli("report", "decisions", *DAY, "--data", data, "--md").stdout.splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {10}
    assert len(table) == 2 + 4


def test_a_reader_sees_a_sentence_and_tables_without_colours_in_a_pipe(data: Path) -> None:
    done = _process("report", "why", *DAY, "--data", data)
    text = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b"")
    assert text.startswith("4 decisions: 0 executed, 3 vetoed (2 by spread_guard")
    assert "rejection rate" in text
    assert "\x1b" not in text


def test_a_pipe_that_is_closed_early_is_no_disaster(data: Path) -> None:
    process = subprocess.Popen(
        [*CLI, "report", "decisions", *DAY, "--data", str(data), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    error = process.stderr.read()
    process.stderr.close()
    process.wait(60)
    assert b"Traceback" not in error


def test_a_terminal_without_our_signs_still_gets_an_answer(data: Path) -> None:
    done = _process("report", "gates", *DAY, "--data", data, PYTHONIOENCODING="latin-1", PYTHONUTF8="0")
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    assert b"spread_guard" in done.stdout


@pytest.mark.parametrize("form", ["", "--json", "--csv", "--md"])
@pytest.mark.parametrize(
    "question",
    [
        ["why", *DAY],
        ["rejections", *DAY],
        ["gates", *DAY],
        ["decisions", *DAY],
        ["decision", f"{0xA4:016x}"],
        ["trace", f"{0xA4:032x}"],
        ["co-denials", *DAY],
        ["summary", *DAY],
        ["changes", *DAY],
        ["scorecard", f"{0xA5:032x}"],
        ["scorecard", f"{0xA5:032x}", "--form", "markdown"],
        ["compare", f"{0xA5:032x}", f"{0xA0:032x}"],
        ["traces", *DAY],
        ["slowest", *DAY],
    ],
    ids=lambda question: question[0],
)
def test_what_a_bot_wrote_cannot_take_over_the_screen(data: Path, question: list[str], form: str) -> None:
    result = _cli("report", *question, "--data", data, *filter(None, [form]))
    assert result.exit_code == 0, result.output
    assert "owned" in result.stdout
    assert CONTROL.search(result.stdout) is None
    if form == "--json":
        assert SNEAKY in _strings(json.loads(result.stdout))  # escaped, not lost


def _strings(value: Any) -> str:
    """All texts inside a JSON value, in one."""
    if isinstance(value, dict):
        return "\n".join(_strings(inner) for pair in value.items() for inner in pair)
    if isinstance(value, list):
        return "\n".join(map(_strings, value))
    return value if isinstance(value, str) else ""


# ---- exit codes


def test_exit_codes_tell_answered_failed_asked_wrongly_and_not_there(data: Path, tmp_path: Path) -> None:
    assert _cli("report", "why", "--data", data).exit_code == 0
    assert _cli("report", "why", "--data", tmp_path / "nothing").exit_code == 1
    assert _cli("report", "why", "--data", data, "--from", "soon").exit_code == 2
    assert _cli("report", "decision", "ffff", "--data", data).exit_code == 3
    assert _process("report", "decision", "ffff", "--data", data).returncode == 3
    assert _process("report", "why", "--data", data, "--from", "soon").returncode == 2


@pytest.mark.parametrize("form", ["", "--json", "--csv", "--md"])
def test_an_id_that_is_not_there_is_told_on_stderr(data: Path, form: str) -> None:
    result = _cli("report", "trace", "ffff", "--data", data, *filter(None, [form]))
    assert result.exit_code == 3
    assert "No span has the trace id 'ffff'" in result.stderr
    if form == "--json":
        assert json.loads(result.stdout) is None


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["report", "rejectoins"], "Did you mean rejections?"),
        (["report", "why", "--from", "soon"], "-2h"),
        (["report", "why", "--tz", "Mars"], "Asia/Kolkata"),
        (["report", "why", "--json", "--csv"], "Give one of --json, --csv, --md and --sql"),
        (["report", "why", "--url", "x", "--data", "y"], "not both"),
        (["report", "decision"], "ID"),
        (["report", "decisions", "--outcome", "vetted"], "vetoed"),
        (["report", "decisions", "--limit", "0"], "limit"),
        (["report", "why", "--form", "now"], "--from"),
        (["rapport"], "report"),
    ],
)
def test_what_is_asked_wrongly_is_told_before_any_store_is_looked_for(arguments: list[str], told: str) -> None:
    result = _cli(*arguments)
    assert result.exit_code == 2, result.output
    assert told in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--data", "/nowhere/at/all"], "holds no store"),
        (["--url", "http://127.0.0.1:1"], "No store answers at http://127.0.0.1:1"),
        (["--url", "http://me:secret@127.0.0.1:1"], "No store answers at http://127.0.0.1:1"),
        (["--url", "http://localhost:notaport"], "--url"),
        (["--url", "http://[::1"], "--url"),
        (["--url", "gopher://localhost:1"], "No store answers"),
    ],
)
def test_a_store_that_cannot_be_asked_is_told_in_one_line_with_a_fix(arguments: list[str], told: str) -> None:
    result = _cli("report", "why", *arguments)
    assert result.exit_code == 1, result.output
    assert told in result.stderr
    assert len([line for line in result.stderr.splitlines() if line.startswith("error: ")]) == 1
    assert "secret" not in result.output


def test_the_store_may_be_named_by_the_environment(data: Path) -> None:
    env = {"OTEL_OBS_DATA": str(data)}
    assert json.loads(_cli("report", "why", *DAY, "--json", env=env).stdout)["decisions"] == 4
    # what is given counts more
    assert _cli("report", "why", "--url", "http://127.0.0.1:1", env=env).exit_code == 1


def test_two_that_ask_the_same_directory_take_turns(data: Path) -> None:
    command = [*CLI, "report", "why", *DAY, "--data", str(data), "--json"]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
        for _ in range(3)
    ]
    answers = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0, 0], answers
    assert {json.loads(out)["decisions"] for out, _ in answers} == {4}


# ---- help


@pytest.mark.parametrize(
    "command", [[], ["up"], ["report"], ["demo"], ["doctor"], *(["report", row.name] for row in REPORTS)], ids=" ".join
)
def test_every_command_explains_itself(command: list[str]) -> None:
    for option in ("--help", "-h"):
        result = _cli(*command, option)
        assert result.exit_code == 0
        assert "Usage:" in result.stdout
    if not command:
        assert "Exit codes:" in result.stdout


def test_the_version_is_told() -> None:
    assert re.match(r"otel-obs, version \d+\.\d+", _cli("--version").stdout)


# ---- doctor


def _doctor(*arguments: str | Path, **env: str) -> tuple[int, dict[str, dict[str, Any]]]:
    result = _cli("doctor", "--json", "--no-send", *arguments, env=env)
    return result.exit_code, {finding["about"]: finding for finding in json.loads(result.stdout)}


@pytest.fixture
def endpoint() -> Any:
    """Somebody who listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_doctor_tells_each_setting_and_where_it_comes_from(endpoint: str) -> None:
    code, found = _doctor(
        OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_SERVICE_NAME="meta", OTEL_OBS_URL="http://me:secret@127.0.0.1:1"
    )
    assert (code, [about for about, finding in found.items() if not finding["ok"]]) == (1, ["store"])
    assert found["service_name"]["found"] == "'meta'  (from OTEL_SERVICE_NAME)"
    assert found["endpoint"]["found"] == f"'{endpoint}'  (from OTEL_EXPORTER_OTLP_ENDPOINT)"
    assert "default; OTEL_OBS_STRICT" in found["strict"]["found"]
    assert "answers" in found["OTLP endpoint"]["found"]
    assert "secret" not in json.dumps(found)
    assert found["recording"]["found"] == "on"


@pytest.mark.parametrize("switch", [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_OBS_DISABLED": "1"}])
def test_doctor_does_not_call_enabled_what_it_calls_off(endpoint: str, switch: dict[str, str]) -> None:
    _, found = _doctor(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, **switch)
    assert f"False  (from {next(iter(switch))})" in str(found)


@pytest.mark.parametrize(
    ("env", "about", "told"),
    [
        ({"OTEL_SDK_DISABLED": "true"}, "recording", "OTEL_SDK_DISABLED"),
        ({"OTEL_OBS_DISABLED": "1"}, "recording", "OTEL_OBS_DISABLED"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}, "OTLP endpoint", "127.0.0.1:1"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:port"}, "OTLP endpoint", "port"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://[::1"}, "OTLP endpoint", "http://[::1"),
        ({"OTEL_OBS_MAX_TEXT": "lots"}, "max_text", "lots"),
    ],
)
def test_doctor_names_what_keeps_records_from_arriving_and_the_way_out(
    endpoint: str, env: dict[str, str], about: str, told: str
) -> None:
    given = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, **env}
    code, found = _doctor(**given)
    assert code == 1
    wrong = found[about]
    assert (wrong["ok"], bool(wrong["fix"])) == (False, True)
    assert told in wrong["found"]
    printed = _cli("doctor", "--no-send", env=given)
    assert printed.exit_code == 1
    assert "wrong" in printed.stdout
    assert "\x1b" not in printed.stdout


@pytest.fixture(scope="module")
def ways_in() -> Any:
    """The store's two ways in: over HTTP and over gRPC."""
    intake = Intake(cast("Any", None))
    with GrpcListener(intake, port=0) as grpc, Listener(otlp_http.application(intake), port=0, what="HTTP") as http:
        yield {"grpc": f"http://127.0.0.1:{grpc.port}", "http/protobuf": http.url}


def test_doctor_asks_the_port_what_it_speaks(ways_in: dict[str, str]) -> None:
    for protocol, at in ways_in.items():
        given = {"OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
        code, found = _doctor(OTEL_EXPORTER_OTLP_ENDPOINT=at, **given)
        assert (code, found["protocol"]["found"]) == (0, protocol), found
        [other] = set(ways_in) - {protocol}
        code, found = _doctor(OTEL_EXPORTER_OTLP_ENDPOINT=ways_in[other], **given)
        wrong = found["OTLP endpoint"]
        assert (code, wrong["ok"]) == (1, False)
        assert f"speaks {'gRPC' if other == 'grpc' else 'HTTP'}, and" in wrong["found"]
        assert wrong["fix"]
    code, found = _doctor(OTEL_EXPORTER_OTLP_ENDPOINT=ways_in["http/protobuf"], OTEL_EXPORTER_OTLP_PROTOCOL="http/json")
    assert (code, found["protocol"]["found"]) == (1, "http/json was asked for, and http/protobuf is sent")


def test_doctor_tells_who_has_the_data(data: Path, tmp_path: Path, endpoint: str) -> None:
    assert "served by nobody" in _doctor("--data", data, OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)[1]["data"]["found"]
    assert (
        "does not exist" in _doctor("--data", tmp_path / "x", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint)[1]["data"]["found"]
    )
