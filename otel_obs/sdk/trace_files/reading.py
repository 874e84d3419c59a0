"""Documents read back into the records that they were written from; what is wrong with one is told by its place."""

from __future__ import annotations

import base64
import json
import string
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from otel_obs.contract.trace_document import SCHEMA_VERSION
from otel_obs.errors import OtelObsError
from otel_obs.sdk.otlp.records import EventRecord, LinkRecord, LogRecord, ResourceRecord, ScopeRecord, SpanRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_KINDS: Final = {int: "a whole number", str: "a text", list: "a list", dict: "an object", bool: "true or false"}
_NOT_FINITE: Final = {"Infinity", "-Infinity", "NaN"}
_HEXADECIMAL: Final = frozenset(string.hexdigits)
_SPAN: Final = 16
_TRACE: Final = 32
_MOST_64: Final = (1 << 64) - 1
_MOST_32: Final = (1 << 32) - 1
_INT64: Final = 1 << 63


class DocumentError(OtelObsError):
    """A text is no trace document, or a damaged one. ``where`` is the line and column, or the path inside it."""

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        super().__init__(what, fix=fix)
        self.where = where


class Records(NamedTuple):
    """What one document holds."""

    spans: list[SpanRecord]
    logs: list[LogRecord]


def read(text: str | bytes) -> Records:
    """Read the records of one document, in their order.

    Raises:
        DocumentError: it is no document of a version that is known here, or is damaged.

    """
    return records(_parsed(text))


