"""Segments: the append-only files of one tier, the entries that stand in them, and what became of those."""

from __future__ import annotations

import errno
import gzip
import os
import re
import zlib
from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING, Final

from otel_obs.contract.tiers import Tier
from otel_obs.sdk.frames import how_many
from otel_obs.sdk.journal import framing, settling
from otel_obs.sdk.journal.packing import DRAFT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from otel_obs.sdk.frames import Frame, Ranges, Signal
    from otel_obs.sdk.journal.adoption import Orphan
    from otel_obs.sdk.ledger import Ledger

SUFFIX: Final = ".otlp"
_PACKED: Final = ".otlp.gz"
_SETTLED: Final = ".ack"
_NAME: Final = re.compile(rf"({'|'.join(Tier)})-(\d+)\.otlp(\.gz)?")
_APPEND: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
_WRITE: Final = os.O_WRONLY | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
_RESERVE: Final = 1024  # bytes at once
_GONE: Final = "the file was removed while it was written"


class State(Enum):
    """Where an entry is."""

    WAITING = 1
    TAKEN = 2
    SETTLED = 3


class Entry:
    """A frame that waits. ``size`` is that of its body, in bytes; ``at_ns`` counts from the epoch.

    The first six attributes and ``body`` are for everybody, the others for the outbox alone.
    """

    __slots__ = (
        "at_ns", "checksum", "kept", "ledger", "load", "numbered", "numbers", "offset", "place", "records", "segment",
        "signal", "size", "start", "state", "tier",
    )  # fmt: skip

    def __init__(
        self, *, signal: Signal, tier: Tier, records: int, numbered: int, at_ns: int, size: int, ledger: Ledger
    ) -> None:
        self.signal: Signal = signal
        self.tier, self.records, self.numbered, self.at_ns, self.size = tier, records, numbered, at_ns, size
        self.ledger = ledger
        self.state = State.WAITING
        self.place = (at_ns, 0)  # in the order of delivery
        self.kept: bytes | None = None  # its body, as long as there is room in memory
        self.numbers: Ranges = ()  # of one that stands in memory alone
        self.segment: Segment | None = None  # of one that stands on disk: there it begins at ``offset``
        self.offset = self.start = self.checksum = 0
        self.load: Callable[[Entry], bytes | None] | None = None

    @property
    def where(self) -> str:
        """Its file, for people."""
        return str(self.segment.path) if self.segment is not None else "memory"

    def body(self) -> bytes | None:
        """A whole OTLP request; None where it cannot be read any more, which is then counted already."""
        kept = self.kept
        if kept is not None:
            return kept
        return self.load(self) if self.load is not None else None


