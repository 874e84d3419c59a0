"""Alerts on alerting itself: nothing scraped, rules that fail, messages that do not arrive."""

from __future__ import annotations

from typing import Final

from otel_obs.contract.alerts.alert import Alert, Job, Runbook, Severity
from otel_obs.contract.dashboards import Dashboard

_WINDOW: Final = "[<monitoring_window>]"

ALERTS: Final = (
    Alert(
        name="NoBotScraped",
        severity=Severity.CRITICAL,
        component=Job.PROMETHEUS,
        expression=f'absent(up{{job="{Job.BOTS}"}})',
        lasting="<metrics_absent_for>",
        summary="Prometheus reads no bot at all",
        description="There is no target of the job bots for <metrics_absent_for>: no alert about any bot can fire.",
        look="otel-obs doctor",
        example="There is no target of the job bots for 5m: no alert about any bot can fire.",
        example_labels={"job": "bots"},
        runbook=Runbook(
            meaning="Silence that looks like health: nothing is watched.",
            first=("Prometheus's page *Status, Targets*: is the job there, and its file of targets?",),
            causes=("The file of targets is empty, or was moved.", "The job was renamed: it is called `bots`."),
            mend=("List each bot in the targets' file, with its `service`.",),
        ),
        dashboard=Dashboard.HEALTH,
    ),
    Alert(
        name="RuleFailing",
        severity=Severity.CRITICAL,
        component=Job.PROMETHEUS,
        expression=f"sum by (job, instance, rule_group) "
        f"(increase(prometheus_rule_evaluation_failures_total{_WINDOW})) > 0",
        summary="Prometheus cannot evaluate rules",
        description='{{ $value | printf "%.0f" }} evaluations of {{ $labels.rule_group }} failed in '
        "<monitoring_window>: its alerts may not fire.",
        look="otel-obs doctor",
        example="12 evaluations of /etc/prometheus/rules/bots.yml;otel_obs bots failed in 15m: its alerts may not "
        "fire.",
        example_labels={"rule_group": "/etc/prometheus/rules/bots.yml;otel_obs bots"},
        runbook=Runbook(
            meaning="A rule asks something that Prometheus refuses, mostly because two series have the same labels.",
            first=("Prometheus's page *Rules* shows the error beside the rule.",),
            causes=("Two targets with the same labels.", "A rule that was edited by hand."),
            mend=("Give each target its own instance; write the rules anew with `otel-obs alerts rules`.",),
        ),
        dashboard=Dashboard.HEALTH,
    ),
    Alert(
        name="AlertmanagerDown",
        severity=Severity.CRITICAL,
        component=Job.ALERTMANAGER,
        expression=f'up{{job="{Job.ALERTMANAGER}"}} == 0\nor prometheus_notifications_alertmanagers_discovered < 1',
        lasting="<down_for>",
        summary="Prometheus reaches no Alertmanager",
        description="Alerts fire and nobody is told. This one reaches you only by a second Alertmanager, or by "
        "whoever misses the Watchdog.",
        look="otel-obs doctor",
        example="Alerts fire and nobody is told. This one reaches you only by a second Alertmanager, or by whoever "
        "misses the Watchdog.",
        example_labels={"instance": "127.0.0.1:9093"},
        runbook=Runbook(
            meaning="The last hop is broken.",
            first=("Its process and log; `amtool check-config` on its file.",),
            causes=("A wrong configuration after a change.", "A wrong address in prometheus.yml."),
            mend=("Start it, then `otel-obs alerts test` until the message is there.",),
        ),
        dashboard=Dashboard.HEALTH,
    ),
    Alert(
        name="NotificationsFailing",
        severity=Severity.CRITICAL,
        component=Job.ALERTMANAGER,
        expression=f"sum by (job, instance, integration) "
        f"(increase(alertmanager_notifications_failed_total{_WINDOW})) > 0",
        summary="Messages by {{ $labels.integration }} do not arrive",
        description='{{ $value | printf "%.0f" }} attempts failed in <monitoring_window>.',
        look="otel-obs alerts test",
        example="6 attempts failed in 15m.",
        example_labels={"integration": "slack"},
        runbook=Runbook(
            meaning="Alertmanager cannot hand its messages over. What you read now came another way, or was tried "
            "again.",
            first=(
                "Alertmanager's log: the receiver's own answer stands there.",
                "`otel-obs alerts test` tries it now.",
            ),
            causes=("A webhook that was revoked.", "A channel that was archived.", "The network."),
            mend=("Make a new webhook, write it into the file that `api_url_file` names, and test it.",),
        ),
        dashboard=Dashboard.HEALTH,
    ),
    Alert(
        name="Watchdog",
        severity=Severity.NONE,
        component=Job.PROMETHEUS,
        expression="vector(1)",
        summary="Alerting is alive",
        description="This alert fires always. Have something outside of this machine miss it.",
        look="otel-obs alerts test",
        example="This alert fires always. Have something outside of this machine miss it.",
        runbook=Runbook(
            meaning="It says that rules are evaluated and that Alertmanager is told. It is not sent to people.",
            first=("If the service that expects it calls you: Prometheus or Alertmanager is down.",),
            causes=("Either of them, or the network to the service.",),
            mend=("Start what is down, then `otel-obs alerts test`.",),
        ),
        dashboard=Dashboard.HEALTH,
    ),
)
