"""How an outbox stands: what waits, and in which state its journal is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from otel_obs.contract.tiers import Loss, Tier

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_obs.sdk.journal.disk import Disk
    from otel_obs.sdk.journal.line import Line

State = Literal["on", "off", "full", "disk_full", "unwritable"]


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How the outbox stands. ``waiting`` are records by tier, bytes are those of bodies and of files.

    Of ``waiting``, ``own`` are those that this process's ledger numbered, ``own_records`` these and its statements; the
    others are of the dead.
    """

    waiting: Mapping[Tier, int]
    own: Mapping[Tier, int]
    own_records: int
    waiting_bytes: int
    oldest_at_ns: int | None
    journal_bytes: int
    journal_limit: int
    segments: int
    state: State


def standing(disk: Disk | None, line: Line) -> Standing:
    """Put together."""
    oldest = line.oldest()
    return Standing(
        waiting=dict(line.records),
        own=dict(line.own),
        own_records=line.own_records,
        waiting_bytes=line.bytes,
        oldest_at_ns=oldest.at_ns if oldest else None,
        journal_bytes=disk.bytes if disk else 0,
        journal_limit=disk.most if disk else 0,
        segments=len(disk.segments) if disk else 0,
        state=_state(disk),
    )


def _state(disk: Disk | None) -> State:
    if disk is None:
        return "off"
    if disk.fault is not None:
        return "disk_full" if disk.fault is Loss.DISK_FULL else "unwritable"
    return "full" if disk.is_full else "on"
