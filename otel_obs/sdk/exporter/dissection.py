"""A refused frame taken apart by halves, until it is known of each record whether the receiver takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otel_obs.contract.tiers import Loss
from otel_obs.sdk.exporter.split import Request
from otel_obs.sdk.exporter.transport import Verdict
from otel_obs.sdk.frames import Frame, how_many, runs

if TYPE_CHECKING:
    from otel_obs.sdk.exporter.transport import Reply
    from otel_obs.sdk.journal import Entry

_LOSSES: Final = {Verdict.REFUSED: Loss.REFUSED, Verdict.TOO_LARGE: Loss.TOO_LARGE}
UNSAID: Final = "the receiver did not say why"


class Dissection:
    """``body()`` is to be posted next, and ``learn()`` told the answer, while there is something ``left``.

    Posting what was taken before is harmless, because the store counts a record once. A frame that cannot be read is
    one piece. ``refused`` is the answer to the whole of it, where that is known already.
    """

    def __init__(self, entry: Entry, body: bytes, *, refused: Reply | None = None) -> None:
        self.entry = entry
        self.parts: list[tuple[Frame, Loss, str]] = []
        self._body = body
        self._request: Request | None = None  # taken apart no sooner than needed: that takes memory
        self._left = [(0, entry.records)]
        if refused is not None:
            self.learn(refused)

    @property
    def left(self) -> bool:
        """Whether something is not known yet."""
        return bool(self._left)

    @property
    def next_records(self) -> int:
        """How many records the next piece has."""
        first, end = self._left[-1]
        return end - first

    @property
    def delivered(self) -> int:
        """How many numbered records got through."""
        lost = sum(how_many(frame.numbers) or (frame.records == self.entry.records) * self.entry.numbered
                   for frame, _, _ in self.parts)  # fmt: skip
        return max(0, self.entry.numbered - lost)

    def body(self) -> bytes:
        """The next piece."""
        first, end = self._left[-1]
        if self._request is None or end - first == len(self._request):
            return self._body
        return self._request.body(first, end)

    def learn(self, reply: Reply) -> None:
        """Take an answer to the piece that is next; one that says to try again changes nothing."""
        if reply.verdict is Verdict.AGAIN:
            return
        first, end = self._left.pop()
        if reply.verdict is Verdict.DELIVERED and not reply.rejected:
            return
        if self._request is None and (found := _readable(self.entry, self._body)) is not None:
            self._request, first, end = found, 0, len(found)
        is_whole = reply.verdict is Verdict.DELIVERED and reply.rejected >= end - first
        if end - first > 1 and self._request is not None and not is_whole:
            middle = (first + end) // 2
            self._left += [(middle, end), (first, middle)]
            return
        loss = _LOSSES.get(reply.verdict, Loss.REFUSED)
        self.parts.append((self._frame(first, end), loss, reply.told or UNSAID))

    def _frame(self, first: int, end: int) -> Frame:
        entry, numbers = self.entry, runs(self._request.numbers(first, end)) if self._request else ()
        body = self._request.body(first, end) if self._request else self._body
        return Frame(entry.signal, entry.tier, end - first, numbers, entry.at_ns, body)


def _readable(entry: Entry, body: bytes) -> Request | None:
    try:
        return Request(entry.signal, body) or None
    except ValueError:
        return None
