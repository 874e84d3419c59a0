"""Metrics over OTLP/HTTP: every kind of point lands in the exporter's columns, once, and bad points harm no others."""

from __future__ import annotations

import json
import math
import random
import struct
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    Sum,
    Summary,
    SummaryDataPoint,
)

from otel_obs.store.embedded.otlp_values import number_text

if TYPE_CHECKING:
    from types import ModuleType

    from clickhouse_connect.driver.client import Client

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
ENCODINGS = pytest.mark.parametrize("kind", [PROTOBUF, JSON])
NOON = 1_766_145_600_000_000_000


def _request(otlp: ModuleType, *metrics: Metric, service: str) -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add(schema_url="https://resource")
    resource.resource.attributes.extend(otlp.pairs({"service.name": service, "hosts": ["a", {"b": [1.0]}]}))
    scope = resource.scope_metrics.add(schema_url="https://scope", metrics=metrics)
    scope.scope.name, scope.scope.version, scope.scope.dropped_attributes_count = "meter", "2", 4
    scope.scope.attributes.extend(otlp.pairs({"s": True}))
    return request


def _body(otlp: ModuleType, request: ExportMetricsServiceRequest, kind: str) -> bytes:
    return request.SerializeToString() if kind == PROTOBUF else otlp.json_bytes(request)


def _rows(client: Client, table: str, service: str, columns: str = "*") -> list[dict[str, Any]]:
    answer = client.query(
        f"SELECT {columns} FROM otel_metrics_{table} FINAL WHERE ServiceName = {{service:String}} "
        "ORDER BY MetricName, TimeUnix, toString(Attributes)",
        parameters={"service": service},
    )
    return list(answer.named_results())


def _exemplar(otlp: ModuleType, point: Any, **value: Any) -> None:
    point.exemplars.add(
        filtered_attributes=otlp.pairs({"why": "slow"}), time_unix_nano=NOON + 5, span_id=b"\x0b" * 8,
        trace_id=b"\xaa" * 16, **value,
    )  # fmt: skip


