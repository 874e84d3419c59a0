"""Our OTLP bytes beside those of the official encoder: whatever is recorded, both decode to the same."""

from __future__ import annotations

import math
import tracemalloc
from collections import UserDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs as official_logs
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans as official_spans
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otel_obs.sdk.otlp import (
    EventRecord,
    GiveWay,
    LinkRecord,
    LogRecord,
    ResourceRecord,
    ScopeRecord,
    SpanRecord,
    encode_logs,
    encode_spans,
)
from otel_obs.sdk.otlp.from_sdk import log_records, span_records
from otel_obs.sdk.otlp.wire import altered

if TYPE_CHECKING:
    from collections.abc import Callable

often = settings(max_examples=80, deadline=None, database=None, derandomize=True)

# ---- whatever may be said

short = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
long = st.sampled_from([127, 128, 16_383, 16_384, 70_000]).map("x".__mul__)  # where a length takes a further byte
words = short | short | long
names = st.sampled_from(["decision.what", "quantity", "", "gate.name\x00"]) | words
keys = st.sampled_from(["decision.what", "quantity", "a" * 120, "a" * 300]) | short.filter(bool)
int64s = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 300)
uint64s = st.integers(0, 2**64 - 1)
scalars = st.none() | st.booleans() | int64s | st.floats() | words | st.binary(max_size=200)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4), max_leaves=12
)
attributes = st.dictionaries(keys, values, max_size=16)
url = st.sampled_from(["", "https://example.org/schema/1"])
trace_states = st.sampled_from([(), (("vendor", "t61rcWkgMzE"),), (("a", "1"), ("b", "2"))])
contexts = st.builds(
    lambda trace_id, span_id, is_remote, state: trace.SpanContext(
        trace_id, span_id, is_remote, trace.TraceFlags(1), trace.TraceState(state)
    ),
    st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.booleans(), trace_states,
)  # fmt: skip


@dataclass(frozen=True)
class Speaker:
    """A resource and an instrumentation scope."""

    resource: dict[str, Any]
    resource_url: str
    name: str
    version: str | None
    scope_url: str | None
    scope: dict[str, Any] | None


flat = st.dictionaries(keys, st.booleans() | int64s | st.floats(allow_nan=False) | words, max_size=4)
speakers = st.lists(
    st.builds(Speaker, flat, url, words.filter(bool), st.none() | words, st.none() | url, st.none() | flat),
    min_size=1, max_size=3,
)  # fmt: skip


@dataclass(frozen=True)
class Said:
    """One span, as a program says it."""

    speaker: int
    name: str
    kind: trace.SpanKind
    parent: trace.SpanContext | None
    start: int
    duration: int
    attributes: dict[str, Any]
    events: list[tuple[str, dict[str, Any] | None, int]]
    links: list[tuple[trace.SpanContext, dict[str, Any] | None]]
    code: trace.StatusCode
    description: str


spans = st.lists(
    st.builds(
        Said, st.integers(0, 2), names, st.sampled_from(trace.SpanKind), st.none() | contexts,
        st.integers(0, 2**62), st.integers(0, 2**62), attributes,
        st.lists(st.tuples(names, st.none() | attributes, uint64s), max_size=4),
        st.lists(st.tuples(contexts, st.none() | attributes), max_size=3),
        st.sampled_from(trace.StatusCode), words,
    ),
    max_size=5,
)  # fmt: skip
LIMITS = SpanLimits(max_span_attributes=8, max_events=2, max_links=2, max_event_attributes=3, max_link_attributes=3)


