"""What is open: a trace or a stage as a span, with one life: start, say things, end or fail."""

from __future__ import annotations

import os
import threading
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from opentelemetry.trace import INVALID_SPAN, SpanKind, Status, StatusCode

from otel_obs import settings
from otel_obs.contract import semconv
from otel_obs.contract.tiers import Tier
from otel_obs.instrument import values
from otel_obs.instrument.clock import nanoseconds
from otel_obs.instrument.context import place
from otel_obs.instrument.harmless import Defects, harmless
from otel_obs.instrument.snapshots import CHANGES, size_of, snapshot
from otel_obs.instrument.source import using

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from otel_obs.contract.recording import LateSpan, Words

    Describe = Callable[[Any, Defects], dict[str, Any]]
    _Step = Callable[["Record", Words, Any, Any], None]

_FINISHED_FIX: Final = "Say it before the record ends."
_MOST_NAMES: Final = values.MOST_OWN + 8  # with ours that are known at the start
_SIZE: Final = 600  # bytes that a record takes of which little is said, about

_STANDARD: Final = Tier.STANDARD
_settling = threading.RLock()  # one at a time: the writer, or whoever looks at a span meanwhile


def _settle_anew() -> None:
    global _settling  # noqa: PLW0603 - another thread of the parent may have held it when this child was forked
    _settling = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_settle_anew)


@harmless(INVALID_SPAN)
def _started(name: str, attributes: dict[str, Any], context: Context, start: int) -> Span:
    """Start a span; where OpenTelemetry fails to, a span that goes nowhere, so that gates bind all the same."""
    return using.tracer.start_span(
        name, context=context, kind=SpanKind.INTERNAL, attributes=attributes, start_time=start
    )


