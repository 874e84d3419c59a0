"""The figures that sum a window up, each worked out here by other means from the same random histories."""

from __future__ import annotations

import itertools
import math
import statistics
from collections import Counter, defaultdict
from datetime import datetime
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

import pytest

from otel_obs.reports.registry import report
from otel_obs.reports.run import run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from clickhouse_connect.driver.client import Client

OUTCOMES = ("executed", "vetoed", "held", "failed")


def _decisions(nodes: Sequence[Any], asked: Any) -> list[Any]:
    return [node for node in nodes if node.kind == "decision" and asked.covers(node)]


def _ended(decisions: Sequence[Any]) -> dict[str, Any]:
    ended = Counter(node.outcome for node in decisions)
    candidates = ended["vetoed"] + ended["executed"] + ended["failed"]
    return {
        **{outcome: ended[outcome] for outcome in OUTCOMES},
        "rejection_rate": ended["vetoed"] / candidates if candidates else None,
    }


def _exact_sum(amounts: Sequence[Decimal]) -> Decimal:
    with localcontext(prec=200):
        return sum(amounts, Decimal(0))


# ---- summary


def _summary(nodes: Sequence[Any], asked: Any) -> dict[str | None, dict[str, Any]]:
    chosen = [node for node in nodes if node.kind != "stranger" and asked.covers(node)]
    by_service: dict[str | None, list[Any]] = defaultdict(list)
    for node in chosen:
        by_service[node.service].append(node)
        by_service[None].append(node)
    found = {}
    for service, told in by_service.items():
        traces, decisions, stages = (
            [node for node in told if node.kind == kind] for kind in ("cycle", "decision", "stage")
        )
        scores = [score for node in traces if (score := node.number_of("trace.score")) is not None]
        found[service] = {
            "first_record": min(node.at for node in told) // 1000 * 1000,
            "latest_record": max(node.at for node in told) // 1000 * 1000,
            "traces": len(traces),
            "traces_failed": sum(node.failed for node in traces),
            "decisions": len(decisions),
            **_ended(decisions),
            "scored": len(scores),
            "average_score": pytest.approx(statistics.fmean(scores), rel=1e-12) if scores else None,
            "passed": sum(node.passed is True for node in traces),
            "not_passed": sum(node.passed is False for node in traces),
            "input_tokens": sum(node.whole_of("gen_ai.usage.input_tokens") for node in stages),
            "output_tokens": sum(node.whole_of("gen_ai.usage.output_tokens") for node in stages),
            "cost_usd": _exact_sum([node.cost for node in stages if node.cost is not None]),
        }
    return found


def test_a_summary_is_what_the_histories_say(client: Client, history: list[Any], histories: ModuleType) -> None:
    for asked in histories.questions(history):
        answer = run(client, report("summary"), asked.given)
        found = {}
        for row in answer.rows:
            told = dict(vars(row))
            told |= {name: histories.nanoseconds(told[name]) for name in ("first_record", "latest_record")}
            assert (told.pop("orders"), told.pop("fills")) == (0, 0)
            found[told.pop("service")] = told
        assert found == _summary(history, asked), asked
        order = [(row.service is not None, -row.decisions, row.service or "") for row in answer.rows]
        assert order == sorted(order)
        if answer.rows:
            assert f"{answer.rows[0].decisions} decision" in answer.sentence
            assert (
                answer.rows[0].decisions == run(client, report("why"), {**asked.given, "intent": ""}).rows[0].decisions
            )


# ---- near-misses


@pytest.mark.parametrize(
    "more",
    [
        ("10%", "", 10_000, "", ""), ("0", "", 3, "", ""), ("0.05", "hours", 5, "", ""), ("9", "nothing", 50, "", ""),
        ("1.5", "", 10_000, "deny", "shadow"), ("0.5", "spread", 7, "pass", "enforce"),
    ],
)  # fmt: skip
def test_near_misses_are_those_within_reach_the_closest_first(
    client: Client, history: list[Any], histories: ModuleType, more: tuple[str, str, int, str, str]
) -> None:
    near, gate, limit, verdict, mode = more
    reach = 0.1 if near == "10%" else float(near)
    for asked in histories.questions(history):
        expected = sorted(
            (
                (abs(one.ratio), -node.at, node.trace_id, node.id, ordinal, node, one)
                for node in _decisions(history, asked)
                for ordinal, one in enumerate(node.gates)
                if one.ratio is not None
                and round(abs(one.ratio), 9) <= reach
                and gate in {"", one.name}
                and verdict in {"", one.verdict}
                and mode in {"", one.mode}
            ),
            key=lambda line: line[:5],
        )
        given = {**asked.given, "near": near, "gate": gate, "limit": str(limit), "verdict": verdict, "gate_mode": mode}
        rows = run(client, report("near-misses"), given).rows
        verdicts = Counter(one.verdict for *_, one in expected)
        assert {(row.denied, row.passed) for row in rows} <= {(verdicts["deny"], verdicts["pass"] + verdicts["adjust"])}
        assert [
            (row.gate, row.span_id, row.trace_id, row.margin, row.margin_ratio, row.observed, row.threshold, row.mode)
            for row in rows
        ] == [
            (one.name, node.id, node.trace_id, one.margin, one.ratio, one.number, one.limit, one.mode)
            for *_, node, one in expected[:limit]
        ], asked
        for row, (*_, node, one) in zip(rows, expected, strict=False):
            assert (row.verdict or "?", row.outcome, row.total) == (one.verdict, node.outcome, len(expected))
            assert (row.comparison, row.unit) == (histories.GATES[one.name][0], histories.GATES[one.name][2])
            assert (row.service, row.symbol) == (node.service, node.symbol)


