"""Do no harm: whatever a bot hands us and whatever breaks below us, the bot goes on as if we were not there."""

from __future__ import annotations

import asyncio
import enum
import json
import logging
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

import otel_obs as obs
from otel_obs.errors import ContractError
from otel_obs.instrument.source import using
from otel_obs.testing import capture

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter

    from otel_obs.testing import Captured


class Unspeakable:
    """Raises whenever it is turned into anything."""

    def _refuse(self, *args: Any) -> Any:
        raise RuntimeError("leave me alone")

    __str__ = __repr__ = __float__ = __len__ = __iter__ = __bool__ = __eq__ = _refuse
    __hash__ = None  # type: ignore[assignment]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise RuntimeError("leave me alone")


class UnspeakableError(Exception):
    """An exception of the bot that cannot be printed."""

    def __str__(self) -> str:
        raise RuntimeError("leave me alone")


class Price(int):
    """An int of the bot's own."""


class Broken:
    """A mapping whose items are out of reach."""

    def keys(self) -> Any:
        raise RuntimeError("no keys")

    items = __iter__ = __len__ = __getitem__ = keys


class BrokenMapping(dict[str, Any]):
    """A dict that raises when it is read."""

    def items(self) -> Any:
        raise RuntimeError("no items")


class BrokenZone(tzinfo):
    """A zone that raises."""

    def utcoffset(self, at: datetime | None) -> Any:
        raise RuntimeError("no offset")


def _cycle() -> dict[str, Any]:
    one: dict[str, Any] = {"name": "one"}
    one["self"] = [one, one]
    return one


def _deep() -> Any:
    value: Any = "bottom"
    for _ in range(5_000):
        value = [value]
    return value


NASTY: dict[str, Any] = {
    "none": None,
    "NaN": float("nan"),
    "infinity": float("-inf"),
    "huge int": 10**5_000,
    "int of its own": Price(7),
    "wide int": 2**64,
    "huge Decimal": Decimal("1e999999"),
    "signalling NaN": Decimal("sNaN"),
    "5 MB": "x" * 5_000_000,
    "5 MB of bytes": b"x" * 5_000_000,
    "lone surrogates": "\ud800 and \udfff",
    "NUL": "a\x00b",
    "bytes": b"\xff\xfe",
    "released": memoryview(b"abc"),
    "cycle": _cycle(),
    "deep": _deep(),
    "wide": {str(number): number for number in range(10_000)},
    "broken mapping": BrokenMapping(a=1),
    "broken": Broken(),
    "unspeakable": Unspeakable(),
    "a list of them": [Unspeakable(), 10**5_000, "\ud800", None, float("nan")],
    "numbers": [1, 10**400, float("nan"), 2**63],
    "keys": {None: 1, (1, 2): 2, "\ud800": 3, 4: 4, b"k": 5},
    "a set": {1, "a", None},
    "a generator": (number for number in range(3)),
    "a class": Unspeakable,
    "a function": _cycle,
    "a broken zone": datetime(2025, 12, 19, tzinfo=BrokenZone()),
    "flag": enum.Flag("Flag", "A B").A,  # type: ignore[attr-defined]
}
NASTY["released"].release()


