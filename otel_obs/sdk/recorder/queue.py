"""The queue between a bot's threads and the writer: numbered on the way in, bounded, the cheapest dropped first."""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from otel_obs.contract.tiers import Loss, Tier
from otel_obs.sdk.ledger import TIERS
from otel_obs.sdk.monitor import QueueStanding

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_obs.sdk.frames import Signal
    from otel_obs.sdk.ledger import Ledger
    from otel_obs.sdk.otlp.records import LogRecord, SpanRecord

    Make = Callable[[Any], SpanRecord | LogRecord]
    Item = tuple[int, int, int, Make, Any]  # number, lane, size, make, payload: make(payload) is the record

SIGNALS: Final[tuple[Signal, ...]] = ("traces", "logs")
# Spans of a tier go to lane 2 * place, its log records to the next.
LANES: Final = tuple((tier, signal) for tier in TIERS for signal in SIGNALS)
MOST_UNCONFIRMED: Final = 256  # durable records that a kill may cost
_MOST_THREADS: Final = 32  # of these, for the records that so many threads are just writing down themselves
_CROWDED: Final = 0.80  # of the bound: from here on best_effort is dropped
_KILLED: Final = 0.95  # from here on everything but durable is, until there is room again
_RELIEVED: Final = 0.50
_NAP: Final = 0.001  # seconds between two looks of a caller that waits for room
_LAST_DURABLE: Final = LANES.index((Tier.DURABLE, "logs"))


class Queue:
    """``at_once`` writes one item without the queue, in the caller's thread: what a durable record is due.

    Nothing here takes a lock on the way in: a signal handler may record in the midst of another record.
    """

    def __init__(
        self,
        ledger: Ledger,
        at_once: Callable[[Item], None],
        *,
        most: int,
        most_bytes: int,
        block: float = 0.0,
        is_sync: bool = False,
    ) -> None:
        self._ledger = ledger
        self._at_once = at_once
        self._most, self._most_bytes = most, most_bytes
        self._block = block
        self._most_unconfirmed = 0 if is_sync else MOST_UNCONFIRMED - _MOST_THREADS
        self._next = tuple(ledger.next_number[TIERS.index(tier)] for tier, _ in LANES)
        self._at = tuple(ledger.at[TIERS.index(tier)] for tier, _ in LANES)
        self._cells = ledger.cells
        self._items: deque[Item] = deque()
        self._bytes = 0
        self._bell: SimpleQueue[None] = SimpleQueue()  # not an Event, whose lock a signal handler may find taken
        self._is_asleep = False
        self._is_killed = self._is_closed = False
        self._killed = 0
        self._set_brim()

    def _set_brim(self) -> None:
        """From where on a record is looked at before it is taken; below, nothing is asked."""
        share = 0.0 if self._is_closed or self._is_killed else _CROWDED
        self._brim, self._brim_bytes = int(self._most * share), int(self._most_bytes * share)
        if self._is_closed:  # by another thread, in the midst of this
            self._brim = self._brim_bytes = 0

    def put(self, lane: int, size: int, make: Make, payload: Any) -> None:
        """Take a record, or count it as dropped. ``make(payload)`` is called later, in another thread."""
        if (len(self._items) >= self._brim or self._bytes >= self._brim_bytes) and not self._has_room(lane):
            return
        place = self._at[lane]
        number = self._next[lane]()
        if number > self._cells[place]:  # noqa: PLR1730 - another thread may have written the next one; a call would let it in here
            self._cells[place] = number
        if lane <= _LAST_DURABLE and number - self._cells[place + 1] > self._most_unconfirmed:
            self._at_once((number, lane, size, make, payload))
            return
        self._items.append((number, lane, size, make, payload))
        self._bytes += size
        if self._is_asleep:
            self.wake()

    def leave_out(self, tier: Tier) -> None:
        """Count a record that a sampler left out."""
        self._ledger.sample(tier)

    def _has_room(self, lane: int) -> bool:
        tier = LANES[lane][0]
        if self._is_closed:
            self._ledger.leave(tier, Loss.ENDED)
            return False
        if self._block:
            self._wait_for_room()
        fill = self._fill()
        if fill >= _KILLED and not self._is_killed:
            self._is_killed = True
            self._killed += 1
            self._set_brim()
        if tier is Tier.DURABLE:
            return True  # it stands in line no longer than the others: at_once takes what is too many
        if self._is_killed:
            self._ledger.leave(tier, Loss.KILL_SWITCH)
            return False
        if tier is Tier.BEST_EFFORT and fill >= _CROWDED:
            self._ledger.leave(tier, Loss.QUEUE_FULL)
            return False
        return True

    def _fill(self) -> float:
        return max(len(self._items) / self._most, self._bytes / self._most_bytes)

    def _wait_for_room(self) -> None:
        deadline = time.monotonic() + self._block
        while self._fill() >= _CROWDED and time.monotonic() < deadline:
            self.wake()
            time.sleep(_NAP)

    # The writer's side ------------------------------------------------------------------------------------------------

    def take(self, most: int) -> list[Item]:
        """Up to so many items, oldest first."""
        items = self._items
        taken = [items.popleft() for _ in range(min(len(items), most))]
        size = sum(item[2] for item in taken)  # by itself: what others put meanwhile must be counted as well
        self._bytes = self._bytes - size if items else 0
        if self._is_killed and self._fill() <= _RELIEVED:
            self._is_killed = False
            self._set_brim()
        return taken

    def wait(self, seconds: float, *, until_put: bool = False) -> None:
        """Sleep until ``wake``, or until something is put where that is asked for; at most ``seconds``."""
        self._is_asleep = until_put
        if not (until_put and self._items):
            with suppress(Empty):
                self._bell.get(timeout=seconds)
        self._is_asleep = False
        with suppress(Empty):
            while True:
                self._bell.get_nowait()

    def wake(self) -> None:
        """End a ``wait``."""
        if self._bell.empty():
            self._bell.put(None)

    def close(self) -> None:
        """Take nothing more."""
        self._is_closed = True
        self._set_brim()

    def __len__(self) -> int:
        return len(self._items)

    def standing(self) -> QueueStanding:
        """How full it is now; of the writer it knows nothing."""
        return QueueStanding(
            records=len(self._items),
            capacity=self._most,
            bytes=max(0, self._bytes),
            capacity_bytes=self._most_bytes,
            fill=self._fill(),
            kill_switch=self._is_killed,
            kills=self._killed,
        )
