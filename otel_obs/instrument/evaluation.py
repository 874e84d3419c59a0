"""What a gate's entry is, made from what a bot said of it: the verdict follows from the value and its limit."""

from __future__ import annotations

from typing import Any, Final

from otel_obs.contract.gates import Comparison, Gate, Mode, Verdict, judge, limit, number_at_most, verdict_word
from otel_obs.instrument import values

VERDICTS: Final = "pass, deny, adjust or error; or True or False"
_NUMBERS: Final[frozenset[Any]] = frozenset({int, float})
_PASS: Final = Verdict.PASS
_DENY: Final = Verdict.DENY
_ENFORCE: Final = Mode.ENFORCE


def _is_missing(observed: Any) -> bool:
    """Whether there was no value to see: a fact of the market, and no mistake of the call."""
    return observed is None or (isinstance(observed, float) and observed != observed)  # noqa: PLR0124 - only NaN does


def evaluated(
    name: Any,
    verdict: Any = None,
    *,
    observed: Any = None,
    at_most: Any = None,
    at_least: Any = None,
    equals: Any = None,
    threshold: Any = None,
    mode: Any = _ENFORCE,
    unit: Any = "",
    reason: Any = "",
    duration_ms: float | None = None,
) -> tuple[Gate, str]:
    """Make a gate's entry from what a bot said; never raises. Returns it with what was wrong, or ''.

    The verdict is the given one, else it follows from value and limit. What cannot be read closes the gate: a bot must
    not trade because its telemetry was called wrongly.
    """
    if (  # what most gates are, without a further question
        verdict is None
        and observed.__class__ in _NUMBERS
        and at_most.__class__ in _NUMBERS
        and name.__class__ is str
        and mode is _ENFORCE
        and at_least is equals is threshold is None
        and (observed <= at_most or observed > at_most)  # neither holds of what is no number
    ):
        plain = _PASS if observed <= at_most else _DENY
        return number_at_most(name, plain, observed, at_most, unit, reason, duration_ms), ""
    wrong = ""
    comparison, named = limit(at_most=at_most, at_least=at_least, equals=equals)
    threshold = named if named is not None else threshold
    if verdict is not None:
        found = verdict_word(verdict)
        if found is None:
            wrong = f"has a verdict that is not {VERDICTS}"
    elif comparison is Comparison.NONE:
        found, wrong = None, "has neither a verdict nor a limit"
    else:
        found = judge(observed, comparison, threshold)
        if _is_missing(observed):
            reason = reason if values.is_given(reason) else "there was no value to see"
        elif found is Verdict.ERROR:
            wrong = "has an observed value that cannot be held against its limit"
    try:
        known = Mode(mode)
    except Exception:  # noqa: BLE001 - a bot's own mode may raise anything when it is compared
        known, wrong = Mode.ENFORCE, "has a mode that is neither enforce nor shadow"
    entry = Gate(
        name=name if type(name) is str else values.words(name),
        verdict=found or Verdict.ERROR,
        mode=known,
        observed=observed,
        threshold=threshold,
        comparison=comparison,
        unit=unit,
        reason=reason,
        duration_ms=duration_ms,
    )
    return entry, wrong
