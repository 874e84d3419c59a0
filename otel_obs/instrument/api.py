"""The verbs that open records, and those that find the open one: trace, stage, decision, decide, current_…"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast, overload

from otel_obs import settings
from otel_obs.contract import semconv
from otel_obs.contract.outcome import UNNAMED, derive
from otel_obs.instrument import values
from otel_obs.instrument.clock import nanoseconds
from otel_obs.instrument.context import innermost, parent_context
from otel_obs.instrument.decision import Decision, described
from otel_obs.instrument.harmless import Defects, attempt, harmless
from otel_obs.instrument.opening import Opening, name_of, wrapped
from otel_obs.instrument.record import Record, Stage, Trace
from otel_obs.instrument.silent import NOTHING, SILENT, SILENT_DECISION, SilentDecision, innermost_decision
from otel_obs.instrument.source import using

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

P = ParamSpec("P")
R = TypeVar("R")
Kind = TypeVar("Kind", bound=Record)


def _named(
    name: Any, name_key: str, texts: Mapping[str, Any], attributes: Mapping[str, Any] | None, defects: Defects
) -> tuple[str, dict[str, Any]]:
    """Attributes of a trace or stage that are known when it starts, and its span's name."""
    known = values.custom(attributes, defects)
    if not values.is_given(name):
        defects.add("unnamed", name_key, "is empty", fix="Give each trace and stage a short, fixed name.")
        name = UNNAMED
    span_name = values.text(name_key, name, defects)
    known[name_key] = span_name
    for key, value in texts.items():
        if value is not None:
            known[key] = values.text(key, value, defects)
    return span_name, known


def _trace(name: str, texts: dict[str, Any], attributes: Mapping[str, Any] | None, at: Any) -> Trace:
    defects = Defects()
    span_name, known = _named(name, semconv.TRACE_NAME, texts, attributes, defects)
    return Trace(span_name, known, at=at, defects=defects)


def _bare_trace() -> Trace:
    return Trace(UNNAMED, {semconv.TRACE_NAME: UNNAMED}, at=None, defects=Defects())


def _stage(name: str, texts: dict[str, Any], attributes: Mapping[str, Any] | None, at: Any) -> Stage:
    defects = Defects()
    span_name, known = _named(name, semconv.STAGE_NAME, texts, attributes, defects)
    return Stage(span_name, known, at=at, defects=defects)


def _bare_stage() -> Stage:
    return Stage(UNNAMED, {semconv.STAGE_NAME: UNNAMED}, at=None, defects=Defects())


