"""Answers about gates: gates, near-misses, co-denials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_obs.reports.answer import Answer, Table, listed
from otel_obs.reports.shapes.words import LIMIT_SIGNS, count, limited, number, percent, time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_obs.reports import rows


def gates(found: Sequence[rows.GateStatistics], _asked: Mapping[str, Any]) -> Answer[rows.GateStatistics]:
    """How often does each gate pass, and where does what it sees stand against its limit?"""
    strictest = next((row for row in found if row.denied), None)
    sentence = f"{count(len(found), 'gate')} evaluated; none denied." if found else "No gate was evaluated."
    if strictest:
        sentence = (
            f"{strictest.gate} denied most: {strictest.denied} of {strictest.evaluations} "
            f"({percent(strictest.pass_rate)} pass)."
        )
    moved = [row.gate for row in found if row.lowest_threshold != row.highest_threshold]
    if moved:
        sentence += (
            f" {count(len(moved), 'limit')} moved in this window ({', '.join(moved)}): `otel-obs report changes`."
        )
    table = Table(
        columns=(
            "gate", "mode", "evaluations", "passed", "denied", "errors", "pass rate", "median observed", "limit",
            "near misses", "of them denied",
        ),
        rows=[
            (
                row.gate, row.mode, row.evaluations, row.passed, row.denied, row.errors, percent(row.pass_rate),
                f"{number(row.median_observed)} {row.unit}".strip(),
                _limits(row), row.near_misses, row.near_denials,
            )
            for row in found
        ],
    )  # fmt: skip
    return listed(found, sentence, table)


def _limits(row: rows.GateStatistics) -> str:
    sign = LIMIT_SIGNS.get(row.comparison, "")
    if row.lowest_threshold == row.highest_threshold:
        return f"{sign} {number(row.median_threshold)} {row.unit}".strip() if row.median_threshold is not None else ""
    return f"{sign} {number(row.lowest_threshold)} … {number(row.highest_threshold)} {row.unit}".strip()


def near_misses(found: Sequence[rows.NearMiss], asked: Mapping[str, Any]) -> Answer[rows.NearMiss]:
    """Which evaluations came close to the limit, on either side?"""
    near = percent(asked["near"])
    sentence = f"No gate came within {near} of its limit."
    if found:
        row = found[0]
        unit = f" {row.unit}" if row.unit else ""
        sentence = (
            f"{count(row.total, 'evaluation')} within {near} of the limit: {row.denied} denied, {row.passed} passed. "
            f"The closest: {row.gate} saw "
            f"{number(row.observed)}{unit}, limit {number(row.threshold)}{unit} ({row.verdict or 'unreadable'})."
            f"{limited(found, row.total)}"
        )
    table = Table(
        columns=(
            "time", "service", "symbol", "gate", "mode", "verdict", "observed", "limit", "margin", "outcome", "id",
        ),
        rows=[
            (
                time(row.timestamp, asked), row.service, row.symbol, row.gate, row.mode, row.verdict or "?",
                f"{number(row.observed)} {row.unit}".strip(),
                f"{LIMIT_SIGNS.get(row.comparison, '')} {number(row.threshold)} {row.unit}".strip(),
                percent(row.margin_ratio),
                row.outcome, row.span_id,
            )
            for row in found
        ],
    )  # fmt: skip
    return listed(found, sentence, table)


def co_denials(found: Sequence[rows.CoDenial], _asked: Mapping[str, Any]) -> Answer[rows.CoDenial]:
    """Which gates deny together, and which alone?"""
    sentence = "No gate denied."
    if found:
        pair = next((row for row in found if row.other), None)
        alone = next((row for row in found if row.other is None), None)
        told = []
        if pair:
            told.append(
                f"{pair.gate} and {pair.other} denied together most: {count(pair.together, 'decision')}, "
                f"{percent(pair.share)} of what {pair.gate} denied"
            )
        if alone:
            told.append(f"{alone.gate} denied {count(alone.together, 'decision')} that no other gate did")
        sentence = "; ".join(told) + "."
    table = Table(
        columns=("gate", "together with", "decisions", "of them vetoed", "share of the gate's denials", "overlap"),
        rows=[
            (row.gate, row.other or "(alone)", row.together, row.vetoed, percent(row.share), percent(row.overlap))
            for row in found
        ],
    )
    return listed(found, sentence, table)