def say_everything(value: Any) -> list[Any]:
    """Hand one value over wherever a value can be handed over; returns what the bot decided."""
    decided: list[Any] = []

    @obs.gate("returned")
    def returned() -> Any:
        return value

    name = "cycle" if callable(value) else value  # what can be called would be decorated
    with obs.trace(name, project=value, intent=value, query=value, symbol=value, attributes=value, at=value) as trace:
        trace.evidence(what=value)
        trace.output(what=value)
        trace.score(value, out_of=value, passed=True, principles=value, gaps=value)
        trace.idle(value)
        trace.attributes(what=value)
        with obs.stage(name, attributes={"what": value}) as stage:
            stage.evidence(what=value)
        with obs.decision(
            value, why=value, confidence=value, alternatives=value, inputs=value, symbol=value, side=value,
            strategy=value, attributes={"what": value, "decision.what": value}, at=value,
        ) as choice:  # fmt: skip
            decided.append(
                choice.gate("named", verdict=False, observed=value, threshold=value, unit=value, reason=value)
            )
            decided.append(choice.gate(value, verdict=True, mode="shadow", duration_ms=value))
            choice.gate("value", observed=value, at_most=5.0)
            choice.gate("limit", observed=5.0, at_most=value)
            choice.gate("between", observed=5.0, at_most=value, at_least=value)
            choice.gate("equal", observed=value, equals=value)
            choice.gate("verdict", value)
            choice.gate("mode", verdict=True, mode=value)
            decided.append(returned() is value)
            decided.append(choice.allowed)
            choice.executed(order_id=value)
        with obs.decision("rejected") as rejected:
            rejected.failed(value)
        with obs.decision("held") as held:
            held.held(value)
        obs.decide(value, why=value, confidence=value, inputs=value, outcome=value, at=value)
    obs.order(id=value, status=value, price=value, quantity=value, at=value, unknown=value)
    obs.fill(id="f-1", price=value, quantity="1", fee=value)
    obs.emit(value)
    return decided


def assert_all_is_encoded(seen: Captured, caplog: pytest.LogCaptureFixture) -> None:
    """Everything recorded leaves the process as OTLP; nothing is lost on the way."""
    before = len(caplog.records)
    spans = encode_spans(seen.spans)
    exporter: InMemoryLogRecordExporter = seen._logs
    logs = encode_logs(exporter.get_finished_logs())
    sent = [span for resource in spans.resource_spans for scope in resource.scope_spans for span in scope.spans]
    assert len(sent) == len(seen.spans)
    assert [len(span.attributes) for span in sent] == [len(span.attributes or {}) for span in seen.spans]
    assert [len(span.events) for span in sent] == [len(span.events) for span in seen.spans]
    assert spans.SerializeToString()
    assert logs.SerializeToString()
    assert caplog.records[before:] == []


# ---- values


@pytest.mark.parametrize("name", NASTY)
def test_any_value_anywhere_is_recorded_as_well_as_possible(
    lenient: Captured, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    start = time.monotonic()
    decided = say_everything(NASTY[name])
    assert time.monotonic() - start < 5
    assert decided == [False, True, True, False]
    assert (len(lenient.traces), len(lenient.stages), len(lenient.decisions)) == (1, 1, 4)
    assert [fact.name for fact in lenient.facts] == ["order", "fill"]
    first = lenient.decisions[0]
    assert first.outcome == "executed"
    assert len(first.gates) == 9
    assert first.veto == "named"
    for span in lenient.spans:
        for key, value in (span.attributes or {}).items():
            if isinstance(value, str):
                assert len(value) < 200_000, key
            if key in {"trace.evidence", "stage.evidence", "trace.output", "decision.inputs"}:
                json.loads(str(value), parse_constant=pytest.fail)
    assert "internal_error" not in obs.problems()
    assert_all_is_encoded(lenient, caplog)


_scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.decimals(allow_nan=False)
    | st.datetimes() | st.text(st.characters(categories=["Cs"]))
)  # fmt: skip
_values = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner) | st.dictionaries(_scalars, inner) | st.tuples(inner, inner) | st.frozensets(_scalars)
    ),
    max_leaves=20,
)


@settings(max_examples=60, deadline=None)
@given(value=_values)
def test_arbitrary_values_do_no_harm(value: Any) -> None:
    with capture(strict=False) as seen:
        assert say_everything(value)[:3] == [False, True, True]
        assert len(seen.decisions) == 4
        for decision in seen.decisions:
            assert isinstance(decision.attributes.get("decision.inputs", "{}"), str)
            json.loads(decision.attributes.get("decision.inputs", "{}"), parse_constant=pytest.fail)
        encode_spans(seen.spans).SerializeToString()
        assert "internal_error" not in obs.problems()


