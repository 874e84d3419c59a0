"""OpenTelemetry's own spans and log records as ours, one by one as they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opentelemetry.trace import SpanKind, StatusCode

from otel_obs.sdk.otlp.records import (
    IS_REMOTE,
    KNOWS_WHETHER_REMOTE,
    NOTHING,
    EventRecord,
    LinkRecord,
    LogRecord,
    ResourceRecord,
    ScopeRecord,
    SpanRecord,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from opentelemetry._logs import LogRecord as ApiLogRecord
    from opentelemetry.sdk._logs import ReadableLogRecord
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import Link, SpanContext

KINDS: Final = {
    SpanKind.INTERNAL: 1,
    SpanKind.SERVER: 2,
    SpanKind.CLIENT: 3,
    SpanKind.PRODUCER: 4,
    SpanKind.CONSUMER: 5,
}


class _Scopes:
    """Who speaks, once per batch: found by identity, because the hash of a resource costs more than a span."""

    def __init__(self) -> None:
        self._resources: dict[int, tuple[Resource, ResourceRecord]] = {}
        self._scopes: dict[tuple[int, int], tuple[object, ScopeRecord]] = {}

    def of(self, resource: Resource, scope: InstrumentationScope | None) -> ScopeRecord:
        """The record of both, which lives as long as this does, and they with it."""
        key = (id(resource), id(scope))
        found = self._scopes.get(key)
        if found is None:
            found = self._scopes[key] = (scope, self._made(resource, scope))
        return found[1]

    def _made(self, resource: Resource, scope: InstrumentationScope | None) -> ScopeRecord:
        _, ours = self._resources.setdefault(id(resource), (resource, resource_record(resource)))
        return scope_record(ours, scope)


def resource_record(resource: Resource) -> ResourceRecord:
    """Who speaks: the process."""
    return ResourceRecord(_plain(resource.attributes), resource.schema_url or "")


def scope_record(resource: ResourceRecord, scope: InstrumentationScope | None) -> ScopeRecord:
    """Who speaks: the library. One for each resource and scope is to be kept: the encoder finds it by identity."""
    if not scope:
        return ScopeRecord(resource)
    return ScopeRecord(resource, scope.name, scope.version or "", scope.schema_url or "", _plain(scope.attributes))


def span_records(spans: Iterable[ReadableSpan]) -> Iterator[SpanRecord]:
    """Yield the record of each span."""
    scopes = _Scopes()
    for span in spans:
        yield span_record(span, scopes.of(span.resource, span.instrumentation_scope))


def span_record(span: ReadableSpan, scope: ScopeRecord) -> SpanRecord:
    """The record of one span, whose attributes are its own."""
    context, parent, status = span.context, span.parent, span.status
    code = status.status_code
    kind = span.kind
    events, links = span.events, span.links
    return SpanRecord(
        scope,
        context.trace_id if context else 0,
        context.span_id if context else 0,
        parent.span_id if parent else 0,
        span.name,
        span.start_time or 0,
        span.end_time or 0,
        _plain(span.attributes),
        [_event(one) for one in events] if events else (),
        [of_link(one) for one in links] if links else (),
        1 if kind is SpanKind.INTERNAL else KINDS.get(kind, 0),
        0 if code is StatusCode.UNSET else code.value,
        status.description or "",
        trace_state_of(context),
        flags_of(parent),
        span.dropped_attributes,
        span.dropped_events,
        span.dropped_links,
    )


def log_records(batch: Sequence[ReadableLogRecord]) -> Iterator[LogRecord]:
    """Yield the record of each log record."""
    scopes = _Scopes()
    for one in batch:
        scope = scopes.of(one.resource, one.instrumentation_scope)
        yield log_record(one.log_record, scope, _plain(one.log_record.attributes), one.dropped_attributes)


def log_record(
    said: ApiLogRecord, scope: ScopeRecord, attributes: Mapping[str, Any], dropped_attributes: int
) -> LogRecord:
    """The record of one log record, whose attributes are given apart."""
    return LogRecord(
        scope,
        said.timestamp or 0,
        said.observed_timestamp or 0,
        said.body,
        attributes,
        said.event_name or "",
        said.severity_number.value if said.severity_number else 0,
        said.severity_text or "",
        said.trace_id or 0,
        said.span_id or 0,
        int(said.trace_flags or 0),
        dropped_attributes,
    )


def _event(event: Event) -> EventRecord:
    return EventRecord(event.name, event.timestamp, _plain(event.attributes), event.dropped_attributes)


def of_link(link: Link) -> LinkRecord:
    """A link, whose attributes are its own."""
    context = link.context
    return LinkRecord(
        context.trace_id,
        context.span_id,
        trace_state_of(context),
        _plain(link.attributes),
        link.dropped_attributes,
        flags_of(context),
    )


def trace_state_of(context: SpanContext | None) -> str:
    """As the header has it; empty where there is none."""
    return context.trace_state.to_header() if context and context.trace_state else ""


def flags_of(context: SpanContext | None) -> int:
    """What OTLP's flags say of a parent, or of the target of a link."""
    return KNOWS_WHETHER_REMOTE | IS_REMOTE if context and context.is_remote else KNOWS_WHETHER_REMOTE


def _plain(attributes: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """A dict where there is one underneath: OpenTelemetry's own mapping takes a lock and a call for each item."""
    if attributes is None:
        return NOTHING
    try:
        return attributes.copy()  # type: ignore[attr-defined,no-any-return]
    except AttributeError:
        return dict(attributes)
