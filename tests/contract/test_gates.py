"""What an observed value and a limit mean: inside, outside, or not to be compared; and how far from the limit."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import Enum
from math import inf, nan
from typing import Any

import pytest

from otel_obs.contract.gates import Comparison, Verdict, judge, limit, margin, verdict_word

PASS, DENY, ERROR = Verdict.PASS, Verdict.DENY, Verdict.ERROR
AT_MOST, AT_LEAST = Comparison.AT_MOST, Comparison.AT_LEAST
BETWEEN, EQUALS, NONE = Comparison.BETWEEN, Comparison.EQUALS, Comparison.NONE


class Hostile:
    """Raises wherever it is compared."""

    def _refuse(self, other: object) -> bool:
        raise RuntimeError("no comparison, please")

    __eq__ = __ne__ = __le__ = __ge__ = __lt__ = __gt__ = _refuse  # type: ignore[assignment]
    __hash__ = None  # type: ignore[assignment]


class Undecided:
    """Compares without an answer, as pandas' NA and an array of numpy do: the answer's truth raises."""

    def _answer(self, other: object) -> Any:
        return self

    def __bool__(self) -> bool:
        raise TypeError("the truth of this is ambiguous")

    __le__ = __ge__ = __lt__ = __gt__ = _answer


class Colour(Enum):
    """An enumeration of a bot."""

    GREEN = "pass"


class Mixed(str, Enum):  # noqa: UP042 - the older form, whose str() is "Mixed.RED"
    """One whose members are strings."""

    RED = "deny"


class Mute:
    """Cannot be turned into text."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("observed", "comparison", "threshold", "verdict"),
    [
        # limits belong to the inside
        (4.9, AT_MOST, 5.0, PASS),
        (5.0, AT_MOST, 5.0, PASS),
        (5.1, AT_MOST, 5.0, DENY),
        (0.002, AT_LEAST, 0.001, PASS),
        (0.001, AT_LEAST, 0.001, PASS),
        (0.0, AT_LEAST, 0.001, DENY),
        (9, BETWEEN, [9, 16], PASS),
        (16, BETWEEN, [9, 16], PASS),
        (8, BETWEEN, [9, 16], DENY),
        (17, BETWEEN, (9, 16), DENY),
        ("calm", EQUALS, "calm", PASS),
        ("storm", EQUALS, "calm", DENY),
        # zero is a limit like any other
        (0, AT_MOST, 0, PASS),
        (-0.0, AT_LEAST, 0, PASS),
        (1e-300, AT_MOST, 0, DENY),
        (False, EQUALS, False, PASS),
        # infinity is a number
        (inf, AT_MOST, 5.0, DENY),
        (5.0, AT_MOST, inf, PASS),
        (-inf, AT_LEAST, 0, DENY),
        (inf, EQUALS, inf, PASS),
        # a number is a number, whatever carries it; a float beside a Decimal counts as it is written
        (Decimal("16.7"), AT_MOST, 5.0, DENY),
        (Decimal("0.1"), AT_LEAST, 0.1, PASS),
        (0.1, AT_MOST, Decimal("0.1"), PASS),
        (0.1, EQUALS, Decimal("0.1"), PASS),
        (Decimal("0.3"), BETWEEN, [0.3, Decimal("0.5")], PASS),
        (Decimal("0.7"), BETWEEN, [0.1, 0.7], PASS),
        (Decimal("0.1000000000000000001"), AT_MOST, 0.1, DENY),
        (10**400, AT_MOST, 5.0, DENY),
        (date(2025, 12, 19), AT_MOST, date(2025, 12, 20), PASS),
        # what cannot be compared is an error: it closes, and is no veto
        (None, AT_MOST, 5.0, ERROR),
        (nan, AT_MOST, 5.0, ERROR),
        (nan, EQUALS, nan, ERROR),
        (5.0, AT_MOST, nan, ERROR),
        (5.0, AT_LEAST, nan, ERROR),
        (5.0, EQUALS, nan, ERROR),
        (5.0, BETWEEN, [nan, 9.0], ERROR),
        (Decimal("NaN"), AT_MOST, 5.0, ERROR),
        (Decimal("sNaN"), AT_MOST, 5.0, ERROR),
        (5.0, AT_MOST, Decimal("NaN"), ERROR),
        ("high", AT_MOST, 5.0, ERROR),
        (5.0, AT_LEAST, "low", ERROR),
        (5.0, BETWEEN, 9.0, ERROR),
        (5.0, BETWEEN, [9.0], ERROR),
        (5.0, BETWEEN, [None, 9.0], ERROR),
        (Hostile(), AT_MOST, 5.0, ERROR),
        (5.0, AT_MOST, Hostile(), ERROR),
        (5.0, AT_MOST, Undecided(), ERROR),
        (Undecided(), AT_LEAST, 5.0, ERROR),
        (5.0, NONE, None, ERROR),
        # texts have an order of their own, in which "16.7" lies below "5.0": that must never open a gate
        ("16.7", AT_MOST, "5.0", ERROR),
        ("16.7", AT_MOST, 5.0, ERROR),
        ("9", BETWEEN, ["10", "99"], ERROR),
    ],
)
def test_the_verdict_follows_from_value_and_limit(
    observed: Any, comparison: Comparison, threshold: Any, verdict: Verdict
) -> None:
    assert judge(observed, comparison, threshold) is verdict


