"""The rules that Prometheus evaluates: ALERTS and what they record, with the thresholds of one file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import yaml

from otel_obs.contract.alerts import GROUPS
from otel_obs.contract.alerts.alert import DASHBOARD, LOOK, RUNBOOK
from otel_obs.contract.alerts.thresholds import filled
from otel_obs.contract.health_metrics import AUDIT

if TYPE_CHECKING:
    from otel_obs.contract.alerts import Group
    from otel_obs.contract.alerts.alert import Alert
    from otel_obs.contract.alerts.thresholds import Thresholds

NAMES: Final = ("audit.yml", *(f"{group.name}.yml" for group in GROUPS))
_BOTS: Final = "<bots>"
_HEAD: Final = """\
# Written by `otel-obs alerts rules` from its table of alerts and a file of thresholds: change those, not this.
"""


def files(thresholds: Thresholds) -> dict[str, str]:
    """Name → content of each file of rules."""
    written = {"audit.yml": _file([_audit(thresholds)])}
    for group in GROUPS:
        bots = [*thresholds.services, None] if group.by_service else [None]
        written[f"{group.name}.yml"] = _file([_group(group, thresholds, service) for service in bots])
    return written


def _file(groups: list[dict[str, Any]]) -> str:
    return _HEAD + yaml.dump({"groups": groups}, Dumper=_Dumper, sort_keys=False, width=100_000, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Expressions of several lines stay readable."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _audit(thresholds: Thresholds) -> dict[str, Any]:
    """The audit's figures, under names as Prometheus gives them."""
    rules = {row.rule: row.expression for row in AUDIT if row.rule}
    return {
        "name": "otel_obs audit",
        "interval": thresholds.everywhere["evaluation_interval"],
        "rules": [{"record": name, "expr": expression} for name, expression in rules.items()],
    }


def _group(group: Group, thresholds: Thresholds, service: str | None) -> dict[str, Any]:
    values = thresholds.of(service)
    which = _matcher(thresholds, service) if group.by_service else ""
    records = [
        {"record": name, "expr": filled(about(which, expression), values)} for name, expression in group.records.items()
    ]
    return {
        "name": f"otel_obs {group.name}" + (f" {service}" if service is not None else ""),
        "interval": values["evaluation_interval"],
        "rules": [*records, *(rule(alert, values, which) for alert in group.alerts)],
    }


def _matcher(thresholds: Thresholds, service: str | None) -> str:
    """The bots that a group is about: one, or all that have no group of their own."""
    if service is not None:
        return f'service="{_quoted(service)}"'
    others = "|".join(re.escape(name) for name in thresholds.services)
    return f'service!~"{_quoted(others)}"' if others else ""


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def about(which: str, expression: str) -> str:
    """``expression`` of those bots only that the matcher ``which`` names; of all where it is empty."""
    if which:
        return expression.replace(_BOTS, which)
    return expression.replace(f"{{{_BOTS}}}", "").replace(f"{_BOTS},", "")


def rule(alert: Alert, values: dict[str, str], which: str = "") -> dict[str, Any]:
    """One alert as a rule."""
    lasting = filled(alert.lasting, values)
    dashboard = f"{values['grafana'].rstrip('/')}/d/{alert.dashboard}" if values["grafana"] else ""
    return {
        "alert": alert.name,
        "expr": filled(about(which, alert.expression), values),
        **({} if lasting == "0s" else {"for": lasting}),
        "labels": alert.labels,
        "annotations": {
            "summary": filled(alert.summary, values),
            "description": filled(alert.description, values),
            LOOK: filled(alert.look, values),
            RUNBOOK: f"{values['runbooks'].rstrip('/')}/{alert.name}.md",
            **({DASHBOARD: dashboard} if dashboard else {}),
        },
    }
