"""One object for ``with``, ``async with`` and ``@``: opens a record, keeps its place in the context, ends it."""

from __future__ import annotations

import functools
import inspect
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, ParamSpec, Protocol, TypeVar, cast

from opentelemetry.context import Context  # noqa: TC002 - part of a signature that tools may evaluate

from otel_obs.errors import ContractError
from otel_obs.instrument.context import attach, context_of, current_context, leave, running_in
from otel_obs.instrument.harmless import attempt, harmless
from otel_obs.instrument.record import Record

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator


T = TypeVar("T", bound=Record)
P = ParamSpec("P")
R = TypeVar("R")


def is_failure(error: BaseException | None) -> bool:
    """Whether an exception that passes means failure: a generator's close and an orderly exit do not."""
    if error is None or isinstance(error, GeneratorExit):
        return False
    return not (isinstance(error, SystemExit) and not error.code)


def name_of(function: Callable[..., Any]) -> str:
    """Name a function, or an object that can be called, for its record."""
    return str(getattr(function, "__name__", type(function).__name__))


class Kind(NamedTuple, Generic[T]):
    """What is opened: ``make(said)`` makes the record, ``bare()`` one that says nothing, should we fail to.

    ``again(said, name)`` opens one of another name.
    """

    make: Callable[[Any], T]
    bare: Callable[[], T]
    again: Callable[[Any, str], Any]


class Opening(Generic[T]):
    """What ``trace``, ``stage`` and ``decision`` return. Nothing is recorded until it is entered or started."""

    __slots__ = ("_kind", "_opened", "_said")

    def __init__(self, kind: Kind[T], said: Any) -> None:
        self._kind = kind
        self._said = said
        self._opened: list[tuple[Record, Context | None, Any]] = []

    def start(self) -> T:
        """Start the record without making it current here; end it with its ``end`` or ``fail``.

        For records that outlive the function which starts them.
        """
        kind = self._kind
        try:
            return kind.make(self._said)
        except ContractError:
            raise
        except Exception:  # noqa: BLE001 - told by the second try
            made = attempt(partial(kind.make, self._said))
            return kind.bare() if made is None else made

    def __enter__(self) -> T:
        made = self.start()
        try:
            here = context_of(made)
            self._opened.append((made, here, attach(here)))
        except Exception:  # noqa: BLE001 - told by the second try
            self._opened.append((made, *(attempt(partial(_placed, made)) or (None, None))))
        return made

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        opened = self._opened
        if not opened:
            return
        record, here, token = opened.pop(self._innermost() if len(opened) > 1 else 0)
        try:
            try:
                if error is None:
                    record.end()
                else:
                    fail(record, error)
            finally:
                if here is not None:
                    leave(here, token)
        except ContractError:
            if error is None:  # else the bot's own exception is what passes
                raise

    def _innermost(self) -> int:
        """Which of several that are open is left: tasks that share an opening leave in any order."""
        for index in range(len(self._opened) - 1, 0, -1):
            if self._opened[index][1] is current_context():
                return index
        return 0

    async def __aenter__(self) -> T:
        return self.__enter__()

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate: each call of ``function`` is one record."""
        return wrapped(function, partial(self._kind.again, self._said, name_of(function)))


def _placed(record: Record) -> tuple[Context, Any]:
    here = context_of(record)
    return here, attach(here)


@harmless(None)
def fail(record: Record, error: BaseException) -> None:
    """End a record with the exception that passes, if that means failure."""
    if is_failure(error):
        record.fail(error)
    else:
        record.end()


class _Opens(Protocol):
    def __enter__(self) -> Any: ...
    def __exit__(self, kind: object, error: BaseException | None, trace: object, /) -> None: ...


def wrapped(function: Callable[P, R], opening: Callable[[], _Opens]) -> Callable[P, R]:
    """Run each call of ``function`` inside a record of its own; keeps its nature: plain, coroutine or generator."""
    wrap: Callable[..., Any]
    if inspect.isasyncgenfunction(function):
        wrap = _wrapped_async_generator
    elif inspect.isgeneratorfunction(function):
        wrap = _wrapped_generator
    elif inspect.iscoroutinefunction(function):
        wrap = _wrapped_coroutine
    else:
        wrap = _wrapped_plain
    return cast("Callable[P, R]", functools.wraps(function)(wrap(function, opening)))


def _wrapped_plain(function: Callable[..., Any], opening: Callable[[], _Opens]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        with opening():
            return function(*args, **kwargs)

    return call


def _wrapped_coroutine(function: Callable[..., Any], opening: Callable[[], _Opens]) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        with opening():
            return await function(*args, **kwargs)

    return call


def _entered(opening: _Opens) -> list[Context]:
    """Enter ``opening`` for a generator's body only: its caller's context is left as it was."""
    body = [current_context()]
    with running_in(body):
        opening.__enter__()
    return body


def _wrapped_generator(function: Callable[..., Any], opening: Callable[[], _Opens]) -> Callable[..., Any]:
    def generate(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        opened = opening()
        body = _entered(opened)
        error: BaseException | None = None
        inner = function(*args, **kwargs)
        step, given = inner.send, None
        try:
            while True:
                with running_in(body):
                    item = step(given)
                try:
                    step, given = inner.send, (yield item)
                except GeneratorExit:
                    with running_in(body):
                        inner.close()
                    raise
                except BaseException as thrown:  # noqa: BLE001 - handed on to the generator, whatever it is
                    step, given = inner.throw, thrown
        except StopIteration as stop:
            return stop.value
        except BaseException as raised:
            error = raised
            raise
        finally:
            with running_in(body):
                opened.__exit__(type(error), error, None)

    return generate


def _wrapped_async_generator(function: Callable[..., Any], opening: Callable[[], _Opens]) -> Callable[..., Any]:
    async def generate(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        opened = opening()
        body = _entered(opened)
        error: BaseException | None = None
        inner = function(*args, **kwargs)
        step, given = _first_of(inner), None
        try:
            while True:
                with running_in(body):
                    item = await step(given)
                try:
                    step, given = inner.asend, (yield item)
                except GeneratorExit:
                    with running_in(body):
                        await inner.aclose()
                    raise
                except BaseException as thrown:  # noqa: BLE001 - handed on to the generator, whatever it is
                    step, given = inner.athrow, thrown
        except StopAsyncIteration:
            return
        except BaseException as raised:
            error = raised
            raise
        finally:
            with running_in(body):
                opened.__exit__(type(error), error, None)

    return generate


def _first_of(inner: AsyncGenerator[Any, Any]) -> Callable[[Any], Any]:
    """``inner.asend`` for its first step, unknown to the event loop, which would else close it beside its wrapper."""

    def first(given: Any) -> Any:
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(None, None)
        try:
            return inner.asend(given)
        finally:
            sys.set_asyncgen_hooks(*hooks)

    return first
