"""OTLP bodies, and rows of the raw tables, as a foreign sender would make them: names of the wire written by hand."""

from __future__ import annotations

import base64
import itertools
import json
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format
from hypothesis import HealthCheck, Phase, given, settings
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from clickhouse_connect.driver.client import Client
    from hypothesis.strategies import SearchStrategy

SECOND = 1_000_000_000
NOON = 1_766_145_600 * SECOND  # 2025-12-19T12:00:00Z, a Friday
_ids = itertools.count(1)


def new_trace() -> bytes:
    return next(_ids).to_bytes(16, "big")


def new_span() -> bytes:
    return next(_ids).to_bytes(8, "big")


# ---- values


def value(given: Any) -> AnyValue:  # noqa: PLR0911 - one for each kind of value
    match given:
        case None:
            return AnyValue()
        case bool():
            return AnyValue(bool_value=given)
        case int():
            return AnyValue(int_value=given)
        case float():
            return AnyValue(double_value=given)
        case str():
            return AnyValue(string_value=given)
        case bytes():
            return AnyValue(bytes_value=given)
        case dict():
            return AnyValue(kvlist_value=KeyValueList(values=pairs(given)))
        case _:
            return AnyValue(array_value=ArrayValue(values=[value(item) for item in given]))


def pairs(given: Mapping[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=value(inner)) for key, inner in given.items()]


# ---- spans


def span(
    attributes: Mapping[str, Any],
    *,
    name: str = "span",
    at: int = NOON,
    took: int = 1_000,
    trace: bytes = b"",
    id: bytes = b"",  # noqa: A002 - the wire's word
    parent: bytes = b"",
    events: Sequence[Span.Event] = (),
    error: str | None = None,
    kind: int = 1,
) -> Span:
    return Span(
        trace_id=trace or new_trace(),
        span_id=id or new_span(),
        parent_span_id=parent,
        name=name,
        kind=kind,  # type: ignore[arg-type]
        start_time_unix_nano=at,
        end_time_unix_nano=at + took,
        attributes=pairs(attributes),
        events=events,
        status=Status() if error is None else Status(code=Status.STATUS_CODE_ERROR, message=error),
    )


def gate(name: str, verdict: str = "deny", **more: Any) -> Span.Event:
    """``more``: mode, observed, threshold, comparison, unit, reason, duration_ms."""
    named = {"gate.name": name, "gate.verdict": verdict, **{f"gate.{key}": found for key, found in more.items()}}
    return Span.Event(time_unix_nano=NOON, name="gate.evaluated", attributes=pairs(named))


def decision(
    what: str, *gates: Span.Event, outcome: str | None = None, more: Mapping[str, Any] | None = None, **given: Any
) -> Span:
    named = {"decision.what": what, **(more or {})} | ({} if outcome is None else {"decision.outcome": outcome})
    return span(named, name="decision", events=gates, **given)


def cycle(name: str = "cycle", *, intent: str = "trade", more: Mapping[str, Any] | None = None, **given: Any) -> Span:
    return span({"trace.name": name, "trace.intent": intent, **(more or {})}, name=name, **given)


def traces(*spans: Span, service: str = "bot", resource: Mapping[str, Any] | None = None) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    holder = request.resource_spans.add()
    holder.resource.attributes.extend(pairs({"service.name": service, **(resource or {})}))
    scope = holder.scope_spans.add()
    scope.scope.name, scope.scope.version = "otel_obs", "1"
    scope.spans.extend(spans)
    return request


# ---- log records


def fact(name: str, attributes: Mapping[str, Any], *, at: int = NOON, body: Any = None, **more: Any) -> LogRecord:
    record = LogRecord(
        time_unix_nano=at,
        observed_time_unix_nano=at,
        event_name=name,
        attributes=pairs({"event.name": name, **attributes}),
        **more,
    )
    if body is not None:
        record.body.CopyFrom(value(body))
    return record


def order(id: str, status: str = "submitted", *, at: int = NOON, **more: Any) -> LogRecord:  # noqa: A002 - the wire's word
    return fact("order", {"order.id": id, "order.status": status, **_dotted(more)}, at=at)


def fill(id: str, *, at: int = NOON, **more: Any) -> LogRecord:  # noqa: A002 - the wire's word
    return fact("fill", {"fill.id": id, **_dotted(more)}, at=at)


def statement(tier: str = "durable", *, at: int = NOON, **told: Any) -> LogRecord:
    """``told``: produced, numbered, delivered, journaled, unconfirmed, sampled, untaken, lost, ended, kill_switch."""
    return fact(
        "delivery", {"delivery.tier": tier, **{f"delivery.{name}": found for name, found in told.items()}}, at=at
    )


def _dotted(given: Mapping[str, Any]) -> dict[str, Any]:
    """``order_id`` → ``order.id``; the wire's own underscores come after the first dot."""
    return {name.replace("_", ".", 1): found for name, found in given.items()}


