"""Alerts on what a bot listens to: stale, never seen, interrupted, reconnecting."""

from __future__ import annotations

from typing import Final

from otel_obs.contract import health_metrics as metrics
from otel_obs.contract.alerts.alert import Alert, Job, Runbook, Severity
from otel_obs.contract.alerts.promql import (
    AGE,
    AT,
    SERVICE,
    SOURCE,
    WHO,
    asked,
    at_least,
    counted,
    hours,
    known_for,
    of,
    record,
)
from otel_obs.contract.dashboards import Dashboard

_SOURCE_AGE: Final = "otel_obs:source_age:seconds"
_SOURCE_EXPECTED: Final = "otel_obs:source_expected:seconds"
_CHATTY: Final = 'kind=~"websocket|orderbook|trades"'
RECORDS: Final = {
    _SOURCE_AGE: metrics.OPEN_AGE.replace("{}", "{<bots>}"),
    _SOURCE_EXPECTED: f"{of(metrics.SOURCE_EXPECTED)} or "
    f"{of(metrics.SOURCE_SEEN, _CHATTY)} * 0 + <source_default_interval:s>",
}
_STALE: Final = (
    f"{record(_SOURCE_AGE)} > {at_least('<source_stale_factor> * ' + record(_SOURCE_EXPECTED), 'source_stale_min')}"
)
_CLOSED: Final = f"{of(metrics.SOURCE_OPEN)} == 0"
_SUBJECT: Final = f"{WHO}: {{{{ $labels.kind }}}} {{{{ $labels.source }}}}"
_HOURS: Final = hours(metrics.SOURCE_OPEN.name + "{%s,source=%q}", "$labels.source")
_EXPECTED_EVERY: Final = (
    f"{{{{ with {asked(_SOURCE_EXPECTED + '{%s,source=%q}', '$labels.source')} }}}}"
    "{{ . | first | value | humanizeDuration }}{{ end }}"
)
_STARTED_AGO: Final = (
    f"{{{{ with {asked('time() - ' + metrics.STARTED.name + '{%s}')} }}}} "
    "{{ . | first | value | humanizeDuration }} ago{{ end }}"
)
_CONNECTION: Final = (
    f"{{{{ with {asked(metrics.SOURCE_CONNECTED.name + '{%s,source=%q}', '$labels.source')} }}}}"
    "{{ if eq (. | first | value) 1.0 }} The bot says that it is connected.{{ else }} The bot says that it is "
    "disconnected.{{ end }}{{ end }}"
)

