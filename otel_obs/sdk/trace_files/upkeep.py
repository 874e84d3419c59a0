"""What becomes of documents later: days that are over are packed into one file each, and the oldest are removed."""

from __future__ import annotations

import fcntl
import gzip
import logging
import os
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from otel_obs.sdk.trace_files.layout import one_line
from otel_obs.sdk.trace_files.tree import DAY, PART, publish

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator
    from pathlib import Path

DOCUMENT: Final = ".json"
PACKED: Final = ".jsonl.gz"
_LOCK: Final = ".lock"
_QUIET: Final = 900.0  # seconds since a day's last document: a replay writes to days that are long over
_STALE: Final = 3_600.0  # seconds after which a half-written file is nobody's
_DAY: Final = 86_400.0
_log: Final = logging.getLogger("otel_obs")


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A file of the tree."""

    path: Path
    size: int
    written: float


class Upkeep:
    """Packs and removes what one service has written. ``stop`` ends it between two documents."""

    def __init__(self, *, keep_days: int, max_bytes: int, stop: threading.Event, quiet: float = _QUIET) -> None:
        self._keep_days, self._max_bytes, self._quiet = keep_days, max_bytes, quiet
        self._stop = stop
        self._has_told = False

    def run(self, service: Path) -> int:
        """Do it once; returns the bytes that are left. Another process that does it just now is left to it.

        Raises:
            OSError: the directory cannot be read.

        """
        with _alone(service) as is_mine:
            if is_mine:
                today = datetime.now(UTC).date().isoformat()
                for day in sorted(entry for entry in service.iterdir() if DAY.fullmatch(entry.name)):
                    if day.name < today and not self._stop.is_set():
                        self._pack(day)
                self._remove(service)
            return sum(one.size for one in kept(service))

    def _pack(self, day: Path) -> None:
        _forget_halves(day)
        documents = sorted(path for path in day.iterdir() if path.name.endswith(DOCUMENT))
        newest = max((path.stat().st_mtime for path in documents), default=0.0)
        if time.time() - newest < self._quiet:
            return
        if documents:
            packed = publish(day.parent, day.name, PACKED, lambda handle: self._write(handle, documents))
            os.utime(packed, (newest, newest))
            for path in documents:
                path.unlink(missing_ok=True)
        with suppress(OSError):  # another process may have written into it
            day.rmdir()

    def _write(self, handle: int, documents: list[Path]) -> None:
        with os.fdopen(os.dup(handle), "wb") as file, gzip.GzipFile("", "wb", 6, file) as packed:
            for path in documents:
                packed.write(one_line(path.read_bytes()))
                if self._stop.wait(0.001):
                    raise InterruptedError("the process ends")

    def _remove(self, service: Path) -> None:
        files = sorted(kept(service), key=lambda one: (one.written, one.path.name))
        total = sum(one.size for one in files)
        oldest = time.time() - self._keep_days * _DAY
        for one in files:
            if one.written >= oldest and total <= self._max_bytes:
                return
            if one.written >= oldest and not self._has_told:
                self._has_told = True
                _log.warning(
                    "The trace files in %s are beyond %d bytes: the oldest are removed. Raise trace_files_max_bytes, "
                    "or keep fewer days.", service, self._max_bytes,
                )  # fmt: skip
            one.path.unlink(missing_ok=True)
            total -= one.size
            with suppress(OSError):
                if one.path.parent != service:
                    one.path.parent.rmdir()


def kept(service: Path) -> list[Kept]:
    """Every document, and every day that is packed."""
    places = [entry for entry in service.iterdir() if DAY.fullmatch(entry.name) and entry.is_dir()]
    found = [path for path in service.iterdir() if path.name.endswith(PACKED)]
    for day in places:
        with suppress(FileNotFoundError):
            found += [path for path in day.iterdir() if path.name.endswith(DOCUMENT)]
    files = []
    for path in found:
        with suppress(FileNotFoundError):
            status = path.stat()
            files.append(Kept(path=path, size=status.st_size, written=status.st_mtime))
    return files


def _forget_halves(directory: Path) -> None:
    for path in directory.iterdir():
        with suppress(OSError):
            if path.name.endswith(PART) and time.time() - path.stat().st_mtime > _STALE:
                path.unlink()


@contextmanager
def _alone(service: Path) -> Iterator[bool]:
    """Whether no other process does the same in this directory, until the end."""
    handle = os.open(service / _LOCK, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        _forget_halves(service)
        yield True
    finally:
        os.close(handle)
