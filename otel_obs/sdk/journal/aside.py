"""What the receiver refused for good, set aside in files with its words: bounded, the oldest file goes first."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from otel_obs.sdk.journal import framing

if TYPE_CHECKING:
    from pathlib import Path

    from otel_obs.contract.tiers import Loss
    from otel_obs.sdk.frames import Frame

_PREFIX: Final = "refused-"
_ONE_FILE: Final = 1 << 20
_SHARE: Final = 16  # of the journal's bound, and at most:
_MOST: Final = 16 << 20
_MOST_WORDS: Final = 2_000  # characters of the receiver's


class Aside:
    """The refused records of a service, in one directory for all its processes.

    At most a sixteenth of ``journal_bytes``, the bound of a journal, and 16 MiB.
    """

    def __init__(self, directory: Path, *, journal_bytes: int, instance: str = "") -> None:
        self._directory, self._instance = directory, instance
        self._most = min(_MOST, journal_bytes // _SHARE)
        self._path: Path | None = None

    def put(self, frame: Frame, *, loss: Loss, words: str, instance: str = "") -> None:
        """Set it aside, as said by ``instance``; one larger than the bound is described without its body.

        Raises:
            OSError: it cannot be written.

        """
        if len(frame.body) > self._most // 2:
            frame = frame._replace(body=b"")
        buffers, _ = framing.packed(
            frame, loss=loss.value, words=words[:_MOST_WORDS], instance=instance or self._instance
        )
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._path is None or not self._path.exists() or self._path.stat().st_size > _ONE_FILE:
            self._path = self._directory / f"{_PREFIX}{time.time_ns()}-{os.getpid()}.otlp"
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.writev(file, buffers)
        finally:
            os.close(file)
        self._trim()

    def _trim(self) -> None:
        files = refused_in(self._directory)
        sizes = {path: path.stat().st_size for path in files}
        for path in files[:-1]:
            if sum(sizes.values()) <= self._most:
                return
            with suppress(FileNotFoundError):  # another process did
                path.unlink()
            del sizes[path]


def refused_in(directory: Path) -> list[Path]:
    """The files of refused records, oldest first; none where there is no such directory."""
    return sorted(directory.glob(f"{_PREFIX}*.otlp"))
