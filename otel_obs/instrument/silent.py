"""What is returned when nothing is recorded: shared objects that do nothing, and gates that bind all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

from opentelemetry.trace import INVALID_SPAN

from otel_obs.contract.outcome import Outcome, derive
from otel_obs.instrument.context import attach, innermost_silent, leave, silent_context_of
from otel_obs.instrument.evaluation import evaluated
from otel_obs.instrument.opening import is_failure, wrapped
from otel_obs.instrument.source import using

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from opentelemetry.context import Context

    from otel_obs.contract.gates import Gate

_SAYABLE: Final = frozenset(evaluated.__kwdefaults__ or ())


class Silent:
    """Stands for a trace or stage when nothing is recorded; shared, and takes whatever it is told."""

    __slots__ = ()
    trace_id: Final = ""
    id: Final = ""
    parent: Final = None
    span: Final = INVALID_SPAN
    ended: bool = False

    def __bool__(self) -> bool:
        return False

    @property
    def defects(self) -> tuple[str, ...]:
        """Nothing is recorded, so nothing is wrong with it."""
        return ()

    def time(self) -> int:
        """When something said now happened. Nanoseconds."""
        return using.clock.now()

    def _ignore(self, *args: Any, **kwargs: Any) -> None:
        """Take anything, do nothing."""

    evidence = output = model = score = idle = end = fail = _ignore

    def attributes(self, /, *_surplus: Any, **_given: Any) -> Self:
        """Take anything, do nothing."""
        return self


class SilentDecision(Silent):
    """Stands for a decision when nothing is recorded.

    It sends nothing and keeps its gates: a bot that trades ``if d.allowed`` must not start to trade because somebody
    switched its telemetry off.
    """

    __slots__ = ("_claimed", "_failed", "_gates", "ended", "is_open", "outer", "place")

    def __init__(self, outer: SilentDecision | None = None, *, is_open: bool = False) -> None:
        self.outer = outer
        self.is_open = is_open
        self.ended = False
        self.place: tuple[Context, Any] | None = None
        self._gates: list[Gate] = []
        self._claimed: Outcome | None = None
        self._failed = False

    @property
    def gates(self) -> tuple[Gate, ...]:
        """The ledger so far."""
        return tuple(self._gates)

    @property
    def allowed(self) -> bool:
        """Whether no enforced gate has denied, or could not be evaluated."""
        return not any(gate.closes for gate in self._gates)

    @property
    def outcome(self) -> Outcome:
        """How it ended, or would end now."""
        return derive(self._gates, claimed=self._claimed, failed=self._failed).outcome

    def gate(self, name: str = "", verdict: Any = None, *_surplus: Any, **said: Any) -> bool:
        """Evaluate one gate."""
        if not said.keys() <= _SAYABLE:
            said = {key: value for key, value in said.items() if key in _SAYABLE}
        entry, _ = evaluated(name, verdict, **said)
        self._gates.append(entry)
        return not entry.closes

    def executed(self, *_said: Any, **_more: Any) -> None:
        """Say that the bot acted."""
        self._claim(Outcome.EXECUTED)

    def held(self, *_said: Any, **_more: Any) -> None:
        """Say that the bot chose not to act."""
        self._claim(Outcome.HELD)

    def failed(self, *_said: Any, **_more: Any) -> None:
        """Say that acting failed."""
        self._claim(Outcome.FAILED)
        self._failed = self._failed or not self.ended

    def end(self, *_said: Any, **_more: Any) -> None:
        """End it."""
        self.ended = True

    def fail(self, *_said: Any, **_more: Any) -> None:
        """End it as failed."""
        self._failed = self._failed or not self.ended
        self.ended = True

    def _claim(self, outcome: Outcome) -> None:
        if not self.ended and self._claimed is not Outcome.EXECUTED:  # who acted has acted, whatever is said later
            self._claimed = outcome


NOTHING: Final = Silent()


def innermost_decision() -> SilentDecision | None:
    """The silent decision that is open here; one that ended out of order is passed over."""
    decision = cast("SilentDecision | None", innermost_silent())
    while decision is not None and decision.ended:
        decision = decision.outer
    return decision


class SilentOpening:
    """Stands for ``trace(…)`` and ``stage(…)`` when nothing is recorded; shared."""

    __slots__ = ()

    def start(self) -> Silent:
        """Return the object that does nothing."""
        return NOTHING

    def __enter__(self) -> Silent:
        return NOTHING

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        return None

    async def __aenter__(self) -> Silent:
        return NOTHING

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        return None

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return function


class SilentDecisionOpening(SilentOpening):
    """Stands for ``decision(…)`` when nothing is recorded; shared. What it opens keeps gates, so that is not shared."""

    __slots__ = ()

    def start(self) -> SilentDecision:
        """Return gates that bind and are sent nowhere."""
        return SilentDecision()

    def __enter__(self) -> SilentDecision:
        decision = SilentDecision(innermost_decision(), is_open=True)
        here = silent_context_of(decision)
        decision.place = (here, attach(here))
        return decision

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        decision = innermost_decision()
        if decision is None or decision.place is None:
            return
        if is_failure(error):
            decision.fail(error)
        decision.end()
        leave(*decision.place)

    async def __aenter__(self) -> SilentDecision:
        return self.__enter__()

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return wrapped(function, lambda: self)  # so that the gates inside have a decision to bind


SILENT: Final = SilentOpening()
SILENT_DECISION: Final = SilentDecisionOpening()
