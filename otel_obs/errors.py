"""Every error that we raise, as one tree; each says what happened, with which values, and what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_NAMES: Final = 30


class OtelObsError(Exception):
    """Root of the tree.

    ``fix`` is the sentence that tells the reader what to do next; it is part of ``str(error)``.
    """

    def __init__(self, what: str, *, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.what} {self.fix}".rstrip()


class SettingError(OtelObsError):
    """A setting has a value that cannot be understood."""


class MissingExtraError(OtelObsError):
    """A part was asked for whose packages are not installed."""

    def __init__(self, part: str, *, extra: str) -> None:
        super().__init__(f"{part} needs packages that are not installed.", fix=f"pip install 'otel-obs[{extra}]'")
        self.extra = extra


class ContractError(OtelObsError):
    """A record breaks the contract. Raised only under ``strict``; otherwise counted, marked and logged once."""


class StoreError(OtelObsError):
    """The store could not do what was asked."""


class QueryError(StoreError):
    """The engine refused a statement; ``code`` is ClickHouse's own number (0 where it gave none)."""

    def __init__(self, what: str, *, code: int = 0, fix: str = "") -> None:
        super().__init__(what, fix=fix)
        self.code = code


class DataDirectoryError(StoreError):
    """The data directory is in use, not writable, or not ours."""


class PortError(StoreError):
    """A port that was asked for cannot be bound."""


class SchemaError(StoreError):
    """The schema in the store is newer than this program, or its history was changed."""


class UnansweredError(OtelObsError):
    """Nobody answered, or refused, or somebody else did than was asked."""


class QuestionError(OtelObsError):
    """A report or one of its parameters is unknown or cannot be understood."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The sentence that helps who mistyped a name: the nearest known one, else those that there are."""
    import difflib

    names = list(known)
    if near := difflib.get_close_matches(name, names, n=1):
        return f"Did you mean {near[0]}?"
    more = " …" if len(names) > _MOST_NAMES else ""
    return f"Known: {', '.join(names[:_MOST_NAMES])}{more}." if names else ""
