"""The demo as a newcomer runs it: answers, books that agree, a second run that changes nothing, nothing left behind."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CLI = [sys.executable, "-m", "otel_obs.surfaces.cli"]
DEC19 = ["--from", "2025-12-19T14:00", "--to", "2025-12-19T16:00", "--tz", "Asia/Kolkata"]
NINE_YEARS = ["--from", "2004-01-01", "--to", "2014-01-01", "--tz", "UTC", "--service", "moving-average"]


def _demo(data):
    done = subprocess.run([*CLI, "demo", "--data", str(data)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _ask(data, name, *options):
    done = subprocess.run(
        [*CLI, "report", name, *options, "--data", str(data), "--json"], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def _answers(data):
    return {
        "dec19": _ask(data, "why", *DEC19),
        "day": _ask(data, "rejections", "--from", "2025-12-19", "--to", "2025-12-20", "--tz", "Asia/Kolkata"),
        "nine years": _ask(data, "why", *NINE_YEARS),
        "gates": _ask(data, "gates", *NINE_YEARS),
        "decisions": _ask(data, "decisions", *NINE_YEARS, "--limit", "1000"),
    }


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    data = tmp_path_factory.mktemp("demo") / "data"
    return data, _demo(data), _answers(data)


def test_the_bot_that_did_nothing_says_why(demo):
    _, printed, answers = demo
    assert "30 decisions: 0 executed, 30 vetoed (28 by spread_guard, 2 by volatility)" in printed
    assert answers["dec19"] == {
        "state": "active",
        "cycles": {"total": 30, "decided": 30, "idle": {}, "failed": 0, "unexplained": 0},
        "decisions": 30,
        "executed": 0,
        "vetoed": 30,
        "held": 0,
        "failed": 0,
        "outside_cycles": 0,
        "by_gate": {"spread_guard": 28, "volatility": 2},
        "rejection_rate": 1.0,
    }


def test_the_whole_day_is_the_one_of_the_audit(demo):
    data, _, answers = demo
    by_gate = {}
    for row in answers["day"]:
        by_gate[row["gate"]] = by_gate.get(row["gate"], 0) + row["vetoes"]
    assert by_gate == {"spread_guard": 45, "volatility": 13}
    day = _ask(
        data, "decisions", "--from", "2025-12-19", "--to", "2025-12-20", "--tz", "Asia/Kolkata", "--limit", "100"
    )
    assert len(day) == 58
    assert (day[-1]["timestamp"], day[0]["timestamp"]) == ("2025-12-19T09:30:00+05:30", "2025-12-19T21:19:00+05:30")


def test_executed_entries_and_exits_are_the_trades_that_the_library_itself_reports(demo):
    data, printed, answers = demo
    trades = int(re.search(r"backtesting's own books: (\d+) trades", printed)[1])
    executed = [row["what"] for row in answers["decisions"] if row["outcome"] == "executed"]
    assert trades > 0
    assert (executed.count("enter long"), executed.count("exit long")) == (trades, trades)
    entry = next(row for row in answers["decisions"] if row["outcome"] == "executed" and row["what"] == "enter long")
    whole = _ask(data, "decision", entry["span_id"])
    assert [order["status"] for order in whole["orders"]] == ["submitted", "filled"]
    assert len(whole["fills"]) == 1


def test_the_gates_of_the_second_bot_bind(demo):
    answers = demo[2]
    assert answers["nine years"]["vetoed"] > 0
    assert all(row["outcome"] in {"executed", "vetoed"} for row in answers["decisions"])


def test_a_second_run_on_the_same_data_gives_the_same_numbers(demo):
    data, _, before = demo
    _demo(data)
    assert _answers(data) == before


def test_ctrl_c_leaves_no_process_and_no_held_directory_behind(tmp_path):
    data = tmp_path / "data"
    running = subprocess.Popen([*CLI, "demo", "--data", str(data)], stdout=subprocess.PIPE, text=True)
    while "running two bots" not in running.stdout.readline():
        assert running.poll() is None
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == 130
    running.stdout.close()
    deadline = time.monotonic() + 20
    while (left := _processes_naming(str(data))) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []
    assert _ask(data, "why", "--from", "1970-01-01")["state"] in {"active", "never_recorded"}


def _processes_naming(text):
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if text in (entry / "cmdline").read_text():
                    found.append(entry.name)
            except OSError:
                continue
    return found
