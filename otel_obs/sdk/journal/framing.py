"""Frames as they lie in a segment: a head of fixed size, a small JSON header, the body; and how they are found."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from otel_obs.contract.tiers import Loss, Tier
from otel_obs.sdk.frames import Frame, how_many
from otel_obs.sdk.otlp.turns import hold_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otel_obs.sdk.frames import Ranges, Signal

MAGIC: Final = b"\xf5OTF"  # its first byte begins no UTF-8 text, and no protobuf field of OTLP
_HEAD: Final = struct.Struct("<4sIIII")  # magic, length of the header, of the body, checksums of header and of body
_LENGTHS: Final = struct.Struct("<III")
_AT_ONCE: Final = 20  # frames between two pauses
_LONGEST_HEADER: Final = 16 << 20


@dataclass(frozen=True, kw_only=True)
class Header:
    """What stands before a body. ``confirmed`` are the tier's confirmed records *before* this frame.

    ``loss`` and ``words`` are set where the receiver refused the frame for good; ``instance`` is then who said it.
    """

    signal: Signal
    tier: Tier
    records: int
    numbers: Ranges
    at_ns: int
    confirmed: int = 0
    loss: Loss | None = None
    words: str = ""
    instance: str = ""

    @property
    def numbered(self) -> int:
        """How many of its records the ledger numbers."""
        return how_many(self.numbers)


@dataclass(frozen=True, kw_only=True)
class Found:
    """An intact frame: the frame begins at ``offset``, its body at ``start``. Bytes."""

    header: Header
    offset: int
    start: int
    length: int
    checksum: int


@dataclass(frozen=True, kw_only=True)
class Damage:
    """Bytes that hold no intact frame. ``header`` is known where only the body is damaged.

    One that ``is_torn`` ends the file too early: what a kill in mid-write leaves behind was never confirmed.
    """

    offset: int
    length: int
    is_torn: bool
    header: Header | None = None


def packed(frame: Frame, *, confirmed: int = 0, **more: str) -> tuple[list[bytes], int]:
    """The frame as buffers that are written in one call, and the checksum of its body."""
    told = {
        "signal": frame.signal,
        "tier": frame.tier.value,
        "records": frame.records,
        "numbers": frame.numbers,
        "at": frame.at_ns,
        "confirmed": confirmed,
        **more,
    }
    header = json.dumps(told, separators=(",", ":")).encode()
    of_body = zlib.crc32(frame.body)
    head = _HEAD.pack(MAGIC, len(header), len(frame.body), _checksum(header, len(frame.body), of_body), of_body)
    return [head, header, frame.body], of_body


def _checksum(header: bytes, length: int, of_body: int) -> int:
    return zlib.crc32(header, zlib.crc32(_LENGTHS.pack(len(header), length, of_body)))


def scan(content: bytes, *, pause: Callable[[], None] = hold_on) -> Iterator[Found | Damage]:
    """Every intact frame, and every stretch between that holds none; ascending, together the whole content.

    ``pause`` is called every few frames: beside a bot, to let its threads go first.
    """
    at, end = 0, len(content)
    for turn in count():
        if at >= end:
            return
        if not turn % _AT_ONCE:
            pause()
        found = _at(content, at)
        if found is None or found.start + found.length > end:
            following = _next(content, at + 1)
            yield Damage(
                offset=at, length=(following or end) - at, is_torn=following is None,
                header=found.header if found else None,
            )  # fmt: skip
            at = following or end
            continue
        after = found.start + found.length
        if zlib.crc32(memoryview(content)[found.start : after]) == found.checksum:
            yield found
        else:
            yield Damage(offset=at, length=after - at, is_torn=False, header=found.header)
        at = after


def _next(content: bytes, at: int) -> int | None:
    """The next place where a header can be read."""
    while (at := content.find(MAGIC, at)) >= 0:
        if _at(content, at) is not None:
            return at
        at += 1
    return None


def _at(content: bytes, offset: int) -> Found | None:
    """The frame whose header stands at ``offset``, whatever its body is."""
    start = offset + _HEAD.size
    if start > len(content):
        return None
    magic, of_header, length, checksum, of_body = _HEAD.unpack_from(content, offset)
    if magic != MAGIC or of_header > _LONGEST_HEADER or start + of_header > len(content):
        return None
    header = content[start : start + of_header]
    if _checksum(header, length, of_body) != checksum:
        return None
    try:
        told = _header(json.loads(header))
    except (ValueError, KeyError, TypeError):  # written by another version of us
        return None
    return Found(header=told, offset=offset, start=start + of_header, length=length, checksum=of_body)


def _header(told: dict[str, Any]) -> Header:
    return Header(
        signal=told["signal"],
        tier=Tier(told["tier"]),
        records=told["records"],
        numbers=tuple((first, last) for first, last in told["numbers"]),
        at_ns=told["at"],
        confirmed=told["confirmed"],
        loss=Loss(told["loss"]) if told.get("loss") else None,
        words=told.get("words", ""),
        instance=told.get("instance", ""),
    )
