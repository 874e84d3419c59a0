"""A scorecard on stderr after each trace: a span processor that remembers what ended inside it. Off by default."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections import OrderedDict
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import StatusCode

from otel_obs.contract import semconv
from otel_obs.contract.scorecard import DecisionLine, Form, GateLine, Scorecard, StageLine, rendered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.sdk.trace import ReadableSpan

_MOST_TRACES: Final = 256  # that are open at once; the oldest is forgotten, with its card
_MOST_SPANS: Final = 5_000  # of one trace; further ones are not on its card


class Scorecards(SpanProcessor):
    """Writes the card of each trace that ends. Bounded in memory; what a card cannot say costs only the card."""

    def __init__(self, form: Form, *, write: Callable[[str], object] | None = None) -> None:
        self._form = form
        self._write = write
        self._lock = threading.RLock()
        self._ended: OrderedDict[int, list[ReadableSpan]] = OrderedDict()

    def on_end(self, span: ReadableSpan) -> None:
        """Remember a span; write the card where it is a trace."""
        try:
            self._take(span)
        except Exception:  # noqa: BLE001 - a card that cannot be written must not reach the bot
            return

    def _take(self, span: ReadableSpan) -> None:
        if span.context is None:
            return
        number = span.context.trace_id
        is_trace = semconv.TRACE_NAME in (span.attributes or {})
        with self._lock:
            inside = self._ended.setdefault(number, [])
            self._ended.move_to_end(number)
            if len(self._ended) > _MOST_TRACES:
                self._ended.popitem(last=False)
            below = _below(span, inside) if is_trace else []
            if span.parent is None or span.parent.is_remote:
                self._ended.pop(number, None)
            elif len(inside) < _MOST_SPANS:
                inside.append(span)
        if is_trace:
            self._print(card(span, below))

    def _print(self, found: Scorecard) -> None:
        if self._write is not None:
            self._write(rendered(found, self._form) + "\n")
            return
        colour = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
        sys.stderr.write(rendered(found, self._form, colour=colour) + "\n")


def _below(top: ReadableSpan, spans: list[ReadableSpan]) -> list[ReadableSpan]:
    """The spans under ``top``, in the order of their start."""
    children: dict[int, list[ReadableSpan]] = {}
    for span in spans:
        if span.parent is not None:
            children.setdefault(span.parent.span_id, []).append(span)
    found, left = [], [top]
    while left:
        context = left.pop().context
        for span in children.pop(context.span_id, ()) if context else ():
            found.append(span)
            left.append(span)
    return sorted(found, key=lambda span: span.start_time or 0)


def card(trace: ReadableSpan, below: list[ReadableSpan]) -> Scorecard:
    """The card of a trace's span and of what ended inside it."""
    said = dict(trace.attributes or {})
    decisions = [span for span in below if semconv.DECISION_WHAT in (span.attributes or {})]
    made_in = [span.parent.span_id for span in decisions if span.parent is not None]
    return Scorecard(
        name=_text(said, semconv.TRACE_NAME),
        trace_id=format(trace.context.trace_id, "032x") if trace.context else "",
        duration_ns=_duration(trace),
        status="failed" if trace.status.status_code is StatusCode.ERROR else "complete",
        error=trace.status.description or "",
        service=_text(dict(trace.resource.attributes), semconv.SERVICE_NAME),
        project=_text(said, semconv.TRACE_PROJECT),
        query=_text(said, semconv.TRACE_QUERY),
        intent=_text(said, semconv.TRACE_INTENT),
        domain=_text(said, semconv.TRACE_DOMAIN),
        symbol=_text(said, semconv.INSTRUMENT_SYMBOL),
        score=said.get(semconv.TRACE_SCORE),  # type: ignore[arg-type]
        score_max=said.get(semconv.TRACE_SCORE_MAX),  # type: ignore[arg-type]
        passed=said.get(semconv.TRACE_PASSED),  # type: ignore[arg-type]
        principles=_map(said, semconv.TRACE_PRINCIPLES),
        gaps=list(said.get(semconv.TRACE_GAPS) or ()),  # type: ignore[arg-type]
        idle_reason=_text(said, semconv.TRACE_IDLE_REASON),
        evidence=_map(said, semconv.TRACE_EVIDENCE),
        output=_map(said, semconv.TRACE_OUTPUT),
        stages=[_stage(span, made_in) for span in below if semconv.STAGE_NAME in (span.attributes or {})],
        decisions=[_decision(span) for span in decisions],
    )


def _stage(span: ReadableSpan, made_in: list[int]) -> StageLine:
    said = dict(span.attributes or {})
    try:
        cost = Decimal(str(said[semconv.STAGE_COST_USD])) if semconv.STAGE_COST_USD in said else None
    except InvalidOperation:
        cost = None
    return StageLine(
        name=_text(said, semconv.STAGE_NAME),
        duration_ns=_duration(span),
        decisions=made_in.count(span.context.span_id) if span.context else 0,
        failed=span.status.status_code is StatusCode.ERROR,
        input_tokens=said.get(semconv.GEN_AI_INPUT_TOKENS),  # type: ignore[arg-type]
        output_tokens=said.get(semconv.GEN_AI_OUTPUT_TOKENS),  # type: ignore[arg-type]
        cost_usd=cost,
    )


def _decision(span: ReadableSpan) -> DecisionLine:
    said = dict(span.attributes or {})
    gates = [
        GateLine(
            name=_text(told, semconv.GATE_NAME),
            verdict=_text(told, semconv.GATE_VERDICT),
            mode=_text(told, semconv.GATE_MODE) or "enforce",
            observed=_text(told, semconv.GATE_OBSERVED),
            threshold=_text(told, semconv.GATE_THRESHOLD),
            comparison=_text(told, semconv.GATE_COMPARISON),
            unit=_text(told, semconv.GATE_UNIT),
        )
        for event in span.events
        if event.name == semconv.GATE_EVENT
        for told in [dict(event.attributes or {})]
    ]
    outcome = _text(said, semconv.DECISION_OUTCOME)
    return DecisionLine(
        what=_text(said, semconv.DECISION_WHAT),
        outcome=outcome,
        why=_text(said, semconv.DECISION_WHY),
        confidence=said.get(semconv.DECISION_CONFIDENCE),  # type: ignore[arg-type]
        overridden=outcome == "executed" and any(gate.denied for gate in gates),
        gates=gates,
    )


def _duration(span: ReadableSpan) -> int:
    return max(0, (span.end_time or 0) - (span.start_time or 0))


def _text(said: Mapping[str, Any], name: str) -> str:
    value = said.get(name, "")
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(list(value)) if isinstance(value, tuple) else str(value)


def _map(said: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = json.loads(str(said.get(name) or "{}"))
    return found if isinstance(found, dict) else {}
