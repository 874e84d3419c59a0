"""The writer: a thread that empties the queue, has records made and encoded, and hands them on as frames."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final, cast

from otel_obs.contract import semconv
from otel_obs.contract.tiers import Loss
from otel_obs.sdk.frames import Frame, runs
from otel_obs.sdk.otlp import GiveWay, encode_logs, encode_spans
from otel_obs.sdk.otlp.turns import hold_on
from otel_obs.sdk.otlp.wire import REASONS, altered
from otel_obs.sdk.recorder.queue import LANES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from otel_obs.contract.tiers import Tier
    from otel_obs.sdk.ledger import Ledger
    from otel_obs.sdk.otlp.records import LogRecord, SpanRecord
    from otel_obs.sdk.recorder.queue import Item, Queue

    Record = SpanRecord | LogRecord

_log: Final = logging.getLogger("otel_obs")
PERIOD: Final = 0.05  # seconds that a record stands in the queue at most, as long as we keep up
_QUIET: Final = 1.0  # seconds of silence after which the next record has to wake us
_AT_ONCE: Final = 2_000  # items between two looks at what else is to be done
_MOST_RECORDS: Final = 1_000  # of a frame
_MOST_BYTES: Final = 2 << 20  # of a frame, as the queue estimates them


class Writer:
    """``hand_on`` takes each frame, ``also`` are told of its records; ``each_round`` is called before each look."""

    def __init__(
        self,
        ledger: Ledger,
        hand_on: Callable[[Frame], None],
        *,
        also: Sequence[Callable[[Sequence[Record]], None]] = (),
        each_round: Sequence[Callable[[], None]] = (),
    ) -> None:
        self._ledger = ledger
        self._hand_on = hand_on
        self._also, self._each_round = also, each_round
        self._pause = GiveWay()
        self._looked = time.monotonic()
        self._rounds = 0
        self._round_done = threading.Condition()
        self._ends = False
        self._queue: Queue
        self._thread: threading.Thread
        self._has_failed = False
        self._told: set[str] = set()  # of what could not be sent as it was said

    def start(self, queue: Queue) -> None:
        """Begin to empty ``queue``."""
        self._queue = queue
        self._thread = threading.Thread(target=self._run, name="otel_obs writer", daemon=True)
        self._thread.start()

    @property
    def lag(self) -> float | None:
        """Seconds since it looked into the queue, where something stands there: no record is older."""
        return time.monotonic() - self._looked if len(self._queue) else None

    def flush(self, within: float) -> bool:
        """Wait until all that stands in the queue now is handed on; whether it was in time."""
        deadline = time.monotonic() + within
        with self._round_done:
            wanted = self._rounds + 2  # the round that runs now may have taken its items before we asked
            while self._rounds < wanted and self._thread.is_alive():
                self._queue.wake()
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._round_done.wait(min(left, PERIOD))
        return not len(self._queue)

    def end(self, within: float) -> bool:
        """Hand on what is left, and stop; whether all of it was handed on in time."""
        self._ends = True
        self._queue.wake()
        self._thread.join(within)
        return not self._thread.is_alive()

    def write_one(self, item: Item) -> None:
        """Hand one record on in the caller's thread."""
        self._write([item], hold_on)

    def _run(self) -> None:
        quiet = 0.0
        while True:
            ends = self._ends
            self._looked = time.monotonic()
            for call in self._each_round:
                self._safely(call)
            items = self._queue.take(_AT_ONCE)
            if items:
                self._write(items, self._pause)
            with self._round_done:
                self._rounds += 1
                self._round_done.notify_all()
            if len(self._queue):
                continue
            if ends:
                return
            quiet = 0.0 if items else quiet + PERIOD
            if quiet > _QUIET:
                self._queue.wait(_QUIET, until_put=True)
            self._queue.wait(PERIOD)

    def _safely(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception:  # noqa: BLE001 - what it does must not end the writer
            self._tell("a part that is called by the recorder failed")

    def _tell(self, what: str) -> None:
        if not self._has_failed:
            self._has_failed = True
            _log.exception("otel_obs: %s. The bot goes on; please report it. Further ones are only counted.", what)

    def _tell_of_alterations(self) -> None:
        for reason in altered.keys() - self._told:
            self._told.add(reason)
            _log.warning(
                "OTLP cannot carry everything as it was said: %s. Further ones are only counted.", REASONS[reason]
            )

    def _write(self, items: list[Item], pause: Callable[[], None]) -> None:
        lanes: dict[int, list[Item]] = {}
        for item in items:
            lanes.setdefault(item[1], []).append(item)
        for lane in sorted(lanes):  # the dearest first
            for part in _parts(lanes[lane]):
                try:
                    self._write_frame(lane, part, pause)
                except Exception:  # noqa: BLE001 - nor must records that cannot be encoded
                    self._tell("records could not be encoded")
                    self._give_up(lane, len(part))
        if len(altered) != len(self._told):
            self._tell_of_alterations()

    def _write_frame(self, lane: int, items: list[Item], pause: Callable[[], None]) -> None:
        tier, signal = LANES[lane]
        numbers: list[int] = []
        records: Iterator[Record] = self._made(tier, items, numbers)
        if self._also:
            made = list(records)
            for take in self._also:
                self._safely(lambda take=take: take(made))  # type: ignore[misc]
            records = iter(made)
        if signal == "traces":
            body = encode_spans(cast("Iterator[SpanRecord]", records), pause=pause)
        else:
            body = encode_logs(cast("Iterator[LogRecord]", records), pause=pause)
        if len(numbers) < len(items):
            self._give_up(lane, len(items) - len(numbers))
        if numbers:
            self._hand_on(Frame(signal, tier, len(numbers), runs(numbers), time.time_ns(), body))

    def _made(self, tier: Tier, items: list[Item], numbers: list[int]) -> Iterator[Record]:
        """Yield the record of each item with its number, and note which could be made."""
        for number, _, _, make, payload in items:
            try:
                record = make(payload)
                said = cast("dict[str, object]", record.attributes)
                said[semconv.OTEL_OBS_TIER] = tier.value
                said[semconv.OTEL_OBS_SEQ] = number
            except Exception:  # noqa: BLE001 - one that cannot be made must not cost the others
                self._tell("a record could not be made")
                continue
            numbers.append(number)
            yield record

    def _give_up(self, lane: int, records: int) -> None:
        tier = LANES[lane][0]
        self._ledger.confirm(tier, records)
        self._ledger.lose(tier, Loss.INTERNAL, records)


def _parts(items: list[Item]) -> Iterator[list[Item]]:
    """Items of one lane, as many together as a frame takes."""
    first, size = 0, 0
    for place, item in enumerate(items):
        size += item[2]
        if place > first and (size > _MOST_BYTES or place - first == _MOST_RECORDS):
            yield items[first:place]
            first, size = place, item[2]
    yield items[first:]
