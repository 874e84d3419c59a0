"""What may be lost, in which order."""

from __future__ import annotations

from enum import StrEnum


class Tier(StrEnum):
    """The loss tier of a record: ``best_effort`` goes first, ``durable`` last and only when counted."""

    DURABLE = "durable"
    STANDARD = "standard"
    BEST_EFFORT = "best_effort"
