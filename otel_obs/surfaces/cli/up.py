"""`otel-obs up`: the store as one process."""

from __future__ import annotations

import os
import re
import signal
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from otel_obs import settings
from otel_obs.errors import MissingExtraError, SettingError, StoreError

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
_COUNT: Final = click.IntRange(1)
_SIZE: Final = re.compile(r"(\d+)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_UNITS: Final = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
_DIRECTORY: Final = click.Path(file_okay=False, path_type=Path)
_FILE: Final = click.Path(dir_okay=False, path_type=Path)


def _port_option(name: str, default: int, doc: str) -> Callable[[Any], Any]:
    return click.option(
        f"--{name}-port", metavar="PORT", type=_PORT, default=default, show_default=True,
        help=f"{doc} 0 = any free port.",
    )  # fmt: skip


def _address(_context: click.Context, _option: click.Parameter, text: str) -> str:
    if text.lower() != "localhost":
        try:
            ip_address(text)
        except ValueError:
            raise click.BadParameter(
                f"{text!r} is no address of this machine, such as 192.168.1.5 or 0.0.0.0"
            ) from None
    return text


def _size(_context: click.Context, _option: click.Parameter, text: str | None) -> int | None:
    if text is None:
        return None
    found = _SIZE.fullmatch(text.strip())
    if found is None or not int(found[1]):
        raise click.BadParameter(f"{text!r} is no size: write 800M or 4G")
    return int(found[1]) << _UNITS[found[2].upper()]


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _password(file: Path | None, setting: str) -> str:
    """The password in ``file``, else that of the settings: never an option's value, which every user may see."""
    if file is None:
        return str(getattr(settings.resolve(enabled=True), setting))
    try:
        return settings.secret_in(file)
    except ValueError as error:
        raise SettingError(f"The password cannot be read: {error}.", fix="Its first line is the password.") from None


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
@click.option(
    "--host",
    metavar="ADDRESS",
    default="127.0.0.1",
    show_default=True,
    callback=_address,
    help="Listen there; any address but loopback needs a password.",
)
@click.option(
    "--accept-host",
    "accept_hosts",
    metavar="NAME",
    multiple=True,
    help="Answer to this Host name, too. May be repeated.",
)
@click.option(
    "--password-file",
    metavar="FILE",
    type=_FILE,
    help="Its first line is the password of `default`, who reads and writes (OTEL_OBS_PASSWORD, …_PASSWORD_FILE).",
)
@click.option(
    "--reader-password-file",
    metavar="FILE",
    type=_FILE,
    help="Likewise of `reader`, who only reads (OTEL_OBS_READER_PASSWORD, …_PASSWORD_FILE).",
)
@click.option("--max-query-seconds", metavar="N", type=_COUNT, help="Longest time of a query.  [default: 60]")
@click.option("--max-result-rows", metavar="N", type=_COUNT, help="Most rows of an answer.  [default: 10000000]")
@click.option(
    "--max-query-memory",
    metavar="SIZE",
    callback=_size,
    help="Most memory of a query, such as 4G.  [default: all together take half of the machine's]",
)
@click.option(
    "--max-queries", metavar="N", type=_COUNT, help="Most queries at once.  [default: one for each core, at least 4]"
)
def up(
    *,
    data: Path | None,
    otlp_port: int,
    clickhouse_port: int,
    web_port: int,
    otlp_grpc_port: int | None,
    ports_file: Path | None,
    host: str,
    accept_hosts: tuple[str, ...],
    password_file: Path | None,
    reader_password_file: Path | None,
    max_query_seconds: int | None,
    max_result_rows: int | None,
    max_query_memory: int | None,
    max_queries: int | None,
) -> None:
    """Start the store on this machine: one process, no Docker. Ctrl-C or SIGTERM stops it, nothing is lost."""
    try:
        from otel_obs.store.embedded.credentials import Credentials
        from otel_obs.store.embedded.limits import Limits
        from otel_obs.store.embedded.server import Access, Ports, Server
    except ImportError:
        raise MissingExtraError("`otel-obs up`", extra="local") from None

    credentials = Credentials(
        password=_password(password_file, "store_password"),
        reader_password=_password(reader_password_file, "reader_password"),
    )
    access = Access(host=host, accept_hosts=accept_hosts, credentials=credentials)
    limits = Limits(
        **_given(seconds=max_query_seconds, rows=max_result_rows, memory=max_query_memory, queries=max_queries)
    )
    # Blocked in every thread that starts from here on, and taken by sigwait: the engine installs handlers of its own.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    place = data or default_data()
    ports = Ports(otlp=otlp_port, clickhouse=clickhouse_port, web=web_port, otlp_grpc=otlp_grpc_port)
    server = Server(place, ports, access=access, limits=limits)
    try:
        at = server.addresses
        click.echo(f"store       {place}")
        click.echo(f"OTLP/HTTP   {at.otlp_url}   (OTEL_EXPORTER_OTLP_ENDPOINT)")
        click.echo(f"OTLP/gRPC   {at.otlp_grpc_url or 'off: ' + server.grpc_is_off}")
        click.echo(f"ClickHouse  {at.clickhouse_url}   (OTEL_OBS_URL)")
        click.echo(f"health      {at.web_url}/healthz /readyz /metrics")
        click.echo(
            f"password    {'needed' if credentials.are_needed else 'none: every user of this machine may come in'}"
        )
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