@overload
def trace(name: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def trace(
    name: str = "",
    /,
    *,
    project: str | None = None,
    intent: str | None = None,
    domain: str | None = None,
    query: str | None = None,
    symbol: str | None = None,
    strategy: str | None = None,
    attributes: Mapping[str, Any] | None = None,
    at: datetime | int | None = None,
) -> Opening[Trace]: ...
@harmless(SILENT)
def trace(
    name: str | Callable[..., Any] = "",
    /,
    *,
    project: str | None = None,
    intent: str | None = None,
    domain: str | None = None,
    query: str | None = None,
    symbol: str | None = None,
    strategy: str | None = None,
    attributes: Mapping[str, Any] | None = None,
    at: datetime | int | None = None,
) -> Any:
    """Open a trace: one run, or (with ``intent="trade"``) one decision cycle.

    Use it as ``with``, ``async with`` or decorator. ``at`` is the event time of a replay or backtest (an aware
    datetime, or nanoseconds since the epoch); what is said inside inherits it.
    """
    if callable(name):
        return wrapped(name, lambda: trace(name_of(name)))
    if not settings.active.enabled:
        return SILENT
    given = {
        "project": project, "intent": intent, "domain": domain, "query": query, "symbol": symbol,
        "strategy": strategy, "attributes": attributes, "at": at,
    }  # fmt: skip
    texts = {
        semconv.TRACE_PROJECT: project,
        semconv.TRACE_INTENT: intent,
        semconv.TRACE_DOMAIN: domain,
        semconv.TRACE_QUERY: query,
        semconv.INSTRUMENT_SYMBOL: symbol,
        semconv.STRATEGY_NAME: strategy,
    }
    return Opening(
        partial(_trace, name, texts, attributes, at),
        bare=_bare_trace,
        again=lambda function_name: trace(name or function_name, **given),  # type: ignore[arg-type]
    )


@overload
def stage(name: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def stage(
    name: str = "",
    /,
    *,
    symbol: str | None = None,
    attributes: Mapping[str, Any] | None = None,
    at: datetime | int | None = None,
) -> Opening[Stage]: ...
@harmless(SILENT)
def stage(
    name: str | Callable[..., Any] = "",
    /,
    *,
    symbol: str | None = None,
    attributes: Mapping[str, Any] | None = None,
    at: datetime | int | None = None,
) -> Any:
    """Open a stage: a named part of a trace. Use it as ``with``, ``async with`` or decorator."""
    if callable(name):
        return wrapped(name, lambda: stage(name_of(name)))
    if not settings.active.enabled:
        return SILENT
    return Opening(
        partial(_stage, name, {semconv.INSTRUMENT_SYMBOL: symbol}, attributes, at),
        bare=_bare_stage,
        again=lambda function_name: stage(name or function_name, symbol=symbol, attributes=attributes, at=at),
    )


def _decision(what: Any, at: Any, said: dict[str, Any]) -> Decision:
    defects = Defects()
    return Decision(described(what, **said, defects=defects), at=at, defects=defects)


def _bare_decision() -> Decision:
    return Decision({semconv.DECISION_WHAT: UNNAMED}, at=None, defects=Defects())


@harmless(SILENT_DECISION)
def decision(
    what: str,
    /,
    *,
    why: str = "",
    confidence: float | None = None,
    alternatives: Mapping[str, float] | Iterable[str] | None = None,
    inputs: Mapping[str, Any] | None = None,
    symbol: str | None = None,
    side: str | None = None,
    strategy: str | None = None,
    attributes: Mapping[str, Any] | None = None,
    at: datetime | int | None = None,
) -> Opening[Decision]:
    """Open a decision: evaluate its gates inside, act ``if d.allowed``, and say ``d.executed()`` when the bot acted.

    Otherwise it ends by itself: ``vetoed`` if an enforced gate denied, ``failed`` on an exception (which passes
    unchanged), else ``held``. ``confidence`` is a share of 1.
    """
    if not settings.active.enabled:
        return cast("Opening[Decision]", SILENT_DECISION)
    said = {
        "why": why, "confidence": confidence, "alternatives": alternatives, "inputs": inputs, "symbol": symbol,
        "side": side, "strategy": strategy, "attributes": attributes,
    }  # fmt: skip
    return Opening(
        partial(_decision, what, at, said),
        bare=_bare_decision,
        again=lambda _: decision(what, at=at, **said),  # type: ignore[arg-type]
    )


@harmless(None)
def decide(
    what: str,
    /,
    *,
    why: str = "",
    confidence: float | None = None,
    alternatives: Mapping[str, float] | Iterable[str] | None = None,
    inputs: Mapping[str, Any] | None = None,
    symbol: str | None = None,
    side: str | None = None,
    strategy: str | None = None,
    outcome: str = "held",
    attributes: Mapping[str, Any] | None = None,
    at: datetime | int | None = None,
) -> None:
    """Record a decision in one call, when there is nothing to wrap. ``outcome`` is ``held`` unless said."""
    if not settings.active.enabled:
        return
    defects = Defects()
    named = described(
        what, why=why, confidence=confidence, alternatives=alternatives, inputs=inputs, symbol=symbol, side=side,
        strategy=strategy, attributes=attributes, defects=defects,
    )  # fmt: skip
    derived = derive((), claimed=values.text(semconv.DECISION_OUTCOME, outcome, defects))
    for text in derived.defects:
        defects.add("outcome", semconv.DECISION_OUTCOME, text, fix="Say executed, held or failed; a veto is a gate's.")
    named[semconv.DECISION_OUTCOME] = derived.outcome.value
    if using.watch is not None:
        using.watch.decision_ended(derived.outcome, None)
    parent = innermost()
    given = None if at is None else nanoseconds(at, defects)
    start = given if given is not None else parent.time() if parent else using.clock.now()
    if defects.texts:
        named[semconv.OTEL_OBS_DEFECTS] = defects.texts
    context = parent_context(parent)
    if using.leaf_recorder is not None:
        using.leaf_recorder.record_leaf(semconv.DECISION_SPAN, named, start_ns=start, context=context)
    else:
        using.tracer.start_span(semconv.DECISION_SPAN, context=context, attributes=named, start_time=start).end(start)


def _nearest(kind: type[Kind]) -> Kind | None:
    record = innermost()
    while record is not None and (record.ended or not isinstance(record, kind)):
        record = record.parent
    return record


@harmless(NOTHING)
def current_trace() -> Trace:
    """The open trace here; an object that does nothing where there is none."""
    return _nearest(Trace) or cast("Trace", NOTHING)


@harmless(NOTHING)
def current_stage() -> Stage:
    """The open stage here; an object that does nothing where there is none."""
    return _nearest(Stage) or cast("Stage", NOTHING)


def decision_here() -> Decision | SilentDecision:
    """The open decision here; a silent one where nothing is recorded, or none is open."""
    recorded = attempt(partial(_nearest, Decision))
    if recorded is not None:
        return recorded
    silent = innermost_decision()
    return SilentDecision() if silent is None else silent  # it is falsy, as all that is silent


def current_decision() -> Decision:
    """The open decision here; where there is none, one that keeps its gates and is sent nowhere."""
    return cast("Decision", decision_here())
