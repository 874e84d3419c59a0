"""One signal's lane: what is gathered for its next post, what is being taken apart, and when it may be tried again."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Final

from otel_obs.sdk.exporter.pauses import pause
from otel_obs.sdk.exporter.transport import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otel_obs.sdk.exporter.dissection import Dissection
    from otel_obs.sdk.exporter.transport import Reply
    from otel_obs.sdk.frames import Signal
    from otel_obs.sdk.journal import Entry

DOUBT: Final = 16  # refusals in a row, after which a receiver may be one that refuses everything
_FEWEST_BYTES: Final = 1 << 16
_FIRST_BATCH: Final = 2_000
_SMALLEST_BATCH: Final = 250
_QUICKLY: Final = 1.0  # seconds
_CAUTION: Final = 16
_QUICK_STEPS: Final = 64
_STEP: Final = 0.02  # seconds between two pieces, once there were many: a poisoned backlog must not keep a core busy
_MOST_SUSPECTS: Final = 2  # in batches


class Lane:
    """Times are of the sender's clock, in seconds."""

    def __init__(self, signal: Signal, place: str, *, most_records: int, most_bytes: int) -> None:
        self.signal: Signal = signal
        self.place = place
        self.most_bytes = most_bytes
        self._most_records = most_records
        self._batch = min(_FIRST_BATCH, most_records)
        self._until_larger = self._larger_after = 1  # quick batches
        self.gathered: list[Entry] = []
        self.since = 0.0
        self.suspects: deque[Dissection] = deque()
        self.blocked_until = 0.0
        self.failures = 0
        self.refusals = 0
        self.fix = ""
        self.tries_left: int | None = None  # None: any number
        self.is_batch_next = False  # where it is asked seldom, a step and a batch take turns
        self._step_at = 0.0
        self._steps = 0

    # ---- gathering

    @property
    def records(self) -> int:
        """How many are gathered."""
        return sum(entry.records for entry in self.gathered)

    @property
    def bytes(self) -> int:
        """How many are gathered."""
        return sum(entry.size for entry in self.gathered)

    @property
    def room(self) -> tuple[int, int]:
        """How many records and bytes the next post has room for; one of each at least.

        One entry, where the receiver takes nothing: it costs least, and none is refused for another one's sake.
        """
        if self._is_wary:
            return 1, 1
        return max(1, self._batch - self.records), max(1, self.most_bytes - self.bytes)

    def fits(self, entries: Sequence[Entry]) -> bool:
        """Whether they go into the same post."""
        records, size = self.room
        return sum(entry.records for entry in entries) <= records and sum(entry.size for entry in entries) <= size

    @property
    def is_full(self) -> bool:
        """Whether nothing more goes in."""
        return self._is_wary or self.records >= self._batch or self.bytes >= self.most_bytes

    # ---- whether it may be tried

    @property
    def is_doubted(self) -> bool:
        """Whether the receiver may be one that refuses everything."""
        return self.refusals >= DOUBT

    @property
    def _is_wary(self) -> bool:
        return self.is_doubted or self.failures > 1

    @property
    def is_exhausted(self) -> bool:
        """Whether it is not to be tried any more."""
        return self.tries_left == 0

    def has_room_for_suspects(self, records: int = 0) -> bool:
        """Whether a batch that is refused could be taken apart."""
        held = sum(suspect.entry.records for suspect in self.suspects)
        return not self.suspects or held + records <= _MOST_SUSPECTS * self._most_records

    def is_open(self, now: float) -> bool:
        """Whether a batch may be posted.

        While much is being taken apart, no more is added to it; but where the receiver may refuse everything, what is
        new is tried as well: it may be only what is old that is bad.
        """
        is_free = now >= self.blocked_until and not self.is_exhausted
        return is_free and (self.has_room_for_suspects(1) or self.is_doubted)

    def next_step(self, now: float) -> float:
        """Seconds until a piece of what is taken apart may be posted; endless where nothing is."""
        if not self.suspects or self.is_exhausted or (self.is_doubted and self.is_batch_next):
            return math.inf
        return max(0.0, self._step_at - now, self.blocked_until - now)

    def stepped(self, now: float) -> None:
        """A piece was posted."""
        self.is_batch_next = True
        self._steps = self._steps + 1 if self.suspects else 0
        self._step_at = now + _STEP if self._steps > _QUICK_STEPS else 0.0

    # ---- what it learns

    def learn(
        self, reply: Reply, *, records: int, size: int, seconds: float, now: float, is_hurried: bool, chance: float
    ) -> None:
        """Take the answer to a body of so many records and bytes, which took so many seconds."""
        self.fix = reply.fix
        self._fit_batch(reply, records, seconds)
        if reply.verdict is Verdict.AGAIN:
            self.failures += 1
            self.tries_left = max(0, self.tries_left - 1) if self.tries_left is not None else None
            self._block(now, self.failures, reply.after, is_hurried=is_hurried, chance=chance)
            return
        self.failures = 0
        self.blocked_until = 0.0
        if reply.verdict is Verdict.DELIVERED and reply.rejected < records:
            self.refusals = 0
            return
        self.refusals += 1
        if reply.verdict is Verdict.TOO_LARGE:
            self.most_bytes = max(_FEWEST_BYTES, min(self.most_bytes, size // 2))
        if self.is_doubted:
            self._block(now, self.refusals - DOUBT + 1, None, is_hurried=is_hurried, chance=chance)

    def _fit_batch(self, reply: Reply, records: int, seconds: float) -> None:
        """Find how much the receiver stores well within its time.

        Much takes it hardly longer than little; but what it cannot store before the timeout never gets through, and
        costs the whole timeout each time: so what was too much is tried again only after some that were not.
        """
        is_quick = seconds < _QUICKLY
        if reply.verdict is Verdict.AGAIN and not is_quick:
            self._batch = max(min(_SMALLEST_BATCH, self._batch), self._batch // 2)
            self._until_larger = self._larger_after = _CAUTION
        elif reply.verdict is not Verdict.AGAIN and is_quick and 2 * records > self._batch:
            self._until_larger -= 1
            if not self._until_larger:
                self._batch = min(self._most_records, 2 * self._batch)
                self._until_larger = self._larger_after

    def _block(self, now: float, failures: int, after: float | None, *, is_hurried: bool, chance: float) -> None:
        self.blocked_until = now + pause(failures, after=after, is_hurried=is_hurried, chance=chance)