def test_a_wrong_confidence_is_left_out_marked_counted_and_logged_once_with_its_fix(
    lenient: Captured, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        obs.decide("enter", why="momentum", confidence=7)
    assert [told.confidence for told in lenient.decisions] == [None] * 3
    assert {told.defects for told in lenient.decisions} == {("decision.confidence: is 7, outside 0 to 1",)}
    assert {told.why for told in lenient.decisions} == {"momentum"}
    assert obs.problems() == {"confidence_out_of_range": 3}
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert record.name == "otel_obs"
    assert "62 % is 0.62" in record.getMessage()


@pytest.mark.parametrize(("said", "kept"), [(0, 0.0), (1, 1.0), ("0.62", 0.62), (Decimal("0.62"), 0.62), (None, None)])
def test_a_confidence_may_be_any_kind_of_number(seen: Captured, said: Any, kept: float | None) -> None:
    obs.decide("enter", confidence=said)
    assert seen.decision().confidence == kept


def test_a_long_text_is_cut_and_marked_and_the_limit_is_a_setting() -> None:
    with capture(strict=False, max_text=10, max_items=3) as seen:
        with obs.trace("cycle") as trace:
            trace.evidence(rows=list(range(100)), note="abcdefghijklmnop")
        obs.decide("enter", why="a reason of many words", alternatives=["a", "b", "c", "d"])
    told = seen.decision()
    assert (told.why, told.alternatives) == ("a reason o", ("a", "b", "c"))
    assert told.defects == (
        "decision.why: was cut from 22 to 10 characters",
        "decision.alternatives: was cut from 4 to 3 entries",
    )
    assert seen.traces[0].evidence["rows"] == [0, 1, 2]
    assert seen.traces[0].defects


def test_names_of_our_vocabulary_are_kept_apart_from_it(lenient: Captured) -> None:
    with obs.trace("cycle", attributes={"trace.name": "another", "fine": 1}) as trace:
        trace.attributes(otel_obs__seq=7, decision__what="no decision")
    [told] = lenient.traces
    assert told.name == "cycle"
    assert told.attributes["custom.trace.name"] == "another"
    assert told.attributes["custom.otel_obs.seq"] == 7
    assert told.attributes["fine"] == 1
    assert lenient.decisions == []
    assert len(told.defects) == 3


def test_many_attributes_never_push_out_what_makes_a_record(lenient: Captured) -> None:
    many = {f"name_{number}": number for number in range(500)}
    with obs.trace("cycle", attributes=many) as trace:
        trace.attributes(**many)
        with obs.decision("enter", why="momentum") as choice:
            choice.attributes(**many)
            choice.gate("spread_guard", verdict=False)
    assert lenient.decision().why == "momentum"
    assert lenient.decision().outcome == "vetoed"
    assert [trace.name for trace in lenient.traces] == ["cycle"]


def test_an_exception_that_cannot_be_printed_or_is_huge_passes_and_marks_failed(lenient: Captured) -> None:
    for error in (UnspeakableError(), ValueError("x" * 5_000_000), ValueError("\ud800")):
        with pytest.raises(type(error)) as raised, obs.decision("enter"):
            raise error
        assert raised.value is error
    assert [told.outcome for told in lenient.decisions] == ["failed"] * 3
    assert all(told.failed for told in lenient.decisions)
    for told in lenient.decisions:
        [event] = told.span.events
        assert all(len(str(value)) < 50_000 for value in (event.attributes or {}).values())
    encode_spans(lenient.spans).SerializeToString()


def test_a_gate_function_whose_exception_cannot_be_printed_still_closes(lenient: Captured) -> None:
    @obs.gate("feed")
    def feed() -> bool:
        raise UnspeakableError

    with obs.decision("enter") as choice:
        with pytest.raises(UnspeakableError):
            feed()
        assert not choice.allowed
    assert [gate.verdict for gate in lenient.decision().gates] == ["error"]


# ---- arguments


def wrong_calls() -> list[Any]:
    """A bot that got every signature wrong; returns what it was answered."""
    answers: list[Any] = []
    with obs.trace(name="cycle", projct="btc", intent="trade") as trace:  # type: ignore[call-overload]
        trace.idle()
        trace.score()
        trace.evidence({"a": 1})
        trace.attributes({"a": 1})
        with obs.stage("features", "again", depth=3) as stage:  # type: ignore[call-overload]
            stage.output(1, 2)
            stage.end("now")
        with obs.decision(what="enter", confidense=0.5) as choice:  # type: ignore[call-arg]
            answers.append(choice.gate("spread_guard", observd=16.7, at_most=5.0))  # type: ignore[call-arg]
            answers.append(choice.gate())  # type: ignore[call-arg]
            answers.append(choice.gate("volatility", "deny", "shadow"))  # type: ignore[misc]
            answers.append(choice.allowed)
            choice.executed("o-1", oder_id="o-1")
            choice.held("a", "b")
            choice.failed()
        with obs.decision(), obs.decision(None):  # type: ignore[call-arg, arg-type]
            pass
    obs.decide()  # type: ignore[call-arg]
    obs.order(status="submitted")  # type: ignore[call-arg]
    obs.order("o-1", "submitted")  # type: ignore[misc]
    obs.fill(id="f-1")  # type: ignore[call-arg]
    obs.emit()  # type: ignore[call-arg]

    @obs.gate("guard", at_mots=5.0)  # type: ignore[call-overload]
    def guard() -> bool:
        return False

    @obs.stage("work", depht=1)  # type: ignore[call-overload]
    def work() -> str:
        return "done"

    with obs.decision("enter with a guard") as choice:
        answers += [guard(), choice.allowed, work()]
    return answers


EXPECTED_ANSWERS = [False, False, False, False, False, False, "done"]


def test_wrong_and_missing_arguments_are_carried_out_as_well_as_possible_and_marked(lenient: Captured) -> None:
    assert wrong_calls() == EXPECTED_ANSWERS
    [trace] = lenient.traces
    assert (trace.name, trace.attributes["trace.intent"], trace.attributes["projct"]) == ("cycle", "trade", "btc")
    assert any("projct" in text for text in trace.defects)
    assert {stage.name for stage in lenient.stages} == {"features", "work"}
    told = lenient.decision("enter")
    assert told.attributes["confidense"] == 0.5
    assert told.outcome == "executed"
    assert [(gate.name, gate.verdict) for gate in told.gates] == [
        ("spread_guard", "error"), ("", "error"), ("volatility", "deny"),
    ]  # fmt: skip
    assert any("confidense" in text for text in told.defects)
    assert any("observd" in text for text in told.defects)
    assert len(lenient.decisions) == 5
    assert len(lenient.facts) == 3
    assert all(fact.attributes["otel_obs.defects"] for fact in lenient.facts)
    assert lenient.facts[0].attributes["order.status"] == "submitted"
    assert lenient.facts[-1].attributes["fill.id"] == "f-1"
    assert set(obs.problems()) >= {"wrong_arguments", "gate_unreadable"}
    assert "internal_error" not in obs.problems()


def test_what_is_logged_names_the_argument_and_what_to_write_instead(
    lenient: Captured, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        obs.decide("enter", confidense=0.5)  # type: ignore[call-arg]
    [record] = caplog.records
    assert "confidense" in record.getMessage()
    assert "It takes what, why, confidence" in record.getMessage()
    assert obs.problems() == {"wrong_arguments": 2}


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: obs.decide("enter", confidence=7),
        lambda: obs.decide("enter", inputs={"a": Unspeakable()}),
        lambda: obs.decide("enter", why="x" * 5_000_000),
        lambda: obs.decide("enter", attributes={"decision.what": 1}),
        lambda: obs.decide("enter", confidense=0.5),  # type: ignore[call-arg]
        obs.decide,  # type: ignore[call-arg]
        lambda: obs.order(status="submitted"),  # type: ignore[call-arg]
        lambda: obs.trace(name="cycle").__enter__(),  # type: ignore[call-overload]
        lambda: obs.trace("cycle", at="noon").__enter__(),  # type: ignore[call-overload]
        lambda: obs.gate("guard", at_mots=5.0),  # type: ignore[call-overload]
        lambda: obs.emit("fact"),  # type: ignore[arg-type]
    ],
)
def test_strict_raises_each_mistake_with_its_fix(seen: Captured, mistake: Callable[[], Any]) -> None:
    with pytest.raises(ContractError) as raised:
        mistake()
    assert raised.value.fix
    assert obs.problems()