# ---- co-denials


@pytest.mark.parametrize("mode", ["enforce", "shadow", ""])
def test_gates_that_deny_together_are_counted_in_decisions(
    client: Client, history: list[Any], histories: ModuleType, mode: str
) -> None:
    for asked in histories.questions(history):
        told = [
            ({gate.name for gate in node.gates if gate.verdict == "deny" and mode in {"", gate.mode}}, node.outcome)
            for node in _decisions(history, asked)
        ]
        denied = [names for names, _ in told]
        vetoed = [names for names, outcome in told if outcome == "vetoed"]
        times = Counter(name for names in denied for name in names)
        together = Counter(pair for names in denied for pair in itertools.permutations(names, 2))
        alone = Counter(name for names in denied if len(names) == 1 for name in names)
        expected = {
            (gate, other): (
                count,
                sum({gate, other} <= names for names in vetoed),
                times[gate],
                times[other],
                count / times[gate],
                count / len([names for names in denied if names & {gate, other}]),
            )
            for (gate, other), count in together.items()
        } | {
            (gate, None): (count, vetoed.count({gate}), times[gate], None, count / times[gate], None)
            for gate, count in alone.items()
        }
        rows = run(client, report("co-denials"), {**asked.given, "gate_mode": mode}).rows
        assert {
            (row.gate, row.other): (
                row.together,
                row.vetoed,
                row.gate_denied,
                row.other_denied,
                row.share,
                row.overlap,
            )
            for row in rows
        } == expected, asked
        order = [(-row.together, row.gate, row.other or "") for row in rows]
        assert order == sorted(order)
        is_one = sum(row.together for row in rows if row.other is None) + sum(len(names) > 1 for names in denied)
        assert is_one == sum(map(bool, denied))  # whoever denies does so alone or together


# ---- confidence


def test_confidence_is_counted_in_tenths_that_add_up(client: Client, history: list[Any], histories: ModuleType) -> None:
    for asked in histories.questions(history):
        bands: dict[float | None, list[Any]] = defaultdict(list)
        for node in _decisions(history, asked):
            lows = [tenth / 10 for tenth in range(10) if node.confidence is not None and node.confidence >= tenth / 10]
            bands[max(lows, default=None)].append(node)
        rows = run(client, report("confidence"), asked.given).rows
        assert [row.low for row in rows] == sorted(bands, key=lambda low: math.inf if low is None else low), asked
        for row in rows:
            told = {name: getattr(row, name) for name in (*OUTCOMES, "rejection_rate")}
            assert told == _ended(bands[row.low])
            assert row.decisions == len(bands[row.low])
            assert row.high == (None if row.low is None else round(row.low * 10 + 1) / 10)
        assert sum(row.decisions for row in rows) == len(_decisions(history, asked))


# ---- overridden


@pytest.mark.parametrize(
    ("gate", "limit"), [("", 10_000), *((gate, 1_000) for gate in ("spread", "zero", "hours", "regime")), ("", 4)]
)
def test_overridden_are_those_that_acted_against_a_gate(
    client: Client, history: list[Any], histories: ModuleType, gate: str, limit: int
) -> None:
    for asked in histories.questions(history):
        expected = sorted(
            (
                node
                for node in _decisions(history, asked)
                if node.outcome == "executed" and node.vetoes and (not gate or gate in node.vetoes)
            ),
            key=lambda node: (-node.at, node.trace, node.number),
        )
        answer = run(client, report("overridden"), {**asked.given, "gate": gate, "limit": str(limit)})
        assert [(row.span_id, row.denied_by, row.also_denied_by, row.why, row.side) for row in answer.rows] == [
            (node.id, node.vetoes[0], node.vetoes[1:], node.said["decision.why"], node.said["order.side"])
            for node in expected[:limit]
        ], asked
        assert {row.total for row in answer.rows} <= {len(expected)}


