"""The test kit as an author of a bot uses it, alone and through pytest."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from opentelemetry import context as otel
from opentelemetry import trace as otel_trace

import otel_obs as obs
from otel_obs.errors import ContractError
from otel_obs.testing import FrozenClock, IncrementalIds, capture

if TYPE_CHECKING:
    from pathlib import Path


def on_tick(spread_bps: float) -> bool:
    """The bot under test."""
    with obs.trace("cycle", intent="trade"), obs.decision("enter long", side="buy") as choice:
        choice.gate("spread_guard", observed=spread_bps, at_most=5.0, unit="bps")
        if choice.allowed:
            choice.executed(order_id="o-1")
            obs.order(id="o-1", status="submitted")
        return choice.allowed


def test_my_bot_vetoes_on_wide_spreads() -> None:
    with capture() as seen:
        on_tick(spread_bps=16.7)
    assert seen.decision().veto == "spread_guard"


def test_what_was_captured_can_be_read_part_by_part() -> None:
    with capture() as seen:
        on_tick(spread_bps=1.5)
    choice = seen.decision("enter long")
    assert (choice.what, choice.side, choice.outcome, choice.veto) == ("enter long", "buy", "executed", None)
    [gate] = choice.gates
    assert (gate.name, gate.verdict, gate.mode, gate.comparison) == ("spread_guard", "pass", "enforce", "at_most")
    assert (gate.observed, gate.threshold, gate.unit) == (1.5, 5.0, "bps")
    [cycle] = seen.traces
    assert choice.parent_id == cycle.id
    assert choice.trace_id == cycle.trace_id
    assert cycle.parent_id == ""
    assert cycle.attributes["trace.intent"] == "trade"
    assert [(fact.name, fact.attributes["decision.id"]) for fact in seen.facts] == [("order", choice.id)]
    assert seen.stages == []


def test_ids_count_and_time_stands_still_so_that_an_expectation_can_be_written_down() -> None:
    with capture() as seen:
        obs.decide("hold")
        obs.decide("hold")
    assert [(told.trace_id[-1], told.id) for told in seen.decisions] == [("1", f"{1:016x}"), ("2", f"{2:016x}")]
    assert {told.time for told in seen.decisions} == {1_767_225_600_000_000_000}  # 2026-01-01T00:00:00Z
    assert {told.duration for told in seen.decisions} == {0}


@pytest.mark.parametrize(
    ("decided", "said"),
    [
        ([], "Expected one decision, found 0 of: none."),
        (["a", "b"], "Expected one decision, found 2 of: 'a', 'b'."),
    ],
)
def test_expecting_one_decision_fails_with_those_there_were(decided: list[str], said: str) -> None:
    with capture() as seen:
        for what in decided:
            obs.decide(what)
    with pytest.raises(AssertionError) as raised:
        seen.decision()
    assert str(raised.value) == said


def test_expecting_a_decision_by_name_fails_with_those_there_were() -> None:
    with capture() as seen:
        obs.decide("hold")
        obs.decide("hold")
    with pytest.raises(AssertionError, match="Expected one decision 'enter', found 0 of: 'hold', 'hold'"):
        seen.decision("enter")
    with pytest.raises(AssertionError, match="found 2"):
        seen.decision("hold")


def test_a_record_that_breaks_the_contract_fails_the_test_unless_told_otherwise() -> None:
    with capture(), pytest.raises(ContractError, match=r"62 % is 0\.62"):
        obs.decide("enter", confidence=62)
    with capture(strict=False) as seen:
        obs.decide("enter", confidence=62)
        assert obs.problems() == {"confidence_out_of_range": 1}
    assert seen.decision().defects == ("decision.confidence: is 62, outside 0 to 1",)


def test_captures_nest_and_each_sees_its_own() -> None:
    with capture() as outer:
        obs.decide("before")
        with obs.trace("cycle"), capture(strict=False, clock=FrozenClock(datetime(2025, 12, 19, tzinfo=UTC))) as inner:
            assert not obs.current_trace()
            obs.decide("inside", confidence=7)
        with pytest.raises(ContractError):
            obs.decide("after", confidence=7)
        obs.decide("after")
    assert [told.what for told in outer.decisions] == ["before", "after"]
    assert inner.decision("inside").time == 1_766_102_400_000_000_000
    assert inner.decision("inside").parent_id == ""


def _leave_one_open_and_fail() -> None:
    obs.trace("open").__enter__()
    _ = 1 / 0


def test_afterwards_all_is_as_it_was_even_if_the_test_failed() -> None:
    context, provider = otel.get_current(), otel_trace.get_tracer_provider()
    with pytest.raises(ZeroDivisionError), capture(max_text=5):
        _leave_one_open_and_fail()
    assert otel.get_current() is context
    assert otel_trace.get_tracer_provider() is provider
    with capture() as seen:
        obs.decide("a longer name")
    assert seen.decision().what == "a longer name"


def test_a_bot_that_configures_itself_is_captured_all_the_same() -> None:
    """``main()`` of a bot configures; in a test that must neither reach a collector nor hide what is said."""

    def main() -> None:
        obs.configure(service_name="bot", endpoint="http://192.0.2.1:4318", strict=False)
        on_tick(spread_bps=16.7)
        assert obs.flush(within=1)
        assert obs.shutdown(within=1).undelivered == 0

    provider = otel_trace.get_tracer_provider()
    with capture() as seen:
        main()
        with pytest.raises(ContractError):
            obs.decide("enter", confidence=7)
        with pytest.raises(Exception, match="no setting servicename"):
            obs.configure(servicename="bot")
    with capture(strict=False) as lenient:
        obs.configure(servicename="bot")
        on_tick(spread_bps=16.7)
    assert seen.decision("enter long").veto == lenient.decision().veto == "spread_guard"
    assert otel_trace.get_tracer_provider() is provider


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_OBS_DISABLED", "1"),
        ("OTEL_TRACES_SAMPLER", "always_off"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "1"),
    ],
)
def test_what_is_switched_off_for_production_is_captured_all_the_same(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with capture() as seen:
        on_tick(spread_bps=16.7)
        with obs.decision("enter"):
            for number in range(100):
                obs.current_decision().gate(f"gate {number}", verdict=True)
        obs.order(id="o-1", status="submitted")
    assert len(seen.decisions) == 2
    assert len(seen.decision("enter").gates) == 100
    assert len(seen.facts) == 1


def test_the_clock_moves_when_told_to_and_its_wall_clock_may_jump() -> None:
    clock = FrozenClock(datetime(2025, 12, 19, 12, 0, 0, 5, tzinfo=UTC))
    assert (clock.now(), clock.monotonic()) == (1_766_145_600_000_005_000, 0)
    clock.advance(1.5)
    clock.advance(timedelta(microseconds=1))
    assert (clock.now(), clock.monotonic()) == (1_766_145_601_500_006_000, 1_500_001_000)
    clock.jump(-1)
    clock.jump(timedelta(seconds=-0.5))
    assert (clock.now(), clock.monotonic()) == (1_766_145_600_000_006_000, 1_500_001_000)
    assert FrozenClock(datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC)).now() == -500_000_000


def test_incremental_ids_count_traces_and_spans_apart() -> None:
    ids = IncrementalIds()
    assert [ids.generate_trace_id(), ids.generate_span_id(), ids.generate_span_id(), ids.generate_trace_id()] == [
        1, 1, 2, 2,
    ]  # fmt: skip


USERS_TESTS = """
import otel_obs as obs

def bot(spread_bps):
    with obs.decision("enter long") as choice:
        choice.gate("spread_guard", observed=spread_bps, at_most=5.0)

def test_vetoes_on_wide_spreads(otel_obs_capture):
    bot(16.7)
    assert otel_obs_capture.decision().veto == "spread_guard"

def test_each_test_starts_empty(otel_obs_capture):
    assert otel_obs_capture.decisions == []

def test_a_broken_record_fails(otel_obs_capture):
    obs.decide("enter", confidence=7)
"""


def test_the_pytest_plugin_is_there_as_soon_as_the_package_is_installed(tmp_path: Path) -> None:
    (tmp_path / "test_bot.py").write_text(USERS_TESTS, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTEST_"))}
    run = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", str(tmp_path)],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "2 passed" in run.stdout, run.stdout + run.stderr
    assert "1 failed" in run.stdout
    assert "FAILED test_bot.py::test_a_broken_record_fails" in run.stdout
    assert "62 % is 0.62" in run.stdout
