"""What all rows have in common: how one is made of what the store answered, and told."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row; times are aware and in UTC, amounts are ``Decimal``, None is unknown or does not apply."""

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        """Make one of what the store answered; columns that are no fields are left out."""
        return cls(**{column.name: found[column.name] for column in fields(cls)})


OF_ALL: Final = {"of_all": True}


def columns(row: type) -> list[str]:
    """The columns that are told of each row; what is said of all rows at once is not among them."""
    return [column.name for column in fields(row) if not column.metadata.get("of_all")]


def told(row: Any) -> dict[str, Any]:
    """A row as a dict of its columns."""
    found = asdict(row)
    return {name: found[name] for name in columns(type(row))}
