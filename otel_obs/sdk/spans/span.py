"""One span: told of by its bot, read by processors and exporters once it has ended."""

from __future__ import annotations

import logging
import threading
from time import monotonic_ns, time_ns
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from otel_obs.contract import semconv
from otel_obs.sdk.ending import in_child
from otel_obs.sdk.exceptions import told_of
from otel_obs.sdk.otlp.wire import words
from otel_obs.sdk.spans.attributes import size_of
from otel_obs.sdk.spans.made import of_span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import TraceState
    from opentelemetry.util.types import Attributes

    from otel_obs.contract.recording import Words
    from otel_obs.contract.tiers import Tier
    from otel_obs.sdk.otlp.records import ScopeRecord
    from otel_obs.sdk.spans.provider import Origin

    TracePlace = tuple[int, int, TraceState | None]  # trace id, flags, state: what a parent of ours has as well

_EVENT_SIZE: Final = 300  # bytes that one takes, about
_LINK_SIZE: Final = 150
_opening = threading.RLock()
_log: Final = logging.getLogger("otel_obs")
T = TypeVar("T", "Event", "Link")
_SAMPLED: Final = 1
_UNSET: Final = Status(StatusCode.UNSET)


def _open_anew() -> None:
    global _opening  # noqa: PLW0603 - another thread of the parent may have held it when this child was forked
    _opening = threading.RLock()


in_child(_open_anew)


class Event:
    """Something that happened within a span."""

    __slots__ = ("attributes", "dropped_attributes", "name", "timestamp")

    def __init__(self, name: str, attributes: dict[str, Any], timestamp: int, dropped_attributes: int) -> None:
        self.name = name
        self.attributes = attributes
        self.timestamp = timestamp
        self.dropped_attributes = dropped_attributes


class Link:
    """Another span that this one has to do with."""

    __slots__ = ("attributes", "context", "dropped_attributes")

    def __init__(self, context: SpanContext, attributes: dict[str, Any], dropped_attributes: int) -> None:
        self.context = context
        self.attributes = attributes
        self.dropped_attributes = dropped_attributes


