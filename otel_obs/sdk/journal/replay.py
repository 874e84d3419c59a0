"""Replay: what dead processes left, delivered now and by hand instead of by the next start of their bot."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Final

from otel_obs.sdk.exporter.by_hand import ByHand, UntakenError
from otel_obs.sdk.journal.adoption import adopt_these, homes_left
from otel_obs.sdk.journal.aside import Aside
from otel_obs.sdk.journal.home import REFUSED
from otel_obs.sdk.journal.outbox import Outbox
from otel_obs.sdk.ledger import Ledger
from otel_obs.sdk.recorder.statement import last_word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from otel_obs.sdk.journal.adoption import Orphan
    from otel_obs.sdk.journal.segment import Entry

_MOST_RECORDS: Final = 2_000
_MOST_BYTES: Final = 2 << 20


@dataclass(kw_only=True)
class Replayed:
    """What a replay did, in records. ``left`` could not be delivered, and stays; ``damaged`` cannot be read.

    ``refused`` ones were set aside. ``failure`` says why the receiver took no more.
    """

    instances: int = 0
    delivered: int = 0
    refused: int = 0
    left: int = 0
    damaged: int = 0
    failure: str = ""


def replay(
    directories: Iterable[Path],
    way: ByHand,
    *,
    most_aside: int,
    tell: Callable[[int, int], None] = lambda _done, _of: None,
) -> Replayed:
    """Deliver what lies in these directories, as far as no process holds them; oldest first, service by service.

    What is refused is set aside beside them, of which a sixteenth of ``most_aside`` bytes is kept. Once all of a
    directory is settled its last statement follows, and then it goes. ``tell`` is called with the records done and
    those that there were.
    """
    done = Replayed()
    for service, of_service in groupby(sorted(directories, key=_service), key=_service):
        pending = homes_left(of_service)
        aside = Aside(service / REFUSED, journal_bytes=most_aside)
        while not done.failure and (found := adopt_these(pending, last_statement=last_word)):
            pending = [path for path in pending if path not in {orphan.directory for orphan in found}]
            done.instances += len(found)
            _Delivery(found, way, aside, done).run(tell)
    return done


def _service(directory: Path) -> Path:
    return directory.parent


class _Delivery:
    """What some of the dead left, on its way."""

    def __init__(self, orphans: list[Orphan], way: ByHand, aside: Aside, done: Replayed) -> None:
        self._way, self._done = way, done
        self._outbox = Outbox(Ledger(), directory=None, most_bytes=0, most_memory=0, aside=aside)
        for orphan in orphans:
            self._outbox.adopt(orphan)

    def run(self, tell: Callable[[int, int], None]) -> None:
        done, settled = self._done, self._settled
        total = settled + self._left()
        try:
            while batch := self._outbox.take(most_records=_MOST_RECORDS, most_bytes=_MOST_BYTES, wait=0):
                try:
                    self._hand_over(batch)
                except UntakenError as error:
                    self._outbox.keep(batch)
                    done.failure = str(error)
                    break
                tell(self._settled - settled, total - settled)
            done.left += self._left()
        finally:
            self._outbox.close()

    def _left(self) -> int:
        return sum(self._outbox.standing().waiting.values())

    @property
    def _settled(self) -> int:
        return self._done.delivered + self._done.refused + self._done.damaged

    def _hand_over(self, batch: list[Entry]) -> None:
        read = [(entry, entry.body()) for entry in batch]
        self._done.damaged += sum(entry.records for entry, body in read if body is None)
        count = sum(entry.records for entry, body in read if body is not None and not _is_last_word(entry))
        whole = [(entry, body) for entry, body in read if body is not None]
        suspects = self._way.hand_over(whole) if whole else []
        for suspect in suspects:
            self._outbox.refuse(suspect.entry, suspect.parts, suspect.delivered)
        refused = sum(frame.records for one in suspects if not _is_last_word(one.entry) for frame, _, _ in one.parts)
        self._outbox.done(entry for entry, _ in whole)  # those that were refused are settled already
        self._done.refused += refused
        self._done.delivered += count - refused


def _is_last_word(entry: Entry) -> bool:
    """Whether it is none of those that were left, but said of them."""
    return entry.segment is not None and entry.segment.orphan is not None and entry.segment.orphan.is_told
