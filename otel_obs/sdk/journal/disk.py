"""The segments on disk: where frames are appended, how many bytes they take, and whether the disk can be written."""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from otel_obs.contract.tiers import Loss, Tier
from otel_obs.sdk.journal.segment import Segment, file_name, segments_in

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from otel_obs.sdk.frames import Frame
    from otel_obs.sdk.journal import settling
    from otel_obs.sdk.journal.packing import Draft
    from otel_obs.sdk.journal.segment import Entry
    from otel_obs.sdk.ledger import Ledger

# How much of a bound each tier may fill: what is cheaper is dropped before it stands in the way of what is dearer.
SHARES: Final = {Tier.DURABLE: 1.0, Tier.STANDARD: 0.95, Tier.BEST_EFFORT: 0.8}
CHEAPER: Final = {
    Tier.DURABLE: (Tier.BEST_EFFORT, Tier.STANDARD),
    Tier.STANDARD: (Tier.BEST_EFFORT,),
    Tier.BEST_EFFORT: (),
}
_SELDOM: Final = 60.0  # seconds between two logs of one fault
_AROUND: Final = 1536  # bytes of a frame's head and header, and room for what becomes of it, about
_FAULTS: Final = {
    Loss.DISK_FULL: "its disk is full. Make room there",
    Loss.UNWRITABLE: "it cannot be written. Make the directory writable",
}
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Disk:
    """One directory of segments, with those of the dead beside it. Not safe for threads: the outbox is."""

    def __init__(
        self, directory: Path, ledger: Ledger, *, most_bytes: int, segment_bytes: int, already: int, is_forced: bool,
        again_after: float,
    ) -> None:  # fmt: skip
        self.directory, self.most = directory, most_bytes
        self.segments: list[Segment] = []
        self.fault: Loss | None = None
        self.is_full = False
        self.bytes = self._others = already
        self._ledger, self._segment_bytes, self.is_forced = ledger, segment_bytes, is_forced
        self._open: dict[Tier, Segment] = {}
        self._again_after, self._again_at = again_after, 0.0
        self._told_at: dict[Loss, float] = {}
        self._is_told = False
        self._number = 0
        with suppress(OSError):
            self._number = max((number for _, _, number in segments_in(directory)), default=0)

    @property
    def is_resting(self) -> bool:
        """Whether it failed so lately that it is not tried."""
        return self.fault is not None and time.monotonic() < self._again_at

    def lacks(self, frame: Frame) -> bool:
        """Whether the bound leaves no room for it."""
        return self.bytes + len(frame.body) + _AROUND > self.most * SHARES[frame.tier]

    def append(self, frame: Frame, *, confirmed: int) -> Entry:
        """Write the frame.

        Raises:
            OSError: it could not be written; nothing of it is left.

        """
        segment = self._open.get(frame.tier)
        if segment is not None and segment.size + len(frame.body) > self._segment_bytes and segment.frames:
            self.close(segment)
            segment = None
        if segment is None:
            segment = self._opened(frame.tier)
        before = segment.size
        try:
            return segment.append(frame, confirmed=confirmed)
        except OSError:
            self.close(segment)  # a new file is the safer one to go on with
            raise
        finally:
            self.bytes += segment.size - before

    def _opened(self, tier: Tier) -> Segment:
        self._number += 1
        path = self.directory / file_name(tier, self._number)
        segment = Segment(path, tier=tier, number=self._number, ledger=self._ledger)
        segment.open()
        self._open[tier] = segment
        self.segments.append(segment)
        return segment

    def leave_room(self, others: int) -> None:
        """Count so many bytes of files that are not ours, in place of what was counted before."""
        self.bytes += others - self._others
        self._others = others

    def add(self, segment: Segment) -> None:
        """Take over a segment of the dead."""
        self.segments.append(segment)
        self.bytes += segment.size

    def close(self, segment: Segment) -> None:
        """Append no more to it; one in which nothing waits is removed."""
        segment.close(is_forced=self.is_forced)
        if self._open.get(segment.tier) is segment:
            del self._open[segment.tier]
        if not segment.waiting:
            self.remove(segment)

    def remove(self, segment: Segment) -> None:
        """Delete it."""
        if self._open.get(segment.tier) is segment:
            del self._open[segment.tier]
        segment.remove()
        self.bytes -= segment.size
        segment.size = 0
        with suppress(ValueError):
            self.segments.remove(segment)

    def settle(self, segment: Segment, settled: Sequence[settling.Settled]) -> None:
        """Write down what became of its frames. Raises OSError as ``Segment.settle``."""
        before = segment.size
        try:
            segment.settle(settled)
        finally:
            self.bytes += segment.size - before

    def fail(self, error: OSError) -> bool:
        """Rest for a while; whether this is to be told: a disk that is now full and now not is told of seldom."""
        now, fault = time.monotonic(), Loss.DISK_FULL if error.errno in _FULL else Loss.UNWRITABLE
        is_news = fault is not self.fault and now >= self._told_at.get(fault, now - _SELDOM) + _SELDOM
        if is_news:
            self._told_at[fault] = now
        self._is_told = is_news or (fault is self.fault and self._is_told)
        self.fault, self._again_at = fault, now + self._again_after
        return is_news

    def explained(self, error: OSError, most_memory: int) -> tuple[str, *tuple[object, ...]]:
        """What is logged of a fault: a message, and its values."""
        return (
            "The journal in %s: %s (%s); until then records wait in memory, at most %d bytes of them.",
            self.directory, _FAULTS[self.fault or Loss.UNWRITABLE], error.strerror or error, most_memory,
        )  # fmt: skip

    def recover(self) -> bool:
        """Note that it can be written; whether that is to be told, as the fault was."""
        was, self._is_told, self.fault = self._is_told, False, None
        return was

    def oldest_of(self, tier: Tier) -> Segment | None:
        """The segment of this tier whose frames have waited longest. One of which some are on their way stays."""
        found = [one for one in self.segments if one.tier is tier and one.waiting and not one.taken]
        return min(found, key=lambda one: next(iter(one.waiting.values())).at_ns, default=None)

    def to_pack(self) -> list[Segment]:
        """Segments that are complete and wait, none of it on its way."""
        return [one for one in self.segments if one.waiting and not (one.is_open or one.is_packed or one.taken)]

    def replace(self, segment: Segment, draft: Draft) -> None:
        """Put the draft in its place. Raises OSError."""
        before = segment.size
        segment.replace(draft.path)
        self.bytes += segment.size - before

    def dirty(self) -> list[int]:
        """File descriptors, to be closed by the caller, of what was written since it was last forced to the disk."""
        handles = []
        for segment in self.segments:
            if segment.is_dirty and segment.is_open and (handle := segment.handle()) is not None:
                segment.is_dirty = False
                handles.append(handle)
        return handles

    def let_go(self) -> None:
        """Close every file and touch none: they are another process's."""
        for segment in self.segments:
            segment.close(is_forced=False)
        self._open.clear()
        self.segments.clear()


def force(handles: list[int]) -> OSError | None:
    """Force the files to the disk, and close them."""
    failed = None
    for handle in handles:
        try:
            os.fdatasync(handle)
        except OSError as error:
            failed = error
        finally:
            os.close(handle)
    return failed
