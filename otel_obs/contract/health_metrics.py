"""HEALTH_METRICS: every metric of a bot's health once; AUDIT: what the audit's names are called in Prometheus."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

_PREFIX: Final = "otel_obs_"
Across = Literal["sum", "livesum", "max", "livemax", "livemin", "mostrecent", "livemostrecent"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One row. ``name`` is as it is scraped; ``across`` says what several processes' values become together."""

    name: str
    type: Literal["counter", "gauge"]
    doc: str
    labels: tuple[str, ...] = ()
    unit: str = ""
    across: Across = "mostrecent"


METRICS: Final[dict[str, Metric]] = {}


def _counter(name: str, doc: str, labels: str = "", *, unit: str = "") -> Metric:
    return _kept(
        Metric(name=_PREFIX + name, type="counter", doc=doc, labels=tuple(labels.split()), unit=unit, across="sum")
    )


def _gauge(
    name: str,
    doc: str,
    labels: str = "",
    *,
    unit: str = "",
    across: Across = "max",
) -> Metric:
    return _kept(
        Metric(name=_PREFIX + name, type="gauge", doc=doc, labels=tuple(labels.split()), unit=unit, across=across)
    )


def _otel(name: str, type_: Literal["counter", "gauge"], doc: str, labels: str = "") -> Metric:
    """A metric of OpenTelemetry's own SDK, as Prometheus names it."""
    across: Across = "sum" if type_ == "counter" else "livesum"
    told = ("otel_component_name", "otel_component_type", *labels.split())
    return _kept(Metric(name=f"otel_sdk_{name}", type=type_, doc=doc, labels=told, across=across))


def _kept(metric: Metric) -> Metric:
    METRICS[metric.name] = metric
    return metric


# The process ---------------------------------------------------------------------------------------------------------
BUILD_INFO: Final = _gauge(
    "build_info", "1; who this is: the bot's name, our version, Python's.", "service version python"
)
STARTED: Final = _gauge("start_timestamp_seconds", "When this process began to count.", unit="s", across="livemin")
TIME: Final = _gauge(
    "time_seconds",
    "The bot's wall clock when it is scraped; `abs(timestamp(x) - x)` is how far it is from Prometheus'.",
    unit="s",
    across="livemostrecent",
)
TRADING_OPEN: Final = _gauge(
    "trading_open",
    "1 while the bot's trading hours are open, 0 while they are closed; always 1 where none were given. Absent while "
    "the calendar is not known.",
    across="livemostrecent",
)
TRADING_OPENED: Final = _gauge(
    "trading_opened_timestamp_seconds",
    "When the present session opened. Absent while closed, and where it never closes.",
    unit="s",
    across="livemostrecent",
)

# Decisions, as the bot says them -------------------------------------------------------------------------------------
DECISIONS: Final = _counter("decisions_total", "Decisions that ended, by outcome.", "outcome")
DECISION_TIME: Final = _gauge(
    "decision_timestamp_seconds", "When the latest decision ended. Absent until there was one.", unit="s"
)
VETOES: Final = _counter(
    "vetoes_total",
    "Decisions that ended vetoed, by the gate that denied first. Their sum is the outcome `vetoed`.",
    "gate",
)
EVALUATIONS: Final = _counter("gate_evaluations_total", "Verdicts of each gate.", "gate verdict mode")
OBSERVED: Final = _gauge(
    "gate_observed", "The number that the gate saw last, in its own unit.", "gate", across="mostrecent"
)
THRESHOLD: Final = _gauge(
    "gate_threshold",
    "The limit it was held against: `upper`, `lower`, `equal`, or `named` where the verdict was the bot's own.",
    "gate bound",
    across="mostrecent",
)
GATE_INFO: Final = _gauge(
    "gate_info",
    "1; the unit of the gate's numbers, and how they are compared, as the bot said last.",
    "gate unit comparison",
    across="mostrecent",
)
EVALUATED: Final = _gauge(
    "gate_timestamp_seconds", "When the gate was evaluated last. Absent until it was.", "gate", unit="s"
)

