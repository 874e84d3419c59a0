"""capture(): everything that is said inside a ``with``, as objects a test can read."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from opentelemetry import context as otel
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import StatusCode

from otel_obs import settings
from otel_obs.contract import semconv
from otel_obs.contract.gates import Comparison, Gate, Mode, normalised, verdict_word
from otel_obs.contract.outcome import Outcome, derive
from otel_obs.instrument.harmless import forget_problems
from otel_obs.instrument.source import Source, using
from otel_obs.sdk.setup import span_limits, untouched
from otel_obs.testing.clock import FrozenClock
from otel_obs.testing.ids import IncrementalIds

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from otel_obs.instrument.clock import Clock


def _map(attributes: Mapping[str, Any], name: str) -> Any:
    text = attributes.get(name)
    return json.loads(text) if isinstance(text, str) else text


@dataclass(frozen=True)
class _Span:
    """A finished span, read as ours."""

    span: ReadableSpan

    @property
    def attributes(self) -> Mapping[str, Any]:
        """All attributes, by wire name."""
        return self.span.attributes or {}

    @property
    def id(self) -> str:
        """Span id, 16 hexadecimal digits."""
        return format(self.span.context.span_id, "016x") if self.span.context else ""

    @property
    def parent_id(self) -> str:
        """Span id of the parent; empty at the root."""
        return format(self.span.parent.span_id, "016x") if self.span.parent else ""

    @property
    def trace_id(self) -> str:
        """OpenTelemetry's trace id, 32 hexadecimal digits."""
        return format(self.span.context.trace_id, "032x") if self.span.context else ""

    @property
    def time(self) -> int:
        """Start, nanoseconds since the epoch."""
        return self.span.start_time or 0

    @property
    def duration(self) -> int:
        """Nanoseconds."""
        return (self.span.end_time or 0) - self.time

    @property
    def failed(self) -> bool:
        """Whether its status is Error."""
        return self.span.status.status_code is StatusCode.ERROR

    @property
    def defects(self) -> tuple[str, ...]:
        """What was wrong with its arguments."""
        return tuple(self.attributes.get(semconv.OTEL_OBS_DEFECTS, ()))


@dataclass(frozen=True)
class CapturedPart(_Span):
    """A trace or a stage."""

    @property
    def name(self) -> str:
        """Its name."""
        return self.span.name

    @property
    def evidence(self) -> Any:
        """What was gathered; None where nothing was said."""
        return _map(self.attributes, semconv.TRACE_EVIDENCE) or _map(self.attributes, semconv.STAGE_EVIDENCE)

    @property
    def output(self) -> Any:
        """What was produced; None where nothing was said."""
        return _map(self.attributes, semconv.TRACE_OUTPUT) or _map(self.attributes, semconv.STAGE_OUTPUT)

    @property
    def idle_reason(self) -> str | None:
        """Why the cycle had no cause to decide."""
        return self.attributes.get(semconv.TRACE_IDLE_REASON)


@dataclass(frozen=True)
class CapturedDecision(_Span):
    """A decision with its gates."""

    @property
    def what(self) -> str:
        """What was chosen."""
        return str(self.attributes[semconv.DECISION_WHAT])

    @property
    def why(self) -> str:
        """The reason given."""
        return str(self.attributes.get(semconv.DECISION_WHY, ""))

    @property
    def confidence(self) -> float | None:
        """How sure, 0 to 1."""
        return self.attributes.get(semconv.DECISION_CONFIDENCE)

    @property
    def alternatives(self) -> Any:
        """What else was considered."""
        return _map(self.attributes, semconv.DECISION_ALTERNATIVES)

    @property
    def inputs(self) -> Any:
        """The figures that informed it."""
        return _map(self.attributes, semconv.DECISION_INPUTS)

    @property
    def symbol(self) -> str | None:
        """The instrument."""
        return self.attributes.get(semconv.INSTRUMENT_SYMBOL)

    @property
    def side(self) -> str | None:
        """Buy or sell."""
        return self.attributes.get(semconv.ORDER_SIDE)

    @property
    def outcome(self) -> Outcome:
        """How it ended."""
        return Outcome(self.attributes[semconv.DECISION_OUTCOME])

    @property
    def gates(self) -> tuple[Gate, ...]:
        """The ledger, in the order of evaluation."""
        told = [event.attributes or {} for event in self.span.events if event.name == semconv.GATE_EVENT]
        return tuple(
            Gate(
                name=str(gate.get(semconv.GATE_NAME, "")),
                verdict=verdict_word(gate.get(semconv.GATE_VERDICT)),
                mode=Mode.SHADOW if normalised(str(gate.get(semconv.GATE_MODE, ""))) == Mode.SHADOW else Mode.ENFORCE,
                observed=gate.get(semconv.GATE_OBSERVED),
                threshold=gate.get(semconv.GATE_THRESHOLD),
                comparison=Comparison(str(gate.get(semconv.GATE_COMPARISON, Comparison.NONE))),
                unit=str(gate.get(semconv.GATE_UNIT, "")),
                reason=str(gate.get(semconv.GATE_REASON, "")),
                duration_ms=cast("float | None", gate.get(semconv.GATE_DURATION_MS)),
            )
            for gate in told
        )

    @property
    def veto(self) -> str | None:
        """The first gate that denied; None where none did."""
        return derive(self.gates).veto_reason_primary


