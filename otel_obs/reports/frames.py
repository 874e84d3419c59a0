"""Answers as tables of other libraries: Arrow and pandas, where they are installed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import is_dataclass
from datetime import datetime
from decimal import Decimal
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from otel_obs.errors import MissingExtraError
from otel_obs.reports.rows import columns, told

_PRECISION, _SCALE = 38, 18
_LARGEST = Decimal(10) ** (_PRECISION - _SCALE)


def arrow(rows: Sequence[Any], row: type) -> Any:
    """Rows as a ``pyarrow.Table``, of the same columns and types however many rows there are.

    Times are ``timestamp[us, UTC]``, amounts ``decimal128(38, 18)`` (``decimal256(76, 18)`` where one does not fit),
    maps and nested values JSON text.

    Raises:
        MissingExtraError: pyarrow is not installed.

    """
    try:
        import pyarrow as pa
    except ImportError:
        raise MissingExtraError("Arrow", extra="arrow") from None
    plain = {
        str: pa.string(),
        int: pa.int64(),
        float: pa.float64(),
        bool: pa.bool_(),
        datetime: pa.timestamp("us", tz="UTC"),
        Decimal: pa.decimal128(_PRECISION, _SCALE),
    }
    hints = get_type_hints(row)
    fields, values = [], []
    given = [told(one) for one in rows]
    for name in columns(row):
        kinds = _kinds(hints[name])
        found = [one[name] for one in given]
        if hints[name] in {list[str], Sequence[str]}:
            kind = pa.list_(pa.string())
        elif kinds == [float, Decimal]:
            kind, found = pa.float64(), [None if value is None else float(value) for value in found]
        elif len(kinds) == 1 and kinds[0] in plain:
            kind = plain[kinds[0]]
        else:
            kind, found = pa.string(), [None if value is None else _json(value) for value in found]
        if kind == plain[Decimal] and any(value is not None and abs(value) >= _LARGEST for value in found):
            kind = pa.decimal256(2 * _PRECISION, _SCALE)  # a sum beyond what 38 digits hold: wider, never cut
        fields.append(pa.field(name, kind))
        values.append(pa.array(found, kind))
    return pa.Table.from_arrays(values, schema=pa.schema(fields))


def pandas(rows: Sequence[Any], row: type) -> Any:
    """Rows as a ``pandas.DataFrame``: times are UTC, amounts stay ``Decimal``, maps and lists as they are.

    Raises:
        MissingExtraError: pandas is not installed.

    """
    try:
        import pandas as pd
    except ImportError:
        raise MissingExtraError("pandas", extra="pandas") from None
    frame = pd.DataFrame([told(one) for one in rows], columns=columns(row))
    hints = get_type_hints(row)
    for name in columns(row):
        if datetime in _kinds(hints[name]):
            frame[name] = pd.to_datetime(frame[name], utc=True)
    return frame


def _kinds(hint: Any) -> list[Any]:
    """The types that a column may have, besides None."""
    return [kind for kind in get_args(hint) if kind is not NoneType] if get_origin(hint) is UnionType else [hint]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return vars(value)
    return value.isoformat() if isinstance(value, datetime) else str(value)
