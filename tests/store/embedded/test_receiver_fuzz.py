"""Whatever is sent, the store lives, answers, and loses nothing of those who send beside it."""

from __future__ import annotations

import http.client
import os
import random
import socket
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from otel_obs.store.client import connect
from otel_obs.store.embedded import otlp_http
from otel_obs.store.embedded.directory import Addresses
from otel_obs.store.embedded.engine import Engine
from otel_obs.store.embedded.listener import Listener
from otel_obs.store.embedded.otlp_committer import Committer
from otel_obs.store.embedded.otlp_insert import Spool
from otel_obs.store.embedded.otlp_intake import Intake

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

PROTOBUF, JSON = "application/x-protobuf", "application/json"
TABLES = {"traces": "otel_traces", "logs": "otel_logs", "metrics": "otel_metrics_sum"}
ROUNDS = 20
NEIGHBOURS = 4


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[subprocess.Popen[bytes], Addresses]]:
    """A store in a process of its own, whose end would be seen."""
    directory = tmp_path_factory.mktemp("fuzzed")
    ports = directory / "ports.json"
    command = [sys.executable, "-m", "otel_obs.surfaces.cli", "up", "--data", str(directory / "data")]
    command += ["--ports-file", str(ports), "--otlp-port", "0", "--otlp-grpc-port", "0"]
    command += ["--clickhouse-port", "0", "--web-port", "0"]
    environment = {name: text for name, text in os.environ.items() if not name.startswith("OTEL_")}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    while (addresses := Addresses.read(ports)) is None:
        assert process.poll() is None
        time.sleep(0.05)
    yield process, addresses
    process.terminate()
    assert process.wait(60) == 0


def _metrics(otlp: ModuleType, numbers: range, service: str) -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    resource.resource.attributes.extend(otlp.pairs({"service.name": service}))
    data = resource.scope_metrics.add().metrics.add(name="m").sum
    for number in numbers:
        point = data.data_points.add(as_int=number, time_unix_nano=otlp.NOON, attributes=otlp.pairs({"n": number}))
        point.exemplars.add(as_double=1.5, span_id=b"\x01" * 8, filtered_attributes=otlp.pairs({"a": [1, {"b": None}]}))
    return request


def _request(otlp: ModuleType, signal: str, numbers: range, service: str) -> Any:
    rich = {"m": {"a": 1, "b": [1, None]}, "bytes": b"\x00", "f": 1.5, "deep": [[["x"]]]}
    match signal:
        case "traces":
            spans = [otlp.decision(str(number), otlp.gate("g", observed=1.5), more=rich) for number in numbers]
            return otlp.traces(*spans, service=service)
        case "logs":
            facts = [otlp.fact("x", {"n": number, **rich}, body=rich) for number in numbers]
            return otlp.logs(*facts, service=service)
        case _:
            return _metrics(otlp, numbers, service)


def _damaged(body: bytes, dice: random.Random) -> bytes:
    """The body, hurt in one to three places: cut, shortened, lengthened, flipped, repeated, or with a wrong length."""
    hurt = bytearray(body)
    for _ in range(dice.randrange(1, 4)):
        at = dice.randrange(len(hurt) or 1)
        match dice.randrange(6):
            case 0:
                del hurt[at:]
            case 1:
                del hurt[at : at + dice.randrange(1, 30)]
            case 2:
                hurt[at:at] = dice.randbytes(dice.randrange(1, 12))
            case 3 if hurt:
                hurt[at] ^= 1 << dice.randrange(8)
            case 4:
                hurt[at:at] = hurt[at : at + dice.randrange(1, 200)]
            case _:
                hurt[at : at + 1] = b"\xff" * dice.randrange(1, 11)
    return bytes(hurt)


