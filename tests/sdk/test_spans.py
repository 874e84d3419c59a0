"""Our spans beside those of the stock SDK: whatever a program says of them, a receiver reads the same."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections import UserDict
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans as official
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits
from opentelemetry.sdk.trace import TracerProvider as Stock
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode

from otel_obs.sdk.spans import TracerProvider
from otel_obs.testing.ids import IncrementalIds

if TYPE_CHECKING:
    from collections.abc import Callable

often = settings(max_examples=150, deadline=None, database=None, derandomize=True)
RESOURCE = Resource({"service.name": "bot"})
FEW = {
    "max_span_attributes": 4, "max_events": 2, "max_links": 2, "max_event_attributes": 2, "max_link_attributes": 1,
    "max_span_attribute_length": 5, "max_attribute_length": 7,
}  # fmt: skip
NONE = dict.fromkeys(FEW, 0) | {"max_span_attribute_length": 0, "max_attribute_length": 0}


class Word(str):
    """A string of somebody's own kind."""

    __slots__ = ()


class Printed:
    """Something with a text."""

    def __str__(self) -> str:
        return "printed"


class Bare:
    """Something without one."""


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
keys = st.sampled_from(["a", "b", "c", "d", "e", "f"]) | words
simple = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | words
    | st.binary(max_size=5)
)
odd = st.sampled_from(
    [Word("word"), Printed(), Bare(), range(3), UserDict(x=1), {1: 2, "": 3, "z": {4}}, SpanKind.CLIENT]
)
values = st.recursive(
    simple | odd, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=6
)
attributes = st.none() | st.dictionaries(keys, values, max_size=6) | st.dictionaries(keys, simple, max_size=6)
times = st.integers(1, 2**62)
contexts = st.builds(
    lambda trace_id, span_id, flags, state: trace.SpanContext(
        trace_id, span_id, is_remote=True, trace_flags=trace.TraceFlags(flags), trace_state=trace.TraceState(state)
    ),
    st.just(0) | st.integers(0, 2**128 - 1), st.integers(0, 2**64 - 1), st.integers(0, 3),
    st.sampled_from([(), (("a", "1"),)]),
)  # fmt: skip
links = st.lists(st.builds(trace.Link, contexts, attributes), max_size=3)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("set_attribute"), keys, values),
        st.tuples(st.just("set_attributes"), st.dictionaries(keys, values, max_size=5)),
        st.tuples(st.just("add_event"), words, attributes, times),
        st.tuples(st.just("add_link"), contexts, attributes),
        st.tuples(st.just("update_name"), words),
        st.tuples(st.just("set_status"), st.sampled_from(StatusCode), st.none() | words),
        st.tuples(st.just("set_status"), st.builds(Status, st.sampled_from(StatusCode))),
        st.tuples(st.just("record_exception"), st.just(ValueError("no")), attributes, times),
        st.tuples(st.just("end"), times),
    ),
    max_size=12,
)  # fmt: skip


def _stock(limits: SpanLimits) -> Any:
    return Stock(resource=RESOURCE, id_generator=IncrementalIds(), span_limits=limits, shutdown_on_exit=False)


def _ours(limits: SpanLimits) -> Any:
    return TracerProvider(resource=RESOURCE, ids=IncrementalIds(), limits=limits)


def _finished(provider: Any, tell: Callable[[trace.Tracer], Any]) -> tuple[ReadableSpan, ...]:
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tell(provider.get_tracer("scope", "1", "https://schema", {"s": 1}))
    return exporter.get_finished_spans()


@often
@given(
    st.tuples(st.none() | contexts, st.sampled_from(SpanKind), attributes, links), steps,
    st.sampled_from([{}, FEW, NONE]), times,
)  # fmt: skip
def test_whatever_is_said_of_a_span_a_receiver_reads_the_same(
    start: tuple[Any, ...], said: Any, limits: dict[str, int], end: int
) -> None:
    parent, kind, first, linked = start
    logging.disable(logging.CRITICAL)

    def tell(tracer: trace.Tracer) -> None:
        around = None if parent is None else trace.set_span_in_context(trace.NonRecordingSpan(parent))
        anew = [trace.Link(link.context, link.attributes) for link in linked]  # the stock SDK changes what it is given
        span = tracer.start_span("name", around, kind, first, anew, 5)
        for call, *arguments in said:
            getattr(span, call)(*arguments)
        span.end(end)

    try:
        allowed = SpanLimits(**limits)
        assert official(_finished(_ours(allowed), tell)) == official(_finished(_stock(allowed), tell))
    finally:
        logging.disable(logging.NOTSET)


@pytest.mark.parametrize("rate", ["0", "0.5", "1"])
@pytest.mark.parametrize("kind", ["traceidratio", "parentbased_traceidratio", "always_on", "always_off", ""])
def test_who_is_sampled_is_what_the_environment_says(kind: str, rate: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", kind or "parentbased_always_on")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", rate)

    def tell(tracer: trace.Tracer) -> None:
        for number in range(1, 40):
            with tracer.start_as_current_span("root"), tracer.start_as_current_span("child"):
                pass
            above = trace.SpanContext(number << 58, 7, is_remote=True, trace_flags=trace.TraceFlags(number % 4))
            span = tracer.start_span("remote", trace.set_span_in_context(trace.NonRecordingSpan(above)), start_time=1)
            span.end(2)

    def untimed(provider: Any) -> list[Any]:
        return [(span.name, span.context, span.parent) for span in _finished(provider, tell)]

    assert untimed(_ours(SpanLimits())) == untimed(_stock(SpanLimits()))


