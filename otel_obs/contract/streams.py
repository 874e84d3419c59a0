"""STREAMS: every stream of typed facts once: its event class, tier, retention and table."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

from otel_obs.contract.tiers import Tier

if TYPE_CHECKING:
    from otel_obs.contract.events.base import Event


@dataclass(frozen=True, kw_only=True)
class Stream:
    """One row. ``event`` is ``module:Class``, imported when first used: a bot that says no facts pays nothing."""

    name: str
    event: str
    tier: Tier
    retention_days: int
    table: str
    doc: str

    def event_class(self) -> type[Event]:
        """Import and return the pydantic model."""
        module, _, name = self.event.partition(":")
        return cast("type[Event]", getattr(import_module(module), name))


STREAMS: Final[tuple[Stream, ...]] = (
    Stream(
        name="order",
        event="otel_obs.contract.events.orders:Order",
        tier=Tier.DURABLE,
        retention_days=3650,
        table="orders",
        doc="One status of one order: submitted, accepted, filled, cancelled, rejected.",
    ),
    Stream(
        name="fill",
        event="otel_obs.contract.events.orders:Fill",
        tier=Tier.DURABLE,
        retention_days=3650,
        table="fills",
        doc="One execution.",
    ),
    Stream(
        name="health_snapshot",
        event="otel_obs.contract.events.health:HealthSnapshot",
        tier=Tier.STANDARD,
        retention_days=365,
        table="health_snapshots",
        doc="A bot's health: each 5 minutes (kept 24 h), each hour and on change (7 days), each day (365 days).",
    ),
    Stream(
        name="delivery",
        event="otel_obs.contract.events.delivery:Delivery",
        tier=Tier.STANDARD,
        retention_days=365,
        table="delivery",
        doc="What a process says of where its records of one tier are; itself not numbered.",
    ),
)

BY_NAME: Final[dict[str, Stream]] = {stream.name: stream for stream in STREAMS}
