"""A decision that is its own opening: where words can wait, one object does what three do elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import INVALID_SPAN

from otel_obs.contract import semconv
from otel_obs.errors import ContractError
from otel_obs.instrument.context import attach, context_of, current_context, leave, place
from otel_obs.instrument.decision import Decision, describe
from otel_obs.instrument.opening import fail, wrapped
from otel_obs.instrument.source import using

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from opentelemetry.context import Context

    from otel_obs.contract.recording import LateRecorder
    from otel_obs.instrument.opening import Opening


class SwiftDecision(Decision):
    """What ``decision`` returns where its words can wait. Entered a second time, it opens another of its kind."""

    span = INVALID_SPAN
    _is_begun = False
    _here: Context | None = None
    _token: Any = None
    _others: Opening[Decision] | None = None

    def __init__(
        self, late: LateRecorder, said: tuple[Any, ...], size: int, others: Callable[[Any], Opening[Decision]]
    ) -> None:
        """``others`` opens another decision, of which the same is said."""
        self._recorder = late
        self._unsaid = (describe, said)
        self._said = said
        self._size = size
        self._open = others

    def _open_another(self) -> Opening[Decision]:
        return self._open(self._said)

    def start(self) -> Decision:
        """Start it without making it current here."""
        if self._is_begun:
            return self._open_another().start()
        try:
            return self._begun()
        except Exception:  # noqa: BLE001 - whatever went wrong, the usual way tells it
            return self._open_another().start()

    def _begun(self) -> Self:
        self._is_begun = True
        self._gates = []
        self.parent, context = place()
        clock = using.clock
        event_time = self.parent._event_time if self.parent else None  # noqa: SLF001 - one family
        self._event_time = event_time
        self._start = start = clock.now() if event_time is None else event_time
        self._monotonic = clock.monotonic()
        span = self.span = self._recorder.start_late(semconv.DECISION_SPAN, self._settle, start, context)
        if hasattr(span, "end_late"):
            self._late = []
        else:
            self._unsaid = None
            self._known = {}
        return self

    def __enter__(self) -> Decision:
        if self._is_begun:
            if self._others is None:
                self._others = self._open_another()
            return self._others.__enter__()
        try:
            self._begun()
            self._here = here = context_of(self)
            self._token = attach(here)
        except Exception:  # noqa: BLE001 - whatever went wrong, the usual way tells it
            self._is_begun = True
            return self.__enter__()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        here = self._here
        if here is None or (self._others is not None and current_context() is not here):
            if self._others is not None:
                self._others.__exit__(kind, error, trace)
            return
        self._here = None
        try:
            if error is None:
                self._finish()
            else:
                fail(self, error)
        except ContractError:
            raise
        except Exception:  # noqa: BLE001 - told by the second try
            self.end()
        finally:
            leave(here, self._token)

    async def __aenter__(self) -> Decision:
        return self.__enter__()

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Decorate: each call of ``function`` is one decision."""
        return wrapped(function, self._open_another)
