"""The wrapper that keeps our own failures out of the bot: caught, counted, logged once with the fix named."""

from __future__ import annotations

import functools
import inspect
import logging
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from otel_obs import settings
from otel_obs.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

_log: Final = logging.getLogger("otel_obs")
_MOST_DEFECTS: Final = 16
_MOST_TEXT: Final = 300
_MOST_SAID: Final = 1_000

_counted: Counter[str] = Counter()
_said: set[tuple[str, str]] = set()
_lock = threading.Lock()


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
    with _lock:
        _counted[kind] += 1
        first = (kind, about) not in _said and len(_said) < _MOST_SAID
        if first:
            _said.add((kind, about))
    if settings.active.strict:
        raise ContractError(text, fix=fix)
    if first:
        _log.warning("%s: %s %s", kind, text[:_MOST_TEXT], fix)


class Defects:
    """What was wrong with one record's arguments: counted and logged at once, and carried on the record itself."""

    __slots__ = ("texts",)

    def __init__(self) -> None:
        self.texts: list[str] = []

    def add(self, kind: str, about: str, text: str, *, fix: str) -> None:
        """Note that ``about`` (an attribute's name) is not as the contract says."""
        if len(self.texts) < _MOST_DEFECTS:
            self.texts.append(f"{about}: {text}"[:_MOST_TEXT])
        problem(kind, f"{about} {text}.", fix=fix, about=about)


def _loosely(function: Callable[..., R], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[], R]:
    """Bind what can be bound of a call that does not fit; what its signature does not know becomes ``attributes``."""
    known_names = inspect.signature(function).parameters
    known = {name: value for name, value in kwargs.items() if name in known_names}
    unknown = {name: value for name, value in kwargs.items() if name not in known_names}
    if unknown and "attributes" in known_names:
        known["attributes"] = {**unknown, **(known.get("attributes") or {})}
    positional = [p for p in known_names.values() if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
    fitting = list(args[: len(positional)])
    missing = [p for p in positional[len(fitting) :] if p.default is p.empty and p.name not in known]
    fitting.extend("" for _ in missing)
    for parameter in positional[: len(fitting)]:
        known.pop(parameter.name, None)
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


def _second_try(
    function: Callable[..., R], args: tuple[Any, ...], kwargs: dict[str, Any], error: Exception, fallback: Any
) -> R:
    name = getattr(function, "__qualname__", "recording")
    try:
        if isinstance(error, TypeError) and not _fits(function, args, kwargs):
            takes = inspect.signature(function).parameters
            surplus = ", ".join(sorted(kwargs.keys() - takes.keys())) or "too many or too few"
            problem(
                "wrong_arguments", f"{name}() got arguments that it does not take: {surplus}.",
                fix=f"It takes {', '.join(takes)}.", about=f"{name} {surplus}",
            )  # fmt: skip
            return _loosely(function, args, kwargs)()
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
