"""What a gate's observed value and limit mean: the verdict, and the distance to the limit."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any, Final


class Verdict(StrEnum):
    """What a gate says of one candidate."""

    PASS = "pass"  # noqa: S105 - the word of the wire
    DENY = "deny"
    ADJUST = "adjust"
    ERROR = "error"


class Mode(StrEnum):
    """Whether the verdict binds."""

    ENFORCE = "enforce"
    SHADOW = "shadow"


class Comparison(StrEnum):
    """How the observed value is held against the threshold."""

    AT_MOST = "at_most"
    AT_LEAST = "at_least"
    BETWEEN = "between"
    EQUALS = "equals"
    NONE = "none"


# Words that other senders use. The store maps the same words; a test holds the two against each other.
VERDICT_WORDS: Final[dict[str, Verdict]] = {
    **dict.fromkeys(("pass", "passed", "allow", "allowed", "ok", "true"), Verdict.PASS),
    **dict.fromkeys(
        ("deny", "denied", "reject", "rejected", "block", "blocked", "veto", "vetoed", "fail", "failed", "false"),
        Verdict.DENY,
    ),
    **dict.fromkeys(("adjust", "adjusted", "resize", "resized"), Verdict.ADJUST),
    **dict.fromkeys(("error", "errored", "exception"), Verdict.ERROR),
}


def normalised(word: str) -> str:
    """Strip and lower a word as the store does: ASCII alone, so that both read it alike in every locale."""
    return "".join(chr(ord(letter) + 32) if "A" <= letter <= "Z" else letter for letter in word.strip(" \t\r\n"))


def verdict_word(word: object) -> Verdict | None:
    """Read a verdict as any sender may write it; None where it cannot be read."""
    try:
        return VERDICT_WORDS.get(normalised(str(word.value if isinstance(word, Enum) else word)))
    except Exception:  # noqa: BLE001 - __str__ of a bot's object may raise anything
        return None


_PASS: Final = Verdict.PASS  # a name that is found at once: a bot asks at every gate
_ADJUST: Final = Verdict.ADJUST
_DENY: Final = Verdict.DENY
_ENFORCE: Final = Mode.ENFORCE
_AT_MOST: Final = Comparison.AT_MOST


@dataclass(frozen=True)
class Gate:
    """One gate as evaluated on one decision. ``verdict`` is None where a sender wrote a word that nobody knows."""

    name: str
    verdict: Verdict | None
    mode: Mode = Mode.ENFORCE
    observed: Any = None
    threshold: Any = None
    comparison: Comparison = Comparison.NONE
    unit: str = ""
    reason: str = ""
    duration_ms: float | None = None

    @property
    def denies(self) -> bool:
        """Whether this gate alone vetoes."""
        return self.verdict is _DENY and self.mode is _ENFORCE

    @property
    def closes(self) -> bool:
        """Whether this gate closes ``allowed``: an enforced deny, or an enforced gate that could not be evaluated."""
        return self.verdict is not _PASS and self.verdict is not _ADJUST and self.mode is _ENFORCE


def number_at_most(  # noqa: PLR0917 - positions are what makes it cheap
    name: str, verdict: Verdict, observed: float, threshold: float, unit: str, reason: str, duration_ms: float | None
) -> Gate:
    """The gate that most are, enforced, without the checks of a frozen class at each of its fields: a third of them."""
    gate = Gate.__new__(Gate)
    object.__setattr__(
        gate,
        "__dict__",
        {
            "name": name, "verdict": verdict, "mode": _ENFORCE, "observed": observed, "threshold": threshold,
            "comparison": _AT_MOST, "unit": unit, "reason": reason, "duration_ms": duration_ms,
        },
    )  # fmt: skip
    return gate


def limit(*, at_most: Any = None, at_least: Any = None, equals: Any = None) -> tuple[Comparison, Any]:
    """Name the comparison that the given limits make, and its threshold (a list of two for ``between``)."""
    if at_most is not None and at_least is not None:
        return Comparison.BETWEEN, [at_least, at_most]
    if at_most is not None:
        return Comparison.AT_MOST, at_most
    if at_least is not None:
        return Comparison.AT_LEAST, at_least
    if equals is not None:
        return Comparison.EQUALS, equals
    return Comparison.NONE, None


def judge(observed: Any, comparison: Comparison, threshold: Any) -> Verdict:
    """Hold ``observed`` against ``threshold``; limits belong to the inside.

    What cannot be compared (a missing value, NaN, words against numbers) is ``error``: it closes, and it is no veto.
    Texts have no order here, in which "16.7" would lie below "5.0". A float beside a Decimal counts as it is written.
    """
    try:
        low, high = (threshold[0], threshold[1]) if comparison is Comparison.BETWEEN else (threshold, threshold)
        if isinstance(observed, Decimal) or isinstance(low, Decimal) or isinstance(high, Decimal):
            observed, low, high = _written(observed), _written(low), _written(high)
        if _is_missing(observed) or _is_missing(low) or _is_missing(high):
            return Verdict.ERROR
        if comparison is Comparison.EQUALS:
            return Verdict.PASS if observed == low else Verdict.DENY
        if isinstance(observed, str) or isinstance(low, str) or isinstance(high, str):
            return Verdict.ERROR
        match comparison:
            case Comparison.AT_MOST:
                inside = observed <= high
            case Comparison.AT_LEAST:
                inside = observed >= low
            case Comparison.BETWEEN:
                inside = low <= observed <= high
            case Comparison.NONE:
                return Verdict.ERROR
        return Verdict.PASS if inside else Verdict.DENY  # noqa: TRY300 - the answer's truth may raise as well
    except Exception:  # noqa: BLE001 - the values are the bot's, and their comparison may raise anything
        return Verdict.ERROR


def _is_missing(figure: Any) -> bool:
    return figure is None or bool(figure != figure)  # noqa: PLR0124 - only NaN differs from itself


def _written(figure: Any) -> Any:
    return Decimal(float.__repr__(figure)) if isinstance(figure, float) else figure


def margin(observed: float, comparison: Comparison, *limits: float) -> tuple[float, float | None] | None:
    """Distance from the limit, positive inside it, and the same as a share of |limit|.

    ``limits`` is one number, or the lower and the upper for ``between``, where the nearer one counts. The share is
    None where the limit is 0; all is None for ``none`` and where a number is not finite.
    """
    if not all(map(math.isfinite, limits)):
        return None
    match comparison, limits:
        case Comparison.BETWEEN, (low, high):
            distance, of = min((observed - low, low), (high - observed, high), key=lambda pair: pair[0])
        case Comparison.AT_MOST, (of,):
            distance = of - observed
        case Comparison.AT_LEAST, (of,):
            distance = observed - of
        case Comparison.EQUALS, (of,):
            distance = -abs(observed - of)
        case _:
            return None
    if not math.isfinite(distance):
        return None
    return distance, (distance / abs(of) if of else None)
