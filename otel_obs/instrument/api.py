"""The verbs that open records, and those that find the open one: trace, stage, decision, decide, current_…"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast, overload

from otel_obs import settings
from otel_obs.contract import semconv
from otel_obs.contract.dearness import of_outcome
from otel_obs.contract.outcome import UNNAMED, Outcome
from otel_obs.instrument import values
from otel_obs.instrument.clock import nanoseconds
from otel_obs.instrument.context import innermost, place
from otel_obs.instrument.decision import Decision, describe_later, described_in_full, kept
from otel_obs.instrument.harmless import MISSING, Defects, attempt, given_of, harmless, quick
from otel_obs.instrument.opening import Kind, Opening, name_of, wrapped
from otel_obs.instrument.record import Record, Stage, Trace
from otel_obs.instrument.silent import NOTHING, SILENT, SILENT_DECISION, SilentDecision, innermost_decision
from otel_obs.instrument.snapshots import CHANGES, snapshot
from otel_obs.instrument.source import using
from otel_obs.instrument.swift import SwiftDecision

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

P = ParamSpec("P")
R = TypeVar("R")
Kind_ = TypeVar("Kind_", bound=Record)

_LONGEST_NAME: Final = 256

_Part = tuple[Any, str, "dict[str, Any]", Any]  # name, the attribute that holds it, further texts, attributes


def _described(part: _Part, defects: Defects) -> dict[str, Any]:
    """Attributes of a trace or stage that are known when it starts."""
    name, name_key, texts, attributes = part
    known = values.custom(attributes, defects)
    if not values.is_given(name):
        defects.add("unnamed", name_key, "is empty", fix="Give each trace and stage a short, fixed name.")
        name = UNNAMED
    known[name_key] = values.text(name_key, name, defects)
    for key, value in texts.items():
        if value is not None:
            known[key] = values.text(key, value, defects)
    return known


def _opened(part: _Part, at: Any, kind: type[Kind_]) -> Kind_:
    name, name_key, texts, attributes = part
    texts = snapshot(texts)
    attributes = None if attributes is None else snapshot(attributes)
    is_kept = name.__class__ is str and 0 < len(name) <= _LONGEST_NAME and name.isprintable()
    if is_kept and texts is not CHANGES and attributes is not CHANGES:
        return kind(name, _described, (name, name_key, texts, attributes), at=at, kept=True)
    span_name = name if is_kept else values.text(name_key, name, Defects()) if values.is_given(name) else UNNAMED
    return kind(span_name, _described, part, at=at, kept=False)


def _again(verb: Callable[..., Opening[Kind_]]) -> Callable[[tuple[_Part, Any, dict[str, Any]], str], Opening[Kind_]]:
    """Open one more of a kind, for a decorated function that bears ``name``."""

    def again(said: tuple[_Part, Any, dict[str, Any]], name: str) -> Opening[Kind_]:
        (own_name, *_), at, given = said
        return verb(own_name or name, at=at, **given)

    return again


@harmless(SILENT)
def _open_trace(
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
        "strategy": strategy, "attributes": attributes,
    }  # fmt: skip
    texts = {
        semconv.TRACE_PROJECT: project,
        semconv.TRACE_INTENT: intent,
        semconv.TRACE_DOMAIN: domain,
        semconv.TRACE_QUERY: query,
        semconv.INSTRUMENT_SYMBOL: symbol,
        semconv.STRATEGY_NAME: strategy,
    }
    return Opening(_TRACE, ((name, semconv.TRACE_NAME, texts, attributes), at, given))


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
@quick(_open_trace)
def trace(name: Any = MISSING, /, *surplus: Any, **more: Any) -> Any:
    if not settings.active.enabled and name.__class__ is str:
        return SILENT
    return _open_trace(*given_of(name, surplus), **more)


@harmless(SILENT)
def _open_stage(
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
    given = {"symbol": symbol, "attributes": attributes}
    return Opening(_STAGE, ((name, semconv.STAGE_NAME, {semconv.INSTRUMENT_SYMBOL: symbol}, attributes), at, given))


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
@quick(_open_stage)
def stage(name: Any = MISSING, /, *surplus: Any, **more: Any) -> Any:
    if not settings.active.enabled and name.__class__ is str:
        return SILENT
    return _open_stage(*given_of(name, surplus), **more)


_TRACE: Final = Kind[Trace](
    make=lambda said: _opened(said[0], said[1], Trace),
    bare=lambda: Trace(UNNAMED, _described, (UNNAMED, semconv.TRACE_NAME, {}, None), at=None, kept=True),
    again=_again(trace),
)
_STAGE: Final = Kind[Stage](
    make=lambda said: _opened(said[0], said[1], Stage),
    bare=lambda: Stage(UNNAMED, _described, (UNNAMED, semconv.STAGE_NAME, {}, None), at=None, kept=True),
    again=_again(stage),
)
_NOTHING_SAID: Final = (UNNAMED, "", None, None, None, None, None, None, None)
_DECISION: Final[Kind[Decision]] = Kind(
    make=lambda said: Decision(said[0], at=said[1]),
    bare=lambda: Decision(_NOTHING_SAID, at=None),
    again=lambda said, _: Opening(_DECISION, said) if settings.active.enabled else SILENT_DECISION,
)


@harmless(SILENT_DECISION)
def _decision(
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
    return Opening(_DECISION, ((what, why, confidence, alternatives, inputs, symbol, side, strategy, attributes), at))


@quick(_decision)
def decision(
    what: Any = MISSING,
    /,
    *surplus: Any,
    why: Any = "",
    confidence: Any = None,
    alternatives: Any = None,
    inputs: Any = None,
    symbol: Any = None,
    side: Any = None,
    strategy: Any = None,
    attributes: Any = None,
    at: Any = None,
    **more: Any,
) -> Opening[Decision]:
    now = settings.active
    if not now.enabled:
        return cast("Opening[Decision]", SILENT_DECISION)
    if what is MISSING or surplus or more:
        return _decision(
            *given_of(what, surplus), why=why, confidence=confidence, alternatives=alternatives, inputs=inputs,
            symbol=symbol, side=side, strategy=strategy, attributes=attributes, at=at, **more,
        )  # fmt: skip
    said = (what, why, confidence, alternatives, inputs, symbol, side, strategy, attributes)
    late = using.late
    if at is None and late is not None and late.is_late and not now.strict:
        try:
            as_it_is, size = kept(said)
        except Exception:  # noqa: BLE001 - a bot's own object may raise when it is looked at: the usual way takes it
            size = 0
        if size:
            return cast("Opening[Decision]", SwiftDecision(late, as_it_is, size, _another))
    return Opening(_DECISION, (said, at))


def _another(said: tuple[Any, ...]) -> Any:
    return Opening(_DECISION, (said, None)) if settings.active.enabled else SILENT_DECISION


@harmless(None)
def _decide(
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
    said = (what, why, confidence, alternatives, inputs, symbol, side, strategy, attributes)
    named = described_in_full((said, outcome), defects)
    if using.watch is not None:
        using.watch.decision_ended(Outcome(named[semconv.DECISION_OUTCOME]), None)
    parent, context = place()
    given = None if at is None else nanoseconds(at, defects)
    start = given if given is not None else parent.time() if parent else using.clock.now()
    if defects.texts:
        named[semconv.OTEL_OBS_DEFECTS] = defects.texts
    if using.leaf_recorder is not None:
        using.leaf_recorder.record_leaf(semconv.DECISION_SPAN, named, start_ns=start, context=context)
    else:
        using.tracer.start_span(semconv.DECISION_SPAN, context=context, attributes=named, start_time=start).end(start)


@quick(_decide)
def decide(
    what: Any = MISSING,
    /,
    *surplus: Any,
    why: Any = "",
    confidence: Any = None,
    alternatives: Any = None,
    inputs: Any = None,
    symbol: Any = None,
    side: Any = None,
    strategy: Any = None,
    outcome: Any = "held",
    attributes: Any = None,
    at: Any = None,
    **more: Any,
) -> None:
    now = settings.active
    if not now.enabled:
        return
    late = using.late
    if at is None and late is not None and late.is_late and not (surplus or more or now.strict):
        try:
            is_known = outcome in _ENDED  # raises where it is no word at all
            said, size = kept((what, why, confidence, alternatives, inputs, symbol, side, strategy, attributes))
            if size and is_known:
                parent, context = place()
                start = using.clock.now() if parent is None else parent.time()
                ended, tier = _ENDED[outcome]
                late.record_late(semconv.DECISION_SPAN, describe_later, (said, outcome), tier, size, start, context)
                if using.watch is not None:
                    using.watch.decision_ended(ended, None)
                return
        except Exception:  # noqa: BLE001, S110 - what went wrong is told by the way that is always there
            pass
    _decide(
        *given_of(what, surplus), why=why, confidence=confidence, alternatives=alternatives, inputs=inputs,
        symbol=symbol, side=side, strategy=strategy, outcome=outcome, attributes=attributes, at=at, **more,
    )  # fmt: skip


_ENDED: Final = {outcome.value: (outcome, of_outcome(outcome)) for outcome in Outcome}


def _nearest(kind: type[Kind_]) -> Kind_ | None:
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
