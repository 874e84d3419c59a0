"""Counts and largest values over the last so many seconds, in bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_SLICES: Final = 60
_NANO: Final = 1_000_000_000


class Rolling:
    """One number for each slice of the window, 60 of them; what is older is forgotten, to a slice's length.

    Times are nanoseconds of a monotonic clock; the caller keeps calls apart.
    """

    def __init__(self, seconds: float, join: Callable[[float, float], float]) -> None:
        self._length = max(1, int(seconds * _NANO / _SLICES))
        self._join = join
        self._slices: dict[int, float] = {}

    def add(self, value: float, *, now: int) -> None:
        """Take a value in."""
        number = now // self._length
        self._slices[number] = self._join(self._slices[number], value) if number in self._slices else value
        if len(self._slices) > _SLICES + 1:
            self._forget(number)

    def value(self, *, now: int) -> float | None:
        """All of the window together; None where there is nothing."""
        number = now // self._length
        self._forget(number)
        found: float | None = None
        for at, value in self._slices.items():
            if at <= number:
                found = value if found is None else self._join(found, value)
        return found

    def _forget(self, number: int) -> None:
        for old in [at for at in self._slices if at <= number - _SLICES]:
            del self._slices[old]


def total(left: float, right: float) -> float:
    """Sum of two."""
    return left + right
