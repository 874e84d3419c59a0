"""``@gate``: a function of the bot as a gate of whatever decision is open where it is called."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast, overload

from otel_obs.contract.gates import Verdict, verdict_word
from otel_obs.instrument import values
from otel_obs.instrument.api import decision_here
from otel_obs.instrument.harmless import harmless, problem
from otel_obs.instrument.opening import name_of
from otel_obs.instrument.silent import SilentDecision
from otel_obs.instrument.source import using

if TYPE_CHECKING:
    from collections.abc import Callable

_UNREADABLE: Final = "nothing"  # a word that is no verdict: the gate closes, and says so

P = ParamSpec("P")
R = TypeVar("R")


@overload
def gate(name: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def gate(
    name: str = "",
    /,
    *,
    at_most: Any = None,
    at_least: Any = None,
    equals: Any = None,
    mode: str = "enforce",
    unit: str = "",
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
@harmless(lambda function: function)
def gate(
    name: str | Callable[..., Any] = "",
    /,
    *,
    at_most: Any = None,
    at_least: Any = None,
    equals: Any = None,
    mode: str = "enforce",
    unit: str = "",
) -> Any:
    """Make a function a gate: each call enters its verdict into the open decision; the function's result is untouched.

    The function returns a bool, a verdict, or ``(verdict, observed, threshold)``; with a limit given here it may
    return the observed number alone. One that raises is a verdict ``error``, and the exception passes.
    """
    if callable(name):
        return gate(name_of(name))(name)
    said = {"at_most": at_most, "at_least": at_least, "equals": equals, "mode": mode, "unit": unit}

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        call = _Call(name or name_of(function), said)
        if using.watch is not None:
            using.watch.gate_known(name or name_of(function))
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def judged_later(*args: P.args, **kwargs: P.kwargs) -> Any:
                start = using.clock.monotonic()
                try:
                    result = await function(*args, **kwargs)
                except BaseException as error:
                    call.raised(error, start)
                    raise
                call.returned(result, start)
                return result

            return cast("Callable[P, R]", judged_later)

        @functools.wraps(function)
        def judged(*args: P.args, **kwargs: P.kwargs) -> R:
            start = using.clock.monotonic()
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                call.raised(error, start)
                raise
            call.returned(result, start)
            return result

        return judged

    return decorate


class _Call:
    """Turns what a gate function did into an entry of the ledger."""

    def __init__(self, name: str, said: dict[str, Any]) -> None:
        self._name = name
        self._said = said
        self._limits = [key for key in ("at_most", "at_least", "equals") if said[key] is not None]

    @harmless(None)
    def raised(self, error: BaseException, start: int) -> None:
        self._enter(Verdict.ERROR, start, reason=values.shortened(f"{type(error).__name__}: {values.words(error)}"))

    @harmless(None)
    def returned(self, result: Any, start: int) -> None:
        try:
            verdict, found = self._read(result)
        except Exception:  # noqa: BLE001 - a bot's result may raise when it is looked at
            verdict, found = _UNREADABLE, {}
        self._enter(verdict, start, **found)

    def _read(self, result: Any) -> tuple[Any, dict[str, Any]]:
        match result:
            case (verdict, observed, threshold):
                return verdict, {"observed": observed, **self._limit(threshold)}
            case (verdict, observed):
                return verdict, {"observed": observed}
            case _ if self._limits and verdict_word(result) is None:
                return None, {"observed": result}
            case _:
                return _UNREADABLE if result is None else result, {}

    def _limit(self, threshold: Any) -> dict[str, Any]:
        """The limit's direction is the decorator's to say; its value of today is the function's."""
        if len(self._limits) > 1:
            at_least, at_most = threshold
            return {"at_least": at_least, "at_most": at_most}
        return dict.fromkeys(self._limits, threshold) or {"threshold": threshold}

    def _enter(self, verdict: Any, start: int, **found: Any) -> None:
        decision = decision_here()
        took = (using.clock.monotonic() - start) / 1e6
        decision.gate(self._name, verdict, **{**self._said, **found}, duration_ms=took)
        if isinstance(decision, SilentDecision) and not decision.is_open:
            problem(
                "gate_without_decision", f"Gate {self._name!r} was evaluated where no decision is open.",
                fix="Call it inside `with obs.decision(…)`.", about=self._name,
            )  # fmt: skip
