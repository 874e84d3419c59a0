"""Bodies handed over while somebody waits for it: tried a few times, and taken apart where they are refused."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Final

from otel_obs.errors import UnansweredError
from otel_obs.sdk.exporter.dissection import UNSAID, Dissection
from otel_obs.sdk.exporter.lane import DOUBT
from otel_obs.sdk.exporter.pauses import LONGEST_ASKED, pause
from otel_obs.sdk.exporter.quiet import unobserved
from otel_obs.sdk.exporter.transport import Reply, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_obs.sdk.exporter.transport import Transport
    from otel_obs.sdk.frames import Signal
    from otel_obs.sdk.journal import Entry

TRIES: Final = 5
_LONGEST_REQUEST: Final = 3_600.0  # seconds; OpenTelemetry's variables say less
_THERE: Final = "Is the store or collector running there?"
_OTLP: Final = "Is it an OTLP receiver, and of this signal?"


class UntakenError(UnansweredError):
    """The receiver takes nothing now, or nothing at all."""


class ByHand:
    """Posts, and waits. ``tries`` are for one body; ``patience`` are the seconds that it waits for the next at most."""

    def __init__(
        self,
        transport: Transport,
        *,
        tries: int = TRIES,
        patience: float = LONGEST_ASKED,
        sleep: Callable[[float], object] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._transport = transport
        self._tries, self._patience = tries, patience
        self._sleep, self._chance = sleep, chance
        self._refusals = 0  # in a row

    def place(self, signal: Signal) -> str:
        """Where the signal goes, as others may read it."""
        return self._transport.place(signal)

    @property
    def most_bytes(self) -> int:
        """The largest body that receivers usually take."""
        return self._transport.most_bytes

    def send(self, signal: Signal, body: bytes) -> Reply:
        """The receiver's answer, or the last of several that said to try again."""
        for failures in range(1, self._tries + 1):
            with unobserved():
                reply = self._transport.send(signal, body, timeout=_LONGEST_REQUEST)
            if reply.verdict is not Verdict.AGAIN or reply.fix or failures == self._tries:
                break
            seconds = pause(failures, after=reply.after, is_hurried=False, chance=self._chance())
            if seconds > self._patience:
                break
            self._sleep(seconds)
        return reply

    def hand_over(self, entries: Sequence[tuple[Entry, bytes]]) -> list[Dissection]:
        """Post entries of one signal as one body; where it is refused, each by itself, and by halves.

        Returns:
            Those of which something was refused, and is so again when it is sent alone. All else was taken.

        Raises:
            UntakenError: nobody takes it now, or everything is refused: then nothing is known of any record.

        """
        signal = entries[0][0].signal
        reply = self._asked(signal, b"".join(body for _, body in entries), sum(entry.records for entry, _ in entries))
        if reply.verdict is Verdict.DELIVERED and not reply.rejected:
            return []
        refused = reply if len(entries) == 1 else None
        found = [Dissection(entry, body, refused=refused) for entry, body in entries]
        for one in found:
            while one.left:
                one.learn(self._asked(signal, one.body(), one.next_records))
        return [one for one in found if one.parts]

    def _asked(self, signal: Signal, body: bytes, records: int) -> Reply:
        reply = self.send(signal, body)
        if reply.verdict is Verdict.AGAIN:
            raise UntakenError(
                f"{self.place(signal)} does not take what is sent: {reply.told}.", fix=reply.fix or _THERE
            )
        is_taken = reply.verdict is Verdict.DELIVERED and reply.rejected < records
        self._refusals = 0 if is_taken else self._refusals + 1
        if self._refusals >= DOUBT:
            raise UntakenError(f"{self.place(signal)} refuses all that it is sent: {reply.told or UNSAID}.", fix=_OTLP)
        return reply

    def close(self) -> None:
        """Let go of the connections."""
        self._transport.close()
