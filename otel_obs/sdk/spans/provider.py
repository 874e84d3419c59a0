"""Our TracerProvider: whoever instruments with OpenTelemetry's API records with it, other libraries included."""

from __future__ import annotations

import logging
import os
import threading
from functools import partial
from random import getrandbits
from time import time_ns
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import PROCESS_PID, Resource
from opentelemetry.sdk.trace import SpanLimits, SynchronousMultiSpanProcessor
from opentelemetry.sdk.trace import TracerProvider as StockTracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import DEFAULT_ON
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags
from opentelemetry.util._decorator import _agnosticcontextmanager

from otel_obs.contract.dearness import of_span
from otel_obs.sdk.ending import in_child
from otel_obs.sdk.otlp.from_sdk import flags_of, resource_record, scope_record, trace_state_of
from otel_obs.sdk.otlp.records import KNOWS_WHETHER_REMOTE
from otel_obs.sdk.spans.attributes import Limits
from otel_obs.sdk.spans.made import of_leaf
from otel_obs.sdk.spans.made import of_span as of_span_record
from otel_obs.sdk.spans.span import Span, failed_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.sdk.trace.id_generator import IdGenerator
    from opentelemetry.sdk.trace.sampling import Sampler
    from opentelemetry.trace import Link, Tracer
    from opentelemetry.util.types import Attributes

    from otel_obs.contract.recording import Words
    from otel_obs.contract.tiers import Tier
    from otel_obs.sdk.otlp.records import ScopeRecord
    from otel_obs.sdk.recorder.queue import Queue

_log: Final = logging.getLogger("otel_obs")
_SAMPLED: Final = 1
_RANDOM: Final = 2
_FLAGS: Final = tuple(TraceFlags(bits) for bits in range(4))
_SPAN_SIZE: Final = 600  # bytes that an ordinary span takes, about
_CURRENT: Final = next(iter(trace.set_span_in_context(trace.INVALID_SPAN, Context())))  # the key of the current span


class Origin:
    """What all spans of one tracer have in common."""

    def __init__(self, provider: TracerProvider, scope: InstrumentationScope) -> None:
        limits = provider.limits
        self.provider = provider
        self.scope = scope
        self.most_events = limits.max_events
        self.most_links = limits.max_links
        self.span_limits = Limits(limits.max_span_attributes, limits.max_span_attribute_length)
        self.event_limits = Limits(limits.max_event_attributes, limits.max_attribute_length)
        self.link_limits = Limits(limits.max_link_attributes, limits.max_attribute_length)
        self._recorded: tuple[Resource, ScopeRecord] | None = None

    @property
    def resource(self) -> Resource:
        """That of the process; a forked child has its own."""
        return self.provider.resource

    @property
    def scope_record(self) -> ScopeRecord:
        """Who speaks, as the encoder has it."""
        recorded, resource = self._recorded, self.provider.resource
        if recorded is None or recorded[0] is not resource:
            recorded = self._recorded = (resource, scope_record(resource_record(resource), self.scope))
        return recorded[1]

    def hand_over(self, span: Span, tier: Tier | None, size: int) -> None:
        """Take a span that has ended; ``tier`` None is for its attributes to say."""
        provider = self.provider
        if provider.has_processors:
            try:
                provider.processor.on_end(span)
            except Exception:  # noqa: BLE001 - somebody else's must cost neither the bot nor the record
                provider.tell_of_processor()
        queue = provider.queue
        if queue is not None and span.trace_place[1] & _SAMPLED:
            if tier is None:
                tier = of_span(span.said)
                size = _SPAN_SIZE + span.size
            queue.put(2 * tier.place, size, of_span_record, span)


