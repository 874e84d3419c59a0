"""ClickHouse's compressed frames and HTTP's content encodings: what goes in comes out, and damage is told."""

from __future__ import annotations

import gzip
import struct
import sys
import zlib
from typing import TYPE_CHECKING

import lz4.block
import lz4.frame
import pytest
from clickhouse_cityhash.cityhash import CityHash128
from hypothesis import given
from hypothesis import strategies as st

from otel_obs.errors import QueryError
from otel_obs.store.embedded.clickhouse_frames import bounded, framed, plain_frame, uncompressed, unframed

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIMIT = 1 << 22
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "lz4": lz4.frame.compress,
    "zstd": zstd.compress,
    "identity": bytes,
}


def cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def frame(method: int, packed: bytes, size: int) -> bytes:
    body = struct.pack("<BII", method, 9 + len(packed), size) + packed
    checksum = CityHash128(body)
    return struct.pack("<QQ", checksum >> 64, checksum & (2**64 - 1)) + body


def unpacked(data: bytes) -> bytes:
    return b"".join(unframed([data], LIMIT))


def refusal_of(action: Callable[[], object]) -> int | None:
    try:
        action()
    except QueryError as error:
        return error.code
    return None


# ---- frames


@given(st.lists(st.binary()), st.integers(1, 50))
def test_what_is_framed_comes_out_again_however_it_is_cut(pieces: list[bytes], size: int) -> None:
    wire = b"".join(framed(pieces))
    assert b"".join(unframed(cut(wire, size), LIMIT)) == b"".join(pieces)


def test_a_large_piece_becomes_frames_of_one_mib() -> None:
    frames = list(framed([bytes(2_500_000)]))
    assert [len(unpacked(one)) for one in frames] == [1 << 20, 1 << 20, 2_500_000 - 2 * (1 << 20)]


def test_all_methods_of_clickhouse_are_read() -> None:
    data = b"abc" * 1000
    lz4_frame = frame(0x82, lz4.block.compress(data, store_size=False), len(data))
    zstd_frame = frame(0x90, zstd.compress(data), len(data))
    assert unpacked(lz4_frame + zstd_frame + plain_frame(data)) == data * 3


def test_a_frame_has_the_bytes_that_clickhouse_writes() -> None:
    assert plain_frame(b"abc").hex() == "c3c156a66b0883dc1961b84f7d1a8a0d020c00000003000000616263"


@given(st.binary())
def test_arbitrary_bytes_are_no_frames_and_raise_nothing_but_a_query_error(data: bytes) -> None:
    assert refusal_of(lambda: unpacked(data)) in {None, 40, 229, 271}


@given(st.sampled_from([0x82, 0x90, 0x02, 0x99]), st.binary(), st.integers(0, 5000))
def test_frames_with_a_right_checksum_and_arbitrary_contents_raise_nothing_but_a_query_error(
    method: int, packed: bytes, size: int
) -> None:
    assert refusal_of(lambda: unpacked(frame(method, packed, size))) in {None, 89, 271}


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        (frame(0x82, b"\x30abc", 3)[:-1], 271),
        (frame(0x82, b"\x30abc", 3)[:10], 271),
        (frame(0x82, b"\x30abc", 3)[:-1] + b"X", 40),
        (frame(0x82, b"\x30abc", 4), 271),
        (frame(0x90, zstd.compress(bytes(1 << 20)), 10), 271),
        (frame(0x02, b"abc", LIMIT + 1), 229),
        (frame(0x94, b"abc", 3), 89),
    ],
    ids=["cut short", "cut in the header", "damaged", "wrong size", "a bomb", "too large", "unknown method"],
)
def test_what_is_wrong_with_a_frame_is_told(wire: bytes, code: int) -> None:
    with pytest.raises(QueryError) as refused:
        unpacked(wire)
    assert refused.value.code == code


# ---- content encodings


@given(st.sampled_from(sorted(PACKERS)), st.lists(st.binary(), min_size=1), st.integers(1, 50))
def test_what_is_packed_comes_out_again_also_in_several_members(encoding: str, members: list[bytes], size: int) -> None:
    wire = b"".join(PACKERS[encoding](member) for member in members)
    assert b"".join(uncompressed(cut(wire, size), encoding)) == b"".join(members)


@given(st.sampled_from(sorted(PACKERS)), st.binary())
def test_arbitrary_bytes_raise_nothing_but_a_query_error(encoding: str, data: bytes) -> None:
    assert refusal_of(lambda: list(uncompressed([data], encoding))) in {None, 271}


@given(st.sampled_from(sorted(PACKERS.keys() - {"identity"})), st.binary(min_size=100), st.data())
def test_a_damaged_body_raises_nothing_but_a_query_error(encoding: str, contents: bytes, data: st.DataObject) -> None:
    wire = bytearray(PACKERS[encoding](contents))
    wire[data.draw(st.integers(0, len(wire) - 1))] ^= data.draw(st.integers(1, 255))
    assert refusal_of(lambda: list(uncompressed([bytes(wire)], encoding))) in {None, 271}


@pytest.mark.parametrize("encoding", sorted(PACKERS.keys() - {"identity"}))
def test_a_body_that_is_cut_short_is_refused(encoding: str) -> None:
    with pytest.raises(QueryError, match="cut short"):
        list(uncompressed([PACKERS[encoding](b"abc" * 100)[:-1]], encoding))


@pytest.mark.parametrize("encoding", sorted(PACKERS.keys() - {"identity"}))
def test_a_bomb_is_stopped_at_the_limit(encoding: str) -> None:
    bomb = PACKERS[encoding](bytes(100 * LIMIT))
    taken: list[bytes] = []
    assert refusal_of(lambda: taken.extend(bounded(uncompressed([bomb], encoding), LIMIT))) == 229
    assert sum(map(len, taken)) <= LIMIT


def test_an_unknown_encoding_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(QueryError, match="gzip, deflate, lz4, zstd") as refused:
        uncompressed([], "br")
    assert refused.value.code == 89
