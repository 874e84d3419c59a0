"""What may be lost, in which order."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Tier(StrEnum):
    """The loss tier of a record: ``best_effort`` goes first, ``durable`` last and only when counted.

    ``place`` is its place in that order, the dearest first.
    """

    place: int

    DURABLE = "durable"
    STANDARD = "standard"
    BEST_EFFORT = "best_effort"


for _place, _tier in enumerate(Tier):
    _tier.place = _place


class Loss(StrEnum):
    """Why a record was dropped. The set is closed: each is a label of a metric and a row of the ledger."""

    QUEUE_FULL = "queue_full"
    KILL_SWITCH = "kill_switch"
    JOURNAL_FULL = "journal_full"
    DISK_FULL = "disk_full"
    UNWRITABLE = "unwritable"
    REFUSED = "refused"
    TOO_LARGE = "too_large"
    DAMAGED = "damaged"
    ENDED = "ended"
    INTERNAL = "internal"


LOSSES: Final[dict[Loss, str]] = {
    Loss.QUEUE_FULL: "the queue in memory was nearly full, and made room for what is dearer",
    Loss.KILL_SWITCH: "the kill switch was on: only durable records were taken",
    Loss.JOURNAL_FULL: "the journal had reached its bound, and nothing cheaper was left to drop",
    Loss.DISK_FULL: "the journal's disk was full, and memory as well",
    Loss.UNWRITABLE: "the journal could not be written, and memory was full",
    Loss.REFUSED: "the receiver refused the record for good; it was set aside in the journal",
    Loss.TOO_LARGE: "the record alone is larger than any receiver takes",
    Loss.DAMAGED: "the journal's file was damaged where it stood",
    Loss.ENDED: "it was said after shutdown()",
    Loss.INTERNAL: "an error of ours, which is logged: please report it",
}
