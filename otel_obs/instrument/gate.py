"""``@gate``: a function of the bot as a gate of whatever decision is open where it is called."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast, overload

from otel_obs.contract.gates import Verdict
from otel_obs.instrument.api import decision_here
from otel_obs.instrument.harmless import harmless, problem
from otel_obs.instrument.silent import SilentDecision
from otel_obs.instrument.source import using

if TYPE_CHECKING:
    from collections.abc import Callable

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
        return gate(name.__name__)(name)
    said = {"at_most": at_most, "at_least": at_least, "equals": equals, "mode": mode, "unit": unit}

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        call = _Call(name or function.__name__, said)
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
        self._limited = any(said[key] is not None for key in ("at_most", "at_least", "equals"))

    @harmless(None)
    def raised(self, error: BaseException, start: int) -> None:
        self._enter(Verdict.ERROR, start, reason=f"{type(error).__name__}: {error}")

    @harmless(None)
    def returned(self, result: Any, start: int) -> None:
        match result:
            case (verdict, observed, threshold):
                # The limit's direction is the decorator's to say; the value of today is the function's.
                limit = {key: threshold for key in ("at_most", "at_least", "equals") if self._said[key] is not None}
                self._enter(verdict, start, observed=observed, **(limit or {"threshold": threshold}))
            case (verdict, observed):
                self._enter(verdict, start, observed=observed)
            case int() | float() if self._limited and not isinstance(result, bool):
                self._enter(None, start, observed=result)
            case _:
                self._enter(result if result is not None else "nothing", start)

    def _enter(self, verdict: Any, start: int, **found: Any) -> None:
        decision = decision_here()
        took = (using.clock.monotonic() - start) / 1e6
        decision.gate(self._name, verdict, **{**self._said, **found}, duration_ms=took)
        if isinstance(decision, SilentDecision) and not decision.is_open:
            problem(
                "gate_without_decision", f"Gate {self._name!r} was evaluated where no decision is open.",
                fix="Call it inside `with obs.decision(…)`.", about=self._name,
            )  # fmt: skip
