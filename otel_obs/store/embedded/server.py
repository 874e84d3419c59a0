"""The store as one process: holds a data directory, brings up the engine and its ports, takes them down in order."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from otel_obs.errors import MissingExtraError, PortError
from otel_obs.store.client import open_directory
from otel_obs.store.embedded import clickhouse_http, health, otlp_http
from otel_obs.store.embedded.directory import Addresses, DataDirectory
from otel_obs.store.embedded.engine import Engine
from otel_obs.store.embedded.listener import Listener
from otel_obs.store.embedded.local_only import LocalOnly
from otel_obs.store.embedded.otlp_committer import Committer
from otel_obs.store.embedded.otlp_insert import Spool
from otel_obs.store.embedded.otlp_intake import Intake
from otel_obs.store.migrate import migrate

if TYPE_CHECKING:
    from pathlib import Path

HOST: Final = "127.0.0.1"
_OTLP_GRPC_PORT: Final = 4317


@dataclass(frozen=True, kw_only=True)
class Ports:
    """The ports that are asked for; 0 is any free one."""

    otlp: int = 4318
    clickhouse: int = 8123
    web: int = 8318
    otlp_grpc: int | None = None  # None: the usual one, if that is free and grpcio is installed


class Server:
    """A running store. It is up, and its schema current, once the constructor has returned.

    Raises:
        DataDirectoryError: see ``DataDirectory``.
        PortError: a port cannot be bound.
        SchemaError: the directory has the schema of a newer version, or a changed one.
        StoreError: the engine cannot open the directory.

    """

    def __init__(self, data: Path, ports: Ports = Ports()) -> None:
        with ExitStack() as stack:
            directory = stack.enter_context(DataDirectory(data))
            client = open_directory(directory.engine)
            try:
                self.migrated = migrate(client)
            finally:
                client.close()
            engine = Engine(directory.engine)
            stack.callback(engine.close)
            committer = Committer(engine, Spool(directory.spool))
            stack.callback(committer.close)
            meters = health.Meters()
            intake = Intake(committer, count=meters.count)
            otlp = stack.enter_context(
                Listener(
                    LocalOnly(otlp_http.application(intake)),
                    host=HOST, port=ports.otlp, what="The OTLP receiver", option="--otlp-port",
                )
            )  # fmt: skip
            clickhouse = stack.enter_context(
                Listener(
                    clickhouse_http.application(engine),
                    host=HOST, port=ports.clickhouse, what="ClickHouse's HTTP interface", option="--clickhouse-port",
                )
            )  # fmt: skip
            web = stack.enter_context(
                Listener(
                    LocalOnly(health.application(engine, meters)),
                    host=HOST, port=ports.web, what="The web page", option="--web-port",
                )
            )  # fmt: skip
            grpc_port, self.grpc_is_off = _grpc(stack, intake, ports.otlp_grpc)
            self.addresses = Addresses(
                pid=os.getpid(),
                host=HOST,
                otlp_port=otlp.port,
                clickhouse_port=clickhouse.port,
                web_port=web.port,
                otlp_grpc_port=grpc_port,
            )
            directory.announce(self.addresses)
            self._stack = stack.pop_all()

    def stop(self) -> None:
        """Drain: finish what was begun, store what was taken, free ports and directory."""
        self._stack.close()


def _grpc(stack: ExitStack, intake: Intake, asked: int | None) -> tuple[int, str]:
    """Speak OTLP over gRPC: its port, or 0 and why not where nobody asked for it."""
    if find_spec("grpc") is None:
        missing = MissingExtraError("OTLP over gRPC", extra="local")
        if asked is not None:
            raise missing
        return 0, str(missing)
    from otel_obs.store.embedded.otlp_grpc import GrpcListener

    try:
        listener = GrpcListener(intake, host=HOST, port=_OTLP_GRPC_PORT if asked is None else asked)
    except PortError as error:
        if asked is not None:
            raise
        return 0, str(error)
    return stack.enter_context(listener).port, ""
