"""Alerts on what a bot decides: too many vetoes, one gate that stops everything, silence."""

from __future__ import annotations

from typing import Final

from otel_obs.contract import health_metrics as metrics
from otel_obs.contract.alerts.alert import Alert, Job, Runbook, Severity
from otel_obs.contract.alerts.promql import (
    AGE,
    AT,
    LAST_SEEN,
    SERVICE,
    WHO,
    asked,
    candidates,
    counted,
    gates,
    hours,
    increase,
    known_for,
    number,
    of,
    open_for,
    record,
    vetoed,
)
from otel_obs.contract.dashboards import Dashboard
from otel_obs.contract.gates import Mode, Verdict
from otel_obs.contract.outcome import Outcome

_BURST: Final = "otel_obs:rejection:ratio_burst"
_BURST_CANDIDATES: Final = "otel_obs:candidates:increase_burst"
_BASELINE: Final = "otel_obs:rejection:ratio_baseline"
_BEFORE: Final = "<burst_baseline> offset <burst_window>"
RECORDS: Final = {
    _BURST_CANDIDATES: f"{candidates('<burst_window>')} >= <burst_min_decisions>",
    _BURST: f"{vetoed('<burst_window>')} / {record(_BURST_CANDIDATES)}",
    _BASELINE: f"{vetoed(_BEFORE)} / ({candidates(_BEFORE)} >= <burst_baseline_decisions>)",
}
_RISE: Final = f"({record(_BURST)} - {record(_BASELINE)})"
_DEVIATION: Final = f"sqrt({record(_BASELINE)} * (1 - {record(_BASELINE)}) / {record(_BURST_CANDIDATES)})"

_VETOED: Final = f'outcome="{Outcome.VETOED}"'
_ENFORCED: Final = f'mode="{Mode.ENFORCE}"'
_DENY: Final = f'verdict="{Verdict.DENY}"'
_NO_DENY: Final = f'verdict!="{Verdict.DENY}"'
_DENIED: Final = f"sum without (verdict, mode) ({counted(metrics.EVALUATIONS, '<gate_window>', _DENY, _ENFORCED)})"
_LET_PASS: Final = increase(metrics.EVALUATIONS, "<gate_window>", _NO_DENY, _ENFORCED, without="verdict, mode")

