"""What the recorder describes later is what would have been described at once, whatever the bot does meanwhile."""

from __future__ import annotations

import enum
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource

import otel_obs as obs
from otel_obs import settings as in_force
from otel_obs.contract import semconv
from otel_obs.instrument.harmless import forget_problems
from otel_obs.instrument.source import Source, using
from otel_obs.sdk.ledger import Ledger
from otel_obs.sdk.otlp.from_sdk import span_record
from otel_obs.sdk.recorder.queue import Queue
from otel_obs.sdk.setup import span_limits
from otel_obs.sdk.spans import TracerProvider
from otel_obs.testing import FrozenClock, capture
from otel_obs.testing.ids import IncrementalIds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_obs.sdk.otlp.records import SpanRecord

SMALL = {"max_text": 60, "max_items": 4, "max_gates": 3}


class Side(enum.Enum):
    """A bot's own word."""

    BUY = "buy"


class Book:
    """A bot's own object, whose words change."""

    def __init__(self) -> None:
        self.words = "as it was"

    def __str__(self) -> str:
        return self.words

    def clear(self) -> None:
        """Say something else from now on."""
        self.words = "as it is now"


words = st.text(max_size=70)
fixed = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), words, st.binary(max_size=4),
    st.decimals(allow_nan=False, places=4), st.just(Side.BUY), st.just(np.float64(1.5)), st.just(np.int32(7)),
)  # fmt: skip
figures = st.dictionaries(st.sampled_from(["a", "b", "c", "d", "e"]), st.floats(), max_size=5)
changing = st.one_of(st.lists(fixed, max_size=5), st.dictionaries(words, fixed, max_size=5), st.builds(Book))
anything = fixed | changing | st.builds(np.array, st.lists(st.floats(), max_size=3))
maps = figures | st.dictionaries(words | st.integers(), anything, max_size=5)
said = st.fixed_dictionaries(
    {},
    optional={
        "why": anything, "confidence": anything, "alternatives": maps | st.lists(words, max_size=3), "inputs": maps,
        "symbol": anything, "side": anything, "strategy": anything, "attributes": maps,
    },
)  # fmt: skip
gates = st.fixed_dictionaries(
    {},
    optional={
        "verdict": st.none() | st.booleans() | st.sampled_from(["pass", "deny", "adjust", "error", "nonsense"]),
        "observed": anything, "at_most": fixed, "at_least": fixed, "equals": fixed, "threshold": anything,
        "mode": st.sampled_from(["enforce", "shadow", "nonsense"]), "unit": words, "reason": words,
        "duration_ms": st.none() | st.floats(0, 1e6), "surplus": anything,
    },
)  # fmt: skip
within = st.lists(
    st.one_of(
        st.tuples(st.just("gate"), words, gates),
        st.tuples(st.just("attributes"), st.dictionaries(st.sampled_from(["x", "y__z"]), anything, max_size=2)),
        st.tuples(st.just("executed"), st.none() | words),
        st.tuples(st.just("held"), st.none() | words),
        st.tuples(st.just("failed"), words),
        st.tuples(st.just("span"), st.sampled_from(["set_attribute", "add_event"]), words),
        st.tuples(st.just("read")),
        st.tuples(
            st.just("leaf"),
            words,
            said,
            st.sampled_from(["held", "executed", "failed", "vetoed", "rejected"]) | anything,
        ),
        st.tuples(st.just("later")),
    ),
    max_size=6,
)
programs = st.tuples(anything, said, within, st.booleans(), maps)


def _spoil(given: Any, depth: int = 0) -> None:
    """Change all that a bot handed over, as it may the moment a call returns."""
    if isinstance(given, dict | list) and depth < 3:
        for one in given.values() if isinstance(given, dict) else given:
            _spoil(one, depth + 1)
    if isinstance(given, np.ndarray):
        given[...] = 0
    elif hasattr(given, "clear"):
        given.clear()


def _say(program: Any, clock: FrozenClock) -> None:
    what, about, steps, raises, gathered = program
    with obs.trace("cycle", intent="trade", attributes=gathered) as cycle:
        cycle.evidence(gathered=gathered)
        _spoil(gathered)
        try:
            with obs.decision(what, **about) as decision:
                _spoil(about)
                for step in steps:
                    _tell(decision, step, clock)
                _raise_if(raises)
        except ValueError:
            pass
        decision.gate("too late", "deny")
        _spoil(what)


def _raise_if(raises: object) -> None:
    if raises:
        raise ValueError("the bot's own")


def _tell(decision: Any, step: Any, clock: FrozenClock) -> None:
    match step:
        case ("gate", name, given):
            given = dict(given)
            verdict = given.pop("verdict", None)
            decision.gate(name, verdict, **given)
            _spoil(given)
        case ("attributes", given):
            decision.attributes(**given)
            _spoil(given)
        case ("span", "set_attribute", word):
            decision.span.set_attribute("from.outside", word)
        case ("span", "add_event", word):
            decision.span.add_event("outside", {"word": word}, timestamp=1)
        case ("read",):
            assert decision.span.attributes is not None
        case ("leaf", what, about, outcome):
            obs.decide(what, **about, outcome=outcome)
            _spoil(about)
        case ("later",):
            clock.advance(1)
        case (verb, word):
            getattr(decision, verb)(word)
        case _:
            raise AssertionError(step)


