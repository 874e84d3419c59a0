"""Replay: what dead processes left, delivered now and by hand instead of by the next start of their bot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_obs.sdk.journal.adoption import adopt_these, homes_left
from otel_obs.sdk.journal.outbox import Outbox
from otel_obs.sdk.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from otel_obs.sdk.frames import Frame, Signal
    from otel_obs.sdk.journal.adoption import Departed, Orphan

    Deliver = Callable[[Signal, bytes], bool]  # whether the receiver has it; False ends the replay

_MOST_RECORDS: Final = 2_000
_MOST_BYTES: Final = 2 << 20


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What a replay did, in records. ``left`` could not be delivered, and stays; ``damaged`` cannot be read."""

    instances: int
    delivered: int
    left: int
    damaged: int


def replay(
    directories: Iterable[Path],
    deliver: Deliver,
    *,
    tell: Callable[[int, int], None] = lambda _done, _of: None,
    last_statement: Callable[[Departed], Frame | None] | None = None,
) -> Replayed:
    """Deliver what lies in these directories, as far as no process holds them; oldest first.

    ``tell`` is called with the records done and the records that there were. Without ``last_statement`` a directory
    stays when all of it is delivered: the next start of its bot says the dead process's last word, and removes it.
    """
    instances = delivered = left = damaged = 0
    pending = homes_left(directories)
    while found := adopt_these(pending, last_statement=last_statement):
        pending = [path for path in pending if path not in {orphan.directory for orphan in found}]
        one = _deliver(found, deliver, tell)
        instances, delivered = instances + len(found), delivered + one.delivered
        left, damaged = left + one.left, damaged + one.damaged
        if one.left:
            break
    return Replayed(instances=instances, delivered=delivered, left=left, damaged=damaged)


def _deliver(orphans: list[Orphan], deliver: Deliver, tell: Callable[[int, int], None]) -> Replayed:
    outbox = Outbox(Ledger(), directory=None, most_bytes=0, most_memory=0)
    for orphan in orphans:
        outbox.adopt(orphan)
    total, done, damaged = sum(outbox.standing().waiting.values()), 0, 0
    try:
        while batch := outbox.take(most_records=_MOST_RECORDS, most_bytes=_MOST_BYTES, wait=0):
            bodies = [(entry, entry.body()) for entry in batch]
            damaged += sum(entry.records for entry, body in bodies if body is None)
            whole = [(entry, body) for entry, body in bodies if body is not None]
            if whole and not deliver(batch[0].signal, b"".join(body for _, body in whole)):
                outbox.keep(batch)
                break
            outbox.done(batch)
            done += sum(entry.records for entry, _ in whole)
            tell(done, total)
        left = sum(outbox.standing().waiting.values())
    finally:
        outbox.close()
    return Replayed(instances=len(orphans), delivered=done, left=left, damaged=damaged)