def test_a_block_that_raises_marks_its_span_as_the_stock_sdk_does() -> None:
    def tell(tracer: trace.Tracer) -> None:
        for record, fail in ((True, True), (False, False)):
            with (
                pytest.raises(KeyError),
                tracer.start_as_current_span(
                    "as current", start_time=1, record_exception=record, set_status_on_exception=fail, end_on_exit=False
                ) as current,
            ):
                raise KeyError("gone")
            current.end(2)
            span = tracer.start_span("by hand", start_time=1, record_exception=record, set_status_on_exception=fail)
            span.__exit__(ValueError, ValueError("no"), None)

    def read(provider: Any) -> list[Any]:
        return [
            (
                span.name,
                span.status.status_code,
                span.status.description,
                [dict(event.attributes or {}) for event in span.events],
            )
            for span in _finished(provider, tell)
        ]

    ours, theirs = read(_ours(SpanLimits())), read(_stock(SpanLimits()))
    for told in (ours, theirs):
        for *_, events in told:
            for event in events:
                event.pop("exception.stacktrace")
    assert ours == theirs


def test_a_decorated_coroutine_and_what_it_calls_nest_and_are_propagated() -> None:
    carried: dict[str, str] = {}

    def tell(tracer: trace.Tracer) -> None:
        @tracer.start_as_current_span("outer")
        async def outer() -> None:
            with tracer.start_as_current_span("inner"):
                propagate.inject(carried)

        asyncio.run(outer())

    inner, outer = _finished(_ours(SpanLimits()), tell)
    assert inner.parent == outer.context
    assert carried["traceparent"] == f"00-{inner.context.trace_id:032x}-{inner.context.span_id:016x}-01"


def test_it_is_shown_and_looked_at_as_the_stock_one_is() -> None:
    def tell(tracer: trace.Tracer) -> None:
        span = tracer.start_span("s", None, SpanKind.SERVER, {"a": "b"}, [trace.Link(trace.SpanContext(1, 2, True))], 1)  # noqa: FBT003
        span.add_event("e", {"x": 1}, 2)
        span.set_status(Status(StatusCode.ERROR, "why"))
        span.end(3)

    [ours], [theirs] = _finished(_ours(SpanLimits()), tell), _finished(_stock(SpanLimits()), tell)
    assert isinstance(ours, ReadableSpan)
    assert ours.to_json() == theirs.to_json()
    told = ("name", "kind", "parent", "start_time", "end_time", "context", "resource", "instrumentation_scope")
    assert [getattr(ours, name) for name in told] == [getattr(theirs, name) for name in told]


def test_what_is_said_after_the_end_is_left_out_and_told(caplog: pytest.LogCaptureFixture) -> None:
    def tell(tracer: trace.Tracer) -> None:
        span = tracer.start_span("over", start_time=1)
        span.end(2)
        span.set_attribute("late", 1)
        span.end(3)
        assert not span.is_recording()

    [span] = _finished(_ours(SpanLimits()), tell)
    assert (dict(span.attributes or {}), span.end_time) == ({}, 2)
    assert [record.message for record in caplog.records if record.name == "otel_obs"] == [
        "An attribute of span 'over' came after its end, and is left out.",
        "A second end of span 'over' came after its end, and is left out.",
    ]


def test_an_object_that_cannot_be_printed_costs_its_value_only(caplog: pytest.LogCaptureFixture) -> None:
    class Unprintable:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    def tell(tracer: trace.Tracer) -> None:
        span = tracer.start_span("s", attributes={"kept": 1})
        span.set_attribute("lost", Unprintable())
        span.end()

    [span] = _finished(_ours(SpanLimits()), tell)
    assert dict(span.attributes or {}) == {"kept": 1, "lost": None}
    assert "could not be printed" in caplog.text


def test_threads_that_fill_one_span_lose_nothing_uncounted() -> None:
    limits = SpanLimits(max_span_attributes=10)

    def tell(tracer: trace.Tracer) -> None:
        span = tracer.start_span("shared")

        def fill(name: str) -> None:
            for number in range(500):
                span.set_attribute(f"{name}{number}", number)

        threads = [threading.Thread(target=fill, args=(name,)) for name in "abcdef"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        span.end()

    [span] = _finished(_ours(limits), tell)
    assert len(span.attributes or {}) + span.dropped_attributes == 3_000


def test_a_forked_child_makes_spans_with_its_own_process_id() -> None:
    provider = TracerProvider(resource=RESOURCE.merge(Resource({"process.pid": os.getpid()})))
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writer, str(provider.resource.attributes["process.pid"]).encode())
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 20) == str(child).encode()
    assert provider.resource.attributes["process.pid"] == os.getpid()