@dataclass(frozen=True)
class CapturedFact:
    """A typed fact, as its log record carries it."""

    name: str
    time: int
    attributes: Mapping[str, Any]


@dataclass
class Captured:
    """What was said. Spans appear when they end, in that order."""

    clock: Clock
    _spans: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    _logs: InMemoryLogRecordExporter = field(default_factory=InMemoryLogRecordExporter)

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """All finished spans, also those of others."""
        return tuple(self._spans.get_finished_spans())

    def _having(self, name: str) -> Iterator[ReadableSpan]:
        return (span for span in self.spans if name in (span.attributes or {}))

    @property
    def traces(self) -> list[CapturedPart]:
        """Finished traces."""
        return [CapturedPart(span) for span in self._having(semconv.TRACE_NAME)]

    @property
    def stages(self) -> list[CapturedPart]:
        """Finished stages."""
        return [CapturedPart(span) for span in self._having(semconv.STAGE_NAME)]

    @property
    def decisions(self) -> list[CapturedDecision]:
        """Finished decisions."""
        return [CapturedDecision(span) for span in self._having(semconv.DECISION_WHAT)]

    @property
    def facts(self) -> list[CapturedFact]:
        """Orders, fills and other typed facts."""
        records = [data.log_record for data in self._logs.get_finished_logs()]
        return [
            CapturedFact(record.event_name or "", record.timestamp or 0, dict(record.attributes or {}))
            for record in records
        ]

    def decision(self, what: str | None = None) -> CapturedDecision:
        """Return the only decision (called ``what``); fails the test where there is none, or more than one."""
        found = [decision for decision in self.decisions if what is None or decision.what == what]
        if len(found) != 1:
            said = ", ".join(repr(decision.what) for decision in self.decisions) or "none"
            raise AssertionError(f"Expected one decision{f' {what!r}' if what else ''}, found {len(found)} of: {said}.")
        return found[0]


@contextmanager
def capture(*, strict: bool = True, clock: Clock | None = None, **more: Any) -> Iterator[Captured]:
    """Capture everything that is said inside, in this process only; nothing leaves it, even if the bot configures.

    ``strict`` (on by default in tests) raises where a record breaks the contract. ``more`` are rows of SETTINGS.
    """
    seen = Captured(clock or FrozenClock())
    within = settings.override(**{"enabled": True, "strict": strict, **more})
    spans = TracerProvider(
        sampler=ALWAYS_ON, id_generator=IncrementalIds(), shutdown_on_exit=False, span_limits=span_limits(within)
    )
    spans.add_span_processor(SimpleSpanProcessor(seen._spans))  # noqa: SLF001 - this module's own object
    logs = LoggerProvider(shutdown_on_exit=False)
    logs.add_log_record_processor(SimpleLogRecordProcessor(seen._logs))  # noqa: SLF001 - this module's own object
    spans._disabled = logs._disabled = False  # noqa: SLF001 - OTEL_SDK_DISABLED is about production, not about this
    before = settings.active
    forget_problems()
    token = otel.attach(otel.Context())
    try:
        with untouched(), using.holding(Source(tracer_provider=spans, logger_provider=logs, clock=seen.clock)):
            settings.activate(within)
            yield seen
    finally:
        otel.detach(token)
        settings.activate(before)
        spans.shutdown()
        logs.shutdown()
