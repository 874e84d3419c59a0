"""What is returned when nothing is recorded: shared objects that do nothing, and gates that bind all the same."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from otel_obs.contract.outcome import Outcome, derive
from otel_obs.instrument.decision import evaluated

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from otel_obs.contract.gates import Gate


class Silent:
    """Stands for a trace or stage when nothing is recorded; shared, and takes whatever it is told."""

    __slots__ = ()
    trace_id: Final = ""
    id: Final = ""
    ended: Final = False

    def __bool__(self) -> bool:
        return False

    def _ignore(self, *args: Any, **kwargs: Any) -> None:
        """Take anything, do nothing."""

    evidence = output = score = idle = end = fail = _ignore

    def attributes(self, **_given: Any) -> Self:
        """Take anything, do nothing."""
        return self


class SilentDecision(Silent):
    """Stands for a decision when nothing is recorded.

    It sends nothing and keeps its gates: a bot that trades ``if d.allowed`` must not start to trade because somebody
    switched its telemetry off.
    """

    __slots__ = ("_claimed", "_gates", "is_open", "outer")

    def __init__(self, outer: SilentDecision | None = None, *, is_open: bool = False) -> None:
        self.outer = outer
        self.is_open = is_open
        self._gates: list[Gate] = []
        self._claimed: Outcome | None = None

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
        """How it would end now."""
        return derive(self._gates, claimed=self._claimed).outcome

    def gate(self, name: str, verdict: Any = None, **said: Any) -> bool:
        """Evaluate one gate."""
        entry, _ = evaluated(name, verdict, **said)
        self._gates.append(entry)
        return not entry.closes

    def executed(self, **_said: Any) -> None:
        """Say that the bot acted."""
        self._claimed = Outcome.EXECUTED

    def held(self, *_said: Any, **_more: Any) -> None:
        """Say that the bot chose not to act."""
        self._claimed = self._claimed or Outcome.HELD

    def failed(self, *_said: Any, **_more: Any) -> None:
        """Say that acting failed."""
        self._claimed = self._claimed or Outcome.FAILED


NOTHING: Final = Silent()
_open_decision: ContextVar[SilentDecision | None] = ContextVar("otel_obs.silent_decision", default=None)


def innermost_decision() -> SilentDecision | None:
    """The silent decision that is open here."""
    return _open_decision.get()


class SilentOpening:
    """Stands for ``trace(…)`` and ``stage(…)`` when nothing is recorded; shared."""

    __slots__ = ()

    def start(self) -> Silent:
        """Return the object that does nothing."""
        return NOTHING

    def __enter__(self) -> Silent:
        return NOTHING

    def __exit__(self, *_raised: object) -> None:
        return None

    async def __aenter__(self) -> Silent:
        return NOTHING

    async def __aexit__(self, *_raised: object) -> None:
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
        decision = SilentDecision(_open_decision.get(), is_open=True)
        _open_decision.set(decision)
        return decision

    def __exit__(self, *_raised: object) -> None:
        innermost = _open_decision.get()
        _open_decision.set(innermost.outer if innermost else None)

    async def __aenter__(self) -> SilentDecision:
        return self.__enter__()

    async def __aexit__(self, *raised: object) -> None:
        self.__exit__(*raised)


SILENT: Final = SilentOpening()
SILENT_DECISION: Final = SilentDecisionOpening()
