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


_DEEPEST: Final = 32  # levels of a map that are taken apart


def _is_within(value: Any, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return levels > 0 and all(_is_within(item, levels - 1) for item in inner)


def _read(text: str) -> Any:
    """JSON that the engine called valid. What Python refuses (thousands of digits, of levels) stays text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if _is_within(value, _DEEPEST) else text


def ledger(row: Mapping[str, Any]) -> dict[str, Any]:
    """Shape the one row of ``decision.sql``: ``gates`` is the whole ledger, in the order of evaluation."""
    columns = [row[f"gates.{name}"] for name in _GATE_COLUMNS]
    return {
        **{name: row[name] for name in _PLAIN},
        "alternatives": _read(row["alternatives"] or "null"),
        "inputs": _read(row["inputs"] or "null"),
        "guard_details": _read(row["guard_details"] or "{}"),
        "gates": [dict(zip(_GATE_COLUMNS, gate, strict=True)) for gate in zip(*columns, strict=True)],
        "orders": [dict(zip(_ORDER, order, strict=True)) for order in row["orders"]],
        "fills": [dict(zip(_FILL, fill, strict=True)) for fill in row["fills"]],
    }
