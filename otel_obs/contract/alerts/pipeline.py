"""Alerts on the way from bots to the store: collector, queue, store."""

from __future__ import annotations

from typing import Final

from otel_obs.contract import health_metrics as metrics
from otel_obs.contract.alerts.alert import Alert, Job, Runbook, Severity
from otel_obs.contract.dashboards import Dashboard

_SIGNALS: Final = {"traces": "spans", "logs": "log_records", "metrics": "metric_points"}
_WINDOW: Final = "[<collector_window>]"
_HERE: Final = "job, instance, data_type"
_TO_STORE: Final = '{exporter!~"(debug|nop)(/.*)?"}'  # those take everything, and bring it nowhere
# That a series which was not there before `window` began at 0 within it, and is not just read for the first time.
_KNOWN: Final = (
    "on (job, instance) (up offset <collector_window> == 1 or otelcol_process_uptime < <collector_window:s>)"
)


def _grew(series: str) -> str:
    """By how much a counter grew; the collector shows none before its first count, which is growth, too."""
    born = f"{series} > 0 unless {series} offset <collector_window> and {_KNOWN}"
    return f"({born} or increase({series}{_WINDOW}) > 0)"


def _grown(name: str, which: str = "", by: str = _HERE) -> str:
    """That a counter grew, by signal."""
    each = (
        f'label_replace({_grew(f"{name}_{items}{which}")}, "data_type", "{signal}", "", "")'
        for signal, items in _SIGNALS.items()
    )
    return f"sum by ({by}) (\n  " + "\n  or ".join(each) + "\n)"


_QUEUED: Final = "otelcol_exporter_queue_size"
_QUEUE: Final = f"{_HERE}, exporter"
_SENT: Final = _grew(f"otelcol_exporter_sent_spans{_TO_STORE}")
_TAKEN: Final = f'increase(otel_obs_store_bodies_total{{signal="traces",result="stored"}}{_WINDOW}) > 0'

