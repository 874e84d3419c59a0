"""The wrapper that keeps our own failures out of the bot: caught, counted, logged once with the fix named."""

from __future__ import annotations

import functools
import inspect
import logging
import os
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from otel_obs import settings
from otel_obs.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

P = ParamSpec("P")
R = TypeVar("R")

_log: Final = logging.getLogger("otel_obs")
_MOST_DEFECTS: Final = 16
_MOST_TEXT: Final = 300
_MOST_SAID: Final = 1_000

_counted: Counter[str] = Counter()
_said: set[tuple[str, str]] = set()
_lock = threading.RLock()


def _unlock() -> None:
    global _lock  # noqa: PLW0603 - another thread of the parent may have held it when this child was forked
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)


def problems() -> dict[str, int]:
    """How often each kind of problem occurred in this process; empty when all was well."""
    with _lock:
        return dict(_counted)


def forget_problems() -> None:
    """Start counting, and logging, afresh. For tests."""
    with _lock:
        _counted.clear()
        _said.clear()


def problem(kind: str, text: str, *, fix: str, about: str = "") -> None:
    """Count a problem of ``kind`` and log the first one ``about`` the same thing.

    Raises:
        ContractError: under ``strict``.

    """
    text, about = _bounded(text), _bounded(about)
    with _lock:
        _counted[kind] += 1
        first = (kind, about) not in _said and len(_said) < _MOST_SAID
        if first:
            _said.add((kind, about))
    if settings.active.strict:
        raise ContractError(text, fix=fix)
    if first:
        _log.warning("%s: %s %s", kind, text, fix)


def _bounded(text: str) -> str:
    return text[:_MOST_TEXT].encode("utf-8", "replace").decode()


class Defects:
    """What was wrong with one record's arguments: counted and logged at once, and carried on the record itself."""

    __slots__ = ("texts",)

    def __init__(self) -> None:
        self.texts: list[str] = []

    def add(self, kind: str, about: str, text: str, *, fix: str) -> None:
        """Note that ``about`` (an attribute's name) is not as the contract says."""
        self.note(f"{about}: {text}")
        problem(kind, f"{about} {text}.", fix=fix, about=about)

    def note(self, text: str) -> None:
        """Mark the record, once for the same text; without counting."""
        if len(self.texts) < _MOST_DEFECTS and (bounded := _bounded(text)) not in self.texts:
            self.texts.append(bounded)


class Surplus(dict[str, Any]):
    """What a call was given beyond what it takes, on its way to become attributes of its record.

    ``attributes`` are those that were given as such, ``wrong`` says what was wrong with the call.
    """

    def __init__(self, surplus: Mapping[str, Any], attributes: Any, wrong: str) -> None:
        super().__init__(surplus)
        self.attributes = attributes
        self.wrong = wrong


def _loosely(function: Callable[..., R], args: tuple[Any, ...], kwargs: dict[str, Any], wrong: str) -> Callable[[], R]:
    """Bind what can be bound of a call that does not fit; what its signature does not know becomes ``attributes``."""
    parameters = inspect.signature(function).parameters.values()
    positional = [p for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
    named = {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}
    surplus = dict(kwargs)
    fitting = list(args[: len(positional)])
    for parameter in positional[len(fitting) :]:
        default = "" if parameter.default is parameter.empty else parameter.default
        fitting.append(surplus.pop(parameter.name, default))
    known = {name: surplus.pop(name) for name in named.keys() & surplus.keys()}
    known.update({name: None for name, p in named.items() if p.default is p.empty and name not in known})
    for parameter in positional:  # one that was given twice
        surplus.pop(parameter.name, None)
    if "attributes" in named:
        known["attributes"] = Surplus(surplus, known.get("attributes"), wrong)
    elif any(p.kind is p.VAR_KEYWORD for p in parameters):
        known.update(surplus)
    return functools.partial(function, *fitting, **known)


def attempt(function: Callable[[], R]) -> R | None:
    """Call ``function``; on our own failure return None. Cheaper than ``harmless`` for a single call."""
    try:
        return function()
    except ContractError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever we did wrong must not reach the bot
        return _second_try(function, (), {}, error, None)


def harmless(fallback: Any) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function that never raises: on our own failure it returns ``fallback``.

    A call with arguments that the signature does not know is carried out without them. Under ``strict`` it raises.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def safely(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except ContractError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever we did wrong must not reach the bot
                return _second_try(function, args, kwargs, error, fallback)

        return safely

    return decorate


MISSING: Final[Any] = object()  # what was not given, to a function that takes any arguments


def given_of(first: Any, surplus: tuple[Any, ...]) -> tuple[Any, ...]:
    """The positional arguments of a call, where the first may be MISSING."""
    return () if first is MISSING else (first, *surplus)


def quick(strict: Callable[P, R]) -> Callable[[Callable[..., R]], Callable[P, R]]:
    """Let a function that takes any arguments stand for ``strict``, a ``harmless`` one, to whose signature it is held.

    For the hottest paths: it spares the call in between. What does not fit, or fails, it hands to ``strict``.
    """

    def decorate(function: Callable[..., R]) -> Callable[P, R]:
        inner: Any = inspect.unwrap(strict)
        inner.__name__, inner.__qualname__ = function.__name__, function.__qualname__  # errors name what was called
        function.__doc__ = inner.__doc__
        function.__signature__ = inspect.signature(inner)  # type: ignore[attr-defined]
        return function

    return decorate


def _second_try(
    function: Callable[..., R], args: tuple[Any, ...], kwargs: dict[str, Any], error: Exception, fallback: Any
) -> R:
    name = getattr(function, "__qualname__", "recording")
    try:
        if isinstance(error, TypeError) and not _fits(function, args, kwargs):
            parameters = inspect.signature(function).parameters
            wrong = str(error)
            unnamed = [name for name in kwargs if name not in parameters and name not in wrong]
            if unnamed:
                wrong = f"{wrong}, and {', '.join(unnamed)}"
            takes = ", ".join(name for name in parameters if name != "self")
            if args and isinstance(defects := getattr(args[0], "defects", None), Defects):
                defects.note(wrong)
            problem("wrong_arguments", f"{wrong}.", fix=f"It takes {takes}.", about=wrong)
            return _loosely(function, args, kwargs, wrong)()
        problem(
            "internal_error", f"{name}() failed: {type(error).__name__}: {error}.",
            fix="The bot went on; this record is incomplete. Please report it.", about=name,
        )  # fmt: skip
    except ContractError:
        raise
    except Exception:  # noqa: BLE001 - the last resort: not even the report may raise
        _counted["internal_error"] += 1
    return fallback  # type: ignore[no-any-return]


def _fits(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    try:
        inspect.signature(function).bind(*args, **kwargs)
    except TypeError:
        return False
    return True
