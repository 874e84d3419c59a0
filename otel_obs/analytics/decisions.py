"""One decision as a reader wants it: its gates as a list, its maps as maps, what came of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_GATE_COLUMNS: Final = (
    "name", "verdict", "mode", "observed", "threshold", "comparison", "unit", "reason", "duration_ms",
)  # fmt: skip
_ORDER: Final = ("order_id", "status", "type", "side", "quantity", "price", "timestamp")
_FILL: Final = ("fill_id", "order_id", "side", "quantity", "price", "fee", "fee_currency", "timestamp")
_PLAIN: Final = (
    "timestamp", "service", "environment", "strategy", "symbol", "side", "what", "why", "confidence", "outcome",
    "outcome_raw", "veto_reason_primary", "veto_reason_secondary", "veto_overridden", "order_id", "error",
    "duration_ns", "defects", "span_id", "parent_span_id", "trace_id",
)  # fmt: skip


def ledger(row: Mapping[str, Any]) -> dict[str, Any]:
    """Shape the one row of ``decision.sql``: ``gates`` is the whole ledger, in the order of evaluation."""
    columns = [row[f"gates.{name}"] for name in _GATE_COLUMNS]
    return {
        **{name: row[name] for name in _PLAIN},
        "alternatives": json.loads(row["alternatives"] or "null"),
        "inputs": json.loads(row["inputs"] or "null"),
        "guard_details": json.loads(row["guard_details"] or "{}"),
        "gates": [dict(zip(_GATE_COLUMNS, gate, strict=True)) for gate in zip(*columns, strict=True)],
        "orders": [dict(zip(_ORDER, order, strict=True)) for order in row["orders"]],
        "fills": [dict(zip(_FILL, fill, strict=True)) for fill in row["fills"]],
    }
