"""Every name on the wire, once: a constant, its meaning, type, unit and stability. No literal stands elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

SCOPE: Final = "otel_obs"
SCHEMA_VERSION: Final = "1"

Kind = Literal["string", "double", "int", "boolean", "string[]", "double[]", "map", "decimal", "any"]


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """One attribute: where it stands, what it holds. ``map`` is written as one JSON-object string."""

    name: str
    on: tuple[str, ...]
    type: Kind
    doc: str
    unit: str = ""
    stability: Literal["stable", "experimental"] = "stable"


ATTRIBUTES: Final[dict[str, Attribute]] = {}


def _attribute(
    name: str,
    on: str,
    kind: Kind,
    doc: str,
    *,
    unit: str = "",
    stability: Literal["stable", "experimental"] = "stable",
) -> str:
    ATTRIBUTES[name] = Attribute(name=name, on=tuple(on.split()), type=kind, doc=doc, unit=unit, stability=stability)
    return name


# Anything ------------------------------------------------------------------------------------------------------------
STRATEGY_NAME: Final = _attribute("strategy.name", "any", "string", "The strategy that speaks.")
INSTRUMENT_SYMBOL: Final = _attribute("instrument.symbol", "any", "string", "The instrument, as its venue writes it.")
ORDER_SIDE: Final = _attribute("order.side", "any", "string", "`buy` or `sell`.")
OTEL_OBS_TIER: Final = _attribute(
    "otel_obs.tier", "any", "string", "What may be lost, in which order: `durable`, `standard`, `best_effort`."
)
OTEL_OBS_SEQ: Final = _attribute(
    "otel_obs.seq", "any", "int", "The record's number in its process and tier.", stability="experimental"
)
OTEL_OBS_DEFECTS: Final = _attribute(
    "otel_obs.defects",
    "any",
    "string[]",
    "What was wrong with the arguments of this record; the rest of it is as given.",
)
SERVICE_NAME: Final = _attribute("service.name", "resource", "string", "The bot (OpenTelemetry's own name).")
SERVICE_INSTANCE_ID: Final = _attribute(
    "service.instance.id", "resource", "string", "One process of the bot (OpenTelemetry's own name)."
)
ENVIRONMENT: Final = _attribute(
    "deployment.environment.name", "resource", "string", "`production`, `paper` … (OpenTelemetry's own name)."
)
ERROR_TYPE: Final = _attribute("error.type", "any", "string", "The class of the exception (OpenTelemetry's own name).")
EXCEPTION_EVENT: Final = "exception"
EXCEPTION_TYPE: Final = _attribute("exception.type", "exception", "string", "Its class (OpenTelemetry's own name).")
EXCEPTION_MESSAGE: Final = _attribute(
    "exception.message", "exception", "string", "Its words (OpenTelemetry's own name)."
)
EXCEPTION_STACKTRACE: Final = _attribute(
    "exception.stacktrace", "exception", "string", "Where it came from (OpenTelemetry's own name)."
)

# Trace ---------------------------------------------------------------------------------------------------------------
TRACE_NAME: Final = _attribute("trace.name", "trace", "string", "Makes a span a trace: one run or decision cycle.")
TRACE_PROJECT: Final = _attribute("trace.project", "trace", "string", "What the run belongs to.")
TRACE_INTENT: Final = _attribute("trace.intent", "trace", "string", "What the run is for; `trade` makes it a cycle.")
TRACE_DOMAIN: Final = _attribute("trace.domain", "trace", "string", "The subject area.")
TRACE_QUERY: Final = _attribute("trace.query", "trace", "string", "What was asked of the run, in words.")
TRACE_EVIDENCE: Final = _attribute("trace.evidence", "trace", "map", "What the run gathered.")
TRACE_OUTPUT: Final = _attribute("trace.output", "trace", "map", "What the run produced.")
TRACE_SCORE: Final = _attribute("trace.score", "trace", "double", "The run's quality.")
TRACE_SCORE_MAX: Final = _attribute("trace.score_max", "trace", "double", "The best possible score.")
TRACE_PASSED: Final = _attribute("trace.passed", "trace", "boolean", "Whether the run passed its quality gate.")
TRACE_PRINCIPLES: Final = _attribute("trace.principles", "trace", "map", "Principle to score.")
TRACE_GAPS: Final = _attribute("trace.gaps", "trace", "string[]", "Principles that fell short.")
TRACE_IDLE_REASON: Final = _attribute(
    "trace.idle_reason",
    "trace",
    "string",
    "Why a cycle had no cause to decide: `no_data`, `stale`, `no_signal`, `closed`.",
)

# Stage ---------------------------------------------------------------------------------------------------------------
STAGE_NAME: Final = _attribute("stage.name", "stage", "string", "Makes a span a stage: a named part of a trace.")
STAGE_EVIDENCE: Final = _attribute("stage.evidence", "stage", "map", "What the stage gathered.")
STAGE_OUTPUT: Final = _attribute("stage.output", "stage", "map", "What the stage produced.")
GEN_AI_REQUEST_MODEL: Final = _attribute(
    "gen_ai.request.model", "stage", "string", "The model that was called (OpenTelemetry's own name)."
)
GEN_AI_INPUT_TOKENS: Final = _attribute(
    "gen_ai.usage.input_tokens", "stage", "int", "Tokens sent (OpenTelemetry's own name).", unit="{token}"
)
GEN_AI_OUTPUT_TOKENS: Final = _attribute(
    "gen_ai.usage.output_tokens", "stage", "int", "Tokens received (OpenTelemetry's own name).", unit="{token}"
)
STAGE_COST_USD: Final = _attribute("stage.cost_usd", "stage", "decimal", "What the stage cost.", unit="USD")

# Decision ------------------------------------------------------------------------------------------------------------
DECISION_SPAN: Final = "decision"
DECISION_WHAT: Final = _attribute("decision.what", "decision", "string", "Makes a span a decision: what was chosen.")
DECISION_WHY: Final = _attribute("decision.why", "decision", "string", "The reason, in words.")
DECISION_CONFIDENCE: Final = _attribute(
    "decision.confidence", "decision", "double", "How sure, from 0 to 1; absent when unknown.", unit="1"
)
DECISION_ALTERNATIVES: Final = _attribute(
    "decision.alternatives", "decision", "map", "What else was considered: what to score, or a list of strings."
)
DECISION_INPUTS: Final = _attribute("decision.inputs", "decision", "map", "The figures that informed it.")
DECISION_OUTCOME: Final = _attribute(
    "decision.outcome", "decision", "string", "`executed`, `vetoed`, `held` or `failed`; other words are mapped."
)

# Gate ----------------------------------------------------------------------------------------------------------------
GATE_EVENT: Final = "gate.evaluated"
GATE_NAME: Final = _attribute("gate.name", "gate", "string", "The gate.")
GATE_VERDICT: Final = _attribute("gate.verdict", "gate", "string", "`pass`, `deny`, `adjust` or `error`.")
GATE_MODE: Final = _attribute("gate.mode", "gate", "string", "`enforce` (when missing) or `shadow`: never binding.")
GATE_OBSERVED: Final = _attribute("gate.observed", "gate", "any", "The value that was checked.")
GATE_THRESHOLD: Final = _attribute("gate.threshold", "gate", "any", "The limit; for `between` a list of two.")
GATE_COMPARISON: Final = _attribute(
    "gate.comparison", "gate", "string", "`at_most`, `at_least`, `between`, `equals` or `none`."
)
GATE_UNIT: Final = _attribute("gate.unit", "gate", "string", "The unit of observed value and limit.")
GATE_REASON: Final = _attribute("gate.reason", "gate", "string", "The verdict in words.")
GATE_DURATION_MS: Final = _attribute("gate.duration_ms", "gate", "double", "Time the gate took.", unit="ms")

# Facts: log records with an event name -------------------------------------------------------------------------------
EVENT_NAME: Final = _attribute(
    "event.name",
    "order fill health_snapshot delivery",
    "string",
    "The record's EventName once more, for what loses it on the way.",
)
DECISION_ID: Final = _attribute("decision.id", "order fill", "string", "The decision's span id: where it came from.")
TRADE_ID: Final = _attribute("trade.id", "order fill", "string", "The round trip, entry to flat.")
ORDER_ID: Final = _attribute("order.id", "order fill decision", "string", "The order.")
ORDER_STATUS: Final = _attribute(
    "order.status", "order", "string", "`submitted`, `accepted`, `filled`, `cancelled`, `rejected` …"
)
ORDER_TYPE: Final = _attribute("order.type", "order", "string", "`market`, `limit` …")
ORDER_QUANTITY: Final = _attribute("order.quantity", "order", "decimal", "Asked quantity.")
ORDER_PRICE: Final = _attribute("order.price", "order", "decimal", "Limit or expected price.")
FILL_ID: Final = _attribute("fill.id", "fill", "string", "The execution.")
FILL_PRICE: Final = _attribute("fill.price", "fill", "decimal", "Price of the execution.")
FILL_QUANTITY: Final = _attribute("fill.quantity", "fill", "decimal", "Quantity of the execution.")
FILL_FEE: Final = _attribute("fill.fee", "fill", "decimal", "Fee paid; negative is a rebate.")
FILL_FEE_CURRENCY: Final = _attribute("fill.fee_currency", "fill", "string", "Currency of the fee.")

# Health: a log record with the event name health_snapshot ------------------------------------------------------------
_HEALTH: Final = "health_snapshot"
HEALTH_TRIGGER: Final = _attribute(
    "health.snapshot_trigger",
    _HEALTH,
    "string",
    "Why it was sent: `periodic_5m`, `periodic_1h`, `periodic_24h`, `on_change`.",
)
HEALTH_UPTIME: Final = _attribute("health.uptime_sec", _HEALTH, "double", "How long the bot has counted.", unit="s")
HEALTH_ERROR_RATE: Final = _attribute(
    "health.error_rate_15m", _HEALTH, "double", "Errors of the last 15 minutes / 900 s.", unit="1/s"
)
HEALTH_REJECT_RATE: Final = _attribute(
    "health.order_reject_rate_1h",
    _HEALTH,
    "double",
    "vetoed / (vetoed + executed + failed) of the last hour; absent, never 0, without candidates.",
    unit="1",
)
HEALTH_EXECUTED: Final = _attribute("health.executed_1h", _HEALTH, "int", "Decisions of the last hour that executed.")
HEALTH_VETOED: Final = _attribute("health.vetoed_1h", _HEALTH, "int", "Those that were vetoed.")
HEALTH_HELD: Final = _attribute("health.held_1h", _HEALTH, "int", "Those that were held.")
HEALTH_FAILED: Final = _attribute("health.failed_1h", _HEALTH, "int", "Those that failed.")
HEALTH_VETOES: Final = _attribute("health.vetoes_1h", _HEALTH, "map", "Vetoes of the last hour: gate to number.")
HEALTH_THROTTLES: Final = _attribute(
    "health.throttle_events_1h", _HEALTH, "int", "Times that a venue slowed the bot down within the last hour."
)
HEALTH_WS_STALENESS: Final = _attribute(
    "health.ws_staleness_ms",
    _HEALTH,
    "double",
    "Age of the newest update of the stalest websocket; absent where none was ever seen.",
    unit="ms",
)
HEALTH_FUNDING_STALENESS: Final = _attribute(
    "health.funding_staleness_sec", _HEALTH, "double", "The same of the funding rate.", unit="s"
)
HEALTH_LAST_MARKET_UPDATE: Final = _attribute(
    "health.last_market_update_ms", _HEALTH, "int", "Event time of the newest market data; since the epoch.", unit="ms"
)
HEALTH_GAP: Final = _attribute(
    "health.market_data_gap_max_ms_1h",
    _HEALTH,
    "double",
    "Longest silence of any market data within the last hour, the present one included.",
    unit="ms",
)
HEALTH_RECONNECTS: Final = _attribute(
    "health.ws_reconnect_count_1h", _HEALTH, "int", "Connections after the first one within the last hour."
)
HEALTH_HEARTBEAT_AGE: Final = _attribute(
    "health.heartbeat_age_sec",
    _HEALTH,
    "double",
    "Since the decision loop came round; of several, the latest.",
    unit="s",
)
HEALTH_LAG: Final = _attribute(
    "health.event_loop_lag_max_ms_5m", _HEALTH, "double", "Largest lag of the event loop in five minutes.", unit="ms"
)
HEALTH_SOURCES: Final = _attribute(
    "health.sources",
    _HEALTH,
    "map",
    "Each source: its kind, state (`never_seen`, `fresh`, `stale`, `seen`, `closed`), staleness_ms, gap_max_ms_1h, "
    "reconnects_1h, last_update_ms, connected.",
)

# Delivery: a log record with the event name delivery, one for each tier; itself never numbered ------------------------
_DELIVERY: Final = "delivery"
DELIVERY_TIER: Final = _attribute("delivery.tier", _DELIVERY, "string", "The tier that is told of.")
DELIVERY_PRODUCED: Final = _attribute(
    "delivery.produced", _DELIVERY, "int", "Records of this process so far: numbered, sampled out, or never taken."
)
DELIVERY_NUMBERED: Final = _attribute(
    "delivery.numbered", _DELIVERY, "int", "The highest number given; numbers begin at 1 and leave none out."
)
DELIVERY_DELIVERED: Final = _attribute(
    "delivery.delivered", _DELIVERY, "int", "Numbered records that the receiver acknowledged."
)
DELIVERY_JOURNALED: Final = _attribute(
    "delivery.journaled", _DELIVERY, "int", "Numbered records that wait in the journal."
)
DELIVERY_UNCONFIRMED: Final = _attribute(
    "delivery.unconfirmed",
    _DELIVERY,
    "int",
    "Numbered records that are not journaled yet; once the process is gone, those that died with it.",
)
DELIVERY_SAMPLED: Final = _attribute(
    "delivery.sampled", _DELIVERY, "int", "Records that a sampler left out; no number."
)
DELIVERY_UNTAKEN: Final = _attribute(
    "delivery.untaken", _DELIVERY, "map", "Records dropped before they had a number: reason to count."
)
DELIVERY_LOST: Final = _attribute("delivery.lost", _DELIVERY, "map", "Numbered records dropped later: reason to count.")
DELIVERY_ENDED: Final = _attribute(
    "delivery.ended", _DELIVERY, "boolean", "Whether the process is gone, and nothing further will be said by it."
)
DELIVERY_KILL_SWITCH: Final = _attribute(
    "delivery.kill_switch", _DELIVERY, "boolean", "Whether only durable records were taken at that moment."
)

RESERVED: Final = (
    "health.",
    "delivery.",
    "decision.",
    "gate.",
    "stage.",
    "trace.",
    "order.",
    "fill.",
    "trade.",
    "otel_obs.",
    "otel.",
)
