"""The recorder of one process: queue, writer, outbox and sender, made and ended together, and anew in a child."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from otel_obs.contract import semconv
from otel_obs.contract.tiers import Tier
from otel_obs.sdk.exporter.sender import Sender
from otel_obs.sdk.exporter.transport import connect
from otel_obs.sdk.journal import Outbox, adopt, open_home, orphans, root_of, size_of
from otel_obs.sdk.ledger import Ledger
from otel_obs.sdk.monitor import AdoptedStanding, Delivery, ExporterStanding, JournalStanding
from otel_obs.sdk.otlp.wire import altered
from otel_obs.sdk.recorder.queue import Queue
from otel_obs.sdk.recorder.statement import last_word, statement
from otel_obs.sdk.recorder.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.sdk.resources import Resource

    from otel_obs.sdk.journal import Orphan
    from otel_obs.sdk.ledger import Balance
    from otel_obs.sdk.trace_files import TraceFiles
    from otel_obs.settings import Settings

_log: Final = logging.getLogger("otel_obs")
_STATE_EVERY: Final = 15.0  # seconds between two statements of a process that says anything
_TELL_EVERY: Final = 60.0  # seconds between two warnings of the kill switch
_LOOKS: Final = 5  # at ledger and outbox, which move between two looks
_MOST_ORPHANS: Final = 32  # at a time: each keeps two files open
_ADOPTION_EVERY: Final = 1.0  # seconds
_LONGEST_UNSYNCED: Final = 1.25  # seconds; the sender does it each second, unless a request keeps it


class Recorder:
    """``each_round`` is called some 20 times a second, in the writer's thread.

    Raises:
        MissingExtraError: gRPC was asked for, and is not installed.
        SettingError: an endpoint or a certificate cannot be used.

    """

    def __init__(
        self,
        wanted: Settings,
        resource: Resource,
        *,
        each_round: Sequence[Callable[[], None]] = (),
    ) -> None:
        self._wanted = wanted
        self._each_round = each_round
        self._begin(resource)

    def _begin(self, resource: Resource) -> None:
        wanted = self._wanted
        self._resource: Mapping[str, Any] = dict(resource.attributes)
        transport = connect(wanted)
        self._home = home = open_home(wanted, self._resource)
        self.ledger = home.ledger if home else Ledger()
        self._outbox = (
            home.outbox(wanted)
            if home
            else Outbox(self.ledger, directory=None, most_bytes=0, most_memory=wanted.max_queue_bytes)
        )
        self._files = files = _trace_files(wanted)
        self._writer = Writer(
            self.ledger,
            self._outbox.put,
            also=() if files is None else (files.take,),
            each_round=(*self._each_round, self._look_at_kill_switch, self._state_if_due, self._sync_if_due),
        )
        self.queue = Queue(
            self.ledger, self._writer.write_one, most=wanted.max_queue, most_bytes=wanted.max_queue_bytes,
            block=wanted.block, is_sync=wanted.journal_sync and home is not None,
        )  # fmt: skip
        self._is_killed, self._told_of_kill_at = False, -_TELL_EVERY
        self._stated: tuple[int, ...] = ()
        self._state_at = time.monotonic() + _STATE_EVERY
        self._adopted: list[Orphan] = []
        self.journaled = 0  # what the end left on disk
        self._instances = 0  # that were adopted
        self._left = 0  # records that died with them
        self._is_over = threading.Event()
        self._writer.start(self.queue)
        self._sender = Sender(self._outbox, transport, send_interval=wanted.send_interval, waiting=self._waiting)
        threading.Thread(target=self._adopt, args=(self._outbox,), name="otel_obs adoption", daemon=True).start()

    def begin_in_child(self, resource: Resource) -> None:
        """Start anew in a forked child: what waited in the parent is the parent's."""
        self._outbox.abandon()
        if self._home is not None:
            self._home.abandon()
        self._begin(resource)

    # What dead processes left ----------------------------------------------------------------------------------------

    def _adopt(self, outbox: Outbox) -> None:
        """Take over so many at a time; the bytes of the others count as well, lest the disk fills up meanwhile.

        Without a home of its own too: it may be what they left that fills the disk.
        """
        root = None
        try:
            with suppress(RuntimeError):  # of a user without a home directory: told when the journal was to be made
                root = root_of(self._wanted)
            seen: set[Path] = set()
            service = str(self._resource.get(semconv.SERVICE_NAME, "")) or "bot"
            while root is not None and outbox is self._outbox:
                found = adopt(root, service, last_statement=last_word, most=_MOST_ORPHANS, but=seen)
                seen |= {orphan.directory for orphan in found}
                self._take_over(found)
                others = [path for path in orphans(root, service) if path not in seen]
                self._outbox.leave_room(sum(map(size_of, others)))
                if not others or not found:
                    return
                while any(orphan.is_held for orphan in found):
                    if self._is_over.wait(_ADOPTION_EVERY) or outbox is not self._outbox:
                        return
        except Exception:  # noqa: BLE001 - a bot must start, whatever others left
            _log.exception("What dead processes left was not taken over.")

    def _take_over(self, found: list[Orphan]) -> None:
        self._adopted = [orphan for orphan in self._adopted if orphan.is_held]
        for orphan in found:
            self._adopted.append(orphan)
            self._instances += 1
            self._left += sum(one.unconfirmed for one in orphan.departed().balances.values())
            self._outbox.adopt(orphan)

    def _sync_if_due(self) -> None:
        if time.monotonic() - self._outbox.synced_at >= _LONGEST_UNSYNCED:
            self._outbox.sync()

    # What it tells of itself -----------------------------------------------------------------------------------------

    def _state_if_due(self) -> None:
        now = time.monotonic()
        if now >= self._state_at:
            self._state_at = now + _STATE_EVERY
            self._state(has_ended=False)

    def _look_at_kill_switch(self) -> None:
        queue = self.queue.standing()
        if queue.kill_switch is self._is_killed:
            return
        self._is_killed = queue.kill_switch
        self._state(has_ended=False)
        now = time.monotonic()
        if self._is_killed and now - self._told_of_kill_at >= _TELL_EVERY:
            self._told_of_kill_at = now
            _log.warning(
                "The kill switch is on: the queue is full (%d of %d records, %d of %d bytes), and only durable records "
                "are taken until it is half empty. Say less, or raise OTEL_OBS_MAX_QUEUE and OTEL_OBS_MAX_QUEUE_BYTES; "
                "a backtest may wait instead (OTEL_OBS_BLOCK=60).",
                queue.records, queue.capacity, queue.bytes, queue.capacity_bytes,
            )  # fmt: skip

    def _state(self, *, has_ended: bool) -> None:
        balances, waiting = self._accounts()
        is_killed = self.queue.standing().kill_switch
        told = (is_killed, *(one.produced + one.delivered for one in balances.values()))
        if told == self._stated and not has_ended:
            return
        self._stated = told
        frame = statement(balances, waiting, resource=self._resource, has_ended=has_ended, kill_switch=is_killed)
        if frame is not None:
            self._outbox.put(frame)

    def _accounts(self) -> tuple[dict[Tier, Balance], Mapping[Tier, int]]:
        """Ledger and outbox as they stand at one moment, or nearly: both move while they are read."""
        for _ in range(_LOOKS):
            balances = self.ledger.read()
            waiting = self._outbox.standing().own
            if all(balances[tier].waiting == waiting[tier] for tier in Tier):
                break
        return balances, waiting

    def _waiting(self) -> int:
        return sum(self._outbox.standing().waiting.values())

    def delivery(self) -> Delivery:
        """Where every record of this process is."""
        tiers, waiting = self._accounts()
        outbox, sender = self._outbox.standing(), self._sender.standing()
        oldest, of_the_dead = outbox.oldest_at_ns, [orphan.departed().balances for orphan in list(self._adopted)]
        return Delivery(
            instance=str(self._resource.get(semconv.SERVICE_INSTANCE_ID, "")),
            tiers=tiers,
            waiting=waiting,
            queue=replace(self.queue.standing(), writer_lag=self._writer.lag),
            journal=JournalStanding(
                state=outbox.state, bytes=outbox.journal_bytes, capacity=outbox.journal_limit,
                segments=outbox.segments,
                oldest_age=None if oldest is None else max(0.0, (time.time_ns() - oldest) / 1e9),
            ),
            exporter=ExporterStanding(
                state=sender.state.value, in_flight=sender.in_flight, requests=sender.requests,
                failures=sender.failures, consecutive_failures=sender.consecutive_failures,
                last_error=sender.last_error, seconds_since_success=sender.since_success,
            ),
            adopted=AdoptedStanding(
                instances=self._instances,
                waiting=sum(one.waiting for balances in of_the_dead for one in balances.values()),
                unconfirmed=self._left,
            ),
            altered=dict(altered),
        )  # fmt: skip

    # Its end ---------------------------------------------------------------------------------------------------------

    def flush(self, within: float) -> bool:
        """Send what is waiting; whether the receiver has all that was produced."""
        deadline = time.monotonic() + within
        self._writer.flush(within)
        self._sender.flush(max(0.0, deadline - time.monotonic()))
        return all(one.delivered == one.produced - one.sampled for one in self.ledger.read().values())

    def shutdown(self, within: float, *, may_leave: bool) -> bool:
        """Take nothing more, send what waits, and end; whether the receiver has all of it in time.

        ``may_leave`` what is journaled for the next start, once the receiver was tried and is away.
        """
        deadline = time.monotonic() + within
        self._is_over.set()
        self.queue.close()
        is_written = self._writer.end(within)
        self._state(has_ended=True)
        is_kept = self._home is not None and self._outbox.standing().state == "on"
        is_sent = self._sender.shutdown(
            max(0.0, deadline - time.monotonic()), attempts=1 if is_kept and may_leave else None
        )
        standing = self._outbox.standing()
        self.journaled = sum(standing.own.values()) if is_kept else 0
        self._outbox.close()
        if self._files is not None:
            self._files.close(max(0.1, deadline - time.monotonic()))
        if self._home is not None:
            self._home.close(is_delivered=is_written and not standing.own_records)
        return is_written and is_sent


def _trace_files(wanted: Settings) -> TraceFiles | None:
    if not wanted.trace_files:
        return None
    from otel_obs.sdk.trace_files import TraceFiles

    return TraceFiles(
        Path(wanted.trace_files).expanduser(), keep_days=wanted.trace_files_keep_days,
        max_bytes=wanted.trace_files_max_bytes,
    )  # fmt: skip
