"""A decision as a span with its gate ledger; how it ended follows from what was said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from otel_obs import settings
from otel_obs.contract import semconv
from otel_obs.contract.dearness import of_outcome
from otel_obs.contract.gates import Gate, Mode, Verdict
from otel_obs.contract.outcome import UNNAMED, Outcome, derive
from otel_obs.instrument import values
from otel_obs.instrument.evaluation import VERDICTS, evaluated
from otel_obs.instrument.harmless import MISSING, Defects, given_of, harmless, problem, quick
from otel_obs.instrument.plain import is_text
from otel_obs.instrument.record import Record
from otel_obs.instrument.snapshots import CHANGES, FIGURES, FIXED, VALUE, size_of, snapshot
from otel_obs.instrument.source import using

if TYPE_CHECKING:
    from otel_obs.contract.recording import Words

_EXECUTED: Final = Outcome.EXECUTED  # names that are found at once
_VETOED: Final = Outcome.VETOED
_HELD: Final = Outcome.HELD
_FAILED: Final = Outcome.FAILED
_STANDARD: Final = of_outcome(Outcome.HELD)
_DURABLE: Final = of_outcome(Outcome.EXECUTED)
_ENFORCE: Final = Mode.ENFORCE
_LONG: Final = 4_096  # characters: a longer reason is described at once
_LARGE: Final = 65_536  # bytes: what is larger is cut at once, so that it is not kept
_SIZE: Final = 700  # bytes that a decision takes, about
_GATE_SIZE: Final = 400
_NUMBERS: Final[frozenset[Any]] = frozenset({int, float})
_WHAT: Final = semconv.DECISION_WHAT
_WHY: Final = semconv.DECISION_WHY
_CONFIDENCE: Final = semconv.DECISION_CONFIDENCE
_ALTERNATIVES: Final = semconv.DECISION_ALTERNATIVES
_INPUTS: Final = semconv.DECISION_INPUTS
_OUTCOME: Final = semconv.DECISION_OUTCOME
_SYMBOL: Final = semconv.INSTRUMENT_SYMBOL
_SIDE: Final = semconv.ORDER_SIDE
_STRATEGY: Final = semconv.STRATEGY_NAME
_PLAIN_WORDS: Final = {one.value: one.value for one in Outcome if not derive((), claimed=one.value).defects}


def describe(said: tuple[Any, ...], defects: Defects) -> dict[str, Any]:
    """Build the attributes of a decision that are known when it starts: what a sampler may look at."""
    what, why, confidence, alternatives, inputs, symbol, side, strategy, attributes = said
    longest = settings.active.max_text
    named: dict[str, Any] = {} if attributes is None else values.custom(attributes, defects)
    if not values.is_given(what):
        defects.add("unnamed", _WHAT, "is empty", fix="Say what was chosen.")
        what = UNNAMED
    if not values.is_given(why):
        why = None
    for key, value in ((_WHAT, what), (_WHY, why), (_SYMBOL, symbol), (_SIDE, side), (_STRATEGY, strategy)):
        if value.__class__ is str and len(value) <= longest and value.isascii():  # as ``is_text``, without a call
            named[key] = value
        elif value is not None:
            named[key] = values.text(key, value, defects)
    if confidence.__class__ is float and 0 <= confidence <= 1:
        named[_CONFIDENCE] = confidence
    elif confidence is not None:
        _put_confidence(named, confidence, defects)
    if values.is_given(alternatives):
        named[_ALTERNATIVES] = values.attribute(_ALTERNATIVES, alternatives, defects)
    if values.is_given(inputs):
        named[_INPUTS] = values.mapping(_INPUTS, inputs, defects)
    return named


def _put_confidence(named: dict[str, Any], confidence: Any, defects: Defects) -> None:
    sure = values.number(_CONFIDENCE, confidence, defects)
    if sure is not None and not 0 <= sure <= 1:
        defects.add(
            "confidence_out_of_range", _CONFIDENCE, f"is {sure:g}, outside 0 to 1",
            fix="Give a share of 1 (62 % is 0.62), or leave it out.",
        )  # fmt: skip
    elif sure is not None:
        named[_CONFIDENCE] = sure


def described_in_full(leaf: tuple[tuple[Any, ...], Any], defects: Defects) -> dict[str, Any]:
    """Build all attributes of a decision that was said in one call."""
    said, outcome = leaf
    named = describe(said, defects)
    plain = _PLAIN_WORDS.get(outcome) if outcome.__class__ is str else None
    if plain is None:
        derived = derive((), claimed=values.text(_OUTCOME, outcome, defects))
        for text in derived.defects:
            defects.add("outcome", _OUTCOME, text, fix="Say executed, held or failed; a veto is a gate's.")
        plain = derived.outcome.value
    named[_OUTCOME] = plain
    return named


def describe_later(leaf: tuple[tuple[Any, ...], Any]) -> dict[str, Any]:
    """The same, with what was wrong: for a recorder, which asks when it has time."""
    defects = Defects()
    named = described_in_full(leaf, defects)
    if defects.texts:
        named[semconv.OTEL_OBS_DEFECTS] = defects.texts
    return named


def kept(said: tuple[Any, ...]) -> tuple[tuple[Any, ...], int]:
    """What was said of a decision as it is now, and about how many bytes it takes; 0 where it cannot wait."""
    what, why, confidence, alternatives, inputs, symbol, side, strategy, attributes = said
    if not (
        what.__class__ is str
        and why.__class__ is str
        and (confidence is None or confidence.__class__ in _NUMBERS)
        and (symbol is None or symbol.__class__ is str)
        and (side is None or side.__class__ is str)
        and (strategy is None or strategy.__class__ is str)
    ):
        return said, 0
    size = _SIZE + len(what) + len(why)
    try:  # one call for a whole map: to ask each value for its class takes twice as long
        is_plain = inputs is None or (inputs.__class__ is dict and sum(inputs.values()).__class__ in FIGURES)
        is_plain_too = alternatives is None or (
            alternatives.__class__ is dict and sum(alternatives.values()).__class__ in FIGURES
        )
    except Exception:  # noqa: BLE001 - texts have no sum, and a bot's own value may raise anything
        is_plain = is_plain_too = False
    if inputs is not None:
        if is_plain:
            inputs = inputs.copy()
            size += VALUE * len(inputs)
        else:
            inputs, more = _kept(inputs)
            size += more
    if alternatives is not None:
        if is_plain_too:
            alternatives = alternatives.copy()
            size += VALUE * len(alternatives)
        else:
            alternatives, more = _kept(alternatives)
            size += more
    if attributes is not None:
        attributes, more = _kept(attributes)
        size += more
    if size > _LARGE:
        return said, 0
    return (what, why, confidence, alternatives, inputs, symbol, side, strategy, attributes), size


def _kept(given: Any) -> tuple[Any, int]:
    kept = snapshot(given)
    return kept, _LARGE if kept is CHANGES else size_of(kept)


class Decision(Record):
    """A choice, with what, why, confidence, alternatives, inputs, its gates and how it ended."""

    _claimed: Outcome | None = None
    _failed = False
    _vetoed_by: str | None = None  # the first gate that denied
    _ended_as: Outcome | None = None

    def __init__(self, said: tuple[Any, ...], *, at: Any) -> None:
        self._gates: list[Gate] = []
        said, size = kept(said)
        if size:
            self._size = size
        super().__init__(semconv.DECISION_SPAN, describe, said, at=at, kept=size > 0)

    @property
    def gates(self) -> tuple[Gate, ...]:
        """The ledger so far, in the order of evaluation."""
        return tuple(self._gates)

    @property
    def allowed(self) -> bool:
        """Whether no enforced gate has denied, or could not be evaluated."""
        return not any(gate.closes for gate in self._gates)

    @property
    def outcome(self) -> Outcome:
        """How it ended, or would end now."""
        claimed = self._claimed
        if claimed is _EXECUTED:
            return _EXECUTED
        if self._failed or claimed is _FAILED:
            return _FAILED
        return _HELD if self._vetoed_by is None else _VETOED

    @harmless(False)  # noqa: FBT003 - the answer where the call itself was wrong
    def _gate(
        self,
        name: str,
        verdict: Verdict | str | bool | None = None,  # noqa: FBT001 - the verdict itself
        *,
        observed: Any = None,
        at_most: Any = None,
        at_least: Any = None,
        equals: Any = None,
        threshold: Any = None,
        mode: str = Mode.ENFORCE,
        unit: str = "",
        reason: str = "",
        duration_ms: float | None = None,
    ) -> bool:
        """Enter one gate into the ledger. All gates that were evaluated belong there, not only the first that denied.

        The verdict is the given one, or follows from ``observed`` and the limit: ``at_most``, ``at_least``, both
        (between) or ``equals``; limits belong to the inside. ``threshold`` names the limit of a given verdict whose
        comparison is none of these.

        Returns:
            Whether this gate lets the candidate pass. A gate in ``shadow`` mode always does.

        """
        entry, wrong = evaluated(
            name, verdict, observed=observed, at_most=at_most, at_least=at_least, equals=equals,
            threshold=threshold, mode=mode, unit=unit, reason=reason, duration_ms=duration_ms,
        )  # fmt: skip
        self._take(entry)  # first: whatever happens to the telemetry, ``allowed`` is right
        self._enter(entry, wrong)
        return not entry.closes

    def _take(self, gate: Gate) -> None:
        self._gates.append(gate)
        if gate.denies and self._vetoed_by is None:
            self._vetoed_by = gate.name or UNNAMED

    @quick(_gate)
    def gate(
        self,
        name: Any = MISSING,
        verdict: Any = None,
        *surplus: Any,
        observed: Any = None,
        at_most: Any = None,
        at_least: Any = None,
        equals: Any = None,
        threshold: Any = None,
        mode: Any = _ENFORCE,
        unit: Any = "",
        reason: Any = "",
        duration_ms: Any = None,
        **more: Any,
    ) -> bool:
        if name is MISSING or surplus or more or self._late is None or self.ended:
            return self._gate(
                *given_of(name, (verdict, *surplus)), observed=observed, at_most=at_most, at_least=at_least,
                equals=equals, threshold=threshold, mode=mode, unit=unit, reason=reason, duration_ms=duration_ms,
                **more,
            )  # fmt: skip
        entry, wrong = evaluated(
            name, verdict, observed=observed, at_most=at_most, at_least=at_least, equals=equals,
            threshold=threshold, mode=mode, unit=unit, reason=reason, duration_ms=duration_ms,
        )  # fmt: skip
        self._take(entry)
        try:
            is_kept = not wrong and self._is_kept_for_later(entry)
        except Exception:  # noqa: BLE001 - what went wrong is told by the way that is always there
            is_kept = False
        if not is_kept:
            self._enter(entry, wrong)
        return not entry.closes

    def _is_kept_for_later(self, gate: Gate) -> bool:
        threshold = gate.threshold
        if (
            len(self._gates) > settings.active.max_gates
            or using.gate_counter is not None
            or gate.observed.__class__ not in FIXED
            or not (threshold.__class__ in FIXED or snapshot(threshold) is not CHANGES)
            or not (gate.unit.__class__ is gate.reason.__class__ is str)
            or len(gate.name) + len(gate.reason) > _LONG
        ):
            return False
        if using.watch is not None:
            using.watch.gate_evaluated(gate)
        self._size += _GATE_SIZE
        cast("list[Any]", self._late).append((Decision._write_gate, self.time(), gate))
        return True

    def _write_gate(self, words: Words, at: int, gate: Gate) -> None:
        words.add_event(semconv.GATE_EVENT, self._described(gate), timestamp=at)

    @harmless(None)
    def _enter(self, gate: Gate, wrong: str) -> None:
        if self.ended:
            problem(
                "too_late", f"Gate {gate.name!r} was evaluated after its decision ended.",
                fix="Evaluate gates inside the decision.", about=gate.name,
            )  # fmt: skip
            return
        if wrong:
            self.defects.add(
                "gate_unreadable", f"gate {gate.name}", wrong,
                fix=f"Give observed= and a limit, or a verdict: {VERDICTS}.",
            )  # fmt: skip
        if using.gate_counter is not None:
            using.gate_counter.count_gate(gate.name, str(gate.verdict), gate.mode)
        if using.watch is not None:
            using.watch.gate_evaluated(gate)
        if len(self._gates) > settings.active.max_gates:
            self.defects.add(
                "too_many", "gates", "are more than are recorded; all of them bind",
                fix="Raise max_gates (OTEL_OBS_MAX_GATES).",
            )  # fmt: skip
            return
        self._write_gate(self.span, self.time(), gate)

    def _described(self, gate: Gate) -> dict[str, Any]:
        longest = settings.active.max_text
        name, unit, reason = gate.name, gate.unit, gate.reason
        named: dict[str, Any] = {
            semconv.GATE_NAME: name if is_text(name, longest) else values.text(semconv.GATE_NAME, name, self.defects),
            semconv.GATE_VERDICT: str(gate.verdict),
            semconv.GATE_MODE: gate.mode.value,
            semconv.GATE_COMPARISON: gate.comparison.value,
        }
        for key, value in (
            (semconv.GATE_OBSERVED, gate.observed),
            (semconv.GATE_THRESHOLD, gate.threshold),
            (semconv.GATE_UNIT, unit if values.is_given(unit) else None),
            (semconv.GATE_REASON, reason if values.is_given(reason) else None),
            (semconv.GATE_DURATION_MS, gate.duration_ms),
        ):
            if value.__class__ is float or is_text(value, longest):
                named[key] = value
            elif value is not None:
                named[key] = values.attribute(key, value, self.defects)
        return named

    @harmless(None)
    def executed(self, *, order_id: str | None = None) -> None:
        """Say that the bot acted: the order was handed over. What became of it, orders and fills tell."""
        self._claim(Outcome.EXECUTED)
        self._set(semconv.ORDER_ID, order_id)

    @harmless(None)
    def held(self, why: str | None = None) -> None:
        """Say that the bot chose not to act, though it was allowed to."""
        self._claim(Outcome.HELD)
        self._set(semconv.DECISION_WHY, why)

    @harmless(None)
    def failed(self, error: BaseException | str) -> None:
        """Say that acting was tried and failed, for example that the venue rejected the order."""
        self._claim(Outcome.FAILED)
        self._mark_failed(error)

    def _claim(self, outcome: Outcome) -> None:
        if self.ended:
            self.defects.add(
                "too_late", semconv.DECISION_OUTCOME, f"{outcome.value} was said after the decision ended",
                fix="Say it inside the decision.",
            )  # fmt: skip
        elif self._claimed is not _EXECUTED:  # who acted has acted, whatever is said later
            self._claimed = outcome

    def _mark_failed(self, error: BaseException | str) -> None:
        if not self.ended:
            self._failed = True
        super()._mark_failed(error)

    def _finish(self) -> None:
        if self.ended or self._late is None:
            super()._finish()
            return
        self.ended = True
        took = using.clock.monotonic() - self._monotonic
        outcome = _HELD if self._claimed is self._vetoed_by is None and not self._failed else self.outcome
        self._ended_as = outcome  # a gate that comes too late changes nothing in what is written down later
        watch = using.watch
        if watch is not None:
            watch.decision_ended(outcome, self._vetoed_by if outcome is _VETOED else None)
        span: Any = self.span
        span.end_late(
            self._start + took if took > 0 else self._start, _STANDARD if outcome is _HELD else _DURABLE, self._size
        )

    def _complete(self, words: Words) -> None:
        outcome = self.outcome if self._ended_as is None else self._ended_as
        if self._late is None and using.watch is not None:
            using.watch.decision_ended(outcome, self._vetoed_by if outcome is _VETOED else None)
        words.set_attribute(semconv.DECISION_OUTCOME, outcome.value)
        super()._complete(words)
