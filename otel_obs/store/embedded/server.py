"""The store as one process: holds a data directory, brings up the engine and its ports, takes them down in order."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_obs.store.client import open_directory
from otel_obs.store.embedded import clickhouse_http, health, otlp_http
from otel_obs.store.embedded.directory import Addresses, DataDirectory
from otel_obs.store.embedded.engine import Engine
from otel_obs.store.embedded.listener import Listener
from otel_obs.store.embedded.local_only import LocalOnly
from otel_obs.store.embedded.otlp_committer import Committer
from otel_obs.store.embedded.otlp_insert import Spool
from otel_obs.store.migrate import migrate

if TYPE_CHECKING:
    from pathlib import Path

HOST: Final = "127.0.0.1"


@dataclass(frozen=True, kw_only=True)
class Ports:
    """The ports that are asked for; 0 is any free one."""

    otlp: int = 4318
    clickhouse: int = 8123
    web: int = 8318


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
            otlp = stack.enter_context(
                Listener(
                    LocalOnly(otlp_http.application(committer, count=meters.count)),
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
            self.addresses = Addresses(
                pid=os.getpid(), host=HOST, otlp_port=otlp.port, clickhouse_port=clickhouse.port, web_port=web.port
            )
            directory.announce(self.addresses)
            self._stack = stack.pop_all()

    def stop(self) -> None:
        """Drain: finish what was begun, store what was taken, free ports and directory."""
        self._stack.close()