# What the bot listens to ---------------------------------------------------------------------------------------------
SOURCE_SEEN: Final = _gauge(
    "source_seen", "1 once something came from the source, 0 before: never seen is not fresh.", "source kind"
)
SOURCE_UPDATED: Final = _gauge(
    "source_update_timestamp_seconds",
    "Event time of the newest update. Absent until there was one; its age is for a rule to tell.",
    "source kind",
    unit="s",
)
SOURCE_UPDATES: Final = _counter("source_updates_total", "Updates of the source.", "source kind")
SOURCE_EXPECTED: Final = _gauge(
    "source_expected_interval_seconds",
    "At least this often an update is expected. Absent where nothing was said.",
    "source kind",
    unit="s",
)
SOURCE_GAP: Final = _gauge(
    "source_gap_max_seconds",
    "Longest time between two updates within the last hour, from the opening where the market was closed between. "
    "Absent until there were two; a rule takes the larger of it and the present age.",
    "source kind",
    unit="s",
    across="livemax",
)
SOURCE_OPEN: Final = _gauge(
    "source_open",
    "1 while the source's trading hours are open, 0 while they are closed; always 1 where none were given. Absent "
    "while the calendar is not known.",
    "source kind",
    across="livemostrecent",
)
SOURCE_OPENED: Final = _gauge(
    "source_opened_timestamp_seconds",
    "When its present session opened: a rule takes the later of it and the newest update. Absent while closed, and "
    "where it never closes.",
    "source kind",
    unit="s",
    across="livemostrecent",
)
SOURCE_CONNECTED: Final = _gauge(
    "source_connected",
    "1 connected, 0 not. Absent where the bot never said. Being connected is not being fresh.",
    "source kind",
    across="mostrecent",
)
SOURCE_CONNECTION_CHANGED: Final = _gauge(
    "source_connection_timestamp_seconds",
    "When the source was connected or disconnected last.",
    "source kind",
    unit="s",
)
SOURCE_RECONNECTS: Final = _counter("source_reconnects_total", "Connections after the first one.", "source kind")

# What goes wrong -----------------------------------------------------------------------------------------------------
ERRORS: Final = _counter("errors_total", "Errors that the bot told, by kind.", "kind")
THROTTLES: Final = _counter("throttles_total", "Times that a venue slowed the bot down.", "venue")

# Alive ---------------------------------------------------------------------------------------------------------------
BEAT: Final = _gauge(
    "heartbeat_timestamp_seconds", "When the loop last came round. Absent until it did.", "loop", unit="s"
)
BEATS: Final = _counter("heartbeats_total", "Rounds of the loop.", "loop")
BEAT_EXPECTED: Final = _gauge(
    "heartbeat_expected_interval_seconds", "At least this often a round is expected.", "loop", unit="s"
)
LAG_CHECKS: Final = _counter("event_loop_lag_checks_total", "Times that the event loop's lag was measured.")
LAG_SECONDS: Final = _counter(
    "event_loop_lag_seconds_total", "Sum of the measured lags; by the number of checks it is their mean.", unit="s"
)
LAG_MAX: Final = _gauge(
    "event_loop_lag_max_seconds", "Largest lag measured within the last five minutes.", unit="s", across="livemax"
)
LAG_TIME: Final = _gauge("event_loop_check_timestamp_seconds", "When the lag was measured last.", unit="s")

