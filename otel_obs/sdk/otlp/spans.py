"""Spans as an ExportTraceServiceRequest of OTLP."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from otel_obs.sdk.otlp.attributes import Attributes
from otel_obs.sdk.otlp.envelope import enveloped, readable
from otel_obs.sdk.otlp.records import EventRecord, LinkRecord, SpanRecord
from otel_obs.sdk.otlp.turns import hold_on
from otel_obs.sdk.otlp.wire import MASK_32, MASK_64, MASK_128, Remembered, field, uint32, utf8, within

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_MOST_NAMES: Final = 512
_LONGEST_NAME: Final = 256
_of_span: Final = Attributes(b"\x4a")
_of_event: Final = Attributes(b"\x1a")
_of_link: Final = Attributes(b"\x22")
_ids: Final = Struct(">2sQQ2sQ").pack
_parent: Final = Struct(">2sQ").pack
_times: Final = Struct("<cQcQ").pack
_time: Final = Struct("<cQ").pack
_span_flags: Final = Struct("<2sI").pack
_link_flags: Final = Struct("<cI").pack


def encode_spans(records: Iterable[SpanRecord], *, pause: Callable[[], None] = hold_on) -> bytes:
    """The body of a request with these spans, grouped by resource and scope.

    ``pause`` is called every few spans: ``GiveWay()`` keeps a bot's thread from waiting while a background thread
    encodes. Nothing is raised for what a record holds; ``wire.altered`` counts what could not be sent as it was.
    """
    return enveloped(records, encode=_span, mend=mended, pause=pause)


class _Names(Remembered):
    """Names as fields ``tag``."""

    __slots__ = ("_tag",)

    def __init__(self, tag: bytes) -> None:
        super().__init__(_MOST_NAMES)
        self._tag = tag

    def __missing__(self, name: Any) -> bytes:
        made = field(self._tag, utf8(name))
        if type(name) is str and len(name) <= _LONGEST_NAME:
            self.keep(name, made)
        return made


_span_names: Final = _Names(b"\x2a")
_event_names: Final = _Names(b"\x12")


def _span(record: SpanRecord) -> bytes:
    (
        _, trace_id, span_id, parent_id, name, start, end, attributes, events, links, kind, code, description,
        trace_state, flags, dropped_attributes, dropped_events, dropped_links,
    ) = record  # fmt: skip
    parts = [_ids(b"\x0a\x10", trace_id >> 64, trace_id & MASK_64, b"\x12\x08", span_id)]
    append = parts.append
    if trace_state:
        append(field(b"\x1a", utf8(trace_state)))
    if parent_id:
        append(_parent(b"\x22\x08", parent_id))
    append(_span_names[name])
    if kind:
        append(b"\x30" + uint32(kind))
    append(_times(b"\x39", start, b"\x41", end))
    _of_span.put(attributes, append)
    if dropped_attributes:
        append(b"\x50" + uint32(dropped_attributes))
    if events:
        _put_events(events, append)
    if dropped_events:
        append(b"\x60" + uint32(dropped_events))
    if links:
        _put_links(links, append)
    if dropped_links:
        append(b"\x70" + uint32(dropped_links))
    append(_status(code, description) if code or description else b"\x7a\x00")
    if flags:
        append(_span_flags(b"\x85\x01", flags))
    return b"".join(parts)


def _put_events(events: Sequence[EventRecord], append: Callable[[bytes], object]) -> None:
    for name, time_ns, attributes, dropped in events:
        parts = [_time(b"\x09", time_ns), _event_names[name]]
        _of_event.put(attributes, parts.append)
        if dropped:
            parts.append(b"\x20" + uint32(dropped))
        append(field(b"\x5a", b"".join(parts)))


def _put_links(links: Sequence[LinkRecord], append: Callable[[bytes], object]) -> None:
    for trace_id, span_id, trace_state, attributes, dropped, flags in links:
        parts = [_ids(b"\x0a\x10", trace_id >> 64, trace_id & MASK_64, b"\x12\x08", span_id)]
        if trace_state:
            parts.append(field(b"\x1a", utf8(trace_state)))
        _of_link.put(attributes, parts.append)
        if dropped:
            parts.append(b"\x28" + uint32(dropped))
        if flags:
            parts.append(_link_flags(b"\x35", flags))
        append(field(b"\x6a", b"".join(parts)))


def _status(code: int, description: str) -> bytes:
    said = field(b"\x12", utf8(description)) if description else b""
    return field(b"\x7a", said + b"\x18" + uint32(code) if code else said)


def mended(record: SpanRecord) -> SpanRecord:
    """The record with every field within its range."""
    return record._replace(
        trace_id=within(record.trace_id, MASK_128),
        span_id=within(record.span_id, MASK_64),
        parent_id=within(record.parent_id, MASK_64),
        name=utf8(record.name).decode(),
        start_ns=within(record.start_ns, MASK_64),
        end_ns=within(record.end_ns, MASK_64),
        attributes=readable(record.attributes),
        events=[
            EventRecord(utf8(name).decode(), within(time_ns, MASK_64), readable(attributes), within(dropped, MASK_32))
            for name, time_ns, attributes, dropped in record.events or ()
        ],
        links=[
            LinkRecord(
                within(one.trace_id, MASK_128), within(one.span_id, MASK_64), one.trace_state,
                readable(one.attributes), within(one.dropped_attributes, MASK_32), within(one.flags, MASK_32),
            )
            for one in record.links or ()
        ],
        kind=within(record.kind, MASK_32 >> 1),
        status_code=within(record.status_code, MASK_32 >> 1),
        flags=within(record.flags, MASK_32),
        dropped_attributes=within(record.dropped_attributes, MASK_32),
        dropped_events=within(record.dropped_events, MASK_32),
        dropped_links=within(record.dropped_links, MASK_32),
    )  # fmt: skip
