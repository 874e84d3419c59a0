"""Adoption: the directories of dead processes, their ledgers made whole, what they left delivered in their name."""

from __future__ import annotations

import logging
import os
import shutil
import time
import zlib
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_obs.contract.tiers import Loss, Tier
from otel_obs.sdk.journal import framing, settling
from otel_obs.sdk.journal.home import DRAFT, LEDGER, LOCK, About, is_held, locked, read_about, slug
from otel_obs.sdk.journal.segment import Segment, contents, file_name, segments_in
from otel_obs.sdk.ledger import TIERS, Balance, Ledger, NoLedgerError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from otel_obs.sdk.frames import Frame
    from otel_obs.sdk.journal.outbox import Outbox
    from otel_obs.sdk.journal.segment import Entry

_log: Final = logging.getLogger("otel_obs")
_MOST: Final = 64  # at once: each keeps a file open, its lock
_STALE: Final = 3600.0  # seconds after which a directory that never got its name was left by a kill
_ATTEMPTS: Final = 5
_BETWEEN: Final = 0.002  # seconds; whoever only looks holds a lock for far less


@dataclass(frozen=True, kw_only=True)
class Departed:
    """A process that is gone: who it was, and its ledger, in which nothing changes any more.

    ``Balance.unconfirmed`` is what died with it. ``has_ended`` says that it ended in order.
    """

    about: About
    balances: Mapping[Tier, Balance]
    has_ended: bool


class Orphan:
    """A dead process's directory that this process has locked. Entries of its segments wait like all others."""

    def __init__(
        self, directory: Path, *, lock: int, ledger: Ledger, has_ended: bool,
        last_statement: Callable[[Departed], Frame | None] | None,
    ) -> None:  # fmt: skip
        self.directory, self.ledger, self.has_ended = directory, ledger, has_ended
        self.about = read_about(directory)
        self.segments: list[Segment] = []
        self.unsettled = 0
        self._lock: int | None = lock
        self._last_statement = last_statement
        self._is_told = False

    def departed(self) -> Departed:
        """Who it was, and what its ledger says now."""
        return Departed(about=self.about, balances=self.ledger.read(), has_ended=self.has_ended)

    def settled(self) -> bool:
        """Count one entry less; whether it was the last."""
        self.unsettled -= 1
        return not self.unsettled

    def go_on(self, outbox: Outbox) -> None:
        """All that waits is settled: say the last statement; once that is delivered as well, the directory goes."""
        if self._is_told:
            self.remove()
            return
        frame = None
        if self._last_statement is not None:
            try:
                frame = self._last_statement(self.departed())
            except Exception:  # noqa: BLE001 - it is made by others, and the sender must go on
                _log.exception("The last statement of %s could not be made; the next start tries again.", self.about)
        if frame is None:
            self.release()
        else:
            self._is_told = True
            outbox.append_for(self, frame)

    def append(self, frame: Frame) -> Entry:
        """Put a frame into a further segment here. Raises OSError."""
        number = 1 + max((number for _, _, number in segments_in(self.directory)), default=0)
        path = self.directory / file_name(frame.tier, number)
        segment = Segment(path, tier=frame.tier, number=number, ledger=self.ledger, orphan=self)
        segment.open()
        try:
            entry = segment.append(frame, confirmed=self.ledger.confirmed(frame.tier))
        except OSError:
            segment.remove()
            raise
        segment.close(is_forced=False)
        self.segments.append(segment)
        self.unsettled += 1
        return entry

    def release(self) -> None:
        """Let go of it, as it is."""
        lock, self._lock = self._lock, None
        if lock is not None:
            with suppress(OSError):
                os.close(lock)

    def remove(self) -> None:
        """Delete the directory, while it is locked."""
        if self._lock is not None:
            shutil.rmtree(self.directory, ignore_errors=True)
        self.release()


def orphans(root: Path, service: str) -> list[Path]:
    """Directories of this service that no living process holds, oldest first; none where there is no such place."""
    return [path for path in homes(root / slug(service)) if _is_left(path)]


def homes(service: Path) -> list[Path]:
    """The directories of a service's processes, oldest first."""
    found: list[tuple[int, Path]] = []
    with suppress(OSError):
        for path in service.iterdir():
            with suppress(OSError):
                if path.name.startswith(DRAFT):
                    _remove_stale(path)
                else:
                    found.append(((path / LOCK).stat().st_mtime_ns, path))
    return [path for _, path in sorted(found)]


def _remove_stale(draft: Path) -> None:
    if time.time() - draft.stat().st_mtime > _STALE and _is_left(draft):
        shutil.rmtree(draft, ignore_errors=True)


def _is_left(directory: Path) -> bool:
    try:
        return not is_held(directory)
    except OSError:
        return False


def size_of(directory: Path) -> int:
    """Bytes of the files in a directory."""
    total = 0
    with suppress(OSError):
        for path in directory.iterdir():
            with suppress(OSError):
                total += path.stat().st_size
    return total


