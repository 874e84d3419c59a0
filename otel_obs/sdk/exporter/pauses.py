"""How long to wait before a receiver that did not take something is asked again."""

from __future__ import annotations

from typing import Final

FIRST: Final = 0.5
LONGEST: Final = 30.0
LONGEST_ASKED: Final = 300.0
HURRY: Final = 1.0
_MOST_DOUBLINGS: Final = 16


def pause(failures: int, *, after: float | None, is_hurried: bool, chance: float) -> float:
    """Seconds after this many failures in a row, one at least; ``chance`` is a random number from 0 to 1.

    The bound doubles from 0.5 s to 30 s, or 1 s while somebody waits for a flush; anything below it is as likely
    ("full jitter"), so that many bots do not come back at one moment. ``after``, what the receiver asked for, up to
    5 minutes, is waited in full, and a little more.
    """
    longest = HURRY if is_hurried else LONGEST
    bound: float = min(longest, FIRST * 2.0 ** min(failures - 1, _MOST_DOUBLINGS))
    if after is None:
        return chance * bound
    return min(after, LONGEST_ASKED) + chance * min(bound, FIRST)
