"""How this process stands now, as the event that goes to the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_obs.contract import health_metrics as metrics
from otel_obs.contract.events.health import HealthSnapshot
from otel_obs.contract.outcome import Outcome
from otel_obs.health.source import NANO
from otel_obs.instrument.source import using

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from otel_obs.health.process import Health
    from otel_obs.health.source import Source


def snapshot(health: Health, trigger: str) -> HealthSnapshot:
    """Tell how ``health`` stands."""
    sources = tuple(health.sources.values())
    market = [source for source in sources if source.kind in metrics.MARKET_KINDS]
    outcomes = health.outcomes_within_hour()
    candidates = sum(outcomes[each] for each in (Outcome.VETOED, Outcome.EXECUTED, Outcome.FAILED))
    updated = [source.updated for source in market if source.updated is not None]
    return HealthSnapshot(
        snapshot_trigger=trigger,
        uptime_sec=(using.clock.monotonic() - health.started) / NANO,
        error_rate_15m=health.errors_within_quarter() / 900,
        order_reject_rate_1h=outcomes[Outcome.VETOED] / candidates if candidates else None,
        executed_1h=outcomes[Outcome.EXECUTED],
        vetoed_1h=outcomes[Outcome.VETOED],
        held_1h=outcomes[Outcome.HELD],
        failed_1h=outcomes[Outcome.FAILED],
        vetoes_1h=health.vetoes_within_hour(),
        throttle_events_1h=health.throttles_within_hour(),
        ws_staleness_ms=_milliseconds(_worst(_of("websocket", sources), lambda source: source.staleness)),
        funding_staleness_sec=_worst(_of("funding", sources), lambda source: source.staleness),
        last_market_update_ms=max(updated) // 1_000_000 if updated else None,
        market_data_gap_max_ms_1h=_milliseconds(_worst(market, lambda source: source.silence_within_hour())),
        ws_reconnect_count_1h=sum(source.reconnects_within_hour() for source in sources),
        heartbeat_age_sec=max(heartbeat_ages(health).values(), default=None),
        event_loop_lag_max_ms_5m=_milliseconds(health.largest_lag()),
        sources={source.name: _told(source) for source in sources},
    )


def heartbeat_ages(health: Health) -> dict[str, float]:
    """Seconds since each loop came round."""
    now = using.clock.now() / NANO
    return {loop: max(0.0, now - at) for (loop,), at in health.numbers.of(metrics.BEAT).items()}


def standing(health: Health) -> tuple[Any, ...]:
    """What makes a change when it changes: each source's state and connection, and which loops are late."""
    expected = health.numbers.of(metrics.BEAT_EXPECTED)
    late = [
        loop
        for loop, age in heartbeat_ages(health).items()
        if age > metrics.STALE_AFTER * expected.get((loop,), float("inf"))
    ]
    sources = [(source.name, source.state, source.is_connected) for source in tuple(health.sources.values())]
    return (*sources, *late)


def _of(kind: str, sources: Iterable[Source]) -> list[Source]:
    return [source for source in sources if source.kind == kind]


def _worst(sources: Iterable[Source], tell: Callable[[Source], float | None]) -> float | None:
    return max((value for source in sources if (value := tell(source)) is not None), default=None)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


def _told(source: Source) -> dict[str, Any]:
    told = {
        "kind": source.kind,
        "state": source.state.value,
        "staleness_ms": _milliseconds(source.staleness),
        "gap_max_ms_1h": _milliseconds(source.silence_within_hour()),
        "reconnects_1h": source.reconnects_within_hour(),
        "last_update_ms": None if source.updated is None else source.updated // 1_000_000,
        "connected": source.is_connected,
    }
    return {name: value for name, value in told.items() if value is not None}
