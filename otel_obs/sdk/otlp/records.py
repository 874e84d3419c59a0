"""What is encoded: spans and log records as plain tuples, in the words of OTLP; ids are ints, times ns since the epoch.

A tuple is the cheapest thing that a bot's thread can leave behind, and the cheapest to take apart. Records of one
origin should share one ``ScopeRecord``: it is found by identity first.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
KNOWS_WHETHER_REMOTE: Final = 0x100  # SpanFlags: the next bit says something
IS_REMOTE: Final = 0x200  # SpanFlags: the parent of a span, the target of a link, is in another process


class ResourceRecord(NamedTuple):
    """Who speaks: the process."""

    attributes: Mapping[str, Any] = NOTHING
    schema_url: str = ""


class ScopeRecord(NamedTuple):
    """Who speaks: the library inside the process."""

    resource: ResourceRecord
    name: str = ""
    version: str = ""
    schema_url: str = ""
    attributes: Mapping[str, Any] = NOTHING


class EventRecord(NamedTuple):
    """A span event."""

    name: str
    time_ns: int
    attributes: Mapping[str, Any] = NOTHING
    dropped_attributes: int = 0


class LinkRecord(NamedTuple):
    """A link to another span."""

    trace_id: int
    span_id: int
    trace_state: str = ""
    attributes: Mapping[str, Any] = NOTHING
    dropped_attributes: int = 0
    flags: int = KNOWS_WHETHER_REMOTE


class SpanRecord(NamedTuple):
    """A span that has ended. ``parent_id`` is 0 for a root; ``kind`` and ``status_code`` are OTLP's own numbers."""

    scope: ScopeRecord
    trace_id: int
    span_id: int
    parent_id: int
    name: str
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Any] = NOTHING
    events: Sequence[EventRecord] = ()
    links: Sequence[LinkRecord] = ()
    kind: int = 1
    status_code: int = 0
    status_description: str = ""
    trace_state: str = ""
    flags: int = KNOWS_WHETHER_REMOTE
    dropped_attributes: int = 0
    dropped_events: int = 0
    dropped_links: int = 0


class LogRecord(NamedTuple):
    """A log record, or an event where it has an ``event_name``. Ids are 0 outside any span."""

    scope: ScopeRecord
    time_ns: int
    observed_ns: int
    body: Any = None
    attributes: Mapping[str, Any] = NOTHING
    event_name: str = ""
    severity_number: int = 0
    severity_text: str = ""
    trace_id: int = 0
    span_id: int = 0
    flags: int = 0
    dropped_attributes: int = 0
