"""What every typed fact has in common: its fields' names on the wire, and money as decimals."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Mapping


class Event(BaseModel):
    """A fact. Fields carry their wire name as ``serialization_alias``; unknown fields are kept, and named as such."""

    model_config = ConfigDict(frozen=True, extra="allow", str_strip_whitespace=True, coerce_numbers_to_str=True)

    def wire(self) -> dict[str, Any]:
        """Known fields by wire name; absent ones left out; decimals as plain digits, so that no cent is lost."""
        unknown = set(self.model_extra or ())
        values: Mapping[str, Any] = self.model_dump(by_alias=True, exclude_none=True, exclude=unknown)
        return {name: format(value, "f") if isinstance(value, Decimal) else value for name, value in values.items()}
