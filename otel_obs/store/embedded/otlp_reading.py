"""OTLP bodies read record by record, in both encodings: one that cannot be read is left out and counted."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, ResourceMetrics, ScopeMetrics
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from otel_obs.errors import StoreError
from otel_obs.store.embedded.otlp_insert import Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_IDS: Final = ("traceId", "spanId", "parentSpanId")
_UNREADABLE: Final = (json_format.ParseError, DecodeError, ValueError, TypeError, AttributeError, RecursionError)


class MalformedError(StoreError):
    """A body is not OTLP."""


class TooLargeError(StoreError):
    """A body holds more than is allowed."""


@dataclass(frozen=True, kw_only=True)
class Read:
    """A request of OTLP, and what had to be left out of it."""

    request: Any
    rejected: int = 0
    reason: str = ""


class _Refusals:
    """Records that could not be read, and why the first could not."""

    def __init__(self) -> None:
        self.count = 0
        self.reason = ""

    def add(self, error: Exception) -> None:
        self.count += 1
        self.reason = self.reason or str(error).splitlines()[0][:200]

    def so_far(self, request: Any) -> Read:
        return Read(request=request, rejected=self.count, reason=self.reason)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Where the records of one signal lie, by their names in protobuf."""

    request: type[Message]
    resources: str
    resource: type[Message]
    scopes: str
    scope: type[Message]
    records: str
    record: type[Message]


SHAPES: Final = {
    Signal.TRACES: Shape(
        request=ExportTraceServiceRequest, resources="resource_spans", resource=ResourceSpans,
        scopes="scope_spans", scope=ScopeSpans, records="spans", record=Span,
    ),
    Signal.LOGS: Shape(
        request=ExportLogsServiceRequest, resources="resource_logs", resource=ResourceLogs,
        scopes="scope_logs", scope=ScopeLogs, records="log_records", record=LogRecord,
    ),
    Signal.METRICS: Shape(
        request=ExportMetricsServiceRequest, resources="resource_metrics", resource=ResourceMetrics,
        scopes="scope_metrics", scope=ScopeMetrics, records="metrics", record=Metric,
    ),
}  # fmt: skip

# The points of a metric lie one level deeper than spans and log records, in a oneof; they are what is counted.
METRIC_KINDS: Final = ("gauge", "sum", "histogram", "exponential_histogram", "summary")
_POINTS: Final = "data_points"


def _number_of(holder: type[Message], name: str) -> int:
    return holder.DESCRIPTOR.fields_by_name[name].number


def _json_name(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


# JSON ----------------------------------------------------------------------------------------------------------------


def read_json(signal: Signal, body: bytes) -> Read:
    """Read an OTLP/JSON body.

    Raises:
        MalformedError: the body is no JSON, or not of OTLP's shape around its records.

    """
    shape = SHAPES[signal]
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"The body is no JSON: {error}.") from error
    request: Any = shape.request()
    refused = _Refusals()
    read = _metric_from_json if signal is Signal.METRICS else partial(_record_from_json, shape.record)
    try:
        for resource in _items(given, shape.resources):
            into = getattr(request, shape.resources).add()
            scopes = _items(resource, shape.scopes)
            _read_around(resource, into, without=shape.scopes)
            for scope in scopes:
                scope_into = getattr(into, shape.scopes).add()
                records = _items(scope, shape.records)
                _read_around(scope, scope_into, without=shape.records)
                for record in records:
                    try:
                        getattr(scope_into, shape.records).append(read(record, refused))
                    except _UNREADABLE as error:
                        refused.add(error)
    except (json_format.ParseError, TypeError, AttributeError, RecursionError) as error:
        raise MalformedError(f"The body is not of OTLP's shape: {error}.") from error
    return refused.so_far(request)


def _items(holder: Any, name: str) -> list[Any]:
    name = _json_name(name)
    if not isinstance(holder, dict):
        raise TypeError(f"an object with {name} was expected")
    found = holder.get(name) or []
    if not isinstance(found, list):
        raise TypeError(f"{name} is no list")
    return found


def _read_around(given: dict[str, Any], into: Message, *, without: str) -> None:
    rest = {key: value for key, value in given.items() if key != _json_name(without)}
    json_format.ParseDict(rest, into, ignore_unknown_fields=True)


def _record_from_json(record: type[Message], given: Any, _refused: _Refusals) -> Any:
    if not isinstance(given, dict):
        raise TypeError("a record is no object")
    return json_format.ParseDict(_with_base64_ids(given), record(), ignore_unknown_fields=True)


