"""Bodies that are not in memory any more, read back from their segments."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_obs.sdk.journal.segment import Entry, Segment


class Bodies:
    """Reads them, and keeps the last compressed segment, as its frames are asked for one after the other."""

    def __init__(self) -> None:
        self._unpacked: tuple[Segment, bytes] | None = None

    def read(self, entry: Entry) -> bytes | None:
        """The body; None where it cannot be read, or is not what was written."""
        segment = entry.segment
        if segment is None:
            return None
        for _ in range(2):  # it may be compressed, and so renamed, while it is read
            with suppress(OSError, EOFError):
                return segment.read(entry, self._content)
        return None

    def forget(self) -> None:
        """Keep none."""
        self._unpacked = None

    def _content(self, segment: Segment) -> bytes:
        kept = self._unpacked
        if kept is None or kept[0] is not segment:
            kept = self._unpacked = (segment, segment.content())
        return kept[1]
