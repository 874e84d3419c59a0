"""What is open: a trace or a stage as a span, with one life: start, say things, end or fail."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar, Final

from opentelemetry.trace import INVALID_SPAN, SpanKind, Status, StatusCode

from otel_obs.contract import semconv
from otel_obs.instrument import values
from otel_obs.instrument.clock import nanoseconds
from otel_obs.instrument.context import innermost, parent_context
from otel_obs.instrument.harmless import Defects, harmless
from otel_obs.instrument.source import using

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from opentelemetry.trace import Span

_FINISHED_FIX: Final = "Say it before the record ends."
_MOST_NAMES: Final = values.MOST_OWN + 8  # with ours that are known at the start


@harmless(INVALID_SPAN)
def _started(name: str, attributes: dict[str, Any], parent: Record | None, start: int) -> Span:
    """Start a span; where OpenTelemetry fails to, a span that goes nowhere, so that gates bind all the same."""
    return using.tracer.start_span(
        name, context=parent_context(parent), kind=SpanKind.INTERNAL, attributes=attributes, start_time=start
    )


class Record:
    """A span of ours. Made by ``start``; ended once, by ``end`` or ``fail``; a second time is harmless."""

    __slots__ = ("_event_time", "_known", "_maps", "_monotonic", "_start", "defects", "ended", "parent", "span")

    def __init__(self, name: str, attributes: dict[str, Any], *, at: Any, defects: Defects) -> None:
        self.defects = defects
        self.ended = False
        self.parent: Record | None = innermost()
        inherited: int | None = self.parent._event_time if self.parent else None  # noqa: SLF001 - one family
        given = None if at is None else nanoseconds(at, defects)
        self._event_time: int | None = inherited if given is None else given
        self._start = using.clock.now() if self._event_time is None else self._event_time
        self._monotonic = using.clock.monotonic()
        self._maps: dict[str, dict[str, str]] = {}
        self._known = attributes  # what was said at the start; further names of the bot's own are added
        self.span: Span = _started(name, attributes, self.parent, self._start)

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

    def _set(self, name: str, value: Any) -> None:
        if self.ended:
            self.defects.add("too_late", name, "was said after the record ended", fix=_FINISHED_FIX)
            return
        if value is not None:
            self.span.set_attribute(name, values.attribute(name, value, self.defects))

    def _merge(self, name: str, given: Any) -> None:
        """Maps may be told in pieces, each as it is when it is told; they are written once, at the end."""
        if self.ended:
            self.defects.add("too_late", name, "was said after the record ended", fix=_FINISHED_FIX)
            return
        self._maps.setdefault(name, {}).update(values.pieces(name, given, self.defects))

    @harmless(None)
    def attributes(self, /, **given: Any) -> Self:
        """Add attributes of the bot's own; dots in names may be written as double underscores."""
        self._add(given)
        return self

    @harmless(None)
    def _add(self, given: dict[str, Any]) -> None:
        named = {name.replace("__", "."): value for name, value in given.items()}
        for name, value in values.custom(named, self.defects).items():
            if name not in self._known and len(self._known) >= _MOST_NAMES:
                self.defects.add("too_many", "attributes", f"are more than {_MOST_NAMES}", fix="Record a map instead.")
                break
            self._known[name] = value
            self._set(name, value)

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
        try:
            self._complete()
        finally:  # whatever could not be said: what was is sent
            self.ended = True
            self.span.end(self._start + max(0, using.clock.monotonic() - self._monotonic))

    def _complete(self) -> None:
        """Say what is known only now."""
        for name, told in self._maps.items():
            self.span.set_attribute(name, values.joined(name, told, self.defects))
        if self.defects.texts:
            self.span.set_attribute(semconv.OTEL_OBS_DEFECTS, self.defects.texts)


class _Part(Record):
    """What a trace and a stage have in common: evidence gathered and output produced."""

    __slots__ = ()
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

    __slots__ = ()
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

    __slots__ = ()
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
