"""One marked span, sent as a bot's own would be, over the way of its settings, and what became of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from random import getrandbits
from typing import TYPE_CHECKING, Final

from otel_obs.contract import semconv
from otel_obs.errors import SettingError
from otel_obs.sdk.exporter.by_hand import ByHand
from otel_obs.sdk.exporter.dissection import UNSAID
from otel_obs.sdk.exporter.transport import Verdict, connect
from otel_obs.sdk.exporter.variables import Variables
from otel_obs.sdk.otlp import ResourceRecord, ScopeRecord, SpanRecord, encode_spans
from otel_obs.sdk.protocol import SIGNALS

if TYPE_CHECKING:
    from otel_obs.settings import Settings

SERVICE: Final = "otel-obs-doctor"  # no report counts it: it decides nothing, and is neither run nor stage
_SPAN: Final = "otel-obs doctor"
_PATIENCE: Final = 10.0  # seconds


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What became of it; ``told`` is what was answered, without secrets, where nobody took it, ``fix`` what may help.

    Without ``trace_id`` it could not even be tried.
    """

    trace_id: str
    is_accepted: bool
    seconds: float
    told: str = ""
    fix: str = ""


@dataclass(frozen=True, kw_only=True)
class Said:
    """What OpenTelemetry's variables say: names of the headers that go along, and what of all that cannot be read."""

    headers: list[str]
    unread_headers: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


def said() -> Said:
    """Look at the variables of all signals, as a bot's exporter does."""
    headers: set[str] = set()
    unread_headers: dict[str, None] = {}
    unread: dict[str, None] = {}
    for signal in SIGNALS:
        headers |= set(Variables(signal, tell=lambda text, *of: unread_headers.setdefault(text % of)).headers)
        others = Variables(signal, tell=lambda text, *of: unread.setdefault(text % of))
        _ = others.timeout, others.compression
    return Said(headers=sorted(headers), unread_headers=[*unread_headers], unread=[*unread])


def send_marked(wanted: Settings) -> Sent:
    """Send one span, and wait until it is taken, refused, or nobody took it in some tries.

    Raises:
        MissingExtraError: gRPC was asked for, and its package is not installed.

    """
    try:
        way = ByHand(connect(wanted, tell=lambda *_: None), patience=_PATIENCE)
    except SettingError as error:
        return Sent(trace_id="", is_accepted=False, seconds=0.0, told=error.what, fix=error.fix)
    trace_id = getrandbits(128) or 1
    started = time.monotonic()
    try:
        reply = way.send("traces", _span(trace_id))
    finally:
        way.close()
    seconds = time.monotonic() - started
    is_accepted = reply.verdict is Verdict.DELIVERED and not reply.rejected
    told = "" if is_accepted else reply.told or UNSAID
    return Sent(trace_id=f"{trace_id:032x}", is_accepted=is_accepted, seconds=seconds, told=told, fix=reply.fix)


def _span(trace_id: int) -> bytes:
    from opentelemetry.sdk.resources import Resource

    who = ResourceRecord(dict(Resource.create({semconv.SERVICE_NAME: SERVICE}).attributes))
    now = time.time_ns()
    scope = ScopeRecord(who, semconv.SCOPE)
    return encode_spans([SpanRecord(scope, trace_id, getrandbits(64) or 1, 0, _SPAN, now, now)])
