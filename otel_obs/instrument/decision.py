"""A decision as a span with its gate ledger; how it ended follows from what was said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from otel_obs import settings
from otel_obs.contract import semconv
from otel_obs.contract.dearness import of_outcome
from otel_obs.contract.gates import Comparison, Gate, Mode, Verdict, judge, limit, number_at_most, verdict_word
from otel_obs.contract.outcome import UNNAMED, Outcome, derive
from otel_obs.instrument import values
from otel_obs.instrument.harmless import MISSING, Defects, given_of, harmless, problem, quick
from otel_obs.instrument.record import Record
from otel_obs.instrument.snapshots import CHANGES, FIGURES, FIXED, VALUE, size_of, snapshot
from otel_obs.instrument.source import using

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_obs.contract.recording import Words

_EXECUTED: Final = Outcome.EXECUTED  # names that are found at once
_VETOED: Final = Outcome.VETOED
_HELD: Final = Outcome.HELD
_FAILED: Final = Outcome.FAILED
_STANDARD: Final = of_outcome(Outcome.HELD)
_DURABLE: Final = of_outcome(Outcome.EXECUTED)
_ENFORCE: Final = Mode.ENFORCE
_PASS: Final = Verdict.PASS
_DENY: Final = Verdict.DENY
_LONG: Final = 4_096  # characters: a longer reason is described at once
_LARGE: Final = 65_536  # bytes: what is larger is cut at once, so that it is not kept
_SIZE: Final = 700  # bytes that a decision takes, about
_GATE_SIZE: Final = 400
_NUMBERS: Final[frozenset[Any]] = frozenset({int, float})
_VERDICTS: Final = "pass, deny, adjust or error; or True or False"


def _is_missing(observed: Any) -> bool:
    """Whether there was no value to see: a fact of the market, and no mistake of the call."""
    return observed is None or (isinstance(observed, float) and observed != observed)  # noqa: PLR0124 - only NaN does


def evaluated(
    name: Any,
    verdict: Any = None,
    *,
    observed: Any = None,
    at_most: Any = None,
    at_least: Any = None,
    equals: Any = None,
    threshold: Any = None,
    mode: Any = _ENFORCE,
    unit: Any = "",
    reason: Any = "",
    duration_ms: float | None = None,
) -> tuple[Gate, str]:
    """Make a gate's entry from what a bot said; never raises. Returns it with what was wrong, or ''.

    The verdict is the given one, else it follows from value and limit. What cannot be read closes the gate: a bot must
    not trade because its telemetry was called wrongly.
    """
    if (  # what most gates are, without a further question
        verdict is None
        and observed.__class__ in _NUMBERS
        and at_most.__class__ in _NUMBERS
        and name.__class__ is str
        and mode is _ENFORCE
        and at_least is equals is threshold is None
        and (observed <= at_most or observed > at_most)  # neither holds of what is no number
    ):
        plain = _PASS if observed <= at_most else _DENY
        return number_at_most(name, plain, observed, at_most, unit, reason, duration_ms), ""
    wrong = ""
    comparison, named = limit(at_most=at_most, at_least=at_least, equals=equals)
    threshold = named if named is not None else threshold
    if verdict is not None:
        found = verdict_word(verdict)
        if found is None:
            wrong = f"has a verdict that is not {_VERDICTS}"
    elif comparison is Comparison.NONE:
        found, wrong = None, "has neither a verdict nor a limit"
    else:
        found = judge(observed, comparison, threshold)
        if _is_missing(observed):
            reason = reason if values.is_given(reason) else "there was no value to see"
        elif found is Verdict.ERROR:
            wrong = "has an observed value that cannot be held against its limit"
    try:
        known = Mode(mode)
    except Exception:  # noqa: BLE001 - a bot's own mode may raise anything when it is compared
        known, wrong = Mode.ENFORCE, "has a mode that is neither enforce nor shadow"
    entry = Gate(
        name=name if type(name) is str else values.words(name),
        verdict=found or Verdict.ERROR,
        mode=known,
        observed=observed,
        threshold=threshold,
        comparison=comparison,
        unit=unit,
        reason=reason,
        duration_ms=duration_ms,
    )
    return entry, wrong


def described(
    what: Any,
    *,
    why: Any = "",
    confidence: Any = None,
    alternatives: Any = None,
    inputs: Any = None,
    symbol: Any = None,
    side: Any = None,
    strategy: Any = None,
    attributes: Mapping[str, Any] | None = None,
    defects: Defects,
) -> dict[str, Any]:
    """Build the attributes of a decision that are known when it starts: what a sampler may look at."""
    named: dict[str, Any] = values.custom(attributes, defects)
    if not values.is_given(what):
        defects.add("unnamed", semconv.DECISION_WHAT, "is empty", fix="Say what was chosen.")
        what = UNNAMED
    for key, value in (
        (semconv.DECISION_WHAT, what),
        (semconv.DECISION_WHY, why if values.is_given(why) else None),
        (semconv.INSTRUMENT_SYMBOL, symbol),
        (semconv.ORDER_SIDE, side),
        (semconv.STRATEGY_NAME, strategy),
    ):
        if value is not None:
            named[key] = values.text(key, value, defects)
    if confidence is not None:
        sure = values.number(semconv.DECISION_CONFIDENCE, confidence, defects)
        if sure is not None and not 0 <= sure <= 1:
            defects.add(
                "confidence_out_of_range", semconv.DECISION_CONFIDENCE, f"is {sure:g}, outside 0 to 1",
                fix="Give a share of 1 (62 % is 0.62), or leave it out.",
            )  # fmt: skip
        elif sure is not None:
            named[semconv.DECISION_CONFIDENCE] = sure
    if values.is_given(alternatives):
        named[semconv.DECISION_ALTERNATIVES] = values.attribute(semconv.DECISION_ALTERNATIVES, alternatives, defects)
    if values.is_given(inputs):
        named[semconv.DECISION_INPUTS] = values.mapping(semconv.DECISION_INPUTS, inputs, defects)
    return named


def describe(said: tuple[Any, ...], defects: Defects) -> dict[str, Any]:
    """The attributes of a decision that are known when it starts."""
    what, why, confidence, alternatives, inputs, symbol, side, strategy, attributes = said
    return described(
        what, why=why, confidence=confidence, alternatives=alternatives, inputs=inputs, symbol=symbol, side=side,
        strategy=strategy, attributes=attributes, defects=defects,
    )  # fmt: skip


def described_in_full(leaf: tuple[tuple[Any, ...], Any], defects: Defects) -> dict[str, Any]:
    """Build all attributes of a decision that was said in one call."""
    said, outcome = leaf
    named = describe(said, defects)
    derived = derive((), claimed=values.text(semconv.DECISION_OUTCOME, outcome, defects))
    for text in derived.defects:
        defects.add("outcome", semconv.DECISION_OUTCOME, text, fix="Say executed, held or failed; a veto is a gate's.")
    named[semconv.DECISION_OUTCOME] = derived.outcome.value
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
        if wrong or not self._is_kept_for_later(entry):
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
                fix=f"Give observed= and a limit, or a verdict: {_VERDICTS}.",
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
        named: dict[str, Any] = {
            semconv.GATE_NAME: values.text(semconv.GATE_NAME, gate.name, self.defects),
            semconv.GATE_VERDICT: str(gate.verdict),
            semconv.GATE_MODE: gate.mode.value,
            semconv.GATE_COMPARISON: gate.comparison.value,
        }
        for key, value in (
            (semconv.GATE_OBSERVED, gate.observed),
            (semconv.GATE_THRESHOLD, gate.threshold),
            (semconv.GATE_UNIT, gate.unit if values.is_given(gate.unit) else None),
            (semconv.GATE_REASON, gate.reason if values.is_given(gate.reason) else None),
            (semconv.GATE_DURATION_MS, gate.duration_ms),
        ):
            if value is not None:
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
