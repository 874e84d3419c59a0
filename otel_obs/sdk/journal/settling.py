"""What became of a segment's frames: appended to a file beside it, so that the segment itself never changes."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from otel_obs.contract.tiers import Loss

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_RECORD: Final = struct.Struct("<QQIHH")
_CHECK: Final = struct.Struct("<I")
SIZE: Final = _RECORD.size + _CHECK.size
_LOSSES: Final = tuple(Loss)


@dataclass(frozen=True, kw_only=True)
class Settled:
    """``numbered`` records of the frame at ``offset`` were delivered (``loss`` None), or lost.

    ``before`` is what the ledger had counted so until then. It is written before the ledger counts: a process that is
    killed between the two leaves behind what its ledger should say.
    """

    offset: int
    numbered: int
    before: int
    loss: Loss | None = None


def packed(settled: Iterable[Settled]) -> bytes:
    """As they lie in the file."""
    return b"".join(map(_one, settled))


def _one(settled: Settled) -> bytes:
    kind = 0 if settled.loss is None else 1 + _LOSSES.index(settled.loss)
    record = _RECORD.pack(settled.offset, settled.before, settled.numbered, kind, 0)
    return record + _CHECK.pack(zlib.crc32(record))


def end(content: bytes) -> int:
    """Where the next is to be written: behind the last that is whole. Room that is reserved holds zeros."""
    last = 0
    for at in range(0, len(content) - SIZE + 1, SIZE):
        if _CHECK.unpack_from(content, at + _RECORD.size)[0] == zlib.crc32(content[at : at + _RECORD.size]):
            last = at + SIZE
    return last


def read(content: bytes) -> Iterator[Settled]:
    """Those that are whole; a torn one at the end, or a damaged one, is as if it had not been written."""
    for at in range(0, len(content) - SIZE + 1, SIZE):
        record = content[at : at + _RECORD.size]
        if _CHECK.unpack_from(content, at + _RECORD.size)[0] != zlib.crc32(record):
            continue
        offset, before, numbered, kind, _ = _RECORD.unpack(record)
        if kind <= len(_LOSSES):
            yield Settled(offset=offset, before=before, numbered=numbered, loss=_LOSSES[kind - 1] if kind else None)