def recorded(by: list[Speaker], said: list[Said]) -> Any:
    """The spans as OpenTelemetry's SDK keeps them: cleaned, cut to its limits, with what it dropped counted."""
    exporter = InMemorySpanExporter()
    tracers = []
    for one in by:
        provider = TracerProvider(resource=Resource(one.resource, one.resource_url), span_limits=LIMITS)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        tracers.append(provider.get_tracer(one.name, one.version, one.scope_url, one.scope))
    for one in said:
        context = trace.set_span_in_context(trace.NonRecordingSpan(one.parent)) if one.parent else None
        span = tracers[one.speaker % len(tracers)].start_span(
            one.name, context, one.kind, one.attributes, [trace.Link(*link) for link in one.links], one.start or 1
        )
        for event in one.events:
            span.add_event(*event)
        span.set_status(one.code, one.description if one.code is trace.StatusCode.ERROR else None)
        span.end((one.start or 1) + one.duration)
    return exporter.get_finished_spans()


def told(request: Any) -> list[Any]:
    """A request as what can be compared: NaN is equal to itself, and the order inside a scope says nothing."""
    return [
        (
            resource.resource.SerializeToString(deterministic=True),
            resource.schema_url,
            [
                (
                    scope.scope.SerializeToString(deterministic=True),
                    scope.schema_url,
                    sorted(record.SerializeToString(deterministic=True) for record in _records(scope)),
                )
                for scope in getattr(resource, "scope_spans", None) or resource.scope_logs
            ],
        )
        for resource in getattr(request, "resource_spans", None) or getattr(request, "resource_logs", ())
    ]


def _records(scope: Any) -> Any:
    return scope.spans if hasattr(scope, "spans") else scope.log_records


def decoded_spans(body: bytes) -> Any:
    """The request, read with the official class."""
    return ExportTraceServiceRequest.FromString(body)


# ---- what the official encoder can say


@often
@given(speakers, spans)
def test_spans_of_the_sdk_decode_to_what_the_official_encoder_sends(by: list[Speaker], said: list[Said]) -> None:
    finished = recorded(by, said)
    expected = official_spans(finished)
    states = {span.context.span_id: [link.context.trace_state.to_header() for link in span.links] for span in finished}
    for resource in expected.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:  # the official encoder leaves out the state of a link's trace
                for link, state in zip(span.links, states[int.from_bytes(span.span_id, "big")], strict=True):
                    link.trace_state = state
    assert told(decoded_spans(encode_spans(span_records(finished)))) == told(expected)


log_entries = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.none() | contexts,
        st.fixed_dictionaries(
            {
                "timestamp": st.none() | uint64s,
                "observed_timestamp": st.none() | uint64s,
                "body": values,
                "attributes": attributes,
                "event_name": st.none() | names,
                "severity_text": st.none() | words,
                "severity_number": st.none() | st.sampled_from(SeverityNumber),
            }
        ),
    ),
    max_size=5,
)


@often
@given(speakers, log_entries)
def test_logs_of_the_sdk_decode_to_what_the_official_encoder_sends(by: list[Speaker], said: list[Any]) -> None:
    exporter = InMemoryLogRecordExporter()
    loggers = []
    for one in by:
        provider = LoggerProvider(resource=Resource(one.resource, one.resource_url), shutdown_on_exit=False)
        provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
        loggers.append(provider.get_logger(one.name, one.version, one.scope_url, one.scope))
    for speaker, span, entry in said:
        context = trace.set_span_in_context(trace.NonRecordingSpan(span)) if span else None
        loggers[speaker % len(loggers)].emit(context=context, **entry)
    finished = exporter.get_finished_logs()
    decoded = ExportLogsServiceRequest.FromString(encode_logs(log_records(finished)))
    assert told(decoded) == told(official_logs(finished))


# ---- what it cannot: nothing is raised, no record is lost, and what was changed is counted


@pytest.fixture
def counted() -> Callable[[], dict[str, int]]:
    """What was altered during the test."""
    before = altered.copy()
    return lambda: dict(altered - before)


SCOPE = ScopeRecord(ResourceRecord({"service.name": "bot"}), "otel_obs")
LEGAL = SpanRecord(SCOPE, 1, 2, 0, "legal", 1, 2, {"decision.what": "hold"})


class Unspeakable:
    """An object that cannot even be turned into text."""

    def __str__(self) -> str:
        raise RuntimeError("no")

    def __repr__(self) -> str:
        return "Unspeakable()"


