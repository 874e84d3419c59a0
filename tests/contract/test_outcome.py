"""How a decision ended: the SDK's pure function against a table written by hand (the store's view runs the same)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_obs.contract.gates import VERDICT_WORDS, Gate, Mode, Verdict, normalised, verdict_word
from otel_obs.contract.outcome import OUTCOME_WORDS, Derived, Outcome, derive

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "cases" / "outcome.json").read_text(encoding="utf-8")
)


def as_sent(gate: dict[str, Any]) -> Gate:
    """A gate as another sender wrote it: any words, a mode that may be missing."""
    return Gate(
        name=gate["name"],
        verdict=verdict_word(gate["verdict"]),
        mode=Mode.SHADOW if normalised(gate["mode"] or "") == "shadow" else Mode.ENFORCE,
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_decision_ends_as_the_table_says(case: dict[str, Any]) -> None:
    derived = derive([as_sent(gate) for gate in case["gates"]], claimed=case["claimed"], failed=case["status_error"])
    assert {
        "outcome": derived.outcome,
        "veto_reason_primary": derived.veto_reason_primary,
        "veto_reason_secondary": list(derived.veto_reason_secondary),
        "veto_overridden": derived.veto_overridden,
        "allowed": derived.allowed,
    } == case["expected"]


def test_the_table_names_each_case_once_and_reaches_every_outcome() -> None:
    names = [case["name"] for case in CASES]
    assert len(names) == len(set(names))
    assert {case["expected"]["outcome"] for case in CASES} == {"executed", "vetoed", "held", "failed"}


def test_what_is_odd_is_named() -> None:
    denied = Gate("spread_guard", Verdict.DENY)
    assert derive([], claimed="vetoed").defects == ("vetoed without an enforced deny",)
    assert derive([], claimed="Moonshot").defects == ("outcome 'Moonshot' is not known",)
    assert derive([denied], claimed="vetoed").defects == ()
    assert derive([denied], claimed="rejected").defects == ()
    assert derive([], claimed="rejected").defects == ()
    assert derive([], claimed=" \n").defects == ()


def test_guard_details_hold_what_each_denying_gate_saw_and_nothing_of_the_others() -> None:
    derived = derive(
        [
            Gate("hours", Verdict.PASS, observed=12, threshold=16),
            Gate("spread_guard", Verdict.DENY, observed=16.7, threshold=5.0, unit="bps"),
            Gate("volatility", Verdict.DENY, mode=Mode.SHADOW, observed=0.0, threshold=0.001),
            Gate("feed", Verdict.ERROR),
            Gate("spread_guard", Verdict.DENY, observed=17.0, threshold=5.0, unit="bps"),
        ]
    )
    assert derived.guard_details == {"spread_guard": {"observed": 16.7, "threshold": 5.0, "unit": "bps"}}


_gates = st.lists(
    st.builds(
        Gate,
        name=st.sampled_from(["", "spread_guard", "volatility"]),
        verdict=st.none() | st.sampled_from(Verdict),
        mode=st.sampled_from(Mode),
    ),
    max_size=5,
)
_claims = st.none() | st.sampled_from([*OUTCOME_WORDS, "rejected", "moonshot", ""]) | st.text(max_size=8)


@given(gates=_gates, claimed=_claims, failed=st.booleans(), status_is_kept=st.booleans())
def test_an_outcome_that_is_told_again_is_the_same_outcome(
    *, gates: list[Gate], claimed: str | None, failed: bool, status_is_kept: bool
) -> None:
    """The SDK sends the outcome it derived, and the store derives once more from that."""
    first = derive(gates, claimed=claimed, failed=failed)
    again = derive(gates, claimed=first.outcome, failed=failed and status_is_kept)
    assert _without_defects(again) == _without_defects(first)


@given(gates=_gates, claimed=_claims, failed=st.booleans(), verdict=st.sampled_from(Verdict))
def test_a_shadow_gate_changes_nothing(
    *, gates: list[Gate], claimed: str | None, failed: bool, verdict: Verdict
) -> None:
    shadow = Gate("paper", verdict, mode=Mode.SHADOW)
    assert derive([shadow, *gates, shadow], claimed=claimed, failed=failed) == derive(
        gates, claimed=claimed, failed=failed
    )


@given(gates=_gates, claimed=_claims, failed=st.booleans())
def test_a_veto_has_a_deny_or_a_claim_and_a_deny_closes(
    *, gates: list[Gate], claimed: str | None, failed: bool
) -> None:
    derived = derive(gates, claimed=claimed, failed=failed)
    if derived.outcome is Outcome.VETOED:
        assert derived.veto_reason_primary or derived.defects
    if derived.veto_reason_primary:
        assert not derived.allowed
        assert derived.outcome is not Outcome.HELD


def test_every_foreign_word_is_written_as_it_is_looked_up() -> None:
    assert all(word == normalised(word) for word in [*OUTCOME_WORDS, *VERDICT_WORDS])


def _without_defects(derived: Derived) -> tuple[Any, ...]:
    return (
        derived.outcome, derived.veto_reason_primary, derived.veto_reason_secondary, derived.veto_overridden,
        derived.allowed,
    )  # fmt: skip