def adopt(
    root: Path,
    service: str,
    *,
    last_statement: Callable[[Departed], Frame | None] | None = None,
    most: int = _MOST,
) -> list[Orphan]:
    """Lock the directories that dead processes of this service left, at most so many, and read them.

    Each is to be handed to ``Outbox.adopt``, which delivers what waits there. ``last_statement`` then makes the frame
    that is the dead process's last word (numbered by nobody; its tier's the durable one); once that is delivered, its
    directory is removed. Without it, or where it gives None, the directory stays for the next start. What cannot be
    read is logged and left alone. Two processes never adopt the same.
    """
    found: list[Orphan] = []
    for directory in orphans(root, service):
        if len(found) >= most:
            break
        try:
            if (orphan := _adopted(directory, last_statement)) is not None:
                found.append(orphan)
        except OSError as error:
            _log.warning("What a dead process left in %s cannot be taken over: %s.", directory, error)
    return found


def _adopted(directory: Path, last_statement: Callable[[Departed], Frame | None] | None) -> Orphan | None:
    for _ in range(_ATTEMPTS):
        if not directory.exists():
            return None
        if (lock := locked(directory)) is not None:
            break
        time.sleep(_BETWEEN)
    else:
        return None
    try:
        ledger, has_ended = _ledger(directory)
        orphan = Orphan(directory, lock=lock, ledger=ledger, has_ended=has_ended, last_statement=last_statement)
        _read(orphan)
    except BaseException:
        os.close(lock)
        raise
    return orphan


def _ledger(directory: Path) -> tuple[Ledger, bool]:
    """The ledger that it left; where there is none, an empty one, which its frames then fill as far as they tell."""
    try:
        ledger = Ledger(directory / LEDGER, is_new=False)
    except (NoLedgerError, FileNotFoundError) as error:
        _log.warning("The ledger of a dead process is lost: %s. Its counts are taken from what it journaled.", error)
        return Ledger(), False
    return ledger, ledger.has_ended


class _Tally:
    """What the files of a dead process say about one tier."""

    def __init__(self) -> None:
        self.last = self.confirmed = self.delivered = self.waiting = 0
        self.lost: Counter[Loss] = Counter()
        self.is_damaged = False


def _read(orphan: Orphan) -> None:
    """Fill the orphan with what waits, and make its ledger whole."""
    tallies = {tier: _Tally() for tier in Tier}
    for path, tier, number in segments_in(orphan.directory):
        segment = Segment(path, tier=tier, number=number, ledger=orphan.ledger, orphan=orphan)
        settled = _settled(segment, tallies[tier])
        for found in _frames(segment):
            _tallied(found, tallies[tier])
            if isinstance(found, framing.Found) and found.offset not in settled:
                entry = segment.enter(found)
                tallies[tier].waiting += entry.numbered
                orphan.unsettled += 1
        segment.size = _bytes((path, segment.settled_path))
        if segment.waiting:
            orphan.segments.append(segment)
        else:
            segment.remove()
    for place, tier in enumerate(TIERS):
        _make_whole(orphan, tier, place, tallies[tier])


def _bytes(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths if path.exists())


def _settled(segment: Segment, tally: _Tally) -> set[int]:
    """The offsets of its frames that are settled."""
    try:
        records = list(settling.read(segment.settled_path.read_bytes()))
    except FileNotFoundError:
        return set()
    for one in records:
        if one.loss is None:
            tally.delivered = max(tally.delivered, one.before + one.numbered)
        else:
            tally.lost[one.loss] = max(tally.lost[one.loss], one.before + one.numbered)
    return {one.offset for one in records}


def _frames(segment: Segment) -> list[framing.Found | framing.Damage]:
    """What is in the segment, its damages told."""
    try:
        content = contents(segment.path)
    except (EOFError, zlib.error) as error:
        _log.warning("A segment of a dead process cannot be unpacked: %s: %s.", segment.path, error)
        return [framing.Damage(offset=0, length=segment.path.stat().st_size, is_last=False)]
    found = list(framing.scan(content))
    for one in found:
        if isinstance(one, framing.Damage):
            what = "A kill in mid-write left" if one.is_last else "Damaged:"
            _log.warning("%s %d bytes at %d in %s; they are skipped.", what, one.length, one.offset, segment.path)
    return found


def _tallied(found: framing.Found | framing.Damage, tally: _Tally) -> None:
    if isinstance(found, framing.Damage):
        tally.is_damaged = tally.is_damaged or not found.is_last or found.header is not None
    header = found.header
    if header is not None:
        tally.last = max(tally.last, *(last for _, last in header.numbers), 0)
    if isinstance(found, framing.Found):
        tally.confirmed = max(tally.confirmed, found.header.confirmed + found.header.numbered)


def _make_whole(orphan: Orphan, tier: Tier, place: int, tally: _Tally) -> None:
    """Count what was done and not counted any more when the process was killed."""
    ledger = orphan.ledger
    balance = ledger.read()[tier]
    confirmed = max(balance.confirmed, tally.confirmed)
    ledger.cells[ledger.at[place]] = max(balance.numbered, confirmed, tally.last)
    ledger.confirm(tier, confirmed - balance.confirmed)
    ledger.deliver(tier, max(0, tally.delivered - balance.delivered))
    for loss, count in tally.lost.items():
        ledger.lose(tier, loss, max(0, count - balance.lost.get(loss, 0)))
    missing = ledger.read()[tier].waiting - tally.waiting
    if missing > 0:  # confirmed and not here: it stood in memory while the disk could not be written, or is damaged
        ledger.lose(tier, Loss.DAMAGED if tally.is_damaged else Loss.UNWRITABLE, missing)
    elif missing < 0:  # delivered, but that could not be noted: it waits, and is counted when it is delivered again
        ledger.deliver(tier, -min(-missing, ledger.read()[tier].delivered))
