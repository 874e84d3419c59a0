"""Facts: typed events as OpenTelemetry log records with an event name."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any, Final

from opentelemetry._logs import SeverityNumber

from otel_obs import settings
from otel_obs.contract import semconv
from otel_obs.contract.streams import BY_NAME, STREAMS
from otel_obs.instrument import values
from otel_obs.instrument.api import decision_here
from otel_obs.instrument.clock import nanoseconds
from otel_obs.instrument.context import current_context, innermost
from otel_obs.instrument.harmless import Defects, harmless, problem
from otel_obs.instrument.source import using

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from decimal import Decimal

    from otel_obs.contract.events.base import Event
    from otel_obs.contract.streams import Stream

    Amount = Decimal | str | int | float

_BY_CLASS: Final = {stream.event: stream for stream in STREAMS}


@harmless(None)
def emit(event: Event, *, at: datetime | int | None = None) -> None:
    """Record a typed fact. Its stream (STREAMS) says how dear it is and where it is kept."""
    if not settings.active.enabled:
        return
    kind = type(event)
    stream = _BY_CLASS.get(f"{kind.__module__}:{kind.__qualname__}")
    if stream is None:
        problem(
            "unknown_stream", f"emit() got {kind.__qualname__}, which is the event of no stream.",
            fix=f"Streams: {', '.join(BY_NAME)}.", about=kind.__qualname__,
        )  # fmt: skip
        return
    defects = Defects()
    _send(stream, _unknown(stream, kind, event.model_extra or {}, defects) | event.wire(), at, defects)


@harmless(None)
def order(
    *,
    id: str,  # noqa: A002 - the vocabulary's own word
    status: str,
    type: str | None = None,  # noqa: A002 - the vocabulary's own word
    side: str | None = None,
    quantity: Amount | None = None,
    price: Amount | None = None,
    symbol: str | None = None,
    strategy: str | None = None,
    decision_id: str | None = None,
    trade_id: str | None = None,
    at: datetime | int | None = None,
    **more: Any,
) -> None:
    """Record one status of one order: ``submitted``, ``accepted``, ``filled``, ``cancelled``, ``rejected`` …

    Prices and quantities are best given as text or Decimal. ``decision_id`` is the open decision's unless given.
    """
    _say(
        "order", at, id=id, status=status, type=type, side=side, quantity=quantity, price=price, symbol=symbol,
        strategy=strategy, decision_id=decision_id, trade_id=trade_id, **more,
    )  # fmt: skip


@harmless(None)
def fill(
    *,
    id: str,  # noqa: A002 - the vocabulary's own word
    price: Amount,
    quantity: Amount,
    fee: Amount | None = None,
    fee_currency: str | None = None,
    side: str | None = None,
    symbol: str | None = None,
    strategy: str | None = None,
    order_id: str | None = None,
    decision_id: str | None = None,
    trade_id: str | None = None,
    at: datetime | int | None = None,
    **more: Any,
) -> None:
    """Record one execution. Prices and quantities are best given as text or Decimal, so that no cent is lost."""
    _say(
        "fill", at, id=id, price=price, quantity=quantity, fee=fee, fee_currency=fee_currency, side=side,
        symbol=symbol, strategy=strategy, order_id=order_id, decision_id=decision_id, trade_id=trade_id, **more,
    )  # fmt: skip


def _say(name: str, at: Any, /, **given: Any) -> None:
    if not settings.active.enabled:
        return
    stream = BY_NAME[name]
    defects = Defects()
    _send(
        stream,
        _checked(stream, {key: value for key, value in given.items() if value is not None}, defects),
        at,
        defects,
    )


def _checked(stream: Stream, given: dict[str, Any], defects: Defects) -> dict[str, Any]:
    """Attributes of a fact; what the event class refuses is kept as text and marked."""
    from pydantic import ValidationError  # the first fact pays for pydantic, not the import

    kind = stream.event_class()
    known = {key: value for key, value in given.items() if key in kind.model_fields}
    unknown = _unknown(stream, kind, {key: value for key, value in given.items() if key not in known}, defects)
    try:
        return unknown | kind(**known).wire()
    except ValidationError as refused:
        for error in refused.errors(include_url=False, include_input=False):
            field = str(error["loc"][0]) if error["loc"] else stream.name
            defects.add("wrong_fact", f"{stream.name} {field}", str(error["msg"]).lower(), fix=f"See {kind.__name__}.")
    except Exception as error:  # noqa: BLE001 - a number too long for a text, an object that raises when it is read
        defects.add(
            "wrong_fact", stream.name, f"could not be read: {type(error).__name__}", fix=f"See {kind.__name__}."
        )
    named = {str(kind.model_fields[key].serialization_alias): value for key, value in known.items()}
    return unknown | {key: values.text(key, value, defects) for key, value in named.items()}


def _unknown(stream: Stream, kind: type[Event], given: Mapping[str, Any], defects: Defects) -> dict[str, Any]:
    """Keep fields that the event class does not know under the stream's name; tell which was probably meant."""
    result: dict[str, Any] = {}
    for key, value in given.items():
        if len(result) == values.MOST_OWN:
            defects.add("too_many", stream.name, f"has more than {values.MOST_OWN} further fields", fix="Record less.")
            break
        near = difflib.get_close_matches(key, kind.model_fields, n=1)
        fix = f"Did you mean {near[0]}?" if near else f"It has {', '.join(kind.model_fields)}."
        defects.add("unknown_field", f"{stream.name} {key}", "is no field of it", fix=fix)
        result[values.text(stream.name, f"{stream.name}.{key}", defects)] = values.attribute(key, value, defects)
    return result


def _send(stream: Stream, named: dict[str, Any], at: Any, defects: Defects) -> None:
    given = None if at is None else nanoseconds(at, defects)
    record = innermost()
    decision = decision_here()
    if decision.id:
        named.setdefault(semconv.DECISION_ID, decision.id)
    attributes = {key: values.attribute(key, value, defects) for key, value in named.items()}
    attributes[semconv.EVENT_NAME] = stream.name
    attributes[semconv.OTEL_OBS_TIER] = stream.tier.value
    if defects.texts:
        attributes[semconv.OTEL_OBS_DEFECTS] = defects.texts
    using.logger.emit(
        timestamp=given if given is not None else record.time() if record else using.clock.now(),
        observed_timestamp=using.clock.now(),
        context=current_context(),
        severity_number=SeverityNumber.INFO,
        severity_text="INFO",
        event_name=stream.name,
        attributes=attributes,
    )
