"""The records in a body, decoded by OpenTelemetry's own protobuf classes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_obs.sdk.frames import Signal


def decoded(signal: Signal, body: bytes) -> list[dict[str, Any]]:
    """Each record: when, its kind, its name, its attributes. One entry that says so where the body is no OTLP."""
    from google.protobuf.message import DecodeError

    try:
        return _spans(body) if signal == "traces" else _logs(body)
    except DecodeError as error:
        return [{"at": "", "kind": "unreadable", "name": str(error), "attributes": {}}]


def _spans(body: bytes) -> list[dict[str, Any]]:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    return [
        {
            "at": _time(span.start_time_unix_nano),
            "kind": "span",
            "name": span.name,
            "trace_id": span.trace_id.hex(),
            "span_id": span.span_id.hex(),
            "attributes": _attributes(span.attributes),
            "events": [{"name": event.name, "attributes": _attributes(event.attributes)} for event in span.events],
        }
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]


def _logs(body: bytes) -> list[dict[str, Any]]:
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    return [
        {
            "at": _time(record.time_unix_nano or record.observed_time_unix_nano),
            "kind": "log",
            "name": record.event_name,
            "body": _value(record.body),
            "attributes": _attributes(record.attributes),
        }
        for of_resource in ExportLogsServiceRequest.FromString(body).resource_logs
        for of_scope in of_resource.scope_logs
        for record in of_scope.log_records
    ]


def _attributes(found: Iterable[Any]) -> dict[str, Any]:
    return {one.key: _value(one.value) for one in found}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    found = getattr(value, kind)
    if kind == "array_value":
        return [_value(one) for one in found.values]
    if kind == "kvlist_value":
        return _attributes(found.values)
    return found.hex() if kind == "bytes_value" else found


def _time(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns / 1e9, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
