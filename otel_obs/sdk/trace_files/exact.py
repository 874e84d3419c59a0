"""Records as OTLP's own JSON and back, without losing a type: a collector takes this part of a document as it is."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, TypeVar

from otel_obs.sdk.otlp.attributes import Attributes
from otel_obs.sdk.otlp.logs import mended as mended_log
from otel_obs.sdk.otlp.spans import mended as mended_span
from otel_obs.sdk.otlp.turns import hold_on
from otel_obs.sdk.otlp.wire import MASK_64, words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otel_obs.sdk.otlp.records import EventRecord, LinkRecord, LogRecord, ResourceRecord, ScopeRecord, SpanRecord

    R = TypeVar("R", SpanRecord, LogRecord)

Json = dict[str, Any]
_INT64: Final = 1 << 63
_DEEPEST: Final = 24  # as in the encoding
_NOT_FINITE: Final = {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}
_identical: Final = Attributes(b"\x0a")
_fits_span: Final = Struct(">6Q6I").pack
_fits_log: Final = Struct(">5Q3I").pack
_fits_event: Final = Struct(">QI").pack
_fits_link: Final = Struct(">3Q2I").pack


def resource_spans(records: Iterable[SpanRecord], *, pause: Callable[[], None] = hold_on) -> list[Json]:
    """Spans as ``resourceSpans``, grouped and ordered as ``encode_spans`` does it."""
    return _grouped(records, _span, mended_span, named=("scopeSpans", "spans"), pause=pause)


def resource_logs(records: Iterable[LogRecord], *, pause: Callable[[], None] = hold_on) -> list[Json]:
    """Log records as ``resourceLogs``, grouped and ordered as ``encode_logs`` does it."""
    return _grouped(records, _log, mended_log, named=("scopeLogs", "logRecords"), pause=pause)


def number(value: float) -> Any:
    """A float as JSON has it: what is not finite, by its name."""
    return value if math.isfinite(value) else _NOT_FINITE[repr(value)]


# ---- who speaks


def _grouped(
    records: Iterable[R], written: Callable[[R], Json], mend: Callable[[R], R], *,
    named: tuple[str, str], pause: Callable[[], None],
) -> list[Json]:  # fmt: skip
    scopes_named, records_named = named
    found: dict[int, tuple[ScopeRecord, list[Json]]] = {}
    for record in records:
        pause()
        try:
            entry = written(record)
        except Exception:  # noqa: BLE001 - whatever is odd about one record must not cost the others
            entry = written(mend(record))
        found.setdefault(id(record.scope), (record.scope, []))[1].append(entry)
    resources: dict[Any, Json] = {}
    scopes: dict[Any, Json] = {}
    for scope, entries in found.values():
        whose = _identity(scope.resource)
        resource = resources.setdefault(whose, _resource(scope.resource) | {scopes_named: []})
        key = (whose, scope.name, scope.version, _identity(scope))
        if key not in scopes:
            scopes[key] = _scope(scope) | {records_named: []}
            resource[scopes_named].append(scopes[key])
        scopes[key][records_named] += entries
    return list(resources.values())


def _identity(of: ResourceRecord | ScopeRecord) -> tuple[object, ...]:
    return of.schema_url, frozenset(_identical.one_by_one(of.attributes))


def _resource(resource: ResourceRecord) -> Json:
    entry: Json = {"resource": {"attributes": _pairs(resource.attributes)}}
    return entry | ({"schemaUrl": resource.schema_url} if resource.schema_url else {})


def _scope(scope: ScopeRecord) -> Json:
    said: Json = {"name": scope.name}
    if scope.version:
        said["version"] = scope.version
    if scope.attributes:
        said["attributes"] = _pairs(scope.attributes)
    return {"scope": said} | ({"schemaUrl": scope.schema_url} if scope.schema_url else {})


# ---- records


def _span(record: SpanRecord) -> Json:
    _fits_span(
        record.trace_id >> 64, record.trace_id & MASK_64, record.span_id, record.parent_id, record.start_ns,
        record.end_ns, record.kind, record.status_code, record.flags, record.dropped_attributes,
        record.dropped_events, record.dropped_links,
    )  # fmt: skip
    entry: Json = {"traceId": format(record.trace_id, "032x"), "spanId": format(record.span_id, "016x")}
    if record.parent_id:
        entry["parentSpanId"] = format(record.parent_id, "016x")
    if record.trace_state:
        entry["traceState"] = record.trace_state
    entry["name"] = record.name
    entry["kind"] = record.kind
    entry["startTimeUnixNano"] = str(record.start_ns)
    entry["endTimeUnixNano"] = str(record.end_ns)
    entry["attributes"] = _pairs(record.attributes)
    if record.dropped_attributes:
        entry["droppedAttributesCount"] = record.dropped_attributes
    if record.events:
        entry["events"] = [_event(one) for one in record.events]
    if record.dropped_events:
        entry["droppedEventsCount"] = record.dropped_events
    if record.links:
        entry["links"] = [_link(one) for one in record.links]
    if record.dropped_links:
        entry["droppedLinksCount"] = record.dropped_links
    if record.status_code or record.status_description:
        entry["status"] = {"code": record.status_code, "message": record.status_description}
    entry["flags"] = record.flags
    return entry


def _event(event: EventRecord) -> Json:
    _fits_event(event.time_ns, event.dropped_attributes)
    entry: Json = {"timeUnixNano": str(event.time_ns), "name": event.name, "attributes": _pairs(event.attributes)}
    return entry | ({"droppedAttributesCount": event.dropped_attributes} if event.dropped_attributes else {})


def _link(link: LinkRecord) -> Json:
    _fits_link(link.trace_id >> 64, link.trace_id & MASK_64, link.span_id, link.dropped_attributes, link.flags)
    entry: Json = {"traceId": format(link.trace_id, "032x"), "spanId": format(link.span_id, "016x")}
    if link.trace_state:
        entry["traceState"] = link.trace_state
    if link.attributes:
        entry["attributes"] = _pairs(link.attributes)
    if link.dropped_attributes:
        entry["droppedAttributesCount"] = link.dropped_attributes
    entry["flags"] = link.flags
    return entry


def _log(record: LogRecord) -> Json:
    _fits_log(
        record.time_ns, record.observed_ns, record.trace_id >> 64, record.trace_id & MASK_64, record.span_id,
        record.severity_number, record.flags, record.dropped_attributes,
    )  # fmt: skip
    entry: Json = {"timeUnixNano": str(record.time_ns), "observedTimeUnixNano": str(record.observed_ns)}
    if record.event_name:
        entry["eventName"] = record.event_name
    if record.severity_number:
        entry["severityNumber"] = record.severity_number
    if record.severity_text:
        entry["severityText"] = record.severity_text
    if record.body is not None:
        entry["body"] = any_value(record.body)
    entry["attributes"] = _pairs(record.attributes)
    if record.dropped_attributes:
        entry["droppedAttributesCount"] = record.dropped_attributes
    if record.trace_id:
        entry["traceId"] = format(record.trace_id, "032x")
    if record.span_id:
        entry["spanId"] = format(record.span_id, "016x")
    if record.flags:
        entry["flags"] = record.flags
    return entry


# ---- values


def _pairs(attributes: Mapping[str, Any]) -> list[Json]:
    return [
        {
            "key": name if type(name) is str else words(name),
            "value": {"stringValue": value} if type(value) is str else any_value(value),
        }
        for name, value in attributes.items()
    ]


def any_value(value: Any, *, inside: tuple[int, ...] = ()) -> Json:
    """OTLP's AnyValue; what OTLP has no kind for becomes its text, as on the wire."""
    try:
        return _any_value(value, inside)
    except Exception:  # noqa: BLE001 - iterating over a bot's object may raise anything
        return {"stringValue": words(value)}


def _any_value(value: Any, inside: tuple[int, ...]) -> Json:  # noqa: PLR0911 - one return for each kind
    match value:
        case None:
            return {}
        case str():
            return {"stringValue": value}
        case bool():
            return {"boolValue": bool(value)}
        case int() if -_INT64 <= value < _INT64:
            return {"intValue": str(int(value))}
        case float():
            return {"doubleValue": number(float(value))}
        case bytes():
            return {"bytesValue": base64.b64encode(value).decode()}
        case Sequence() | Mapping() if id(value) not in inside and len(inside) < _DEEPEST:
            inner = (*inside, id(value))
            if isinstance(value, Sequence):
                return {"arrayValue": {"values": [any_value(one, inside=inner) for one in value]}}
            entries = [
                {"key": name if isinstance(name, str) else words(name), "value": any_value(one, inside=inner)}
                for name, one in value.items()
            ]
            return {"kvlistValue": {"values": entries}}
        case _:
            return {"stringValue": words(value)}
