"""Rows about the delivery ledger: delivery."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 - the types are read: by Arrow, by the reference
from typing import TYPE_CHECKING, Any

from otel_obs.analytics.deliveries import balance
from otel_obs.reports.rows.base import Row

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self


@dataclass(frozen=True, kw_only=True)
class Delivery(Row):
    """One process's records of one tier, by its latest statement; in a service's sum ``instance``, ``tier`` are None.

    ``produced`` = ``stored`` + ``journaled`` + Σ ``dropped`` + ``sampled`` + ``unconfirmed`` + ``unaccounted`` -
    ``overcounted``. ``stored`` are the numbers that arrived, up to the highest that the statement knows (``since`` are
    those above it). ``unaccounted`` were acknowledged and are not in the store; ``overcounted`` were counted as lost
    and are. ``gaps`` are the first ranges of ``missing`` numbers, ``missing_elsewhere`` those outside of them.

    ``state`` is `does_not_add_up`, `lost`, `no_statement`, `waiting`, `adds_up` or `not_numbered`; ``process`` is
    `running`, `silent` (no statement within 15 minutes of the window's end) or `ended`.
    """

    service: str
    instance: str | None
    tier: str | None
    state: str
    process: str
    produced: int | None
    stored: int
    journaled: int
    dropped: dict[str, int]
    sampled: int
    unconfirmed: int
    unaccounted: int
    overcounted: int
    missing: int
    gaps: list[str]
    missing_elsewhere: int
    since: int
    not_numbered: int
    kill_switch: bool
    statement_at: datetime | None
    defects: list[str]

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        """Make it of a row of ``delivery.sql``."""
        return super().of({**found, **balance(found)})