# How records leave: absent where another SDK takes them -------------------------------------------------------------
RECORDS_PRODUCED: Final = _counter(
    "records_produced_total",
    "Records that the bot said. They are delivered, waiting, dropped, sampled or unconfirmed: nothing else.",
    "tier",
)
RECORDS_DELIVERED: Final = _counter("records_delivered_total", "Records that the receiver acknowledged.", "tier")
RECORDS_SAMPLED: Final = _counter("records_sampled_total", "Records that a sampler left out.", "tier")
RECORDS_DROPPED: Final = _counter("records_dropped_total", "Records that were lost, by reason.", "tier reason")
RECORDS_WAITING: Final = _gauge(
    "records_waiting", "Records that wait to be delivered, in the journal or in memory.", "tier", across="livesum"
)
RECORDS_UNCONFIRMED: Final = _gauge(
    "records_unconfirmed",
    "Records between the bot's threads and the journal: what a kill at this moment would cost.",
    "tier",
    across="livesum",
)
LEDGER_DIFFERENCE: Final = _gauge(
    "ledger_difference", "Records of which ledger and outbox disagree; 0 where all adds up.", across="livesum"
)
WAITING_SINCE: Final = _gauge(
    "waiting_oldest_timestamp_seconds",
    "Since when the oldest undelivered record waits. Absent where none does.",
    unit="s",
    across="livemin",
)
QUEUE_BYTES: Final = _gauge("queue_bytes", "Size of the queue in memory.", unit="By", across="livesum")
QUEUE_LIMIT: Final = _gauge("queue_limit_bytes", "Size that it may reach.", unit="By", across="livesum")
QUEUE_FILL: Final = _gauge(
    "queue_fill_ratio", "Share of the queue in use, by records or by bytes: the larger.", across="livemax"
)
QUEUE_SINCE: Final = _gauge(
    "queue_oldest_timestamp_seconds",
    "Since when the oldest record waits that the writer has not taken yet. Absent where none does.",
    unit="s",
    across="livemin",
)
KILL_SWITCH: Final = _gauge(
    "kill_switch", "1 while the queue is so full that only durable records are taken.", across="livemax"
)
KILL_SWITCHES: Final = _counter("kill_switch_activations_total", "Times that the kill switch went on.")
JOURNAL_STATE: Final = _gauge("journal_state", "1 for the state that the journal is in.", "state", across="livemax")
JOURNAL_BYTES: Final = _gauge("journal_bytes", "Size of the journal on disk.", unit="By", across="livesum")
JOURNAL_LIMIT: Final = _gauge("journal_limit_bytes", "Size that it may reach.", unit="By", across="livesum")
JOURNAL_SEGMENTS: Final = _gauge("journal_segments", "Files that it consists of.", across="livesum")
EXPORTER_STATE: Final = _gauge("exporter_state", "1 for the state that the sender is in.", "state", across="livemax")
EXPORTER_REQUESTS: Final = _counter("exporter_requests_total", "Attempts to send.")
EXPORTER_FAILURES: Final = _counter("exporter_failures_total", "Attempts that were not acknowledged.")
EXPORTER_FAILED_SINCE: Final = _gauge(
    "exporter_consecutive_failures", "Attempts that failed since the last that succeeded.", across="livemax"
)
EXPORTER_SUCCESS: Final = _gauge(
    "exporter_success_timestamp_seconds",
    "When the receiver last acknowledged. Absent until it did.",
    unit="s",
    across="livemax",
)
ADOPTED_PROCESSES: Final = _counter(
    "adopted_processes_total", "Dead processes of this service whose journals this one took over."
)
ADOPTED_UNCONFIRMED: Final = _counter(
    "adopted_unconfirmed_total", "Records that died with them: numbered, and in no journal."
)
ADOPTED_WAITING: Final = _gauge("adopted_waiting", "Records of theirs that still wait.", across="livesum")
VALUES_ALTERED: Final = _counter(
    "values_altered_total", "Values that could not be sent as they were, and what was made of them.", "reason"
)

_BOTH: Final = "Spans and log records alike, which share one queue."
OTEL_QUEUE_SIZE: Final = _otel("processor_span_queue_size", "gauge", f"Records in the queue in memory. {_BOTH}")
OTEL_QUEUE_CAPACITY: Final = _otel("processor_span_queue_capacity", "gauge", f"Records that it can hold. {_BOTH}")
OTEL_PROCESSED: Final = _otel(
    "processor_span_processed_total",
    "counter",
    f"Records that went from the queue to the exporter (no `error_type`), or were dropped before. {_BOTH}",
    "error_type",
)
OTEL_INFLIGHT: Final = _otel("exporter_span_inflight", "gauge", f"Records in requests on their way. {_BOTH}")
OTEL_EXPORTED: Final = _otel(
    "exporter_span_exported_total",
    "counter",
    f"Records that the receiver acknowledged (no `error_type`), or that were given up. {_BOTH}",
    "error_type",
)

