"""Health in one line each: sources, heartbeats, errors, throttles; for Prometheus to scrape, and for the store.

import otel_obs as obs

obs.configure(service_name="my-bot", metrics_port=9464)
book = obs.health.source("ws:btcusdt", kind="websocket", expected_every=1.0)  # hours="XNYS" where it is not 24x7
book.connected()
book.seen(at=message_time)
obs.health.beat(expected_every=5.0)

Decisions by outcome and vetoes by gate count themselves. What is told are times and counts: how old or how frequent
something is, a rule computes, as a bot that hangs cannot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_obs import settings as _settings
from otel_obs.contract.health_metrics import KINDS as _KINDS
from otel_obs.errors import nearest as _nearest
from otel_obs.health.hours import Hours
from otel_obs.health.markets import market as _market
from otel_obs.health.numbers import Numbers as _Numbers
from otel_obs.health.process import process as _process
from otel_obs.health.serving import port as _port
from otel_obs.health.snapshots import snapshots as _snapshots
from otel_obs.health.source import Source, State
from otel_obs.instrument import values as _values
from otel_obs.instrument.harmless import harmless as _harmless
from otel_obs.instrument.harmless import problem as _problem
from otel_obs.instrument.source import using as _using

if TYPE_CHECKING:
    from asyncio import Task
    from collections.abc import Callable, Iterable

    from otel_obs.health.process import Health
    from otel_obs.sdk.monitor import Delivery
    from otel_obs.settings import Settings

__all__ = [
    "Hours",
    "Source",
    "State",
    "address",
    "asgi_app",
    "beat",
    "collector",
    "declare",
    "error",
    "source",
    "start",
    "stop",
    "throttle",
    "trading_hours",
    "watch_event_loop",
    "wsgi_app",
]

_using.watch = _process
_LONGEST = 100


def _fed() -> Health:
    """This process's health; from now on the store is told of it."""
    _snapshots.begin()
    return _process()


def _nowhere(name: str = "", kind: str = "other") -> Source:
    return Source(name, kind=kind, numbers=_Numbers())


def _named(name: Any) -> str:
    text: str = _values.words(name)[:_LONGEST].encode("utf-8", "replace").decode()
    return text.strip() or "unnamed"


def _seconds(about: str, given: Any) -> float | None:
    if given is None:
        return None
    try:
        seconds = float(given)
    except Exception:  # noqa: BLE001 - a bot's own value may raise anything
        seconds = -1.0
    if 0 < seconds < float("inf"):
        return seconds
    _problem(
        "wrong_interval", f"{about}: expected_every is no length of time.", fix="Give seconds above 0.", about=about
    )
    return None


_NOWHERE = _nowhere()


@_harmless(_NOWHERE)
def source(
    name: str, /, *, kind: str = "other", expected_every: float | None = None, hours: str | Hours | None = None
) -> Source:
    """Return the source called ``name``, the same one each time. It is *never seen* until ``seen()`` was called.

    Args:
        name: what it is, for example ``ws:btcusdt``; never an id. At most 100 are kept.
        kind: ``websocket``, ``orderbook``, ``trades``, ``candles``, ``rest``, ``funding`` or ``other``.
        expected_every: seconds within which an update is expected; it is stale after three times as many.
        hours: when updates are expected at all, as in ``trading_hours``; 24x7 unless told.

    """
    called, known = _named(name), _values.words(kind)[:_LONGEST]
    if not _settings.active.enabled:
        return _nowhere(called)
    if known not in _KINDS:
        _problem(
            "unknown_kind", f"Source {called!r} is of kind {known!r}, which is none.", fix=_nearest(known, _KINDS),
            about=called,
        )  # fmt: skip
        known = "other"
    return _fed().source(
        called,
        kind=known,
        expected_every=_seconds(called, expected_every),
        market=None if hours is None else _market(hours),
    )


