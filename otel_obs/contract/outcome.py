"""How a decision ended: the one pure function that both the SDK and (as a view) the store follow."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from otel_obs.contract.gates import normalised

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_obs.contract.gates import Gate

UNNAMED: Final = "unnamed"


class Outcome(StrEnum):
    """The four ways in which a decision ends."""

    EXECUTED = "executed"
    VETOED = "vetoed"
    HELD = "held"
    FAILED = "failed"


_REFUSED: Final = "rejected"  # by our own gates if one denied, else by the venue

# Words that other senders use. The store maps the same words; a test holds the two against each other.
OUTCOME_WORDS: Final[dict[str, Outcome]] = {
    **dict.fromkeys(
        ("executed", "execute", "acted", "submitted", "placed", "sent", "traded", "filled"), Outcome.EXECUTED
    ),
    **dict.fromkeys(("vetoed", "veto", "denied", "blocked", "refused"), Outcome.VETOED),
    **dict.fromkeys(("held", "hold", "skipped", "skip", "idle", "none", "no_action", "ignored", "pass"), Outcome.HELD),
    **dict.fromkeys(("failed", "fail", "failure", "error", "errored", "exception"), Outcome.FAILED),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """What follows from a decision's claim, its status and its gate ledger."""

    outcome: Outcome
    veto_reason_primary: str | None = None
    veto_reason_secondary: tuple[str, ...] = ()
    guard_details: dict[str, dict[str, Any]] = field(default_factory=dict)
    veto_overridden: bool = False
    allowed: bool = True
    defects: tuple[str, ...] = ()


def derive(gates: Sequence[Gate], *, claimed: str | None = None, failed: bool = False) -> Derived:
    """Derive the outcome and the veto of one decision.

    Args:
        gates: the ledger, in the order of evaluation.
        claimed: the outcome that the bot told, in any sender's words; None where it told none.
        failed: an exception passed, or the span's status is Error.

    """
    word = normalised(claimed or "")
    denies = [gate for gate in gates if gate.denies]
    meant = OUTCOME_WORDS.get(word)
    if word == _REFUSED:
        meant = Outcome.VETOED if denies else Outcome.FAILED
    if meant is Outcome.EXECUTED:
        outcome = Outcome.EXECUTED
    elif failed or meant is Outcome.FAILED:
        outcome = Outcome.FAILED
    elif denies or meant is Outcome.VETOED:
        outcome = Outcome.VETOED
    else:
        outcome = Outcome.HELD

    names = [gate.name or UNNAMED for gate in denies]
    details: dict[str, dict[str, Any]] = {}
    for name, gate in zip(names, denies, strict=True):
        details.setdefault(name, {"observed": gate.observed, "threshold": gate.threshold, "unit": gate.unit})
    defects = []
    if word and meant is None:
        defects.append(f"outcome {claimed!r} is not known")
    if outcome is Outcome.VETOED and not denies:
        defects.append("vetoed without an enforced deny")
    return Derived(
        outcome=outcome,
        veto_reason_primary=names[0] if names else None,
        veto_reason_secondary=tuple(names[1:]),
        guard_details=details,
        veto_overridden=outcome is Outcome.EXECUTED and bool(denies),
        allowed=not any(gate.closes for gate in gates),
        defects=tuple(defects),
    )
