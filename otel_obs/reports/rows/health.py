"""Rows about a bot's health: freshness."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - the types are read: by Arrow, by the reference

from otel_obs.reports.rows.base import Row


@dataclass(frozen=True, kw_only=True)
class Freshness(Row):
    """One source of one bot.

    ``state`` (`never_seen`, `stale`, `seen`, `fresh`, `closed`) and ``connected`` are the latest; of ``snapshots`` so
    many found it ``never_seen``, ``stale``, ``disconnected``, or its market ``closed``. A gap is the longest silence
    within an hour while its market was open.
    """

    service: str
    source: str
    kind: str
    state: str
    connected: bool | None
    snapshots: int
    never_seen: int
    stale: int
    closed: int
    disconnected: int
    staleness_max_ms: float | None
    gap_max_ms: float | None
    reconnects_max_1h: int | None
    last_update: datetime | None
    last_snapshot: datetime