class Record:
    """A span of ours. Made by ``start``; ended once, by ``end`` or ``fail``; a second time is harmless.

    Where the recorder lets words be described later, they are kept as they were said until somebody ``settle``s them.
    """

    # What few records have stands here, so that the others need not be given it one by one.
    ended = False
    _defects: Defects | None = None
    _late: list[tuple[_Step, Any, Any]] | None = None
    _unsaid: tuple[Describe, Any] | None = None  # what was said at the start, as long as it is not described
    _is_complete = False
    _told: dict[str, dict[str, str]] | None = None  # maps, told in pieces
    _size = _SIZE
    _event_time: int | None
    _known: dict[str, Any]  # what was said at the start; further names of the bot's own are added

    def __init__(self, name: str, describe: Describe, said: Any, *, at: Any, kept: bool) -> None:
        """``kept`` says that ``said`` cannot change by itself, so that ``describe(said, defects)`` can wait."""
        parent, context = place()
        self.parent: Record | None = parent
        event_time = parent._event_time if parent else None  # noqa: SLF001 - one family
        if at is not None and (given := nanoseconds(at, self.defects)) is not None:
            event_time = given
        clock = using.clock
        self._event_time = event_time
        self._start = start = clock.now() if event_time is None else event_time
        self._monotonic = clock.monotonic()
        late = using.late
        if kept and late is not None and late.is_late and not settings.active.strict:
            self.span: Span = late.start_late(name, self._settle, start, context)
            if hasattr(self.span, "end_late"):
                self._late = []
                self._unsaid = (describe, said)
            else:
                self._known = {}
        else:
            self._known = describe(said, self.defects)
            self.span = _started(name, self._known, context, start)

    @property
    def defects(self) -> Defects:
        """What was wrong with what was said of it."""
        found = self._defects
        if found is None:
            found = self._defects = Defects()
        return found

    @property
    @harmless("")
    def trace_id(self) -> str:
        """OpenTelemetry's trace id, 32 hexadecimal digits; empty where nothing is recorded."""
        number = self.span.get_span_context().trace_id
        return format(number, "032x") if number else ""

    @property
    @harmless("")
    def id(self) -> str:
        """The record's own id: its span id, 16 hexadecimal digits; empty where nothing is recorded."""
        number = self.span.get_span_context().span_id
        return format(number, "016x") if number else ""

    def time(self) -> int:
        """When something said now happened: the event time of a replay, else the wall clock. Nanoseconds."""
        return using.clock.now() if self._event_time is None else self._event_time

    def _is_over(self, name: str) -> bool:
        if self.ended:
            self.defects.add("too_late", name, "was said after the record ended", fix=_FINISHED_FIX)
        return self.ended

    def _set(self, name: str, value: Any) -> None:
        if value is None or self._is_over(name):
            return
        if not self._is_kept(Record._write, name, value):
            self._write(self.span, name, value)

    def _is_kept(self, step: _Step, name: Any, value: Any) -> bool:
        """Keep a step for later, if it can wait."""
        late = self._late
        if late is None or (kept := snapshot(value)) is CHANGES:
            return False
        self._size += size_of(kept)
        late.append((step, name, kept))
        return True

    def _write(self, words: Words, name: str, value: Any) -> None:
        words.set_attribute(name, values.attribute(name, value, self.defects))

    def _merge(self, name: str, given: Any) -> None:
        """Maps may be told in pieces, each as it is when it is told; they are written once, at the end."""
        if not self._is_over(name) and not self._is_kept(Record._gather, name, given):
            self._settle_here()
            self._gather(self.span, name, given)

    def _gather(self, words: Words, name: str, given: Any) -> None:
        del words
        if self._told is None:
            self._told = {}
        self._told.setdefault(name, {}).update(values.pieces(name, given, self.defects))

    # What was kept ---------------------------------------------------------------------------------------------------

    def _settle(self, words: Words) -> None:
        """Write down what was kept; see ``contract/recording.py``."""
        late = self._late
        if late is None or not (late or self._unsaid or (self.ended and not self._is_complete)):
            return
        with _settling:
            if self._unsaid:
                describe, said = self._unsaid
                self._unsaid = None
                self._write_start(words, describe, said)
            while late:
                step, name, value = late.pop(0)
                self._do(step, words, name, value)
            if self.ended and not self._is_complete:
                self._is_complete = True
                self._finish_words(words)

    @harmless(None)
    def _write_start(self, words: Words, describe: Describe, said: Any) -> None:
        self._known = {}
        self._known = describe(said, self.defects)
        words.set_attributes(self._known)

    @harmless(None)
    def _do(self, step: _Step, words: Words, name: Any, value: Any) -> None:
        step(self, words, name, value)

    @harmless(None)
    def _finish_words(self, words: Words) -> None:
        self._complete(words)

    def _settle_here(self) -> None:
        """Write down at once what is kept: what is said next must come after it."""
        if self._late is not None:
            cast("LateSpan", self.span).settle()

    @harmless(None)
    def attributes(self, /, **given: Any) -> Self:
        """Add attributes of the bot's own; dots in names may be written as double underscores."""
        self._add(given)
        return self

    @harmless(None)
    def _add(self, given: dict[str, Any]) -> None:
        if self.ended or not self._is_kept(Record._write_own, None, given):
            self._settle_here()
            self._write_own(self.span, None, given)

    def _write_own(self, words: Words, _: Any, given: dict[str, Any]) -> None:
        named = {name.replace("__", "."): value for name, value in given.items()}
        for name, value in values.custom(named, self.defects).items():
            if name not in self._known and len(self._known) >= _MOST_NAMES:
                self.defects.add("too_many", "attributes", f"are more than {_MOST_NAMES}", fix="Record a map instead.")
                break
            self._known[name] = value
            if words is not self.span or not self._is_over(name):
                words.set_attribute(name, value)

    @harmless(None)
    def end(self) -> None:
        """End the record; its duration is that of the monotonic clock."""
        self._finish()

    @harmless(None)
    def fail(self, error: BaseException | str) -> None:
        """End the record as failed. An exception is recorded with its type and stack."""
        try:
            self._mark_failed(error)
        finally:
            self._finish()

    def _mark_failed(self, error: BaseException | str) -> None:
        if self.ended:
            return
        if isinstance(error, BaseException):
            words = values.shortened(f"{type(error).__name__}: {values.words(error)}")
            self.span.set_status(Status(StatusCode.ERROR, words))
            self.span.set_attribute(semconv.ERROR_TYPE, type(error).__qualname__)
            self.span.add_event(semconv.EXCEPTION_EVENT, values.exception(error), timestamp=self.time())
        else:
            self.span.set_status(Status(StatusCode.ERROR, values.text("status", error, self.defects)))

    def _finish(self) -> None:
        if self.ended:
            return
        if self._late is not None:
            self._end_late(_STANDARD)
            return
        try:
            self._complete(self.span)
        finally:  # whatever could not be said: what was is sent
            self.ended = True
            self.span.end(self._start + max(0, using.clock.monotonic() - self._monotonic))

    def _end_late(self, tier: Tier) -> None:
        self.ended = True
        took = using.clock.monotonic() - self._monotonic
        span: Any = self.span
        span.end_late(self._start + took if took > 0 else self._start, tier, self._size)

    def _complete(self, words: Words) -> None:
        """Say what is known only now."""
        for name, told in (self._told or {}).items():
            words.set_attribute(name, values.joined(name, told, self.defects))
        if self._defects is not None and self._defects.texts:
            words.set_attribute(semconv.OTEL_OBS_DEFECTS, self._defects.texts)


