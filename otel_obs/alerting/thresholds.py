"""The operator's file of thresholds: read, and written as it is without any wish."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import yaml

from otel_obs.contract.alerts.thresholds import SERVICES, THRESHOLDS, Thresholds
from otel_obs.errors import SettingError

if TYPE_CHECKING:
    from pathlib import Path

_HEAD: Final = """\
# What alerts depend on. Change a value, then write the rules anew and have Prometheus read them:
#   otel-obs alerts rules --thresholds thresholds.yaml --into rules/ && curl -X POST http://127.0.0.1:9090/-/reload
# What is left out has the value that stands here. Times are written as Prometheus writes them: 30s, 5m, 1h30m, 2d.
"""
_TAIL: Final = f"""
# A bot that is unlike the others has its own, by its `service`:
# {SERVICES}:
#   daily-bot:
#     no_decisions_after: 30h
#     rejection_min_decisions: 5
"""


def read(file: Path) -> Thresholds:
    """The thresholds of ``file``.

    Raises:
        SettingError: it cannot be read, is no map, or holds what is no threshold.

    """
    try:
        found: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingError(
            f"{file} cannot be read: {error.strerror}.", fix="`otel-obs alerts thresholds` prints one to begin with."
        ) from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingError(f"{file} is no YAML: {error}", fix="Each line is `name: value`.") from None
    if not isinstance(found, dict | None):
        raise SettingError(f"{file} is no map of thresholds.", fix="Each line is `name: value`.")
    try:
        return Thresholds(found)
    except SettingError as error:
        raise SettingError(f"{file}: {error.what}", fix=error.fix) from None


def defaults() -> str:
    """The file as it is without any wish, with what each value means."""
    lines = [f"\n# {row.doc}\n{row.name}: {row.default or chr(34) * 2}\n" for row in THRESHOLDS.values()]
    return _HEAD + "".join(lines) + _TAIL
