"""A trace document out of the records of one trace: first what a person asks for, then all of it exactly."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from otel_obs.contract import semconv
from otel_obs.contract import trace_document as shape
from otel_obs.contract.gates import Gate, Mode, normalised, verdict_word
from otel_obs.contract.outcome import derive
from otel_obs.sdk.otlp.turns import hold_on
from otel_obs.sdk.otlp.wire import MASK_64, within, words
from otel_obs.sdk.trace_files.exact import number, resource_logs, resource_spans

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from otel_obs.contract.trace_document import Member
    from otel_obs.sdk.otlp.records import LogRecord, SpanRecord
    from otel_obs.sdk.trace_files.gathering import Gathered

_SECOND: Final = 1_000_000_000
_MILLISECOND: Final = 1_000_000
_ERROR: Final = 2
_DEEPEST: Final = 24
_LONGEST_INT: Final = 128  # bits; longer ones are told as text
_OUTSIDE: Final = "outside any trace"
_SPANS: Final = {semconv.TRACE_NAME: "traces", semconv.STAGE_NAME: "stages", semconv.DECISION_WHAT: "decisions"}
_FACTS: Final = {"order": "orders", "fill": "fills"}


def document(gathered: Gathered, *, pause: Callable[[], None] = hold_on) -> dict[str, Any]:
    """The document, in the order of ``contract.trace_document.DOCUMENT``. Nothing is raised for what a record holds."""
    spans = sorted(gathered.spans, key=lambda span: (span.start_ns, -span.end_ns))
    lists: dict[str, list[Any]] = {
        name: [] for name in ("traces", "decisions", "orders", "fills", "stages", "spans", "records")
    }
    for span in spans:
        pause()
        for name in [name for key, name in _SPANS.items() if key in span.attributes] or ["spans"]:
            with suppress(Exception):  # one that cannot be told for people is among the exact records all the same
                lists[name].append(_READABLE[name](span))
    for log in sorted(gathered.logs, key=lambda log: log.time_ns or log.observed_ns):
        name = _FACTS.get(log.event_name, "records")
        with suppress(Exception):
            lists[name].append(_READABLE[name](log))
    started, ended = gathered.began_ns, gathered.ended_ns
    said = gathered.resource
    return {
        "schema_version": shape.SCHEMA_VERSION,
        "trace_id": format(gathered.trace_id, "032x") if gathered.trace_id else "",
        "part": gathered.part,
        "complete": not gathered.because,
        **({"incomplete_because": list(gathered.because)} if gathered.because else {}),
        "service": words(said.get(semconv.SERVICE_NAME, "")),
        "instance": words(said.get(semconv.SERVICE_INSTANCE_ID, "")),
        "name": title(gathered),
        "started_at": moment(started),
        "duration_ms": max(0, ended - started) / _MILLISECOND,
        **lists,
        "otlp": {
            "resourceSpans": resource_spans(gathered.spans, pause=pause),
            "resourceLogs": resource_logs(gathered.logs, pause=pause),
        },
    }


def title(gathered: Gathered) -> str:
    """What the trace is called: by its run, else by its first span or record."""
    if not gathered.trace_id:
        return _OUTSIDE
    spans = sorted(gathered.spans, key=lambda span: (span.start_ns, -span.end_ns))
    runs = (words(span.attributes[semconv.TRACE_NAME]) for span in spans if semconv.TRACE_NAME in span.attributes)
    root = gathered.root
    first = root.name if root else next((one.name for one in spans), None)
    return words(next(runs, None) or first or next((log.event_name for log in gathered.logs), ""))


def moment(time_ns: int) -> str:
    """A time as ISO has it, to the nanosecond."""
    seconds, rest = divmod(within(time_ns, MASK_64), _SECOND)
    return f"{_second(seconds)}.{rest:09d}Z"


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


# ---- spans


def _members(said: Mapping[str, Any], members: Sequence[Member]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is told by members of their own, in their order, and everything else."""
    left = dict(said)
    found: dict[str, Any] = {}
    for name, kind, attribute in _TELLING[id(members)]:
        if attribute in left:
            value = left[attribute]
            if kind != "string" or type(value) is not str:
                value = _of_kind(kind, value)
            if value is not None:
                del left[attribute]
                found[name] = value
    return found, {words(name): _shown(value) for name, value in left.items()}


_TELLING: Final = {  # by identity: what a table's members are called, and which attributes they tell
    id(members): [(member.name, member.type, member.attribute) for member in members if member.attribute]
    for members in shape.OBJECTS.values()
}


def _of_kind(kind: str, value: Any) -> Any:  # noqa: PLR0911 - one return for each kind
    """The value as its member shows it; None where it is of another kind."""
    match kind, value:
        case ("string", str()) | ("boolean", bool()):
            return value
        case ("double" | "int" | "decimal", bool()):
            return None
        case ("double" | "int" | "decimal", int()) | ("decimal", str()):
            return value
        case ("double" | "decimal", float()):
            return number(value)
        case ("map", str()):
            try:
                parsed = json.loads(value, parse_constant=str)
            except (ValueError, RecursionError):
                return None
            return _shown(parsed) if isinstance(parsed, (dict, list)) else None
        case ("map", dict() | list() | tuple()) | ("string[]" | "double[]", list() | tuple()) | ("any", _):
            return _shown(value)
        case _:
            return None


