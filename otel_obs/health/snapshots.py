"""When snapshots are sent: at aligned times and on change, from a thread of their own."""

from __future__ import annotations

import atexit
import os
import threading
from typing import TYPE_CHECKING, Any, Final

from otel_obs import settings
from otel_obs.contract import health_metrics as metrics
from otel_obs.health.process import MULTIPROCESS, process
from otel_obs.health.source import NANO
from otel_obs.instrument.harmless import harmless
from otel_obs.instrument.source import using

if TYPE_CHECKING:
    from otel_obs.health.process import Health

_TICK_SECONDS: Final = 1.0
_BETWEEN_CHANGES: Final = 5 * NANO


class Timetable:
    """Which snapshots are due: aligned to the wall clock's 5 minutes, hours and days (UTC), waited for by the other.

    A wall clock that is set back makes none twice, and one that is set forward leaves none but the skipped out.
    """

    def __init__(self) -> None:
        self._due = {trigger: self._next(period) for trigger, period in metrics.TRIGGERS.items()}

    @staticmethod
    def _next(period: int) -> int:
        length = period * NANO
        return using.clock.monotonic() + length - using.clock.now() % length

    def due(self) -> list[str]:
        """Those whose time has come since the last call."""
        now = using.clock.monotonic()
        found = [trigger for trigger, at in self._due.items() if now >= at]
        for trigger in found:
            length = metrics.TRIGGERS[trigger] * NANO
            after = self._next(metrics.TRIGGERS[trigger])
            self._due[trigger] = after + length if after - now < length // 2 else after
        return found


class Changes:
    """Whether something changed since the last snapshot on change; of what flaps, one in five seconds."""

    def __init__(self) -> None:
        self._told: tuple[Any, ...] = ()
        self._told_at: int | None = None

    def is_due(self, standing: tuple[Any, ...]) -> bool:
        """Tell once."""
        now = using.clock.monotonic()
        too_soon = self._told_at is not None and now - self._told_at < _BETWEEN_CHANGES
        if standing == self._told or too_soon:
            return False
        self._told, self._told_at = standing, now
        return True


class Snapshots:
    """The thread that sends them. It begins when the bot first feeds its health, and ends with the recording."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._is_over = False
        self._lock = threading.Lock()
        atexit.register(self.stop)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._in_child)

    def _in_child(self) -> None:
        self._thread, self._stop, self._lock = None, threading.Event(), threading.Lock()

    def allow(self) -> None:
        """Let it begin again after an end."""
        self._is_over = False

    def begin(self) -> None:
        """Begin, where it is wanted and has not begun."""
        if self._thread is not None or self._is_over or not settings.active.health_snapshots:
            return
        with self._lock:
            if self._thread is None:
                process().snapshots_begin()
                self._stop = threading.Event()
                self._thread = threading.Thread(
                    target=self._run, args=(self._stop,), name="otel_obs health", daemon=True
                )
                self._thread.start()

    def stop(self) -> None:
        """End it, before the exporters end."""
        self._is_over = True
        with self._lock:
            thread, self._thread = self._thread, None
            self._stop.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(_TICK_SECONDS)

    def _run(self, stop: threading.Event) -> None:
        timetable, changes = Timetable(), Changes()
        while not stop.wait(_TICK_SECONDS):
            _tick(timetable, changes)


@harmless(None)
def _tick(timetable: Timetable, changes: Changes) -> None:
    if not settings.active.enabled:
        return
    from otel_obs.health.snapshot import standing

    health = process()
    if MULTIPROCESS in os.environ:  # whoever is scraped there reads what this process wrote last
        health.refresh()
        health.recorder.refresh()
    due = timetable.due()
    if changes.is_due(standing(health)):
        due.append(metrics.ON_CHANGE)
    for trigger in due:
        send(health, trigger)


def send(health: Health, trigger: str) -> None:
    """Send one."""
    from otel_obs.health.snapshot import snapshot
    from otel_obs.instrument.facts import emit

    emit(snapshot(health, trigger))
    health.numbers.add(metrics.SNAPSHOTS, trigger)
    health.numbers.set(metrics.SNAPSHOT_TIME, trigger, value=using.clock.now() / NANO)


snapshots: Final = Snapshots()