# The same numbers as events ------------------------------------------------------------------------------------------
SNAPSHOTS: Final = _counter(
    "health_snapshots_total", "Health snapshots sent to the store. Absent where they are off.", "trigger"
)
SNAPSHOT_TIME: Final = _gauge(
    "health_snapshot_timestamp_seconds", "When the latest one was sent. Absent until it was.", "trigger", unit="s"
)


@dataclass(frozen=True, kw_only=True)
class Audited:
    """One name of the audit: a column of ``health_snapshots``; as a rule of Prometheus it has another."""

    column: str
    unit: str
    doc: str
    rule: str
    expression: str


_AGE: Final = f"time() - {SOURCE_UPDATED.name}"
# The age that a rule may complain of: from the opening, where the newest update is of before. {} takes a matcher.
OPEN_AGE: Final = f"time() - (({SOURCE_OPENED.name}{{}} > {SOURCE_UPDATED.name}{{}}) or {SOURCE_UPDATED.name}{{}})"
_SILENCE: Final = OPEN_AGE.replace("{}", "")

AUDIT: Final[tuple[Audited, ...]] = (
    Audited(
        column="ws_staleness_ms", unit="ms", rule="otel_obs:source_staleness:seconds", expression=_AGE,
        doc="Age of the newest update of the stalest websocket; NULL where none was ever seen. The rule: per source.",
    ),
    Audited(
        column="funding_staleness_sec", unit="s", rule="otel_obs:source_staleness:seconds", expression=_AGE,
        doc="The same of the funding rate (kind `funding`).",
    ),
    Audited(
        column="last_market_update_ms", unit="ms since the epoch", rule="",
        expression=f'max without (source, kind) ({SOURCE_UPDATED.name}{{kind!~"funding|other"}}) * 1000',
        doc="Event time of the newest update of any market data (every kind but `funding` and `other`).",
    ),
    Audited(
        column="market_data_gap_max_ms_1h", unit="ms", rule="otel_obs:source_gap:max_seconds1h",
        expression=f"({SOURCE_GAP.name} > ({_SILENCE})) or ({_SILENCE})",
        doc="Longest silence of any market data within the last hour, the present one included. The rule: per source.",
    ),
    Audited(
        column="ws_reconnect_count_1h", unit="1", rule="otel_obs:source_reconnects:increase1h",
        expression=f"increase({SOURCE_RECONNECTS.name}[1h])",
        doc="Connections after the first one, over all sources, within the last hour. The rule: per source.",
    ),
    Audited(
        column="order_reject_rate_1h", unit="share of 1", rule="otel_obs:rejection:ratio_rate1h",
        expression=f'sum without (outcome) (increase({DECISIONS.name}{{outcome="vetoed"}}[1h])) / '
        f'(sum without (outcome) (increase({DECISIONS.name}{{outcome=~"vetoed|executed|failed"}}[1h])) > 0)',
        doc="vetoed / (vetoed + executed + failed) within the last hour; absent, never 0, without candidates.",
    ),
    Audited(
        column="error_rate_15m", unit="errors per second", rule="otel_obs:errors:rate15m",
        expression=f"sum without (kind) (rate({ERRORS.name}[15m]))",
        doc="Errors of the last 15 minutes / 900 s, as `rate` of Prometheus has it.",
    ),
    Audited(
        column="throttle_events_1h", unit="1", rule="otel_obs:throttles:increase1h",
        expression=f"sum without (venue) (increase({THROTTLES.name}[1h]))",
        doc="Times that a venue slowed the bot down within the last hour.",
    ),
)  # fmt: skip

KINDS: Final = ("websocket", "orderbook", "trades", "candles", "rest", "funding", "other")
MARKET_KINDS: Final = frozenset(KINDS) - {"funding", "other"}
TRIGGERS: Final = {"periodic_5m": 300, "periodic_1h": 3_600, "periodic_24h": 86_400}  # seconds
ON_CHANGE: Final = "on_change"
STALE_AFTER: Final = 3  # times the expected interval