def _parsed(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DocumentError(
            f"This is no JSON: {error.msg}.",
            where=f"line {error.lineno} column {error.colno}",
            fix="Restore the file from a copy: what was written by a bot is whole or not there.",
        ) from None
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        raise DocumentError(f"This is no JSON: {error}.", fix="Restore the file from a copy.") from None


def records(document: Any) -> Records:
    """Read the records of a document that is parsed already; raises as ``read`` does."""
    version = document.get("schema_version") if isinstance(document, dict) else None
    if version is None:
        raise DocumentError(
            "This is no trace document: it has no schema_version.",
            fix="Give files that OTEL_OBS_TRACE_FILES wrote.",
        )
    if version != SCHEMA_VERSION:
        raise DocumentError(
            f"Its schema_version is {version!r}, and {SCHEMA_VERSION!r} is read here.",
            where="/schema_version",
            fix="Import it with the version of otel-obs that wrote it, or a newer one.",
        )
    exact = _At("", document).get("otlp", dict)
    return Records(
        [_span(scope, at) for scope, at in _each(exact, "resourceSpans", "scopeSpans", "spans")],
        [_log(scope, at) for scope, at in _each(exact, "resourceLogs", "scopeLogs", "logRecords")],
    )


class _At:
    """An object inside a document, and the path to it."""

    __slots__ = ("path", "value")

    def __init__(self, path: str, value: Any) -> None:
        self.path, self.value = path, value
        if not isinstance(value, dict):
            raise self._wrong(dict, value)

    def _wrong(self, kind: type, value: Any, name: str = "") -> DocumentError:
        shown = json.dumps(value)[:60]
        path = f"{self.path}/{name}" if name else self.path
        return DocumentError(f"{_KINDS[kind].capitalize()} is wanted, not {shown}.", where=path, fix=_FIX)

    def get(self, name: str, kind: type, default: Any = None) -> Any:
        """A member; objects come with their path."""
        value = self.value.get(name, default)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self._wrong(kind, value, name)
        return _At(f"{self.path}/{name}", value) if kind is dict else value

    def each(self, name: str) -> Iterator[_At]:
        """The objects of a list."""
        for index, value in enumerate(self.get(name, list, [])):
            yield _At(f"{self.path}/{name}/{index}", value)

    def count(self, name: str, most: int = _MOST_32) -> int:
        """A number, which JSON has as a number or, beyond 53 bits, as a text."""
        value = self.value.get(name, 0)
        try:
            found = int(value) if isinstance(value, (int, str)) and not isinstance(value, bool) else -1
        except ValueError:
            found = -1
        if not 0 <= found <= most:
            raise self._wrong(int, value, name)
        return found

    def id(self, name: str, digits: int) -> int:
        """An id, in hexadecimal digits; 0 where there is none."""
        text = self.get(name, str, "")
        if text and (len(text) != digits or not set(text) <= _HEXADECIMAL):
            where = f"{self.path}/{name}"
            raise DocumentError(f"{text[:60]!r} is not {digits} hexadecimal digits.", where=where, fix=_FIX)
        return int(text or "0", 16)


_FIX: Final = "Restore the file from a copy; it was changed after it was written."


def _each(exact: _At, resources: str, scopes: str, entries: str) -> Iterator[tuple[ScopeRecord, _At]]:
    for holder in exact.each(resources):
        whose = holder.get("resource", dict, {})
        resource = ResourceRecord(_attributes(whose), holder.get("schemaUrl", str, ""))
        for group in holder.each(scopes):
            said = group.get("scope", dict, {})
            scope = ScopeRecord(
                resource, said.get("name", str, ""), said.get("version", str, ""), group.get("schemaUrl", str, ""),
                _attributes(said),
            )  # fmt: skip
            for entry in group.each(entries):
                yield scope, entry


def _span(scope: ScopeRecord, at: _At) -> SpanRecord:
    status = at.get("status", dict, {})
    return SpanRecord(
        scope=scope,
        trace_id=at.id("traceId", _TRACE),
        span_id=at.id("spanId", _SPAN),
        parent_id=at.id("parentSpanId", _SPAN),
        name=at.get("name", str, ""),
        start_ns=at.count("startTimeUnixNano", _MOST_64),
        end_ns=at.count("endTimeUnixNano", _MOST_64),
        attributes=_attributes(at),
        events=[_event(one) for one in at.each("events")],
        links=[_link(one) for one in at.each("links")],
        kind=at.count("kind"),
        status_code=status.count("code"),
        status_description=status.get("message", str, ""),
        trace_state=at.get("traceState", str, ""),
        flags=at.count("flags"),
        dropped_attributes=at.count("droppedAttributesCount"),
        dropped_events=at.count("droppedEventsCount"),
        dropped_links=at.count("droppedLinksCount"),
    )


def _event(at: _At) -> EventRecord:
    return EventRecord(
        at.get("name", str, ""), at.count("timeUnixNano", _MOST_64), _attributes(at), at.count("droppedAttributesCount")
    )


def _link(at: _At) -> LinkRecord:
    return LinkRecord(
        at.id("traceId", _TRACE), at.id("spanId", _SPAN), at.get("traceState", str, ""), _attributes(at),
        at.count("droppedAttributesCount"), at.count("flags"),
    )  # fmt: skip


def _log(scope: ScopeRecord, at: _At) -> LogRecord:
    return LogRecord(
        scope=scope,
        time_ns=at.count("timeUnixNano", _MOST_64),
        observed_ns=at.count("observedTimeUnixNano", _MOST_64),
        body=_value(at.get("body", dict, {})),
        attributes=_attributes(at),
        event_name=at.get("eventName", str, ""),
        severity_number=at.count("severityNumber"),
        severity_text=at.get("severityText", str, ""),
        trace_id=at.id("traceId", _TRACE),
        span_id=at.id("spanId", _SPAN),
        flags=at.count("flags"),
        dropped_attributes=at.count("droppedAttributesCount"),
    )


# ---- values


def _attributes(at: _At) -> dict[str, Any]:
    return {pair.get("key", str): _value(pair.get("value", dict)) for pair in at.each("attributes")}


def _value(at: _At) -> Any:
    if not at.value:
        return None
    [kind, *more] = at.value
    if more or kind not in _READERS:
        known = ", ".join(_READERS)
        raise DocumentError(f"One of {known} is wanted, not {', '.join(at.value)}.", where=at.path, fix=_FIX)
    return _READERS[kind](at)


def _int(at: _At) -> int:
    value = at.value["intValue"]
    try:
        found = int(value) if isinstance(value, (int, str)) and not isinstance(value, bool) else None
    except ValueError:
        found = None
    if found is None or not -_INT64 <= found < _INT64:
        raise DocumentError("A whole number of 64 bits is wanted.", where=f"{at.path}/intValue", fix=_FIX)
    return found


def _double(at: _At) -> float:
    value = at.value["doubleValue"]
    if value in _NOT_FINITE or (isinstance(value, (int, float)) and not isinstance(value, bool)):
        return float(value)
    raise DocumentError("A number is wanted.", where=f"{at.path}/doubleValue", fix=_FIX)


def _bytes(at: _At) -> bytes:
    try:
        return base64.b64decode(at.get("bytesValue", str), validate=True)
    except ValueError:
        raise DocumentError("Base64 is wanted.", where=f"{at.path}/bytesValue", fix=_FIX) from None


_READERS: Final[dict[str, Callable[[_At], Any]]] = {
    "stringValue": lambda at: at.get("stringValue", str),
    "boolValue": lambda at: at.get("boolValue", bool),
    "intValue": _int,
    "doubleValue": _double,
    "bytesValue": _bytes,
    "arrayValue": lambda at: [_value(one) for one in at.get("arrayValue", dict).each("values")],
    "kvlistValue": lambda at: {
        pair.get("key", str): _value(pair.get("value", dict)) for pair in at.get("kvlistValue", dict).each("values")
    },
}
