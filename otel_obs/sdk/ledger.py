"""The delivery ledger of one process: every record is numbered, and every number ends in one of few places, counted.

The counts lie in a file that is mapped into memory: writing one costs a few nanoseconds, and what was written survives
the process, however it dies. ``numbered`` is written by the bot's threads, everything else behind them.
"""

from __future__ import annotations

import itertools
import mmap
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from otel_obs.contract.tiers import Loss, Tier
from otel_obs.errors import OtelObsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

TIERS: Final = tuple(Tier)
_LOSSES: Final = tuple(Loss)
_MAGIC: Final = int.from_bytes(b"otelobs1", "little")
_SIZE: Final = 4096
_WORD: Final = 8
_NUMBERED, _CONFIRMED, _DELIVERED, _SAMPLED, _UNTAKEN, _LOST = 0, 1, 2, 3, 4, 4 + len(_LOSSES)
_PER_TIER: Final = 4 + 2 * len(_LOSSES)
_FIRST: Final = 8  # words before the tiers: the magic number, whether it ended in order, room


class NoLedgerError(OtelObsError):
    """A file that should hold a ledger holds none."""


@dataclass(frozen=True, kw_only=True)
class Balance:
    """Where the records of one tier are. All counts are of this process, from its start.

    ``numbered`` were taken; ``confirmed`` of them were journaled (or kept in memory where there is no journal);
    ``delivered`` were acknowledged by the receiver. ``untaken`` were dropped before they had a number, ``lost``
    afterwards, each by reason.
    """

    numbered: int = 0
    confirmed: int = 0
    delivered: int = 0
    sampled: int = 0
    untaken: Mapping[Loss, int] = field(default_factory=dict)
    lost: Mapping[Loss, int] = field(default_factory=dict)

    @property
    def produced(self) -> int:
        """Everything that the bot said."""
        return self.numbered + self.sampled + sum(self.untaken.values())

    @property
    def dropped(self) -> dict[Loss, int]:
        """What was dropped, by reason."""
        reasons = [loss for loss in Loss if self.untaken.get(loss) or self.lost.get(loss)]
        return {loss: self.untaken.get(loss, 0) + self.lost.get(loss, 0) for loss in reasons}

    @property
    def unconfirmed(self) -> int:
        """What is between the bot's thread and the journal: all that a kill at this moment would cost."""
        return max(0, self.numbered - self.confirmed)

    @property
    def waiting(self) -> int:
        """What is journaled, and neither acknowledged nor lost."""
        return self.confirmed - self.delivered - sum(self.lost.values())


class Ledger:
    """The counts of one process. ``path`` None keeps them in memory alone.

    With ``is_new`` False the counts of a process that is gone go on, in its own file; no number is given any more.

    Raises:
        OSError: the file cannot be made or opened, or there is no room for it.
        NoLedgerError: the file, not new, holds no ledger.

    """

    def __init__(self, path: Path | None = None, *, is_new: bool = True) -> None:
        self._map = _mapped(path) if is_new or path is None else _mapped_again(path)
        self._words: memoryview = memoryview(self._map).cast("Q")
        self._words[0] = _MAGIC
        self._lock = threading.RLock()  # re-entrant: a signal handler may record as well
        # By the tier's place in TIERS. For the hot path alone: as ``number`` does it.
        self.next_number: tuple[Callable[[], int], ...] = tuple(itertools.count(1).__next__ for _ in TIERS)
        self.cells: memoryview = self._words
        self.at: tuple[int, ...] = tuple(_FIRST + place * _PER_TIER + _NUMBERED for place in range(len(TIERS)))

    def number(self, tier: int) -> int:
        """The next number of the tier at this place in TIERS."""
        number, place = self.next_number[tier](), self.at[tier]
        if number > self.cells[place]:  # noqa: PLR1730 - another thread may have written the next one; a call would let it in here
            self.cells[place] = number
        return number

    def confirm(self, tier: Tier, records: int) -> None:
        """Count numbered records that are now where a kill does not reach them."""
        self._add(tier, _CONFIRMED, records)

    def deliver(self, tier: Tier, records: int) -> None:
        """Count numbered records that the receiver acknowledged."""
        self._add(tier, _DELIVERED, records)

    def sample(self, tier: Tier, records: int = 1) -> None:
        """Count records that a sampler left out."""
        self._add(tier, _SAMPLED, records)

    def leave(self, tier: Tier, reason: Loss, records: int = 1) -> None:
        """Count records that were dropped before they had a number."""
        self._add(tier, _UNTAKEN + _LOSSES.index(reason), records)

    def lose(self, tier: Tier, reason: Loss, records: int = 1) -> None:
        """Count numbered, confirmed records that are dropped now."""
        self._add(tier, _LOST + _LOSSES.index(reason), records)

    def _add(self, tier: Tier, what: int, records: int) -> None:
        place = _FIRST + TIERS.index(tier) * _PER_TIER + what
        with self._lock:
            self._words[place] += records

    def let_go(self) -> None:
        """Keep the counts in memory alone from now on: a file that is mapped is one that is open."""
        with self._lock:
            mapped, self._map = self._map, mmap.mmap(-1, _SIZE)
            self._map[:] = mapped[:]
            words, self._words = self._words, memoryview(self._map).cast("Q")
            self.cells = self._words
            words.release()
            mapped.close()

    def end(self) -> None:
        """Say that the process ended in order: nothing is between its threads and the journal."""
        self._words[1] = 1

    @property
    def has_ended(self) -> bool:
        """Whether the process ended in order."""
        return bool(self._words[1])

    def confirmed(self, tier: Tier) -> int:
        """How many were confirmed so far."""
        return self._words[_FIRST + TIERS.index(tier) * _PER_TIER + _CONFIRMED]

    def read(self) -> dict[Tier, Balance]:
        """The counts as they stand."""
        with self._lock:
            return _balances(self._words)


def read_ledger(path: Path) -> tuple[dict[Tier, Balance], bool]:
    """The counts of a process that is gone, and whether it ended in order.

    Raises:
        NoLedgerError: the file holds no ledger.
        OSError: it cannot be read.

    """
    content = path.read_bytes()
    if len(content) != _SIZE or int.from_bytes(content[:_WORD], "little") != _MAGIC:
        raise NoLedgerError(f"{path} holds no ledger.", fix="Move it away: nothing else depends on it.")
    words = memoryview(content).cast("Q")
    return _balances(words), bool(words[1])


def _balances(words: memoryview) -> dict[Tier, Balance]:
    found = {}
    for place, tier in enumerate(TIERS):
        first = _FIRST + place * _PER_TIER
        of = words[first : first + _PER_TIER].tolist()
        found[tier] = Balance(
            numbered=of[_NUMBERED],
            confirmed=of[_CONFIRMED],
            delivered=of[_DELIVERED],
            sampled=of[_SAMPLED],
            untaken={loss: count for loss, count in zip(_LOSSES, of[_UNTAKEN:_LOST], strict=True) if count},
            lost={loss: count for loss, count in zip(_LOSSES, of[_LOST:], strict=True) if count},
        )
    return found


def _mapped_again(path: Path) -> mmap.mmap:
    read_ledger(path)
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), _SIZE)


def _mapped(path: Path | None) -> mmap.mmap:
    if path is None:
        return mmap.mmap(-1, _SIZE)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, bytes(_SIZE))  # a page without room on its disk would kill the bot when it is written
        return mmap.mmap(handle, _SIZE)
    finally:
        os.close(handle)
