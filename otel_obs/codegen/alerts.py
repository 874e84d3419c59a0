"""deploy/prometheus/rules/ with the thresholds beside them, and docs/runbooks/."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from otel_obs.alerting import rules, runbooks, thresholds
from otel_obs.codegen.pages import page
from otel_obs.contract.alerts import ALERTS

if TYPE_CHECKING:
    from collections.abc import Callable

_THRESHOLDS: Final = Path(__file__).resolve().parents[2] / "deploy" / "prometheus" / "thresholds.yaml"


def alerts() -> dict[str, Callable[[], str]]:
    """File → what it holds."""
    return {
        **{f"deploy/prometheus/rules/{name}": partial(_rules, name) for name in rules.NAMES},
        **{f"docs/runbooks/{alert.name}.md": partial(_runbook, alert.name) for alert in ALERTS},
        "docs/runbooks/README.md": lambda: page(runbooks.index().rstrip()),
    }


@cache
def _written() -> dict[str, str]:
    return rules.files(thresholds.read(_THRESHOLDS))


def _rules(name: str) -> str:
    return _written()[name]


def _runbook(name: str) -> str:
    return page(runbooks.page(next(alert for alert in ALERTS if alert.name == name)).rstrip())