class OurTracer(trace.Tracer):
    """Makes spans of one scope."""

    def __init__(self, origin: Origin) -> None:
        provider = origin.provider
        self._origin = origin
        self._provider = provider
        ids = provider.id_generator
        self._ids = ids
        self._span_id = partial(getrandbits, 64) if type(ids) is RandomIdGenerator else ids.generate_span_id
        self._trace_id = partial(getrandbits, 128) if type(ids) is RandomIdGenerator else ids.generate_trace_id
        self._sampler = provider.sampler
        self._follows_parent = provider.sampler is DEFAULT_ON  # its answer needs no call where the parent was sampled
        self.look()
        self._root_bits = _RANDOM if getattr(ids, "is_trace_id_random", bool)() else 0

    def look(self) -> None:
        """See whether words can wait: where nobody wants to see them but the queue."""
        provider = self._provider
        self.is_late = self._follows_parent and not provider.has_processors and provider.queue is not None

    def start_span(  # noqa: PLR0917 - OpenTelemetry's own signature
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,  # noqa: FBT001, FBT002
        set_status_on_exception: bool = True,  # noqa: FBT001, FBT002
    ) -> trace.Span:
        parent: SpanContext | None = trace.get_current_span(context).get_span_context()
        if parent is not None and parent.is_valid:
            trace_id, bits = parent.trace_id, parent.trace_flags & _RANDOM
        else:
            parent, trace_id, bits = None, self._trace_id(), self._root_bits
        if self._follows_parent and (parent is None or parent.trace_flags & _SAMPLED):
            state = None if parent is None else parent.trace_state
            is_recording, bits = True, bits | _SAMPLED
        else:
            answer = self._sampler.should_sample(context, trace_id, name, kind, attributes, links or ())
            bits |= _SAMPLED if answer.decision.is_sampled() else 0
            if not bits & _SAMPLED and self._provider.queue is not None:
                self._provider.queue.leave_out(of_span(attributes or {}))
            state, attributes, is_recording = answer.trace_state, answer.attributes, answer.decision.is_recording()
        span_id = self._span_id()
        if not is_recording:
            flags = _FLAGS[bits]
            return NonRecordingSpan(
                SpanContext(trace_id, span_id, is_remote=False, trace_flags=flags, trace_state=state)
            )
        start = time_ns() if start_time is None else start_time
        span = Span(self._origin, name, (trace_id, bits, state), span_id, parent, start)
        if start_time is None:
            span.measure()
        span.begin(kind, attributes)
        if not (record_exception and set_status_on_exception):
            span.take_exceptions(recorded=record_exception, failing=set_status_on_exception)
        for link in links or ():
            span.add_link(link.context, link.attributes)
        if self._provider.has_processors:
            try:
                self._provider.processor.on_start(span, parent_context=context)  # type: ignore[arg-type]
            except Exception:  # noqa: BLE001 - likewise
                self._provider.tell_of_processor()
        return span

    # What is described later: see ``contract/recording.py`` -----------------------------------------------------------

    def start_late(self, name: str, settle: Callable[[Words], None], start_ns: int, context: Context, /) -> trace.Span:
        above: Any = context.get(_CURRENT)
        if above.__class__ is Span and above.trace_place[1] & _SAMPLED:
            return Span(self._origin, name, above.trace_place, self._span_id(), above.span_id, start_ns, settle)
        if above is None or not (parent := above.get_span_context()).is_valid:
            place, parent = (self._trace_id(), self._root_bits | _SAMPLED, None), None
        elif not parent.trace_flags & _SAMPLED:
            return self.start_span(name, context, start_time=start_ns)
        else:
            place = (parent.trace_id, parent.trace_flags & _RANDOM | _SAMPLED, parent.trace_state)
        return Span(self._origin, name, place, self._span_id(), parent, start_ns, settle)

    def record_late(  # noqa: PLR0917 - positions cost a bot less than names
        self, name: str, describe: Callable[[Any], dict[str, Any]], said: Any, tier: Tier, size: int, start_ns: int,
        context: Context, /,
    ) -> None:  # fmt: skip
        above: Any = context.get(_CURRENT)
        queue: Any = self._provider.queue
        flags, state, parent_id = KNOWS_WHETHER_REMOTE, "", 0
        if above.__class__ is Span and above.trace_place[1] & _SAMPLED:
            trace_id, _, trace_state = above.trace_place
            parent_id = above.span_id
            if trace_state:
                state = trace_state.to_header()
        elif above is None:
            trace_id = self._trace_id()
        else:
            parent: SpanContext = above.get_span_context()
            if parent.is_valid and not parent.trace_flags & _SAMPLED:
                queue.leave_out(tier)
                return
            trace_id, parent_id = (parent.trace_id, parent.span_id) if parent.is_valid else (self._trace_id(), 0)
            flags, state = flags_of(parent), trace_state_of(parent)
        queue.put(
            2 * tier.place, size, of_leaf,
            (name, describe, said, self._origin, trace_id, self._span_id(), parent_id, start_ns, flags, state),
        )  # fmt: skip

    @_agnosticcontextmanager
    def start_as_current_span(  # noqa: PLR0917 - likewise
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,  # noqa: FBT001, FBT002
        set_status_on_exception: bool = True,  # noqa: FBT001, FBT002
        end_on_exit: bool = True,  # noqa: FBT001, FBT002
    ) -> Iterator[trace.Span]:
        span = self.start_span(
            name, context, kind, attributes, links, start_time, record_exception, set_status_on_exception
        )
        # What OpenTelemetry itself does with exceptions fails where one has no words.
        with trace.use_span(
            span, end_on_exit=end_on_exit, record_exception=False, set_status_on_exception=False
        ) as current:
            try:
                yield current
            except Exception as error:
                if current.is_recording():
                    if record_exception:
                        current.record_exception(error)
                    if set_status_on_exception:
                        current.set_status(failed_by(error))
                raise

    def record_leaf(self, name: str, attributes: Mapping[str, Any], *, start_ns: int, context: Context) -> None:
        """Record a finished span; see ``contract/recording.py``."""
        self.start_span(name, context, attributes=attributes, start_time=start_ns).end(start_ns)


