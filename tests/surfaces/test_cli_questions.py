"""The command line beyond one report: cards, decisions as they arrive, the SQL, names that are mistyped, completion."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from otel_obs.reports.registry import REPORTS
from otel_obs.store.embedded.server import Ports, Server
from otel_obs.surfaces.cli.commands import otel_obs
from otel_obs.surfaces.cli.exits import EXIT_CODES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import ModuleType

CLI = [sys.executable, "-m", "otel_obs.surfaces.cli"]
DAY = ["--from", "2025-12-19", "--to", "2025-12-20", "--tz", "UTC"]
ENVIRONMENT = {name: text for name, text in os.environ.items() if not name.startswith(("OTEL_", "FORCE_COLOR"))}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("cli") / "data", Ports(otlp=0, otlp_grpc=0, clickhouse=0, web=0))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def send(server: Server) -> Callable[[Any], None]:
    def post(body: Any) -> None:
        url, kind = f"{server.addresses.otlp_url}/v1/traces", {"Content-Type": "application/x-protobuf"}
        urllib.request.urlopen(urllib.request.Request(url, body.SerializeToString(), kind), timeout=30).read()

    return post


@pytest.fixture(scope="module")
def url(server: Server, send: Callable[[Any], None], otlp: ModuleType) -> str:
    run = bytes.fromhex("ab" * 16)
    root = otlp.new_span()
    gate = otlp.gate("spread_guard", observed=16.7, threshold=5, comparison="at_most", unit="bps")
    spans = [
        otlp.cycle("cycle", trace=run, id=root, took=1_500_000, more={"trace.score": 2.5, "trace.passed": True}),
        otlp.decision("enter", gate, trace=run, parent=root),
        otlp.cycle("other", trace=bytes.fromhex("ac" * 16)),
    ]
    send(otlp.traces(*spans))
    return server.addresses.clickhouse_url


def _cli(*arguments: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(otel_obs, list(arguments), env=env)


def test_a_card_has_no_colours_in_a_pipe_and_is_found_by_a_beginning(url: str) -> None:
    done = subprocess.run(
        [*CLI, "scorecard", "abab", "--url", url], capture_output=True, text=True, check=True, env=ENVIRONMENT
    )
    assert done.stdout.splitlines() == [
        "-- Trace: cycle ----------------------------------------------",
        "Quality: 2.5  PASS         Duration: 1.5ms",
        "Decisions: 1 vetoed",
        "  vetoed by spread_guard (saw 16.7, limit <= 5 bps)",
        f"Trace: {'ab' * 16}",
        "--------------------------------------------------------------",
    ]
    assert "denied by spread_guard" in _cli("scorecard", "abab", "--verbose", "--url", url).stdout
    assert _cli("scorecard", "abab", "--md", "--url", url).stdout.startswith("# Trace: cycle\n")
    assert json.loads(_cli("scorecard", "abab", "--json", "--url", url).stdout)["decisions"][0]["outcome"] == "vetoed"
    assert _cli("scorecard", "abab", "--json", "--md", "--url", url).exit_code == 2


@pytest.mark.parametrize(("beginning", "told"), [("a", "More than one"), ("ff", "No trace has the id 'ff'")])
def test_a_card_that_is_not_there_is_told(url: str, beginning: str, told: str) -> None:
    result = _cli("scorecard", beginning, "--url", url)
    assert (result.exit_code, result.stdout) == (3, "")
    assert told in result.stderr


def test_a_name_that_no_record_carries_is_told_with_the_nearest(url: str) -> None:
    result = _cli("report", "near-misses", "--gate", "spred_guard", "--url", url)
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.strip() == "No gate 'spred_guard' was ever recorded. Did you mean spread_guard?"
    as_json = _cli("report", "decisions", "--service", "bott", "--url", url, "--json")
    assert (as_json.exit_code, json.loads(as_json.stdout)) == (3, [])
    assert "Did you mean bot?" in as_json.stderr
    why = _cli("report", "why", "--service", "bott", "--url", url)
    assert (why.exit_code, "Did you mean bot?" in why.stdout) == (0, True)


@pytest.mark.parametrize("row", REPORTS, ids=lambda row: row.name)
def test_the_sql_of_every_report_is_printed_without_a_store(row: Any) -> None:
    ids = ["x" for parameter in row.parameters if parameter.position]
    result = _cli("report", row.name, *ids, "--sql", env={"OTEL_OBS_URL": "http://127.0.0.1:1"})
    assert result.exit_code == 0, result.output
    given = re.findall(r"^SET param_(\w+) = ", result.stdout, re.MULTILINE)
    assert set(given) == set(re.findall(r"{(\w+):", result.stdout))


def test_decisions_are_shown_as_they_arrive_until_ctrl_c(
    url: str, send: Callable[[Any], None], otlp: ModuleType
) -> None:
    for form, expected in (([], "late: held"), (["--json"], '"what": "late"')):
        arguments = [*CLI, "tail", "--last", "1", "--every", "0.1", "--tz", "UTC", *form, "--url", url]
        process = subprocess.Popen(
            arguments,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**ENVIRONMENT, "PYTHONUNBUFFERED": "1"},
        )
        try:
            assert process.stdout is not None
            assert process.stdout.readline()  # the last one
            send(otlp.traces(otlp.decision("late", at=otlp.NOON + time.time_ns() % otlp.SECOND)))
            assert expected in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            rest, error = process.communicate(timeout=30)
        finally:
            process.kill()
        assert (process.returncode, rest, error) == (130, "", "")


def test_tail_says_where_nothing_can_arrive(tmp_path: Path) -> None:
    program = [*CLI, "tail", "--data", str(tmp_path / "data")]
    done = subprocess.run(program, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert (done.returncode, "holds no store" in done.stderr) == (1, True)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_reports_and_options(shell: str) -> None:
    script = _cli("completion", shell)
    assert script.exit_code == 0
    assert "_OTEL_OBS_COMPLETE" in script.stdout
    words = {"COMP_WORDS": "otel-obs report near", "COMP_CWORD": "2"}
    program = "import sys; sys.argv = ['otel-obs']; from otel_obs.surfaces.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False,
        env={**ENVIRONMENT, **words, "_OTEL_OBS_COMPLETE": "bash_complete"},
    )  # fmt: skip
    assert done.stdout.splitlines() == ["plain,near-misses"]


def test_help_shows_every_question_in_full_the_exit_codes_and_examples() -> None:
    text = " ".join(_cli("--help").output.split())
    assert all(" ".join(meaning.split()) in text for meaning in EXIT_CODES.values())
    assert "otel-obs report why --from today" in text
    listed = " ".join(_cli("report", "--help").output.split())
    assert [row.name for row in REPORTS if row.question not in listed] == []


def test_an_answer_tells_its_window_and_an_empty_one_when_the_latest_record_is(url: str) -> None:
    lines = _cli("report", "gates", *DAY, "--url", url).stdout.splitlines()
    assert lines[1] == "2025-12-19 00:00+00:00 to 2025-12-20 00:00+00:00"
    empty = _cli("report", "gates", "--from", "2024-01-01", "--to", "2024-01-02", "--tz", "UTC", "--url", url)
    assert empty.stdout.splitlines()[0].startswith("No gate was evaluated. The latest record is of 2025-12-19 12:00:00")
    assert json.loads(_cli("report", "gates", *DAY, "--url", url, "--json").stdout)[0]["gate"] == "spread_guard"


def test_tail_tells_a_name_that_no_record_carries_so_far(url: str) -> None:
    program = [*CLI, "tail", "--gate", "spred_guard", "--service", "bot", "--url", url]
    process = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    try:
        assert process.stderr is not None
        told = process.stderr.readline()
        assert told == "No gate 'spred_guard' was ever recorded. Did you mean spread_guard? Waiting for it.\n"
    finally:
        process.kill()
        process.communicate()


def test_doctor_finds_the_store_that_is_asked_and_tells_bots_where_to_send(server: Server, url: str) -> None:
    result = _cli("doctor", "--json", "--no-send", env={"OTEL_OBS_URL": url, "OTEL_OBS_DATA": ""})
    found = {line["about"]: line for line in json.loads(result.stdout)}
    assert found["store"]["found"] == "answers; the latest record is of 2025-12-19 12:00:00 UTC"
    wrong = _cli("doctor", "--json", "--no-send", env={"OTEL_OBS_URL": "http://127.0.0.1:1"})
    lost = {line["about"]: line for line in json.loads(wrong.stdout)}["store"]
    assert (wrong.exit_code, lost["ok"], "No store answers" in lost["found"]) == (1, False, True)


def test_doctor_names_a_bot_whose_ledger_does_not_add_up_and_looks_on(
    server: Server, url: str, otlp: ModuleType
) -> None:
    said = otlp.statement(at=time.time_ns(), produced=5, numbered=5, delivered=5)
    body = otlp.logs(said, service="short", resource={"service.instance.id": "i-1"}).SerializeToString()
    kind = {"Content-Type": "application/x-protobuf"}
    urllib.request.urlopen(
        urllib.request.Request(f"{server.addresses.otlp_url}/v1/logs", body, kind), timeout=30
    ).read()
    report = _cli("report", "delivery", "--from", "-1h", "--to", "+1h", "--url", url)
    assert "The ledger does NOT add up: short i-1 durable lacks 5 records" in report.stdout
    result = _cli("doctor", "--json", "--no-send", env={"OTEL_OBS_URL": url, "OTEL_OBS_DATA": ""})
    found = {line["about"]: line for line in json.loads(result.stdout)}
    assert (found["ledger"]["ok"], found["ledger"]["found"]) == (False, "of short it does not add up")
    assert "otel-obs report delivery" in found["ledger"]["fix"]
    assert found["store"]["ok"]
