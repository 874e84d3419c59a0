"""A document keeps every record to the last bit, tells it so that a person can read it, and keeps to its schema."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_obs.sdk.otlp import (
    EventRecord,
    LinkRecord,
    LogRecord,
    ResourceRecord,
    ScopeRecord,
    SpanRecord,
    encode_logs,
    encode_spans,
)
from otel_obs.sdk.trace_files.document import document
from otel_obs.sdk.trace_files.gathering import Gathered
from otel_obs.sdk.trace_files.layout import one_line, text
from otel_obs.sdk.trace_files.reading import DocumentError, read

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

ROOT = Path(__file__).parents[3]
SCHEMA = jsonschema.Draft202012Validator(
    json.loads((ROOT / "docs/reference/trace-document.schema.json").read_text(encoding="utf-8"))
)
often = settings(max_examples=80, deadline=None, database=None, derandomize=True)


@pytest.fixture(scope="module")
def said(beside: Callable[[str], ModuleType]) -> ModuleType:
    """Whatever may be said: the strategies of the encoding's own tests."""
    return beside("sdk/test_otlp_encoding.py")


def plain(value: Any) -> Any:
    """JSON has one NaN, not the many that differ in bits nobody reads."""
    if isinstance(value, float) and math.isnan(value):
        return math.nan
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    return value


def origins(said: ModuleType) -> Any:
    """Some who speak, equal and not."""
    flat = st.sampled_from([{}, {"a": 1}, {"a": True}, {"a": 1.0}]) | said.flat.map(plain)
    few = st.sampled_from(["", "otel_obs"])
    resources = st.lists(st.builds(ResourceRecord, flat, said.url), min_size=1, max_size=3)
    return resources.flatmap(
        lambda known: st.lists(
            st.builds(ScopeRecord, st.sampled_from(known), few | said.words, few, said.url, flat),
            min_size=1, max_size=4,
        )
    )  # fmt: skip


def told(said: ModuleType) -> Any:
    """Spans and log records of one trace."""
    attributes = (said.attributes | names_of_ours(said)).map(plain)
    span_ids, counts, flags = (
        st.integers(1, 2**64 - 1),
        st.integers(0, 2**32 - 1),
        st.sampled_from([0, 1, 0x100, 0x301]),
    )
    events = st.lists(
        st.builds(
            EventRecord, said.names | st.sampled_from(["gate.evaluated", "exception"]), said.uint64s, attributes, counts
        ),
        max_size=3,
    )
    links = st.lists(
        st.builds(LinkRecord, st.integers(1, 2**128 - 1), span_ids, said.words, attributes, counts, flags), max_size=2
    )

    def records(scopes: list[ScopeRecord]) -> Any:
        scope = st.sampled_from(scopes)
        spans = st.builds(
            SpanRecord, scope, st.just(7), span_ids, st.just(0) | span_ids, said.names, said.uint64s, said.uint64s,
            attributes, events, links, st.integers(0, 5), st.integers(0, 2), said.words, said.words, flags,
            counts, counts, counts,
        )  # fmt: skip
        logs = st.builds(
            LogRecord, scope, said.uint64s, said.uint64s, said.values.map(plain), attributes,
            said.names | st.sampled_from(["order", "fill"]), st.integers(0, 24), said.words,
            st.just(7), st.just(0) | span_ids, flags, counts,
        )  # fmt: skip
        return st.tuples(st.lists(spans, max_size=4), st.lists(logs, max_size=4))

    return origins(said).flatmap(records).filter(any)


def names_of_ours(said: ModuleType) -> Any:
    """Attributes that a document has members for, of any type."""
    known = ["decision.what", "decision.inputs", "decision.confidence", "decision.outcome", "gate.name", "gate.verdict",
             "gate.observed", "gate.duration_ms", "trace.name", "trace.evidence", "stage.name", "order.id",
             "order.price", "otel_obs.seq", "otel_obs.tier", "event.name"]  # fmt: skip
    maps = st.sampled_from(['{"a": NaN}', '{"a": 1e999}', "[1]", "{}", "{", '"a"', "[" * 2000 + "]" * 2000, "9" * 5000])
    return st.dictionaries(st.sampled_from(known), said.values | maps, max_size=8)


@often
@given(data=st.data())
def test_whatever_is_recorded_comes_back_from_a_document_as_the_same_bytes(
    said: ModuleType, data: st.DataObject
) -> None:
    spans, logs = data.draw(told(said))
    written = text(document(Gathered(trace_id=7, spans=spans, logs=logs)))
    SCHEMA.validate(json.loads(written))
    for form in (written, one_line(written)):
        back = read(form)
        assert encode_spans(back.spans) == encode_spans(spans)
        assert encode_logs(back.logs) == encode_logs(logs)
    assert one_line(written).count(b"\n") == 1


SCOPE = ScopeRecord(ResourceRecord({"service.name": "bot", "service.instance.id": "one"}), "otel_obs")
START = 1_766_145_600_123_456_789


