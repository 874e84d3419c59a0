"""The outbox: what is put in comes out in order, is bounded by tier, and every record ends counted."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import pytest

from otel_obs.contract.tiers import Loss, Tier
from otel_obs.sdk.frames import Frame

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.sdk.journal.conftest import Bench

KB = 1024


def _files(directory: Path | None) -> list[str]:
    assert directory is not None
    return sorted(path.name for path in directory.iterdir())


@pytest.mark.parametrize("journal", [True, False])
def test_what_is_put_comes_out_whole_and_is_counted_when_it_is_done(bench: Callable[..., Bench], *, journal: bool):
    one = bench(journal=journal)
    frames = [one.put(records=3) for _ in range(20)]
    assert one.ledger.read()[Tier.DURABLE].confirmed == 60
    assert one.outbox.standing().waiting == {Tier.DURABLE: 60, Tier.STANDARD: 0, Tier.BEST_EFFORT: 0}
    assert one.outbox.standing().state == ("on" if journal else "off")

    assert one.deliver_all() == [frame.body for frame in frames]
    assert one.ledger.read()[Tier.DURABLE].delivered == 60
    assert one.outbox.standing().oldest_at_ns is None
    assert one.adds_up()


def test_a_batch_is_of_one_signal_and_within_its_bounds_but_never_empty(bench: Callable[..., Bench]):
    one = bench()
    for number in range(12):
        one.put(signal="logs" if number % 2 else "traces", records=10, size=KB)
    one.put(signal="traces", records=500, size=90 * KB)
    while batch := one.outbox.take(most_records=25, most_bytes=10 * KB, wait=0):
        assert len({entry.signal for entry in batch}) == 1
        assert len(batch) == 1 or sum(entry.records for entry in batch) <= 25
        assert [entry.at_ns for entry in batch] == sorted(entry.at_ns for entry in batch)
        one.outbox.done(batch)
    assert one.adds_up()


def test_the_backlog_goes_out_oldest_first_and_does_not_keep_what_is_new_waiting(bench: Callable[..., Bench]):
    one = bench()
    backlog = [one.put().body for _ in range(400)]
    log = one.put(signal="logs").body
    new = one.put().body
    seen: list[bytes | None] = []
    for _ in range(4):
        seen += [entry.body() for entry in one.outbox.take(most_records=20, most_bytes=1 << 20, wait=0)]
    assert {new, log} <= set(seen)
    assert seen[:20] == backlog[:20]
    assert [body for body in seen if body in backlog[:100]] == backlog[:40]


def test_what_is_kept_returns_to_its_place(bench: Callable[..., Bench]):
    one = bench()
    frames = [one.put() for _ in range(10)]
    first = one.outbox.take(most_records=3, most_bytes=1 << 20, wait=0)
    one.outbox.keep(first)
    one.outbox.keep(first)
    assert one.deliver_all() == [frame.body for frame in frames]
    one.outbox.done(first)
    assert one.adds_up()


def test_take_wakes_when_something_comes_and_when_it_is_closed(bench: Callable[..., Bench]):
    one = bench()
    taken: list[object] = []
    for act in (one.put, one.outbox.close):
        taker = threading.Thread(
            target=lambda: taken.append(one.outbox.take(most_records=9, most_bytes=9999, wait=120))
        )
        taker.start()
        act()
        taker.join(60)
        assert not taker.is_alive()
    assert list(map(len, taken)) == [1, 0]  # type: ignore[arg-type]


def test_segments_that_are_done_are_deleted_and_the_others_stay(bench: Callable[..., Bench]):
    one = bench(segment_bytes=10 * KB)
    for _ in range(30):
        one.put(size=KB)
    whole = one.outbox.standing()
    assert whole.segments >= 3
    one.outbox.done(one.outbox.take(most_records=20, most_bytes=1 << 20, wait=0))
    assert one.outbox.standing().segments < whole.segments
    assert one.outbox.standing().journal_bytes < whole.journal_bytes
    one.deliver_all()
    one.outbox.close()
    assert _files(one.directory) == []


def test_bodies_beyond_the_bound_in_memory_are_read_back_from_the_disk(bench: Callable[..., Bench]):
    one = bench(most_memory=20 * KB)
    frames = [one.put(size=5 * KB) for _ in range(30)]
    assert one.deliver_all() == [frame.body for frame in frames]


def test_a_body_that_was_damaged_on_disk_is_counted_and_the_others_are_delivered(bench: Callable[..., Bench]):
    one = bench(most_memory=1)
    frames = [one.put(records=2, size=KB) for _ in range(5)]
    (segment,) = (one.directory or frames).glob("*.otlp")  # type: ignore[union-attr]
    content = bytearray(segment.read_bytes())
    content[content.find(frames[2].body) + 7] ^= 1
    segment.write_bytes(content)
    assert one.deliver_all() == [frame.body for place, frame in enumerate(frames) if place != 2]
    assert one.ledger.read()[Tier.DURABLE].lost == {Loss.DAMAGED: 2}
    assert one.adds_up()


def test_compressed_segments_are_smaller_and_still_delivered(bench: Callable[..., Bench]):
    one = bench(segment_bytes=100 * KB, most_memory=1)
    frames = [one.put(size=10 * KB) for _ in range(40)]
    first = one.outbox.take(most_records=3, most_bytes=1 << 20, wait=0)
    before = one.outbox.standing()
    one.outbox.compress()
    after = one.outbox.standing()
    assert after.journal_bytes < before.journal_bytes / 2
    assert (after.waiting, after.waiting_bytes) == (before.waiting, before.waiting_bytes)
    assert [name for name in _files(one.directory) if name.endswith(".gz")]
    assert [entry.body() for entry in first] == [frame.body for frame in frames[:3]]
    one.outbox.done(first)
    taken = one.take_all()
    assert one.said(entry.body() for entry in taken) == one.said(frame.body for frame in frames[3:])
    one.outbox.done(taken)
    assert one.adds_up()
    one.outbox.close()
    assert _files(one.directory) == []


def test_small_frames_that_wait_long_are_joined_and_what_was_delivered_is_left_out(bench: Callable[..., Bench]):
    one = bench(segment_bytes=50 * KB, most_memory=1)
    frames = [one.put(signal="logs" if number % 3 else "traces") for number in range(2_000)]
    one.outbox.done(one.outbox.take(most_records=30, most_bytes=1 << 20, wait=0))
    one.outbox.compress()
    taken = one.take_all()
    assert len(taken) < 300
    assert max(entry.records for entry in taken) <= 500
    said = one.said(entry.body() for entry in taken)
    assert len(said) == len(set(said)) == 1_970
    assert set(said) < set(one.said(frame.body for frame in frames))
    one.outbox.done(taken)
    assert one.ledger.read()[Tier.DURABLE].delivered == 2_000
    assert one.adds_up()


def test_the_bound_is_kept_and_cheaper_tiers_make_room_for_dearer_ones(bench: Callable[..., Bench]):
    bound = 400 * KB
    one = bench(most_bytes=bound, segment_bytes=20 * KB)
    for tier in (Tier.BEST_EFFORT, Tier.STANDARD, Tier.DURABLE):
        for _ in range(500):
            one.put(tier=tier, size=KB)
            standing = one.outbox.standing()
            assert standing.journal_bytes <= bound
            assert sum(path.stat().st_size for path in (one.directory or bound).glob("*.*")) <= bound  # type: ignore[union-attr]
        balances = one.ledger.read()
        if tier is Tier.STANDARD:
            assert balances[Tier.BEST_EFFORT].waiting == 0
            assert balances[Tier.STANDARD].waiting < 0.95 * 400
    assert one.outbox.standing().state == "full"
    assert balances[Tier.STANDARD].waiting == 0
    assert 200 < balances[Tier.DURABLE].waiting < 400
    assert {loss for balance in balances.values() for loss in balance.lost} == {Loss.JOURNAL_FULL}
    assert one.adds_up()
    # What was there first is what is delivered: of its own tier nothing makes room.
    assert one.deliver_all()[0].startswith(b"durable 1-1 ")
    one.put()
    assert one.outbox.standing().state == "on"


def test_frames_on_their_way_are_not_dropped_to_make_room(bench: Callable[..., Bench]):
    one = bench(most_bytes=100 * KB, segment_bytes=10 * KB)
    for _ in range(60):
        one.put(tier=Tier.BEST_EFFORT, size=KB)
    taken = one.take_all()
    for _ in range(200):
        one.put(size=KB)
    one.outbox.done(taken)
    balance = one.ledger.read()[Tier.BEST_EFFORT]
    assert (balance.delivered, balance.lost) == (60, {})
    assert one.adds_up()


def test_without_a_journal_memory_is_bounded_and_drops_the_cheapest_first(bench: Callable[..., Bench]):
    one = bench(journal=False, most_memory=200 * KB)
    for tier in (Tier.BEST_EFFORT, Tier.STANDARD, Tier.DURABLE):
        for _ in range(200):
            one.put(tier=tier, size=KB)
            assert one.outbox.standing().waiting_bytes <= 200 * KB
    balances = one.ledger.read()
    assert balances[Tier.BEST_EFFORT].waiting == balances[Tier.STANDARD].waiting == 0
    assert balances[Tier.DURABLE].waiting > 100
    assert {loss for balance in balances.values() for loss in balance.lost} == {Loss.QUEUE_FULL}
    assert one.adds_up()


def test_refused_records_are_set_aside_with_the_receivers_words_and_the_rest_counts_as_delivered(
    bench: Callable[..., Bench],
):
    one = bench()
    frame = one.put(records=10)
    (entry,) = one.outbox.take(most_records=99, most_bytes=1 << 20, wait=0)
    parts = [
        (Frame("traces", Tier.DURABLE, 1, ((number, number),), frame.at_ns, b"poison"), loss, "no such field")
        for number, loss in ((4, Loss.REFUSED), (9, Loss.TOO_LARGE))
    ]
    one.outbox.refuse(entry, parts, delivered=8)
    balance = one.ledger.read()[Tier.DURABLE]
    assert (balance.delivered, balance.lost) == (8, {Loss.REFUSED: 1, Loss.TOO_LARGE: 1})
    assert one.adds_up()
    (aside,) = (one.directory or entry).glob("refused/refused-*.otlp")  # type: ignore[union-attr]
    content = aside.read_bytes()
    assert content.count(b"poison") == 2
    assert content.count(b"no such field") == 2


def test_refused_records_set_aside_are_bounded_and_the_oldest_go(bench: Callable[..., Bench]):
    one = bench(most_bytes=64 << 20)
    for _ in range(30):
        one.put()
        (entry,) = one.outbox.take(most_records=1, most_bytes=1, wait=0)
        part = Frame("traces", Tier.DURABLE, 1, ((1, 1),), 1, b"x" * 600 * KB)
        one.outbox.refuse(entry, [(part, Loss.REFUSED, "no")], delivered=0)
    files = list((one.directory or part).glob("refused/*"))  # type: ignore[union-attr]
    assert 1 < sum(path.stat().st_size for path in files) <= 4 << 20


def test_a_signal_handler_that_records_in_the_middle_of_a_put_loses_nothing(bench: Callable[..., Bench]):
    one = bench(segment_bytes=20 * KB)
    before = signal.signal(signal.SIGALRM, lambda *_: one.put())
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        for _ in range(3_000):
            one.put()
            if one.ledger.read()[Tier.DURABLE].numbered % 50 == 0:
                one.outbox.done(one.outbox.take(most_records=40, most_bytes=1 << 20, wait=0))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert one.ledger.read()[Tier.DURABLE].numbered > 3_000
    one.deliver_all()
    assert one.adds_up()
    assert one.ledger.read()[Tier.DURABLE].lost == {}


def test_threads_that_put_take_and_give_back_at_once_lose_and_double_nothing(bench: Callable[..., Bench]):
    one = bench(segment_bytes=30 * KB, most_memory=50 * KB)
    is_over = threading.Event()
    got: list[bytes | None] = []

    def say(tier: Tier) -> None:
        for _ in range(400):
            one.put(tier=tier, size=300)

    def send() -> None:
        rounds = 0
        while batch := one.outbox.take(most_records=30, most_bytes=1 << 20, wait=0.01) or not is_over.is_set():
            if batch is True:
                continue
            rounds += 1
            if rounds % 3:
                got.extend(entry.body() for entry in batch)  # type: ignore[union-attr]
                one.outbox.done(batch)  # type: ignore[arg-type]
            else:
                one.outbox.keep(batch)  # type: ignore[arg-type]
                one.outbox.compress()

    sayers = [threading.Thread(target=say, args=(tier,)) for tier in Tier]
    senders = [threading.Thread(target=send) for _ in range(2)]
    for thread in sayers + senders:
        thread.start()
    for thread in sayers:
        thread.join()
    is_over.set()
    for thread in senders:
        thread.join()
    said = one.said(got)
    assert len(said) == len(set(said)) == 1_200
    assert b"?" not in said
    assert one.adds_up()
