"""The outbox: what waits to be delivered, on disk where possible, else in memory; every frame ends counted."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from otel_obs.contract.tiers import Loss, Tier
from otel_obs.sdk.frames import Frame, how_many
from otel_obs.sdk.journal.aside import Aside
from otel_obs.sdk.journal.bodies import Bodies
from otel_obs.sdk.journal.disk import CHEAPER, SHARES, Disk, force
from otel_obs.sdk.journal.line import Line
from otel_obs.sdk.journal.memory import Memory
from otel_obs.sdk.journal.packing import pack
from otel_obs.sdk.journal.segment import Entry, Segment, State
from otel_obs.sdk.journal.settlement import settle
from otel_obs.sdk.journal.standing import Standing, standing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from otel_obs.sdk.journal.adoption import Orphan
    from otel_obs.sdk.journal.packing import Draft
    from otel_obs.sdk.ledger import Ledger

_log: Final = logging.getLogger("otel_obs")


class Outbox:
    """Frames between the encoder and the receiver. Safe for threads, and for signal handlers that interrupt one.

    ``directory`` is this process's own (None: memory only), ``most_bytes`` bounds all its files with the ``already``
    bytes of the dead that are not taken over, ``most_memory`` the bodies in memory. ``fsync`` is ``never``, ``second``
    (by ``sync``, last called at ``synced_at``) or ``each``. What is refused is set ``aside``.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        directory: Path | None,
        most_bytes: int,
        most_memory: int,
        fsync: str = "never",
        segment_bytes: int = 4 << 20,
        already: int = 0,
        aside: Aside | None = None,
        again_after: float = 3.0,
    ) -> None:
        self._ledger = ledger
        self._lock = threading.RLock()
        self._arrived = threading.Condition(self._lock)
        self._packing = threading.Lock()
        self._worker = 0  # the thread that is changing what follows
        self._given: deque[Frame] = deque()
        self._line, self._memory = Line(ledger), Memory(most=most_memory)
        self._is_forced_each = fsync == "each"
        self._is_closed = False
        self.synced_at = time.monotonic()
        self._orphans: list[Orphan] = []
        self._done_with: deque[Orphan] = deque()
        self._untold: deque[tuple[str, tuple[object, ...]]] = deque()
        self._bodies = Bodies()
        self._disk: Disk | None = None
        self._aside = aside
        if directory is not None:
            self._disk = Disk(
                directory, ledger, most_bytes=most_bytes, segment_bytes=segment_bytes, already=already,
                is_forced=fsync != "never", again_after=again_after,
            )  # fmt: skip
            self._aside = aside or Aside(directory / "refused", journal_bytes=most_bytes, instance=directory.name)

    # ---- one thread at a time

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Be the only one to change anything. What a signal handler puts meanwhile is placed at the end."""
        if self._worker == threading.get_ident():
            yield
            return
        with self._lock:
            self._worker = threading.get_ident()
            try:
                yield
                while self._given:
                    self._place(self._given.popleft())
            finally:
                self._worker = 0
        self._afterwards()

    def _afterwards(self) -> None:
        """Do what may call others, who may call us: without the lock."""
        with suppress(IndexError):  # another thread may have taken the last one
            while self._untold:
                message, values = self._untold.popleft()
                _log.warning(message, *values)
        with suppress(IndexError):
            while self._done_with:
                self._done_with.popleft().go_on(self)

    def _tell(self, message: str, *values: object) -> None:
        self._untold.append((message, values))

    # ---- in

    def put(self, frame: Frame) -> None:
        """Keep the frame until it is delivered; never raises. When it returns, its records are confirmed."""
        self._given.append(frame)
        if self._worker == threading.get_ident():
            return  # a signal handler has interrupted this thread in here: it is placed when that goes on
        with self._alone():
            pass
        while self._given:  # one more, between the last look and the end
            with self._alone():
                pass

    def _place(self, frame: Frame) -> None:
        numbered = how_many(frame.numbers)
        why_not = self._journal(frame, numbered)
        if why_not is None:
            return
        self._ledger.confirm(frame.tier, numbered)
        if why_not is Loss.JOURNAL_FULL or not self._hold(frame, numbered, why_not):
            self._ledger.lose(frame.tier, why_not, numbered)

    def _journal(self, frame: Frame, numbered: int) -> Loss | None:
        """Write it to the disk; else why it is not there."""
        disk = self._disk
        if disk is None:
            return Loss.QUEUE_FULL
        if disk.is_resting:
            return disk.fault
        if not self._has_room(disk, frame):
            return Loss.JOURNAL_FULL
        try:
            entry = disk.append(frame, confirmed=self._ledger.confirmed(frame.tier))
        except Exception as error:  # noqa: BLE001 - whatever it is, the frame goes to memory, and the bot goes on
            return self._failed(disk, error if isinstance(error, OSError) else OSError(repr(error)))
        self._ledger.confirm(frame.tier, numbered)
        self._enter(entry)
        self._memory.remember(entry, frame.body)
        if disk.fault is not None:
            self._go_back_to(disk)
        if self._is_forced_each and (failed := force(disk.dirty())) is not None:
            self._failed(disk, failed)
        return None

    def _failed(self, disk: Disk, error: OSError) -> Loss:
        if disk.fail(error):
            self._tell(*disk.explained(error, self._memory.most))
        return disk.fault or Loss.UNWRITABLE

    def _enter(self, entry: Entry) -> None:
        entry.load = self._load
        self._line.enter(entry)
        self._arrived.notify()

    def _hold(self, frame: Frame, numbered: int, reason: Loss) -> bool:
        """Keep it in memory alone, if there is room or cheaper ones make some."""
        memory = self._memory
        for tier in (*CHEAPER[frame.tier], None):
            if not memory.lacks(len(frame.body), share=SHARES[frame.tier]):
                break
            if tier is None:
                return False
            self._drop_from_memory(tier, len(frame.body), SHARES[frame.tier], reason)
        entry = Entry(
            signal=frame.signal, tier=frame.tier, records=frame.records, numbered=numbered, at_ns=frame.at_ns,
            size=len(frame.body), ledger=self._ledger,
        )  # fmt: skip
        entry.numbers = frame.numbers
        memory.hold(entry, frame.body)
        self._enter(entry)
        return True

    def _drop_from_memory(self, tier: Tier, size: int, share: float, reason: Loss) -> None:
        for entry in [one for one in self._line if one.segment is None and one.tier is tier]:
            if not self._memory.lacks(size, share=share):
                break
            self._line.remove(entry)
            self._settle([(entry, {reason: entry.numbered})])

    # ---- room on the disk

    def _has_room(self, disk: Disk, frame: Frame) -> bool:
        """Whether it fits, after what is settled and what is cheaper has made room."""
        if not disk.lacks(frame):
            disk.is_full = disk.is_full and disk.bytes > disk.most * SHARES[Tier.BEST_EFFORT]
            return True
        for segment in [one for one in disk.segments if one.is_open and not one.waiting]:
            disk.remove(segment)
        for tier in CHEAPER[frame.tier]:
            while disk.lacks(frame) and (victim := disk.oldest_of(tier)) is not None:
                self._evict(disk, victim)
        lacks = disk.lacks(frame)
        if lacks and not disk.is_full:
            disk.is_full = True
            self._tell(
                "The journal in %s is full (%d bytes): records are dropped and counted, the cheapest tier first. Is "
                "the receiver there? OTEL_OBS_JOURNAL_MAX_BYTES sets the bound.",
                disk.directory, disk.most,
            )  # fmt: skip
        return not lacks

    def _evict(self, disk: Disk, victim: Segment) -> None:
        lost = list(victim.waiting.values())
        gone = set(map(id, lost))
        self._line.keep_only(lambda entry: id(entry) not in gone)
        disk.close(victim)
        self._settle([(entry, {Loss.JOURNAL_FULL: entry.numbered}) for entry in lost])

    def _go_back_to(self, disk: Disk) -> None:
        if self._move_to_disk(disk) and disk.recover():
            self._tell("The journal in %s can be written again.", disk.directory)

    def _move_to_disk(self, disk: Disk) -> bool:
        """Write down what stood in memory alone while the disk could not be written; False if it still cannot."""
        for entry in [one for one in self._line if one.segment is None]:
            frame = Frame(entry.signal, entry.tier, entry.records, entry.numbers, entry.at_ns, entry.kept or b"")
            if disk.lacks(frame):
                continue
            try:  # its records are confirmed already: ``confirmed`` must not count them again
                written = disk.append(frame, confirmed=max(0, self._ledger.confirmed(entry.tier) - entry.numbered))
            except OSError as error:
                self._failed(disk, error)
                return False
            segment = written.segment
            if segment is not None:
                entry.segment, entry.offset, entry.start = segment, written.offset, written.start
                entry.checksum, entry.numbers = written.checksum, ()
                segment.waiting[entry.offset] = entry
                self._memory.moved(entry)
        return True

    # ---- out

    def take(self, *, most_records: int, most_bytes: int, wait: float) -> list[Entry]:
        """The next batch, all of one signal; empty where nothing came within ``wait`` seconds, or it is closed.

        Turns go to the oldest and to the newest alternately; inside a batch it is the order of time. They are the
        taker's until it says what became of them.
        """
        with self._lock:
            self._arrived.wait_for(lambda: len(self._line) or self._is_closed, wait)
        with self._alone():
            batch = self._line.take(most_records=most_records, most_bytes=most_bytes)
            for entry in batch:
                entry.state = State.TAKEN
                if entry.segment is not None:
                    entry.segment.taken += 1
            return batch

    def done(self, entries: Iterable[Entry]) -> None:
        """Forget entries that the receiver acknowledged; a segment of which all is done is deleted."""
        with self._alone():
            self._settle([(one, {None: one.numbered}) for one in entries if one.state is State.TAKEN])

    def keep(self, entries: Iterable[Entry]) -> None:
        """Put back entries that could not be delivered now, each to its place."""
        with self._alone():
            for entry in entries:
                if entry.state is State.TAKEN:
                    entry.state = State.WAITING
                    if entry.segment is not None:
                        entry.segment.taken -= 1
                    self._line.add(entry)
                    self._arrived.notify()

    def refuse(self, entry: Entry, parts: Sequence[tuple[Frame, Loss, str]], delivered: int) -> None:
        """End an entry that was refused in part: each part is set aside and counted, ``delivered`` records got through.

        A part is a frame of refused records, why they are lost, and the receiver's words.
        """
        with self._alone():
            if entry.state is not State.TAKEN:
                return
            outcomes: dict[Loss | None, int] = {}
            for frame, loss, words in parts:
                outcomes[loss] = outcomes.get(loss, 0) + how_many(frame.numbers)
                self._set_aside(entry, frame, loss, words)
            left = max(0, entry.numbered - sum(outcomes.values()))
            outcomes[None] = min(delivered, left)
            if unsaid := left - outcomes[None]:  # the ledger adds up, whatever the caller forgot
                outcomes[Loss.REFUSED] = outcomes.get(Loss.REFUSED, 0) + unsaid
            self._settle([(entry, outcomes)])

    def _set_aside(self, entry: Entry, frame: Frame, loss: Loss, words: str) -> None:
        if self._aside is None:
            return
        orphan = entry.segment.orphan if entry.segment is not None else None
        try:
            self._aside.put(frame, loss=loss, words=words, instance=orphan.about.instance if orphan else "")
        except OSError as error:
            self._tell("A refused record could not be set aside: %s.", error)

    def _settle(self, outcomes: Sequence[tuple[Entry, Mapping[Loss | None, int]]]) -> None:
        """Count what became of entries, on disk first, and forget them."""
        for error in settle(outcomes, self._disk):
            self._tell("The journal could not note what was delivered, and would send it again: %s.", error)
        for entry, _ in outcomes:
            self._forget(entry)

    def _forget(self, entry: Entry) -> None:
        was = entry.state
        self._uncount(entry)
        segment = entry.segment
        if segment is None:
            return
        if was is State.TAKEN:
            segment.taken -= 1
        segment.waiting.pop(entry.offset, None)
        if not segment.waiting and not segment.is_open:
            (segment.remove if self._disk is None else partial(self._disk.remove, segment))()
        if segment.orphan is not None and segment.orphan.settled():
            self._done_with.append(segment.orphan)

    def _uncount(self, entry: Entry) -> None:
        entry.state = State.SETTLED
        self._line.leave(entry)
        self._memory.forget(entry)

    # ---- bodies that are read back

    def _load(self, entry: Entry) -> bytes | None:
        body = self._bodies.read(entry)
        if body is None:
            with self._alone():
                if entry.state is not State.SETTLED:
                    if entry.state is State.WAITING:
                        self._line.remove(entry)
                    self._tell("A frame of %d records in %s is damaged.", entry.records, entry.where)
                    self._settle([(entry, {Loss.DAMAGED: entry.numbered})])
        return body

    # ---- upkeep

    def adopt(self, orphan: Orphan) -> None:
        """Deliver what a dead process left; then its last statement, and then its directory goes."""
        if self._is_closed:
            orphan.release()
            return
        with self._alone():
            self._orphans = [one for one in self._orphans if one.is_held] + [orphan]
            for segment in orphan.segments:
                if self._disk is not None:
                    self._disk.add(segment)
                for entry in segment.waiting.values():
                    self._enter(entry)
            if not orphan.unsettled:
                self._done_with.append(orphan)

    def leave_room(self, others: int) -> None:
        """Count so many bytes of the dead that are not taken over, in place of what was counted before."""
        with self._alone():
            if self._disk is not None:
                self._disk.leave_room(others)

    def append_for(self, orphan: Orphan, frame: Frame) -> None:
        """Put a frame that speaks for a dead process, in that one's own directory."""
        with self._alone():
            try:
                entry = orphan.append(frame)
            except OSError as error:  # the directory stays as it is, for the next start
                self._tell("The last statement of %s could not be written: %s.", orphan.about.instance, error)
                orphan.release()
                return
            if self._disk is not None and entry.segment is not None:
                self._disk.add(entry.segment)
            self._enter(entry)

    def compress(self) -> None:
        """Compress complete segments of which nothing is on its way, and join their frames. Takes its time."""
        disk = self._disk
        if disk is None or not self._packing.acquire(blocking=False):
            return
        try:
            with self._lock:
                chosen = [(segment, frozenset(segment.waiting)) for segment in disk.to_pack()]
            for segment, waiting in chosen:
                if (draft := pack(segment, waiting)) is not None:
                    with self._alone():
                        self._put_in_place(disk, segment, draft)
        finally:
            self._packing.release()

    def _put_in_place(self, disk: Disk, segment: Segment, draft: Draft) -> None:
        if segment.taken or draft.stands_for != segment.waiting.keys():
            draft.path.unlink(missing_ok=True)
            return
        before = list(segment.waiting.values())
        try:
            disk.replace(segment, draft)
        except OSError as error:
            self._tell("A segment of the journal could not be compressed: %s.", error)
            return
        self._line.keep_only(lambda entry: entry.segment is not segment)
        segment.waiting.clear()
        for entry in before:
            self._uncount(entry)
        for found in draft.frames:
            self._enter(segment.enter(found))
        if segment.orphan is not None:
            segment.orphan.unsettled += len(draft.frames) - len(before)

    def sync(self) -> None:
        """Force to the disk what was written since (policies ``second`` and ``each``), and try a disk that failed."""
        self.synced_at = time.monotonic()
        if (disk := self._disk) is None:
            return
        with self._alone():
            handles = disk.dirty() if disk.is_forced else []
            if disk.fault is not None and self._memory.alone and not disk.is_resting:
                self._go_back_to(disk)
        if (error := force(handles)) is not None:
            with self._alone():
                self._failed(disk, error)

    def close(self) -> None:
        """Put what stands in memory alone on the disk if that can be, close all files, and wake who waits."""
        with self._alone():
            self._is_closed = True
            self._arrived.notify_all()
            if (disk := self._disk) is not None:
                self._move_to_disk(disk)
                for segment in list(disk.segments):
                    disk.close(segment)
            for orphan in self._orphans:
                orphan.release()

    def abandon(self) -> None:
        """Let go of every file without touching one: for a forked child, whose parent's they are.

        Takes no lock, as another thread of the parent may have held it. Nothing else may be called afterwards.
        """
        if self._disk is not None:
            self._disk.let_go()
        for orphan in self._orphans:
            orphan.abandon()

    def standing(self) -> Standing:
        """How it stands."""
        with self._lock:
            return standing(self._disk, self._line)
