"""The thread that empties the outbox: it gathers, posts, waits while nobody answers, and sorts out what is refused.

What the receiver refuses is tried entry by entry, then by halves, between the ordinary batches, so that bad records
hold up no good ones. A receiver that refuses one after the other is asked more and more seldom, like one that is away.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, get_args

from otel_obs.sdk.exporter.dissection import Dissection
from otel_obs.sdk.exporter.lane import Lane
from otel_obs.sdk.exporter.news import News
from otel_obs.sdk.exporter.quiet import unobserved
from otel_obs.sdk.exporter.standing import Standing, State
from otel_obs.sdk.exporter.transport import Reply, Verdict
from otel_obs.sdk.frames import Signal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_obs.sdk.exporter.transport import Transport
    from otel_obs.sdk.journal import Entry, Outbox

MOST_RECORDS: Final = 20_000
_IDLE, _GATHERING, _BUSY = 0.1, 0.05, 0.01  # seconds for which nobody may keep us, who must hear of a flush
_LONGEST_LOOK: Final = 1.0
_COMPRESS_EVERY: Final = 10.0
_SYNC_EVERY: Final = 1.0
_LONGEST_TIMEOUT: Final = 3_600.0
_log: Final = logging.getLogger("otel_obs")


class Sender:
    """Starts its thread at once: from Python 3.12 on none can be started when the interpreter ends.

    ``send_interval`` are the seconds for which records are gathered before a batch that is not full is posted. A batch
    has 2,000 records at first, and up to ``most_records`` where the receiver is quick. ``waiting`` says how many
    records wait, for the log; ``observed`` is told the seconds and verdict of each request.

    A forked child has no such thread: it makes a Transport, an Outbox and a Sender of its own, and leaves its
    parent's alone.
    """

    def __init__(
        self,
        outbox: Outbox,
        transport: Transport,
        *,
        send_interval: float,
        most_records: int = MOST_RECORDS,
        waiting: Callable[[], int] = lambda: 0,
        observed: Callable[[float, Verdict], object] = lambda _seconds, _verdict: None,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._outbox, self._transport, self._interval = outbox, transport, send_interval
        self._waiting, self._observed, self._clock, self._chance = waiting, observed, clock, chance
        self._lanes = {
            signal: Lane(signal, transport.place(signal), most_records=most_records, most_bytes=transport.most_bytes)
            for signal in get_args(Signal)
        }
        self._news = News()
        # Re-entrant, because a signal handler may flush as well.
        self._changed = threading.Condition(threading.RLock())
        self._asked = self._heard = self._emptied = 0
        self._hurry_until = 0.0
        self._until: float | None = None  # set once shutdown() is called
        self._attempts: int | None = None
        self._is_over = self._has_ended = False
        self._look = _IDLE
        self._compress_at = self._sync_at = 0.0
        self._requests = self._failures = self._records = self._bytes = self._refused = self._in_flight = 0
        self._seconds, self._last_error, self._last_success = 0.0, "", None
        self._aside: list[Entry] = []
        self._thread = threading.Thread(target=self._run, name="otel_obs sender", daemon=True)
        self._thread.start()

    _last_success: float | None

    # ---- for the bot's threads

    def flush(self, within: float) -> bool:
        """Post at once, without waiting for a pause to end; whether all that waits was answered for in ``within`` s."""
        with self._changed:
            asked = self._hurry(within)
            self._changed.wait_for(lambda: self._emptied >= asked or self._has_ended, timeout=max(0.0, within))
            return self._emptied >= asked

    def shutdown(self, within: float, *, attempts: int | None = None) -> bool:
        """Flush, and end the thread; one that hangs in a request is left behind after ``within`` seconds.

        With ``attempts`` it ends earlier, once each signal has failed so often: for where what waits is kept on disk.
        What was not delivered is back in the outbox, but for what the thread that was left behind is posting.
        """
        with self._changed:
            self._attempts = attempts
            self._until = self._clock() + max(0.0, within)
            asked = self._hurry(within)
            self._changed.wait_for(lambda: self._has_ended, timeout=max(0.0, within))
            self._is_over = True
            return self._emptied >= asked

    def _hurry(self, within: float) -> int:
        self._hurry_until = max(self._hurry_until, self._clock() + within)
        self._asked += 1
        self._changed.notify_all()
        return self._asked

    def standing(self) -> Standing:
        """How it stands now."""
        lanes, last = self._lanes.values(), self._last_success
        state = State.SENDING if self._in_flight else State.IDLE
        if any(lane.failures for lane in lanes):
            state = State.BACKING_OFF
        if any(lane.fix or lane.is_doubted for lane in lanes):
            state = State.REFUSED
        return Standing(
            state=state,
            requests=self._requests,
            failures=self._failures,
            consecutive_failures=max(lane.failures for lane in lanes),
            last_error=self._last_error,
            since_success=None if last is None else self._clock() - last,
            records=self._records,
            bytes=self._bytes,
            refused=self._refused,
            in_flight=self._in_flight,
            seconds=self._seconds,
        )

    # ---- the thread

    def _run(self) -> None:
        with unobserved():
            while not self._is_over:
                try:
                    self._round()
                except Exception as error:  # noqa: BLE001 - nobody else is there to go on
                    self._stumbled(error)
            with suppress(Exception):
                self._give_back()
            self._transport.close()
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()

    def _stumbled(self, error: Exception) -> None:
        if type(error).__name__ not in self._last_error:
            _log.error("The sender of records stumbled, and goes on.", exc_info=error)
        self._last_error = type(error).__name__
        self._rest(1.0)

    def _round(self) -> None:
        self._hear()
        asked = self._heard
        self._keep_house()
        for lane in self._lanes.values():
            if not lane.next_step(self._clock()):
                self._step(lane)
        entries = self._take()
        if entries:
            self._gather(self._lanes[entries[0].signal], entries)
        else:
            for lane in self._lanes.values():
                lane.is_batch_next = False
        is_empty = not entries and not any(lane.gathered for lane in self._lanes.values())
        for lane in self._lanes.values():
            is_due = self._clock() - lane.since >= self._interval or (self._is_hurried and not entries)
            if lane.gathered and is_due:
                self._post(lane)
        if is_empty:
            self._end_if_empty(asked)
        if self._until is not None and self._clock() >= self._until:
            self._is_over = True

    @property
    def _is_hurried(self) -> bool:
        """Whether somebody still waits for a flush."""
        return self._asked > self._emptied and self._clock() < self._hurry_until

    def _hear(self) -> None:
        """A flush ends all pauses, once."""
        if self._heard == self._asked:
            return
        self._heard = self._asked
        self._look = _IDLE
        for lane in self._lanes.values():
            lane.blocked_until = 0.0
            if self._until is not None:
                lane.tries_left = self._attempts

    def _end_if_empty(self, asked: int) -> None:
        if any(lane.suspects and not lane.is_exhausted for lane in self._lanes.values()):
            return
        if not self._aside and not any(lane.suspects for lane in self._lanes.values()):
            with self._changed:
                self._emptied = asked
                self._changed.notify_all()
        if self._until is not None and self._heard == self._asked:
            self._is_over = True

    def _take(self) -> Sequence[Entry]:
        rooms = [lane.room for lane in self._lanes.values()]
        return self._outbox.take(
            most_records=min(records for records, _ in rooms),
            most_bytes=min(size for _, size in rooms),
            wait=self._wait(),
        )

    def _wait(self) -> float:
        now, longest = self._clock(), _IDLE
        if any(lane.gathered for lane in self._lanes.values()):
            longest = 0.0 if self._is_hurried else _GATHERING
        elif self._is_hurried and not any(lane.suspects for lane in self._lanes.values()):
            longest = 0.0
        return min(longest, *(lane.next_step(now) for lane in self._lanes.values()))

    def _gather(self, lane: Lane, entries: Sequence[Entry]) -> None:
        if lane.is_exhausted:
            self._aside += entries
            return
        if lane.gathered and not lane.fits(entries):
            self._post(lane)
        now = self._clock()
        if not lane.is_open(now):
            self._outbox.keep(entries)
            self._rest(min(self._look, max(0.0, lane.blocked_until - now) or _BUSY))
            self._look = _IDLE if self._is_hurried else min(_LONGEST_LOOK, 2 * self._look)
            return
        self._look = _IDLE
        if not lane.gathered:
            lane.since = now
        lane.gathered += entries
        if lane.is_full:
            self._post(lane)

    def _post(self, lane: Lane) -> None:
        taken, lane.gathered, lane.is_batch_next = lane.gathered, [], False
        found = [(entry, body) for entry in taken if (body := entry.body()) is not None]
        if not found:
            return
        entries, body = [entry for entry, _ in found], b"".join(body for _, body in found)
        reply = self._send(lane, body, sum(entry.records for entry in entries))
        if reply.verdict is Verdict.AGAIN:
            self._outbox.keep(entries)
        elif reply.verdict is Verdict.DELIVERED and not reply.rejected:
            self._outbox.done(entries)
        elif lane.has_room_for_suspects(sum(entry.records for entry in entries)):
            refused = reply if len(found) == 1 else None
            for entry, its in found:
                self._suspect(lane, Dissection(entry, its, refused=refused))
        else:
            self._outbox.keep(entries)

    def _suspect(self, lane: Lane, suspect: Dissection) -> None:
        lane.suspects.append(suspect)
        self._settle(lane, suspect)

    def _step(self, lane: Lane) -> None:
        suspect = lane.suspects[0]
        records, body = suspect.next_records, suspect.body()
        reply = self._send(lane, body, records)
        suspect.learn(reply)
        if reply.verdict is Verdict.AGAIN:
            lane.suspects.rotate(-1)  # one that makes the receiver fail must not hold up the others
        self._settle(lane, suspect)
        lane.stepped(self._clock())

    def _settle(self, lane: Lane, suspect: Dissection) -> None:
        if suspect.left:
            return
        lane.suspects.remove(suspect)
        if not suspect.parts:
            self._outbox.done([suspect.entry])
            return
        self._refused += sum(frame.records for frame, _, _ in suspect.parts)
        for _, _, told in suspect.parts:
            self._news.set_aside(lane.place, told)
        self._outbox.refuse(suspect.entry, suspect.parts, suspect.delivered)

    def _send(self, lane: Lane, body: bytes, records: int) -> Reply:
        self._in_flight = records
        start = self._clock()
        timeout = _LONGEST_TIMEOUT if self._until is None else max(0.01, self._until - start)
        try:
            reply = self._transport.send(lane.signal, body, timeout=timeout)
        except Exception as error:  # noqa: BLE001 - a transport of somebody else's may raise what it likes
            reply = Reply(verdict=Verdict.AGAIN, told=type(error).__name__)
        self._in_flight = 0
        now = self._clock()
        with suppress(Exception):
            self._observed(now - start, reply.verdict)
        self._count(reply, now - start, len(body), records)
        self._learn(lane, reply, len(body), records, now - start)
        return reply

    def _count(self, reply: Reply, seconds: float, size: int, records: int) -> None:
        self._requests += 1
        self._seconds += seconds
        if reply.told:
            self._last_error = reply.told
        if reply.verdict is Verdict.DELIVERED:
            self._last_success = self._clock()
            self._bytes += size
            self._records += max(0, records - reply.rejected)
        elif reply.verdict is Verdict.AGAIN:
            self._failures += 1

    def _learn(self, lane: Lane, reply: Reply, size: int, records: int, seconds: float) -> None:
        now, was_away = self._clock(), lane.failures > 0
        lane.learn(
            reply, records=records, size=size, seconds=seconds, now=now, is_hurried=self._is_hurried,
            chance=self._chance(),
        )  # fmt: skip
        if reply.verdict is Verdict.AGAIN:
            self._news.failed(lane.place, reply, failures=lane.failures, now=now)
            gathered, lane.gathered = lane.gathered, []
            if gathered:
                self._outbox.keep(gathered)
            return
        if was_away:
            for other in self._lanes.values():
                if other.failures and not other.fix:
                    other.blocked_until = 0.0
        if lane.is_doubted:
            self._news.doubted(lane.place, reply)
        elif not lane.refusals:
            self._news.succeeded(lane.place, waited=self._how_many_wait() if was_away else 0, now=now)

    def _how_many_wait(self) -> int:
        with suppress(Exception):
            return self._waiting()
        return 0

    # ---- beside it

    def _keep_house(self) -> None:
        now = self._clock()
        if now >= self._sync_at:
            self._sync_at = now + _SYNC_EVERY
            self._outbox.sync()
        if now >= self._compress_at and any(lane.failures > 1 for lane in self._lanes.values()):
            self._compress_at = now + _COMPRESS_EVERY
            self._outbox.compress()

    def _rest(self, seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._heard != self._asked or self._is_over, timeout=seconds)

    def _give_back(self) -> None:
        for lane in self._lanes.values():
            self._aside += [*lane.gathered, *(suspect.entry for suspect in lane.suspects)]
        self._outbox.keep(self._aside)