ALERTS: Final = (
    Alert(
        name="RejectionRateHigh",
        severity=Severity.WARNING,
        component=Job.BOTS,
        expression=f"{vetoed('<rejection_window>')}\n"
        f"  / ({candidates('<rejection_window>')} >= <rejection_min_decisions>)\n"
        "  > <rejection_ratio>\n"
        f"and {known_for(metrics.DECISIONS, '<rejection_window>', _VETOED, without='outcome')}\n"
        f"{open_for('<rejection_window>')}",
        summary=f"{WHO}: its own gates refused {{{{ $value | humanizePercentage }}}} of its trades in "
        f"<rejection_window>",
        description=f"{gates('<rejection_window>')}. Told above {{{{ <rejection_ratio> | humanizePercentage }}}}; "
        "decisions to hold do not count. If the market is really like that, the gates do their work.",
        look=f"otel-obs report why --from -<rejection_window>{SERVICE}",
        example="spread_guard denied 28 of 30; last observed 16.7 bps, allowed at most 5 bps. volatility_guard denied "
        "2 of 30; last observed 0.9, allowed at most 0.5. Told above 80%; decisions to hold do not count. If the "
        "market is really like that, the gates do their work.",
        example_labels={"service": "my-bot"},
        runbook=Runbook(
            meaning="Of what the bot wanted to trade, its own gates refused nearly everything, for a long time. The "
            "bot works and sees its market, and trades nothing. Rate = vetoed / (vetoed + executed + failed).",
            first=(
                "Read which gate denied most, and what it saw last against its limit: both stand in the message.",
                (
                    "`otel-obs report gates --from -2h --service BOT`: is what it sees far beyond the limit (the "
                    "market changed), or just beyond (the limit is tight)?"
                ),
                "`otel-obs report changes --from -2h --service BOT`: did a limit change, or what is observed?",
            ),
            causes=(
                "The market is out of bounds: wide spread, high volatility, thin book.",
                "A limit was changed, or is in another unit than what is held against it.",
                "What the gate observes is stale or wrong: look for SourceStale of the same bot.",
            ),
            mend=(
                "A market condition: leave the gate alone, and silence this alert until the session ends.",
                (
                    "A wrong limit: correct it in the bot's configuration. `otel-obs report near-misses` shows what "
                    "another limit would have let through."
                ),
            ),
        ),
        dashboard=Dashboard.WHY,
    ),
    Alert(
        name="RejectionBurst",
        severity=Severity.WARNING,
        component=Job.BOTS,
        expression=f"{record(_BURST)}\nand {_RISE} > <burst_rise>\nand {_RISE} > <burst_sigmas> * {_DEVIATION}\n"
        f"unless {of(metrics.TRADING_OPEN)} == 0",
        summary=f"{WHO}: suddenly {{{{ $value | humanizePercentage }}}} of its trades are refused",
        description=f"{gates('<burst_window>')}. That is within <burst_window>; in the <burst_baseline> before it was "
        f"{number(_BASELINE + '{%s} * 100', form='%.0f%%')}.",
        look=f"otel-obs report changes --from -<burst_window>{SERVICE}",
        example="spread_guard denied 13 of 15; last observed 16.7 bps, allowed at most 5 bps. That is within 15m; in "
        "the 1d before it was 20%.",
        example_labels={"service": "my-bot"},
        runbook=Runbook(
            meaning="The share of refused trades rose far above this bot's own usual share, by more than chance "
            "explains. Something changed within the last minutes.",
            first=(
                (
                    "`otel-obs report changes --from -15m --service BOT`: which gate, which limit, which observed "
                    "value moved?"
                ),
                "Look at the market itself: news, an auction, a halted venue.",
                "`otel-obs report co-denials --from -15m --service BOT`: one gate alone, or several together?",
            ),
            causes=(
                "The market moved.",
                "A deploy or a change of configuration within these minutes.",
                "A feed that one gate depends on went stale.",
            ),
            mend=(
                "After a deploy: roll it back.",
                "If the new share is right, the baseline follows within a day, and the alert ends by itself.",
            ),
        ),
        dashboard=Dashboard.WHY,
    ),
    Alert(
        name="GateDeniesEverything",
        severity=Severity.WARNING,
        component=Job.BOTS,
        expression=f"{_DENIED} >= <gate_min_evaluations>\nunless {_LET_PASS} > 0\n"
        f"and {known_for(metrics.EVALUATIONS, '<gate_window>', _DENY, _ENFORCED, without='verdict, mode')}\n"
        f"{open_for('<gate_window>', beside='gate')}",
        summary=f"{WHO}: gate {{{{ $labels.gate }}}} denied everything for <gate_window>",
        description=f"{AT}{{{{ $gate := $labels.gate }}}}{{{{ $gate }}}} denied all {{{{ $value | printf "
        f'"%.0f" }}}} candidates that it saw in <gate_window>{LAST_SEEN}.',
        look=f"otel-obs report gates --from -<gate_window>{SERVICE}",
        example="spread_guard denied all 24 candidates that it saw in 30m; last observed 16.7 bps, allowed at most 5 "
        "bps.",
        example_labels={"service": "my-bot", "gate": "spread_guard"},
        runbook=Runbook(
            meaning="One enforced gate lets nothing pass. While it does, this bot cannot trade whatever the others "
            "say.",
            first=(
                "Compare what it saw last with its limit, in the message: same unit, same order of magnitude?",
                "`otel-obs report gates --from -1d --service BOT`: since when, and was it ever passing?",
                "`otel-obs report freshness --from -1h --service BOT`: is what it observes still updated?",
            ),
            causes=(
                "An observed value that stands still (0, NaN, yesterday's) because its feed died.",
                "A limit in the wrong unit after a change of configuration.",
                "A kill switch or a risk budget that is used up: then it does what it should.",
            ),
            mend=(
                "Mend the feed or the limit; the alert ends when the gate has passed once.",
                "To let the bot trade without it, set its mode to shadow in the bot: it is still recorded.",
            ),
        ),
        dashboard=Dashboard.GATES,
    ),
    Alert(
        name="NoDecisions",
        severity=Severity.WARNING,
        component=Job.BOTS,
        derives_from=Job.BOTS,
        expression=f"time() - ({of(metrics.DECISION_TIME)} or {of(metrics.STARTED)}) > <no_decisions_after:s>\n"
        f"{open_for('<no_decisions_after>')}",
        summary=f"{AT}{WHO} is alive, {hours(metrics.TRADING_OPEN.name + '{%s}')}, and it decides nothing",
        description=f"{AT}{{{{ if {asked(metrics.DECISION_TIME.name + '{%s}')} }}}}The last decision ended {AGE} ago, "
        f"and {number('sum(' + metrics.DECISIONS.name + '{%s})')} ended since the process "
        f"started.{{{{ else }}}}Nothing was decided since the process started {AGE} ago.{{{{ end }}}}"
        " It is told after <no_decisions_after>.",
        look=f"otel-obs report why --from -1d{SERVICE}",
        example="The last decision ended 1h 5m 0s ago, and 412 ended since the process started. It is told after 1h.",
        example_labels={"service": "my-bot"},
        runbook=Runbook(
            meaning="The process answers and its market is open, but no decision ended for a long time: not even one "
            "to hold. Either nothing gives it cause to decide, or the path to its decisions is broken.",
            first=(
                (
                    "`otel-obs report why --from -1d --service BOT`: cycles that were idle, and why (no_data, stale, "
                    "no_signal, closed), or no cycles at all?"
                ),
                "No cycles: the loop hangs or waits; look for HeartbeatLost and at the bot's log.",
                "Idle for no_data or stale: look at `otel-obs report freshness`.",
            ),
            causes=(
                "A strategy that seldom has a signal: then `no_decisions_after` is too short for this bot.",
                "An upstream feed gives nothing.",
                "A bot that waits on a lock, a login or a rate limit.",
            ),
            mend=(
                "Set `services: {BOT: {no_decisions_after: 30h}}` in the thresholds file for a slow bot.",
                "Tie the bot to its market's hours with `obs.health.trading_hours(…)` if it was closed.",
            ),
        ),
        dashboard=Dashboard.WHY,
    ),
)
