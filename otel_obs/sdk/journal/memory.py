"""Bodies in memory, within a bound: of frames that stand nowhere else, and of recent ones, so that no disk is read."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from otel_obs.sdk.journal.segment import Entry

_AROUND: Final = 512  # bytes of an entry itself, about


class Memory:
    """At most ``most`` bytes. Not safe for threads: the outbox is."""

    def __init__(self, *, most: int) -> None:
        self.most = most
        self.alone = 0  # bytes of those that stand here only
        self.recent = 0
        self._recent: deque[Entry] = deque()

    def lacks(self, size: int, *, share: float = 1.0) -> bool:
        """Whether there is no room for a further body of this size that would stand here only."""
        return self.alone + size + _AROUND > self.most * share

    def hold(self, entry: Entry, body: bytes) -> None:
        """Keep a body that stands nowhere else; recent ones make room."""
        entry.kept = body
        self.alone += entry.size + _AROUND
        self._make_room(0)

    def remember(self, entry: Entry, body: bytes) -> None:
        """Keep a body that stands on disk as well, if there is room; older ones go."""
        if self.alone + entry.size > self.most:
            return
        self._make_room(entry.size)
        entry.kept = body
        self.recent += entry.size
        self._recent.append(entry)

    def forget(self, entry: Entry) -> None:
        """Let go of its body."""
        if entry.kept is None:
            return
        entry.kept = None
        if entry.segment is None:
            self.alone -= entry.size + _AROUND
        else:
            self.recent -= entry.size
            while self._recent and self._recent[0].kept is None:
                self._recent.popleft()

    def moved(self, entry: Entry) -> None:
        """Note that a body that stood here only stands on disk from now on."""
        self.alone -= entry.size + _AROUND
        self.recent += entry.size
        self._recent.append(entry)

    def _make_room(self, size: int) -> None:
        while self._recent and self.alone + self.recent + size > self.most:
            entry = self._recent.popleft()
            if entry.kept is not None:
                entry.kept = None
                self.recent -= entry.size
