"""TraceFiles: takes finished records from the recorder, and writes each trace as a document on a thread of its own."""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from otel_obs.contract import semconv
from otel_obs.contract.tiers import Loss
from otel_obs.sdk.otlp.turns import GiveWay
from otel_obs.sdk.trace_files.document import document
from otel_obs.sdk.trace_files.gathering import Gathering
from otel_obs.sdk.trace_files.layout import text
from otel_obs.sdk.trace_files.tree import made, place, publish, safe, write_all

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from otel_obs.sdk.otlp.records import LogRecord, SpanRecord
    from otel_obs.sdk.trace_files.gathering import Gathered

_MOST_RECORDS: Final = 8_192  # in the inbox
_MOST_BYTES: Final = 16 << 20
_MOST_KEPT_RECORDS: Final = 32_768  # open traces, and those that wait for a disk
_MOST_KEPT_BYTES: Final = 32 << 20
_TICK: Final = 0.25
_LONGEST_PAUSE: Final = 5.0
_EACH_HOUR: Final = 3_600.0
_MOST_LOSERS: Final = 4_096
_AT_ONCE: Final = 256
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_log: Final = logging.getLogger("otel_obs")


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How the trace files stand. ``written`` counts documents, ``records`` those in them; ``dropped`` and ``waiting``
    count records: taken = records + dropped + waiting. ``last_error`` is empty while writing succeeds.
    """  # noqa: D205

    written: int = 0
    records: int = 0
    dropped: Mapping[Loss, int] = field(default_factory=dict)
    waiting: int = 0
    last_error: str = ""


class TraceFiles:
    """Documents of traces under ``directory``.

    Nothing is raised, and nobody waits: what cannot be taken or written is dropped, counted and told once. A forked
    child begins with nothing; what its parent has open is the parent's to write.

    Args:
        directory: where the tree stands; it is made when the first document is written, and again if it is removed.
        keep_days: days that documents are kept, from when they were written.
        max_bytes: most bytes of one service's documents.
        grace: seconds that a trace waits for further records after its root.
        open_for: most seconds that it waits for its root.

    """

    def __init__(
        self,
        directory: Path,
        *,
        keep_days: int = 30,
        max_bytes: int = 1 << 30,
        grace: float = 1.0,
        open_for: float = 600.0,
    ) -> None:
        self._directory = directory
        self._keep_days, self._max_bytes = keep_days, max_bytes
        self._grace, self._open_for = grace, open_for
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._lock = threading.RLock()  # a signal handler may record in the midst of a record
        self._inbox: deque[tuple[SpanRecord | LogRecord, int]] = deque()
        self._inbox_size = 0
        self._waiting = 0
        self._ready: deque[Gathered] = deque()
        self._gathering = Gathering(grace=self._grace, open_for=self._open_for)
        self._losers: set[int] = set()  # traces of which records were dropped
        self._written = self._records = self._bytes = 0
        self._dropped: Counter[Loss] = Counter()
        self._error: OSError | None = None
        self._told: set[str] = set()
        self._retry_at = self._pause = 0.0
        self._services: set[Path] = set()
        self._give_way = GiveWay()
        self._wake, self._stop, self._tidy = threading.Event(), threading.Event(), threading.Event()
        self._end_by: float | None = None
        self._thread = self._started(self._run, "otel_obs trace files")
        self._upkeep = self._started(self._keep_tidy, "otel_obs trace files upkeep")

    @staticmethod
    def _started(run: Any, name: str) -> threading.Thread | None:
        thread = threading.Thread(target=run, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no further threads, or the interpreter ends
            return None
        return thread

    # ---- from the recorder's thread

    def take(self, records: Sequence[SpanRecord | LogRecord], *, size: int = 0) -> None:
        """Take finished records; returns at once. ``size`` is their bytes, where known; else it is estimated."""
        if os.getpid() != self._process:
            self._begin()
        each = size // len(records) if size and records else 0
        with self._lock:
            is_over = self._thread is None or self._end_by is not None
            for index, record in enumerate(records):
                own = each or estimated(record)
                if is_over or len(self._inbox) >= _MOST_RECORDS or self._inbox_size + own > _MOST_BYTES:
                    self._leave(records[index:], Loss.ENDED if is_over else Loss.QUEUE_FULL)
                    break
                self._inbox.append((record, own))
                self._inbox_size += own
                self._waiting += 1
            is_filling = len(self._inbox) * 4 > _MOST_RECORDS or self._inbox_size * 4 > _MOST_BYTES
        if is_filling and not self._wake.is_set():
            self._wake.set()

    def _leave(self, records: Sequence[SpanRecord | LogRecord], reason: Loss) -> None:
        self._dropped[reason] += len(records)
        if len(self._losers) > _MOST_LOSERS:
            self._losers.clear()
        self._losers.update(record.trace_id for record in records[:_MOST_LOSERS])

    def standing(self) -> Standing:
        """How it stands."""
        if os.getpid() != self._process:
            return Standing()
        with self._lock:
            return Standing(
                written=self._written,
                records=self._records,
                dropped=dict(self._dropped),
                waiting=self._waiting,
                last_error=(self._error.strerror or str(self._error)) if self._error else "",
            )

    def close(self, within: float) -> Standing:
        """Write what is there, traces that are open included, for at most so many seconds; take nothing more."""
        if os.getpid() == self._process:
            with self._lock:
                self._end_by = self._end_by or time.monotonic() + within
            self._stop.set()
            self._tidy.set()
            self._wake.set()
            for thread in (self._thread, self._upkeep):
                if thread is not None:
                    thread.join(max(0.0, self._end_by - time.monotonic() + _TICK))
        return self.standing()

    # ---- on its own thread

    def _run(self) -> None:
        while True:
            self._wake.wait(_TICK)
            self._wake.clear()
            is_last = self._end_by is not None
            try:
                self._step(is_last=is_last)
            except Exception as error:  # noqa: BLE001 - what is wrong here must not reach the bot, nor end the thread
                self._tell("broken", "The trace files hit a mistake of their own, and go on: %r", error)
            if is_last:
                return
            self._tell_drops()

    def _step(self, *, is_last: bool) -> None:
        has_more = True
        while has_more:
            has_more = self._drain()
            self._ready += self._gathering.due(time.monotonic())
            if is_last and not has_more:
                self._ready += self._gathering.everything()
            self._make_room()
            self._write(is_last=is_last)

    def _drain(self) -> bool:
        """Gather some of what was taken; whether there is more."""
        now = time.monotonic()
        for _ in range(_AT_ONCE):
            with self._lock:
                if not self._inbox:
                    return False
                record, size = self._inbox.popleft()
                self._inbox_size -= size
            self._gathering.add(record, size=size, now=now)
        return True

    def _make_room(self) -> None:
        """Keep what waits within its bounds. What is ready counts only while it cannot be written."""
        waits = self._ready if self._error else ()
        records = self._gathering.records + sum(one.records for one in waits)
        size = self._gathering.size + sum(one.size for one in waits)
        while records > _MOST_KEPT_RECORDS or size > _MOST_KEPT_BYTES:
            one = self._ready.popleft() if waits else self._gathering.oldest()
            if self._error:
                self._lose(one, self._reason())
            else:
                self._ready.append(one)
            records -= one.records
            size -= one.size

    def _reason(self) -> Loss:
        return Loss.DISK_FULL if self._error and self._error.errno in _FULL else Loss.UNWRITABLE

    def _lose(self, one: Gathered, reason: Loss) -> None:
        with self._lock:
            self._dropped[reason] += one.records
            self._waiting -= one.records

    def _write(self, *, is_last: bool) -> None:
        while self._ready:
            if not is_last and time.monotonic() < self._retry_at:
                return
            one = self._ready[0]
            if is_last and self._end_by is not None and time.monotonic() > self._end_by:
                self._lose(self._ready.popleft(), Loss.ENDED)
                continue
            try:
                self._write_one(one)
            except OSError as error:
                self._failed(error)
                if not is_last:
                    return
                self._lose(one, self._reason())
            except Exception as error:  # noqa: BLE001 - one trace that cannot be written must not cost the others
                self._lose(one, Loss.DAMAGED)
                self._tell("damaged", "A trace could not be written as a file: %r. Further ones are counted.", error)
            else:
                self._succeeded(one)
            self._ready.popleft()

    def _write_one(self, one: Gathered) -> None:
        if one.trace_id in self._losers:
            one.because = tuple(dict.fromkeys((*one.because, "records_lost")))
            self._losers.discard(one.trace_id)
        content = text(document(one, pause=self._give_way))
        service = self._directory / safe(str(one.resource.get(semconv.SERVICE_NAME, "")), "unnamed")
        day, stem = place(one)
        for directory in (self._directory, service):
            made(directory)
        for is_last_try in (False, True):
            try:
                publish(made(service / day), stem, ".json", lambda handle: write_all(handle, content))
                break
            except FileNotFoundError:  # a day that was just packed, or a tree that was just removed
                if is_last_try:
                    raise
        self._bytes += len(content)
        if service not in self._services or self._bytes * 10 > self._max_bytes:
            self._bytes = 0
            self._services = self._services | {service}
            self._tidy.set()

    def _failed(self, error: OSError) -> None:
        with self._lock:
            self._error = error
        self._pause = min(2 * self._pause or _TICK, _LONGEST_PAUSE)
        self._retry_at = time.monotonic() + self._pause
        self._tell(
            "unwritable",
            "Trace files cannot be written to %s: %s. They wait in memory, within bounds, and delivery goes on. Make "
            "room there, or let the bot's user write.", self._directory, error.strerror or error,
        )  # fmt: skip

    def _succeeded(self, one: Gathered) -> None:
        with self._lock:
            had_failed, self._error = self._error is not None, None
            self._written += 1
            self._records += one.records
            self._waiting -= one.records
        self._retry_at = self._pause = 0.0
        if had_failed:
            self._told.discard("unwritable")
            _log.warning("Trace files are written to %s again.", self._directory)

    def _tell_drops(self) -> None:
        with self._lock:
            dropped = dict(self._dropped)
        for reason, count in dropped.items():
            self._tell(reason, "Trace files: %d records were dropped (%s). Further ones are counted.", count, reason)

    def _tell(self, what: str, words: str, *arguments: object) -> None:
        if what not in self._told:
            self._told.add(what)
            _log.warning(words, *arguments)

    # ---- on another thread

    def _keep_tidy(self) -> None:
        try:
            from otel_obs.sdk.trace_files.upkeep import Upkeep
        except ImportError as error:  # no fcntl: not a Unix
            self._tell("untidy", "Trace files are neither packed nor removed on this system: %s", error)
            return
        upkeep = Upkeep(keep_days=self._keep_days, max_bytes=self._max_bytes, stop=self._stop)
        while not self._stop.is_set():
            self._tidy.wait(_EACH_HOUR)
            self._tidy.clear()
            for service in self._services:
                try:
                    if not self._stop.is_set():
                        upkeep.run(service)
                except Exception as error:  # noqa: BLE001 - what cannot be tidied is tried again in an hour
                    if self._stop.is_set():
                        return
                    self._tell("untidy", "Old trace files in %s could not be packed or removed: %s", service, error)


def estimated(record: SpanRecord | LogRecord) -> int:
    """About how many bytes a record takes."""
    total = 300 + _length(record.attributes)
    for event in getattr(record, "events", ()) or ():
        total += 100 + _length(event.attributes)
    return total + len(getattr(record, "body", None) or "")


def _length(attributes: Mapping[str, Any]) -> int:
    return sum(
        [40 + 8 * len(value) if type(value) is not str else 40 + len(value)
         for value in attributes.values() if hasattr(value, "__len__")]
    ) + 40 * len(attributes)  # fmt: skip
