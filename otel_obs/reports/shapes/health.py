"""Answers about a bot's health: freshness."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otel_obs.reports.answer import Answer, Table, listed
from otel_obs.reports.shapes.words import count, milliseconds, number, time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otel_obs.reports import rows

_NEVER = "never_seen"


def freshness(found: Sequence[rows.Freshness], asked: Mapping[str, Any]) -> Answer[rows.Freshness]:
    """How fresh was what each source gave, how long was it silent, and was it connected?"""
    table = Table(
        columns=(
            "service", "source", "kind", "now", "connected", "snapshots", "never seen", "stale", "closed",
            "disconnected", "oldest (ms)", "longest silence (ms)", "reconnects in 1 h", "last update", "last snapshot",
        ),
        rows=[
            (
                row.service, row.source, row.kind, row.state.replace("_", " "),
                "" if row.connected is None else "yes" if row.connected else "no",
                row.snapshots, row.never_seen, row.stale, row.closed, row.disconnected,
                milliseconds(row.staleness_max_ms), milliseconds(row.gap_max_ms), row.reconnects_max_1h,
                time(row.last_update, asked), time(row.last_snapshot, asked),
            )
            for row in found
        ],
    )  # fmt: skip
    return listed(found, _sentence(found), table)


def _sentence(found: Sequence[rows.Freshness]) -> str:
    if not found:
        return "No bot told the health of a source in this window."
    told = []
    never = [row.source for row in found if row.state == _NEVER]
    if never:
        told.append(f"Never seen: {', '.join(never)}")
    stale = [row for row in found if row.stale]
    if stale:
        row = max(stale, key=lambda row: row.stale / (row.snapshots - row.closed))
        while_open = " while its market was open" if row.closed else ""
        told.append(
            f"{row.source} was stale in {row.stale} of {count(row.snapshots - row.closed, 'snapshot')}{while_open}"
            + (f", silent for up to {number(row.gap_max_ms / 1000)} s" if row.gap_max_ms is not None else "")
        )
    if not told:
        told.append(f"{count(len(found), 'source')}, none stale and none never seen")
    return "; ".join(told) + "."