@ENCODINGS
def test_every_kind_of_point_lands_in_the_exporter_s_columns(
    otlp: ModuleType, receiver: Any, asked: Client, kind: str
) -> None:
    times = {"start_time_unix_nano": NOON - 1, "time_unix_nano": NOON + 1_000_000_001, "flags": 1}
    attributes = otlp.pairs({"side": "buy", "n": 7})
    gauge = NumberDataPoint(attributes=attributes, as_double=1.5, **times)
    total = NumberDataPoint(attributes=attributes, as_int=-(2**40), **times)
    _exemplar(otlp, gauge, as_double=0.25)
    _exemplar(otlp, total, as_int=3)
    histogram = HistogramDataPoint(
        attributes=attributes, count=3, sum=6.5, bucket_counts=[1, 2, 2**63], explicit_bounds=[0.5, 10], min=0.1, max=4,
        **times,
    )  # fmt: skip
    _exemplar(otlp, histogram, as_double=4)
    exponential = ExponentialHistogramDataPoint(
        attributes=attributes, count=9, sum=-1, scale=-3, zero_count=2, zero_threshold=0.1, min=-2, max=3, **times,
        positive=ExponentialHistogramDataPoint.Buckets(offset=-7, bucket_counts=[1, 0, 3]),
        negative=ExponentialHistogramDataPoint.Buckets(offset=2, bucket_counts=[3]),
    )  # fmt: skip
    quantile = SummaryDataPoint.ValueAtQuantile
    summary = SummaryDataPoint(
        attributes=attributes, count=5, sum=50, quantile_values=[quantile(quantile=0.5, value=9), quantile(quantile=1)],
        **times,
    )  # fmt: skip
    told = {"description": "what it is", "unit": "ms"}
    service = f"metrics {kind}"
    request = _request(
        otlp,
        Metric(name="g", gauge=Gauge(data_points=[gauge]), **told),
        Metric(name="s", sum=Sum(data_points=[total], aggregation_temporality=2, is_monotonic=True), **told),
        Metric(name="h", histogram=Histogram(data_points=[histogram], aggregation_temporality=1), **told),
        Metric(
            name="e",
            exponential_histogram=ExponentialHistogram(data_points=[exponential], aggregation_temporality=1),
            **told,
        ),
        Metric(name="q", summary=Summary(data_points=[summary]), **told),
        Metric(name="none", **told),
        service=service,
    )
    reply = receiver.post("/v1/metrics", _body(otlp, request, kind), kind)
    assert (reply.status, reply.kind, reply.body) == (200, kind, b"" if kind == PROTOBUF else b"{}")

    of_all = {
        "ResourceAttributes": {"service.name": service, "hosts": '["a",{"b":[1]}]'},
        "ResourceSchemaUrl": "https://resource",
        "ScopeName": "meter",
        "ScopeVersion": "2",
        "ScopeAttributes": {"s": "true"},
        "ScopeDroppedAttrCount": 4,
        "ScopeSchemaUrl": "https://scope",
        "ServiceName": service,
        "MetricDescription": "what it is",
        "MetricUnit": "ms",
        "Attributes": {"side": "buy", "n": "7"},
        "Flags": 1,
        "start": NOON - 1,
        "time": NOON + 1_000_000_001,
    }
    exemplars = {
        "Exemplars.FilteredAttributes": [{"why": "slow"}],
        "Exemplars.SpanId": ["0b" * 8],
        "Exemplars.TraceId": ["aa" * 16],
        "seen": [NOON + 5],
    }
    none = {"Exemplars.FilteredAttributes": [], "Exemplars.SpanId": [], "Exemplars.TraceId": [], "seen": []}
    expected = {
        "gauge": {"MetricName": "g", "Value": 1.5, "Exemplars.Value": [0.25], **exemplars},
        "sum": {
            "MetricName": "s", "Value": -(2.0**40), "AggregationTemporality": 2, "IsMonotonic": True,
            "Exemplars.Value": [3.0], **exemplars,
        },
        "histogram": {
            "MetricName": "h", "Count": 3, "Sum": 6.5, "BucketCounts": [1, 2, 2**63], "ExplicitBounds": [0.5, 10.0],
            "Min": 0.1, "Max": 4.0, "AggregationTemporality": 1, "Exemplars.Value": [4.0], **exemplars,
        },
        "exponential_histogram": {
            "MetricName": "e", "Count": 9, "Sum": -1.0, "Scale": -3, "ZeroCount": 2, "PositiveOffset": -7,
            "PositiveBucketCounts": [1, 0, 3], "NegativeOffset": 2, "NegativeBucketCounts": [3], "Min": -2.0,
            "Max": 3.0, "AggregationTemporality": 1, "Exemplars.Value": [], **none,
        },
        "summary": {
            "MetricName": "q", "Count": 5, "Sum": 50.0, "ValueAtQuantiles.Quantile": [0.5, 1.0],
            "ValueAtQuantiles.Value": [9.0, 0.0],
        },
    }  # fmt: skip
    ours = "ingested_at, series_hash, StartTimeUnix, TimeUnix"
    times_as_numbers = "toUnixTimestamp64Nano(StartTimeUnix) AS start, toUnixTimestamp64Nano(TimeUnix) AS time"
    seen = "arrayMap(each -> toUnixTimestamp64Nano(each), `Exemplars.TimeUnix`) AS seen"
    for table, own in expected.items():
        rest = f"* EXCEPT ({ours}), {times_as_numbers}"
        if table != "summary":
            rest = f"* EXCEPT ({ours}, `Exemplars.TimeUnix`), {times_as_numbers}, {seen}"
        assert _rows(asked, table, service, rest) == [of_all | own], table


