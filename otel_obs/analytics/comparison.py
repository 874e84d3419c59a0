"""What two traces say differently, figure by figure."""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from otel_obs.contract.scorecard import Scorecard


def differences(a: Scorecard, b: Scorecard) -> list[dict[str, Any]]:
    """One line for each figure, stage, decision, gate, principle and gap of either; delta = b - a where both are known.

    Times are in milliseconds, summed where a stage ran more than once; a gate's figure is how often it denied.
    """
    return [
        *_lines("trace", _figures(a), _figures(b)),
        *_lines("trace", _words(a), _words(b)),
        *_lines("stage", _stages(a), _stages(b)),
        *_lines("decision", _decisions(a), _decisions(b)),
        *_lines("gate", _denials(a), _denials(b), absent=0),
        *_lines("principle", _principles(a), _principles(b)),
        *_lines("gap", dict.fromkeys(a.gaps, "gap"), dict.fromkeys(b.gaps, "gap")),
    ]


def _lines(
    subject: str, a: Mapping[str, Any], b: Mapping[str, Any], *, absent: float | None = None
) -> Iterator[dict[str, Any]]:
    for name in dict.fromkeys((*a, *b)):
        pair = a.get(name, absent), b.get(name, absent)
        if pair == (None, None):
            continue
        numbers: list[Any] = [value if isinstance(value, int | float | Decimal) else None for value in pair]
        texts = [value if isinstance(value, str) else "" for value in pair]
        yield {
            "subject": subject,
            "name": name,
            "a": numbers[0],
            "b": numbers[1],
            "delta": None if None in numbers else _minus(numbers[1], numbers[0]),
            "a_text": texts[0],
            "b_text": texts[1],
        }


def _minus(b: Any, a: Any) -> Any:
    with localcontext(prec=76):  # the usual 28 digits would round an amount
        return b - a


def _figures(card: Scorecard) -> dict[str, float | Decimal | None]:
    return {
        "score": card.score,
        "duration_ms": card.duration_ns / 1e6,
        "cost_usd": card.cost_usd,
        "input_tokens": card.input_tokens,
        "output_tokens": card.output_tokens,
        "decisions": len(card.decisions),
    }


def _words(card: Scorecard) -> dict[str, str]:
    passed = {True: "passed", False: "not passed", None: ""}[card.passed]
    told = {
        "name": card.name, "project": card.project, "intent": card.intent, "domain": card.domain, "query": card.query,
        "symbol": card.symbol, "status": card.status, "quality gate": passed, "idle": card.idle_reason,
        "error": card.error,
    }  # fmt: skip
    return {name: text for name, text in told.items() if text}


def _stages(card: Scorecard) -> dict[str, float]:
    found: dict[str, float] = {}
    for stage in card.stages:
        found[stage.name] = found.get(stage.name, 0.0) + stage.duration_ns / 1e6
    return found


def _decisions(card: Scorecard) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for line in card.decisions:
        by = f" by {line.denied_by[0].name}" if line.outcome == "vetoed" and line.denied_by else ""
        found.setdefault(line.what, []).append(f"{line.outcome}{by}")
    return {what: _told(outcomes) for what, outcomes in found.items()}


def _told(outcomes: Sequence[str]) -> str:
    counts = {outcome: outcomes.count(outcome) for outcome in dict.fromkeys(outcomes)}
    return ", ".join(outcome if count == 1 else f"{count} {outcome}" for outcome, count in counts.items())


def _denials(card: Scorecard) -> dict[str, int]:
    found: dict[str, int] = {}
    for line in card.decisions:
        for gate in line.gates:
            found[gate.name] = found.get(gate.name, 0) + gate.denied
    return found


def _principles(card: Scorecard) -> dict[str, Any]:
    return {
        name: value if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
        for name, value in card.principles.items()
    }