@_harmless(None)
def trading_hours(hours: str | Hours, /) -> None:
    """Say when the bot trades, so that no rule expects decisions while its market is closed.

    Args:
        hours: ``24x7``, ``weekdays`` (Monday to Friday, UTC), ``weekdays@America/New_York``; an exchange as the
            package exchange_calendars names it (``XNYS``, ``XETR``, ``CMES``: ``pip install 'otel-obs[calendars]'``);
            or an object with ``is_open(at)`` and ``opened(at)``, see ``Hours``.

    """
    if _settings.active.enabled:
        _fed().trade(_market(hours))


@_harmless(None)
def beat(loop: str = "main", /, *, expected_every: float | None = None) -> None:
    """Say that the decision loop came round, each time it does; ``expected_every`` (seconds) tells what is late."""
    if _settings.active.enabled:
        _fed().beat(_named(loop), _seconds("beat", expected_every))


@_harmless(None)
def error(kind: BaseException | str, /) -> None:
    """Count an error: an exception, by its class, or a short fixed word such as ``exchange``."""
    if _settings.active.enabled:
        _fed().error(type(kind).__name__ if isinstance(kind, BaseException) else _named(kind))


@_harmless(None)
def throttle(venue: str = "other", /) -> None:
    """Count that a venue limited the bot's rate, for example by HTTP 429."""
    if _settings.active.enabled:
        _fed().throttle(_named(venue))


@_harmless(None)
def declare(
    *, gates: Iterable[str] = (), errors: Iterable[str] = (), throttles: Iterable[str] = (), loops: Iterable[str] = ()
) -> None:
    """Name at start what may happen later, so that its series stand at 0 and the first occurrence is an increase.

    Gates made with ``@obs.gate`` declare themselves.
    """
    if not _settings.active.enabled:
        return
    health = _fed()
    for names, keep in (
        (gates, health.gate), (errors, health.kind_of_error), (throttles, health.venue), (loops, health.loop),
    ):  # fmt: skip
        for name in [names] if isinstance(names, str) else names or ():
            keep(_named(name))


@_harmless(None)
def watch_event_loop(*, every: float = 1.0) -> Task[None] | None:
    """Measure how late the running asyncio loop is, from now on; returns the task, which may be cancelled."""
    if not _settings.active.enabled:
        return None
    from otel_obs.health.event_loop import watch

    _fed()
    return watch(_seconds("watch_event_loop", every) or 1.0)


def address() -> str:
    """Where this process can be scraped, for example ``http://127.0.0.1:9464/metrics``; empty where it cannot."""
    return _port.address


def asgi_app() -> Any:
    """An ASGI application that answers Prometheus, for a bot that serves HTTP already: mount it at ``/metrics``."""
    from otel_obs.health.exposition import asgi

    return asgi()


def wsgi_app() -> Any:
    """The same as a WSGI application."""
    from otel_obs.health.exposition import wsgi

    return wsgi()


def collector() -> Any:
    """Health as a collector of prometheus_client, for a bot with a registry of its own: ``REGISTRY.register(…)``."""
    from otel_obs.health.exposition import HealthCollector

    return HealthCollector()


@_harmless(None)
def start(settings: Settings, *, delivery: Callable[[], Delivery | None] | None = None) -> None:
    """Put all that is known at 0 and listen where ``settings`` say so; ``configure()`` calls it.

    ``delivery`` tells how the recorder stands, None where there is none; each scrape asks it, so it may not wait.
    """
    if not settings.enabled:
        return
    if delivery is not None:
        _process.delivery = delivery
    _snapshots.allow()
    if settings.metrics_port >= 0:
        _fed()
        _port.bind(settings)
    if settings.trading_hours != _settings.Settings.trading_hours:
        _process().trade(_market(settings.trading_hours))
    _process()


def stop() -> None:
    """Send no more snapshots; ``shutdown()`` calls it. The port stays, so that an ending bot is still seen."""
    _snapshots.stop()
