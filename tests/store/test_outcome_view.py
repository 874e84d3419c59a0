"""How a decision ended, as the store's view derives it: by hand-written cases, and against the SDK's own function."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st

from otel_obs.contract.gates import VERDICT_WORDS, Comparison, Gate, Mode, margin, normalised, verdict_word
from otel_obs.contract.outcome import OUTCOME_WORDS, derive

if TYPE_CHECKING:
    from types import ModuleType

    from clickhouse_connect.driver.client import Client

CASES = json.loads((Path(__file__).parents[1] / "cases" / "outcome.json").read_text(encoding="utf-8"))
_numbers = itertools.count(1)

# An attribute that is absent is None; an empty one is ''.
Event = tuple[str, dict[str, str]]
Row = dict[str, Any]


def _views(client: Client, otlp: ModuleType, ledgers: list[tuple[dict[str, str], list[Event], str]]) -> list[Row]:
    """What the view makes of decisions (attributes, events, status), all inserted in one statement, in order."""
    first = next(_numbers) * 1_000_000
    rows = [
        otlp.span_row({"decision.what": "enter", **attributes}, events, number=first + index, status=status)
        for index, (attributes, events, status) in enumerate(ledgers)
    ]
    otlp.insert(client, "otel_traces", rows)
    found = client.query(
        "SELECT * FROM otel.decisions FINAL WHERE span_id >= {first:String} ORDER BY span_id",
        parameters={"first": f"{first:016x}"},
    )
    answers = list(found.named_results())
    assert len(answers) == len(ledgers)
    return answers


def _event(gate: dict[str, Any]) -> Event:
    return "gate.evaluated", {f"gate.{name}": text for name, text in gate.items() if text is not None}


def _claim(word: str | None) -> dict[str, str]:
    return {} if word is None else {"decision.outcome": word}


def test_the_view_agrees_with_every_hand_written_case(client: Client, otlp: ModuleType) -> None:
    ledgers = [
        (
            _claim(case["claimed"]),
            [_event(gate) for gate in case["gates"]],
            "Error" if case["status_error"] else "Unset",
        )
        for case in CASES
    ]
    for case, row in zip(CASES, _views(client, otlp, ledgers), strict=True):
        expected = case["expected"]
        assert {
            "outcome": row["outcome"],
            "veto_reason_primary": row["veto_reason_primary"],
            "veto_reason_secondary": row["veto_reason_secondary"],
            "veto_overridden": row["veto_overridden"],
        } == {key: found for key, found in expected.items() if key != "allowed"}, case["name"]
        assert row["outcome_raw"] == case["claimed"], case["name"]


# ---- random ledgers: the SDK's function and the view, which were written by different hands, must agree

_spaced = st.sampled_from(["", " ", "\t", "\r\n", "  "])
_nasty = st.text(max_size=12)  # any character, NUL and emoji included


def _words(known: list[str]) -> st.SearchStrategy[str]:
    cased = st.builds(
        lambda word, change: change(word), st.sampled_from(known), st.sampled_from([str, str.upper, str.title])
    )
    return st.one_of(
        cased,
        st.builds(lambda before, word, after: before + word + after, _spaced, cased, _spaced),
        st.builds(lambda word, more: word + more, cased, _nasty),
        _nasty,
    )


_gates = st.fixed_dictionaries(
    {"name": st.sampled_from(["", "spread", "volatility", "spread "]) | _nasty},
    optional={
        "verdict": _words(sorted(VERDICT_WORDS)),
        "mode": _words(["shadow", "enforce"]),
        "observed": st.floats().map(repr) | _nasty,
        "threshold": st.floats().map(repr) | _nasty,
        "unit": _nasty,
    },
)
_ledgers = st.tuples(
    st.none() | _words([*sorted(OUTCOME_WORDS), "rejected"]),
    st.lists(_gates, max_size=6),
    st.sampled_from(["Unset", "Ok", "Error", ""]),
    st.booleans(),
)


def _as_the_sdk_reads_it(gate: dict[str, str]) -> Gate:
    return Gate(
        name=gate["name"],
        verdict=verdict_word(gate.get("verdict", "")),
        mode=Mode.SHADOW if normalised(gate.get("mode", "")) == "shadow" else Mode.ENFORCE,
    )


def test_random_ledgers_end_alike_in_the_view_and_in_the_sdk(client: Client, otlp: ModuleType) -> None:
    examples = otlp.drawn(_ledgers, 600)
    ledgers = [
        (
            _claim(claimed),
            # events of others stand between the gates, and an exception may have passed
            [*itertools.chain(*([_event(gate), ("note", {"gate.verdict": "deny"})] for gate in gates))]
            + ([("exception", {"exception.type": "ValueError"})] if raised else []),
            status,
        )
        for claimed, gates, status, raised in examples
    ]
    for (claimed, gates, status, raised), row in zip(examples, _views(client, otlp, ledgers), strict=True):
        derived = derive(
            [_as_the_sdk_reads_it(gate) for gate in gates], claimed=claimed, failed=raised or status == "Error"
        )
        seen = {
            "outcome": row["outcome"],
            "primary": row["veto_reason_primary"],
            "secondary": tuple(row["veto_reason_secondary"]),
            "overridden": row["veto_overridden"],
            "details": list(json.loads(row["guard_details"])),
        }
        assert seen == {
            "outcome": derived.outcome,
            "primary": derived.veto_reason_primary,
            "secondary": derived.veto_reason_secondary,
            "overridden": derived.veto_overridden,
            "details": list(derived.guard_details),
        }, (claimed, gates, status, raised)
        assert row["outcome_raw"] == claimed
        assert len(row["gates.name"]) == len(gates)
        is_strange = claimed is not None and normalised(claimed) not in {"", "rejected", *OUTCOME_WORDS}
        assert ("decision.outcome is not known" in row["defects"]) == is_strange
        assert ("gate.verdict cannot be read" in row["defects"]) == (None in row["gates.verdict"])


def test_every_word_for_an_outcome_means_the_same_in_the_view(client: Client, otlp: ModuleType) -> None:
    rows = _views(client, otlp, [(_claim(f" {word.upper()}\n"), [], "Unset") for word in OUTCOME_WORDS])
    assert {word: row["outcome"] for word, row in zip(OUTCOME_WORDS, rows, strict=True)} == OUTCOME_WORDS


def test_every_word_for_a_verdict_means_the_same_in_the_view(client: Client, otlp: ModuleType) -> None:
    gates = [_event({"name": "g", "verdict": f"\t{word.title()} "}) for word in VERDICT_WORDS]
    [row] = _views(client, otlp, [({}, gates, "Unset")])
    assert dict(zip(VERDICT_WORDS, row["gates.verdict"], strict=True)) == VERDICT_WORDS


def test_guard_details_hold_each_denying_gate_s_first_figures(client: Client, otlp: ModuleType) -> None:
    gates = [
        {"name": "spread_guard", "verdict": "deny", "observed": "16.7", "threshold": "5.0", "unit": "bps"},
        {"name": "hours", "verdict": "deny", "observed": "12", "threshold": "[9,11]"},
        {"name": "spread_guard", "verdict": "deny", "observed": "17", "threshold": "5.0", "unit": "bps"},
        {"name": "regime", "verdict": "deny", "observed": 'a "calm"\nday', "threshold": "1e400"},
        {"name": "paper", "verdict": "deny", "mode": "shadow", "observed": "1"},
        {"name": "fine", "verdict": "pass", "observed": "1"},
    ]
    [row] = _views(client, otlp, [({}, [_event(gate) for gate in gates], "Unset")])
    assert json.loads(row["guard_details"]) == {
        "spread_guard": {"observed": 16.7, "threshold": 5.0, "unit": "bps"},
        "hours": {"observed": 12, "threshold": [9, 11], "unit": ""},
        "regime": {"observed": 'a "calm"\nday', "threshold": "1e400", "unit": ""},
    }


# ---- margins

_edges = [0.0, -0.0, 1.0, -1.0, 5.0, 1e308, -1e308, 5e-324, 1e-9, math.inf, -math.inf, math.nan]
_figure = st.sampled_from(_edges) | st.floats()
_checks = st.tuples(_figure, st.sampled_from(list(Comparison)), st.lists(_figure, min_size=1, max_size=3))


def _threshold(comparison: Comparison, limits: list[float]) -> str:
    if comparison is Comparison.BETWEEN:  # a limit that is not finite can be no JSON number
        return json.dumps([limit if math.isfinite(limit) else None for limit in limits])
    return repr(limits[0])


def _margin(observed: float, comparison: Comparison, limits: list[float]) -> tuple[float | None, float | None]:
    is_pair = comparison is not Comparison.BETWEEN or (len(limits) == 2 and all(map(math.isfinite, limits)))
    used = limits if comparison is Comparison.BETWEEN else limits[:1]
    found = margin(observed, comparison, *used) if is_pair else None
    return found or (None, None)


def _alike(found: float | None, expected: float | None) -> bool:
    if found is None or expected is None:
        return found is expected
    return found == expected or math.isclose(found, expected, rel_tol=1e-15, abs_tol=0.0)


def test_margins_are_those_of_the_sdk_for_any_figures(client: Client, otlp: ModuleType) -> None:
    checks = otlp.drawn(_checks, 600)
    gates = [
        _event(
            {
                "name": "g",
                "verdict": "pass",
                "observed": repr(observed),
                "comparison": comparison,
                "threshold": _threshold(comparison, limits),
            }
        )
        for observed, comparison, limits in checks
    ]
    [row] = _views(client, otlp, [({}, gates, "Unset")])
    found = client.query(
        "SELECT observed, margin, margin_ratio FROM otel.gates FINAL WHERE span_id = {id:String} ORDER BY ordinal",
        parameters={"id": row["span_id"]},
    ).result_rows
    for check, (observed, distance, ratio) in zip(checks, found, strict=True):
        expected_distance, expected_ratio = _margin(*check)
        assert _alike(observed, check[0] if math.isfinite(check[0]) else None), check
        assert _alike(distance, expected_distance), (check, distance)
        assert _alike(ratio, expected_ratio), (check, ratio)


@pytest.mark.parametrize(
    ("observed", "comparison", "threshold", "margins"),
    [
        ("16.7", "at_most", "5.0", (-11.7, -2.34)),
        ("4.5", "at_most", "5.0", (0.5, 0.1)),
        ("0.0015", "at_least", "0.001", (0.0005, 0.5)),
        ("7", "between", "[5, 10]", (2.0, 0.4)),
        ("11", "between", "[5, 10]", (-1.0, -0.1)),
        ("3", "at_most", "0", (-3.0, None)),
        ("calm", "equals", "storm", (None, None)),
        ("7", "between", "[5]", (None, None)),
        ("7", "between", '["5", null]', (None, None)),
        ("7", "between", "5", (None, None)),
        ("7", "above", "5", (None, None)),
    ],
)
def test_margin_is_the_distance_inside_the_limit_and_its_share(
    client: Client, otlp: ModuleType, *, observed: str, comparison: str, threshold: str, margins: tuple[float, float]
) -> None:
    gate = {"name": "g", "verdict": "pass", "observed": observed, "comparison": comparison, "threshold": threshold}
    [row] = _views(client, otlp, [({}, [_event(gate)], "Unset")])
    [found] = client.query(
        "SELECT margin, margin_ratio FROM otel.gates FINAL WHERE span_id = {id:String}",
        parameters={"id": row["span_id"]},
    ).result_rows
    assert found == (pytest.approx(margins[0]), pytest.approx(margins[1]))
