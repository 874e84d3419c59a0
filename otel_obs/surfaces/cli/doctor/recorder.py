"""The bot's own recorder, by the bot's metrics: what became of its records, and what keeps it from its work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_obs.alerting.asking import samples
from otel_obs.contract import health_metrics as metrics
from otel_obs.contract.tiers import Tier
from otel_obs.surfaces.cli.doctor.finding import Hop, at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otel_obs.contract.health_metrics import Metric
    from otel_obs.surfaces.cli.doctor.finding import Finding

_ABOUT: Final = "bot's recorder"
_ILL: Final = frozenset({"full", "disk_full", "unwritable"})
_finding: Final = at(Hop.PROMETHEUS)


def recorder(text: str) -> Iterator[Finding]:
    """Tell what ``text``, a bot's metrics, says of its recorder; nothing where another SDK takes its records.

    Raises:
        UnansweredError: it is no text of metrics.

    """

    def total(metric: Metric, **labels: str) -> float:
        return sum(value for of, value in samples(text, metric.name) if labels.items() <= of.items())

    if not samples(text, metrics.RECORDS_PRODUCED.name):
        return
    waiting = total(metrics.RECORDS_WAITING) + total(metrics.ADOPTED_WAITING)
    dropped, durable = total(metrics.RECORDS_DROPPED), total(metrics.RECORDS_DROPPED, tier=Tier.DURABLE)
    yield _finding(
        _ABOUT,
        f"{total(metrics.RECORDS_PRODUCED):.0f} records since its start: {total(metrics.RECORDS_DELIVERED):.0f} "
        f"delivered, {waiting:.0f} waiting, {dropped:.0f} dropped ({durable:.0f} durable)",
        fix="`otel-obs report delivery` says which, and why." if dropped else "",
    )
    state = next((of["state"] for of, value in samples(text, metrics.JOURNAL_STATE.name) if value), "off")
    if state in _ILL:
        name = "JournalNearFull" if state == "full" else "JournalUnwritable"
        yield _finding("bot's journal", state, ok=False, fix=f"`otel-obs alerts runbook {name}` tells what to do.")
    if total(metrics.KILL_SWITCH):
        yield _finding(
            "bot's kill switch", "on: only durable records are taken", ok=False,
            fix="`otel-obs alerts runbook KillSwitchOn` tells what to do; it goes off by itself.",
        )  # fmt: skip
    if difference := total(metrics.LEDGER_DIFFERENCE):
        yield _finding(
            "bot's ledger", f"{difference:.0f} records are in no place that it knows", ok=False,
            fix="Look again: on their way they may be between two places. If it stays, `otel-obs alerts runbook "
            "LedgerDoesNotAddUp`.",
        )  # fmt: skip
