"""Our spans as the encoder's records, made off the bot's thread; their attributes are a dict of the record's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_obs.sdk.otlp.from_sdk import span_record
from otel_obs.sdk.otlp.records import SpanRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_obs.sdk.spans.provider import Origin
    from otel_obs.sdk.spans.span import Span

    # name, describe, what was said, origin, trace id, span id, parent's id, time, flags, trace state
    Leaf = tuple[str, Callable[[Any], dict[str, Any]], Any, Origin, int, int, int, int, int, str]


def of_leaf(leaf: Leaf) -> SpanRecord:
    """Describe what was said in one call."""
    name, describe, said, origin, trace_id, span_id, parent_id, at, flags, state = leaf
    attributes, left_out = origin.span_limits.taken(describe(said))
    return SpanRecord(
        origin.scope_record, trace_id, span_id, parent_id, name, at, at, attributes, (), (), 1, 0, "", state, flags,
        left_out,
    )  # fmt: skip


def of_span(span: Span) -> SpanRecord:
    """Have all that was said of it written down."""
    return span_record(span, span.scope_record)