# ---- what breaks below us


class BrokenSpan:
    """A span that raises at one of its methods, else does nothing; or at all of them."""

    def __init__(self, at: str) -> None:
        self._at = at

    def __getattr__(self, name: str) -> Any:
        if self._at in {name, "all"}:
            raise OSError(f"{name} is broken")
        return lambda *args, **kwargs: None

    def get_span_context(self) -> Any:
        from opentelemetry.trace import INVALID_SPAN_CONTEXT

        if self._at in {"get_span_context", "all"}:
            raise OSError("get_span_context is broken")
        return INVALID_SPAN_CONTEXT


class BrokenTracer:
    """A tracer that raises, or whose spans do."""

    def __init__(self, at: str) -> None:
        self._at = at

    def start_span(self, *args: Any, **kwargs: Any) -> Any:
        if self._at == "start_span":
            raise OSError("start_span is broken")
        return BrokenSpan(self._at)


class BrokenLogger:
    """A logger that raises."""

    def emit(self, *args: Any, **kwargs: Any) -> None:
        raise OSError("emit is broken")


BREAKS = [
    "start_span",
    "set_attribute",
    "add_event",
    "set_status",
    "record_exception",
    "end",
    "get_span_context",
    "all",
]


@contextmanager
def broken(at: str) -> Iterator[None]:
    """OpenTelemetry fails at this method."""
    tracer, logger = using.tracer, using.logger
    using.tracer, using.logger = BrokenTracer(at), BrokenLogger()  # type: ignore[assignment]
    try:
        yield
    finally:
        using.tracer, using.logger = tracer, logger


