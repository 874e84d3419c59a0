"""OTLP over gRPC: the same rows and the same refusals as over HTTP, in gRPC's words."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status as RpcStatus
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from otel_obs.errors import PortError, StoreError
from otel_obs.store.embedded import server as module
from otel_obs.store.embedded.directory import Addresses
from otel_obs.store.embedded.otlp_committer import BodyError, BusyError
from otel_obs.store.embedded.otlp_grpc import GrpcListener
from otel_obs.store.embedded.otlp_intake import Intake

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

    from clickhouse_connect.driver.client import Client

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
LIMIT = 100_000


@pytest.fixture(scope="module")
def channel(server: Any) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{server.addresses.otlp_grpc_port}") as channel:
        yield channel


def _refusal(channel: grpc.Channel, body: bytes) -> tuple[grpc.StatusCode, str, list[RetryInfo]]:
    """What is answered to a body of traces that is refused: code, message and RetryInfo."""
    with pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary(EXPORT)(body, timeout=60)
    error: Any = refused.value
    retries = []
    for key, packed in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in RpcStatus.FromString(packed).details:
                retry = RetryInfo()
                assert detail.Unpack(retry)
                retries.append(retry)
    return error.code(), error.details(), retries


def _count(client: Client, table: str, service: str) -> int:
    [[count]] = client.query(
        f"SELECT count() FROM {table} FINAL WHERE ServiceName = {{service:String}}", parameters={"service": service}
    ).result_rows
    return int(count)


@pytest.mark.parametrize("packing", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_all_signals_land(otlp: ModuleType, channel: grpc.Channel, asked: Client, packing: grpc.Compression) -> None:
    service = f"grpc {packing}"
    spans = otlp.traces(*[otlp.decision("x", otlp.gate("g")) for _ in range(5)], service=service)
    assert not TraceServiceStub(channel).Export(spans, compression=packing).HasField("partial_success")
    LogsServiceStub(channel).Export(otlp.logs(otlp.order("o", note={"a": {"b": [1]}}), service=service))
    metrics = ExportMetricsServiceRequest()
    resource = metrics.resource_metrics.add()
    resource.resource.attributes.extend(otlp.pairs({"service.name": service}))
    resource.scope_metrics.add().metrics.add(name="m").gauge.data_points.add(as_int=1)
    MetricsServiceStub(channel).Export(metrics, compression=packing)
    tables = ("otel_traces", "decisions", "otel_logs", "orders", "otel_metrics_gauge")
    columns = {"decisions": "service", "orders": "service"}
    counts = [
        asked.query(
            f"SELECT count() FROM {table} FINAL WHERE {columns.get(table, 'ServiceName')} = {{service:String}}",
            parameters={"service": service},
        ).result_rows[0][0]
        for table in tables
    ]
    assert counts == [5, 5, 1, 1, 1]


def test_a_malformed_body_is_an_invalid_argument_and_a_bad_record_is_left_out(
    otlp: ModuleType, channel: grpc.Channel, asked: Client
) -> None:
    code, message, retries = _refusal(channel, b"\xff\xff\xff")
    assert (code, retries) == (grpc.StatusCode.INVALID_ARGUMENT, [])
    assert message.startswith("The body is no OTLP")
    request = otlp.traces(*[otlp.decision(f"d{number}") for number in range(3)], service="grpc broken")
    bad = request.resource_spans[0].scope_spans[0].spans[1].SerializeToString()
    reply = channel.unary_unary(EXPORT)(request.SerializeToString().replace(bad, b"\xff" * len(bad)))
    assert ExportTraceServiceResponse.FromString(reply).partial_success.rejected_spans == 1
    assert _count(asked, "otel_traces", "grpc broken") == 2


class _Refusing:
    """A committer that has no room, or whose engine fails."""

    def __init__(self, error: StoreError) -> None:
        self._error = error

    def commit(self, _form: Any, _body: bytes) -> Future[None]:
        if isinstance(self._error, BusyError):
            raise self._error
        done: Future[None] = Future()
        done.set_exception(self._error)
        return done


@pytest.mark.parametrize("error", [BusyError("full"), StoreError("no room"), BodyError("Code: 241", code=241)])
def test_what_may_get_better_is_unavailable_and_says_when_to_come_again(otlp: ModuleType, error: StoreError) -> None:
    body = otlp.traces(otlp.decision("x")).SerializeToString()
    with (
        GrpcListener(Intake(_Refusing(error)), port=0) as listener,  # type: ignore[arg-type]
        grpc.insecure_channel(f"127.0.0.1:{listener.port}") as channel,
    ):
        code, message, retries = _refusal(channel, body)
    assert (code, message) == (grpc.StatusCode.UNAVAILABLE, str(error))
    assert [retry.retry_delay.seconds for retry in retries] == [1]


def test_a_body_beyond_the_limit_is_refused_for_good_however_it_is_packed() -> None:
    never = Intake(_Refusing(StoreError("it came through")), most_bytes=LIMIT)  # type: ignore[arg-type]
    for packing in (grpc.Compression.NoCompression, grpc.Compression.Gzip):
        with (
            GrpcListener(never, port=0) as listener,
            grpc.insecure_channel(f"127.0.0.1:{listener.port}", compression=packing) as channel,
        ):
            code, message, retries = _refusal(channel, bytes(LIMIT + 1))
        assert (code, retries) == (grpc.StatusCode.RESOURCE_EXHAUSTED, []), message


def test_senders_at_once_are_committed_together_and_a_poisoned_body_is_refused_alone(
    otlp: ModuleType, channel: grpc.Channel, asked: Client
) -> None:
    def send(number: int) -> bool:
        request = otlp.traces(*[otlp.decision("x") for _ in range(10)], service="grpc neighbours")
        try:
            channel.unary_unary(EXPORT)(b"\x0a\xff\xff" if number == 7 else request.SerializeToString(), timeout=60)
        except grpc.RpcError:
            return False
        return True

    with ThreadPoolExecutor(20) as pool:
        taken = list(pool.map(send, range(20)))
    assert [number for number, is_taken in enumerate(taken) if not is_taken] == [7]
    assert _count(asked, "otel_traces", "grpc neighbours") == 190


def test_the_stock_exporters_over_grpc_are_served(server: Any, asked: Client) -> None:
    """In a process of its own, as a bot has it: Python's SDK speaks gRPC where no protocol is set."""
    program = """
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
spans = TracerProvider(resource=Resource.create({"service.name": "stock grpc"}))
spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
for number in range(1000):
    spans.get_tracer("bot").start_span("decision", attributes={"decision.what": str(number)}).end()
spans.shutdown()
"""
    environment = os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": server.addresses.otlp_grpc_url}
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, env=environment)
    assert _count(asked, "otel_traces", "stock grpc") == 1000


