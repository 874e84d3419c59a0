"""`otel-obs up`: the store as one process."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from otel_obs import settings
from otel_obs.errors import MissingExtraError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable


def default_data() -> Path:
    """Where the store lies unless told: OTEL_OBS_DATA, else the user's data directory."""
    found = settings.resolve(enabled=True).data
    if found:
        return Path(found)
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "otel_obs"


_STOPPING: Final = (signal.SIGINT, signal.SIGTERM)
_PORT: Final = click.IntRange(0, 65535)
_DIRECTORY: Final = click.Path(file_okay=False, path_type=Path)
_FILE: Final = click.Path(dir_okay=False, path_type=Path)


def _port_option(name: str, default: int, doc: str) -> Callable[[Any], Any]:
    return click.option(
        f"--{name}-port", metavar="PORT", type=_PORT, default=default, show_default=True,
        help=f"{doc} 0 = any free port.",
    )  # fmt: skip


@click.command()
@click.option("--data", metavar="DIR", type=_DIRECTORY, help="Where the data lie (OTEL_OBS_DATA; else the user's own).")
@_port_option("otlp", 4318, "OTLP over HTTP, from bots.")
@_port_option("clickhouse", 8123, "ClickHouse's HTTP interface, for clients.")
@_port_option("web", 8318, "/healthz, /readyz and /metrics.")
@click.option(
    "--otlp-grpc-port",
    metavar="PORT",
    type=_PORT,
    show_default="4317, if it is free",
    help="OTLP over gRPC, from bots. 0 = any free port.",
)
@click.option("--ports-file", metavar="FILE", type=_FILE, help="Write the ports there, as JSON, once the store is up.")
def up(
    *,
    data: Path | None,
    otlp_port: int,
    clickhouse_port: int,
    web_port: int,
    otlp_grpc_port: int | None,
    ports_file: Path | None,
) -> None:
    """Start the store on this machine: one process, no Docker. Ctrl-C or SIGTERM stops it, nothing is lost."""
    try:
        from otel_obs.store.embedded.server import Ports, Server
    except ImportError:
        raise MissingExtraError("`otel-obs up`", extra="local") from None

    # Blocked in every thread that starts from here on, and taken by sigwait: the engine installs handlers of its own.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    place = data or default_data()
    server = Server(place, Ports(otlp=otlp_port, clickhouse=clickhouse_port, web=web_port, otlp_grpc=otlp_grpc_port))
    try:
        at = server.addresses
        click.echo(f"store       {place}")
        click.echo(f"OTLP/HTTP   {at.otlp_url}   (OTEL_EXPORTER_OTLP_ENDPOINT)")
        click.echo(f"OTLP/gRPC   {at.otlp_grpc_url or 'off: ' + server.grpc_is_off}")
        click.echo(f"ClickHouse  {at.clickhouse_url}   (OTEL_OBS_URL)")
        click.echo(f"health      {at.web_url}/healthz /readyz /metrics")
        if ports_file:
            try:
                at.write(ports_file)
            except OSError as error:
                raise StoreError(
                    f"{ports_file} cannot be written: {error.strerror}.", fix="Give another --ports-file."
                ) from error
        click.echo("up. Ask with: otel-obs report why" + (f" --data {place}" if data else ""))
        signal.sigwait(_STOPPING)
        click.echo("stopping: finishing what was begun …")
    finally:
        server.stop()
    click.echo("stopped.")