ALERTS: Final = (
    Alert(
        name="CollectorDown",
        severity=Severity.CRITICAL,
        component=Job.COLLECTOR,
        expression=f'up{{job="{Job.COLLECTOR}"}} == 0',
        lasting="<down_for>",
        summary="The collector {{ $labels.instance }} does not answer",
        description="Prometheus could not read it for <down_for>. Bots keep what they say in their journals, within "
        "their bounds; they trade on. While this lasts, alerts that follow from it are silent: DecisionsNotDelivered, "
        "JournalGrowing and those on the collector's queue.",
        look="otel-obs doctor",
        example="Prometheus could not read it for 1m. Bots keep what they say in their journals, within their bounds; "
        "they trade on. While this lasts, alerts that follow from it are silent: DecisionsNotDelivered, JournalGrowing "
        "and those on the collector's queue.",
        example_labels={"instance": "127.0.0.1:8888"},
        runbook=Runbook(
            meaning="Nothing that bots say reaches the store. Bots are not harmed; what their journals cannot "
            "hold is lost, the cheapest first.",
            first=(
                "`systemctl status otelcol`, or `docker compose ps collector`, and its log's last lines.",
                "Is the disk of its queue full? `df -h` there.",
            ),
            causes=(
                "Killed for memory.",
                "A change of its configuration: `otelcol validate --config …` tells.",
                "Its disk.",
            ),
            mend=("Start it again. What lies in its queue is sent by itself, and counted once.",),
        ),
        dashboard=Dashboard.PIPELINE,
    ),
    Alert(
        name="CollectorMetricsAbsent",
        severity=Severity.WARNING,
        component=Job.COLLECTOR,
        derives_from=Job.COLLECTOR,
        expression=f'up{{job="{Job.COLLECTOR}"}} == 1\nunless on (job, instance) {_QUEUED}',
        lasting="<metrics_absent_for>",
        summary="The collector {{ $labels.instance }} tells nothing of its queue",
        description="It answers, but otelcol_exporter_queue_size is not among its metrics for <metrics_absent_for>: "
        "alerts on its queue cannot fire.",
        look="otel-obs doctor",
        example="It answers, but otelcol_exporter_queue_size is not among its metrics for 5m: alerts on its queue "
        "cannot fire.",
        example_labels={"instance": "127.0.0.1:8888"},
        runbook=Runbook(
            meaning="Silence that looks like health: what alerts on the collector are computed from is not there.",
            first=("`curl -s http://INSTANCE/metrics | grep otelcol_exporter_queue`: nothing, or another name?",),
            causes=("A version that names its metrics otherwise.", "A configuration without a sending queue."),
            mend=("Use the collector and the configuration that come with this project.",),
        ),
        dashboard=Dashboard.PIPELINE,
    ),
    Alert(
        name="CollectorQueueFilling",
        severity=Severity.WARNING,
        component=Job.COLLECTOR,
        derives_from=Job.STORE,
        expression=f"max by (job, instance, data_type) ({_QUEUED} / otelcol_exporter_queue_capacity) > <queue_ratio>",
        summary="The collector's queue of {{ $labels.data_type }} is {{ $value | humanizePercentage }} full",
        description="Above 100% bots are refused, and drop what they cannot hold. It fills when the store takes less "
        "than bots say, or nothing.",
        look="otel-obs doctor",
        example="Above 100% bots are refused, and drop what they cannot hold. It fills when the store takes less than "
        "bots say, or nothing.",
        example_labels={"instance": "127.0.0.1:8888", "data_type": "traces"},
        runbook=Runbook(
            meaning="More comes in than goes out. Nothing is lost yet.",
            first=(
                "Is the store there, and how fast does it take? `otel-obs store size`, and its log.",
                "Is there room on the disk of the queue? The queue must be full before its disk is.",
            ),
            causes=("The store is away, slow, or out of disk.", "A bot that says far more than before."),
            mend=(
                "Mend the store: the queue empties by itself.",
                "Enlarge it for a while: COLLECTOR_QUEUE_BYTES, with that much room on its disk for each signal.",
            ),
        ),
        dashboard=Dashboard.PIPELINE,
    ),
    Alert(
        name="CollectorRefusing",
        severity=Severity.CRITICAL,
        component=Job.COLLECTOR,
        derives_from=Job.STORE,
        expression=f"{_grown('otelcol_receiver_refused')}\nor\n{_grown('otelcol_exporter_enqueue_failed')}",
        summary="The collector refuses {{ $labels.data_type }}",
        description='{{ $value | printf "%.0f" }} records were turned away in <collector_window>. Bots send them '
        "again while they can hold them, and then drop them.",
        look="otel-obs doctor",
        example="4000 records were turned away in 5m. Bots send them again while they can hold them, and then drop "
        "them.",
        example_labels={"instance": "127.0.0.1:8888", "data_type": "traces"},
        runbook=Runbook(
            meaning="The collector has no room: its queue or its memory is full.",
            first=(
                "CollectorQueueFilling fires, too? Then the store is the cause.",
                "Else it is memory: COLLECTOR_MEMORY_MIB against what the process uses.",
            ),
            causes=("The store is away for longer than the queue holds.", "A burst larger than its memory."),
            mend=("Mend the store first.", "Give it more memory or a larger queue."),
        ),
        dashboard=Dashboard.PIPELINE,
    ),
    Alert(
        name="CollectorExportFailing",
        severity=Severity.CRITICAL,
        component=Job.COLLECTOR,
        derives_from=Job.STORE,
        expression=f"min by ({_QUEUE}) (min_over_time({_QUEUED}{_WINDOW})) > 0\n"
        f"and count by ({_QUEUE}) ({_QUEUED} offset <collector_window>)\n"
        f"unless {_grown('otelcol_exporter_sent', _TO_STORE, by=_QUEUE)}",
        summary="The collector brings no {{ $labels.data_type }} to the store",
        description="Records wait in its queue, and none was stored for <collector_window>. Nothing is lost until the "
        "queue is full. Bots trade on.",
        look="otel-obs doctor",
        example="Records wait in its queue, and none was stored for 5m. Nothing is lost until the queue is full. Bots "
        "trade on.",
        example_labels={"instance": "127.0.0.1:8888", "data_type": "traces"},
        runbook=Runbook(
            meaning="The store does not take what the collector sends. This exporter takes no error for final: a "
            "wrong password or a missing table is tried for ever, and its log tells it at the level info only.",
            first=(
                "The collector's log: the text after `Exporting failed. Will retry` is the store's own answer.",
                "`otel-obs doctor` sends a marked record and says where it stays.",
            ),
            causes=(
                "The store is away, or its disk is full.",
                "The schema is not there or older: `otel-obs migrate --dry-run` tells.",
                "A wrong OTEL_OBS_USER or OTEL_OBS_PASSWORD.",
            ),
            mend=("Correct what the store answers; the queue is then sent by itself.",),
        ),
        dashboard=Dashboard.PIPELINE,
    ),
    Alert(
        name="DecisionsNotDelivered",
        severity=Severity.CRITICAL,
        component=Job.COLLECTOR,
        derives_from=Job.COLLECTOR,
        expression=f"sum(increase({metrics.DECISIONS.name}{_WINDOW})) > 0\n"
        f"unless sum({_SENT} or {_TAKEN})\n"
        f'and on () count(up{{job=~"{Job.COLLECTOR}|{Job.STORE}"}} == 1)',
        lasting="<collector_window>",
        summary="Bots decide, and nothing reaches the store",
        description='{{ $value | printf "%.0f" }} decisions were made in <collector_window>, and neither collector '
        "nor store took one record.",
        look="otel-obs doctor",
        example="240 decisions were made in 5m, and neither collector nor store took one record.",
        runbook=Runbook(
            meaning="Bots work, collector and store answer, and still nothing arrives: the way between them is broken.",
            first=("Run `otel-obs doctor` in a bot's environment: it sends a marked record and says where it stays.",),
            causes=(
                "OTEL_EXPORTER_OTLP_ENDPOINT points elsewhere, or a firewall is between.",
                "HTTP is spoken to the gRPC port, or the reverse.",
            ),
            mend=("Correct the endpoint and restart the bot. Until then it drops what it cannot hold, and counts it.",),
        ),
        dashboard=Dashboard.PIPELINE,
    ),
    Alert(
        name="StoreDown",
        severity=Severity.CRITICAL,
        component=Job.STORE,
        expression=f'up{{job="{Job.STORE}"}} == 0',
        lasting="<down_for>",
        summary="The store {{ $labels.instance }} does not answer",
        description="Prometheus could not read it for <down_for>. The collector's queue holds what arrives; reports "
        "and dashboards have no answers. Alerts on the collector's queue are silent while this lasts.",
        look="otel-obs doctor",
        example="Prometheus could not read it for 1m. The collector's queue holds what arrives; reports and "
        "dashboards have no answers. Alerts on the collector's queue are silent while this lasts.",
        example_labels={"instance": "127.0.0.1:9363"},
        runbook=Runbook(
            meaning="ClickHouse (or `otel-obs up`) is not reachable. Nothing is lost while the collector's queue has "
            "room.",
            first=(
                "Its process and log: `systemctl status clickhouse-server`, or `docker compose logs clickhouse`.",
                "`df -h` on its disk.",
                "How long is there? The queue's fill: `curl -s http://COLLECTOR:8888/metrics | grep queue_size`.",
            ),
            causes=("Disk full.", "Killed for memory by one heavy query.", "An upgrade."),
            mend=("Make room (`otel-obs store retention`), start it; the collector goes on by itself.",),
        ),
        dashboard=Dashboard.PIPELINE,
    ),
)