class Span(trace.Span, ReadableSpan):
    """A span that records. Made by a tracer alone.

    It is handed to processors as it is: once ended it takes nothing more, so that no copy is needed.
    """

    # Not that of ReadableSpan, which keeps what it is told under names of its own: all that it tells is told here.
    # What few spans have stands here, so that the others need not be given it one by one.
    _ended: int | None = None
    _ticks: int | None = None
    _state = _UNSET
    _unsaid = _lost_events = _lost_links = 0
    _sort = SpanKind.INTERNAL
    _is_begun = False  # what holds its words is made when there is something to hold
    _happened: list[Event]
    _linked: list[Link]
    _said: dict[str, Any]
    _records_exceptions = _fails_with_exceptions = True

    def __init__(  # noqa: PLR0917 - positions cost a bot less than names
        self,
        origin: Origin,
        name: str,
        trace_place: TracePlace,
        span_id: int,
        parent: SpanContext | int | None,
        start: int,
        settle: Callable[[Words], None] | None = None,
    ) -> None:
        """``settle`` is asked for its words before any are read, or others are added; ``parent`` is one of ours."""
        self._origin = origin
        self._title = name
        self.trace_place = trace_place
        self.span_id = span_id
        self._above = parent
        self._began = start
        self._settle = settle

    def measure(self) -> None:
        """Start counting: its duration is then a clock's that nobody sets."""
        self._ticks = monotonic_ns()

    def take_exceptions(self, *, recorded: bool, failing: bool) -> None:
        """Whether one that ends its ``with`` is recorded, and makes it an error."""
        self._records_exceptions, self._fails_with_exceptions = recorded, failing

    def begin(self, kind: SpanKind, attributes: Attributes) -> None:
        """Take what is said of it at its start."""
        self._sort = kind
        self._said, self._unsaid = self._origin.span_limits.taken(attributes)
        self._happened, self._linked = [], []
        self._is_begun = True

    # What it is told -------------------------------------------------------------------------------------------------

    def _is_over(self, what: str) -> bool:
        if self._ended is None:
            return False
        _log.warning("%s of span %r came after its end, and is left out.", what, self._title)
        return True

    def settle(self) -> None:
        """See ``contract/recording.py``."""
        if not self._is_begun:
            with _opening:
                if not self._is_begun:
                    self.begin(SpanKind.INTERNAL, None)
        if self._settle is not None:
            self._settle(_Late(self))

    def set_attribute(self, key: str, value: Any) -> None:
        if not self._is_over("An attribute"):
            self.settle()
            self._put_attribute(key, value)

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        if not self._is_over("Attributes"):
            self.settle()
            self._put_attributes(attributes)

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        if not self._is_over("An event"):
            self.settle()
            self._put_event(name, attributes, timestamp)

    def _put_attribute(self, key: str, value: Any) -> None:
        self._unsaid += self._origin.span_limits.put(self._said, key, value)

    def _put_attributes(self, attributes: Mapping[str, Any]) -> None:
        self._unsaid += self._origin.span_limits.add(self._said, attributes)

    def _put_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        said, unsaid = self._origin.event_limits.taken(attributes)
        event = Event(name, said, time_ns() if timestamp is None else timestamp, unsaid)
        self._lost_events += _put_last(self._happened, event, self._origin.most_events)

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        if self._is_over("A link") or not (context.is_valid or attributes or context.trace_state):
            return
        said, unsaid = self._origin.link_limits.taken(attributes)
        self._lost_links += _put_last(self._linked, Link(context, said, unsaid), self._origin.most_links)

    def update_name(self, name: str) -> None:
        if not self._is_over("A name"):
            self._title = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        told = status if isinstance(status, Status) else Status(status, description)
        if not self._is_over("A status"):
            self.settle()
            self._put_status(told)

    def _put_status(self, told: Status) -> None:
        if self._state.status_code is not StatusCode.OK and told.status_code is not StatusCode.UNSET:
            self._state = told

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,  # noqa: FBT001, FBT002 - OpenTelemetry's own signature
    ) -> None:
        told: dict[str, Any] = {**told_of(exception), "exception.escaped": str(escaped)}
        try:
            told.update(attributes or {})
        except Exception:  # noqa: BLE001 - a bot's own mapping may raise anything
            _log.warning("The attributes of an exception could not be read, and are left out.")
        self.add_event(semconv.EXCEPTION_EVENT, told, timestamp)

    def end(self, end_time: int | None = None) -> None:
        if self._is_over("A second end"):
            return
        if end_time is None:
            ticks = self._ticks
            end_time = time_ns() if ticks is None else self._began + max(0, monotonic_ns() - ticks)
        self._ended = end_time
        self._origin.hand_over(self, None, 0)

    def end_late(self, end_ns: int, tier: Tier, size: int, /) -> None:
        """See ``contract/recording.py``."""
        if self._ended is not None:
            return
        self._ended = end_ns
        provider = self._origin.provider
        queue = provider.queue
        if provider.has_processors or queue is None or not self.trace_place[1] & _SAMPLED:
            self._origin.hand_over(self, tier, size)
        else:
            queue.put(2 * tier.place, size, of_span, self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        if error is not None and self._ended is None:
            if self._records_exceptions:
                self.record_exception(error, escaped=True)
            if self._fails_with_exceptions:
                self.set_status(failed_by(error))
        super().__exit__(kind, error, stack)

    # What it tells ---------------------------------------------------------------------------------------------------

    def is_recording(self) -> bool:
        return self._ended is None

    def get_span_context(self) -> SpanContext:
        trace_id, bits, state = self.trace_place
        return SpanContext(trace_id, self.span_id, is_remote=False, trace_flags=TraceFlags(bits), trace_state=state)

    @property
    def context(self) -> SpanContext:
        return self.get_span_context()

    @property
    def name(self) -> str:
        return self._title

    @property
    def kind(self) -> SpanKind:
        return self._sort

    @property
    def parent(self) -> SpanContext | None:
        above = self._above
        if not isinstance(above, int):
            return above
        trace_id, bits, state = self.trace_place
        return SpanContext(trace_id, above, is_remote=False, trace_flags=TraceFlags(bits), trace_state=state)

    @property
    def start_time(self) -> int:
        return self._began

    @property
    def end_time(self) -> int | None:
        return self._ended

    @property
    def status(self) -> Status:
        self.settle()
        return self._state

    @property
    def attributes(self) -> Attributes:
        self.settle()
        return MappingProxyType(self._said)

    @property
    def dropped_attributes(self) -> int:
        self.settle()
        return self._unsaid

    @property
    def events(self) -> Sequence[Any]:
        self.settle()
        return tuple(self._happened)

    @property
    def dropped_events(self) -> int:
        self.settle()
        return self._lost_events

    @property
    def links(self) -> Sequence[Any]:
        return tuple(self._linked)

    @property
    def dropped_links(self) -> int:
        return self._lost_links

    @property
    def resource(self) -> Resource:
        return self._origin.resource

    @property
    def said(self) -> dict[str, Any]:
        """Its attributes as they are written down by now: to be read, never to be kept."""
        return self._said

    @property
    def size(self) -> int:
        """About how many bytes that take which is written down by now."""
        size = size_of(self._said)
        for event in self._happened:
            size += _EVENT_SIZE + size_of(event.attributes)
        for link in self._linked:
            size += _LINK_SIZE + size_of(link.attributes)
        return size

    @property
    def scope_record(self) -> ScopeRecord:
        """Who speaks, as the encoder has it."""
        return self._origin.scope_record

    @property
    def instrumentation_scope(self) -> InstrumentationScope:
        return self._origin.scope

    @property
    def instrumentation_info(self) -> None:
        """Nothing: it was given up for the scope, above."""

    def to_json(self, indent: int | None = 4) -> str:
        plain = ReadableSpan(
            name=self.name, context=self.context, parent=self.parent, resource=self.resource,
            attributes=dict(self.attributes or {}), events=self.events, links=self.links, kind=self.kind,
            status=self.status, start_time=self.start_time, end_time=self.end_time,
            instrumentation_scope=self.instrumentation_scope,
        )  # fmt: skip
        return str(plain.to_json(indent))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self._title!r}, context={self.context!r})"


def failed_by(error: BaseException) -> Status:
    """The status of a span that ended with an exception."""
    return Status(StatusCode.ERROR, f"{type(error).__name__}: {words(error)}")


def _put_last(held: list[T], one: T, most: int | None) -> int:
    """Hold one more; returns how many went for it: the oldest, where there are too many."""
    held.append(one)
    if most is None or len(held) <= most:
        return 0
    del held[0]
    return 1


class _Late:
    """Writes on a span that may have ended: for who heard it before the end."""

    __slots__ = ("add_event", "set_attribute", "set_attributes", "set_status")

    def __init__(self, span: Span) -> None:
        self.set_attribute = span._put_attribute  # noqa: SLF001 - one family
        self.set_attributes = span._put_attributes  # noqa: SLF001
        self.add_event = span._put_event  # noqa: SLF001
        self.set_status = span._put_status  # noqa: SLF001