@obs.gate("spread_guard", at_most=5.0)
def spread_guard(bps: float) -> float:
    """A gate of the bot under test."""
    return bps


@obs.gate("feed")
def feed() -> bool:
    """Another, which fails."""
    raise LookupError("feed gone")


def bot() -> list[Any]:
    """Use the whole API; return what the bot decided and was answered. The same, recorded or not."""
    done: list[Any] = []

    def act(choice: obs.Decision, name: str) -> None:
        if choice.allowed:
            done.append(f"traded {name}")
            choice.executed(order_id="o-1")
        done.append((name, choice.allowed, str(choice.outcome), len(choice.gates)))

    with obs.trace("cycle", intent="trade") as trace, obs.stage("features") as stage:
        done.append(_told(trace, stage))
        with obs.decision("wide", why="momentum", confidence=0.6, inputs={"a": 1}) as choice:
            done.append(choice.gate("spread", observed=16.7, at_most=5.0))
            done.append(choice.gate("paper", verdict=False, mode="shadow"))
            act(choice, "wide")
        with obs.decision("narrow") as choice:
            done.append(choice.gate("spread", observed=1.0, at_most=5.0))
            act(choice, "narrow")
        with obs.decision("guarded") as outer:
            with obs.decision("inner") as choice:
                done.append(spread_guard(16.7))
                act(choice, "guarded inner")
            act(outer, "guarded outer")
        with obs.decision("unknown") as choice:
            try:
                feed()
            except LookupError as error:
                done.append(str(error))
            act(choice, "unknown")
        with obs.decision("threads") as choice:
            thread = threading.Thread(target=obs.carry(spread_guard), args=(16.7,))
            thread.start()
            thread.join()
            act(choice, "threads")
        started = obs.decision("started").start()
        started.gate("spread", verdict=False)
        act(started, "started")
        started.end()
        with obs.decision("failing") as choice:
            choice.held("not now")
            choice.failed(ValueError("rejected"))
            done.append(str(choice.outcome))
        done.append(_raising())
    done += [decorated(16.7), decorated(1.0), list(generated()), asyncio.run(awaited()), asyncio.run(streamed())]
    obs.decide("hold", why="no signal")
    obs.order(id="o-1", status="submitted")
    obs.fill(id="f-1", price="1", quantity="1")
    done.append((bool(obs.current_trace()), bool(obs.current_stage()), obs.current_decision().allowed))
    return done


