"""How dear a record is: the tier of a span or a log record, by what it says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel_obs.contract import semconv
from otel_obs.contract.gates import normalised
from otel_obs.contract.outcome import OUTCOME_WORDS, Outcome
from otel_obs.contract.streams import BY_NAME
from otel_obs.contract.tiers import Tier

if TYPE_CHECKING:
    from collections.abc import Mapping

_HELD: Final = Outcome.HELD  # names that are found at once: a bot asks at every decision
_STANDARD: Final = Tier.STANDARD
_DURABLE: Final = Tier.DURABLE
_TIERS: Final = {tier.value: tier for tier in Tier}


def of_outcome(outcome: Outcome) -> Tier:
    """A decision that acted, failed or was vetoed is durable; one that held can be said again."""
    return _STANDARD if outcome is _HELD else _DURABLE


def of_word(outcome: Any) -> Tier:
    """The same for an outcome in any sender's words; one that nobody knows is durable."""
    known = OUTCOME_WORDS.get(normalised(outcome)) if isinstance(outcome, str) else None
    return Tier.DURABLE if known is None else of_outcome(known)


def of_span(attributes: Mapping[str, Any]) -> Tier:
    """A span that says its tier has it; traces and stages are standard, spans of other libraries best effort."""
    said = attributes.get(semconv.OTEL_OBS_TIER)
    if isinstance(said, str) and said in _TIERS:
        return _TIERS[said]
    if semconv.DECISION_WHAT in attributes:
        return of_word(attributes.get(semconv.DECISION_OUTCOME, Outcome.HELD.value))
    if semconv.TRACE_NAME in attributes or semconv.STAGE_NAME in attributes:
        return Tier.STANDARD
    return Tier.BEST_EFFORT


def of_log(event_name: str | None, attributes: Mapping[str, Any]) -> Tier:
    """A fact has its stream's tier; a log record that is no fact of ours is best effort."""
    said = attributes.get(semconv.OTEL_OBS_TIER)
    if isinstance(said, str) and said in _TIERS:
        return _TIERS[said]
    stream = BY_NAME.get(event_name or "")
    return stream.tier if stream else Tier.BEST_EFFORT
