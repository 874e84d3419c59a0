"""OTLP bodies that the engine cannot read by itself, rewritten: JSON, deep values, broken records."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from otel_obs.errors import StoreError
from otel_obs.store.embedded.otlp_insert import Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

_DEEPEST: Final = 64


class MalformedError(StoreError):
    """A body is not OTLP."""


@dataclass(frozen=True, kw_only=True)
class Rewritten:
    """A protobuf body that the engine can read, and what had to be left out of it."""

    body: bytes
    rejected: int = 0
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """Where the records of one signal lie, by their names in protobuf and in JSON."""

    request: type[Message]
    resources: str
    resource: type[Message]
    scopes: str
    scope: type[Message]
    records: str
    record: type[Message]
    ids: tuple[str, ...]

    def json_name(self, name: str) -> str:
        head, *rest = name.split("_")
        return head + "".join(word.capitalize() for word in rest)


_SHAPES: Final = {
    Signal.TRACES: _Shape(
        request=ExportTraceServiceRequest, resources="resource_spans", resource=ResourceSpans, scopes="scope_spans",
        scope=ScopeSpans, records="spans", record=Span, ids=("traceId", "spanId", "parentSpanId"),
    ),
    Signal.LOGS: _Shape(
        request=ExportLogsServiceRequest, resources="resource_logs", resource=ResourceLogs, scopes="scope_logs",
        scope=ScopeLogs, records="log_records", record=LogRecord, ids=("traceId", "spanId"),
    ),
}  # fmt: skip


class _Refusals:
    """Records that could not be read, and why the first could not."""

    def __init__(self) -> None:
        self.count = 0
        self.reason = ""

    def add(self, error: Exception) -> None:
        self.count += 1
        self.reason = self.reason or str(error).splitlines()[0][:200]


# JSON ----------------------------------------------------------------------------------------------------------------


def from_json(signal: Signal, body: bytes) -> Rewritten:
    """Turn an OTLP/JSON body into protobuf; a record that cannot be read is left out and counted.

    Raises:
        MalformedError: the body is no JSON, or not of OTLP's shape.

    """
    shape = _SHAPES[signal]
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"The body is no JSON: {error}.") from error
    request: Any = shape.request()
    refused = _Refusals()
    try:
        for resource in _items(given, shape.json_name(shape.resources)):
            into = getattr(request, shape.resources).add()
            scopes = _items(resource, shape.json_name(shape.scopes))
            _read(resource, into, without=shape.json_name(shape.scopes))
            for scope in scopes:
                scope_into = getattr(into, shape.scopes).add()
                records = _items(scope, shape.json_name(shape.records))
                _read(scope, scope_into, without=shape.json_name(shape.records))
                for record in records:
                    _read_record(record, getattr(scope_into, shape.records), shape, refused)
    except (json_format.ParseError, TypeError, AttributeError, RecursionError) as error:
        raise MalformedError(f"The body is not of OTLP's shape: {error}.") from error
    for pairs in _all_pairs(request, shape):
        _flatten(pairs)
    return Rewritten(body=request.SerializeToString(), rejected=refused.count, reason=refused.reason)


def _items(holder: Any, name: str) -> list[Any]:
    if not isinstance(holder, dict):
        raise TypeError(f"an object with {name} was expected")
    found = holder.get(name) or []
    if not isinstance(found, list):
        raise TypeError(f"{name} is no list")
    return found


def _read(given: dict[str, Any], into: Message, *, without: str) -> None:
    rest = {key: value for key, value in given.items() if key != without}
    json_format.ParseDict(rest, into, ignore_unknown_fields=True)


def _read_record(given: Any, into: Any, shape: _Shape, refused: _Refusals) -> None:
    try:
        record = shape.record()
        if not isinstance(given, dict):
            raise TypeError("a record is no object")  # noqa: TRY301 - all that is wrong with a record is told alike
        converted = _with_base64_ids(given, shape.ids)
        if converted.get("links"):
            converted["links"] = [_with_base64_ids(link, shape.ids) for link in converted["links"]]
        json_format.ParseDict(converted, record, ignore_unknown_fields=True)
        into.append(record)
    except (json_format.ParseError, ValueError, TypeError, AttributeError, RecursionError) as error:
        refused.add(error)


def _with_base64_ids(given: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """OTLP's JSON writes ids in hexadecimal, where protobuf's JSON means base64."""
    converted = dict(given)
    for name in names:
        if converted.get(name):
            converted[name] = base64.b64encode(bytes.fromhex(converted[name])).decode()
    return converted


# Protobuf ------------------------------------------------------------------------------------------------------------


def repaired(signal: Signal, body: bytes) -> Rewritten:
    """Rewrite a protobuf body that the engine refused: flatten deep values, leave out records that cannot be read.

    Raises:
        MalformedError: the body is not OTLP, not even around its records.

    """
    shape = _SHAPES[signal]
    request: Any = shape.request()
    refused = _Refusals()
    try:
        request.ParseFromString(body)
    except DecodeError:
        request = _readable_part(body, shape, refused)
    request.DiscardUnknownFields()  # the engine steps over most of them, but not over every one
    for pairs in _all_pairs(request, shape):
        _flatten(pairs)
    return Rewritten(body=request.SerializeToString(), rejected=refused.count, reason=refused.reason)


def _readable_part(body: bytes, shape: _Shape, refused: _Refusals) -> Any:
    """Read record by record: on the wire a record is a length and bytes, so a broken one can be stepped over."""
    request: Any = shape.request()
    numbers = {
        name: field.number
        for holder, name in (
            (shape.request, shape.resources),
            (shape.resource, shape.scopes),
            (shape.scope, shape.records),
        )
        for field in [holder.DESCRIPTOR.fields_by_name[name]]
    }
    try:
        for resource in _split(body, numbers[shape.resources])[0]:
            scopes, around = _split(resource, numbers[shape.scopes])
            into = getattr(request, shape.resources).add()
            into.MergeFromString(around)
            for scope in scopes:
                records, around = _split(scope, numbers[shape.records])
                scope_into = getattr(into, shape.scopes).add()
                scope_into.MergeFromString(around)
                for record in records:
                    try:
                        getattr(scope_into, shape.records).append(shape.record.FromString(record))
                    except DecodeError as error:
                        refused.add(error)
    except (DecodeError, ValueError, IndexError) as error:
        raise MalformedError(f"The body is no OTLP protobuf: {error}.") from error
    return request


def _split(message: bytes, number: int) -> tuple[list[bytes], bytes]:
    """Return the length-delimited fields ``number`` of a protobuf message, and the message without them."""
    found, rest, at = [], bytearray(), 0
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
        if key == number << 3 | 2:
            found.append(message[at : at + length])
        else:
            rest += message[start : at + length]
        at += length
    return found, bytes(rest)


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the continuation bit
            return value, at
        shift += 7


# Values --------------------------------------------------------------------------------------------------------------


def _all_pairs(request: Any, shape: _Shape) -> Iterable[Any]:
    """Every list of attributes in a request, and each log record's body as a list of one."""
    for resource in getattr(request, shape.resources):
        yield resource.resource.attributes
        for scope in getattr(resource, shape.scopes):
            yield scope.scope.attributes
            for record in getattr(scope, shape.records):
                yield record.attributes
                yield from (event.attributes for event in getattr(record, "events", ()))
                yield from (link.attributes for link in getattr(record, "links", ()))
                if shape.record is LogRecord:
                    yield [record.body]


def _flatten(pairs: Iterable[KeyValue | AnyValue]) -> None:
    """Write values that are deeper than the engine reads as JSON text, and leave all others to the engine.

    A value must read the same whether its neighbours made the engine refuse their body or not.
    """
    for pair in pairs:
        value: Any = getattr(pair, "value", pair)
        inner = [*value.array_value.values, *(item.value for item in value.kvlist_value.values)]
        if any(item.array_value.values or item.kvlist_value.values for item in inner):
            value.string_value = json.dumps(_plain(value, 0), ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any, depth: int) -> Any:
    readers: dict[str | None, Callable[[], Any]] = {
        None: lambda: None,
        "array_value": lambda: [_plain(item, depth + 1) for item in value.array_value.values],
        "kvlist_value": lambda: {item.key: _plain(item.value, depth + 1) for item in value.kvlist_value.values},
        "bytes_value": lambda: base64.b64encode(value.bytes_value).decode(),
        "double_value": lambda: value.double_value if math.isfinite(value.double_value) else str(value.double_value),
    }
    kind = value.WhichOneof("value")
    if depth > _DEEPEST:
        return "…"
    return readers[kind]() if kind in readers else getattr(value, kind)