def _told(trace: obs.Trace, stage: obs.Stage) -> bool:
    stage.evidence(rows=1)
    trace.output(report="…")
    trace.score(2.4, out_of=3.0, principles={"META-12": 1}, gaps=["META-12"])
    trace.idle("no_signal")
    return trace.attributes(a=1) is trace


def _raising() -> tuple[Any, ...]:
    try:
        with obs.decision("raising"):
            feed.__wrapped__()  # type: ignore[attr-defined]
    except LookupError as error:
        return error.args
    return ()


@obs.decision("decorated")
def decorated(bps: float) -> bool:
    """A decision as a function, whose gates are functions, too."""
    spread_guard(bps)
    return obs.current_decision().allowed


@obs.decision("generated")
def generated() -> Iterator[Any]:
    """A decision as a generator: other decisions stand between its steps."""
    spread_guard(16.7)
    yield obs.current_decision().allowed
    with obs.decision("between") as choice:
        spread_guard(1.0)
        yield choice.allowed
    yield obs.current_decision().allowed


@obs.decision("awaited")
async def awaited() -> bool:
    """A decision as a coroutine."""
    await asyncio.sleep(0)
    spread_guard(16.7)
    return obs.current_decision().allowed


@obs.decision("streamed")
async def ticks() -> AsyncIterator[bool]:
    """A decision as an async generator, which says no."""
    spread_guard(16.7)
    yield obs.current_decision().allowed


async def streamed() -> list[Any]:
    """Its consumer decides meanwhile."""
    found = []
    with obs.decision("consumer") as choice:
        async for allowed in ticks():
            spread_guard(1.0)
            found.append((allowed, choice.allowed, len(choice.gates)))
    return found


DECIDED = [
    True,
    False, True, ("wide", False, "vetoed", 2),
    True, "traded narrow", ("narrow", True, "executed", 1),
    16.7, ("guarded inner", False, "vetoed", 1), "traded guarded outer", ("guarded outer", True, "executed", 0),
    "feed gone", ("unknown", False, "held", 1),
    ("threads", False, "vetoed", 1),
    ("started", False, "vetoed", 1),
    "failed",
    ("feed gone",),
    False, True, [False, True, False], False, [(False, True, 1)],
    (False, False, True),
]  # fmt: skip


def test_the_bot_decides_alike_when_all_is_well(seen: Captured) -> None:
    assert bot() == DECIDED
    assert obs.problems() == {}
    assert len(seen.spans) == 19


@pytest.mark.parametrize("at", BREAKS)
def test_the_bot_decides_alike_whatever_of_opentelemetry_is_broken(
    lenient: Captured, caplog: pytest.LogCaptureFixture, at: str
) -> None:
    with broken(at):
        assert bot() == DECIDED
        assert wrong_calls() == EXPECTED_ANSWERS
        say_everything(Unspeakable())
    assert obs.problems()["internal_error"] > 0
    messages = [record.getMessage() for record in caplog.records if "internal_error" in record.getMessage()]
    assert 0 < len(messages) < 40
    assert len(messages) == len(set(messages))  # each said once
    assert all(record.levelno == logging.WARNING for record in caplog.records)


