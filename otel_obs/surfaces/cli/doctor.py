"""`otel-obs doctor`: which settings are in force and where they come from, and what is wrong."""

from __future__ import annotations

import json
import os
import re
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import click
from rich.text import Text

from otel_obs import query, settings
from otel_obs.errors import OtelObsError, SettingError
from otel_obs.sdk import protocol
from otel_obs.surfaces.cli.exits import FAILED
from otel_obs.surfaces.cli.render import console
from otel_obs.surfaces.cli.spoken import spoken

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
        findings.append(Finding(about=row.name, found=f"{_shown(row.shown(value))}  ({source})"))
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


def _ways(wanted: settings.Settings) -> list[protocol.Way]:
    """How the signals leave; once where all leave alike."""
    return list(dict.fromkeys(protocol.way(wanted, signal) for signal in protocol.SIGNALS))


def _reachable(way: protocol.Way) -> Finding:
    about = "OTLP endpoint"
    try:
        parts = urlsplit(way.place if "//" in way.place else f"//{way.place}")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        with socket.create_connection((parts.hostname or "", port), timeout=_CONNECT_SECONDS):
            pass
    except (OSError, ValueError) as error:
        return Finding(
            about=about, found=f"nobody answers at {_shown(way.place)}: {error}", ok=False,
            fix="Start the store with `otel-obs up`, or point OTEL_EXPORTER_OTLP_ENDPOINT at a collector.",
        )  # fmt: skip
    at = f"{parts.hostname}:{port}"
    there = spoken(parts.hostname or "", port) if parts.scheme != "https" else frozenset()
    wanted = "grpc" if way.protocol == protocol.GRPC else "http"
    if not there or wanted in there:
        return Finding(about=about, found=f"{at} answers")
    if wanted == "http":
        return Finding(
            about=about, found=f"{at} speaks gRPC, and {way.protocol} is sent there", ok=False,
            fix="Use the port of OTLP over HTTP (4318 as a rule), or set OTEL_EXPORTER_OTLP_PROTOCOL=grpc with "
            "`pip install 'otel-obs[grpc]'`.",
        )  # fmt: skip
    return Finding(
        about=about, found=f"{at} speaks HTTP, and gRPC is sent there", ok=False,
        fix="Use the port of OTLP over gRPC (4317 as a rule), or unset OTEL_EXPORTER_OTLP_PROTOCOL: then HTTP is sent.",
    )  # fmt: skip


def _spoken_by_us(way: protocol.Way) -> Finding:
    if way.protocol == protocol.GRPC and not _installed("opentelemetry.exporter.otlp.proto.grpc"):
        return Finding(
            about="protocol", found=f"{protocol.VARIABLE}=grpc without its package", ok=False,
            fix="pip install 'otel-obs[grpc]', or unset it: HTTP is spoken then.",
        )  # fmt: skip
    if not way.is_understood:
        return Finding(
            about="protocol", found=f"{way.asked} was asked for, and {way.protocol} is sent", ok=False,
            fix=f"Set {protocol.VARIABLE} to {protocol.HTTP} or {protocol.GRPC}, or unset it.",
        )  # fmt: skip
    return Finding(about="protocol", found=way.protocol)


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


def _directory(data: Path) -> list[Finding]:
    from otel_obs.store.embedded.directory import running_at

    running = running_at(data)
    if running is None:
        how = "is served by nobody" if data.exists() else "does not exist yet"
        return [Finding(about="data", found=f"{data} {how}")]
    served = f"{data} is served by process {running.pid}, which is asked at {running.clickhouse_url}"
    hint = f"Bots send there with OTEL_EXPORTER_OTLP_ENDPOINT={running.otlp_url}"
    return [Finding(about="data", found=served, fix=hint), _store(None, data)]


def _store(url: str | None, data: Path | None) -> Finding:
    """Ask the store that the commands would ask: whether it answers, and when its latest record is."""
    try:
        with query.connect(url, data=data) as store:
            latest = store.why(from_="now", to="now").rows[0].latest_record
    except OtelObsError as error:
        return Finding(about="store", found=error.what, ok=False, fix=error.fix)
    told = f"the latest record is of {latest:%Y-%m-%d %H:%M:%S} UTC" if latest else "nothing recorded yet"
    return Finding(about="store", found=f"answers; {told}")


def examine(data: Path | None) -> list[Finding]:
    """Look at everything; never raises."""
    findings = [*_switches(), *_settings()]
    found = None
    with suppress(SettingError):
        found = settings.resolve(enabled=True)
        ways = _ways(found)
        findings += [*map(_reachable, ways), *map(_spoken_by_us, ways)]
    findings += _extras()
    place = data or (Path(found.data) if found and found.data else None)
    if place is not None and _installed("chdb"):
        findings += _directory(place)
    elif found and found.url:
        findings.append(_store(found.url, None))
    return findings


@click.command()
@click.option(
    "--data",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Look at the store in this directory (OTEL_OBS_DATA), too.",
)
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
        context.exit(FAILED)


def _show(out: Any, finding: Finding) -> None:
    mark = ("ok   ", "green") if finding.ok else ("wrong", "bold red")
    out.print(Text.assemble(mark, f"  {finding.about:<18} {finding.found}"))
    if finding.fix:
        out.print(Text(f"       {'':<18} {finding.fix}"))
