"""The records of each trace, gathered until its root has ended; bounded in traces' age, in records and in bytes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from otel_obs.sdk.otlp.records import IS_REMOTE, SpanRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from otel_obs.sdk.otlp.records import LogRecord

_OUTSIDE: Final = 0  # the trace id of records that belong to none
_MOST_REMEMBERED: Final = 4_096
_MOST_RECORDS: Final = 4_000  # of one document
_MOST_BYTES: Final = 8 << 20
_LATE: Final = 5.0  # seconds that what comes after a document waits for more of its kind
_OUTSIDE_FOR: Final = 60.0


@dataclass(kw_only=True)
class Gathered:
    """The records of one document, in the order in which they came. ``because`` says why it is not complete."""

    trace_id: int
    part: int = 1
    spans: list[SpanRecord] = field(default_factory=list)
    logs: list[LogRecord] = field(default_factory=list)
    root: SpanRecord | None = None
    because: tuple[str, ...] = ()
    size: int = 0
    due: float = 0.0

    @property
    def records(self) -> int:
        """How many there are."""
        return len(self.spans) + len(self.logs)

    @property
    def resource(self) -> Mapping[str, Any]:
        """Who says it."""
        first = self.root or (self.spans or self.logs)[0]
        return first.scope.resource.attributes

    @property
    def began_ns(self) -> int:
        """The root's beginning; else that of the earliest record."""
        if self.root:
            return self.root.start_ns
        return min([*(one.start_ns for one in self.spans), *(one.time_ns or one.observed_ns for one in self.logs)])

    @property
    def ended_ns(self) -> int:
        """The root's end; else that of the latest span."""
        return self.root.end_ns if self.root else max([self.began_ns, *(one.end_ns for one in self.spans)])


class Gathering:
    """What is open. Times are of a monotonic clock, in seconds."""

    def __init__(self, *, grace: float, open_for: float) -> None:
        self._grace, self._open_for = grace, open_for
        self._open: OrderedDict[int, Gathered] = OrderedDict()
        self._written: OrderedDict[int, tuple[int, bool]] = OrderedDict()  # parts, and whether the root was in one
        self.records = 0
        self.size = 0

    def add(self, record: SpanRecord | LogRecord, *, size: int, now: float) -> None:
        """Take one record."""
        one = self._open.get(record.trace_id) or self._opened(record.trace_id, now)
        one.size += size
        self.records += 1
        self.size += size
        if isinstance(record, SpanRecord):
            one.spans.append(record)
            if one.root is None and (not record.parent_id or record.flags & IS_REMOTE):
                one.root = record
                one.due = min(one.due, now + self._grace)
        else:
            one.logs.append(record)
        if one.records >= _MOST_RECORDS or one.size >= _MOST_BYTES:
            one.because = ("too_large",) if one.root is None else ()
            one.due = now

    def _opened(self, trace_id: int, now: float) -> Gathered:
        parts, has_ended = self._written.get(trace_id, (0, False))
        wait = _OUTSIDE_FOR if trace_id == _OUTSIDE else _LATE if has_ended else self._open_for
        one = self._open[trace_id] = Gathered(trace_id=trace_id, part=parts + 1, due=now + min(wait, self._open_for))
        return one

    def due(self, now: float) -> list[Gathered]:
        """Take out what is ready, or has waited long enough."""
        found = [one for one in self._open.values() if one.due <= now]
        return [self._taken(one, "no_root") for one in found]

    def oldest(self) -> Gathered:
        """Take out what was opened first, to make room."""
        return self._taken(next(iter(self._open.values())), "memory")

    def everything(self) -> list[Gathered]:
        """Take out all: the process ends."""
        return [self._taken(one, "shutdown") for one in list(self._open.values())]

    def _taken(self, one: Gathered, why: str) -> Gathered:
        del self._open[one.trace_id]
        self.records -= one.records
        self.size -= one.size
        if one.trace_id == _OUTSIDE:
            one.part, one.because = 1, ()
            return one
        _, has_ended = self._written.get(one.trace_id, (0, False))
        self._written[one.trace_id] = (one.part, has_ended or one.root is not None)
        self._written.move_to_end(one.trace_id)
        if len(self._written) > _MOST_REMEMBERED:
            self._written.popitem(last=False)
        if one.part > 1:
            one.because = ("continued",)
        elif one.root is None:
            one.because = one.because or (why,)
        elif _lacks_parents(one.spans):
            one.because = ("parent_missing",)
        return one


def _lacks_parents(spans: Iterable[SpanRecord]) -> bool:
    known = {span.span_id for span in spans}
    return any(span.parent_id and span.parent_id not in known and not span.flags & IS_REMOTE for span in spans)
