"""The OTLP/HTTP receiver: what any sender says lands as it was said, and what cannot be read harms nothing else."""

from __future__ import annotations

import gzip
import http.client
import json
import random
import socket
import threading
import time
import zlib
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from google.rpc.status_pb2 import Status as RpcStatus
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from otel_obs.reports.registry import report
from otel_obs.reports.run import run
from otel_obs.store.embedded import otlp_http
from otel_obs.store.embedded.engine import Engine
from otel_obs.store.embedded.listener import Listener
from otel_obs.store.embedded.otlp_committer import BodyError, Committer
from otel_obs.store.embedded.otlp_insert import Signal, Spool
from otel_obs.store.embedded.otlp_intake import Intake

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

    from clickhouse_connect.driver.client import Client

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
ENCODINGS = pytest.mark.parametrize("kind", [PROTOBUF, JSON])
LIMIT = 100_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def small(server: Any, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A receiver with a small limit, on the same engine."""
    engine = Engine(data / "engine")
    committer = Committer(engine, Spool(tmp_path_factory.mktemp("spool") / "small"))
    app = otlp_http.application(Intake(committer, most_bytes=LIMIT))
    with Listener(app, port=0, what="a small receiver") as listener:
        yield listener
    committer.close()
    engine.close()


def _sent(otlp: ModuleType, receiver: Any, request: Any, kind: str) -> None:
    body = request.SerializeToString() if kind == PROTOBUF else otlp.json_bytes(request)
    path = "/v1/traces" if isinstance(request, ExportTraceServiceRequest) else "/v1/logs"
    reply = receiver.post(path, body, kind)
    assert (reply.status, reply.kind) == (200, kind), reply


def _rows(client: Client, table: str, service: str, columns: str = "*") -> list[dict[str, Any]]:
    answer = client.query(
        f"SELECT {columns} FROM {table} FINAL WHERE ServiceName = {{service:String}} ORDER BY ALL",
        parameters={"service": service},
    )
    return list(answer.named_results())


def _count(client: Client, service: str, table: str = "otel_traces") -> int:
    return len(_rows(client, table, service, "Timestamp, TraceId, SpanId"))


def _message(reply: Any) -> str:
    if reply.kind == PROTOBUF:
        return str(RpcStatus.FromString(reply.body).message)
    return str(json.loads(reply.body)["message"])


# ---- what lands


@ENCODINGS
def test_a_span_lands_in_the_exporter_s_columns(otlp: ModuleType, receiver: Any, asked: Client, kind: str) -> None:
    at = otlp.NOON + 123_456_789
    span = Span(
        trace_id=bytes(range(16)),
        span_id=b"\xab" * 8,
        parent_span_id=b"\xcd" * 8,
        trace_state="a=1,b=2",
        name="place order",
        kind=Span.SPAN_KIND_CLIENT,
        flags=257,
        start_time_unix_nano=at,
        end_time_unix_nano=at + 1_500_000,
        attributes=otlp.pairs({"http.request.method": "POST", "n": 7}),
        dropped_attributes_count=3,
        events=[Span.Event(time_unix_nano=at + 5, name="retry", attributes=otlp.pairs({"attempt": 2}))],
        links=[
            Span.Link(
                trace_id=b"\x01" * 16, span_id=b"\x02" * 8, trace_state="c=3", attributes=otlp.pairs({"why": "fill"})
            )
        ],
        status=Status(code=Status.STATUS_CODE_ERROR, message="refused"),
    )
    service = f"columns {kind}"
    request = otlp.traces(span, service=service, resource={"host.name": "h1"})
    _sent(otlp, receiver, request, kind)
    [row] = _rows(asked, "otel_traces", service, "* EXCEPT ingested_at, toUnixTimestamp64Nano(Timestamp) AS ns")
    moment = EPOCH + timedelta(microseconds=at // 1000)
    assert {key: found for key, found in row.items() if key not in {"Timestamp", "Events.Timestamp"}} == {
        "ns": at,
        "TraceId": "000102030405060708090a0b0c0d0e0f",
        "SpanId": "abababababababab",
        "ParentSpanId": "cdcdcdcdcdcdcdcd",
        "TraceState": "a=1,b=2",
        "SpanName": "place order",
        "SpanKind": "Client",
        "ServiceName": service,
        "ResourceAttributes": {"service.name": service, "host.name": "h1"},
        "ScopeName": "otel_obs",
        "ScopeVersion": "1",
        "SpanAttributes": {"http.request.method": "POST", "n": "7"},
        "Duration": 1_500_000,
        "StatusCode": "Error",
        "StatusMessage": "refused",
        "Events.Name": ["retry"],
        "Events.Attributes": [{"attempt": "2"}],
        "Links.TraceId": ["01" * 16],
        "Links.SpanId": ["02" * 8],
        "Links.TraceState": ["c=3"],
        "Links.Attributes": [{"why": "fill"}],
    }
    assert row["Timestamp"] == moment
    assert row["Events.Timestamp"] == [moment]


@ENCODINGS
def test_every_span_kind_and_status_has_the_exporter_s_name(
    otlp: ModuleType, receiver: Any, asked: Client, kind: str
) -> None:
    spans = [Span(trace_id=b"\x05" * 16, span_id=bytes([number + 1] * 8), kind=number) for number in range(6)]  # type: ignore[arg-type]
    for number in range(3):
        spans[number].status.code = number  # type: ignore[assignment]
    service = f"kinds {kind}"
    _sent(otlp, receiver, otlp.traces(*spans, service=service), kind)
    rows = _rows(asked, "otel_traces", service, "SpanId, SpanKind, StatusCode, Duration")
    assert [row["SpanKind"] for row in rows] == ["Unspecified", "Internal", "Server", "Client", "Producer", "Consumer"]
    assert [row["StatusCode"] for row in rows] == ["Unset", "Ok", "Error", "Unset", "Unset", "Unset"]


@ENCODINGS
def test_a_log_record_lands_in_the_exporter_s_columns(
    otlp: ModuleType, receiver: Any, asked: Client, kind: str
) -> None:
    record = otlp.fact(
        "order",
        {"order.id": "o1", "order.price": "43210.5"},
        body={"text": ["a", 1]},
        severity_number=9,
        severity_text="INFO",
        flags=0x101,
        trace_id=b"\x0a" * 16,
        span_id=b"\x0b" * 8,
    )
    service = f"log columns {kind}"
    request = otlp.logs(record, service=service)
    request.resource_logs[0].schema_url = "https://resource"
    scope = request.resource_logs[0].scope_logs[0]
    scope.schema_url, scope.scope.version = "https://scope", "7"
    scope.scope.attributes.extend(otlp.pairs({"s": "t"}))
    _sent(otlp, receiver, request, kind)
    [row] = _rows(asked, "otel_logs", service, "* EXCEPT (ingested_at, record_hash, Timestamp)")
    assert row == {
        "TraceId": "0a" * 16,
        "SpanId": "0b" * 8,
        "TraceFlags": 1,
        "SeverityText": "INFO",
        "SeverityNumber": 9,
        "ServiceName": service,
        "Body": '{"text":["a",1]}',
        "ResourceSchemaUrl": "https://resource",
        "ResourceAttributes": {"service.name": service},
        "ScopeSchemaUrl": "https://scope",
        "ScopeName": "otel_obs",
        "ScopeVersion": "7",
        "ScopeAttributes": {"s": "t"},
        "LogAttributes": {"event.name": "order", "order.id": "o1", "order.price": "43210.5"},
        "EventName": "order",
    }


@ENCODINGS
def test_a_log_record_without_a_time_has_the_time_at_which_it_was_seen(
    otlp: ModuleType, receiver: Any, asked: Client, kind: str
) -> None:
    record = otlp.order("o", at=otlp.NOON)
    record.ClearField("time_unix_nano")
    _sent(otlp, receiver, otlp.logs(record, service=f"seen {kind}"), kind)
    [row] = _rows(asked, "otel_logs", f"seen {kind}", "toUnixTimestamp64Nano(Timestamp) AS ns")
    assert row["ns"] == otlp.NOON


VALUES: list[tuple[Any, str]] = [
    ("text ü\n\t\"\\'", "text ü\n\t\"\\'"),
    ("", ""),
    (True, "true"),
    (False, "false"),
    (0, "0"),
    (-(2**63), "-9223372036854775808"),
    (1.5, "1.5"),
    (1e300, "1e+300"),
    (b"\x00\xff", "AP8="),
    (None, ""),
    ([], "[]"),
    ({}, "{}"),
    ([1, "a", None, True, 1.5, b"x", [], {}], '[1,"a",null,true,1.5,"eA==",[],{}]'),
    ({"a": 1, "b": 'q"', "ü": None, "": False}, '{"":false,"a":1,"b":"q\\"","ü":null}'),  # keys in order
    ({"a": {"b": [1, {"c": None}]}}, '{"a":{"b":[1,{"c":null}]}}'),
    ([[["x", b"\x01"]], 2.5], '[[["x","AQ=="]],2.5]'),
    ({"a": {"b": {"c": {"d": {"e": 'ü"\\\n'}}}}}, '{"a":{"b":{"c":{"d":{"e":"ü\\"\\\\\\n"}}}}}'),
]


@ENCODINGS
def test_values_of_every_kind_land_as_text_and_as_json_however_deep(
    otlp: ModuleType, receiver: Any, asked: Client, kind: str
) -> None:
    given = {f"v{index:02}": value for index, (value, _) in enumerate(VALUES)}
    expected = {f"v{index:02}": text for index, (_, text) in enumerate(VALUES)}
    service = f"values {kind}"
    span = otlp.span(given, events=[Span.Event(name="e", attributes=otlp.pairs(given))])
    _sent(otlp, receiver, otlp.traces(span, service=service, resource=given), kind)
    _sent(otlp, receiver, otlp.logs(otlp.fact("x", given, body=given), service=service), kind)
    [row] = _rows(asked, "otel_traces", service, "SpanAttributes, ResourceAttributes, Events.Attributes")
    assert row["SpanAttributes"] == expected
    assert row["ResourceAttributes"] == {"service.name": service, **expected}
    assert row["Events.Attributes"] == [expected]
    [log] = _rows(asked, "otel_logs", service, "LogAttributes, Body")
    assert log["LogAttributes"] == {"event.name": "x", **expected}
    body = json.loads(log["Body"])
    assert body["v16"] == {"a": {"b": {"c": {"d": {"e": 'ü"\\\n'}}}}}


def test_json_is_read_as_its_senders_write_it(receiver: Any, asked: Client) -> None:
    """Numbers as strings or numbers, ids in capitals, enums by name, nulls, and fields of a later version."""
    span = {
        "traceId": "ABCDEF00000000000000000000000001",
        "spanId": "ABCDEF0000000001",
        "parentSpanId": None,
        "name": "s",
        "kind": "SPAN_KIND_SERVER",
        "startTimeUnixNano": 1766145600000000000,
        "endTimeUnixNano": "1766145600000000009",
        "links": None,
        "events": None,
        "status": {},
        "ofTomorrow": {"a": 1},
        "attributes": [
            {"key": "i1", "value": {"intValue": "7"}},
            {"key": "i2", "value": {"intValue": 8}},
            {"key": "d1", "value": {"doubleValue": 1}},
            {"key": "d2", "value": {"doubleValue": "NaN"}},
            {"key": "n1", "value": None},
            {"key": "n2", "value": {}},
            {"key": "n3"},
            {"key": "a", "value": {"arrayValue": {"values": [{"intValue": 1}, {}, {"stringValue": "x"}]}}},
            {"key": "a0", "value": {"arrayValue": {}}},
        ],
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "json"}}], "droppedAttributesCount": 0}
    body = {
        "resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": None, "spans": [span], "schemaUrl": None}]}]
    }
    reply = receiver.post("/v1/traces", json.dumps(body).encode(), "application/json; charset=utf-8")
    assert (reply.status, json.loads(reply.body)) == (200, {})
    [row] = _rows(asked, "otel_traces", "json")
    assert (row["TraceId"], row["SpanId"]) == ("abcdef00000000000000000000000001", "abcdef0000000001")
    assert (row["ParentSpanId"], row["SpanKind"], row["Duration"]) == ("", "Server", 9)
    assert row["SpanAttributes"] == {
        "i1": "7",
        "i2": "8",
        "d1": "1",
        "d2": "nan",
        "n1": "",
        "n2": "",
        "n3": "",
        "a": '[1,null,"x"]',
        "a0": "[]",
    }


# ---- how it is packed


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress),
        ("GZIP", gzip.compress),
        ("deflate", zlib.compress),
        ("identity", bytes),
        ("gzip", lambda body: gzip.compress(body[:50]) + gzip.compress(body[50:])),  # two members are one body
    ],
)
def test_packed_bodies_are_unpacked_whole(
    otlp: ModuleType, receiver: Any, asked: Client, *, encoding: str, packed: Any, request: pytest.FixtureRequest
) -> None:
    service = request.node.name
    body = packed(otlp.traces(*[otlp.decision("x") for _ in range(5)], service=service).SerializeToString())
    assert receiver.post("/v1/traces", body, content_encoding=encoding).status == 200
    assert _count(asked, service) == 5


def test_a_body_in_chunks_is_taken(otlp: ModuleType, receiver: Any, asked: Client) -> None:
    body = gzip.compress(otlp.traces(*[otlp.decision("x") for _ in range(50)], service="chunks").SerializeToString())
    pieces = (body[at : at + 7] for at in range(0, len(body), 7))
    assert receiver.post("/v1/traces", pieces, content_encoding="gzip").status == 200
    assert _count(asked, "chunks") == 50


@ENCODINGS
@pytest.mark.parametrize("path", ["/v1/traces", "/v1/logs"])
def test_an_empty_body_is_thanked_for(receiver: Any, kind: str, path: str) -> None:
    reply = receiver.post(path, b"" if kind == PROTOBUF else b"{}", kind)
    assert (reply.status, reply.kind, reply.body) == (200, kind, b"" if kind == PROTOBUF else b"{}")


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(b"x" * 1000)[:-9],  # cut short
        gzip.compress(b"x" * 1000)[:10],  # its header alone
        gzip.compress(b"") + b"rubbish",
        b"no gzip at all",
    ],
)
def test_a_packed_body_that_is_broken_is_refused(receiver: Any, body: bytes) -> None:
    reply = receiver.post("/v1/traces", body, content_encoding="gzip")
    assert (reply.status, reply.kind) == (400, PROTOBUF)
    assert _message(reply)


# ---- what is refused, and how


@ENCODINGS
@pytest.mark.parametrize("path", ["/v1/traces", "/v1/logs"])
@pytest.mark.parametrize(
    "body", [b"\xff\xff\xff", b"[1]", b'{"resourceSpans": 3, "resourceLogs": 3}', b"{", b'"x"', b"\x0a\xff\x01"]
)
def test_a_malformed_body_is_refused_in_its_own_encoding(receiver: Any, kind: str, path: str, body: bytes) -> None:
    reply = receiver.post(path, body, kind)
    assert (reply.status, reply.kind) == (400, kind)
    assert _message(reply).startswith("The body is no")


@pytest.mark.parametrize(
    "resource",
    [
        {"attributes": [{"key": "service.name", "value": {"stringValue": "\ud800"}}]},
        {"attributes": 7},
        {"attributes": [{"key": 7}]},
        7,
    ],
)
def test_a_json_body_whose_resource_cannot_be_read_is_refused(receiver: Any, resource: Any) -> None:
    body = json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [{"name": "x"}]}]}]}).encode()
    reply = receiver.post("/v1/traces", body, JSON)
    assert (reply.status, reply.kind) == (400, JSON)
    assert _message(reply)


def test_a_body_of_another_type_is_refused(receiver: Any) -> None:
    for kind in ("text/plain", "application/grpc", ""):
        assert receiver.post("/v1/traces", b"x", kind).status == 415


def test_an_unknown_packing_and_unknown_places_are_refused(receiver: Any) -> None:
    reply = receiver.post("/v1/traces", b"x", content_encoding="br")
    assert reply.status == 400
    assert "gzip" in _message(reply)
    assert receiver.post("/v1/profiles", b"", PROTOBUF).status == 404
    connection = http.client.HTTPConnection("127.0.0.1", receiver.port)
    connection.request("GET", "/v1/traces")
    assert connection.getresponse().status == 405
    connection.close()


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"\x00" * (LIMIT + 1), {}),
        (iter([b"\x00" * 1000] * 1000), {}),
        (gzip.compress(b"\x00" * (LIMIT + 1)), {"content_encoding": "gzip"}),
        (gzip.compress(b"\x00" * LIMIT) + gzip.compress(b"\x00"), {"content_encoding": "gzip"}),
        (gzip.compress(bytes(200 << 20), 1), {"content_encoding": "gzip"}),  # a bomb
    ],
    ids=["plain", "chunked", "packed", "in members", "bomb"],
)
def test_a_body_beyond_the_limit_is_refused(receiver: Any, small: Any, body: Any, headers: dict[str, str]) -> None:
    try:
        reply = type(receiver)(small.port).post("/v1/traces", body, PROTOBUF, **headers)
    except (BrokenPipeError, ConnectionResetError):  # refused before it was sent whole
        return
    assert reply.status == 413
    assert str(LIMIT) in _message(reply)


def test_a_body_of_just_the_limit_is_taken(otlp: ModuleType, receiver: Any, small: Any) -> None:
    request = otlp.traces(otlp.decision("x"), service="limit")
    left = LIMIT - len(request.SerializeToString()) - 10
    request.resource_spans[0].scope_spans[0].spans[0].name = "x" * left
    assert LIMIT - 20 < len(request.SerializeToString()) <= LIMIT
    at_small = type(receiver)(small.port)
    assert at_small.send(request).status == at_small.send(request, packed=True).status == 200


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}])
def test_web_pages_and_foreign_names_are_turned_away(
    otlp: ModuleType, receiver: Any, asked: Client, headers: Any
) -> None:
    body = otlp.traces(otlp.decision("x"), service="evil").SerializeToString()
    assert receiver.post("/v1/traces", body, **headers).status == 403
    assert _count(asked, "evil") == 0


# ---- one bad record among good ones


def _with_broken_span(request: ExportTraceServiceRequest, number: int) -> bytes:
    """The request's bytes, with one span's content made unreadable; all lengths around it stay true."""
    body = request.SerializeToString()
    span = request.resource_spans[0].scope_spans[0].spans[number].SerializeToString()
    assert body.count(span) == 1
    return body.replace(span, b"\x0a\xff\xff\xff\xff\x0f".ljust(len(span), b"\xff"))


def test_one_malformed_span_in_protobuf_leaves_its_neighbours_alone(
    otlp: ModuleType, receiver: Any, asked: Client
) -> None:
    request = otlp.traces(*[otlp.decision(f"d{number}") for number in range(7)], service="broken")
    request.resource_spans[0].schema_url = "https://kept"
    reply = receiver.post("/v1/traces", _with_broken_span(request, 3))
    answer = ExportTraceServiceResponse.FromString(reply.body)
    assert (reply.status, answer.partial_success.rejected_spans) == (200, 1)
    assert answer.partial_success.error_message
    found = {row["what"] for row in _rows(asked, "otel_traces", "broken", "SpanAttributes['decision.what'] AS what")}
    assert found == {f"d{number}" for number in range(7) if number != 3}


def test_one_malformed_record_in_protobuf_leaves_the_rest_of_the_logs_as_it_was_said(
    otlp: ModuleType, receiver: Any, asked: Client
) -> None:
    request = otlp.logs(otlp.order("good"), otlp.order("bad" * 50), service="broken logs")
    request.resource_logs[0].schema_url = "https://resource"
    request.resource_logs[0].scope_logs[0].schema_url = "https://scope"
    bad = request.resource_logs[0].scope_logs[0].log_records[1].SerializeToString()
    body = request.SerializeToString().replace(bad, b"\xff" * len(bad))
    reply = receiver.post("/v1/logs", body)
    assert ExportLogsServiceResponse.FromString(reply.body).partial_success.rejected_log_records == 1
    [row] = _rows(asked, "otel_logs", "broken logs")
    assert (row["ResourceSchemaUrl"], row["ScopeSchemaUrl"], row["ScopeName"]) == (
        "https://resource",
        "https://scope",
        "otel_obs",
    )


def test_malformed_spans_in_json_leave_their_neighbours_alone(otlp: ModuleType, receiver: Any, asked: Client) -> None:
    body = otlp.as_json(otlp.traces(*[otlp.decision(f"d{number}") for number in range(3)], service="broken json"))
    deep: Any = {"stringValue": "x"}
    for _ in range(150):
        deep = {"arrayValue": {"values": [deep]}}
    bad = [
        7,
        None,
        "x",
        [],
        {"traceId": "xyz"},
        {"spanId": 7},
        {"startTimeUnixNano": "noon"},
        {"startTimeUnixNano": -1},
        {"name": "\ud800"},
        {"attributes": [{"key": "k", "value": {"intValue": 2**70}}]},
        {"attributes": [{"key": "k", "value": deep}]},
        {"attributes": {"k": "v"}},
        {"links": 3},
        {"links": [3]},
        {"links": [{"traceId": "?"}]},
        {"events": [3]},
    ]
    body["resourceSpans"][0]["scopeSpans"][0]["spans"][1:1] = bad
    reply = receiver.post("/v1/traces", json.dumps(body).encode(), JSON)
    assert reply.status == 200, reply
    assert json.loads(reply.body)["partialSuccess"]["rejectedSpans"] == str(len(bad))
    assert _count(asked, "broken json") == 3


def test_broken_bodies_are_answered_and_nothing_is_stored_by_halves(
    otlp: ModuleType, receiver: Any, asked: Client
) -> None:
    """Any damage: refused (400), or stored with what was left out counted; never "come again" for ever."""
    dice = random.Random(11)
    spans = [otlp.decision("x", otlp.gate("g", observed=1.5), more={"m": {"a": 1, "b": [1]}}) for _ in range(3)]
    whole = otlp.traces(*spans, service="fuzz").SerializeToString()
    seen = set()
    for _ in range(100):
        body = bytearray(whole)
        at = dice.randrange(len(body))
        match dice.randrange(4):
            case 0:
                del body[at:]
            case 1:
                del body[at : at + dice.randrange(1, 20)]
            case 2:
                body[at:at] = dice.randbytes(dice.randrange(1, 10))
            case _:
                body[at] ^= 1 << dice.randrange(8)
        reply = receiver.post("/v1/traces", bytes(body))
        assert reply.status in {200, 400}, (reply, bytes(body))
        seen.add(reply.status)
        if reply.status == 200 and not ExportTraceServiceResponse.FromString(reply.body).partial_success.rejected_spans:
            ExportTraceServiceRequest.FromString(bytes(body))  # raises where it was not OTLP
    assert seen == {200, 400}


def test_among_many_senders_a_poisoned_body_is_refused_alone(otlp: ModuleType, receiver: Any, asked: Client) -> None:
    ready = threading.Barrier(20)

    def send(number: int) -> int:
        request = otlp.traces(*[otlp.decision("x") for _ in range(10)], service="neighbours")
        body = b"\x0a\xff\xff" if number == 7 else request.SerializeToString()
        ready.wait()
        status: int = receiver.post("/v1/traces", body).status
        return status

    with ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(send, range(20)))
    assert [number for number, status in enumerate(statuses) if status != 200] == [7]
    assert statuses[7] == 400
    assert _count(asked, "neighbours") == 190


class _Refusing:
    """A committer to which no body is right."""

    def __init__(self, code: int) -> None:
        self._code = code

    def commit(self, _signal: Signal, _body: bytes) -> Future[None]:
        done: Future[None] = Future()
        done.set_exception(BodyError(f"Code: {self._code}.", code=self._code))
        return done


@pytest.mark.parametrize(("code", "status"), [(444, 400), (243, 503), (241, 503)])
def test_only_what_may_get_better_is_asked_for_again(otlp: ModuleType, receiver: Any, code: int, status: int) -> None:
    """An unreadable body is refused for good; where disk or memory failed, the sender shall come back."""
    app = otlp_http.application(Intake(_Refusing(code)))  # type: ignore[arg-type]
    with Listener(app, port=0, what="a receiver") as listener:
        body = otlp.traces(otlp.decision("x")).SerializeToString()
        reply = type(receiver)(listener.port).post("/v1/traces", body)
    assert reply.status == status
    assert str(code) in _message(reply)


# ---- senders that go away


def _raw(port: int, sent: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(sent)
    return connection


def test_senders_that_vanish_harm_nobody(
    otlp: ModuleType, receiver: Any, asked: Client, capfd: pytest.CaptureFixture[str]
) -> None:
    body = otlp.traces(*[otlp.decision("x") for _ in range(100)], service="vanished").SerializeToString()
    head = f"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: {PROTOBUF}\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    for _ in range(10):
        _raw(receiver.port, head.encode() + body[: len(body) // 2]).close()  # in the middle of its body
        _raw(receiver.port, head.encode() + body).close()  # before the answer
        _raw(receiver.port, head.encode()).close()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        receiver.send(otlp.traces(otlp.decision("x"), service="after"))
        if _count(asked, "vanished") == 100:
            break
    assert _count(asked, "vanished") == 100
    assert "Traceback" not in capfd.readouterr().err


def test_what_is_acknowledged_can_be_asked_for(otlp: ModuleType, receiver: Any, asked: Client) -> None:
    for number in range(1, 9):
        receiver.send(otlp.traces(otlp.decision("x"), service="at once"))
        receiver.send(otlp.logs(otlp.order(f"o{number}"), service="at once"))
        assert (_count(asked, "at once"), _count(asked, "at once", "otel_logs")) == (number, number)


# ---- another SDK


def test_the_stock_sdk_is_served_as_well_as_ours(receiver: Any, asked: Client) -> None:
    """A bot without our package: OpenTelemetry's own SDK and exporters, our names written by hand."""
    from opentelemetry._logs import SeverityNumber
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": "stock", "deployment.environment.name": "paper"})
    url = f"http://127.0.0.1:{receiver.port}"
    spans, facts = TracerProvider(resource=resource), LoggerProvider(resource=resource)
    spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{url}/v1/traces")))
    facts.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter(f"{url}/v1/logs")))
    tracer, logger = spans.get_tracer("their.bot", "3"), facts.get_logger("their.bot")
    at = datetime(2025, 12, 19, 14, 0, tzinfo=UTC)
    at_ns = int(at.timestamp()) * 1_000_000_000

    cycle = {"trace.name": "cycle", "trace.intent": "trade"}
    with tracer.start_as_current_span("cycle", attributes=cycle, start_time=at_ns):  # noqa: SIM117 - as a user nests them
        with tracer.start_as_current_span("decision", start_time=at_ns) as decision:
            decision.set_attributes(
                {
                    "decision.what": "enter long",
                    "decision.why": "momentum",
                    "decision.confidence": 0.62,
                    "decision.alternatives": ["hold", "exit"],
                    "decision.inputs": {"S_model": 0.31, "books": {"obi": [0.22, 1]}},
                    "instrument.symbol": "BTCUSDT",
                    "order.side": "buy",
                    "decision.outcome": "REJECTED",
                }
            )
            decision.add_event(
                "gate.evaluated",
                {
                    "gate.name": "spread_guard",
                    "gate.verdict": False,
                    "gate.observed": 16.7,
                    "gate.threshold": 5,
                    "gate.comparison": "at_most",
                    "gate.unit": "bps",
                },
            )
            decision.add_event(
                "gate.evaluated",
                {
                    "gate.name": "hours",
                    "gate.verdict": "Denied",
                    "gate.observed": 14,
                    "gate.threshold": [9, 11],
                    "gate.comparison": "between",
                },
            )
            id_ = format(decision.get_span_context().span_id, "016x")
            logger.emit(
                timestamp=at_ns,
                event_name="order",
                severity_number=SeverityNumber.INFO,
                attributes={
                    "order.id": "o1",
                    "order.status": "cancelled",
                    "order.price": "43210.5",
                    "order.quantity": 0.25,
                    "decision.id": id_,
                    "note": {"deep": {"er": [1, {"est": None}]}},
                },
            )
    spans.shutdown()
    facts.shutdown()

    window = {"from": "2025-12-19T14:00", "to": "2025-12-19T14:01", "tz": "UTC", "service": "stock"}
    assert run(asked, report("why"), window).data == {
        "state": "active",
        "cycles": {"total": 1, "decided": 1, "idle": {}, "failed": 0, "unexplained": 0},
        "decisions": 1,
        "executed": 0,
        "vetoed": 1,
        "held": 0,
        "failed": 0,
        "outside_cycles": 0,
        "by_gate": {"spread_guard": 1},
        "rejection_rate": 1.0,
    }
    whole = run(asked, report("decision"), {"id": id_, "tz": "UTC"}).data
    assert {
        key: whole[key]
        for key in (
            "what",
            "confidence",
            "alternatives",
            "inputs",
            "environment",
            "outcome_raw",
            "defects",
            "veto_reason_secondary",
        )
    } == {
        "what": "enter long",
        "confidence": 0.62,
        "alternatives": ["hold", "exit"],
        "inputs": {"S_model": 0.31, "books": {"obi": [0.22, 1]}},
        "environment": "paper",
        "outcome_raw": "REJECTED",
        "defects": [],
        "veto_reason_secondary": ["hours"],
    }
    assert whole["guard_details"] == {
        "spread_guard": {"observed": 16.7, "threshold": 5, "unit": "bps"},
        "hours": {"observed": 14, "threshold": [9, 11], "unit": ""},
    }
    [order] = whole["orders"]
    assert (order["order_id"], order["status"], order["price"], order["quantity"]) == (
        "o1",
        "cancelled",
        "43210.5",
        "0.25",
    )
    [margins] = asked.query(
        "SELECT groupArray(margin) FROM (SELECT margin FROM gates FINAL WHERE span_id = {id:String} ORDER BY ordinal)",
        parameters={"id": id_},
    ).result_rows
    assert margins == ([pytest.approx(-11.7), -3.0],)
