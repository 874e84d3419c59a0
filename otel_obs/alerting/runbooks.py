"""What to do about each alert, as a page: written to docs/runbooks/ and shown by `otel-obs alerts runbook`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from otel_obs.alerting.rules import about
from otel_obs.contract.alerts import ALERTS, GROUPS
from otel_obs.contract.alerts.alert import Job, Severity
from otel_obs.contract.alerts.thresholds import THRESHOLDS, Thresholds, filled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_obs.contract.alerts.alert import Alert

_URGENCY: Final = {
    Severity.CRITICAL: "look now, at night too",
    Severity.WARNING: "look today",
    Severity.NONE: "nobody is told",
}
_ILL: Final = {Job.BOTS: "its bot", Job.COLLECTOR: "the collector", Job.STORE: "the store"}


def page(alert: Alert) -> str:
    """The runbook of one alert, in Markdown."""
    values = Thresholds().everywhere
    expression = filled(about("", alert.expression), values)
    lasting = filled(alert.lasting, values)
    for_ = "" if lasting == "0s" else f", for {lasting}"
    silent = f" Silent while {_ILL[alert.derives_from]} is down." if alert.derives_from else ""
    parts = [
        f"# {alert.name}",
        f"**{alert.severity}**: {_URGENCY[alert.severity]}. About: {alert.component}.{silent}",
        alert.runbook.meaning,
        f"> {alert.example}",
        "## First",
        _steps(_first(alert)),
        "## Causes",
        _points(alert.runbook.causes),
        "## Mend",
        _points(alert.runbook.mend),
        f"## Fires when{for_}",
        f"```promql\n{expression}\n```",
        *_thresholds(alert),
        f"**Verify** that its message reaches you: `otel-obs alerts test {alert.name}`.",
    ]
    return "\n\n".join(parts) + "\n"


def index() -> str:
    """All of them, with a line each."""
    lines = [
        f"| [{alert.name}]({alert.name}.md) | {alert.severity} | {alert.component} | {alert.runbook.meaning} |"
        for alert in ALERTS
    ]
    return (
        "# Runbooks\n\nWhat each alert means, and what to do first. `otel-obs alerts runbook NAME` shows the same.\n\n"
        "| alert | severity | about | meaning |\n|---|---|---|---|\n" + "\n".join(lines) + "\n"
    )


def _first(alert: Alert) -> list[str]:
    """The steps; the message's own command before them, unless one of them is about it."""
    command = _command(alert)
    report = " ".join(command.split()[:3])
    return [*([] if any(report in step for step in alert.runbook.first) else [f"`{command}`"]), *alert.runbook.first]


def _command(alert: Alert) -> str:
    """The first command, for somebody who has no message before them."""
    told = filled(alert.look, Thresholds().everywhere)
    return re.sub(r"\{\{.*?\}\}", "", told.replace("{{ with $labels.service }} --service {{ . }}", " --service BOT"))


def _thresholds(alert: Alert) -> list[str]:
    """Which thresholds it depends on, with their defaults."""
    records = next(group.records for group in GROUPS if alert in group.alerts)
    told = _with_records(f"{alert.expression} {alert.lasting}", records)
    names = dict.fromkeys(re.findall(r"<([a-z_]+)(?::s)?>", told))
    rows = [THRESHOLDS[name] for name in names if name in THRESHOLDS]
    if not rows:
        return []
    table = "\n".join(f"| `{row.name}` | {row.default} | {row.doc} |" for row in rows)
    return [f"| threshold | default | meaning |\n|---|---|---|\n{table}"]


def _with_records(told: str, records: Mapping[str, str]) -> str:
    """An expression, and those of what it reads that was recorded before."""
    further = [_with_records(expression, records) for name, expression in records.items() if f"{name}{{" in told]
    return " ".join((told, *further))


def _steps(texts: Sequence[str]) -> str:
    return "\n".join(f"{number}. {text}" for number, text in enumerate(texts, 1))


def _points(texts: Sequence[str]) -> str:
    return "\n".join(f"* {text}" for text in texts)
