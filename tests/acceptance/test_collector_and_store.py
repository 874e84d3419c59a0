"""What else passes through the collector: metrics, and the store's password."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1 import metrics_pb2 as otel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

pytestmark = pytest.mark.timeout(180)
NOON = 1_766_145_600_000_000_000
TABLES = ("gauge", "sum", "histogram", "exponential_histogram", "summary")


@pytest.fixture
def line(beside: Any) -> ModuleType:
    found: ModuleType = beside("acceptance/pipeline.py")
    return found


@pytest.fixture
def pipeline(line: ModuleType, tmp_path: Path) -> Iterator[Any]:
    made = line.Pipeline(tmp_path)
    yield made
    made.close()


def _metrics(otlp: ModuleType) -> bytes:
    """One of each kind, with values that are easily lost: 2^53 + 1, -0.0, nothing, an exemplar."""
    when = {"start_time_unix_nano": NOON - 10**9, "time_unix_nano": NOON}
    named = {"attributes": otlp.pairs({"venue": "x", "n": 1, "f": 0.1 + 0.2, "b": True})}
    exemplar = otel.Exemplar(as_double=1.5, time_unix_nano=NOON, trace_id=b"\x01" * 16, span_id=b"\x02" * 8)
    points = [
        otel.NumberDataPoint(as_int=2**53 + 1, **when, **named), otel.NumberDataPoint(as_double=-0.0, **when),
        otel.NumberDataPoint(as_double=1e-7, exemplars=[exemplar], **when, attributes=otlp.pairs({"other": 'ü"\\'})),
    ]  # fmt: skip
    counted = otel.HistogramDataPoint(
        count=3, sum=4.5, bucket_counts=[1, 2], explicit_bounds=[0.5], min=0.1, max=3.0, **when, **named
    )
    scaled = otel.ExponentialHistogramDataPoint(
        count=4, sum=10.0, scale=2, zero_count=1, positive={"offset": -3, "bucket_counts": [1, 0, 1]},
        negative={"offset": 0, "bucket_counts": [1]}, **when,
    )  # fmt: skip
    summed = otel.SummaryDataPoint(
        count=2, sum=3.0, quantile_values=[{"quantile": 0.5, "value": 1.0}, {"quantile": 1, "value": 2}], **when
    )
    kinds = {
        "gauge": otel.Gauge(data_points=points),
        "sum": otel.Sum(data_points=points, is_monotonic=True, aggregation_temporality=2),
        "histogram": otel.Histogram(data_points=[counted], aggregation_temporality=1),
        "exponential_histogram": otel.ExponentialHistogram(data_points=[scaled], aggregation_temporality=2),
        "summary": otel.Summary(data_points=[summed]),
    }
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add(schema_url="https://resource")
    resource.resource.attributes.extend(otlp.pairs({"service.name": "bot", "hosts": ["a", "b"]}))
    scope = resource.scope_metrics.add(schema_url="https://scope")
    scope.scope.name, scope.scope.version = "meter", "2"
    for kind, data in kinds.items():
        scope.metrics.add(name=f"a {kind}", unit="ms", description="d", **{kind: data})
    return request.SerializeToString()


def _rows(store: Any, table: str) -> list[dict[str, Any]]:
    rows = [
        json.loads(row)
        for row in store.ask(f"SELECT * FROM otel_metrics_{table} FINAL FORMAT JSONEachRow").splitlines()
    ]
    for row in rows:
        del row["ingested_at"]
    return sorted(rows, key=lambda row: json.dumps(row["Attributes"], sort_keys=True))


def test_metrics_are_the_same_row_for_row_whether_they_came_directly_or_through_the_collector(
    pipeline: Any, line: ModuleType, otlp: ModuleType
) -> None:
    direct, behind = pipeline.store("direct"), pipeline.store("behind")
    collector = pipeline.collector(behind.url).start()
    body = _metrics(otlp)
    for port in (direct.ports["otlp_port"], collector.otlp):
        assert line.post(port, "/v1/metrics", body)[0] == 200
    told = {table: _rows(direct, table) for table in TABLES}
    assert [len(rows) for rows in told.values()] == [3, 3, 1, 1, 1]
    for table, rows in told.items():
        line.eventually(f"{table} is there", lambda table=table, rows=rows: _rows(behind, table) == rows)
    # and what comes on both ways counts once
    assert line.post(behind.ports["otlp_port"], "/v1/metrics", body)[0] == 200
    assert {table: _rows(behind, table) for table in TABLES} == told


def test_the_collector_writes_with_the_store_s_password_and_what_a_wrong_one_keeps_back_waits_for_the_right_one(
    pipeline: Any, line: ModuleType, otlp: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "password").write_text("correct horse\n", encoding="utf-8")
    monkeypatch.setitem(line.ENVIRONMENT, "OTEL_OBS_PASSWORD_FILE", str(tmp_path / "password"))
    store = pipeline.store()
    monkeypatch.delitem(line.ENVIRONMENT, "OTEL_OBS_PASSWORD_FILE")
    collector = pipeline.collector(store.url, OTEL_OBS_USER="default", OTEL_OBS_PASSWORD="battery staple").start()
    body = otlp.traces(otlp.decision("enter", outcome="held")).SerializeToString()
    assert line.post(collector.otlp, "/v1/traces", body)[0] == 200
    line.eventually("the collector is refused", lambda: "Exporting failed" in collector.told())
    assert "battery staple" not in collector.told()

    collector.end()
    collector.environment["OTEL_OBS_PASSWORD"] = "correct horse"
    collector.start()
    asked = {"X-ClickHouse-User": "default", "X-ClickHouse-Key": "correct horse"}
    count = b"SELECT count() FROM decisions FINAL"
    port = store.ports["clickhouse_port"]
    line.eventually(
        "it is stored", lambda: line.request(port, "POST", "/?database=otel", count, **asked) == (200, "1\n")
    )