def gate(verdict: str, **more: Any) -> EventRecord:
    """A gate's event."""
    return EventRecord("gate.evaluated", START + 5, {"gate.name": "spread", "gate.verdict": verdict, **more})


def test_a_person_finds_the_decision_its_gates_and_why_in_front() -> None:
    decision = SpanRecord(
        SCOPE, 7, 3, 2, "decision", START + 1_000, START + 1_500_000,
        {"decision.what": "enter", "decision.why": "momentum", "decision.confidence": 0.7, "otel_obs.seq": 12,
         "decision.inputs": '{"spread": 16.7, "held": NaN}', "decision.outcome": "vetoed"},
        [gate("deny", **{"gate.observed": 16.7, "gate.threshold": [1, 5], "gate.comparison": "between"})],
    )  # fmt: skip
    root = SpanRecord(
        SCOPE, 7, 2, 0, "cycle", START, START + 2_000_000, {"trace.name": "cycle", "trace.intent": "trade"}
    )
    fill = LogRecord(
        SCOPE, START, START, None, {"fill.id": "f", "fill.price": "43210.5", "order.id": "o"}, "fill", trace_id=7
    )
    found = json.loads(text(document(Gathered(trace_id=7, spans=[decision, root], logs=[fill], root=root))))
    assert (found["schema_version"], found["complete"], found["name"]) == ("1", True, "cycle")
    assert (found["service"], found["instance"]) == ("bot", "one")
    assert (found["started_at"], found["duration_ms"]) == ("2025-12-19T12:00:00.123456789Z", 2.0)
    [shown] = found["decisions"]
    assert shown["gates"] == [
        {"name": "spread", "verdict": "deny", "observed": 16.7, "comparison": "between", "threshold": [1, 5]}
    ]
    assert shown | {"gates": []} == {
        "what": "enter", "why": "momentum", "outcome": "vetoed", "veto_reason_primary": "spread",
        "veto_reason_secondary": [], "veto_overridden": False, "confidence": 0.7,
        "inputs": {"spread": 16.7, "held": "NaN"}, "gates": [], "span_id": "0000000000000003",
        "parent_id": "0000000000000002", "started_at": "2025-12-19T12:00:00.123457789Z", "duration_ms": 1.499,
        "duration_ns": 1_499_000, "failed": False, "more": {"otel_obs.seq": 12},
    }  # fmt: skip
    assert found["fills"] == [{"id": "f", "price": "43210.5", "order_id": "o", "at": "2025-12-19T12:00:00.123456789Z"}]


def test_a_text_of_a_bot_cannot_move_the_cursor_of_who_reads_the_file() -> None:
    sneaky = "\x1b[2J \x9b31m \u202egnp.exe \ud800 ü"
    span = SpanRecord(SCOPE, 7, 3, 0, sneaky, START, START, {"decision.what": sneaky, sneaky: sneaky})
    written = text(document(Gathered(trace_id=7, spans=[span])))
    assert not set(written.decode()) & {"\x1b", "\x9b", "\u202e"}
    assert encode_spans(read(written).spans) == encode_spans([span])


def test_a_record_that_its_fields_cannot_hold_is_written_as_it_is_sent() -> None:
    odd = SpanRecord(
        SCOPE, 7, 3, 0, "odd", -5, 2**64, {"a": {1}, "b": 2**70, "c": (1, 2)}, [EventRecord("e", -1)],
        dropped_attributes=-1,
    )  # fmt: skip
    back = read(text(document(Gathered(trace_id=7, spans=[odd, odd._replace(start_ns=1)]))))
    assert encode_spans(back.spans) == encode_spans([odd, odd._replace(start_ns=1)])


@pytest.mark.parametrize(
    ("change", "where", "what"),
    [
        (lambda text: text[:200], "line", "no JSON"),
        (lambda text: "[]", "", "no trace document"),
        (lambda text: text.replace('"schema_version": "1"', '"schema_version": "7"'), "/schema_version", "'7'"),
        (lambda text: text.replace('"spanId":"0000000000000003"', '"spanId":"3"'),
         "/otlp/resourceSpans/0/scopeSpans/0/spans/0/spanId", "16 hexadecimal digits"),
        (lambda text: text.replace('"intValue":"12"', '"intValue":"twelve"'),
         "/otlp/resourceSpans/0/scopeSpans/0/spans/0/attributes/0/value/intValue", "64 bits"),
        (lambda text: text.replace('"intValue"', '"integer"'),
         "/otlp/resourceSpans/0/scopeSpans/0/spans/0/attributes/0/value", "integer"),
    ],
)  # fmt: skip
def test_a_damaged_document_is_refused_with_the_place_and_the_fix(change: Any, where: str, what: str) -> None:
    span = SpanRecord(SCOPE, 7, 3, 0, "a", START, START, {"n": 12})
    with pytest.raises(DocumentError) as refused:
        read(change(text(document(Gathered(trace_id=7, spans=[span]))).decode()))
    assert refused.value.where.startswith(where)
    assert what in refused.value.what
    assert refused.value.fix
