"""What is plain is found out cheaply: the attributes are those that the general way makes, whatever a bot says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import settings as trying
from hypothesis import strategies as st

from otel_obs import settings
from otel_obs.instrument import values
from otel_obs.instrument.decision import describe, described_in_full
from otel_obs.instrument.harmless import Defects

if TYPE_CHECKING:
    from collections.abc import Iterator


class Text(str):
    __slots__ = ()


class Number(float):
    __slots__ = ()


class Map(dict[Any, Any]):
    """No plain dict: it is never taken for one that needs no second look."""


names = (
    st.text(max_size=6)
    | st.sampled_from(["S_model", 'quo"te\\', "\x00", "\ud800", "n" * 129, "ä", "n" * 20])
    | st.integers()
)
plain = (
    st.none() | st.booleans() | st.floats() | st.text(max_size=40) | st.integers()
    | st.sampled_from([2**63, -(2**63), 2**63 - 1, -0.0, 1e308, "x" * 60, "\ud800", "\x7f\x1f"])
)  # fmt: skip
maps = st.dictionaries(names, plain | st.lists(plain, max_size=3), max_size=12)
limits = st.sampled_from([{}, {"max_text": 130}, {"max_text": 20}, {"max_items": 3}])


@pytest.fixture(autouse=True, scope="module")
def bounds_as_they_were() -> Iterator[None]:
    before = settings.active
    yield
    settings.activate(before)


often = trying(max_examples=400, deadline=None, database=None, derandomize=True)


def general(value: Any) -> Any:
    """The same value as an instance of no plain type."""
    if type(value) is str:
        return Text(value)
    if type(value) is float:
        return Number(value)
    return Map(value) if type(value) is dict else value


def plainly(mark: str) -> str:
    """A mark, had the value been of a plain type."""
    return mark.replace("is Text,", "is str,").replace("is Map,", "is dict,").replace("is Number,", "is float,")


@often
@given(maps | plain, limits)
@example({"n" * 127: "x" * 130, "number": 1.5}, {"max_text": 130})
@example({str(number): "x" * 128 for number in range(9)}, {"max_text": 130})
def test_a_value_has_the_same_attribute_and_marks_however_it_is_looked_at(value: Any, bounds: dict[str, int]) -> None:
    settings.activate(settings.override(**bounds))
    for make in (values.mapping, values.attribute, values.text, values.number):
        marks, marks_in_general = Defects(), Defects()
        found, expected = make("inputs", value, marks), make("inputs", general(value), marks_in_general)
        assert repr(found) == repr(expected)
        assert type(found) in {type(expected), str}
        assert list(map(plainly, marks_in_general.texts)) == marks.texts


texts = st.text(max_size=20) | st.sampled_from(["enter long", "", "\ud800", "x" * 30, None])


said_of_decisions = st.tuples(
    texts, texts, plain, maps | st.none(), maps | st.none(), texts, texts, texts, maps | st.none()
)


@often
@given(said_of_decisions, st.sampled_from(["held", "executed", "vetoed", "pass", "", "?"]), limits)
def test_a_decision_has_the_same_attributes_in_the_same_order(
    said: tuple[Any, ...], outcome: str, bounds: dict[str, int]
) -> None:
    settings.activate(settings.override(**bounds))
    marks, marks_in_general = Defects(), Defects()
    named = described_in_full((said, outcome), marks)
    expected = described_in_full((tuple(map(general, said)), Text(outcome)), marks_in_general)
    assert list(map(repr, named.items())) == list(map(repr, expected.items()))
    assert len(marks.texts) == len(marks_in_general.texts)
    assert all(type(value) in {str, float, int, bool, list} for value in describe(said, Defects()).values())
