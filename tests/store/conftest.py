"""A migrated store, in this process and as a server, and what is sent to it."""

from __future__ import annotations

import gzip
import http.client
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from otel_obs.store.client import connect, open_directory
from otel_obs.store.embedded.server import Ports, Server
from otel_obs.store.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clickhouse_connect.driver.client import Client
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    Request = ExportTraceServiceRequest | ExportLogsServiceRequest

PROTOBUF = "application/x-protobuf"
JSON = "application/json"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A migrated store in this process."""
    client = open_directory(tmp_path_factory.mktemp("store") / "engine")
    migrate(client)
    yield client
    client.close()


@dataclass
class Reply:
    """An answer of the receiver."""

    status: int
    body: bytes
    kind: str


@dataclass
class Receiver:
    """The OTLP receiver, spoken to by hand."""

    port: int
    headers: dict[str, str] = field(default_factory=dict)

    def post(self, path: str, body: Any, kind: str = PROTOBUF, **headers: str) -> Reply:
        """Header names are given with ``_`` for ``-``; a body that is no bytes is sent in chunks."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            named = {"Content-Type": kind, **{key.replace("_", "-"): text for key, text in headers.items()}}
            connection.request("POST", path, body, named, encode_chunked=not isinstance(body, bytes))
            response = connection.getresponse()
            return Reply(response.status, response.read(), response.getheader("content-type", "").split(";")[0])
        finally:
            connection.close()

    def send(self, request: Request, *, packed: bool = False) -> Reply:
        """Send a request as protobuf, and insist on being thanked."""
        body = request.SerializeToString()
        path = "/v1/traces" if hasattr(request, "resource_spans") else "/v1/logs"
        reply = self.post(path, gzip.compress(body), content_encoding="gzip") if packed else self.post(path, body)
        assert reply.status == 200, reply
        return reply


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the running store keeps its data."""
    return tmp_path_factory.mktemp("served") / "data"


@pytest.fixture(scope="module")
def server(data: Path) -> Iterator[Server]:
    """A running store on free ports."""
    running = Server(data, Ports(otlp=0, clickhouse=0, web=0, otlp_grpc=0))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def receiver_at() -> type[Receiver]:
    """A receiver of another process, by its port."""
    return Receiver


@pytest.fixture(scope="module")
def receiver(server: Server) -> Receiver:
    """Where the running store takes OTLP."""
    return Receiver(server.addresses.otlp_port)


@pytest.fixture(scope="module")
def asked(server: Server) -> Iterator[Client]:
    """A client of the running store, as everybody has it: over HTTP."""
    client = connect(server.addresses.clickhouse_url)
    client.database = "otel"
    yield client
    client.close()
