"""What wraps a body: ClickHouse's compressed frames and HTTP's content encodings, piece by piece; no requests here."""

from __future__ import annotations

import struct
import sys
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import lz4.block
import lz4.frame
from clickhouse_cityhash.cityhash import CityHash128

from otel_obs.errors import QueryError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

CHECKSUM_DOESNT_MATCH: Final = 40
UNKNOWN_COMPRESSION_METHOD: Final = 89
QUERY_IS_TOO_LARGE: Final = 229
CANNOT_DECOMPRESS: Final = 271

_LZ4: Final = 0x82
_ZSTD: Final = 0x90
_NONE: Final = 0x02
_CHECKSUM: Final = 16
_HEADER: Final = struct.Struct("<BII")  # method, bytes with this header, bytes unpacked
_FRAME: Final = 1 << 20
_PIECE: Final = 1 << 20


def bounded(pieces: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """The pieces, as long as they hold at most ``limit`` bytes together.

    Raises:
        QueryError: they hold more (code 229).

    """
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > limit:
            raise too_large(limit)
        yield piece


def too_large(limit: int) -> QueryError:
    """The refusal of a body of more than ``limit`` bytes."""
    return QueryError(
        f"The request's body holds more than {limit} bytes when unpacked.",
        code=QUERY_IS_TOO_LARGE,
        fix="Send the rows in several INSERTs.",
    )


def framed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces in LZ4 frames of at most one MiB unpacked."""
    for piece in pieces:
        for start in range(0, len(piece), _FRAME):
            part = piece[start : start + _FRAME]
            yield _frame(_LZ4, lz4.block.compress(part, store_size=False), len(part))


def plain_frame(data: bytes) -> bytes:
    """``data`` in one frame that is not compressed: a client may look for words in it before it unpacks it."""
    return _frame(_NONE, data, len(data))


def _frame(method: int, packed: bytes, size: int) -> bytes:
    body = _HEADER.pack(method, _HEADER.size + len(packed), size) + packed
    return _checksum(body) + body


def _checksum(body: bytes) -> bytes:
    number = CityHash128(body)
    return struct.pack("<QQ", number >> 64, number & 0xFFFF_FFFF_FFFF_FFFF)


def unframed(pieces: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """The contents of ClickHouse's frames: LZ4, ZSTD or not compressed; a frame holds at most ``limit`` bytes.

    Raises:
        QueryError: a frame is cut short, too large, damaged, or of a method that is none of these.

    """
    source = _Source(pieces)
    while checksum := source.take(_CHECKSUM):
        header = source.take(_HEADER.size)
        if len(header) < _HEADER.size:
            raise _cut_short("A compressed frame")
        method, length, size = _HEADER.unpack(header)
        if max(length, size) > limit:
            raise too_large(limit)
        packed = source.take(max(0, length - _HEADER.size))
        if _HEADER.size + len(packed) != length:
            raise _cut_short("A compressed frame")
        if _checksum(header + packed) != checksum:
            raise QueryError("Checksum of a compressed frame doesn't match.", code=CHECKSUM_DOESNT_MATCH)
        yield _unpacked(method, packed, size)


class _Source:
    """Takes exact counts of bytes from pieces of any size."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._held = bytearray()

    def take(self, count: int) -> bytes:
        while len(self._held) < count and (piece := next(self._pieces, None)) is not None:
            self._held += piece
        taken = bytes(self._held[:count])
        del self._held[:count]
        return taken


def _unpacked(method: int, packed: bytes, size: int) -> bytes:
    with _refusing("A compressed frame"):
        if method == _LZ4:
            data: bytes = lz4.block.decompress(packed, uncompressed_size=size)
        elif method == _ZSTD:
            data = zstd.ZstdDecompressor().decompress(packed, size + 1)
        elif method == _NONE:
            data = packed
        else:
            raise QueryError(f"Unknown compression method of a frame: {method:#04x}.", code=UNKNOWN_COMPRESSION_METHOD)
    if len(data) != size:
        raise QueryError("A compressed frame holds another number of bytes than it says.", code=CANNOT_DECOMPRESS)
    return data


class _Zlib:
    """zlib's decompressor with the interface that the others have."""

    def __init__(self, window: int) -> None:
        self._zlib = zlib.decompressobj(window)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


_DECOMPRESSORS: Final[dict[str, Callable[[], Any]]] = {
    "gzip": lambda: _Zlib(zlib.MAX_WBITS | 16),
    "deflate": lambda: _Zlib(zlib.MAX_WBITS),
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "zstd": zstd.ZstdDecompressor,
}


def uncompressed(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """The contents of a body with this Content-Encoding, in pieces of at most one MiB.

    Raises:
        QueryError: the encoding is not supported, or the body is damaged.

    """
    coding = encoding.strip().lower()
    if coding in {"", "identity"}:
        return iter(pieces)
    if coding not in _DECOMPRESSORS:
        raise QueryError(
            f"Unknown Content-Encoding: {encoding!r}.",
            code=UNKNOWN_COMPRESSION_METHOD,
            fix=f"Use one of {', '.join(_DECOMPRESSORS)}.",
        )
    return _decompressed(pieces, coding)


def _decompressed(pieces: Iterable[bytes], coding: str) -> Iterator[bytes]:
    member: Any = None  # a body may hold several, one after the other
    for piece in pieces:
        data = piece
        while data or not (member is None or member.needs_input):
            member = member or _DECOMPRESSORS[coding]()
            with _refusing(f"The {coding} body"):
                unpacked: bytes = member.decompress(data, max_length=_PIECE)
            yield unpacked
            data, member = (member.unused_data or b"", None) if member.eof else (b"", member)
    if member is not None:
        raise _cut_short(f"The {coding} body")


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError, zlib.error, zstd.ZstdError, lz4.block.LZ4BlockError) as error:
        raise QueryError(f"{what} cannot be decompressed: {error}.", code=CANNOT_DECOMPRESS) from error


def _cut_short(what: str) -> QueryError:
    return QueryError(f"{what} is cut short.", code=CANNOT_DECOMPRESS)