# ---- its port


def test_a_port_that_is_taken_is_not_shared(server: Any) -> None:
    port = server.addresses.otlp_grpc_port
    with pytest.raises(PortError, match=rf"{port}.*in use.*--otlp-grpc-port"):
        GrpcListener(Intake(_Refusing(StoreError(""))), port=port)  # type: ignore[arg-type]


@pytest.fixture
def printed(tmp_path: Path) -> Any:
    """What `otel-obs up` prints, and its addresses, where nobody asked for a port of gRPC."""

    def run(usual_port: int, *, without: str = "") -> tuple[str, Addresses]:
        program = f"""
import sys
sys.argv = ["otel-obs", "up", "--data", {str(tmp_path / "data")!r}, "--ports-file", {str(tmp_path / "ports")!r},
            "--otlp-port", "0", "--clickhouse-port", "0", "--web-port", "0"]
from otel_obs.store.embedded import server
server._OTLP_GRPC_PORT = {usual_port}
if {without!r}:
    found = server.find_spec
    server.find_spec = lambda name: None if name == {without!r} else found(name)
from otel_obs.surfaces.cli import main
main()
"""
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("up."):
                break
        addresses = Addresses.read(tmp_path / "ports")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert addresses is not None, lines
        return "".join(lines), addresses

    return run


def test_where_the_usual_port_is_taken_or_grpcio_is_missing_up_says_so_and_serves_the_rest(
    server: Any, printed: Any
) -> None:
    taken = server.addresses.otlp_grpc_port
    text, addresses = printed(taken)
    assert f"OTLP/gRPC   off: OTLP over gRPC cannot listen on 127.0.0.1:{taken}: the port is in use." in text
    assert (addresses.otlp_grpc_port, addresses.otlp_grpc_url) == (0, "")
    text, addresses = printed(0, without="grpc")
    assert (
        "OTLP/gRPC   off: OTLP over gRPC needs packages that are not installed. pip install 'otel-obs[local]'" in text
    )
    text, addresses = printed(0)
    assert f"OTLP/gRPC   http://127.0.0.1:{addresses.otlp_grpc_port}" in text


def test_the_usual_port_is_the_one_that_otlp_names() -> None:
    assert module._OTLP_GRPC_PORT == 4317
