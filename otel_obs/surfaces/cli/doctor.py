"""`otel-obs doctor`: which settings are in force and where they come from, and what is wrong."""

from __future__ import annotations

import json
import os
import re
import socket
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import click
from rich.text import Text

from otel_obs import settings
from otel_obs.errors import SettingError
from otel_obs.surfaces.cli.render import console

_EXTRAS: Final = {"grpc": "opentelemetry.exporter.otlp.proto.grpc", "query": "clickhouse_connect", "local": "chdb"}
_CONNECT_SECONDS: Final = 1.0
_PASSWORD: Final = re.compile(r"//[^/@\s]*@")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    about: str
    found: str
    ok: bool = True
    fix: str = ""


def _shown(value: object) -> str:
    """A setting as it may be shown to others, for whom its passwords are not."""
    return _PASSWORD.sub("//…@", str(value))


def _settings() -> list[Finding]:
    findings = []
    for row in settings.SETTINGS:
        variable = next((name for name in row.variables if name in os.environ), None)
        if row.name == "enabled" and settings.sdk_disabled():
            variable = settings.SDK_DISABLED
        try:
            value = getattr(settings.resolve({variable: os.environ[variable]} if variable else {}), row.name)
        except SettingError as error:
            findings.append(
                Finding(about=row.name, found=_shown(os.environ[variable or ""]), ok=False, fix=_shown(error))
            )
            continue
        source = f"from {variable}" if variable else f"default; {row.variables[0]}"
        findings.append(Finding(about=row.name, found=f"{_shown(repr(value))}  ({source})"))
    return findings


def _switches() -> list[Finding]:
    findings = []
    if settings.sdk_disabled():
        findings.append(
            Finding(
                about="recording", found="off: OTEL_SDK_DISABLED=true", ok=False,
                fix="Another framework may have asked for it, to stop its own phoning home. Unset it, or pass "
                "configure(enabled=True) and set that framework's own switch.",
            )
        )  # fmt: skip
    if os.environ.get("OTEL_OBS_DISABLED", "").strip().lower() in {"1", "true", "yes", "on"}:
        findings.append(
            Finding(about="recording", found="off: OTEL_OBS_DISABLED", ok=False, fix="Unset OTEL_OBS_DISABLED.")
        )
    return findings or [Finding(about="recording", found="on")]


def _reachable(endpoint: str) -> Finding:
    about = "OTLP endpoint"
    try:
        parts = urlsplit(endpoint)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        with socket.create_connection((parts.hostname or "", port), timeout=_CONNECT_SECONDS):
            pass
    except (OSError, ValueError) as error:
        return Finding(
            about=about, found=f"nobody answers at {_shown(endpoint)}: {error}", ok=False,
            fix="Start the store with `otel-obs up`, or point OTEL_EXPORTER_OTLP_ENDPOINT at a collector.",
        )  # fmt: skip
    if port == 4317:  # noqa: PLR2004 - OTLP/gRPC's port
        return Finding(
            about=about, found="4317 is the port of OTLP over gRPC, and HTTP is spoken", ok=False,
            fix="Use port 4318, or set OTEL_EXPORTER_OTLP_PROTOCOL=grpc with `pip install 'otel-obs[grpc]'`.",
        )  # fmt: skip
    return Finding(about=about, found=f"{parts.hostname}:{port} answers")


def _protocol() -> list[Finding]:
    chosen = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "")
    if chosen == "grpc" and not _installed("opentelemetry.exporter.otlp.proto.grpc"):
        return [
            Finding(
                about="protocol", found="OTEL_EXPORTER_OTLP_PROTOCOL=grpc without its package", ok=False,
                fix="pip install 'otel-obs[grpc]', or unset it: HTTP is spoken then.",
            )
        ]  # fmt: skip
    return [Finding(about="protocol", found=chosen or "http/protobuf")]


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _extras() -> list[Finding]:
    missing = "not installed: pip install 'otel-obs[{}]'"
    return [
        Finding(about=f"extra {name}", found="installed" if _installed(module) else missing.format(name))
        for name, module in _EXTRAS.items()
    ]


def _directory(data: Path) -> Finding:
    from otel_obs.store.embedded.directory import running_at

    running = running_at(data)
    if running:
        return Finding(about="data", found=f"{data} is served by process {running.pid} at {running.clickhouse_url}")
    return Finding(about="data", found=f"{data} is held by nobody" if data.exists() else f"{data} does not exist yet")


def examine(data: Path | None) -> list[Finding]:
    """Look at everything; never raises."""
    findings = [*_switches(), *_settings()]
    try:
        endpoint = settings.resolve(enabled=True).endpoint
    except SettingError:
        endpoint = ""
    if endpoint and os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") != "grpc":
        findings.append(_reachable(endpoint))
    findings += [*_protocol(), *_extras()]
    if data is not None and _installed("chdb"):
        findings.append(_directory(data))
    return findings


@click.command()
@click.option("--data", metavar="DIR", type=click.Path(path_type=Path), help="Look at this data directory, too.")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
@click.pass_context
def doctor(context: click.Context, data: Path | None, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """Tell which settings are in force, and what keeps records from arriving. Exit code 1 if anything does."""
    findings = examine(data)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        out = console()
        for finding in findings:
            _show(out, finding)
    if not all(finding.ok for finding in findings):
        context.exit(1)


def _show(out: Any, finding: Finding) -> None:
    mark = ("ok   ", "green") if finding.ok else ("wrong", "bold red")
    out.print(Text.assemble(mark, f"  {finding.about:<18} {finding.found}"))
    if finding.fix:
        out.print(Text(f"       {'':<18} {finding.fix}"))