def _sent(port: int, signal: str, body: bytes, kind: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("POST", f"/v1/{signal}", body, {"Content-Type": kind})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


@pytest.mark.parametrize("signal", TABLES)
@pytest.mark.parametrize("kind", [PROTOBUF, JSON])
def test_damaged_bodies_neither_end_the_store_nor_cost_their_neighbours_a_record(
    otlp: ModuleType, store: tuple[subprocess.Popen[bytes], Addresses], signal: str, kind: str
) -> None:
    process, addresses = store
    dice = random.Random(f"{signal} {kind}")
    service = f"good {signal} {kind}"
    whole = _request(otlp, signal, range(3), "damaged")
    victim = whole.SerializeToString() if kind == PROTOBUF else otlp.json_bytes(whole)
    with ThreadPoolExecutor(NEIGHBOURS + 4) as pool:
        answers: Counter[int] = Counter()
        for number in range(ROUNDS):
            first = number * NEIGHBOURS * 5
            good = [
                _request(otlp, signal, range(first + 5 * each, first + 5 * each + 5), service)
                for each in range(NEIGHBOURS)
            ]
            bodies = [(each.SerializeToString(), PROTOBUF) for each in good]
            bodies += [(_damaged(victim, dice), kind) for _ in range(4)]
            dice.shuffle(bodies)
            futures = [(body, pool.submit(_sent, addresses.otlp_port, signal, body, of)) for body, of in bodies]
            theirs = {each.SerializeToString() for each in good}
            statuses = [(body in theirs, future.result()) for body, future in futures]
            assert all(status == 200 for is_good, status in statuses if is_good), statuses
            answers.update(status for is_good, status in statuses if not is_good)
    assert process.poll() is None
    assert set(answers) == {200, 400}, answers  # never "come again": it would, for ever
    client = connect(addresses.clickhouse_url)
    [[found]] = client.query(
        f"SELECT count() FROM otel.{TABLES[signal]} FINAL WHERE ServiceName = {{service:String}}",
        parameters={"service": service},
    ).result_rows
    client.close()
    assert found == ROUNDS * NEIGHBOURS * 5


def test_a_body_cut_short_takes_nothing_from_the_one_after_it(otlp: ModuleType, server: Any, receiver: Any) -> None:
    """Small bodies are stored as one message: what ends in the middle of a field must not read on in its neighbour."""
    whole = otlp.traces(otlp.decision("x"), otlp.decision("y"), service="cut").SerializeToString()
    good = [otlp.traces(otlp.decision(str(number)), service="after a cut").SerializeToString() for number in range(60)]
    with ThreadPoolExecutor(12) as pool:
        cuts = [pool.submit(receiver.post, "/v1/traces", whole[: len(whole) - 1 - number]) for number in range(60)]
        sent = [pool.submit(receiver.post, "/v1/traces", body) for body in good]
    assert {future.result().status for future in sent} == {200}
    assert {future.result().status for future in cuts} <= {200, 400}
    client = connect(server.addresses.clickhouse_url)
    [[count]] = client.query("SELECT count() FROM otel.otel_traces FINAL WHERE ServiceName = 'after a cut'").result_rows
    client.close()
    assert count == 60


def test_beyond_what_may_wait_senders_are_told_when_to_come_again_and_then_are_stored(
    otlp: ModuleType, data: Path, server: Any, receiver: Any, tmp_path: Path
) -> None:
    body = otlp.traces(*[otlp.decision("x") for _ in range(20)], service="pressed").SerializeToString()
    engine = Engine(data / "engine")
    committer = Committer(engine, Spool(tmp_path / "spool"), most_waiting_bytes=3 * len(body))
    app = otlp_http.application(Intake(committer))
    seen: Counter[int] = Counter()

    def send(number: int) -> None:
        request = otlp.traces(*[otlp.decision(str(number)) for _ in range(20)], service="pressed").SerializeToString()
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", listener.port, timeout=60)
            connection.request("POST", "/v1/traces", request, {"Content-Type": PROTOBUF})
            answer = connection.getresponse()
            answer.read()
            connection.close()
            seen[answer.status] += 1
            if answer.status == 200:
                return
            assert (answer.status, answer.getheader("retry-after")) == (503, "1")
            time.sleep(0.05)

    with Listener(app, port=0, what="a pressed receiver") as listener, ThreadPoolExecutor(12) as pool:
        list(pool.map(send, range(24)))
    committer.close()
    engine.close()
    assert seen[200] == 24
    assert seen[503] > 0
    client = connect(server.addresses.clickhouse_url)
    [[count]] = client.query("SELECT count() FROM otel.otel_traces FINAL WHERE ServiceName = 'pressed'").result_rows
    client.close()
    assert count == 24 * 20


def test_slow_senders_keep_nobody_waiting_and_are_served_in_the_end(
    otlp: ModuleType, server: Any, receiver: Any
) -> None:
    body = otlp.traces(otlp.decision("x"), service="slow").SerializeToString()
    head = f"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: {PROTOBUF}\r\n"
    whole = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    slow = [socket.create_connection(("127.0.0.1", receiver.port)) for _ in range(50)]
    for connection in slow:
        connection.sendall(whole[:-7])
    for number in range(5):  # while fifty are in the middle of their bodies
        receiver.send(otlp.traces(otlp.decision(str(number)), service="quick"))
    client = connect(server.addresses.clickhouse_url)

    def count(service: str) -> int:
        return int(client.query(f"SELECT count() FROM otel.otel_traces WHERE ServiceName = '{service}'").first_row[0])

    assert (count("quick"), count("slow")) == (5, 0)
    for connection in slow:
        connection.sendall(whole[-7:])
    for connection in slow:
        assert connection.recv(1024).startswith(b"HTTP/1.1 200")
        connection.close()
    client.close()


def test_json_that_is_nested_without_end_is_refused(receiver: Any) -> None:
    value = '{"arrayValue":{"values":[' * 5000
    body = '{"resourceSpans":[{"resource":{"attributes":[{"key":"k","value":' + value
    assert receiver.post("/v1/traces", body.encode(), JSON).status == 400
    deep = '{"kvlistValue":{"values":[{"key":"k","value":' * 150 + '{"stringValue":"x"}' + "}]}}" * 150
    given = '{"resourceMetrics":[{"resource":{"attributes":[{"key":"k","value":' + deep + "}]}}]}"
    assert receiver.post("/v1/metrics", given.encode(), JSON).status == 400
