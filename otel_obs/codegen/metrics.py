"""docs/reference/metrics.md: what a bot's /metrics says, and what the audit's names are called there."""

from __future__ import annotations

from typing import Final

from otel_obs.codegen.pages import page, table
from otel_obs.contract.health_metrics import AUDIT, KINDS, METRICS, STALE_AFTER

_HEAD: Final = """\
# Metrics

What Prometheus scrapes of a bot that set `metrics_port` (`OTEL_OBS_METRICS_PORT`, off unless given; 9464 is usual) or
mounted `otel_obs.health.asgi_app()`, `wsgi_app()` or `collector()`. All is *times and counts*: ages and rates are for
rules to compute, as a bot that hangs cannot make its own age grow. What never happened has no timestamp (an absent
series), and is told apart: `otel_obs_source_seen` is 0, a counter stands at 0.

Labels are closed sets. Outcomes and verdicts stand at 0 from the start, triggers once snapshots are sent; so do gates
made with `@obs.gate` and whatever `otel_obs.health.declare(gates=…, errors=…, throttles=…, loops=…)` names. What
is not declared appears when it first happens, and `increase()` does not see that first time. Beyond 100 gates or 50
other names the label is `other`; beyond 100 sources, a source is refused and named in the log."""

_ACROSS: Final = """\
## Several processes of one bot

With `PROMETHEUS_MULTIPROC_DIR` set before the bot starts (an empty directory), forked workers write their numbers there
and whichever answers tells all of them together; the column *across processes* says how. `live…` wants
`prometheus_client.multiprocess.mark_process_dead(pid)` where a worker ends, as its documentation tells. What
the time alone changes (gauges of the last hour, whether a market is open) the process that answers brings up to date
for itself; the others do each second while they send snapshots."""

_AUDIT: Final = """\
## The audit's names

They are columns of `health_snapshots`, which the bot sends by itself; Prometheus has its own rules for names."""


def metrics() -> str:
    """Every metric, from HEALTH_METRICS and AUDIT."""
    rows = [
        (f"`{row.name}`", row.type, ", ".join(f"`{label}`" for label in row.labels), row.unit, row.across, row.doc)
        for row in METRICS.values()
    ]
    names = [
        (f"`{row.column}`", row.unit, f"`{row.rule}`" if row.rule else "", f"`{row.expression}`", row.doc)
        for row in AUDIT
    ]
    kinds = ", ".join(f"`{kind}`" for kind in KINDS)
    return page(
        _HEAD,
        f"Kinds of sources: {kinds}. A source is stale after {STALE_AFTER} times its expected interval.",
        table(("name", "type", "labels", "unit", "across processes", "meaning"), rows),
        _ACROSS,
        _AUDIT,
        table(("column", "unit", "recording rule", "in Prometheus", "meaning"), names),
    )
