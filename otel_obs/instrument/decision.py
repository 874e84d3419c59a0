"""A decision as a span with its gate ledger; how it ended follows from what was said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel_obs import settings
from otel_obs.contract import semconv
from otel_obs.contract.gates import Comparison, Gate, Mode, Verdict, judge, limit, verdict_word
from otel_obs.contract.outcome import UNNAMED, Outcome, derive
from otel_obs.instrument import values
from otel_obs.instrument.harmless import Defects, harmless, problem
from otel_obs.instrument.record import Record
from otel_obs.instrument.source import using

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    mode: Any = Mode.ENFORCE,
    unit: Any = "",
    reason: Any = "",
    duration_ms: float | None = None,
) -> tuple[Gate, str]:
    """Make a gate's entry from what a bot said; never raises. Returns it with what was wrong, or ''.

    The verdict is the given one, else it follows from value and limit. What cannot be read closes the gate: a bot must
    not trade because its telemetry was called wrongly.
    """
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


class Decision(Record):
    """A choice, with what, why, confidence, alternatives, inputs, its gates and how it ended."""

    __slots__ = ("_claimed", "_failed", "_gates")

    def __init__(self, attributes: dict[str, Any], *, at: Any, defects: Defects) -> None:
        self._gates: list[Gate] = []
        self._claimed: str | None = None
        self._failed = False
        super().__init__(semconv.DECISION_SPAN, attributes, at=at, defects=defects)

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
        return derive(self._gates, claimed=self._claimed, failed=self._failed).outcome

    @harmless(False)  # noqa: FBT003 - the answer where the call itself was wrong
    def gate(
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
        self._gates.append(entry)  # first: whatever happens to the telemetry, ``allowed`` is right
        self._enter(entry, wrong)
        return not entry.closes

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
        self.span.add_event(semconv.GATE_EVENT, self._described(gate), timestamp=self.time())

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
        elif self._claimed != Outcome.EXECUTED:  # who acted has acted, whatever is said later
            self._claimed = outcome.value

    def _mark_failed(self, error: BaseException | str) -> None:
        if not self.ended:
            self._failed = True
        super()._mark_failed(error)

    def _complete(self) -> None:
        ended = derive(self._gates, claimed=self._claimed, failed=self._failed)
        if using.watch is not None:
            is_veto = ended.outcome is Outcome.VETOED
            using.watch.decision_ended(ended.outcome, ended.veto_reason_primary if is_veto else None)
        self.span.set_attribute(semconv.DECISION_OUTCOME, ended.outcome.value)
        super()._complete()
