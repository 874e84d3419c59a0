"""What every way in does with a body: store it, and where the engine refuses it, rewrite it and try once more."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_obs.store.embedded.otlp_bodies import Rewritten, from_json, repaired
from otel_obs.store.embedded.otlp_committer import BodyError, Committer
from otel_obs.store.embedded.otlp_insert import UNREADABLE, Form, Signal
from otel_obs.store.embedded.otlp_metrics import rows
from otel_obs.store.embedded.otlp_reading import MalformedError

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_BYTES: Final = 64 << 20
_ROWS_TO_BODY: Final = 4  # rows of metrics repeat what a body says once
_FORMS: Final = {Signal.TRACES: Form.TRACES, Signal.LOGS: Form.LOGS}


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """What was stored of a body: all but ``rejected`` records."""

    rejected: int = 0
    reason: str = ""


def ignored(_signal: Signal, _what: str, _number: int) -> None:
    """Count nothing."""


class Intake:
    """Takes bodies of at most ``most_bytes`` (unpacked).

    ``count(signal, what, n)`` is told of each body: ``stored``, ``malformed``, ``busy``, ``failed``, and of
    ``rejected`` records within one.
    """

    def __init__(
        self,
        committer: Committer,
        *,
        most_bytes: int = MOST_BYTES,
        count: Callable[[Signal, str, int], None] = ignored,
    ) -> None:
        self._committer = committer
        self.most_bytes = most_bytes
        self.count = count

    async def take(self, signal: Signal, body: bytes, *, is_json: bool = False) -> Accepted:
        """Store a body, and return when the engine has its rows.

        Raises:
            MalformedError: it is not OTLP.
            TooLargeError: it unpacks to more than is allowed.
            BusyError: too much is waiting.
            StoreError: it cannot be stored now.

        """
        if signal is Signal.METRICS:
            return await self._metrics(body, is_json=is_json)
        form = _FORMS[signal]
        first = await asyncio.to_thread(from_json, signal, body) if is_json else Rewritten(body=body)
        if not first.body:
            return Accepted(rejected=first.rejected, reason=first.reason)
        try:
            await self._commit(form, first.body)
        except BodyError:
            again = await asyncio.to_thread(repaired, signal, first.body)
            await self._commit_or_refuse(form, again.body)
            return Accepted(rejected=first.rejected + again.rejected, reason=first.reason or again.reason)
        return Accepted(rejected=first.rejected, reason=first.reason)

    async def _metrics(self, body: bytes, *, is_json: bool) -> Accepted:
        """Tables are filled one by one: where one fails, the sender comes again, and what is repeated collapses."""
        most = _ROWS_TO_BODY * self.most_bytes
        found = await asyncio.to_thread(rows, body, is_json=is_json, most_bytes=most)
        commits = [self._commit_or_refuse(form, lines) for form, lines in found.by_form.items()]
        failures = [each for each in await asyncio.gather(*commits, return_exceptions=True) if each is not None]
        if failures:
            raise failures[0]
        return Accepted(rejected=found.rejected, reason=found.reason)

    async def _commit(self, form: Form, body: bytes) -> None:
        await asyncio.wrap_future(self._committer.commit(form, body))

    async def _commit_or_refuse(self, form: Form, body: bytes) -> None:
        try:
            await self._commit(form, body)
        except BodyError as error:
            if error.code in UNREADABLE:  # for good: else its sender would come again for ever
                raise MalformedError(f"The engine cannot read the body: {error}") from error
            raise
