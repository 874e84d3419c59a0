"""The delivery ledger: what a process says of its records, held against the numbers that arrived. Pure functions."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class State(StrEnum):
    """How a ledger stands, the worst first."""

    DOES_NOT_ADD_UP = "does_not_add_up"
    LOST = "lost"
    NO_STATEMENT = "no_statement"
    WAITING = "waiting"
    ADDS_UP = "adds_up"
    NOT_NUMBERED = "not_numbered"


def balance(found: Mapping[str, Any]) -> dict[str, Any]:
    """Hold one row of ``delivery.sql`` against itself.

    The answer's ``produced`` = ``stored`` + ``journaled`` + Σ ``dropped`` + ``sampled`` + ``unconfirmed``
    + ``unaccounted`` - ``overcounted``, always; the last two are 0 where the ledger adds up.
    """
    told = found["produced"] is not None
    untaken, lost = _counted(found["untaken"]), _counted(found["lost"])
    missing = found["numbered"] - found["stored"] if told else 0
    gone, left = lost.total(), missing
    left -= min(left, gone)
    unconfirmed = min(left, found["unconfirmed"])
    left -= unconfirmed
    if found["process"] == "ended":  # nobody will send them any more: they died with it
        gone, unconfirmed = gone + found["unconfirmed"], found["unconfirmed"]
    journaled = min(left, found["journaled"])
    unaccounted, overcounted = left - journaled, max(0, gone - missing)
    if told:
        more_said = found["produced"] - found["numbered"] - found["sampled"] - untaken.total()
        unaccounted, overcounted = unaccounted + max(0, more_said), overcounted + max(0, -more_said)
    gaps = _joined(found["pieces"])[: found["most_gaps"]]
    row = {
        "journaled": journaled,
        "dropped": {reason: count for reason, count in sorted((untaken + lost).items()) if count},
        "sampled": found["sampled"],
        "unconfirmed": unconfirmed,
        "unaccounted": unaccounted,
        "overcounted": overcounted,
        "missing": missing,
        "gaps": [str(first) if first == last else f"{first}-{last}" for first, last in gaps],
        "missing_elsewhere": missing - sum(last - first + 1 for first, last in gaps),
        "since": found["arrived"] - found["stored"] if told else 0,
    }
    stored = found["stored"] if told else found["arrived"]
    return {**row, "produced": found["produced"], "stored": stored, "state": _state(found, row, told=told)}


def total(rows: Sequence[Mapping[str, Any]], *, not_numbered: int) -> dict[str, Any]:
    """Add up the balances of one service; it stands as the worst of them.

    What arrived of processes that told nothing is left out where others did: the sum is one ledger again.
    """
    sums = ("stored", "journaled", "sampled", "unconfirmed", "unaccounted", "overcounted", "missing", "since")
    told = [row for row in rows if row["produced"] is not None]
    dropped: Counter[str] = sum((Counter(row["dropped"]) for row in told), Counter())
    return {
        **{name: sum(row[name] for row in told or rows) for name in sums},
        "produced": sum(row["produced"] for row in told) if told else None,
        "dropped": dict(sorted(dropped.items())),
        "not_numbered": not_numbered,
        "state": min((State(row["state"]) for row in rows), key=list(State).index, default=State.NOT_NUMBERED).value,
    }


def _state(found: Mapping[str, Any], row: Mapping[str, Any], *, told: bool) -> str:
    if not told:
        return State.NO_STATEMENT.value if found["tier"] is not None else State.NOT_NUMBERED.value
    if row["unaccounted"] or row["overcounted"]:
        return State.DOES_NOT_ADD_UP.value
    if row["dropped"] or (row["unconfirmed"] and found["process"] == "ended"):
        return State.LOST.value
    return (State.WAITING if row["journaled"] or row["unconfirmed"] else State.ADDS_UP).value


def _counted(reasons: Iterable[tuple[str, int]]) -> Counter[str]:
    """By reason; JSON may name one twice."""
    counts: Counter[str] = Counter()
    for reason, count in reasons:
        counts[reason] += count
    return counts


def _joined(pieces: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ascending pieces, each from its first number to the one behind its last, as ranges of first and last."""
    found: list[tuple[int, int]] = []
    for first, behind in pieces:
        if found and found[-1][1] + 1 == first:
            found[-1] = found[-1][0], behind - 1
        else:
            found.append((first, behind - 1))
    return found