class Segment:
    """One file. Whoever calls sees to it that no two threads do so at once, except for ``content`` and ``read``."""

    def __init__(self, path: Path, *, tier: Tier, number: int, ledger: Ledger, orphan: Orphan | None = None) -> None:
        self.path = path
        self.tier, self.number, self.ledger, self.orphan = tier, number, ledger, orphan
        self.waiting: dict[int, Entry] = {}  # by offset
        self.taken = 0
        self.size = 0  # of the file as it lies there, with what stands beside it
        self.frames = 0
        self.is_dirty = False
        self._file: int | None = None
        self._settled_at = self._reserved = 0  # bytes of the file beside it: written, and there

    @property
    def is_packed(self) -> bool:
        """Whether it is compressed."""
        return self.path.suffix == ".gz"

    @property
    def is_open(self) -> bool:
        """Whether frames are still appended."""
        return self._file is not None

    @property
    def settled_path(self) -> Path:
        """The file that says what became of its frames."""
        return _beside(self.path)

    def open(self) -> None:
        """Make the file.

        Raises:
            OSError: it is there already, or cannot be made.

        """
        self._file = os.open(self.path, _APPEND | os.O_EXCL, 0o600)

    def append(self, frame: Frame, *, confirmed: int) -> Entry:
        """Write a frame in one call; it is there as a whole or not at all.

        Raises:
            OSError: it cannot be written, or only a part of it could.

        """
        assert self._file is not None  # noqa: S101 - for the type alone: the outbox appends to what it opened
        file = os.fstat(self._file)
        if not file.st_nlink:
            raise FileNotFoundError(errno.ENOENT, _GONE, str(self.path))
        self._reserve()
        buffers, checksum = framing.packed(frame, confirmed=confirmed)
        whole = sum(map(len, buffers))
        written = 0
        try:
            written = os.writev(self._file, buffers)
        finally:
            if written != whole:
                with suppress(OSError):
                    os.ftruncate(self._file, file.st_size)
        if written != whole:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        self.size += whole
        self.frames += 1
        self.is_dirty = True
        entry = Entry(
            signal=frame.signal, tier=frame.tier, records=frame.records, numbered=how_many(frame.numbers),
            at_ns=frame.at_ns, size=len(frame.body), ledger=self.ledger,
        )  # fmt: skip
        self._enter(entry, offset=file.st_size, start=file.st_size + whole - len(frame.body), checksum=checksum)
        return entry

    def enter(self, found: framing.Found) -> Entry:
        """An entry for a frame that was found here."""
        header = found.header
        entry = Entry(
            signal=header.signal, tier=header.tier, records=header.records, numbered=header.numbered,
            at_ns=header.at_ns, size=found.length, ledger=self.ledger,
        )  # fmt: skip
        self._enter(entry, offset=found.offset, start=found.start, checksum=found.checksum)
        return entry

    def _enter(self, entry: Entry, *, offset: int, start: int, checksum: int) -> None:
        entry.segment, entry.offset, entry.start, entry.checksum = self, offset, start, checksum
        self.waiting[offset] = entry

    def settle(self, settled: Iterable[settling.Settled]) -> None:
        """Write down what became of frames.

        Raises:
            OSError: it cannot be written. After a kill these frames are then sent once more, which does no harm.

        """
        content = settling.packed(settled)
        file = os.open(self.settled_path, _WRITE, 0o600)
        try:
            if os.pwrite(file, content, self._settled_at) != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.settled_path))
        finally:
            os.close(file)
        self._settled_at += len(content)
        self._grow(self._settled_at)

    def _reserve(self) -> None:
        """Make room for what will become of one frame more, so that a disk that is full then cannot hinder that.

        Else frames that were delivered meanwhile would be counted twice after a kill.
        """
        if (self.frames + 2) * settling.SIZE <= self._reserved:
            return
        file = os.open(self.settled_path, _WRITE, 0o600)
        try:
            if os.pwrite(file, bytes(_RESERVE), self._reserved) != _RESERVE:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.settled_path))
        finally:
            os.close(file)
        self._grow(self._reserved + _RESERVE)

    def _grow(self, reserved: int) -> None:
        self.size += max(0, reserved - self._reserved)
        self._reserved = max(self._reserved, reserved)

    def settled(self) -> list[settling.Settled]:
        """What became of its frames so far, oldest first. Raises OSError."""
        content = settled_beside(self.path)
        self._settled_at, self._reserved = settling.end(content), len(content)
        return list(settling.read(content))

    def read(self, entry: Entry, content: Callable[[Segment], bytes]) -> bytes | None:
        """The body of an entry; None where its bytes are not what was written. ``content`` reads a packed segment.

        Raises:
            OSError: the file cannot be read.

        """
        start, end = entry.start, entry.start + entry.size
        if self.is_packed:
            body = content(self)[start:end]
        else:
            with self.path.open("rb") as file:
                body = os.pread(file.fileno(), entry.size, start)
        return body if zlib.crc32(body) == entry.checksum and len(body) == entry.size else None

    def content(self) -> bytes:
        """All of it, unpacked. Raises OSError or EOFError where it cannot be read."""
        try:
            return contents(self.path)
        except zlib.error as error:
            raise OSError(errno.EIO, str(error), str(self.path)) from error

    def replace(self, draft: Path) -> None:
        """Put a compressed file in the place of this one, in which the frames that wait stand at other offsets.

        In this order a kill between two steps leaves either what was, or what comes; at worst frames are sent twice.

        Raises:
            OSError: it cannot be renamed; all is as it was.

        """
        squeezed = draft.stat().st_size
        before, after = self.path, self.path.with_suffix(_PACKED)
        draft.rename(after)
        with suppress(OSError):
            self.settled_path.unlink(missing_ok=True)
            before.unlink(missing_ok=True)
        self.path, self.size, self.frames = after, squeezed, 0
        self._settled_at = self._reserved = 0

    def handle(self) -> int | None:
        """A file descriptor of its own for who forces it to the disk; to be closed by them."""
        return None if self._file is None else os.dup(self._file)

    def close(self, *, is_forced: bool) -> None:
        """Append no more."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                if is_forced and self.is_dirty:
                    os.fdatasync(file)
                    self.is_dirty = False
            with suppress(OSError):
                os.close(file)

    def remove(self) -> None:
        """Delete it. What cannot be deleted is found again, settled, by the next start."""
        self.close(is_forced=False)
        stem = self.path.name.partition(".")[0]
        for suffix in (SUFFIX, _PACKED, _SETTLED, DRAFT):
            with suppress(OSError):
                self.path.with_name(stem + suffix).unlink(missing_ok=True)


def contents(path: Path) -> bytes:
    """A segment's bytes, unpacked where it is compressed. Raises OSError, EOFError or zlib.error."""
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def _beside(path: Path) -> Path:
    return path.with_name(path.name.partition(".")[0] + _SETTLED)


def settled_beside(path: Path) -> bytes:
    """What stands beside a segment's file about its frames; nothing where there is no such file. Raises OSError."""
    try:
        return _beside(path).read_bytes()
    except FileNotFoundError:
        return b""


def named(path: Path) -> tuple[Tier, int] | None:
    """The tier and number of a segment's file; None for any other file."""
    found = _NAME.fullmatch(path.name)
    return (Tier(found[1]), int(found[2])) if found else None


def file_name(tier: Tier, number: int) -> str:
    """What the segment's file is called."""
    return f"{tier.value}-{number:08d}{SUFFIX}"


def segments_in(directory: Path) -> list[tuple[Path, Tier, int]]:
    """The segments that lie there, oldest first. One that was being compressed counts as it was before.

    Raises:
        OSError: the directory cannot be read.

    """
    found: dict[tuple[Tier, int], Path] = {}
    for path in directory.iterdir():
        which = named(path)
        if which is not None and (which not in found or path.suffix != ".gz"):
            found[which] = path
    return [(path, tier, number) for (tier, number), path in sorted(found.items(), key=lambda one: one[0][1])]