class _Part(Record):
    """What a trace and a stage have in common: evidence gathered and output produced."""

    _evidence: ClassVar[str]
    _output: ClassVar[str]

    @harmless(None)
    def evidence(self, /, **gathered: Any) -> None:
        """Add what was gathered, for example ``collected=150, by_source={"exa": 100}``."""
        self._merge(self._evidence, gathered)

    @harmless(None)
    def output(self, /, **produced: Any) -> None:
        """Add what was produced, for example ``report="…"``."""
        self._merge(self._output, produced)


class Stage(_Part):
    """A named part of a trace."""

    _evidence = semconv.STAGE_EVIDENCE
    _output = semconv.STAGE_OUTPUT

    @harmless(None)
    def model(
        self,
        name: str,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cost_usd: Decimal | str | float | None = None,
    ) -> None:
        """Say which model was called here, how many tokens went in and came out, and what it cost in US dollars.

        An amount as ``Decimal`` or text is kept to its last digit.
        """
        self._set(semconv.GEN_AI_REQUEST_MODEL, name)
        self._set(semconv.GEN_AI_INPUT_TOKENS, input_tokens)
        self._set(semconv.GEN_AI_OUTPUT_TOKENS, output_tokens)
        if cost_usd is not None and values.number(semconv.STAGE_COST_USD, cost_usd, self.defects) is not None:
            self._set(semconv.STAGE_COST_USD, format(Decimal(str(cost_usd)), "f"))


class Trace(_Part):
    """One run, or one decision cycle."""

    _evidence = semconv.TRACE_EVIDENCE
    _output = semconv.TRACE_OUTPUT

    @harmless(None)
    def idle(self, reason: str) -> None:
        """Say that this cycle had no cause to decide: ``no_data``, ``stale``, ``no_signal`` or ``closed``."""
        self._set(semconv.TRACE_IDLE_REASON, reason)

    @harmless(None)
    def score(
        self,
        value: float,
        *,
        out_of: float | None = None,
        passed: bool | None = None,
        principles: Mapping[str, float] | None = None,
        gaps: list[str] | tuple[str, ...] = (),
    ) -> None:
        """Record the run's quality: its score of the best possible, whether it passed, and what fell short."""
        self._set(semconv.TRACE_SCORE, values.number(semconv.TRACE_SCORE, value, self.defects))
        if out_of is not None:
            self._set(semconv.TRACE_SCORE_MAX, values.number(semconv.TRACE_SCORE_MAX, out_of, self.defects))
        if values.is_given(principles):
            self._merge(semconv.TRACE_PRINCIPLES, principles)
        if values.is_given(gaps):
            told: object = gaps
            self._set(semconv.TRACE_GAPS, [told] if isinstance(told, str) else told)
        self._set(semconv.TRACE_PASSED, passed)