def test_one_broken_attribute_costs_no_record_its_end(lenient: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was recorded until then is sent, and the next record is whole."""
    from opentelemetry.sdk.trace import Span

    def refuse(*args: Any) -> None:
        raise OSError("no more attributes")

    with monkeypatch.context() as patch, obs.trace("cycle") as trace:
        patch.setattr(Span, "set_attribute", refuse)
        trace.evidence(rows=1)
        with obs.decision("enter") as choice:
            choice.gate("spread_guard", verdict=False)
    assert [(type(told).__name__, len(told.span.events)) for told in lenient.traces] == [("CapturedPart", 0)]
    assert lenient.spans[0].events[0].name == "gate.evaluated"
    with obs.trace("cycle") as trace:
        trace.evidence(rows=1)
    assert lenient.traces[1].evidence == {"rows": 1}
    assert lenient.traces[1].parent_id == ""


def test_strict_raises_our_own_failures_as_well(seen: Captured) -> None:
    with broken("start_span"), pytest.raises(ContractError, match="start_span is broken"):
        obs.trace("cycle").__enter__()


# ---- disabled


def test_disabled_the_same_bot_decides_alike_and_nothing_is_recorded() -> None:
    with capture(enabled=False) as seen:
        assert bot() == DECIDED
        assert seen.spans == ()
        assert seen.facts == []
        assert obs.problems() == {}


def test_disabled_wrong_calls_do_no_harm_either() -> None:
    with capture(strict=False, enabled=False) as seen:
        assert wrong_calls() == EXPECTED_ANSWERS
        for value in NASTY.values():
            assert say_everything(value)[:3] == [False, True, True]
        assert seen.spans == ()


def test_a_function_decorated_while_disabled_still_has_its_gates_bind() -> None:
    with capture(enabled=False):

        @obs.decision("enter")
        def enter() -> bool:
            spread_guard(16.7)
            return obs.current_decision().allowed

        @obs.trace("cycle")
        @obs.stage("features")
        def work() -> str:
            return "done"

        assert enter() is False
        assert work() == "done"
        assert not obs.current_decision().gates


def test_disabled_every_call_is_a_shared_object() -> None:
    with capture(enabled=False):
        assert obs.trace("a") is obs.trace("b", intent="trade") is obs.stage("c")
        assert obs.decision("a") is obs.decision("b", why="c")
        with obs.trace("a") as trace, obs.stage("b") as stage:
            assert trace is stage is obs.current_trace() is obs.current_stage()
        assert obs.trace("a").start() is trace


@pytest.mark.parametrize("kind", [obs.Trace, obs.Stage, obs.Decision])
def test_disabled_whatever_a_record_has_is_there(kind: type) -> None:
    openings: dict[type, Any] = {obs.Trace: obs.trace, obs.Stage: obs.stage, obs.Decision: obs.decision}
    with capture(enabled=False), openings[kind]("one") as silent:
        public = {name for name in dir(kind) if not name.startswith("_")}
        assert {name for name in public if not hasattr(silent, name)} == set()
        assert not silent
        assert (silent.id, silent.trace_id) == ("", "")
        silent.span.set_attribute("a", 1)
        assert silent.time() > 0


DISABLED_BOT = """
import sys, threading, otel_obs as obs
obs.configure(service_name="bot")
with obs.trace("cycle") as trace, obs.decision("enter") as choice:
    choice.gate("spread_guard", observed=16.7, at_most=5.0)
obs.order(id="o-1", status="submitted")
report = obs.shutdown()
print(choice.allowed, trace.id == "", report.produced, threading.active_count(), obs.problems(),
      [name for name in ("opentelemetry.sdk.trace", "opentelemetry.exporter", "pydantic") if name in sys.modules])
"""


@pytest.mark.parametrize(
    "environment",
    [{"OTEL_OBS_DISABLED": "1"}, {"OTEL_SDK_DISABLED": "true"}, {"OTEL_SDK_DISABLED": "True", "OTEL_OBS_STRICT": "1"}],
)
def test_the_environment_switches_it_off_and_gates_still_bind(environment: dict[str, str]) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", DISABLED_BOT], env=environment, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "False True 0 1 {} []"
    assert run.stderr == ""