def _metric_from_json(given: Any, refused: _Refusals) -> Any:
    metric: Any = Metric()
    if not isinstance(given, dict):
        raise TypeError("a metric is no object")
    kind = next((kind for kind in METRIC_KINDS if given.get(_json_name(kind)) is not None), None)
    if kind is None:
        return metric
    points = _items(given[_json_name(kind)], _POINTS)
    around = {key: value for key, value in given.items() if key != _json_name(kind)}
    json_format.ParseDict(around, metric, ignore_unknown_fields=True)
    into = getattr(metric, kind)
    _read_around(given[_json_name(kind)], into, without=_POINTS)
    kind_of_point = type(type(into)().data_points.add())
    for point in points:
        try:
            into.data_points.append(_record_from_json(kind_of_point, point, refused))
        except _UNREADABLE as error:
            refused.add(error)
    return metric


def _with_base64_ids(given: dict[str, Any]) -> dict[str, Any]:
    """OTLP's JSON writes ids in hexadecimal, where protobuf's JSON means base64."""
    converted = dict(given)
    for name in _IDS:
        if converted.get(name):
            converted[name] = base64.b64encode(bytes.fromhex(converted[name])).decode()
    for name in ("links", "exemplars"):
        if converted.get(name):
            converted[name] = [_with_base64_ids(inner) for inner in converted[name]]
    return converted


# Protobuf ------------------------------------------------------------------------------------------------------------


def read_protobuf(signal: Signal, body: bytes) -> Read:
    """Read a protobuf body, whole or, where that fails, record by record.

    Raises:
        MalformedError: the body is not OTLP, not even around its records.

    """
    shape = SHAPES[signal]
    request: Any = shape.request()
    try:
        request.ParseFromString(body)
    except DecodeError:
        return _readable_part(signal, body)
    return Read(request=request)


def _readable_part(signal: Signal, body: bytes) -> Read:
    """On the wire a record is a length and bytes, so a broken one can be stepped over."""
    shape = SHAPES[signal]
    request: Any = shape.request()
    refused = _Refusals()
    read: Callable[[bytes, _Refusals], Any] = (
        _metric_from_wire if signal is Signal.METRICS else lambda record, _refused: shape.record.FromString(record)
    )
    try:
        for resource in _split(body, _number_of(shape.request, shape.resources))[0]:
            scopes, around = _split(resource, _number_of(shape.resource, shape.scopes))
            into = getattr(request, shape.resources).add()
            into.MergeFromString(around)
            for scope in scopes:
                records, around = _split(scope, _number_of(shape.scope, shape.records))
                scope_into = getattr(into, shape.scopes).add()
                scope_into.MergeFromString(around)
                for record in records:
                    try:
                        getattr(scope_into, shape.records).append(read(record, refused))
                    except (DecodeError, ValueError, IndexError) as error:
                        refused.add(error)
    except (DecodeError, ValueError, IndexError) as error:
        raise MalformedError(f"The body is no OTLP protobuf: {error}.") from error
    return refused.so_far(request)


def _metric_from_wire(record: bytes, refused: _Refusals) -> Any:
    metric: Any = Metric()
    for kind in METRIC_KINDS:
        found, record = _split(record, _number_of(Metric, kind))
        for data in found:
            into = getattr(metric, kind)
            points, around = _split(data, _number_of(type(into), _POINTS))
            into.MergeFromString(around)
            for point in points:
                try:
                    into.data_points.add().MergeFromString(point)
                except DecodeError as error:
                    del into.data_points[-1]
                    refused.add(error)
    metric.MergeFromString(record)
    return metric


def is_whole(message: bytes) -> bool:
    """Whether a protobuf message ends where a field of it ends, so that another can be appended to it."""
    try:
        for _ in _fields(message):
            pass
    except (ValueError, IndexError):
        return False
    return True


def _split(message: bytes, number: int) -> tuple[list[bytes], bytes]:
    """Return the length-delimited fields ``number`` of a protobuf message, and the message without them."""
    found, rest = [], bytearray()
    for key, start, content, end in _fields(message):
        if key == number << 3 | 2:
            found.append(message[content:end])
        else:
            rest += message[start:end]
    return found, bytes(rest)


def _fields(message: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Each field's key, and where it, its content and what comes after it start."""
    at = 0
    while at < len(message):
        start = at
        key, at = _varint(message, at)
        length = 0
        match key & 7:
            case 0:
                _, at = _varint(message, at)
            case 1:
                length = 8
            case 5:
                length = 4
            case 2:
                length, at = _varint(message, at)
            case kind:
                raise ValueError(f"there is no wire type {kind}")
        if at + length > len(message):
            raise ValueError("it ends in the middle of a record")
        yield key, start, at, at + length
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the continuation bit
            return value, at
        shift += 7
