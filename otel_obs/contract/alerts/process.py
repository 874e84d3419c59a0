"""Alerts on the bot as a process: alive, scraped, in time, without errors, with a right clock."""

from __future__ import annotations

from typing import Final

from otel_obs.contract import health_metrics as metrics
from otel_obs.contract.alerts.alert import Alert, Job, Runbook, Severity
from otel_obs.contract.alerts.promql import (
    AGE,
    SERVICE,
    WHO,
    at_least,
    counted,
    known_for,
    of,
    open_for,
    told,
)
from otel_obs.contract.dashboards import Dashboard

_UP: Final = f'up{{<bots>,job="{Job.BOTS}"}}'
_PERIODIC: Final = 'trigger="periodic_5m"'
_ERRORS: Final = f"sum without (kind) ({counted(metrics.ERRORS, '<error_window>')}) / <error_window:s>"
_THROTTLES: Final = f"sum without (venue) ({counted(metrics.THROTTLES, '<throttle_window>')})"


ALERTS: Final = (
    Alert(
        name="BotDown",
        severity=Severity.CRITICAL,
        component=Job.BOTS,
        expression=f"{_UP} == 0",
        lasting="<down_for>",
        summary=f"{WHO} does not answer",
        description="Prometheus could not read {{ $labels.instance }} for <down_for>. The bot has ended, hangs as a "
        "whole, or its machine or network is gone. Alerts about its feeds are silent while this one lasts.",
        look=f"otel-obs report decisions --from -1h{SERVICE}",
        example="Prometheus could not read 127.0.0.1:9464 for 1m. The bot has ended, hangs as a whole, or its machine "
        "or network is gone. Alerts about its feeds are silent while this one lasts.",
        example_labels={"service": "my-bot", "instance": "127.0.0.1:9464"},
        runbook=Runbook(
            meaning="Nobody answers where the bot's health is read. Open positions may be without anybody who watches "
            "them.",
            first=(
                "Check open positions and orders at the venue first: the bot does not.",
                (
                    "Is the process there? `systemctl status bot@NAME`, its log's last lines, and the kernel's for "
                    "out of memory."
                ),
                "`otel-obs report decisions --from -1h --service BOT`: what did it do last?",
            ),
            causes=(
                "It crashed, was killed for memory, or was stopped for a deploy.",
                "Its metrics port was taken: the bot's log tells it once at its start.",
            ),
            mend=(
                "Restart it once the cause is known.",
                "A bot that was retired: take it out of Prometheus's targets.",
            ),
        ),
        dashboard=Dashboard.HEALTH,
    ),
    Alert(
        name="HeartbeatLost",
        severity=Severity.CRITICAL,
        component=Job.BOTS,
        derives_from=Job.BOTS,
        expression=f"(\n  time() - {of(metrics.BEAT)} > "
        + at_least(
            f"<heartbeat_factor> * ({of(metrics.BEAT_EXPECTED)} or {of(metrics.BEAT)} * 0 + <heartbeat_default:s>)",
            "heartbeat_min",
        )
        + f"\n  or ({of(metrics.BEATS)} == 0\n"
        f"    and ignoring (loop) time() - {of(metrics.STARTED)} > <heartbeat_first:s>\n"
        f"    and {known_for(metrics.BEATS, '<heartbeat_first>')})\n)\n"
        f"{open_for('<heartbeat_first>', beside='loop')}",
        summary=f"{WHO}: loop {{{{ $labels.loop }}}} hangs",
        description=f"{{{{ if gt $value 0.0 }}}}The loop last came round {AGE} ago.{{{{ else }}}}The loop never "
        "came round since the bot started.{{ end }} The process still answers, but this loop makes no progress: look "
        "at its open orders and positions first.",
        look=f"otel-obs report slowest --from -1h{SERVICE}",
        example="The loop last came round 2m 0s ago. The process still answers, but this loop makes no progress: look "
        "at its open orders and positions first.",
        example_labels={"service": "my-bot", "loop": "main"},
        runbook=Runbook(
            meaning="The decision loop does not come round, though the process lives. Nothing is decided, no stop is "
            "moved.",
            first=(
                "Check open positions and orders at the venue: the bot does not.",
                "Where does it stand? `py-spy dump --pid PID` shows each thread's stack without stopping it.",
                "`otel-obs report slowest --from -1h --service BOT`: what took longest before?",
            ),
            causes=(
                "A call without a timeout (exchange, database, model).",
                "A deadlock, or an exception that ended the loop's thread and not the process.",
                "A loop that sleeps on purpose longer than `expected_every` says.",
            ),
            mend=(
                "Restart the bot (that may leave its orders open: look), and give the call a timeout.",
                "Correct `expected_every` if the pause was meant.",
            ),
        ),
        dashboard=Dashboard.HEALTH,
    ),
    Alert(
        name="BotMetricsAbsent",
        severity=Severity.WARNING,
        component=Job.BOTS,
        derives_from=Job.BOTS,
        expression=f"{_UP} == 1\nunless on (job, instance) {of(metrics.BUILD_INFO)}",
        lasting="<metrics_absent_for>",
        summary=f"{WHO} answers, but tells nothing of its health",
        description="{{ $labels.instance }} answers Prometheus without one metric of otel_obs for "
        "<metrics_absent_for>: no alert about this bot can fire.",
        look="otel-obs doctor",
        example="127.0.0.1:9464 answers Prometheus without one metric of otel_obs for 5m: no alert about this bot can "
        "fire.",
        example_labels={"service": "my-bot", "instance": "127.0.0.1:9464"},
        runbook=Runbook(
            meaning="Silence that looks like health: the target is up, and what all other alerts are computed from is "
            "not there.",
            first=(
                "`curl -s http://INSTANCE/metrics | grep otel_obs_`: nothing?",
                "Run `otel-obs doctor` in the bot's environment: is recording on?",
            ),
            causes=(
                "OTEL_OBS_DISABLED or OTEL_SDK_DISABLED is set.",
                "Another program listens on that port.",
                "The bot serves its own registry, and `obs.health.collector()` is not in it.",
            ),
            mend=("Switch recording on, or correct the target.",),
        ),
        dashboard=Dashboard.HEALTH,
    ),
    Alert(
        name="ErrorRateHigh",
        severity=Severity.WARNING,
        component=Job.BOTS,
        derives_from=Job.BOTS,
        expression=f"{_ERRORS} > <error_rate>",
        summary=f'{WHO}: {{{{ $value | printf "%.3g" }}}} errors per second',
        description=f"{told(metrics.ERRORS, 'kind', '<error_window>')} in <error_window>; too many is above "
        f"<error_rate> per "
        "second.",
        look=f"otel-obs report decisions --outcome failed --from -<error_window>{SERVICE}",
        example="exchange 40, TimeoutError 3 in 15m; too many is above 0.02 per second.",
        example_labels={"service": "my-bot"},
        runbook=Runbook(
            meaning="The bot tells many errors. It may go on, but what fails is not done.",
            first=(
                "The message names the most frequent kinds.",
                (
                    "`otel-obs report decisions --outcome failed --from -1h --service BOT`: did decisions fail, or "
                    "something beside them?"
                ),
                "The bot's log around the first of them.",
            ),
            causes=("A venue or a model that is down.", "An expired key.", "A deploy."),
            mend=("Mend what the most frequent kind names. Roll back a deploy of the same minutes.",),
        ),
        dashboard=Dashboard.HEALTH,
    ),
    Alert(
        name="Throttled",
        severity=Severity.WARNING,
        component=Job.BOTS,
        derives_from=Job.BOTS,
        expression=f"{_THROTTLES} > <throttle_max>",
        summary=f'{WHO} was slowed down {{{{ $value | printf "%.0f" }}}} times in <throttle_window>',
        description=f"{told(metrics.THROTTLES, 'venue', '<throttle_window>')} in <throttle_window>; more than "
        "<throttle_max> are too many.",
        look=f"otel-obs report stages --from -<throttle_window>{SERVICE}",
        example="binance 24 in 1h; more than 10 are too many.",
        example_labels={"service": "my-bot"},
        runbook=Runbook(
            meaning="A venue limits the bot's rate. Orders come late, and a ban may follow.",
            first=(
                "The message names the venue. Which calls does the bot make most?",
                "Does another program use the same key or address?",
            ),
            causes=("Polling where a stream would do.", "Retries without waiting.", "A second instance."),
            mend=("Ask less often, or use the stream. Stop the second instance.",),
        ),
        dashboard=Dashboard.HEALTH,
    ),
    Alert(
        name="EventLoopLagging",
        severity=Severity.WARNING,
        component=Job.BOTS,
        derives_from=Job.BOTS,
        expression=f"{of(metrics.LAG_MAX)} > <loop_lag_seconds>",
        summary=f'{WHO}: its event loop was {{{{ $value | printf "%.1f" }}}} s late',
        description="The largest delay of the asyncio event loop within five minutes was "
        '{{ $value | printf "%.1f" }} s; everything that the bot awaits comes that much too late.',
        look=f"otel-obs report slowest --from -15m{SERVICE}",
        example="The largest delay of the asyncio event loop within five minutes was 3.2 s; everything that the bot "
        "awaits comes that much too late.",
        example_labels={"service": "my-bot"},
        runbook=Runbook(
            meaning="Something blocks the event loop: a computation or a blocking call inside a coroutine.",
            first=(
                "`otel-obs report slowest --from -15m --service BOT`: which stage took that long?",
                "`py-spy dump --pid PID` while it lasts.",
            ),
            causes=("A model or indicator computed inside a coroutine.", "Blocking I/O.", "A machine that swaps."),
            mend=("Move it to a thread (`asyncio.to_thread`) or a process.",),
        ),
        dashboard=Dashboard.HEALTH,
    ),
    Alert(
        name="SnapshotOverdue",
        severity=Severity.WARNING,
        component=Job.BOTS,
        derives_from=Job.BOTS,
        expression=f"time() - {of(metrics.SNAPSHOT_TIME, _PERIODIC)} > <snapshot_overdue:s>\n"
        f"or ({of(metrics.SNAPSHOTS, _PERIODIC)} == 0\n"
        f"  and ignoring (trigger) time() - {of(metrics.STARTED)} > <snapshot_overdue:s>)",
        summary=f"{WHO} sends no health snapshots",
        description="{{ if gt $value 0.0 }}The last one was sent " + AGE + " ago{{ else }}None was sent since the start"
        "{{ end }}; one is due every five minutes. Reports on health have a hole.",
        look=f"otel-obs report freshness --from -2h{SERVICE}",
        example="The last one was sent 20m 0s ago; one is due every five minutes. Reports on health have a hole.",
        example_labels={"service": "my-bot"},
        runbook=Runbook(
            meaning="The bot's thread that sends snapshots has ended or hangs. Alerts go on, as Prometheus reads the "
            "bot itself; what is asked afterwards lacks these minutes.",
            first=("The bot's log: messages of otel_obs.", "Run `otel-obs doctor` in the bot's environment."),
            causes=("The process was suspended.", "`otel_obs.shutdown()` was called, and the bot went on."),
            mend=("Restart the bot when its market is closed.",),
        ),
        dashboard=Dashboard.HEALTH,
    ),
    Alert(
        name="ClockSkew",
        severity=Severity.WARNING,
        component=Job.BOTS,
        derives_from=Job.BOTS,
        expression=f"abs(timestamp({of(metrics.TIME)}) - {of(metrics.TIME)}) > <clock_skew_seconds>",
        lasting="<down_for>",
        summary=f'{WHO}: its clock is {{{{ $value | printf "%.0f" }}}} s off',
        description='The clocks of {{ $labels.instance }} and of Prometheus differ by {{ $value | printf "%.0f" }} '
        "s. Times of decisions, ages of feeds and windows of reports are wrong by as much.",
        look="otel-obs doctor",
        example="The clocks of 127.0.0.1:9464 and of Prometheus differ by 42 s. Times of decisions, ages of feeds and "
        "windows of reports are wrong by as much.",
        example_labels={"service": "my-bot", "instance": "127.0.0.1:9464"},
        runbook=Runbook(
            meaning="Two clocks disagree. Venues refuse requests whose time is off, and no report can be trusted to "
            "the second.",
            first=("`timedatectl` on both machines: which one is not synchronised?",),
            causes=("The time service is off.", "A virtual machine was paused and resumed."),
            mend=("Switch the time service on: `systemctl enable --now systemd-timesyncd`, or chrony.",),
        ),
        dashboard=Dashboard.HEALTH,
    ),
)
