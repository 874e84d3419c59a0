"""Which record is open here: kept in OpenTelemetry's own context, so it follows tasks, and threads that carry it."""

from __future__ import annotations

import functools
from contextlib import contextmanager
from contextvars import Token
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.context import Context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_obs.instrument.record import Record

P = ParamSpec("P")
R = TypeVar("R")

_KEY: Final = otel.create_key("otel_obs.record")
_SILENT: Final = otel.create_key("otel_obs.silent_decision")
_SPAN: Final = next(iter(trace.set_span_in_context(trace.INVALID_SPAN, Context())))  # OpenTelemetry's own key


def _direct() -> tuple[Callable[[], Context], Callable[[Context], Any]]:
    """Read and set the context; without OpenTelemetry's calls between, where a ContextVar holds it, as it does."""
    token: Any = otel.attach(otel.get_current())
    otel.detach(token)
    if isinstance(token, Token):
        return token.var.get, token.var.set
    return otel.get_current, otel.attach


current_context, attach = _direct()


def innermost() -> Record | None:
    """The innermost record that is open here; one that ended out of order is passed over."""
    return place()[0]


def place() -> tuple[Record | None, Context]:
    """The innermost record that is open here, and the context under which a child of it starts.

    That is where the innermost span here is the parent, whoever opened it. Where that span is one of ours that has
    ended already, its nearest open ancestor takes its place.
    """
    here = current_context()
    leaf: Any = here.get(_KEY)
    if leaf is None or not leaf.ended:
        return leaf, here
    record = leaf
    while record is not None and record.ended:
        record = record.parent
    if here.get(_SPAN) is leaf.span:
        return record, trace.set_span_in_context(record.span if record else trace.INVALID_SPAN, here)
    return record, here


def context_of(record: Record) -> Context:
    """Where ``record`` is the innermost: what is here, and it."""
    here = current_context().copy()
    here[_KEY], here[_SPAN] = record, record.span
    return Context(here)


def innermost_silent() -> object:
    """What ``silent_context_of`` put here last; None where nothing was."""
    return otel.get_value(_SILENT)


def silent_context_of(decision: object) -> Context:
    """Where ``decision``, of which nothing is recorded, is the innermost: it follows threads and generators as well."""
    return otel.set_value(_SILENT, decision)


def leave(here: Context, token: Token[Context]) -> None:
    """Put back what was there before ``attach(here)`` gave ``token``, if ``here`` is what is here now.

    A generator that is closed in another task, or records that end out of order, find something else here: it is left
    alone, and ``innermost`` passes over what has ended.
    """
    if current_context() is not here:
        return
    try:
        token.var.reset(token)
    except ValueError:  # entered in another task or thread
        before = token.old_value
        otel.attach(Context() if before is Token.MISSING else before)


@contextmanager
def running_in(place: list[Context]) -> Iterator[None]:
    """Run one step of a generator in the context that it left at its last step (``place`` holds it)."""
    caller = otel.get_current()
    otel.attach(place[0])
    try:
        yield
    finally:
        place[0] = otel.get_current()
        otel.attach(caller)


def carry(function: Callable[P, R]) -> Callable[P, R]:
    """Hand the open trace, stage and decision on to another thread.

    ``pool.submit(obs.carry(work), …)`` or ``Thread(target=obs.carry(work))``: whatever ``work`` records there belongs
    to what is open here, where ``carry`` was called.
    """
    here = otel.get_current()

    @functools.wraps(function)
    def carried(*args: P.args, **kwargs: P.kwargs) -> R:
        token: Any = otel.attach(here)
        try:
            return function(*args, **kwargs)
        finally:
            otel.detach(token)

    return carried
