"""The trace document, member by member: what `trace_files` writes for people, and the schema that it keeps to.

The names on the wire lead: `decision.what` is `what` of a decision here. Whatever has no member of its own, or is not
of its member's type, stands under `more`. The exact records, types included, stand under `otlp`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from otel_obs.contract import semconv
from otel_obs.contract.outcome import Outcome

SCHEMA_VERSION: Final = "1"

INCOMPLETE: Final[dict[str, str]] = {
    "no_root": "its first span had not ended within the time that a trace is waited for",
    "shutdown": "the process ended while its first span was open",
    "too_large": "it had more spans and records than one document takes; a further part follows",
    "memory": "too many traces were open at once, and this was the oldest",
    "records_lost": "records of it were dropped on the way to the file; the ledger of delivery knows nothing of that",
    "parent_missing": "a span names a parent that is not in the document",
    "continued": "this is a later part: earlier ones hold the rest",
}


@dataclass(frozen=True, kw_only=True)
class Member:
    """One member of an object: its name, its type (a kind of ``semconv``, or one of those below), its meaning.

    ``attribute`` is the one on the wire that it tells. Those that are ``always`` there are required by the schema.
    """

    name: str
    type: str
    doc: str
    attribute: str = ""
    always: bool = False


_SHORT: Final = {semconv.STRATEGY_NAME: "strategy"} | {
    name: name.replace(".", "_") for name in (semconv.DECISION_ID, semconv.TRADE_ID)
}


def _own(name: str, kind: str, doc: str, *, always: bool = False) -> Member:
    return Member(name=name, type=kind, doc=doc, always=always)


def _said(*attributes: str) -> tuple[Member, ...]:
    """Members that tell attributes, under the last part of their names."""
    found = []
    for name in attributes:
        row = semconv.ATTRIBUTES[name]
        short = _SHORT.get(name) or name.rpartition(".")[2]
        found.append(Member(name=short, type=row.type, doc=row.doc, attribute=name))
    return tuple(found)


def _other(name: str) -> Member:
    """The id of something else, under its whole name."""
    row = semconv.ATTRIBUTES[name]
    return Member(name=name.replace(".", "_"), type=row.type, doc=row.doc, attribute=name)


_MORE: Final = _own("more", "object", "Further attributes.")
_AT: Final = _own("at", "time", "When, to the nanosecond, in UTC.", always=True)
_SPAN: Final = (
    _own("span_id", "text", "Its span's id.", always=True),
    _own("parent_id", "text", "The span that it stands under; absent for a root."),
    _own("started_at", "time", "When it began, to the nanosecond, in UTC.", always=True),
    _own("duration_ms", "figure", "How long it took.", always=True),
    _own("duration_ns", "int", "The same, exactly.", always=True),
    _own("failed", "boolean", "Whether its status is Error.", always=True),
    _own("error", "text", "What the status says."),
    _own("exceptions", "exception[]", "What was raised inside."),
    _own("events", "event[]", "What else happened inside."),
    _own("links", "link[]", "Other spans that it has to do with."),
    _MORE,
)
_COMMON: Final = (semconv.STRATEGY_NAME, semconv.INSTRUMENT_SYMBOL, semconv.ORDER_SIDE)

EXCEPTION: Final = (
    *_said(semconv.EXCEPTION_TYPE, semconv.EXCEPTION_MESSAGE, semconv.EXCEPTION_STACKTRACE),
    _AT,
    _MORE,
)
EVENT: Final = (_own("name", "text", "Its name.", always=True), _AT, _MORE)
LINK: Final = (
    _own("trace_id", "text", "The other trace.", always=True),
    _own("span_id", "text", "The other span.", always=True),
    _MORE,
)
GATE: Final = (
    *_said(
        semconv.GATE_NAME, semconv.GATE_VERDICT, semconv.GATE_OBSERVED, semconv.GATE_COMPARISON,
        semconv.GATE_THRESHOLD, semconv.GATE_UNIT, semconv.GATE_MODE, semconv.GATE_REASON, semconv.GATE_DURATION_MS,
    ),
    _MORE,
)  # fmt: skip
TRACE: Final = (
    *_said(
        semconv.TRACE_NAME, semconv.TRACE_INTENT, semconv.TRACE_PROJECT, semconv.TRACE_DOMAIN, semconv.TRACE_QUERY,
        semconv.TRACE_IDLE_REASON, semconv.TRACE_SCORE, semconv.TRACE_SCORE_MAX, semconv.TRACE_PASSED,
        semconv.TRACE_PRINCIPLES, semconv.TRACE_GAPS, semconv.TRACE_EVIDENCE, semconv.TRACE_OUTPUT, *_COMMON[:2],
    ),
    *_SPAN,
)  # fmt: skip
STAGE: Final = (
    *_said(
        semconv.STAGE_NAME, semconv.STAGE_EVIDENCE, semconv.STAGE_OUTPUT, semconv.GEN_AI_REQUEST_MODEL,
        semconv.GEN_AI_INPUT_TOKENS, semconv.GEN_AI_OUTPUT_TOKENS, semconv.STAGE_COST_USD,
    ),
    *_SPAN,
)  # fmt: skip
DECISION: Final = (
    *_said(semconv.DECISION_WHAT, semconv.DECISION_WHY),
    Member(name="outcome", type="outcome", doc="How it ended, as the reports count it.", always=True),
    Member(
        name="outcome_raw", type="string", doc="The word that was sent, where it is another.",
        attribute=semconv.DECISION_OUTCOME,
    ),
    _own("veto_reason_primary", "text", "The first gate that denied and was enforced."),
    _own("veto_reason_secondary", "text[]", "Further ones."),
    _own("veto_overridden", "boolean", "Whether it acted although an enforced gate denied."),
    *_said(semconv.DECISION_CONFIDENCE, semconv.DECISION_ALTERNATIVES, semconv.DECISION_INPUTS, *_COMMON),
    _own("gates", "gate[]", "The gates that were evaluated, in their order.", always=True),
    *_SPAN,
)  # fmt: skip
_FACT_SPAN: Final = _own("span_id", "text", "The span that was open when it was said.")
ORDER: Final = (
    *_said(
        semconv.ORDER_ID, semconv.ORDER_STATUS, semconv.ORDER_TYPE, semconv.ORDER_SIDE, semconv.ORDER_QUANTITY,
        semconv.ORDER_PRICE, *_COMMON[:2],
    ),
    *_said(semconv.DECISION_ID, semconv.TRADE_ID),
    _AT, _FACT_SPAN, _MORE,
)  # fmt: skip
FILL: Final = (
    *_said(
        semconv.FILL_ID, semconv.FILL_PRICE, semconv.FILL_QUANTITY, semconv.FILL_FEE, semconv.FILL_FEE_CURRENCY,
        semconv.ORDER_SIDE, *_COMMON[:2],
    ),
    _other(semconv.ORDER_ID), *_said(semconv.DECISION_ID, semconv.TRADE_ID),
    _AT, _FACT_SPAN, _MORE,
)  # fmt: skip
RECORD: Final = (
    _own("name", "text", "Its event name; empty for a plain log record.", always=True),
    _own("severity", "text", "How grave it is."),
    _own("body", "any", "What it says."),
    _AT, _FACT_SPAN, _MORE,
)  # fmt: skip
SPAN: Final = (_own("name", "text", "Its name.", always=True), *_SPAN)
DOCUMENT: Final = (
    _own("schema_version", "version", "Of which kind this document is.", always=True),
    _own("trace_id", "text", "OpenTelemetry's trace id; empty for records outside any trace.", always=True),
    _own("part", "int", "1; later ones hold what was said after the document before them was written.", always=True),
    _own("complete", "boolean", "Whether this document alone holds the trace, as far as was known then.", always=True),
    _own("incomplete_because", "incomplete[]", "Why not."),
    _own("service", "text", "The bot.", always=True),
    _own("instance", "text", "Which process of it.", always=True),
    _own("name", "text", "What the trace is called.", always=True),
    _own("started_at", "time", "When its first record began, in UTC.", always=True),
    _own("duration_ms", "figure", "From the first beginning to the last end.", always=True),
    _own("traces", "trace[]", "The runs in it: one, unless they are nested.", always=True),
    _own("decisions", "decision[]", "What was decided, in the order of time.", always=True),
    _own("orders", "order[]", "What was handed to the venue.", always=True),
    _own("fills", "fill[]", "What the venue executed.", always=True),
    _own("stages", "stage[]", "The parts of a run.", always=True),
    _own("spans", "span[]", "Other spans.", always=True),
    _own("records", "record[]", "Other events, and log records.", always=True),
    _own("otlp", "otlp", "All of it as OTLP/JSON, exactly. `otel-obs import` reads this part alone.", always=True),
)  # fmt: skip

OBJECTS: Final[dict[str, tuple[Member, ...]]] = {
    "trace": TRACE, "decision": DECISION, "gate": GATE, "order": ORDER, "fill": FILL, "stage": STAGE, "span": SPAN,
    "record": RECORD, "exception": EXCEPTION, "event": EVENT, "link": LINK,
}  # fmt: skip
OUTCOMES: Final = tuple(outcome.value for outcome in Outcome)
