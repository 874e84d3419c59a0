"""OTEL_OBS_SCORECARD: a card on stderr after each trace, and nothing that a bot could feel."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    Run = Callable[..., subprocess.CompletedProcess[str]]

BOT = """
import otel_obs as obs
obs.configure(service_name="bot")
with obs.trace("day", project="demo"):
    for spread in (16.7, 2):
        with obs.trace("cycle", intent="trade", symbol="BTCUSDT") as cycle:
            with obs.stage("signal") as stage:
                stage.model("m", input_tokens=7, output_tokens=1, cost_usd="0.10")
                with obs.decision("enter", why="momentum", confidence=0.62) as decision:
                    decision.gate("spread_guard", observed=spread, at_most=5.0, unit="bps")
                    if decision.allowed:
                        decision.executed()
with obs.trace("quiet") as cycle:
    cycle.idle("no_data")
obs.decide("alone")
print(obs.shutdown().undelivered, obs.problems())
"""


def _cards(text: str) -> list[list[str]]:
    """The lines of each card, without its edges, times and ids."""
    cards: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith(("-- Trace:", "== Trace ")):
            cards.append([line.strip("-= ")])
        elif line and not line.startswith(("--", "==", "Duration", "Trace")):
            cards[-1].append(line)
    return cards


def test_it_is_off_unless_asked_for(run: Run, collector: Any) -> None:
    done = run(BOT, OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint)
    assert (done.returncode, done.stderr, done.stdout.strip()) == (0, "", "0 {}")


def test_each_trace_has_its_card_and_an_outer_one_what_is_inside(run: Run, collector: Any) -> None:
    done = run(BOT, OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, OTEL_OBS_SCORECARD="compact")
    assert done.stdout.strip() == "0 {}"
    veto = "  vetoed by spread_guard (saw 16.7, limit <= 5 bps)"
    assert _cards(re.sub(r"Duration: \S+ *", "", done.stderr)) == [
        ["Trace: cycle", "Cost: $0.10", "Decisions: 1 vetoed", veto],
        ["Trace: cycle", "Cost: $0.10", "Decisions: 1 executed"],
        ["Trace: day", "Cost: $0.20", "Decisions: 1 executed, 1 vetoed", veto],
        ["Trace: quiet", "Idle: no_data"],
    ]
    assert "\x1b" not in done.stderr
    sent = [record for record in collector.records if "stage.name" in record]
    assert [(one["gen_ai.request.model"], one["stage.cost_usd"]) for one in sent] == [("m", "0.10")] * 2


def test_a_verbose_card_says_why(run: Run, collector: Any) -> None:
    done = run(BOT, OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, OTEL_OBS_SCORECARD="verbose")
    assert done.stderr.count("why: momentum") == 4  # once in its cycle, once in the day
    assert "  enter: vetoed  62% sure" in done.stderr
    assert "Tokens: 14 in, 2 out" in done.stderr


def test_a_word_that_is_none_is_told_and_costs_only_the_card(run: Run, collector: Any) -> None:
    done = run(BOT, OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, OTEL_OBS_SCORECARD="loud")
    assert "OTEL_OBS_SCORECARD='loud' cannot be read: off, compact or verbose" in done.stderr
    assert done.stdout.strip() == "0 {}"
    assert collector.whats() == ["alone", "enter", "enter"]


@pytest.mark.parametrize("stderr", ["None", "open('/dev/full', 'w', buffering=1)"])
def test_a_stderr_that_takes_nothing_harms_neither_bot_nor_delivery(run: Run, collector: Any, stderr: str) -> None:
    program = f"import sys; sys.stderr = {stderr}\n{BOT}"
    if "full" in stderr:
        program += "import os; os._exit(0) if sys.stdout.flush() is None else None\n"
    done = run(program, OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, OTEL_OBS_SCORECARD="verbose")
    assert done.stdout.strip().startswith("0 ")
    assert collector.whats() == ["alone", "enter", "enter"]


def test_thousands_of_spans_under_one_trace_stay_bounded(run: Run, collector: Any) -> None:
    program = """
import otel_obs as obs
obs.configure(max_queue=100_000)
with obs.trace("long"):
    for _ in range(7_000):
        obs.decide("hold")
print(obs.shutdown(within=60).undelivered)
"""
    done = run(program, OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, OTEL_OBS_SCORECARD="compact")
    assert "Decisions: 5000 held" in done.stderr
    assert done.stdout.strip() == "0"
