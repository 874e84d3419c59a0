"""Adoption: the directories of dead processes, their ledgers made whole, what they left delivered in their name."""

from __future__ import annotations

import logging
import os
import shutil
import time
import zlib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_obs.contract.tiers import Tier
from otel_obs.sdk.journal import framing
from otel_obs.sdk.journal.accounts import Account, made_whole
from otel_obs.sdk.journal.home import DRAFT, LEDGER, LOCK, About, discard, is_held, locked, read_about, slug
from otel_obs.sdk.journal.segment import Segment, contents, file_name, segments_in
from otel_obs.sdk.ledger import TIERS, Balance, Ledger, NoLedgerError
from otel_obs.sdk.otlp.turns import GiveWay

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping
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
        self.is_told = False

    @property
    def is_held(self) -> bool:
        """Whether its directory is still this process's to empty: a file is open for it."""
        return self._lock is not None

    def departed(self) -> Departed:
        """Who it was, and what its ledger says now."""
        return Departed(about=self.about, balances=self.ledger.read(), has_ended=self.has_ended)

    def settled(self) -> bool:
        """Count one entry less; whether it was the last."""
        self.unsettled -= 1
        return not self.unsettled

    def go_on(self, outbox: Outbox) -> None:
        """All that waits is settled: say the last statement; once that is delivered as well, the directory goes."""
        if self.is_told:
            self.remove()
            return
        if self._last_statement is None:
            self.release()
            return
        try:
            frame = self._last_statement(self.departed())
        except Exception:  # noqa: BLE001 - it is made by others, and the sender must go on
            _log.exception("The last statement of %s could not be made; the next start tries again.", self.about)
            self.release()
            return
        if frame is None:
            self.remove()
        else:
            self.is_told = True
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
        if self._lock is not None:
            self.ledger.let_go()
        self.abandon()

    def abandon(self) -> None:
        """Let go of the lock's file alone: for a forked child, whose parent goes on with it."""
        lock, self._lock = self._lock, None
        if lock is not None:
            with suppress(OSError):
                os.close(lock)

    def remove(self) -> None:
        """Delete the directory, while it is locked."""
        if self._lock is not None:
            discard(self.directory)
        self.release()


def orphans(root: Path, service: str) -> list[Path]:
    """Directories of this service that no living process holds, oldest first; none where there is no such place."""
    return homes_left(homes(root / slug(service)))


def homes_left(directories: Iterable[Path]) -> list[Path]:
    """Those of the directories that no living process holds."""
    return [path for path in directories if _is_left(path)]


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
    if time.time() - draft.stat().st_mtime > _STALE and (_is_left(draft) or not (draft / LOCK).exists()):
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
    but: Container[Path] = (),
) -> list[Orphan]:
    """Lock the directories that dead processes of this service left, at most so many, and read them; ``but`` these.

    Each is to be handed to ``Outbox.adopt``, which delivers what waits there. ``last_statement`` then makes the frame
    that is the dead process's last word (numbered by nobody; its tier's the durable one); once that is delivered, its
    directory is removed. Where it gives None there is nothing to say, and the directory goes at once; without it, it
    stays for the next start. What cannot be read is logged and left alone. Two processes never adopt the same.
    """
    wanted = (path for path in orphans(root, service) if path not in but)
    return adopt_these(wanted, last_statement=last_statement, most=most)


def adopt_these(
    directories: Iterable[Path],
    *,
    last_statement: Callable[[Departed], Frame | None] | None = None,
    most: int = _MOST,
) -> list[Orphan]:
    """The same for directories that were found by other means."""
    found: list[Orphan] = []
    for directory in directories:
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


def _read(orphan: Orphan) -> None:
    """Fill the orphan with what waits, and make its ledger whole."""
    accounts = {tier: Account() for tier in Tier}
    for path, tier, number in segments_in(orphan.directory):
        segment = Segment(path, tier=tier, number=number, ledger=orphan.ledger, orphan=orphan)
        settled = segment.settled()
        accounts[tier].settle(settled)
        offsets = {one.offset for one in settled}
        for found in _frames(segment):
            accounts[tier].find(found, is_settled=found.offset in offsets)
            if isinstance(found, framing.Found) and found.offset not in offsets:
                segment.enter(found)
        segment.size = _bytes((path, segment.settled_path))
        orphan.unsettled += len(segment.waiting)
        if segment.waiting:
            orphan.segments.append(segment)
        else:
            segment.remove()
    for place, tier in enumerate(TIERS):
        _make_whole(orphan.ledger, tier, place, accounts[tier])


def _bytes(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths if path.exists())


def _frames(segment: Segment) -> list[framing.Found | framing.Damage]:
    """What is in the segment, its damages told."""
    try:
        content = contents(segment.path)
    except (EOFError, zlib.error) as error:
        _log.warning("A segment of a dead process cannot be unpacked: %s: %s.", segment.path, error)
        return [framing.Damage(offset=0, length=segment.path.stat().st_size, is_torn=False)]
    found = list(framing.scan(content, pause=GiveWay()))
    for one in found:
        if isinstance(one, framing.Damage):
            what = "A kill in mid-write left" if one.is_torn else "Damaged:"
            _log.warning("%s %d bytes at %d in %s; they are skipped.", what, one.length, one.offset, segment.path)
    return found


def _make_whole(ledger: Ledger, tier: Tier, place: int, account: Account) -> None:
    was = ledger.read()[tier]
    whole, _ = made_whole(was, account)
    ledger.cells[ledger.at[place]] = whole.numbered
    ledger.confirm(tier, whole.confirmed - was.confirmed)
    ledger.deliver(tier, whole.delivered - was.delivered)
    for loss, count in whole.lost.items():
        ledger.lose(tier, loss, count - was.lost.get(loss, 0))