# ---- changes


def _rates(before: int, after: int, lengths: tuple[int, int]) -> tuple[float | None, float | None]:
    """Two counts as they are told: plain where the windows are equally long, else per hour or per day."""
    if lengths[0] == lengths[1]:
        return before, after
    unit = 3600 * 10**9 if max(lengths) < 2 * 86_400 * 10**9 else 86_400 * 10**9
    return tuple(
        count * unit / length if length else None for count, length in zip((before, after), lengths, strict=True)
    )  # type: ignore[return-value]


def _limit_text(name: str, histories: ModuleType) -> str:
    comparison, limits, unit = histories.GATES[name]
    sign = {"at_most": "≤ ", "at_least": "≥ ", "between": "in ", "none": ""}[comparison]
    return f"{sign}{str(list(limits)) if len(limits) == 2 else ''.join(map(repr, limits))} {unit}".strip()


def _changes(sides: tuple[list[Any], list[Any]], lengths: tuple[int, int], histories: ModuleType) -> dict[Any, Any]:
    """Every measure of both windows, by subject, name and measure, as (before, after, is_there, texts)."""
    unit = "" if lengths[0] == lengths[1] else " per hour" if max(lengths) < 2 * 86_400 * 10**9 else " per day"
    found: dict[Any, Any] = {}

    def add(
        subject: str, name: str, measure: str, pair: Any, there: Any, *, is_count: bool, texts: Any = ("", "")
    ) -> None:
        told = _rates(*pair, lengths) if is_count else pair
        found[subject, name, measure + (unit if is_count else "")] = (*told, there, texts)

    subjects = {("all", "")} | {("service", node.service) for side in sides for node in side}
    subjects |= {("symbol", node.symbol) for side in sides for node in side if node.symbol}
    for subject, name in subjects:
        told = [[node for node in side if subject == "all" or getattr(node, subject) == name] for side in sides]
        ended = [_ended(side) for side in told]
        there = tuple(bool(side) for side in told)
        add(subject, name, "decisions", [len(side) for side in told], there, is_count=True)
        add(subject, name, "rejection rate", [side["rejection_rate"] for side in ended], there, is_count=False)
        for outcome in OUTCOMES if subject == "all" else ():
            add(subject, name, outcome, [side[outcome] for side in ended], there, is_count=True)
    gates = [[gate for node in side for gate in node.gates] for side in sides]
    for name, mode in {(gate.name, gate.mode) for side in gates for gate in side}:
        told = [[gate for gate in side if (gate.name, gate.mode) == (name, mode)] for side in gates]
        there = tuple(bool(side) for side in told)
        shown = name + (" (shadow)" if mode == "shadow" else "")
        limits = [[gate.limit for gate in side if gate.limit is not None] for side in told]
        add("gate", shown, "evaluations", [len(side) for side in told], there, is_count=True)
        denied = [sum(gate.verdict == "deny" for gate in side) / len(side) if side else None for side in told]
        add("gate", shown, "denied", denied, there, is_count=False)
        texts = tuple(_limit_text(name, histories) if side else "" for side in told)
        middle = [statistics.median(side) if side else None for side in limits]
        add("gate", shown, "limit", middle, there, is_count=False, texts=texts)
        numbers = [[gate.number for gate in side if gate.number is not None] for side in told]
        seen = [statistics.median(side) if side else None for side in numbers]
        add("gate", shown, "median observed", seen, there, is_count=False)
    return found


