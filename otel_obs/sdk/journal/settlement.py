"""Settling: what became of entries, noted beside their segments first and counted in their ledgers then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_obs.sdk.journal.settling import Settled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_obs.contract.tiers import Loss
    from otel_obs.sdk.journal.disk import Disk
    from otel_obs.sdk.journal.segment import Entry, Segment
    from otel_obs.sdk.ledger import Ledger

Outcome = tuple["Entry", "Mapping[Loss | None, int]"]  # records delivered (None) or lost, by reason


def settle(outcomes: Sequence[Outcome], disk: Disk | None) -> list[OSError]:
    """Note and count; the errors of what could not be noted, which is counted all the same."""
    for entry, what in outcomes:
        if entry.segment is None:
            _count(entry, what)
    failed = []
    for segment, settled in _by_segment(outcomes).items():
        try:
            if disk is None:
                segment.settle(settled)  # of the dead, taken over by a process without a journal
            else:
                disk.settle(segment, settled)
        except OSError as error:
            failed.append(error)
    for entry, what in outcomes:
        if entry.segment is not None:
            _count(entry, what)
    return failed


def _count(entry: Entry, what: Mapping[Loss | None, int]) -> None:
    for loss, records in what.items():
        if loss is None:
            entry.ledger.deliver(entry.tier, records)
        else:
            entry.ledger.lose(entry.tier, loss, records)


def _by_segment(outcomes: Sequence[Outcome]) -> dict[Segment, list[Settled]]:
    before = _Before()
    found: dict[Segment, list[Settled]] = {}
    for entry, what in outcomes:
        if entry.segment is not None:
            found.setdefault(entry.segment, []).extend(
                Settled(offset=entry.offset, numbered=records, before=before.then(entry, loss, records), loss=loss)
                for loss, records in what.items()
            )
    return found


class _Before:
    """What each ledger will have counted when it comes to each of these."""

    def __init__(self) -> None:
        self._counts: dict[tuple[Ledger, str, Loss | None], int] = {}

    def then(self, entry: Entry, loss: Loss | None, records: int) -> int:
        key = (entry.ledger, entry.tier.value, loss)
        if key not in self._counts:
            balance = entry.ledger.read()[entry.tier]
            self._counts[key] = balance.delivered if loss is None else balance.lost.get(loss, 0)
        before = self._counts[key]
        self._counts[key] += records
        return before