def logs(
    *records: LogRecord, service: str = "bot", resource: Mapping[str, Any] | None = None
) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    holder = request.resource_logs.add()
    holder.resource.attributes.extend(pairs({"service.name": service, **(resource or {})}))
    scope = holder.scope_logs.add()
    scope.scope.name = "otel_obs"
    scope.log_records.extend(records)
    return request


# ---- JSON


def as_json(request: ExportTraceServiceRequest | ExportLogsServiceRequest) -> dict[str, Any]:
    """OTLP's JSON: protobuf's, but with ids in hexadecimal and enums as numbers."""
    found = json_format.MessageToDict(request, use_integers_for_enums=True)
    _with_hexadecimal_ids(found)
    return found


def _with_hexadecimal_ids(holder: Any) -> None:
    if isinstance(holder, dict):
        for key, inner in holder.items():
            if key in {"traceId", "spanId", "parentSpanId"}:
                holder[key] = base64.b64decode(inner).hex()
            else:
                _with_hexadecimal_ids(inner)
    elif isinstance(holder, list):
        for inner in holder:
            _with_hexadecimal_ids(inner)


def json_bytes(request: ExportTraceServiceRequest | ExportLogsServiceRequest) -> bytes:
    return json.dumps(as_json(request)).encode()


# ---- rows of the raw tables, for what no OTLP body can hold

SPAN_COLUMNS = (
    "Timestamp",
    "TraceId",
    "SpanId",
    "ParentSpanId",
    "TraceState",
    "SpanName",
    "SpanKind",
    "ServiceName",
    "ResourceAttributes",
    "ScopeName",
    "ScopeVersion",
    "SpanAttributes",
    "Duration",
    "StatusCode",
    "StatusMessage",
    "Events.Timestamp",
    "Events.Name",
    "Events.Attributes",
)
LOG_COLUMNS = (
    "Timestamp",
    "TraceId",
    "SpanId",
    "SeverityText",
    "ServiceName",
    "Body",
    "ResourceAttributes",
    "LogAttributes",
    "EventName",
)


def span_row(
    attributes: Mapping[Any, Any],
    events: Iterable[tuple[str, Mapping[Any, Any]]] = (),
    *,
    number: int,
    trace: int | None = None,
    parent: int | None = None,
    at: int = NOON,
    took: int = 1_000,
    status: str = "Unset",
    service: Any = "bot",
    resource: Mapping[Any, Any] | None = None,
) -> tuple[Any, ...]:
    """One row of otel_traces; its ids are the given numbers in hexadecimal."""
    told = list(events)
    return (
        at,
        f"{number if trace is None else trace:032x}",
        f"{number:016x}",
        "" if parent is None else f"{parent:016x}",
        "",
        "span",
        "Internal",
        service,
        dict(resource or {}),
        "",
        "",
        dict(attributes),
        took,
        status,
        "it failed" if status == "Error" else "",
        [at] * len(told),
        [name for name, _ in told],
        [dict(of) for _, of in told],
    )


def log_row(
    attributes: Mapping[Any, Any],
    *,
    number: int,
    name: str,
    at: int = NOON,
    service: Any = "bot",
    body: Any = "",
    resource: Mapping[Any, Any] | None = None,
) -> tuple[Any, ...]:
    """One row of otel_logs; its trace id is ``number`` in hexadecimal."""
    return (
        at, f"{number:032x}", f"{number:016x}", "", service, body, dict(resource or {}), dict(attributes), name
    )  # fmt: skip


def row_binary(rows: Iterable[tuple[Any, ...]]) -> bytes:
    """Rows in ClickHouse's RowBinary: a string may be any bytes, and all whole numbers here have 64 bits."""
    return b"".join(_binary(cell) for row in rows for cell in row)


def _binary(cell: Any) -> bytes:
    match cell:
        case int():
            return cell.to_bytes(8, "little")
        case str():
            return _binary(cell.encode())
        case bytes():
            return _length(cell) + cell
        case dict():
            return _length(cell) + b"".join(_binary(key) + _binary(inner) for key, inner in cell.items())
        case _:
            return _length(cell) + b"".join(map(_binary, cell))


def _length(cell: Any) -> bytes:
    count, found = len(cell), b""
    while count > 0x7F:
        found += bytes([count & 0x7F | 0x80])
        count >>= 7
    return found + bytes([count])


def insert(client: Client, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert into otel_traces or otel_logs in one statement; where that fails, name the row that is to blame."""
    columns = {"otel_traces": SPAN_COLUMNS, "otel_logs": LOG_COLUMNS}[table]
    try:
        client.raw_insert(f"otel.{table}", columns, row_binary(rows), fmt="RowBinary")
    except Exception as error:
        if len(rows) == 1:
            raise AssertionError(f"{table} refuses {rows[0]!r}") from error
        for row in rows:
            insert(client, table, [row])
        raise


def drawn(strategy: SearchStrategy[Any], count: int) -> list[Any]:
    """``count`` examples of a hypothesis strategy, at once: the engine is asked about all of them in one statement."""
    found: list[Any] = []

    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(example: Any) -> None:
        found.append(example)

    collect()
    return found
