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
from otel_obs.store.embedded.credentials import (
    NO_PASSWORDS,
    Credentials,
    PasswordRequired,
    User,
    from_basic,
    is_loopback,
    may_come_in,
    required_for,
)
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

    from starlette.types import ASGIApp

    from otel_obs.store.embedded.limits import Limits

_OTLP_GRPC_PORT: Final = 4317


@dataclass(frozen=True, kw_only=True)
class Ports:
    """The ports that are asked for; 0 is any free one."""

    otlp: int = 4318
    clickhouse: int = 8123
    web: int = 8318
    otlp_grpc: int | None = None  # None: the usual one, if that is free and grpcio is installed


@dataclass(frozen=True, kw_only=True)
class Access:
    """Who reaches the ports: on which address they listen, to which further Host names they answer, with what password.

    Raises:
        SettingError: the address is another than loopback, and there is no password.

    """

    host: str = "127.0.0.1"
    accept_hosts: tuple[str, ...] = ()
    credentials: Credentials = NO_PASSWORDS

    def __post_init__(self) -> None:
        required_for(self.host, self.credentials)

    def guarded(self, app: ASGIApp) -> ASGIApp:
        """``app``, out of reach of web pages and of what calls this machine by a foreign name."""
        return LocalOnly(app, accept_hosts=(self.host, *self.accept_hosts), accept_addresses=not is_loopback(self.host))


class Server:
    """A running store. It is up, and its schema current, once the constructor has returned.

    Raises:
        DataDirectoryError: see ``DataDirectory``.
        PortError: a port cannot be bound.
        SchemaError: the directory has the schema of a newer version, or a changed one.
        StoreError: the engine cannot open the directory.

    """

    def __init__(
        self, data: Path, ports: Ports = Ports(), *, access: Access = Access(), limits: Limits | None = None
    ) -> None:
        host, credentials = access.host, access.credentials
        with ExitStack() as stack:
            directory = stack.enter_context(DataDirectory(data))
            client = open_directory(directory.engine)
            try:
                self.migrated = migrate(client)
            finally:
                client.close()
            engine = Engine(directory.engine, limits=limits)
            stack.callback(engine.close)
            committer = Committer(engine, Spool(directory.spool))
            stack.callback(committer.close)
            meters = health.Meters()
            intake = Intake(committer, count=meters.count)
            otlp = stack.enter_context(
                Listener(
                    access.guarded(PasswordRequired(otlp_http.application(intake), credentials)),
                    host=host, port=ports.otlp, what="The OTLP receiver", option="--otlp-port",
                )
            )  # fmt: skip
            clickhouse = stack.enter_context(
                Listener(
                    access.guarded(clickhouse_http.application(engine, credentials=credentials)),
                    host=host, port=ports.clickhouse, what="ClickHouse's HTTP interface", option="--clickhouse-port",
                )
            )  # fmt: skip
            web = stack.enter_context(
                Listener(
                    access.guarded(_health_pages(engine, meters, credentials)),
                    host=host, port=ports.web, what="The web page", option="--web-port",
                )
            )  # fmt: skip
            grpc_port, self.grpc_is_off = _grpc(stack, intake, ports.otlp_grpc, access)
            self.addresses = Addresses(
                pid=os.getpid(),
                host=host,
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


def _health_pages(engine: Engine, meters: health.Meters, credentials: Credentials) -> ASGIApp:
    pages = health.application(engine, meters)
    return PasswordRequired(pages, credentials, users=tuple(User), open_paths=health.OPEN_PATHS)


def _grpc(stack: ExitStack, intake: Intake, asked: int | None, access: Access) -> tuple[int, str]:
    """Speak OTLP over gRPC: its port, or 0 and why not where nobody asked for it."""
    if find_spec("grpc") is None:
        missing = MissingExtraError("OTLP over gRPC", extra="local")
        if asked is not None:
            raise missing
        return 0, str(missing)
    from otel_obs.store.embedded.otlp_grpc import GrpcListener

    try:
        listener = GrpcListener(
            intake,
            host=access.host,
            port=_OTLP_GRPC_PORT if asked is None else asked,
            admits=lambda given: may_come_in(access.credentials, from_basic(given), (User.DEFAULT,)),
        )
    except PortError as error:
        if asked is not None:
            raise
        return 0, str(error)
    return stack.enter_context(listener).port, ""