def _at_once(program: Any) -> tuple[list[SpanRecord], dict[str, int]]:
    clock = FrozenClock()
    with capture(strict=False, clock=clock, **SMALL) as seen:
        _say(program, clock)
        return [span_record(span, None) for span in seen.spans], obs.problems()  # type: ignore[arg-type]


@contextmanager
def _recording(clock: FrozenClock) -> Iterator[Callable[[], list[SpanRecord]]]:
    def at_once(item: Any) -> None:
        made.append(item)

    made: list[Any] = []
    queue = Queue(Ledger(), at_once, most=10_000, most_bytes=1 << 30)
    before = in_force.active
    in_force.activate(in_force.override(enabled=True, **SMALL))
    limits = span_limits(in_force.active)
    provider = TracerProvider(resource=Resource({}), ids=IncrementalIds(), limits=limits, queue=queue)
    forget_problems()
    token = otel.attach(otel.Context())
    try:
        with using.holding(Source(tracer_provider=provider, clock=clock)):
            yield lambda: [
                make(payload) for *_, make, payload in sorted(made + queue.take(10_000), key=lambda item: item[0])
            ]
    finally:
        otel.detach(token)
        in_force.activate(before)


def _later(program: Any) -> tuple[list[SpanRecord], dict[str, int]]:
    clock = FrozenClock()
    with _recording(clock) as records:
        _say(program, clock)
        return records(), obs.problems()


def _comparable(record: SpanRecord) -> str:
    """All that it says; of its defects it is no matter which was noticed first."""
    said = dict(record.attributes)
    said[semconv.OTEL_OBS_DEFECTS] = tuple(sorted(said.get(semconv.OTEL_OBS_DEFECTS, ())))
    attributes = sorted(said.items())
    events = [(event.name, event.time_ns, sorted(event.attributes.items())) for event in record.events]
    return repr((record._replace(scope=None, attributes=attributes, events=events), attributes, events))  # type: ignore[arg-type]


def _copied(program: Any) -> Any:
    if isinstance(program, dict):
        return {name: _copied(value) for name, value in program.items()}
    if isinstance(program, list | tuple):
        return type(program)(_copied(one) for one in program)
    if isinstance(program, Book):
        return Book()
    return program.copy() if isinstance(program, np.ndarray) else program


@settings(max_examples=400, deadline=None, database=None, derandomize=True)
@given(programs)
def test_what_is_described_later_is_what_would_have_been_described_at_once(program: Any) -> None:
    at_once, told = _at_once(_copied(program))
    later, told_later = _later(_copied(program))
    assert sorted(map(_comparable, later)) == sorted(map(_comparable, at_once))
    assert told_later == told


def test_a_map_that_the_bot_goes_on_changing_is_recorded_as_it_was() -> None:
    clock = FrozenClock()
    with _recording(clock) as records:
        book: dict[str, Any] = {"bid": 1.0, "levels": [1, 2]}
        plain = {"bid": 1.0}
        obs.decide("enter", inputs=plain, alternatives=plain)
        with obs.decision("enter", inputs=book, attributes={"level": book["levels"]}) as decision:
            plain["bid"] = 9.0
            book["bid"] = 9.0
            book["levels"].append(3)
            decision.gate("spread", observed=book["levels"], equals=[1, 2, 3], reason="as it is")
            book["levels"].clear()
        leaf, whole = records()
    assert (leaf.attributes[semconv.DECISION_INPUTS], whole.attributes[semconv.DECISION_INPUTS]) == (
        '{"bid":1.0}', '{"bid":1.0,"levels":[1,2]}',
    )  # fmt: skip
    assert list(whole.attributes["level"]) == [1.0, 2.0]
    [gate] = whole.events
    assert list(gate.attributes[semconv.GATE_OBSERVED]) == [1.0, 2.0, 3.0]


def test_an_opening_may_be_entered_again_and_by_several_at_once() -> None:
    with _recording(FrozenClock()) as records:
        opening = obs.decision("enter")
        with opening as first:
            with opening as second:
                assert trace.get_current_span() is second.span
                second.gate("inner", "deny")
            assert trace.get_current_span() is first.span
            assert obs.current_decision() is first
        with opening as third:
            third.executed()
        started = opening.start()
        started.end()
        made = records()
    assert len({record.span_id for record in made}) == 4
    assert [record.attributes[semconv.DECISION_OUTCOME] for record in made] == ["vetoed", "held", "executed", "held"]
    assert made[0].parent_id == made[1].span_id
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_money_and_times_wait_as_they_are() -> None:
    with _recording(FrozenClock()) as records:
        obs.decide("enter", inputs={"price": Decimal("100.10"), "fee": Decimal("0.000000000000000001")})
        [made] = records()
    assert made.attributes[semconv.DECISION_INPUTS] == '{"price":"100.10","fee":"0.000000000000000001"}'
