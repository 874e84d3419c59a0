"""Frames whose bodies say which records they hold, and outboxes in directories of their own."""

from __future__ import annotations

import re
import resource
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from otel_obs.contract.tiers import Tier
from otel_obs.sdk.frames import Frame, runs
from otel_obs.sdk.journal import Outbox
from otel_obs.sdk.ledger import TIERS, Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from otel_obs.sdk.frames import Signal
    from otel_obs.sdk.journal import Entry

    SmallDisk = Callable[[Path], AbstractContextManager[Callable[[], None]]]

KB = 1024
ALL = {"most_records": 1_000_000, "most_bytes": 1 << 30, "wait": 0}


class Bench:
    """A ledger and an outbox, and frames numbered by the one and put into the other."""

    def __init__(self, directory: Path | None, **options: Any) -> None:
        self.directory = directory
        if directory is not None:
            directory.mkdir(exist_ok=True)
        self.ledger = Ledger()
        told: dict[str, Any] = {"most_bytes": 64 << 20, "most_memory": 8 << 20, "again_after": 0.0} | options
        self.outbox = Outbox(self.ledger, directory=directory, **told)

    def frame(
        self, *, records: int = 1, tier: Tier = Tier.DURABLE, size: int = 100, signal: Signal = "traces"
    ) -> Frame:
        numbers = [self.ledger.number(TIERS.index(tier)) for _ in range(records)]
        body = f"{tier} {numbers[0]}-{numbers[-1]} ".encode()
        return Frame(signal, tier, records, runs(numbers), time.time_ns(), body.ljust(size, b"."))

    def put(self, **what: Any) -> Frame:
        frame = self.frame(**what)
        self.outbox.put(frame)
        return frame

    def take_all(self) -> list[Entry]:
        taken = []
        while batch := self.outbox.take(**ALL):
            taken += batch
        return taken

    def deliver_all(self) -> list[bytes]:
        """Acknowledge everything; the bodies, in the order in which they went out."""
        taken = self.take_all()
        bodies = [entry.body() for entry in taken]
        self.outbox.done(taken)
        return [body for body in bodies if body is not None]

    @staticmethod
    def said(bodies: Iterable[bytes | None]) -> list[bytes]:
        """What the bodies say: frames that waited in a compressed segment come out joined."""
        return [part.rstrip(b".") for body in bodies for part in re.split(rb"(?<=\.)(?=[a-z])", body or b"?") if part]

    def adds_up(self) -> bool:
        """Whether every numbered record is confirmed, and is delivered, lost or waits here."""
        waiting = self.outbox.standing().waiting
        return all(
            one.numbered == one.confirmed and one.waiting == waiting[tier] for tier, one in self.ledger.read().items()
        )


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Make one; ``journal=False`` for one without a directory."""
    made: list[Bench] = []

    def make(*, journal: bool = True, directory: Path | None = None, **options: Any) -> Bench:
        place = (directory or tmp_path / f"journal-{len(made)}") if journal else None
        made.append(Bench(place, **options))
        return made[-1]

    yield make
    for one in made:
        one.outbox.close()


@contextmanager
def _small_disk(directory: Path) -> Iterator[Callable[[], None]]:
    """A file system of 256 kB there, and what makes room on it; where none can be mounted, a limit on files."""
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(directory)]
    if shutil.which("mount") and subprocess.run(mount, capture_output=True, check=False).returncode == 0:
        ballast = directory / "ballast"
        ballast.write_bytes(bytes(100 * KB))
        try:
            yield ballast.unlink
        finally:
            subprocess.run(["umount", "--lazy", str(directory)], check=True)
        return
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150 * KB, limits[1]))
    try:
        yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.fixture
def small_disk() -> SmallDisk:
    """Make a disk of 256 kB at a place, 100 of them taken until what it gives is called."""
    return _small_disk
