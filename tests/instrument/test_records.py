"""Traces, stages and decisions as spans: what opens them, what is inside of what, when they were, how they end."""

from __future__ import annotations

import asyncio
import gc
import inspect
import logging
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import context as otel
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult

import otel_obs as obs
from otel_obs.errors import ContractError
from otel_obs.instrument.source import Source, using
from otel_obs.testing import FrozenClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from otel_obs.testing import Captured

NOON = datetime(2025, 12, 19, 12, tzinfo=UTC)
NOON_NS = 1_766_145_600_000_000_000


@pytest.fixture(autouse=True)
def _nothing_leaks(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever a test does, it leaves the context as it found it, and OpenTelemetry finds nothing to complain about."""
    before = otel.get_current()
    yield
    gc.collect()
    assert otel.get_current() == before
    assert [record.getMessage() for record in caplog.get_records("call") if record.levelno >= logging.ERROR] == []


def parents(seen: Captured) -> dict[str, str | None]:
    """Which span is inside of which, by what each is called."""
    called = {
        span.context.span_id: str((span.attributes or {}).get("decision.what", span.name))
        for span in seen.spans
        if span.context
    }
    return {
        called[span.context.span_id]: called[span.parent.span_id] if span.parent else None
        for span in seen.spans
        if span.context
    }


# ---- what opens a record


def test_with_async_with_and_decorators_make_the_same_record(seen: Captured) -> None:
    @obs.stage("work")
    def decorated() -> str:
        """Has a docstring."""
        return obs.current_stage().id

    @obs.stage
    def work() -> str:
        return obs.current_stage().id

    @obs.stage("work")
    async def decorated_coroutine() -> str:
        await asyncio.sleep(0)
        return obs.current_stage().id

    async def with_async_with() -> str:
        async with obs.stage("work") as stage:
            await asyncio.sleep(0)
            return stage.id

    with obs.stage("work") as stage:
        ids = [stage.id]
    ids += [decorated(), work(), asyncio.run(decorated_coroutine()), asyncio.run(with_async_with())]
    assert [(stage.name, stage.id) for stage in seen.stages] == [("work", id_) for id_ in ids]
    assert len({tuple(stage.attributes.items()) for stage in seen.stages}) == 1
    assert decorated.__name__ == "decorated"
    assert decorated.__doc__ == "Has a docstring."
    assert inspect.iscoroutinefunction(decorated_coroutine)


def test_a_decorator_without_a_name_takes_the_function_s(seen: Captured) -> None:
    class Callable_:  # noqa: N801 - a callable that has no __name__
        def __call__(self) -> None: ...

    @obs.trace(intent="trade")
    def cycle() -> None: ...

    cycle()
    obs.trace(Callable_())()
    obs.stage()(Callable_())()
    assert [trace.name for trace in seen.traces] == ["cycle", "Callable_"]
    assert [stage.name for stage in seen.stages] == ["Callable_"]


def test_each_call_of_a_decorated_function_is_a_record_of_its_own_even_inside_itself(seen: Captured) -> None:
    @obs.stage("fold")
    def fold(depth: int) -> None:
        if depth:
            fold(depth - 1)

    fold(2)
    inner, middle, outer = seen.stages
    assert (inner.parent_id, middle.parent_id, outer.parent_id) == (middle.id, outer.id, "")


def test_decorated_methods_keep_their_object(seen: Captured) -> None:
    class Bot:
        @obs.decision("enter", why="momentum")
        def decide(self, size: int, *, factor: int = 2) -> int:
            obs.current_decision().gate("spread_guard", verdict=False)
            return size * factor

        @staticmethod
        @obs.stage
        def load() -> str:
            return "loaded"

    assert Bot().decide(3, factor=4) == 12
    assert Bot.load() == "loaded"
    assert seen.decision("enter").veto == "spread_guard"


def test_start_and_end_record_what_outlives_a_function_and_are_not_current_meanwhile(seen: Captured) -> None:
    with obs.trace("cycle") as cycle:
        late = obs.stage("venue").start()
        late.evidence(asked=1)
        assert not obs.current_stage()
        with obs.stage("features"):
            pass
    late.evidence(answered=1)
    late.end()
    choice = obs.decision("enter").start()
    choice.gate("spread_guard", observed=16.7, at_most=5.0)
    choice.end()
    assert parents(seen) == {"features": "cycle", "cycle": None, "venue": "cycle", "enter": None}
    assert [stage.evidence for stage in seen.stages if stage.name == "venue"] == [{"asked": 1, "answered": 1}]
    assert [stage.parent_id for stage in seen.stages] == [cycle.id, cycle.id]
    assert seen.decision().outcome == "vetoed"


def test_the_sampler_sees_everything_that_is_known_at_the_start() -> None:
    class Curious(Sampler):
        def should_sample(self, parent: Any, trace_id: int, name: str, kind: Any = None, attributes: Any = None,
                          *more: Any) -> SamplingResult:  # fmt: skip
            asked.append(dict(attributes))
            return SamplingResult(Decision.DROP)

        def get_description(self) -> str:
            return "Curious"

    asked: list[dict[str, Any]] = []
    provider = TracerProvider(sampler=Curious(), shutdown_on_exit=False)
    with using.holding(Source(tracer_provider=provider)):
        with obs.trace("cycle", intent="trade", symbol="BTCUSDT", attributes={"run": 7}), obs.stage("features"):
            with obs.decision("enter", why="momentum", confidence=0.62, inputs={"obi": 0.2}, side="buy") as choice:
                choice.gate("spread_guard", observed=16.7, at_most=5.0)
            obs.decide("hold", symbol="BTCUSDT")
        assert not choice.allowed  # what is not sampled binds all the same
    assert asked == [
        {"run": 7, "trace.name": "cycle", "trace.intent": "trade", "instrument.symbol": "BTCUSDT"},
        {"stage.name": "features"},
        {
            "decision.what": "enter", "decision.why": "momentum", "order.side": "buy", "decision.confidence": 0.62,
            "decision.inputs": '{"obi":0.2}',
        },
        {"decision.what": "hold", "instrument.symbol": "BTCUSDT", "decision.outcome": "held"},
    ]  # fmt: skip


# ---- what is inside of what


def test_records_nest_and_each_finds_its_parent(seen: Captured) -> None:
    with obs.trace("cycle", intent="trade"):
        with obs.stage("features"), obs.stage("news"):
            pass
        with obs.decision("enter"), obs.stage("routing"):
            obs.decide("use the maker queue")
    assert parents(seen) == {
        "news": "features", "features": "cycle", "use the maker queue": "routing", "routing": "enter",
        "enter": "cycle", "cycle": None,
    }  # fmt: skip
    assert len({span.context.trace_id for span in seen.spans if span.context}) == 1


def test_spans_of_others_nest_in_ours_and_ours_in_theirs(seen: Captured) -> None:
    others = using.source.tracer_provider.get_tracer("another library")  # type: ignore[union-attr]
    with others.start_as_current_span("request"), obs.trace("cycle", at=NOON):
        with others.start_as_current_span("query"), obs.decision("enter"):
            assert obs.current_trace()  # ours are found through theirs
        with others.start_as_current_span("reply"):
            pass
    assert parents(seen) == {"enter": "query", "query": "cycle", "reply": "cycle", "cycle": "request", "request": None}
    assert seen.decision().time == NOON_NS  # and so is the event time


def test_what_is_open_is_found_deep_inside_and_is_falsy_and_harmless_where_nothing_is(seen: Captured) -> None:
    def deep() -> None:
        obs.current_trace().output(report="done")
        obs.current_stage().evidence(rows=3)
        obs.current_decision().gate("spread_guard", observed=16.7, at_most=5.0)

    for nothing in (obs.current_trace(), obs.current_stage(), obs.current_decision()):
        assert not nothing
        assert nothing.attributes(a=1) is nothing
        nothing.end()
        nothing.fail("too bad")
    deep()
    with obs.trace("cycle"), obs.stage("features"), obs.decision("enter") as choice:
        assert (obs.current_trace().id, obs.current_decision()) != ("", None)
        deep()
        assert obs.current_decision() is choice
    deep()
    assert (seen.traces[0].output, seen.stages[0].evidence) == ({"report": "done"}, {"rows": 3})
    assert [gate.name for gate in seen.decision().gates] == ["spread_guard"]
    assert len(seen.spans) == 3


def test_current_looks_for_its_own_kind_and_passes_over_what_has_ended(seen: Captured) -> None:
    with obs.trace("outer") as outer, obs.stage("a") as a, obs.trace("inner") as inner:
        assert obs.current_trace() is inner
        assert obs.current_stage() is a
        inner.end()
        assert obs.current_trace() is outer
        a.end()
        assert not obs.current_stage()
        with obs.stage("late"):
            pass
    assert parents(seen)["late"] == "outer"


def test_records_that_end_out_of_order_leave_nothing_behind(seen: Captured) -> None:
    first, second = obs.stage("first"), obs.stage("second")
    with obs.trace("cycle"):
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        second.__exit__(None, None, None)
        obs.decide("hold")
    assert parents(seen) == {"first": "cycle", "second": "first", "hold": "cycle", "cycle": None}


def test_a_hundred_tasks_keep_their_own(seen: Captured) -> None:
    async def cycle(number: int) -> None:
        async with obs.trace(f"cycle {number}") as trace:
            for _ in range(3):
                await asyncio.sleep(0)
                assert obs.current_trace() is trace
            async with obs.stage(f"stage {number}"):
                await asyncio.sleep(0)
                obs.decide(f"hold {number}")
                await asyncio.gather(*(asyncio.create_task(leaf(number, part)) for part in range(2)))

    async def leaf(number: int, part: int) -> None:
        await asyncio.sleep(0)
        obs.decide(f"leaf {number} {part}")

    async def all_of_them() -> None:
        with obs.trace("run"):
            await asyncio.gather(*(cycle(number) for number in range(100)))

    asyncio.run(all_of_them())
    expected: dict[str, str | None] = {"run": None}
    for number in range(100):
        expected |= {f"cycle {number}": "run", f"stage {number}": f"cycle {number}"}
        expected |= {f"{leaf} {number}{part}": f"stage {number}" for leaf, part in
                     (("hold", ""), ("leaf", " 0"), ("leaf", " 1"))}  # fmt: skip
    assert parents(seen) == expected


def test_tasks_may_share_one_opening_and_leave_it_in_any_order(seen: Captured) -> None:
    opening = obs.trace("cycle")

    async def cycle(number: int, wait: float) -> None:
        async with opening as trace:
            await asyncio.sleep(wait)
            trace.output(number=number)
            obs.decide(f"hold {number}")

    async def all_of_them() -> None:
        await asyncio.gather(*(cycle(number, wait) for number, wait in enumerate((0.02, 0.0, 0.01))))

    asyncio.run(all_of_them())
    named = {trace.id: trace.output["number"] for trace in seen.traces}
    assert {told.what: named[told.parent_id] for told in seen.decisions} == {"hold 0": 0, "hold 1": 1, "hold 2": 2}


def test_a_task_that_outlives_its_trace_records_a_root_of_its_own(seen: Captured) -> None:
    async def run() -> None:
        with obs.trace("cycle"):
            task = asyncio.create_task(later())
        await task

    async def later() -> None:
        await asyncio.sleep(0)
        assert not obs.current_trace()
        obs.decide("hold")

    asyncio.run(run())
    assert parents(seen) == {"cycle": None, "hold": None}


def test_a_thread_starts_anew_unless_it_is_handed_what_is_open(seen: Captured) -> None:
    def work(name: str) -> str:
        obs.decide(name)
        return name

    with obs.trace("cycle"), ThreadPoolExecutor(1) as pool:
        assert pool.submit(work, "alone").result() == "alone"
        assert pool.submit(obs.carry(work), "carried").result() == "carried"
        assert pool.submit(work, "alone again").result() == "alone again"
    assert parents(seen) == {"alone": None, "carried": "cycle", "alone again": None, "cycle": None}


def test_what_is_carried_can_run_in_many_threads_at_once_and_binds_there(seen: Captured) -> None:
    @obs.gate("spread_guard")
    def guard(number: int) -> bool:
        return number != 7

    with obs.decision("enter") as choice:
        threads = [threading.Thread(target=obs.carry(guard), args=(number,)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(choice.gates) == 20
        assert not choice.allowed
    assert seen.decision().outcome == "vetoed"


# ---- generators


def test_a_decorated_generator_has_its_record_inside_and_its_consumer_does_not(seen: Captured) -> None:
    @obs.stage("bars")
    def bars(count: int) -> Iterator[int]:
        for number in range(count):
            obs.decide(f"inside {number}")
            yield number
        return "the end"  # type: ignore[return-value]

    def consume() -> Iterator[int]:
        result = yield from bars(2)
        assert result == "the end"

    with obs.trace("cycle"):
        before = otel.get_current()
        for number in consume():
            assert otel.get_current() is before
            assert not obs.current_stage()
            obs.decide(f"outside {number}")
    assert parents(seen) == {
        "inside 0": "bars", "outside 0": "cycle", "inside 1": "bars", "outside 1": "cycle", "bars": "cycle",
        "cycle": None,
    }  # fmt: skip


def test_interleaved_generators_keep_their_own(seen: Captured) -> None:
    @obs.stage("outer")
    def numbers(name: str) -> Iterator[str]:
        with obs.stage(name):
            for step in range(3):
                obs.decide(f"{name} {step}")
                yield name

    first, second = numbers("a"), numbers("b")
    assert [next(one) for one in (first, second, second, first, first, second)] == list("abbaab")
    assert list(first) == []
    assert not obs.current_stage()
    assert list(second) == []
    found = parents(seen)
    assert {found[f"{name} {step}"] for name in "ab" for step in range(3)} == {"a", "b"}
    assert all(found[f"{name} {step}"] == name for name in "ab" for step in range(3))


@pytest.mark.parametrize("how", ["close", "forget"])
def test_a_generator_that_is_left_early_ends_its_record_unharmed(seen: Captured, how: str) -> None:
    @obs.stage("bars")
    def bars() -> Iterator[int]:
        try:
            yield 1
        finally:
            obs.decide("tidy up")

    one = bars()
    assert next(one) == 1
    if how == "close":
        one.close()  # type: ignore[attr-defined]
    del one
    gc.collect()
    assert [stage.failed for stage in seen.stages] == [False]
    assert parents(seen) == {"tidy up": "bars", "bars": None}


def test_what_is_sent_and_thrown_into_a_generator_arrives(seen: Captured) -> None:
    @obs.stage("bars")
    def bars() -> Any:
        given = []
        for _ in range(3):
            try:
                given.append((yield len(given)))
            except ValueError as error:
                given.append(error)
        return given

    one, error = bars(), ValueError("halted")
    assert [next(one), one.send("x"), one.throw(error)] == [0, 1, 2]
    with pytest.raises(StopIteration) as stopped:
        one.send("y")
    assert stopped.value.value == ["x", error, "y"]
    assert not seen.stages[0].failed


def test_an_exception_thrown_into_a_generator_that_does_not_take_it_passes_and_marks(seen: Captured) -> None:
    @obs.stage("bars")
    def bars() -> Any:
        yield 1

    one, error = bars(), KeyError("halted")
    next(one)
    with pytest.raises(KeyError) as raised:
        one.throw(error)
    assert raised.value is error
    assert seen.stages[0].failed
    with pytest.raises(RuntimeError, match="raised StopIteration"):  # as for any generator
        _advanced(bars()).throw(StopIteration())
    assert len(seen.stages) == 2


def _advanced(generator: Any) -> Any:
    next(generator)
    return generator


def test_a_decorated_async_generator_has_its_record_inside_and_its_consumer_does_not(seen: Captured) -> None:
    @obs.stage("ticks")
    async def ticks() -> AsyncIterator[int]:
        for number in range(2):
            await asyncio.sleep(0)
            obs.decide(f"inside {number}")
            yield number

    async def consume() -> None:
        with obs.trace("cycle"):
            before = otel.get_current()
            async for number in ticks():
                assert otel.get_current() is before
                obs.decide(f"outside {number}")

    asyncio.run(consume())
    assert parents(seen) == {
        "inside 0": "ticks", "outside 0": "cycle", "inside 1": "ticks", "outside 1": "cycle", "ticks": "cycle",
        "cycle": None,
    }  # fmt: skip


@obs.stage("ticks")
async def decorated_ticks() -> AsyncIterator[int]:
    """Protected by the decorator."""
    try:
        while True:
            await asyncio.sleep(0)
            yield 1
    finally:
        await asyncio.sleep(0)
        obs.decide("tidy up")


async def plain_ticks() -> AsyncIterator[int]:
    """With a ``with`` around its ``yield``: what it opens is seen by its consumer until it is finalised."""
    with obs.stage("ticks"):
        try:
            while True:
                await asyncio.sleep(0)
                yield 1
        finally:
            await asyncio.sleep(0)
            obs.decide("tidy up")


async def _left_to_the_loop(ticks: Callable[[], Any]) -> None:
    async for _ in ticks():
        break
    gc.collect()
    await asyncio.sleep(0.01)


async def _closed_by_another_task(ticks: Callable[[], Any]) -> None:
    one = ticks()
    await anext(one)
    await asyncio.create_task(one.aclose())


async def _driven_by_many_tasks(ticks: Callable[[], Any]) -> None:
    one = ticks()
    for _ in range(3):
        await asyncio.create_task(anext(one))
    await one.aclose()


async def _left_when_the_loop_ends(ticks: Callable[[], Any]) -> None:
    global _kept  # noqa: PLW0603 - somebody keeps it beyond the loop's end
    _kept = ticks()
    await anext(_kept)


_kept: Any = None


@pytest.mark.parametrize("ticks", [decorated_ticks, plain_ticks])
@pytest.mark.parametrize(
    "finalised", [_left_to_the_loop, _closed_by_another_task, _driven_by_many_tasks, _left_when_the_loop_ends]
)
def test_an_async_generator_may_be_finalised_by_anybody(
    seen: Captured, ticks: Callable[[], Any], finalised: Callable[[Any], Any]
) -> None:
    async def consumer() -> None:
        with obs.trace("cycle"):
            await finalised(ticks)
            obs.decide("go on")

    asyncio.run(consumer())
    found = parents(seen)
    assert found["ticks"] == "cycle"
    assert not any(stage.failed for stage in seen.stages)
    if ticks is decorated_ticks:
        assert found["tidy up"] == "ticks"
        assert found["go on"] == "cycle"


def test_what_is_sent_and_thrown_into_an_async_generator_arrives(seen: Captured) -> None:
    @obs.stage("ticks")
    async def ticks() -> Any:
        given: list[Any] = []
        while True:
            try:
                given.append((yield given))
            except ValueError as error:
                given.append(error)

    async def drive() -> None:
        one, error = ticks(), ValueError("halted")
        await anext(one)
        await one.asend("x")
        assert await one.athrow(error) == ["x", error]
        fatal = KeyError("fatal")
        with pytest.raises(KeyError) as raised:
            await one.athrow(fatal)
        assert raised.value is fatal

    asyncio.run(drive())
    assert [stage.failed for stage in seen.stages] == [True]


# ---- how they end


def _raise(error: BaseException) -> None:
    raise error


def _through_with(error: BaseException) -> None:
    with obs.trace("cycle"), obs.stage("features"), obs.decision("enter"):
        _raise(error)


def _through_async_with(error: BaseException) -> None:
    async def run() -> None:
        async with obs.trace("cycle"), obs.stage("features"), obs.decision("enter"):
            await asyncio.sleep(0)
            _raise(error)

    asyncio.run(run())


def _through_functions(error: BaseException) -> None:
    obs.trace("cycle")(obs.stage("features")(obs.decision("enter")(_raise)))(error)


def _through_coroutines(error: BaseException) -> None:
    @obs.trace("cycle")
    @obs.stage("features")
    @obs.decision("enter")
    async def run() -> None:
        await asyncio.sleep(0)
        _raise(error)

    asyncio.run(run())


def _through_generators(error: BaseException) -> None:
    @obs.trace("cycle")
    @obs.stage("features")
    @obs.decision("enter")
    def run() -> Iterator[int]:
        yield 1
        _raise(error)

    list(run())


def _through_async_generators(error: BaseException) -> None:
    @obs.trace("cycle")
    @obs.stage("features")
    @obs.decision("enter")
    async def run() -> AsyncIterator[int]:
        yield 1
        _raise(error)

    async def consume() -> None:
        async for _ in run():
            pass

    asyncio.run(consume())


@pytest.mark.parametrize(
    "through",
    [
        _through_with, _through_async_with, _through_functions, _through_coroutines, _through_generators,
        _through_async_generators,
    ],
)  # fmt: skip
def test_an_exception_passes_unchanged_and_marks_what_it_passed(
    seen: Captured, through: Callable[[BaseException], None]
) -> None:
    cause = OSError("the cause")
    error = ConnectionError("venue gone")
    error.__cause__ = cause
    error.add_note("a note of the bot")
    with pytest.raises(ConnectionError) as raised:
        through(error)
    assert raised.value is error
    assert error.__cause__ is cause
    assert error.__context__ is None
    assert error.__notes__ == ["a note of the bot"]
    assert [frame.name for frame in traceback.extract_tb(error.__traceback__)][-1] == "_raise"
    assert [span.status.description for span in seen.spans] == ["ConnectionError: venue gone"] * 3
    assert all(part.failed for part in (*seen.traces, *seen.stages, *seen.decisions))
    assert seen.decision().outcome == "failed"
    for span in seen.spans:
        [event] = [event for event in span.events if event.name == "exception"]
        told = event.attributes or {}
        assert told["exception.type"] == "ConnectionError"
        assert told["exception.message"] == "venue gone"
        assert "in _raise" in str(told["exception.stacktrace"])
        assert (span.attributes or {})["error.type"] == "ConnectionError"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), asyncio.CancelledError()])
def test_what_ends_a_bot_before_its_time_is_a_failure(seen: Captured, error: BaseException) -> None:
    with pytest.raises(type(error)) as raised, obs.trace("cycle"):
        raise error
    assert raised.value is error
    assert seen.traces[0].failed


@pytest.mark.parametrize("code", [None, 0])
def test_an_orderly_exit_is_none(seen: Captured, code: int | None) -> None:
    with pytest.raises(SystemExit), obs.trace("cycle"):
        raise SystemExit(code)
    assert not seen.traces[0].failed


def test_finishing_twice_is_harmless_and_the_first_time_counts(seen: Captured) -> None:
    with obs.trace("cycle") as cycle, obs.decision("enter") as choice:
        choice.executed(order_id="o-1")
        choice.end()
        choice.fail(ValueError("too late"))
        choice.end()
        cycle.fail("no data")
        cycle.end()
    cycle.end()
    choice.end()
    assert seen.decision().outcome == "executed"
    assert not seen.decision().failed
    assert seen.traces[0].failed
    assert seen.traces[0].span.status.description == "no data"
    assert len(seen.spans) == 2


def test_a_bot_s_own_exception_is_not_hidden_by_strictness(seen: Captured) -> None:
    """Strict raises on our own account, yet not in the place of what the bot raised."""

    class Unspeakable:
        def __str__(self) -> str:
            raise RuntimeError("no words")

    with pytest.raises(KeyError), obs.trace("cycle") as cycle:  # noqa: PT012 - what follows must not run
        with pytest.raises(ContractError):
            cycle.evidence(what=Unspeakable())
        raise KeyError("the bot's own")
    assert seen.traces[0].failed


# ---- when they were


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (NOON, NOON_NS),
        (NOON_NS, NOON_NS),
        (NOON_NS + 1, NOON_NS + 1),
        (datetime(2025, 12, 19, 17, 30, 0, 123456, tzinfo=timezone(timedelta(hours=5.5))), NOON_NS + 123_456_000),
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(2262, 4, 11, 23, 47, 16, 854775, tzinfo=UTC), 9_223_372_036_854_775_000),
    ],
)  # fmt: skip
def test_at_is_the_time_of_what_is_said(seen: Captured, at: datetime | int, expected: int) -> None:
    with obs.trace("cycle", at=at), obs.stage("features", at=at), obs.decision("enter", at=at):
        obs.decide("hold", at=at)
        obs.order(id="o-1", status="submitted", at=at)
    assert {span.start_time for span in seen.spans} == {expected}
    assert [fact.time for fact in seen.facts] == [expected]


def test_whole_numbers_of_other_libraries_are_times_as_well(seen: Captured) -> None:
    numpy = pytest.importorskip("numpy")
    obs.decide("hold", at=numpy.int64(NOON_NS))
    assert seen.decision().time == NOON_NS


@pytest.mark.parametrize(
    ("at", "defect"),
    [
        (datetime(2262, 4, 12, tzinfo=UTC), "at: lies outside 1970-2262"),
        (datetime(1969, 12, 31, tzinfo=UTC), "at: lies outside 1970-2262"),
        (datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))), "at: lies outside 1970-2262"),
        (-1, "at: lies outside 1970-2262"),
        (2**63, "at: lies outside 1970-2262"),
        (1766145600.0, "at: is float, which is no time"),
        ("2025-12-19T12:00:00Z", "at: is str, which is no time"),
        (True, "at: is bool, which is no time"),
    ],
)
def test_a_time_that_cannot_be_is_marked_and_the_clock_takes_its_place(lenient: Captured, at: Any, defect: str) -> None:
    now = lenient.clock.now()
    with obs.trace("cycle", at=at):
        obs.decide("hold", at=at)
    obs.fill(id="f-1", price="1", quantity="1", at=at)
    assert (lenient.traces[0].time, lenient.traces[0].defects) == (now, (defect,))
    assert (lenient.decision().time, lenient.decision().defects) == (now, (defect,))
    assert lenient.facts[0].time == now
    assert lenient.facts[0].attributes["otel_obs.defects"] == (defect,)


def test_a_naive_time_is_taken_for_utc_and_marked(lenient: Captured) -> None:
    obs.decide("hold", at=datetime(2025, 12, 19, 12))  # noqa: DTZ001 - the mistake itself
    assert lenient.decision().time == NOON_NS
    assert lenient.decision().defects == ("at: is a time without a zone; it was taken for UTC",)


def test_what_is_said_inside_inherits_event_time_until_told_another(seen: Captured) -> None:
    later = NOON + timedelta(minutes=5)
    with obs.trace("bar", at=NOON), obs.stage("features"):
        with obs.decision("enter") as choice:
            choice.gate("spread_guard", observed=16.7, at_most=5.0)
            obs.order(id="o-1", status="submitted")
        with obs.stage("execution", at=later):
            obs.decide("hold")
    assert seen.decision("enter").time == NOON_NS
    assert [event.timestamp for event in seen.decision("enter").span.events] == [NOON_NS]
    assert [fact.time for fact in seen.facts] == [NOON_NS]
    assert seen.decision("hold").time == NOON_NS + 300 * 10**9


def test_durations_are_real_whatever_the_wall_clock_or_at_says(seen: Captured) -> None:
    clock = seen.clock
    assert isinstance(clock, FrozenClock)
    with obs.trace("live"):
        clock.advance(2)
        clock.jump(-3600)
        with obs.stage("replayed", at=NOON):
            clock.jump(+7200)
            clock.advance(timedelta(milliseconds=5))
    assert [trace.duration for trace in seen.traces] == [2_005_000_000]
    assert [stage.duration for stage in seen.stages] == [5_000_000]


# ---- what they carry


def test_evidence_output_and_score_are_told_in_pieces_and_kept_as_they_were_then(seen: Captured) -> None:
    counts = {"exa": 100}
    rows = [1, 2]
    with obs.trace("cycle") as cycle:
        cycle.evidence(collected=150, by_source=counts, rows=rows)
        counts["exa"] = 0
        rows.clear()
        cycle.evidence(collected=151, self="may be a name, too")
        cycle.output(report="…")
        cycle.score(2.4, out_of=3.0, passed=True, principles={"META-12": 1}, gaps=["META-12"])
        cycle.idle("no_signal")
    [trace] = seen.traces
    assert trace.evidence == {
        "collected": 151, "by_source": {"exa": 100}, "rows": [1, 2], "self": "may be a name, too",
    }  # fmt: skip
    assert trace.output == {"report": "…"}
    assert trace.idle_reason == "no_signal"
    told = trace.attributes
    assert (told["trace.score"], told["trace.score_max"], told["trace.passed"]) == (2.4, 3.0, True)
    assert (told["trace.principles"], told["trace.gaps"]) == ('{"META-12":1}', ("META-12",))


def test_attributes_of_the_bot_s_own_stand_beside_ours(seen: Captured) -> None:
    with obs.stage("model", attributes={"venue": "binance"}) as stage:
        stage.attributes(gen_ai__request__model="m-1", depth=10)
    told = seen.stages[0].attributes
    assert (told["venue"], told["gen_ai.request.model"], told["depth"]) == ("binance", "m-1", 10)
