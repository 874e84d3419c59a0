"""Our TracerProvider: whoever instruments with OpenTelemetry's API records with it, other libraries included."""

from __future__ import annotations

import logging
import os
import threading
from time import time_ns
from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry.sdk.resources import PROCESS_PID, Resource
from opentelemetry.sdk.trace import SpanLimits, SynchronousMultiSpanProcessor
from opentelemetry.sdk.trace import TracerProvider as StockTracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import DEFAULT_ON
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags
from opentelemetry.util._decorator import _agnosticcontextmanager

from otel_obs.sdk.ending import in_child
from otel_obs.sdk.spans.attributes import Limits
from otel_obs.sdk.spans.span import Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.sdk.trace.id_generator import IdGenerator
    from opentelemetry.sdk.trace.sampling import Sampler
    from opentelemetry.trace import Link, Tracer
    from opentelemetry.util.types import Attributes

_log: Final = logging.getLogger("otel_obs")
_SAMPLED: Final = 1
_RANDOM: Final = 2
_FLAGS: Final = tuple(TraceFlags(bits) for bits in range(4))


class Origin:
    """What all spans of one tracer have in common."""

    def __init__(self, provider: TracerProvider, scope: InstrumentationScope) -> None:
        limits = provider.limits
        self.provider = provider
        self.scope = scope
        self.processor = provider.processor
        self.most_events = limits.max_events
        self.most_links = limits.max_links
        self.span_limits = Limits(limits.max_span_attributes, limits.max_span_attribute_length)
        self.event_limits = Limits(limits.max_event_attributes, limits.max_attribute_length)
        self.link_limits = Limits(limits.max_link_attributes, limits.max_attribute_length)

    @property
    def resource(self) -> Resource:
        """That of the process; a forked child has its own."""
        return self.provider.resource


class OurTracer(trace.Tracer):
    """Makes spans of one scope."""

    def __init__(self, origin: Origin) -> None:
        provider = origin.provider
        self._origin = origin
        self._ids = provider.id_generator
        self._sampler = provider.sampler
        self._follows_parent = provider.sampler is DEFAULT_ON  # its answer needs no call where the parent was sampled
        self._root_bits = _RANDOM if getattr(provider.id_generator, "is_trace_id_random", bool)() else 0

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
            parent, trace_id, bits = None, self._ids.generate_trace_id(), self._root_bits
        if self._follows_parent and (parent is None or parent.trace_flags & _SAMPLED):
            state = None if parent is None else parent.trace_state
            is_recording, bits = True, bits | _SAMPLED
        else:
            answer = self._sampler.should_sample(context, trace_id, name, kind, attributes, links or ())
            state, attributes, is_recording = answer.trace_state, answer.attributes, answer.decision.is_recording()
            bits |= _SAMPLED if answer.decision.is_sampled() else 0
        own = SpanContext(
            trace_id, self._ids.generate_span_id(), is_remote=False, trace_flags=_FLAGS[bits], trace_state=state
        )
        if not is_recording:
            return NonRecordingSpan(own)
        span = Span(
            self._origin, name, attributes, context=own, parent=parent, kind=kind,
            start=time_ns() if start_time is None else start_time,
            records_exceptions=record_exception, fails_with_exceptions=set_status_on_exception,
        )  # fmt: skip
        for link in links or ():
            span.add_link(link.context, link.attributes)
        span.start(context)
        return span

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
        with trace.use_span(
            span,
            end_on_exit=end_on_exit,
            record_exception=record_exception,
            set_status_on_exception=set_status_on_exception,
        ) as current:
            yield current

    def record_leaf(self, name: str, attributes: Mapping[str, Any], *, start_ns: int, context: Context) -> None:
        """Record a finished span; see ``contract/recording.py``."""
        self.start_span(name, context, attributes=attributes, start_time=start_ns).end(start_ns)


class TracerProvider(trace.TracerProvider):
    """OpenTelemetry's provider, whose spans cost their bot little. What the environment says of it holds."""

    def __init__(self, *, resource: Resource, ids: IdGenerator | None = None, limits: SpanLimits | None = None) -> None:
        self.resource = resource
        self.id_generator: IdGenerator = ids or RandomIdGenerator()
        self.limits = limits or SpanLimits()
        self.sampler: Sampler = StockTracerProvider(shutdown_on_exit=False, resource=resource).sampler
        self.processor = SynchronousMultiSpanProcessor()
        self._active_span_processor = self.processor  # the stock provider's name for it, which other libraries look for
        self._tracers: dict[InstrumentationScope, Tracer] = {}
        self._lock = threading.Lock()
        in_child(self._go_on)

    def _go_on(self) -> None:
        self._lock = threading.Lock()
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

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Have all processors send what waits."""
        return self.processor.force_flush(timeout_millis)

    def shutdown(self) -> None:
        """End all processors."""
        self.processor.shutdown()
