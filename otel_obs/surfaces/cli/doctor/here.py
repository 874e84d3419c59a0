"""What is settled in this environment: whether anything is recorded, each setting and its source, what is installed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from otel_obs import settings
from otel_obs.errors import SettingError
from otel_obs.surfaces.cli.doctor.finding import Hop, at, installed, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_obs.surfaces.cli.doctor.finding import Finding

_EXTRAS: Final = {"grpc": "opentelemetry.exporter.otlp.proto.grpc", "query": "clickhouse_connect", "local": "chdb"}
_finding: Final = at(Hop.HERE)


def here() -> Iterator[Finding]:
    """Look at the environment."""
    yield from _switches()
    yield from _settings()
    for name, module in _EXTRAS.items():
        missing = f"not installed: pip install 'otel-obs[{name}]'"
        yield _finding(f"extra {name}", "installed" if installed(module) else missing)


def is_off() -> bool:
    """Whether a bot in this environment records nothing."""
    return settings.sdk_disabled() or os.environ.get("OTEL_OBS_DISABLED", "").strip().lower() in {
        "1", "true", "yes", "on",
    }  # fmt: skip


def _switches() -> Iterator[Finding]:
    if settings.sdk_disabled():
        yield _finding(
            "recording", "off: OTEL_SDK_DISABLED=true", ok=False,
            fix="Another framework may have asked for it, to stop its own phoning home. Unset it, or pass "
            "configure(enabled=True) and set that framework's own switch.",
        )  # fmt: skip
    elif is_off():
        yield _finding("recording", "off: OTEL_OBS_DISABLED", ok=False, fix="Unset OTEL_OBS_DISABLED.")
    else:
        yield _finding("recording", "on")


def _settings() -> Iterator[Finding]:
    for row in settings.SETTINGS:
        variable = next((name for name in row.variables if name in os.environ), None)
        if row.name == "enabled" and settings.sdk_disabled():
            variable = settings.SDK_DISABLED
        try:
            value = getattr(settings.resolve({variable: os.environ[variable]} if variable else {}), row.name)
        except SettingError as error:
            told = "unreadable" if row.secret else os.environ[variable or ""]
            yield _finding(row.name, told, ok=False, fix=str(error))
            continue
        source = f"from {variable}" if variable else f"default; {row.variables[0]}"
        yield _finding(row.name, f"{shown(row.shown(value))}  ({source})")
