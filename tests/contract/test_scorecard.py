"""The card of a trace, as text: of a run of a pipeline, of a cycle of a bot, of little, and of what is hostile."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from otel_obs.contract.scorecard import DecisionLine, Form, GateLine, Scorecard, StageLine, rendered, took

SECOND = 1_000_000_000
SPREAD = GateLine(name="spread_guard", verdict="deny", observed="16.7", threshold="5", comparison="at_most", unit="bps")
RUN = Scorecard(
    name="research",
    trace_id="46ba668494c05cab9846e039e0a15f64",
    duration_ns=83 * SECOND,
    project="cobot",
    query="What is the competitive\nlandscape?",
    intent="validating",
    domain="robotics",
    score=2.4,
    score_max=3.0,
    passed=True,
    principles={"META-1": 3, "META-12": 1},
    gaps=["META-12"],
    evidence={"collected": 28, "used": 18, "by_source": {"exa": 100}},
    stages=[
        StageLine(name="intake", duration_ns=5_200_000_000, decisions=2),
        StageLine(
            name="synthesis", duration_ns=180 * SECOND, decisions=1, failed=True, input_tokens=1200, output_tokens=30,
            cost_usd=Decimal("0.30"),
        ),
        StageLine(name="gate", duration_ns=31_000_000, cost_usd=Decimal("0.02")),
    ],
    decisions=[DecisionLine(what="use exa", outcome="executed", why="neural search", confidence=0.9)],
)  # fmt: skip
CYCLE = Scorecard(
    name="cycle",
    trace_id="901a2f7c1f19c40f0000000000000003",
    duration_ns=183_000,
    symbol="BTCUSDT",
    intent="trade",
    decisions=[
        DecisionLine(what="enter long", outcome="vetoed", gates=[SPREAD]),
        DecisionLine(what="enter short", outcome="executed", gates=[SPREAD], overridden=True),
        DecisionLine(what="hold", outcome="held", gates=[GateLine(name="shadow", verdict="deny", mode="shadow")]),
    ],
)


def test_a_run_on_a_compact_card() -> None:
    assert rendered(RUN, Form.COMPACT) == (
        "-- Trace: research -------------------------------------------\n"
        "Quality: 2.4/3  PASS       Duration: 1m 23s\n"
        "Cost: $0.32                Evidence: collected 28, used 18\n"
        "Gaps: META-12\n"
        "Decisions: 1 executed\n"
        "Trace: 46ba668494c05cab9846e039e0a15f64\n"
        "--------------------------------------------------------------"
    )


def test_a_run_in_full() -> None:
    assert rendered(RUN, Form.VERBOSE) == (
        "== Trace =====================================================\n"
        "Trace:     research\n"
        "Trace id:  46ba668494c05cab9846e039e0a15f64\n"
        "Project:   cobot\n"
        "Query:     What is the competitive landscape?\n"
        "Intent:    validating\n"
        "Domain:    robotics\n"
        "Status: complete           Duration: 1m 23s\n"
        "Cost: $0.32\n"
        "Tokens: 1200 in, 30 out\n"
        "\n"
        "-- Quality ---------------------------------------------------\n"
        "Score: 2.4/3  PASS\n"
        "  META-1: 3\n"
        "  META-12: 1  < gap\n"
        "\n"
        "-- Stages ----------------------------------------------------\n"
        "  intake                       5.2s  (2 decisions)\n"
        "  synthesis                  3m 00s  (1 decision)  failed\n"
        "  gate                         31ms\n"
        "\n"
        "-- Decisions: 1 executed -------------------------------------\n"
        "  use exa: executed  90% sure\n"
        "    why: neural search\n"
        "\n"
        "-- Evidence --------------------------------------------------\n"
        "  collected: 28\n"
        "  used: 18\n"
        '  by_source: {"exa": 100}\n'
        "=============================================================="
    )


def test_a_cycle_tells_what_stopped_it_and_what_acted_all_the_same() -> None:
    assert rendered(CYCLE, Form.COMPACT).splitlines()[1:-2] == [
        "Duration: 0.183ms",
        "Decisions: 1 executed, 1 vetoed, 1 held",
        "  vetoed by spread_guard (saw 16.7, limit <= 5 bps)",
    ]
    full = rendered(CYCLE, Form.VERBOSE)
    assert full.count("denied by spread_guard (saw 16.7, limit <= 5 bps)") == 2
    assert full.count(", overridden") == 1
    assert "shadow" not in full  # a gate that only watches stops nothing


def test_markdown_is_a_page_whose_tables_hold_together() -> None:
    hostile = DecisionLine(what="a | b\nc", outcome="vetoed", why="| |", gates=[SPREAD])
    card = Scorecard(
        name="x", trace_id="1", duration_ns=0, stages=RUN.stages, decisions=[hostile], principles={"a|b": 1}
    )
    lines = rendered(card, Form.MARKDOWN, colour=True).splitlines()
    assert lines[0] == "# Trace: x"
    assert "| a \\| b c | vetoed | spread_guard (saw 16.7, limit <= 5 bps) | \\| \\| |" in lines
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines if "spread_guard" in line} == {5}
    assert "\x1b" not in "".join(lines)


@pytest.mark.parametrize("form", list(Form))
def test_what_a_bot_wrote_cannot_take_over_the_screen(form: Form) -> None:
    sneaky = "\x1b[2J\x1b]0;owned\x07\u202e\x9b31m\r"
    gate = GateLine(name=sneaky, verdict="deny", observed=sneaky, threshold=sneaky, unit=sneaky)
    card = Scorecard(
        name=sneaky, trace_id=sneaky, duration_ns=1, error=sneaky, idle_reason=sneaky, gaps=[sneaky],
        evidence={sneaky: [sneaky]}, output={sneaky: {sneaky: 1}}, principles={sneaky: sneaky}, passed=False,
        stages=[StageLine(name=sneaky, duration_ns=1)],
        decisions=[DecisionLine(what=sneaky, outcome="vetoed", why=sneaky, gates=[gate])],
    )  # fmt: skip
    text = rendered(card, form)
    assert "owned" in text
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)


def test_colours_are_there_where_they_are_asked_for() -> None:
    assert "\x1b[32mPASS\x1b[0m" in rendered(RUN, Form.COMPACT, colour=True)
    plain = re.sub(r"\x1b\[\d+m", "", rendered(RUN, Form.COMPACT, colour=True))
    assert plain == rendered(RUN, Form.COMPACT)  # columns do not move


def test_a_card_of_a_whole_day_stays_short_and_says_so() -> None:
    card = Scorecard(name="x", trace_id="1", duration_ns=1, decisions=[DecisionLine(what="w", outcome="held")] * 1000)
    assert "  … and 950 more" in rendered(card, Form.VERBOSE).splitlines()
    assert len(rendered(card, Form.MARKDOWN).splitlines()) < 100


@pytest.mark.parametrize(
    ("cost", "text"),
    [("0", "$0.00"), ("0.1", "$0.10"), ("1.005", "$1.005"), ("12.34567", "$12.3457"), ("0.00000100", "$0.000001")],
)
def test_costs_keep_their_cents(cost: str, text: str) -> None:
    stage = StageLine(name="s", duration_ns=1, cost_usd=Decimal(cost))
    card = Scorecard(name="x", trace_id="1", duration_ns=1, stages=[stage])
    assert f"Cost: {text}" in re.split(r"\n|  +", rendered(card, Form.COMPACT))


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0ms"), (183_000, "0.183ms"), (31_000_000, "31ms"), (999_999_999, "1.0s"), (SECOND, "1.0s"),
        (59_940_000_000, "59.9s"), (60 * SECOND, "1m 00s"), (3_600 * SECOND, "1h 00m"), (86_400 * SECOND, "1d 00h"),
    ],
)  # fmt: skip
def test_durations_are_written_as_people_do(nanoseconds: int, text: str) -> None:
    assert took(nanoseconds) == text
