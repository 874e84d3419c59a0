"""The two ledgers of `why`: cycles and decisions, each adding up, never one derived from the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def _most_first(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))


def ledgers(row: Mapping[str, Any]) -> dict[str, Any]:
    """Shape the one row of ``why.sql``.

    Returns ``state`` (``never_recorded``, ``quiet`` or ``active``), ``cycles`` (``total = decided + idle + failed +
    unexplained``), ``decisions = executed + vetoed + held + failed``, ``outside_cycles``, ``by_gate`` (primary vetoes,
    whose sum is ``vetoed``) and ``rejection_rate = vetoed / (vetoed + executed + failed)``, None without candidates.
    """
    return {
        "state": row["state"],
        "cycles": {
            "total": row["cycles_total"],
            "decided": row["cycles_decided"],
            "idle": _most_first(row["cycles_idle"]),
            "failed": row["cycles_failed"],
            "unexplained": row["cycles_unexplained"],
        },
        "decisions": row["decisions"],
        "executed": row["executed"],
        "vetoed": row["vetoed"],
        "held": row["held"],
        "failed": row["failed"],
        "outside_cycles": row["outside_cycles"],
        "by_gate": _most_first(row["by_gate"]),
        "rejection_rate": row["rejection_rate"],
    }
