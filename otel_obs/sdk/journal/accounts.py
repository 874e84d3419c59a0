"""What a directory's files say about each tier, and the ledger made whole with it: pure arithmetic."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from otel_obs.contract.tiers import Loss
from otel_obs.sdk.journal import framing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_obs.sdk.journal.settling import Settled
    from otel_obs.sdk.ledger import Balance


class Account:
    """One tier, as its segments and what stands beside them tell of it. All but ``waiting`` are lower bounds."""

    def __init__(self) -> None:
        self.last = self.confirmed = self.delivered = self.waiting = 0
        self.lost: Counter[Loss] = Counter()
        self.is_damaged = False

    def settle(self, settled: Iterable[Settled]) -> None:
        """Take in what became of frames."""
        for one in settled:
            if one.loss is None:
                self.delivered = max(self.delivered, one.before + one.numbered)
            else:
                self.lost[one.loss] = max(self.lost[one.loss], one.before + one.numbered)

    def find(self, found: framing.Found | framing.Damage, *, is_settled: bool) -> None:
        """Take in a stretch of a segment."""
        header = found.header
        if header is not None and header.numbers:
            self.last = max(self.last, header.numbers[-1][1])
        if isinstance(found, framing.Damage):
            self.is_damaged = self.is_damaged or not found.is_torn
            return
        self.confirmed = max(self.confirmed, found.header.confirmed + found.header.numbered)
        if not is_settled:
            self.waiting += found.header.numbered


def made_whole(balance: Balance, account: Account) -> tuple[Balance, int]:
    """The balance with what was done, and not counted any more, when the process was killed.

    The second is how many records are confirmed, and neither settled nor here: they stood in memory while the disk
    could not be written, or are damaged; the balance counts them as lost. Where it is negative, so many were delivered
    without that being noted: they wait here once more, and are counted when they are delivered again.
    """
    confirmed = max(balance.confirmed, account.confirmed)
    lost = {
        loss: count
        for loss in Loss
        if (count := max(balance.lost.get(loss, 0), account.lost.get(loss, 0)))
    }  # fmt: skip
    whole = replace(
        balance,
        numbered=max(balance.numbered, confirmed, account.last),
        confirmed=confirmed,
        delivered=max(balance.delivered, account.delivered),
        lost=lost,
    )
    missing = whole.waiting - account.waiting
    if missing > 0:
        reason = Loss.DAMAGED if account.is_damaged else Loss.UNWRITABLE
        whole = replace(whole, lost={**lost, reason: lost.get(reason, 0) + missing})
    elif missing < 0:
        whole = replace(whole, delivered=max(0, whole.delivered + missing))
    return whole, missing
