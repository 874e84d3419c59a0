"""Packing: a complete segment that still waits, written anew: without what is settled, small frames joined, compressed.

A receiver that is away for a day would else leave a hundred thousand small frames, each an object in memory.
"""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_obs.sdk.frames import Frame, how_many
from otel_obs.sdk.journal import framing
from otel_obs.sdk.otlp.turns import GiveWay

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from otel_obs.sdk.frames import Ranges, Signal
    from otel_obs.sdk.journal.segment import Segment

_MOST_RECORDS: Final = 500  # of a joined frame: a poisoned one is halved until the poison is found
_MOST_BYTES: Final = 128 << 10
_LEVEL: Final = 6
DRAFT: Final = ".part"


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What is to take a segment's place: a file beside it, the frames in it, and those for which it stands."""

    path: Path
    frames: tuple[framing.Found, ...]
    stands_for: frozenset[int]  # offsets in the segment


def pack(segment: Segment, waiting: frozenset[int]) -> Draft | None:
    """Write the draft of a segment whose frames at these offsets wait; None where that cannot be done.

    Touches nothing else, and so needs nobody's lock.
    """
    path = segment.path.with_suffix(DRAFT)
    try:
        content = segment.path.read_bytes()
        every = framing.scan(content, pause=GiveWay())
        found = [one for one in every if isinstance(one, framing.Found) and one.offset in waiting]
        if len(found) != len(waiting):
            return None  # some are damaged: they are counted when they are asked for
        written = b"".join(_joined(found, content))
        path.write_bytes(gzip.compress(written, _LEVEL))
        path.chmod(0o600)
    except OSError:
        path.unlink(missing_ok=True)
        return None
    frames = tuple(one for one in framing.scan(written) if isinstance(one, framing.Found))
    return Draft(path=path, frames=frames, stands_for=waiting)


def _joined(found: Iterable[framing.Found], content: bytes) -> Iterator[bytes]:
    """Frames of one signal one after the other become one, within bounds."""
    groups: dict[Signal, list[framing.Found]] = {}
    filled: dict[Signal, tuple[int, int]] = {}
    for one in found:
        signal = one.header.signal
        group = groups.setdefault(signal, [])
        records, size = filled.get(signal, (0, 0))
        if group and (records + one.header.records > _MOST_RECORDS or size + one.length > _MOST_BYTES):
            yield _one_frame(group, content)
            group.clear()
            records = size = 0
        group.append(one)
        filled[signal] = (records + one.header.records, size + one.length)
    for group in groups.values():
        yield _one_frame(group, content)


def _one_frame(group: list[framing.Found], content: bytes) -> bytes:
    first = group[0].header
    numbers = _merged(each.header.numbers for each in group)
    frame = Frame(
        first.signal, first.tier, sum(each.header.records for each in group), numbers, first.at_ns,
        b"".join(content[each.start : each.start + each.length] for each in group),
    )  # fmt: skip
    # What the ledger had confirmed at the end of the group must not come out higher than it was.
    end = max(each.header.confirmed + each.header.numbered for each in group)
    buffers, _ = framing.packed(frame, confirmed=max(0, end - how_many(numbers)))
    return b"".join(buffers)


def _merged(ranges: Iterable[Ranges]) -> Ranges:
    found: list[list[int]] = []
    for first, last in sorted(run for runs in ranges for run in runs):
        if found and first <= found[-1][1] + 1:
            found[-1][1] = max(found[-1][1], last)
        else:
            found.append([first, last])
    return tuple((first, last) for first, last in found)