def test_changes_are_what_differs_between_two_windows(
    client: Client, history: list[Any], histories: ModuleType
) -> None:
    asked_for = list(histories.questions(history, 16))
    start, end = histories.START, histories.START + histories.SPAN
    asked_for.append(histories.Question(start, start + 2 * (end - start)))
    unlike = list(zip(asked_for, asked_for[::-1], strict=True))  # of any length, some empty, some overlapping
    unlike += [(asked, histories.Question(asked.start, asked.start)) for asked in asked_for[:2]]
    unlike += [(histories.Question(start, start), histories.Question(start, end)), (asked_for[0], asked_for[0])]
    for asked, base in unlike:
        given = {**asked.given, "base_from": base.given["from"], "base_to": base.given["to"]}
        held = histories.Question(base.start, base.end, asked.service, asked.symbol)
        sides = (_decisions(history, held), _decisions(history, asked))
        expected = {
            key: (before, after, texts, _word(before, after, there))
            for key, (before, after, there, texts) in _changes(
                sides, (base.end - base.start, asked.end - asked.start), histories
            ).items()
            if any(there) and (before != after or texts[0] != texts[1])
        }
        rows = run(client, report("changes"), given).rows
        found = {
            (row.subject, row.name, row.measure): (row.before, row.after, (row.before_text, row.after_text), row.change)
            for row in rows
        }
        assert set(found) == set(expected), asked
        for key, (before, after, texts, word) in expected.items():
            near = tuple(None if value is None else pytest.approx(value, rel=1e-12) for value in (before, after))
            assert found[key] == (*near, texts, word), (key, asked, base)
        for row in rows:
            assert row.difference == (None if None in (row.before, row.after) else row.after - row.before)
        places = [(row.measure != "limit", ("all", "gate", "symbol", "service").index(row.subject)) for row in rows]
        assert places == sorted(places)  # moved limits first: they are why the rest moved
        firsts = {
            (gate.name + (" (shadow)" if gate.mode == "shadow" else "")): min(
                node.at for node in sides[1] for one in node.gates if (one.name, one.mode) == (gate.name, gate.mode)
            )
            for node in sides[1]
            for gate in node.gates
        }
        for row in rows:  # limits of a history never move: one is new where its gate is
            is_new = row.measure == "limit" and row.change == "appeared"
            assert (row.since is not None) == is_new
            assert row.since is None or histories.nanoseconds(row.since) == firsts[row.name] // 1000 * 1000


def _word(before: float | None, after: float | None, there: tuple[bool, bool]) -> str:
    if there[0] != there[1]:
        return "appeared" if there[1] else "vanished"
    if before is None or after is None or before == after:
        return "changed"
    return "rose" if after > before else "fell"


def test_the_window_right_before_is_what_a_window_is_held_against(
    client: Client, history: list[Any], histories: ModuleType
) -> None:
    middle, length = histories.START + histories.SPAN // 2, histories.SPAN // 4
    asked = histories.Question(middle, middle + length)
    told = run(client, report("changes"), asked.given)
    base = histories.Question(middle - length, middle).given
    assert told == run(client, report("changes"), {**asked.given, "base_from": base["from"], "base_to": base["to"]})
    assert datetime.fromisoformat(base["from"]).strftime("%Y-%m-%d %H:%M:%S") in told.sentence
    same = run(
        client, report("changes"), {**asked.given, "base_from": asked.given["from"], "base_to": asked.given["to"]}
    )
    assert (same.rows, "Nothing differs" in same.sentence) == ([], True)


def test_a_limit_that_was_changed_is_told_in_its_own_words_and_one_that_moves_by_its_median(
    client: Client, otlp: ModuleType, histories: ModuleType
) -> None:
    at, hour = otlp.NOON, 3600 * 10**9
    said = {
        "spread": ("at_most", [["5"] * 3, ["5", "6", "8", "8"]]),
        "hours": ("between", [["[9, 17]"] * 2, ["[10, 16]"] * 2]),
        "moves": ("at_least", [[str(n) for n in range(8)], [str(n) for n in range(8)]]),
        "dies": ("at_most", [["1"], []]),
        "text": ("equals", [["calm"], ["wild"]]),
    }
    rows, numbers = [], itertools.count(9_000_000)
    for name, (comparison, windows) in said.items():
        for window, limits in enumerate(windows):
            for limit in limits:
                gate = {
                    "name": name,
                    "verdict": "pass",
                    "observed": "9.5",
                    "threshold": limit,
                    "comparison": comparison,
                }
                told = {f"gate.{key}": text for key, text in gate.items()}
                event = ("gate.evaluated", told)
                number = next(numbers)
                rows.append(
                    otlp.span_row(
                        {"decision.what": "x"}, [event], number=number, at=at + window * hour + number, service="limits"
                    )
                )
    otlp.insert(client, "otel_traces", rows)
    asked = histories.Question(at + hour, at + 2 * hour, service="limits")
    answer = run(client, report("changes"), asked.given)
    found = {
        row.name: (row.before, row.after, row.before_text, row.after_text, row.change)
        for row in answer.rows
        if (row.subject, row.measure) == ("gate", "limit")
    }
    assert found == {
        "spread": (5.0, 7.0, "≤ 5", "≤ 5, ≤ 6, ≤ 8", "rose"),
        "hours": (9.0, 10.0, "in [9, 17]", "in [10, 16]", "rose"),
        "dies": (1.0, None, "≤ 1", "", "vanished"),
        "text": (None, None, "= calm", "= wild", "changed"),
    }
    assert "dies vanished" in answer.sentence