class TracerProvider(trace.TracerProvider):
    """OpenTelemetry's provider, whose spans cost their bot little. What the environment says of it holds."""

    def __init__(
        self,
        *,
        resource: Resource,
        ids: IdGenerator | None = None,
        limits: SpanLimits | None = None,
        queue: Queue | None = None,
    ) -> None:
        self.resource = resource
        self.queue = queue
        self.has_processors = False
        self.id_generator: IdGenerator = ids or RandomIdGenerator()
        self.limits = limits or SpanLimits()
        self.sampler: Sampler = StockTracerProvider(shutdown_on_exit=False, resource=resource).sampler
        self._is_told = False
        self.processor = SynchronousMultiSpanProcessor()
        self._active_span_processor = self.processor  # the stock provider's name for it, which other libraries look for
        self._tracers: dict[InstrumentationScope, OurTracer] = {}
        self._lock = threading.RLock()
        in_child(self._go_on)

    def _go_on(self) -> None:
        self._lock = threading.RLock()
        if PROCESS_PID in self.resource.attributes:
            self.resource = self.resource.merge(Resource({PROCESS_PID: os.getpid()}))

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> Tracer:
        if not instrumenting_module_name:
            _log.error("A tracer was asked for without a name.")
        scope = InstrumentationScope(
            instrumenting_module_name or "", instrumenting_library_version or "", schema_url, attributes
        )
        with self._lock:
            if scope not in self._tracers:
                self._tracers[scope] = OurTracer(Origin(self, scope))
            return self._tracers[scope]

    def add_span_processor(self, processor: SpanProcessor) -> None:
        """Tell ``processor`` of each span from now on."""
        self.processor.add_span_processor(processor)
        self.has_processors = True
        with self._lock:
            for tracer in self._tracers.values():
                tracer.look()

    def tell_of_processor(self) -> None:
        """Log that one has just failed; the first time, as who listens to logs may start spans."""
        if not self._is_told:
            self._is_told = True
            _log.exception("A span processor failed. Spans are sent all the same; further failures are not told.")

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Have all processors send what waits."""
        return self.processor.force_flush(timeout_millis)

    def shutdown(self) -> None:
        """End all processors."""
        self.processor.shutdown()