@ENCODINGS
def test_values_that_are_no_numbers_and_times_that_are_missing_are_kept(
    otlp: ModuleType, receiver: Any, asked: Client, kind: str
) -> None:
    values = [math.nan, math.inf, -math.inf, 5e-324, 1.7e308, -0.0]
    points = [NumberDataPoint(attributes=otlp.pairs({"n": n}), as_double=value) for n, value in enumerate(values)]
    points.append(NumberDataPoint(attributes=otlp.pairs({"n": 6}), flags=1))  # "no recorded value"
    points.append(NumberDataPoint(attributes=otlp.pairs({"n": 7}), as_int=1, time_unix_nano=2**64 - 1))
    service = f"odd {kind}"
    request = _request(otlp, Metric(name="g", gauge=Gauge(data_points=points)), service=service)
    assert receiver.post("/v1/metrics", _body(otlp, request, kind), kind).status == 200
    rows = _rows(asked, "gauge", service, "Value, Flags, toUnixTimestamp64Nano(TimeUnix) AS ns")
    assert repr([row["Value"] for row in rows]) == repr([*values, 0.0, 1.0])
    assert [row["Flags"] for row in rows] == [0] * 6 + [1, 0]
    assert [row["ns"] for row in rows] == [0] * 7 + [2**63 - 1]


def test_what_is_repeated_collapses_and_what_differs_does_not(otlp: ModuleType, receiver: Any, asked: Client) -> None:
    def point(at: int, **attributes: Any) -> NumberDataPoint:
        return NumberDataPoint(attributes=otlp.pairs(attributes), time_unix_nano=at, as_int=1)

    points = [point(NOON, a=1, b=2), point(NOON, a=1, b=3), point(NOON), point(NOON + 1, a=1, b=2)]
    turned = point(NOON, b=2, a=1)  # another order of the attributes is the same series
    counters = [
        Metric(name="m", sum=Sum(data_points=points, aggregation_temporality=2, is_monotonic=True)),
        Metric(name="m", sum=Sum(data_points=points, aggregation_temporality=1)),
        Metric(name="m", unit="s", sum=Sum(data_points=points, aggregation_temporality=1)),
        Metric(name="m2", sum=Sum(data_points=points, aggregation_temporality=1)),
    ]
    first = _request(otlp, *counters, service="twice")
    other = _request(otlp, counters[0], service="twice")
    other.resource_metrics[0].resource.attributes.extend(otlp.pairs({"service.instance.id": "2"}))
    again = _request(otlp, *counters[:2], service="twice")
    again.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points.append(turned)
    for request in (first, other, again, first):
        assert receiver.post("/v1/metrics", request.SerializeToString()).status == 200
    assert len(_rows(asked, "sum", "twice")) == 4 * 4 + 4


