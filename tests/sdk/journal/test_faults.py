"""A disk that is full or cannot be written: memory stands in within its bound, and the disk is gone back to."""

from __future__ import annotations

import logging
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from otel_obs.contract.tiers import Loss, Tier

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.sdk.journal.conftest import Bench, SmallDisk

KB = 1024


def test_a_full_disk_loses_nothing_while_memory_has_room_and_is_gone_back_to_by_itself(
    bench: Callable[..., Bench], small_disk: SmallDisk, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    with small_disk(tmp_path / "small") as make_room:
        one = bench(directory=tmp_path / "small")
        frames = [one.put(size=7 * KB + 13) for _ in range(28)]
        assert one.outbox.standing().state == "disk_full"
        assert one.adds_up()
        assert len([entry for entry in caplog.records if "its disk is full" in entry.message]) == 1
        make_room()
        frames.append(one.put())
        assert one.outbox.standing().state == "on"
        assert sum(path.stat().st_size for path in (tmp_path / "small").glob("durable-*.otlp")) > 28 * 7 * KB
        assert one.deliver_all() == [frame.body for frame in frames]
        assert one.ledger.read()[Tier.DURABLE].lost == {}
        assert one.adds_up()


def test_a_full_disk_and_full_memory_drop_the_cheapest_first_and_say_why(
    bench: Callable[..., Bench], small_disk: SmallDisk, tmp_path: Path
):
    with small_disk(tmp_path / "small"):
        one = bench(directory=tmp_path / "small", most_memory=100 * KB)
        for tier in (Tier.BEST_EFFORT, Tier.STANDARD, Tier.DURABLE):
            for _ in range(150):
                one.put(tier=tier, size=2 * KB)
        balances = one.ledger.read()
        assert {loss for balance in balances.values() for loss in balance.lost} == {Loss.DISK_FULL}
        assert balances[Tier.DURABLE].waiting >= 30
        assert one.adds_up()
        bodies = one.deliver_all()
        assert len(bodies) == sum(balance.waiting for balance in balances.values())
        assert one.adds_up()


def test_a_directory_that_is_removed_while_it_is_written_is_noticed_and_gone_back_to(
    bench: Callable[..., Bench], caplog: pytest.LogCaptureFixture
):
    one = bench()
    assert one.directory is not None
    frames = [one.put() for _ in range(3)]
    shutil.rmtree(one.directory)
    frames += [one.put() for _ in range(3)]
    assert one.outbox.standing().state == "unwritable"
    assert "cannot be written" in caplog.text
    one.directory.mkdir()
    one.outbox.sync()
    assert one.outbox.standing().state == "on"
    assert list(one.directory.glob("*.otlp"))
    assert one.deliver_all() == [frame.body for frame in frames]
    assert one.adds_up()


def test_a_directory_that_never_was_writable_leaves_memory_and_its_losses_are_named(bench: Callable[..., Bench]):
    one = bench(most_memory=20 * KB)
    assert one.directory is not None
    one.directory.rmdir()
    one.directory.write_text("a file stands here")
    for _ in range(50):
        one.put(size=KB)
    balance = one.ledger.read()[Tier.DURABLE]
    assert balance.lost[Loss.UNWRITABLE] == 50 - balance.waiting > 0
    assert len(one.deliver_all()) == balance.waiting
    assert one.adds_up()
    one.directory.unlink()


def test_what_is_said_is_logged_without_holding_the_lock(bench: Callable[..., Bench]):
    """A handler of logging that records itself, as OpenTelemetry's does, must neither hang nor be lost."""
    one = bench(most_memory=1 << 20)
    assert one.directory is not None
    handler = logging.Handler()
    handler.emit = lambda _: one.put() and None  # type: ignore[method-assign,assignment,return-value]
    logging.getLogger("otel_obs").addHandler(handler)
    try:
        one.put()
        shutil.rmtree(one.directory)
        one.put()
    finally:
        logging.getLogger("otel_obs").removeHandler(handler)
    assert len(one.deliver_all()) == 3
    assert one.adds_up()


@pytest.mark.parametrize("fsync", ["second", "each"])
def test_forcing_to_the_disk_changes_nothing_but_the_price(bench: Callable[..., Bench], fsync: str):
    one = bench(fsync=fsync, segment_bytes=5 * KB)
    frames = [one.put(size=KB) for _ in range(20)]
    one.outbox.sync()
    assert one.deliver_all() == [frame.body for frame in frames]


def test_a_forked_child_lets_go_of_the_files_and_touches_none(bench: Callable[..., Bench]):
    one = bench()
    frames = [one.put() for _ in range(3)]
    child = os.fork()
    if not child:
        status = 1
        try:
            one.outbox.abandon()
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    frames.append(one.put())
    assert one.deliver_all() == [frame.body for frame in frames]
