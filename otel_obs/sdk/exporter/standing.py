"""How the sender stands: for whoever measures it, and for whoever asks why nothing arrives."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What the sender does. ``refused``: the receiver answers, and takes nothing before somebody mends that."""

    IDLE = "idle"
    SENDING = "sending"
    BACKING_OFF = "backing_off"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Counts are since the start. ``requests`` were made, ``failures`` of them came to nothing and were tried again.

    ``in_flight`` records are being posted at this moment. ``last_error`` has no secret in it; ``since_success`` are
    seconds, None before the first.
    """

    state: State = State.IDLE
    requests: int = 0
    failures: int = 0
    consecutive_failures: int = 0
    last_error: str = ""
    since_success: float | None = None
    records: int = 0
    bytes: int = 0
    refused: int = 0
    in_flight: int = 0
    seconds: float = 0.0