def test_points_that_cannot_be_read_are_left_out_and_counted(otlp: ModuleType, receiver: Any, asked: Client) -> None:
    points = [NumberDataPoint(attributes=otlp.pairs({"n": n}), time_unix_nano=NOON, as_int=n) for n in range(7)]
    request = _request(otlp, Metric(name="g", unit="kept", gauge=Gauge(data_points=points)), service="bad points")
    bad = points[3].SerializeToString()
    body = request.SerializeToString().replace(bad, b"\xff" * len(bad))
    reply = receiver.post("/v1/metrics", body)
    answer = ExportMetricsServiceResponse.FromString(reply.body)
    assert (reply.status, answer.partial_success.rejected_data_points) == (200, 1)
    assert answer.partial_success.error_message
    rows = _rows(asked, "gauge", "bad points")
    assert [(row["Value"], row["MetricUnit"]) for row in rows] == [(n, "kept") for n in range(7) if n != 3]

    given = otlp.as_json(_request(otlp, Metric(name="g", gauge=Gauge(data_points=points)), service="bad json"))
    metrics = given["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
    wrong = [7, None, {"asDouble": "x"}, {"timeUnixNano": -1}, {"attributes": 3}, {"exemplars": [{"spanId": "?"}]}]
    metrics[0]["gauge"]["dataPoints"][2:2] = wrong
    metrics += [7, {"name": "x", "gauge": 3}, {"name": 3, "sum": {}}, {"name": "empty"}]
    reply = receiver.post("/v1/metrics", json.dumps(given).encode(), JSON)
    assert reply.status == 200, reply
    assert json.loads(reply.body)["partialSuccess"]["rejectedDataPoints"] == str(len(wrong) + 3)
    assert len(_rows(asked, "gauge", "bad json")) == 7


def test_json_is_read_as_its_senders_write_it(receiver: Any, asked: Client) -> None:
    point = {
        "timeUnixNano": str(NOON), "count": "2", "sum": 3, "bucketCounts": ["1", 1], "explicitBounds": [5],
        "exemplars": [{"traceId": "AB" * 16, "spanId": "CD" * 8, "asInt": "4"}], "attributes": None, "ofTomorrow": 1,
    }  # fmt: skip
    metric = {
        "name": "h",
        "histogram": {"dataPoints": [point], "aggregationTemporality": "AGGREGATION_TEMPORALITY_DELTA"},
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "metrics by hand"}}]}
    body = {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": [metric]}]}]}
    assert receiver.post("/v1/metrics", json.dumps(body).encode(), JSON).status == 200
    [row] = _rows(asked, "histogram", "metrics by hand")
    assert (row["Count"], row["Sum"], row["BucketCounts"], row["ExplicitBounds"]) == (2, 3.0, [1, 1], [5.0])
    assert (row["Exemplars.TraceId"], row["Exemplars.SpanId"], row["Exemplars.Value"]) == (
        ["ab" * 16],
        ["cd" * 8],
        [4.0],
    )
    assert row["AggregationTemporality"] == 1


def test_a_small_body_that_would_fill_the_disk_is_refused(otlp: ModuleType, receiver: Any, asked: Client) -> None:
    """Each row repeats what its resource says: 3 MB of body would be 200 GB of rows."""
    points = [NumberDataPoint(time_unix_nano=NOON + n) for n in range(100_000)]
    request = _request(otlp, Metric(name="g", gauge=Gauge(data_points=points)), service="bomb")
    request.resource_metrics[0].resource.attributes.extend(otlp.pairs({"huge": "x" * 2_000_000}))
    assert receiver.post("/v1/metrics", request.SerializeToString()).status == 413
    assert _rows(asked, "gauge", "bomb") == []


def test_the_stock_sdk_s_metrics_land(receiver: Any, asked: Client) -> None:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
    from opentelemetry.sdk.resources import Resource

    exporter = OTLPMetricExporter(f"http://127.0.0.1:{receiver.port}/v1/metrics")
    meters = MeterProvider(
        resource=Resource.create({"service.name": "stock meters"}),
        metric_readers=[PeriodicExportingMetricReader(exporter)],
        views=[View(instrument_name="size", aggregation=ExponentialBucketHistogramAggregation())],
    )
    meter = meters.get_meter("bot")
    meter.create_counter("orders").add(3, {"side": "buy"})
    meter.create_gauge("spread").set(1.25)
    meter.create_histogram("latency").record(7)
    meter.create_histogram("size").record(9)
    meters.shutdown()
    counted = {table: [row["MetricName"] for row in _rows(asked, table, "stock meters")] for table in (
        "gauge", "sum", "histogram", "exponential_histogram", "summary",
    )}  # fmt: skip
    assert counted == {
        "gauge": ["spread"], "sum": ["orders"], "histogram": ["latency"], "exponential_histogram": ["size"],
        "summary": [],
    }  # fmt: skip


def test_numbers_read_the_same_whether_the_engine_or_the_receiver_wrote_them(asked: Client) -> None:
    dice = random.Random(3)
    numbers = [struct.unpack("<d", dice.randbytes(8))[0] for _ in range(500)]
    numbers += [dice.uniform(-1, 1) * 10 ** dice.randrange(-9, 24) for _ in range(500)]
    numbers += [0.0, -0.0, 1e-6, 1e-7, 1e20, 1e21, 2.0**53, 100.0, 1e16, 0.1]
    finite = [number for number in numbers if math.isfinite(number)]
    [[found]] = asked.query(
        "SELECT arrayMap(each -> if(abs(each) >= 1e21, replaceOne(toString(each), 'e', 'e+'), toString(each)), "
        "{numbers:Array(Float64)})",
        parameters={"numbers": finite},
    ).result_rows
    assert [number_text(number) for number in finite] == list(found)
