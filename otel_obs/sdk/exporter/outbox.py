"""What the sender asks of whoever keeps the frames: they are taken, then delivered, kept or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from otel_obs.contract.tiers import Loss, Tier
    from otel_obs.sdk.frames import Frame, Signal


class Entry(Protocol):
    """A frame that waits. ``numbered`` of its ``records`` have a number of the ledger; ``size`` is its body's."""

    @property
    def signal(self) -> Signal: ...
    @property
    def tier(self) -> Tier: ...
    @property
    def records(self) -> int: ...
    @property
    def numbered(self) -> int: ...
    @property
    def at_ns(self) -> int: ...
    @property
    def size(self) -> int: ...

    def body(self) -> bytes | None:
        """The request; None where it cannot be read any more, which is counted then, and the entry forgotten."""


class Outbox(Protocol):
    """Used from several threads. A call that comes late, after its end, is harmless."""

    def take(self, *, most_records: int, most_bytes: int, wait: float) -> Sequence[Entry]:
        """The next entries, all of one signal; nothing after ``wait`` seconds. They are the taker's until it says."""

    def done(self, entries: Iterable[Entry]) -> None:
        """They were acknowledged."""

    def keep(self, entries: Iterable[Entry]) -> None:
        """They were not delivered now: back to their place."""

    def refuse(self, entry: Entry, parts: Sequence[tuple[Frame, Loss, str]], delivered: int) -> None:
        """It is known of each record: ``delivered`` of the numbered got through; the parts are set aside for good.

        A part without numbers whose ``records`` are those of the entry stands for all of it: it could not be read.
        """

    def compress(self) -> None:
        """Make smaller what waits long."""

    def sync(self) -> None:
        """Force to the disk what is due."""