def _shown(value: Any, depth: int = 0) -> Any:  # noqa: PLR0911 - one return for each kind
    """Any value as JSON has it."""
    if type(value) is str:
        return value
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if value.bit_length() <= _LONGEST_INT else words(value)
        case float():
            return number(value)
        case bytes():
            return base64.b64encode(value).decode()
        case dict() if depth < _DEEPEST:
            return {words(name): _shown(inner, depth + 1) for name, inner in value.items()}
        case list() | tuple() if depth < _DEEPEST:
            return [_shown(inner, depth + 1) for inner in value]
        case _:
            return words(value)


def _span(span: SpanRecord, members: Sequence[Member], *, gates: bool = False) -> dict[str, Any]:
    entry, more = _members(span.attributes, members)
    entry["span_id"] = format(span.span_id, "016x")
    if span.parent_id:
        entry["parent_id"] = format(span.parent_id, "016x")
    duration = max(0, span.end_ns - span.start_ns)
    entry |= {
        "started_at": moment(span.start_ns),
        "duration_ms": duration / _MILLISECOND,
        "duration_ns": duration,
        "failed": span.status_code == _ERROR,
    }
    if span.status_description:
        entry["error"] = words(span.status_description)
    exceptions, events = [], []
    for event in span.events:
        if event.name == semconv.EXCEPTION_EVENT:
            told, rest = _members(event.attributes, shape.EXCEPTION)
            exceptions.append(told | {"at": moment(event.time_ns)} | _more(rest))
        elif not (gates and event.name == semconv.GATE_EVENT):
            said = {words(name): _shown(value) for name, value in event.attributes.items()}
            events.append({"name": words(event.name), "at": moment(event.time_ns)} | _more(said))
    links = [
        {"trace_id": format(link.trace_id, "032x"), "span_id": format(link.span_id, "016x")}
        | _more({words(name): _shown(value) for name, value in link.attributes.items()})
        for link in span.links
    ]
    for name, found in (("exceptions", exceptions), ("events", events), ("links", links)):
        if found:
            entry[name] = found
    return entry | _more(more)


def _more(rest: dict[str, Any]) -> dict[str, Any]:
    return {"more": rest} if rest else {}


def _decision(span: SpanRecord) -> dict[str, Any]:
    told = [event.attributes for event in span.events if event.name == semconv.GATE_EVENT]
    claimed = span.attributes.get(semconv.DECISION_OUTCOME)
    found = derive(
        [_gate(one) for one in told],
        claimed=claimed if isinstance(claimed, str) else None,
        failed=span.status_code == _ERROR,
    )
    entry = _span(span, shape.DECISION, gates=True)
    if entry.get("outcome_raw") == found.outcome.value:
        del entry["outcome_raw"]
    entry["outcome"] = found.outcome.value
    if found.veto_reason_primary:
        entry["veto_reason_primary"] = found.veto_reason_primary
        entry["veto_reason_secondary"] = list(found.veto_reason_secondary)
        entry["veto_overridden"] = found.veto_overridden
    gates = []
    for one in told:
        members, rest = _members(one, shape.GATE)
        gates.append(members | _more(rest))
    entry["gates"] = gates
    return {member.name: entry[member.name] for member in shape.DECISION if member.name in entry}


def _gate(said: Mapping[str, Any]) -> Gate:
    is_shadow = normalised(words(said.get(semconv.GATE_MODE, ""))) == Mode.SHADOW
    return Gate(
        name=words(said.get(semconv.GATE_NAME, "")),
        verdict=verdict_word(said.get(semconv.GATE_VERDICT, "")),
        mode=Mode.SHADOW if is_shadow else Mode.ENFORCE,
    )


# ---- log records


def _fact(log: LogRecord, members: Sequence[Member]) -> dict[str, Any]:
    entry, more = _members(log.attributes, members)
    more.pop(semconv.EVENT_NAME, None)
    entry["at"] = moment(log.time_ns or log.observed_ns)
    if log.span_id:
        entry["span_id"] = format(log.span_id, "016x")
    return entry | _more(more)


def _record(log: LogRecord) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": words(log.event_name or "")}
    if log.severity_text:
        entry["severity"] = words(log.severity_text)
    if log.body is not None:
        entry["body"] = _shown(log.body)
    return entry | _fact(log, shape.RECORD)


_READABLE: Final[dict[str, Callable[[Any], dict[str, Any]]]] = {
    "traces": lambda span: _span(span, shape.TRACE),
    "stages": lambda span: _span(span, shape.STAGE),
    "decisions": _decision,
    "spans": lambda span: {"name": words(span.name)} | _span(span, shape.SPAN),
    "orders": lambda log: _fact(log, shape.ORDER),
    "fills": lambda log: _fact(log, shape.FILL),
    "records": _record,
}