ALERTS: Final = (
    Alert(
        name="SourceStale",
        severity=Severity.CRITICAL,
        component=Job.BOTS,
        derives_from=Job.BOTS,
        expression=f"{_STALE}\nunless {_CLOSED}",
        summary=f"{_SUBJECT} is silent for {AGE}",
        description=f"{AT}The newest update is {AGE} old; one is expected every "
        f"{_EXPECTED_EVERY}, "
        f"and {_HOURS}. Whatever the bot decides now rests on old data: look at its open orders and positions "
        f"first.{_CONNECTION}",
        look=f"otel-obs report freshness --from -2h{SERVICE}{SOURCE}",
        example="The newest update is 1m 30s old; one is expected every 1s, and its market is open. Whatever the bot "
        "decides now rests on old data: look at its open orders and positions first. The bot says that it is "
        "connected.",
        example_labels={"service": "my-bot", "source": "ws:btcusdt", "kind": "websocket"},
        runbook=Runbook(
            meaning="A source gave nothing new for several times the interval that was expected, while its market is "
            "open. Times are event times: a feed that repeats old data is stale, too.",
            first=(
                "Look at its open orders and positions at the venue: the bot moves them by what it believes.",
                (
                    "Connected, says the message? Then the venue or the subscription is silent; disconnected: the "
                    "network or the login."
                ),
                "`otel-obs report freshness --from -2h --service BOT`: this source alone, or all of one venue?",
                "Look at the venue's status page, and at the bot's log around the last update.",
            ),
            causes=(
                "The venue has trouble, or ended the subscription without closing the connection.",
                "The bot's reader hangs: look for HeartbeatLost or EventLoopLagging.",
                "A clock that is wrong: look for ClockSkew.",
                "A holiday that the bot does not know: no trading hours were given for the source.",
            ),
            mend=(
                "Restart the connection, or the bot, if the venue is well.",
                'Give the source its hours (`hours="XNYS"`) or a longer `expected_every`, if silence was normal.',
            ),
        ),
        dashboard=Dashboard.HEALTH,
    ),
    Alert(
        name="SourceNeverSeen",
        severity=Severity.CRITICAL,
        component=Job.BOTS,
        derives_from=Job.BOTS,
        expression=f"{of(metrics.SOURCE_SEEN)} == 0\n"
        f"and ignoring (source, kind) time() - {of(metrics.STARTED)} > <source_never_seen_after:s>\n"
        f"unless {of(metrics.SOURCE_OPENED)} > time() - <source_never_seen_after:s>\n"
        f"unless {_CLOSED}\n"
        f"and {known_for(metrics.SOURCE_SEEN, '<source_never_seen_after>')}",
        summary=f"{_SUBJECT} never gave anything",
        description=f"{AT}Nothing came from it since the bot started{_STARTED_AGO}, and {_HOURS}.{_CONNECTION}",
        look=f"otel-obs report freshness --from -2h{SERVICE}{SOURCE}",
        example="Nothing came from it since the bot started 10m 0s ago, and its market is open. The bot says that it "
        "is disconnected.",
        example_labels={"service": "my-bot", "source": "ws:btcusdt", "kind": "websocket"},
        runbook=Runbook(
            meaning="The bot named a source at its start, and not one update came. A check that only asks for the age "
            "of the last update would call this healthy.",
            first=(
                "Read the bot's log right after its start: login, subscription, name of the symbol.",
                "`otel-obs report freshness --from -2h --service BOT`: did the other sources come?",
            ),
            causes=(
                "A wrong symbol or channel: many venues confirm it and send nothing.",
                "Missing rights of the key.",
                "The code never calls `seen()` for it.",
            ),
            mend=("Correct the subscription and restart the bot.",),
        ),
        dashboard=Dashboard.HEALTH,
    ),
    Alert(
        name="SourceGap",
        severity=Severity.WARNING,
        component=Job.BOTS,
        derives_from=Job.BOTS,
        expression=f"{of(metrics.SOURCE_GAP)} > "
        f"{at_least('<source_gap_factor> * ' + record(_SOURCE_EXPECTED), 'source_gap_min')}\n"
        f"unless {_STALE}\n"
        f"unless {_CLOSED}",
        summary=f"{_SUBJECT} was silent for {AGE} within the last hour",
        description=f"{AT}Updates come again, but the longest silence of the last hour was {AGE}; one is expected "
        f"every {_EXPECTED_EVERY}. What was computed over that time has a hole.",
        look=f"otel-obs report freshness --from -2h{SERVICE}{SOURCE}",
        example="Updates come again, but the longest silence of the last hour was 2m 0s; one is expected every 1s. "
        "What was computed over that time has a hole.",
        example_labels={"service": "my-bot", "source": "ws:btcusdt", "kind": "websocket"},
        runbook=Runbook(
            meaning="The source is fresh now, but had a hole within the hour. Indicators over that time lack data.",
            first=(
                "`otel-obs report freshness --from -2h --service BOT`: one hole, or many?",
                "`otel-obs report decisions --from -2h --service BOT`: what was decided during it?",
            ),
            causes=("A reconnect that took long.", "A venue's short outage.", "A bot that was paused or swapped out."),
            mend=(
                "Fill the hole from the venue's history if indicators need it. The alert ends an hour after the hole.",
            ),
        ),
        dashboard=Dashboard.HEALTH,
    ),
    Alert(
        name="SourceReconnectStorm",
        severity=Severity.WARNING,
        component=Job.BOTS,
        derives_from=Job.BOTS,
        expression=f"({counted(metrics.SOURCE_RECONNECTS, '<reconnect_window>')}) > <reconnect_max>\n"
        f"unless {_CLOSED}\n"
        f"unless {of(metrics.SOURCE_OPENED)} > time() - <reconnect_window:s>",
        summary=f'{_SUBJECT} reconnected {{{{ $value | printf "%.0f" }}}} times in <reconnect_window>',
        description=f'{AT}{{{{ $value | printf "%.0f" }}}} reconnects in <reconnect_window>; more than '
        f"<reconnect_max> are a "
        f"storm.{{{{ with {asked(metrics.SOURCE_GAP.name + '{%s,source=%q}', '$labels.source')} }}}}"
        ' The longest silence of the last hour was {{ . | first | value | printf "%.0f s" }}.{{ end }}',
        look=f"otel-obs report freshness --from -2h{SERVICE}{SOURCE}",
        example="12 reconnects in 10m; more than 5 are a storm. The longest silence of the last hour was 9 s.",
        example_labels={"service": "my-bot", "source": "ws:btcusdt", "kind": "websocket"},
        runbook=Runbook(
            meaning="The connection is made and lost again and again. Each time messages may be missed, and venues "
            "ban who reconnects too often.",
            first=(
                "The bot's log: which close code or error ends the connection?",
                "Look for Throttled of the same bot.",
            ),
            causes=(
                "The venue limits connections or messages.",
                "A missing pong: the reader is too slow (EventLoopLagging).",
                "Two instances with one key that push each other out.",
            ),
            mend=("Wait longer between attempts (exponentially); stop the second instance.",),
        ),
        dashboard=Dashboard.HEALTH,
    ),
)
