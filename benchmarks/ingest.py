"""OTLP bodies into the store, through its port, with all views: bodies one after the other, and together."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otel_obs.contract import semconv
from otel_obs.contract.tiers import Tier
from otel_obs.store.client import connect
from otel_obs.store.embedded.directory import Addresses

if TYPE_CHECKING:
    from collections.abc import Iterator

_WEEK_NS = 7 * 86_400 * 10**9
_KINDS = {float: "double_value", int: "int_value", str: "string_value"}
_PLANS = ((10_000, 24, 1), (10_000, 24, 4), (500, 480, 16), (500, 1_280, 64))


def _put(pairs: Any, given: dict[str, Any]) -> None:
    for name, value in given.items():
        pair = pairs.add(key=name)
        setattr(pair.value, _KINDS[type(value)], value)


def body(spans: int, first: int) -> bytes:
    """``spans`` spans, half of them decisions with two gates each, over one week of event time."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    _put(resource.resource.attributes, {semconv.SERVICE_NAME: "bench", semconv.SERVICE_INSTANCE_ID: "bench-1"})
    scope = resource.scope_spans.add()
    scope.scope.name = semconv.SCOPE
    start = time.time_ns() - _WEEK_NS
    for number in range(first, first + spans):
        at = start + number * 1_000_000
        trace_id = (number // 2 + 1).to_bytes(16, "big")
        span = scope.spans.add(
            trace_id=trace_id, span_id=(number + 1).to_bytes(8, "big"), kind=1, start_time_unix_nano=at,
            end_time_unix_nano=at + 50_000,
        )  # fmt: skip
        if number % 2:
            span.name = "features"
            _put(span.attributes, {semconv.STAGE_NAME: "features", semconv.STAGE_EVIDENCE: '{"collected":150}'})
            _put(span.attributes, {semconv.OTEL_OBS_TIER: Tier.STANDARD.value, semconv.OTEL_OBS_SEQ: number // 2 + 1})
            continue
        span.name = semconv.DECISION_SPAN
        _put(
            span.attributes,
            {
                semconv.DECISION_WHAT: "enter long",
                semconv.DECISION_WHY: "momentum and book imbalance agree",
                semconv.DECISION_CONFIDENCE: 0.62,
                semconv.DECISION_ALTERNATIVES: '{"hold":0.38}',
                semconv.DECISION_INPUTS: '{"S_model":0.31,"obi_10":0.22}',
                semconv.DECISION_OUTCOME: "vetoed",
                semconv.INSTRUMENT_SYMBOL: "BTCUSDT",
                semconv.ORDER_SIDE: "buy",
                semconv.OTEL_OBS_TIER: Tier.DURABLE.value,
                semconv.OTEL_OBS_SEQ: number // 2 + 1,
            },
        )
        for gate, observed, threshold in (("spread_guard", 16.7, 5.0), ("volatility", 0.0005, 0.001)):
            event = span.events.add(name=semconv.GATE_EVENT, time_unix_nano=at)
            _put(
                event.attributes,
                {
                    semconv.GATE_NAME: gate,
                    semconv.GATE_VERDICT: "deny",
                    semconv.GATE_OBSERVED: observed,
                    semconv.GATE_THRESHOLD: threshold,
                    semconv.GATE_COMPARISON: "at_most",
                },
            )
    return request.SerializeToString()


def send(port: int, bodies: list[bytes]) -> None:
    """Send bodies one after the other on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    for one in bodies:
        connection.request("POST", "/v1/traces", one, {"content-type": "application/x-protobuf"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(text)
    connection.close()


def store(directory: Path) -> tuple[subprocess.Popen[bytes], Addresses]:
    """Start a store on free ports; returns when it is up."""
    ports = directory / "ports.json"
    command = [sys.executable, "-m", "otel_obs.surfaces.cli", "up", "--data", str(directory / "data")]
    command += ["--ports-file", str(ports), "--otlp-port", "0", "--otlp-grpc-port", "0"]
    command += ["--clickhouse-port", "0", "--web-port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ)
    while (addresses := Addresses.read(ports)) is None:
        if process.poll() is not None:
            raise RuntimeError("the store did not come up")
        time.sleep(0.05)
    return process, addresses


def measure() -> Iterator[dict[str, object]]:
    """Yield the figures; each plan has a store of its own, and its rows are counted afterwards."""
    for spans, count, clients in _PLANS:
        bodies = [body(spans, index * spans) for index in range(count)]
        with tempfile.TemporaryDirectory() as scratch:
            process, addresses = store(Path(scratch))
            try:
                send(addresses.otlp_port, [body(100, 10**9)])  # the first statement is compiled
                start = time.perf_counter()
                with ThreadPoolExecutor(clients) as pool:
                    list(pool.map(lambda i: send(addresses.otlp_port, bodies[i::clients]), range(clients)))  # noqa: B023
                seconds = time.perf_counter() - start
                client = connect(addresses.clickhouse_url)
                stored = client.query("SELECT count() FROM otel.otel_traces FINAL").first_row[0]
                gates = client.query("SELECT count() FROM otel.gates FINAL").first_row[0]
                client.close()
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(60)
        if (stored, gates) != (spans * count + 100, spans * count + 100):
            raise RuntimeError(f"{stored} spans and {gates} gates stored of {spans * count + 100}")
        yield {
            "figure": f"OTLP into the store, {clients} clients x {spans}-span bodies",
            "unit": "1/s",
            "ours": spans * count / seconds,
        }
