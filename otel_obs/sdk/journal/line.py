"""The line of waiting entries: by signal, oldest first, and who is served next."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING, Final

from otel_obs.contract.tiers import Tier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_obs.sdk.frames import Signal
    from otel_obs.sdk.journal.segment import Entry
    from otel_obs.sdk.ledger import Ledger

SIGNALS: Final[tuple[Signal, ...]] = ("traces", "logs")
# Every other turn goes to the oldest, whatever it is. Between, the newest of each signal is served: a bot that is back
# on air is seen as it is now while its backlog goes out.
_TURNS: Final[tuple[Signal | None, ...]] = (None, "traces", None, "logs")


def _place(entry: Entry) -> tuple[int, int]:
    return entry.place


class Line:
    """Entries that wait, and counts that hold those on their way as well. Not safe for threads: the outbox is."""

    def __init__(self, ledger: Ledger) -> None:
        """``ledger`` is this process's own."""
        self._ledger = ledger
        self._of: dict[Signal, list[Entry]] = {signal: [] for signal in SIGNALS}
        self._turn = self._count = 0
        self.records = dict.fromkeys(Tier, 0)
        self.own = dict.fromkeys(Tier, 0)  # of these, those that our ledger numbered
        self.own_records = 0  # these, and our statements
        self.bytes = 0  # of bodies

    def enter(self, entry: Entry) -> None:
        """Let it wait behind those of the same time."""
        self._count += 1
        entry.place = (entry.at_ns, self._count)
        self._count_in(entry, 1)
        self.add(entry)

    def leave(self, entry: Entry) -> None:
        """Count it no more; it does not stand here already."""
        self._count_in(entry, -1)

    def _count_in(self, entry: Entry, sign: int) -> None:
        self.records[entry.tier] += sign * entry.records
        self.bytes += sign * entry.size
        if entry.ledger is self._ledger:
            self.own[entry.tier] += sign * entry.numbered
            self.own_records += sign * entry.records

    def __len__(self) -> int:
        return sum(map(len, self._of.values()))

    def __iter__(self) -> Iterator[Entry]:
        for entries in self._of.values():
            yield from entries

    def add(self, entry: Entry) -> None:
        """Put it in its place."""
        entries = self._of[entry.signal]
        if not entries or entries[-1].place <= entry.place:
            entries.append(entry)
        else:
            insort(entries, entry, key=_place)

    def remove(self, entry: Entry) -> None:
        """Take this one out, wherever it stands."""
        entries = self._of[entry.signal]
        del entries[bisect_left(entries, entry.place, key=_place)]

    def keep_only(self, wanted: Callable[[Entry], bool]) -> None:
        """Take out all others."""
        for entries in self._of.values():
            entries[:] = filter(wanted, entries)

    def oldest(self) -> Entry | None:
        """Who has waited longest."""
        return min((entries[0] for entries in self._of.values() if entries), key=_place, default=None)

    def take(self, *, most_records: int, most_bytes: int) -> list[Entry]:
        """The next batch, of one signal, in the order of time; at least one entry if there is any."""
        oldest = self.oldest()
        if oldest is None:
            return []
        wanted = _TURNS[self._turn]
        self._turn = (self._turn + 1) % len(_TURNS)
        if wanted is None:
            entries = self._of[oldest.signal]
            count = _fitting(iter(entries), most_records=most_records, most_bytes=most_bytes)
            batch = entries[:count]
            del entries[:count]
        else:
            entries = self._of[wanted] or self._of[oldest.signal]
            count = _fitting(reversed(entries), most_records=most_records, most_bytes=most_bytes)
            batch = entries[-count:]
            del entries[-count:]
        return batch


def _fitting(entries: Iterator[Entry], *, most_records: int, most_bytes: int) -> int:
    """How many fit, from the first on; at least one."""
    count = records = size = 0
    for entry in entries:
        records, size = records + entry.records, size + entry.size
        if count and (records > most_records or size > most_bytes):
            break
        count += 1
    return count
