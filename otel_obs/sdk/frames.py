"""A frame: some encoded records of one signal and one tier, on their way from the encoder to the receiver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from otel_obs.contract.tiers import Tier

Signal = Literal["traces", "logs"]
Ranges = tuple[tuple[int, int], ...]


class Frame(NamedTuple):
    """``body`` is a whole OTLP request; bodies of one signal joined end to end are one request again.

    ``numbers`` are the ledger's numbers of its records in this tier, first and last of each run, ascending. Records
    that the ledger does not number (its own statements) are in ``records`` only.
    """

    signal: Signal
    tier: Tier
    records: int
    numbers: Ranges
    at_ns: int
    body: bytes


def runs(numbers: Iterable[int]) -> Ranges:
    """Numbers, in any order, as ascending runs of first and last."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number <= found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return tuple((first, last) for first, last in found)


def how_many(ranges: Iterable[tuple[int, int]]) -> int:
    """How many numbers the runs hold."""
    return sum(last - first + 1 for first, last in ranges)