class Unreadable(UserDict[str, Any]):
    """A mapping that cannot be read."""

    def __iter__(self) -> Any:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("value", "sent", "reason"),
    [
        ("\ud800 and \udfff", "? and ?", "not_utf8"),
        (2**63, "9223372036854775808", "too_large"),
        (-(2**63) - 1, "-9223372036854775809", "too_large"),
        (1 << 40_000, hex(1 << 40_000), "too_large"),
        ({1}, "{1}", "no_such_kind"),
        (1j, "1j", "no_such_kind"),
        (Unspeakable(), "<Unspeakable>", "no_such_kind"),
        (Unreadable(), "{}", "unreadable"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_that_otlp_cannot_carry_is_sent_as_its_text_and_counted(
    value: Any, sent: str, reason: str, counted: Callable[[], dict[str, int]]
) -> None:
    event = EventRecord("gate", 3, {"v": value})
    span = LEGAL._replace(attributes={"v": value, "w": 1, "in": [value]}, events=[event], links=[LinkRecord(1, 2)])
    [one, legal] = decoded_spans(encode_spans([span, LEGAL])).resource_spans[0].scope_spans[0].spans
    assert legal.name == "legal"
    assert [pair.key for pair in one.attributes] == ["v", "w", "in"]
    assert one.attributes[0].value.string_value == sent
    assert one.attributes[2].value.array_value.values[0].string_value == sent
    assert one.events[0].attributes[0].value.string_value == sent
    assert counted() == {reason: 3}


def nested(depth: int, wrap: Callable[[Any], Any]) -> Any:
    """A value inside ``depth`` others."""
    value: Any = "deep"
    for _ in range(depth):
        value = wrap(value)
    return value


def test_values_that_hold_themselves_or_are_too_deep_for_decoders_are_cut(
    counted: Callable[[], dict[str, int]],
) -> None:
    cycle: list[Any] = ["a"]
    cycle.append({"again": cycle, "also": cycle})
    said = {"list": nested(5_000, lambda v: [v]), "map": nested(5_000, lambda v: {"k": v}), "cycle": cycle}
    span = LEGAL._replace(events=[EventRecord("gate", 3, said)])
    [one] = decoded_spans(encode_spans([span])).resource_spans[0].scope_spans[0].spans
    again = one.events[0].attributes[2].value.array_value.values[1].kvlist_value.values[0]
    assert again.value.string_value == "['a', {'again': [...], 'also': [...]}]"
    assert counted() == {"too_deep": 4}
    log = LogRecord(SCOPE, 1, 1, body=said)
    assert len(ExportLogsServiceRequest.FromString(encode_logs([log])).resource_logs) == 1


def test_what_is_shared_but_no_cycle_is_sent_whole(counted: Callable[[], dict[str, int]]) -> None:
    shared = [1]
    [one] = decoded_spans(encode_spans([LEGAL._replace(attributes={"v": [shared, shared]})])).resource_spans
    assert [len(v.array_value.values) for v in one.scope_spans[0].spans[0].attributes[0].value.array_value.values] == [
        1, 1,
    ]  # fmt: skip
    assert counted() == {}


anything = scalars | st.integers() | st.text() | st.just(Unspeakable()) | st.just(Unreadable())


def odd(kind: type[Any], *, apart_from: set[str]) -> Any:
    """Arguments of a record that may be anything at all."""
    return st.fixed_dictionaries({name: anything for name in kind._fields if name not in apart_from})


@often
@given(
    odd(SpanRecord, apart_from={"scope", "events", "links"}),
    st.builds(lambda given: EventRecord(**given), odd(EventRecord, apart_from=set())),
    st.builds(lambda given: LinkRecord(**given), odd(LinkRecord, apart_from=set())),
    odd(LogRecord, apart_from={"scope"}),
)
def test_a_record_of_anything_at_all_can_be_decoded_and_costs_no_other_record(
    span: dict[str, Any], event: EventRecord, link: LinkRecord, log: dict[str, Any]
) -> None:
    batch = [SpanRecord(scope=SCOPE, events=[event], links=[link], **span), LEGAL]
    decoded = decoded_spans(encode_spans(batch)).resource_spans[0].scope_spans[0].spans
    assert [one.name for one in decoded][1:] == ["legal"]
    body = encode_logs([LogRecord(scope=SCOPE, **log), LogRecord(SCOPE, 1, 1, body="legal")])
    records = ExportLogsServiceRequest.FromString(body).resource_logs[0].scope_logs[0].log_records
    assert [one.body.string_value for one in records][1:] == ["legal"]


@pytest.mark.parametrize(
    ("field", "value", "sent_as", "sent"),
    [
        ("start_ns", -5, "start_time_unix_nano", 0),  # a replay of bars from before 1970
        ("end_ns", 2**64, "end_time_unix_nano", 2**64 - 1),
        ("dropped_attributes", -1, "dropped_attributes_count", 0),
        ("dropped_events", 2**32, "dropped_events_count", 2**32 - 1),
        ("span_id", 2**64, "span_id", b"\xff" * 8),
        ("trace_id", -1, "trace_id", bytes(16)),
    ],
)
def test_a_number_out_of_its_field_s_range_is_sent_as_the_nearest_that_fits_and_counted(
    field: str, value: int, sent_as: str, sent: object, counted: Callable[[], dict[str, int]]
) -> None:
    [one] = decoded_spans(encode_spans([LEGAL._replace(**{field: value})])).resource_spans[0].scope_spans[0].spans
    assert getattr(one, sent_as) == sent
    assert counted() == {"mended": 1, "out_of_range": 1}


# ---- who speaks


def test_scopes_and_resources_that_are_equal_are_sent_once_and_those_that_are_not_apart() -> None:
    def scope(resource: dict[str, Any], **given: Any) -> ScopeRecord:
        return ScopeRecord(ResourceRecord(resource), "otel_obs", **given)

    origins = [
        scope({"a": 1, "b": math.nan}),
        scope({"b": math.nan, "a": 1}),
        scope({"a": True, "b": math.nan}),
        scope({"a": 1, "b": math.nan}, version="2"),
    ]
    request = decoded_spans(encode_spans([LEGAL._replace(scope=one) for one in origins * 2]))
    assert [[len(one.spans) for one in each.scope_spans] for each in request.resource_spans] == [[4, 2], [2]]


# ---- memory and the bot's thread


def test_keys_and_names_without_end_are_not_remembered_without_end() -> None:
    tracemalloc.start()
    try:
        for number in range(20_000):
            said = {f"text {number}": "x", f"double {number}": 0.5, f"bool {number}": True, "long": "x" * number}
            encode_spans([LEGAL._replace(name=f"name {number}", attributes=said)])
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 4_000_000  # without a bound: 30 MB


def test_the_interpreter_is_given_back_every_few_records() -> None:
    pauses: list[int] = []
    encode_spans([LEGAL] * 100, pause=lambda: pauses.append(1))
    encode_logs([LogRecord(SCOPE, 1, 1)] * 100, pause=lambda: pauses.append(1))
    assert len(pauses) == 100


def test_a_thread_that_wakes_is_let_in_every_time_and_one_that_computes_on_and_on_ever_more_rarely() -> None:
    now, keeps_it, slept = 0.0, 0.0, 0

    def sleep(seconds: float) -> None:
        nonlocal now, slept
        now, slept = now + seconds + keeps_it, slept + 1

    pause = GiveWay(sleep=sleep, clock=lambda: now)

    def pauses_in(seconds: float) -> int:
        nonlocal now, slept
        slept, end = 0, now + seconds
        while now < end:
            now += 0.00002
            pause()
        return slept

    assert 80 <= pauses_in(0.01) <= 100  # one each 0.1 ms
    keeps_it = 0.005
    pauses_in(0.1)
    assert 9 <= pauses_in(0.1) <= 11  # half the time is ours
    keeps_it = 0.0
    pauses_in(0.006)
    assert 80 <= pauses_in(0.01) <= 100