def test_the_given_limits_name_the_comparison() -> None:
    assert limit(at_most=5.0) == (AT_MOST, 5.0)
    assert limit(at_least=0) == (AT_LEAST, 0)
    assert limit(at_most=16, at_least=9) == (BETWEEN, [9, 16])
    assert limit(equals=False) == (EQUALS, False)
    assert limit() == (NONE, None)


@pytest.mark.parametrize(
    ("observed", "comparison", "limits", "expected"),
    [
        (4.5, AT_MOST, (5.0,), (0.5, 0.1)),
        (16.7, AT_MOST, (5.0,), (-11.7, -2.34)),
        (0.0015, AT_LEAST, (0.001,), (0.0005, 0.5)),
        (-6.0, AT_LEAST, (-5.0,), (-1.0, -0.2)),  # the share is of |limit|
        (7.0, BETWEEN, (5.0, 10.0), (2.0, 0.4)),  # the nearer limit counts
        (9.0, BETWEEN, (5.0, 10.0), (1.0, 0.1)),
        (11.0, BETWEEN, (5.0, 10.0), (-1.0, -0.1)),
        (3.0, EQUALS, (5.0,), (-2.0, -0.4)),
        (5.0, EQUALS, (5.0,), (0.0, 0.0)),
        (-3.0, AT_MOST, (0.0,), (3.0, None)),  # no share of nothing
        (1.0, BETWEEN, (0.0, 10.0), (1.0, None)),
        (5.0, NONE, (5.0,), None),
        (5.0, BETWEEN, (5.0,), None),
        (5.0, AT_MOST, (1.0, 2.0), None),
        (nan, AT_MOST, (5.0,), None),
        (5.0, AT_MOST, (nan,), None),
        (5.0, AT_MOST, (inf,), None),
        (-inf, AT_MOST, (5.0,), None),
        (5.0, BETWEEN, (0.0, nan), None),
        (5.0, BETWEEN, (nan, 9.0), None),
        (5.0, BETWEEN, (0.0, inf), None),
        (1e308, AT_LEAST, (-1e308,), None),  # further than a float can say
    ],
)
def test_the_margin_is_positive_inside_the_limit_and_a_share_of_it(
    observed: float, comparison: Comparison, limits: tuple[float, ...], expected: tuple[float, float | None] | None
) -> None:
    assert margin(observed, comparison, *limits) == (expected if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("word", "verdict"),
    [
        (True, PASS),
        (False, DENY),
        (Verdict.ADJUST, Verdict.ADJUST),
        ("Denied ", DENY),
        (Colour.GREEN, PASS),
        (Mixed.RED, DENY),
        ("perhaps", None),
        (None, None),
        (1, None),  # a number is no verdict: it may be a measurement
        (Mute(), None),
    ],
)
def test_a_verdict_is_read_from_whatever_a_bot_calls_it(word: object, verdict: Verdict | None) -> None:
    assert verdict_word(word) is verdict
