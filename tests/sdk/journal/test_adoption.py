"""What dead processes left: found again after a kill at any moment, taken over by exactly one, delivered, removed."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import time
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from otel_obs import settings
from otel_obs.contract.tiers import Loss, Tier
from otel_obs.sdk.frames import Frame
from otel_obs.sdk.journal import Departed, Home, Outbox, adopt, open_home, orphans, size_of
from otel_obs.sdk.ledger import TIERS, Ledger, read_ledger

if TYPE_CHECKING:
    from tests.sdk.journal.conftest import SmallDisk

KB = 1024
SERVICE = "my-bot"
SAID = re.compile(rb"\[(\w+) (\d+)-(\d+)\]")
ROUNDS = 25
# Says records of all tiers in frames, delivers some of them to a file that stands for the receiver, until it is killed.
BOT = """
import itertools, random, sys, time
from otel_obs import settings
from otel_obs.contract.tiers import Tier
from otel_obs.sdk.frames import Frame
from otel_obs.sdk.journal import Outbox, open_home
from otel_obs.sdk.ledger import TIERS
root, instance, seed = sys.argv[1:]
chance = random.Random(seed)
home = open_home(settings.override(journal=root), {"service.name": "my-bot", "service.instance.id": instance})
outbox = Outbox(home.ledger, directory=home.directory, most_bytes=chance.choice((100_000, 10_000_000)),
                most_memory=20_000, segment_bytes=30_000)
receiver = open(root + "-received", "ab", buffering=0)
print("ready", flush=True)
for turn in itertools.count():
    place = chance.randrange(3)
    count = chance.randint(1, 9)
    numbers = [home.ledger.number(place) for _ in range(count)]
    body = f"[{TIERS[place].value} {numbers[0]}-{numbers[-1]}]".encode().ljust(chance.randint(50, 5000), b".")
    outbox.put(Frame("traces", TIERS[place], count, ((numbers[0], numbers[-1]),), time.time_ns(), body))
    if chance.random() < 0.1:
        taken = outbox.take(most_records=60, most_bytes=100_000, wait=0)
        if chance.random() < 0.5:
            receiver.write(b"".join(entry.body() for entry in taken))
            outbox.done(taken)
        else:
            outbox.keep(taken)
    if chance.random() < 0.01:
        outbox.compress()
"""


def _home(root: Path, instance: str = "one", *, service: str = SERVICE) -> Home:
    home = open_home(settings.override(journal=str(root)), {"service.name": service, "service.instance.id": instance})
    assert home is not None
    return home


def _left(
    root: Path, instance: str = "one", *, frames: int = 5, size: int = 200, tier: Tier = Tier.DURABLE,
    unconfirmed: int = 0,
) -> Path:  # fmt: skip
    """What a process leaves that is killed with so many frames undelivered."""
    home = _home(root, instance)
    outbox = home.outbox(settings.Settings())
    for _ in range(frames):
        outbox.put(_said(home.ledger, tier=tier, size=size))
    for _ in range(unconfirmed):
        home.ledger.number(TIERS.index(tier))
    outbox.abandon()
    home.abandon()
    return home.directory


def _said(ledger: Ledger, *, tier: Tier = Tier.DURABLE, size: int = 200) -> Frame:
    number = ledger.number(TIERS.index(tier))
    return Frame("traces", tier, 1, ((number, number),), number, f"[{tier} {number}-{number}]".encode().ljust(size))


def _statement(departed: Departed) -> Frame:
    told = {tier: (one.produced, one.delivered, one.unconfirmed) for tier, one in departed.balances.items()}
    body = json.dumps([departed.about.instance, told]).encode()
    return Frame("logs", Tier.DURABLE, 3, (), 1 << 62, body)


def _outbox(**options: int) -> Outbox:
    told = {"most_bytes": 64 << 20, "most_memory": 1 << 20} | options
    return Outbox(Ledger(), directory=None, **told)  # type: ignore[arg-type]


def _delivered(outbox: Outbox) -> list[bytes]:
    bodies = []
    while batch := outbox.take(most_records=1000, most_bytes=1 << 20, wait=0):
        bodies += [body for entry in batch if (body := entry.body()) is not None]
        outbox.done(batch)
    return bodies


def _numbers(bodies: bytes) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {tier: [] for tier in Tier}
    for tier, first, last in SAID.findall(bodies):
        found[tier.decode()] += range(int(first), int(last) + 1)
    return found


def test_after_a_kill_at_any_moment_every_confirmed_record_is_there_and_the_ledger_adds_up(tmp_path: Path):
    chance, lost, waited = random.Random(6), 0, 0
    for turn in range(ROUNDS):
        root = tmp_path / str(turn)
        root.mkdir()
        bot = subprocess.Popen(
            [sys.executable, "-c", BOT, str(root), "one", str(turn)], stdout=subprocess.PIPE, text=True
        )
        assert bot.stdout is not None
        assert bot.stdout.readline() == "ready\n"
        time.sleep(chance.random() * 0.3)
        bot.kill()
        bot.wait()
        bot.stdout.close()
        confirmed = {tier: one.confirmed for tier, one in read_ledger(root / SERVICE / "one" / "ledger")[0].items()}

        (orphan,) = adopt(root, SERVICE)
        before = orphan.departed().balances
        outbox = _outbox()
        outbox.adopt(orphan)
        received = Path(f"{root}-received").read_bytes()
        left = b"".join(_delivered(outbox))
        stored = {tier: set(numbers) for tier, numbers in _numbers(received + left).items()}
        for tier, balance in read_ledger(root / SERVICE / "one" / "ledger")[0].items():
            assert balance.confirmed >= confirmed[tier]
            assert balance.waiting == 0
            # A kill between the two counts of a frame that found no room leaves it lost, but not why.
            assert set(balance.lost) <= {Loss.JOURNAL_FULL, Loss.UNWRITABLE}
            assert balance.lost.get(Loss.UNWRITABLE, 0) <= 9
            # Every number is in the store, or counted as lost, or died with the process.
            gone = balance.numbered - len(stored[tier])
            assert gone == sum(balance.lost.values()) + balance.unconfirmed
            assert balance.unconfirmed <= 9
            lost += sum(balance.lost.values())
            waited += before[tier].waiting
        outbox.close()
    assert lost > 0 < waited


def test_after_a_kill_on_a_disk_that_fills_up_nothing_is_missing_uncounted_or_counted_twice(
    tmp_path: Path, small_disk: SmallDisk
):
    lost = 0
    for turn in range(8):
        root = tmp_path / str(turn)
        with small_disk(root) as make_room:
            bot = subprocess.Popen(
                [sys.executable, "-c", BOT, str(root), "one", str(turn)], stdout=subprocess.PIPE, text=True,
                stderr=subprocess.DEVNULL,
            )  # fmt: skip
            assert bot.stdout is not None
            assert bot.stdout.readline() == "ready\n"
            time.sleep(0.05 * turn)
            if turn % 2:
                make_room()
                time.sleep(0.1)
            bot.kill()
            bot.wait()
            bot.stdout.close()
            outbox = _outbox()
            outbox.adopt(adopt(root, SERVICE)[0])
            stored = _numbers(Path(f"{root}-received").read_bytes() + b"".join(_delivered(outbox)))
            for tier, balance in read_ledger(root / SERVICE / "one" / "ledger")[0].items():
                assert balance.waiting == 0
                # Of a batch that stood in memory alone nobody knows after the kill that it had arrived.
                unknown = len(set(stored[tier])) - balance.delivered
                assert 0 <= unknown <= min(60, balance.lost.get(Loss.UNWRITABLE, 0))
                assert balance.numbered == balance.delivered + sum(balance.lost.values()) + balance.unconfirmed
                lost += balance.lost.get(Loss.DISK_FULL, 0) + balance.lost.get(Loss.UNWRITABLE, 0)
            outbox.close()
    assert lost > 0


def test_a_torn_last_frame_is_told_and_skipped_and_nothing_before_it_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    directory = _left(tmp_path, frames=5, unconfirmed=1)
    segment = directory / "durable-00000001.otlp"
    whole = segment.read_bytes()
    for torn in (1, 3, 21, 60, 150, 260):
        segment.write_bytes(whole + whole[:torn])
        (orphan,) = adopt(tmp_path, SERVICE)
        assert [entry.body()[:13] for entry in _entries(orphan)] == [  # type: ignore[index]
            f"[durable {number}-{number}]".encode() for number in range(1, 6)
        ]
        balance = orphan.departed().balances[Tier.DURABLE]
        assert (balance.waiting, balance.unconfirmed, balance.lost) == (5, 1, {})
        assert f"{torn} bytes at {len(whole)}" in caplog.text
        orphan.release()


def _entries(orphan: object) -> list[object]:
    outbox = _outbox()
    outbox.adopt(orphan)  # type: ignore[arg-type]
    return outbox.take(most_records=1000, most_bytes=1 << 20, wait=0)  # type: ignore[return-value]


@pytest.mark.parametrize("where", ["magic", "header", "body"])
def test_a_flipped_byte_costs_its_own_frame_and_is_counted_as_damaged(tmp_path: Path, where: str):
    directory = _left(tmp_path, frames=5)
    segment = directory / "durable-00000001.otlp"
    content = bytearray(segment.read_bytes())
    third = content.find(b"[durable 3-3]")
    begin = content.rfind(b"\xf5OTF", 0, third)
    content[{"magic": begin, "header": begin + 40, "body": third + 2}[where]] ^= 4
    segment.write_bytes(content)
    (orphan,) = adopt(tmp_path, SERVICE)
    balance = orphan.departed().balances[Tier.DURABLE]
    assert (balance.confirmed, balance.waiting, balance.lost) == (5, 4, {Loss.DAMAGED: 1})
    outbox = _outbox()
    outbox.adopt(orphan)
    assert _numbers(b"".join(_delivered(outbox)))["durable"] == [1, 2, 4, 5]
    assert read_ledger(directory / "ledger")[0][Tier.DURABLE].waiting == 0


def test_a_lost_ledger_is_made_again_from_what_was_journaled(tmp_path: Path):
    directory = _left(tmp_path, frames=5)
    (directory / "ledger").write_bytes(b"nothing")
    (orphan,) = adopt(tmp_path, SERVICE)
    balance = orphan.departed().balances[Tier.DURABLE]
    assert (balance.numbered, balance.confirmed, balance.waiting) == (5, 5, 5)
    orphan.release()


def test_a_zeroed_ledger_of_a_machine_that_lost_its_power_is_no_reason_to_fail(tmp_path: Path):
    directory = _left(tmp_path, frames=5)
    (directory / "ledger").write_bytes(bytes(4096))
    (orphan,) = adopt(tmp_path, SERVICE)
    assert orphan.departed().balances[Tier.DURABLE].waiting == 5
    orphan.release()


def test_what_was_acknowledged_before_the_kill_is_not_sent_again(tmp_path: Path):
    home = _home(tmp_path)
    outbox = home.outbox(settings.Settings())
    for _ in range(6):
        outbox.put(_said(home.ledger))
    outbox.done(outbox.take(most_records=2, most_bytes=1 << 20, wait=0))
    outbox.abandon()
    home.abandon()
    (orphan,) = adopt(tmp_path, SERVICE)
    adopter = _outbox()
    adopter.adopt(orphan)
    adopter.done(adopter.take(most_records=2, most_bytes=1 << 20, wait=0))
    adopter.close()
    (again,) = adopt(tmp_path, SERVICE)
    last = _outbox()
    last.adopt(again)
    assert _numbers(b"".join(_delivered(last)))["durable"] == [5, 6]
    balance = read_ledger(home.directory / "ledger")[0][Tier.DURABLE]
    assert (balance.delivered, balance.waiting) == (6, 0)


def test_once_all_is_delivered_the_last_statement_follows_and_then_the_directory_goes(tmp_path: Path):
    directory = _left(tmp_path, frames=3, unconfirmed=2)
    home = _home(tmp_path, "two")
    outbox = home.outbox(settings.Settings())
    for orphan in adopt(tmp_path, SERVICE, last_statement=_statement):
        outbox.adopt(orphan)
    assert outbox.standing().waiting[Tier.DURABLE] == 3
    outbox.done(outbox.take(most_records=1000, most_bytes=1 << 20, wait=0))
    assert directory.exists()
    (last,) = outbox.take(most_records=1000, most_bytes=1 << 20, wait=0)
    instance, told = json.loads(last.body() or b"")
    assert (last.signal, last.numbered, instance, told["durable"]) == ("logs", 0, "one", [5, 3, 2])
    outbox.keep([last])
    assert directory.exists()
    assert _delivered(outbox) == [json.dumps([instance, told]).encode()]
    assert not directory.exists()
    outbox.close()
    home.close(is_delivered=True)
    assert list((tmp_path / SERVICE).iterdir()) == []


def test_a_last_statement_that_was_not_delivered_is_said_by_the_next_start(tmp_path: Path):
    directory = _left(tmp_path, frames=1)
    for _ in range(2):
        outbox = _outbox()
        (orphan,) = adopt(tmp_path, SERVICE, last_statement=_statement)
        outbox.adopt(orphan)
        outbox.done(outbox.take(most_records=1, most_bytes=1, wait=0))
        outbox.close()
        assert directory.exists()
    outbox = _outbox()
    outbox.adopt(adopt(tmp_path, SERVICE, last_statement=_statement)[0])
    assert [json.loads(body)[1]["durable"] for body in _delivered(outbox)][-1] == [1, 1, 0]
    assert not directory.exists()


def test_living_processes_and_other_services_are_left_alone(tmp_path: Path):
    alive = _home(tmp_path, "alive")
    other = _home(tmp_path, "other", service="My Bot!")
    other.abandon()
    assert orphans(tmp_path, SERVICE) == []
    assert adopt(tmp_path, SERVICE) == []
    assert orphans(tmp_path, "My Bot!") == [other.directory]
    assert orphans(tmp_path / "nowhere", SERVICE) == []
    alive.abandon()
    assert orphans(tmp_path, SERVICE) == [alive.directory]


def test_of_processes_that_start_at_once_exactly_one_takes_over_each_directory(tmp_path: Path):
    for number in range(6):
        _left(tmp_path, f"dead-{number}", frames=2)
    program = """
import sys, time
from pathlib import Path
from otel_obs.sdk.journal import adopt
print("ready", flush=True)
sys.stdin.readline()
print(*[orphan.about.instance for orphan in adopt(Path(sys.argv[1]), "my-bot")], flush=True)
sys.stdin.readline()
"""
    starts = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for start in starts:
        assert start.stdout is not None
        assert start.stdout.readline() == "ready\n"
    for start in starts:
        print(file=start.stdin, flush=True)
    taken = [start.stdout.readline().split() for start in starts if start.stdout]
    for start in starts:
        start.communicate("\n", timeout=60)
    assert sorted(chain.from_iterable(taken)) == [f"dead-{number}" for number in range(6)]


def test_a_crash_loop_with_the_receiver_away_stays_within_the_bound(tmp_path: Path):
    bound = 300 * KB
    for turn in range(12):
        home = _home(tmp_path, f"turn-{turn}")
        outbox = Outbox(home.ledger, directory=home.directory, most_bytes=bound, most_memory=KB, segment_bytes=20 * KB)
        for orphan in adopt(tmp_path, SERVICE, last_statement=_statement):
            outbox.adopt(orphan)
        for _ in range(40):
            outbox.put(_said(home.ledger, tier=Tier.DURABLE if turn % 2 else Tier.BEST_EFFORT, size=KB))
        outbox.abandon()
        home.abandon()
        on_disk = sum(path.stat().st_size for path in tmp_path.rglob("*.otlp"))
        assert on_disk <= bound
    outbox = _outbox()
    found = adopt(tmp_path, SERVICE)
    for orphan in found:
        outbox.adopt(orphan)
    waiting = sum(one.waiting for orphan in found for one in orphan.departed().balances.values())
    assert sum(map(len, _numbers(b"".join(_delivered(outbox))).values())) == waiting > 100


def test_a_home_is_private_and_two_with_the_same_id_do_not_share_one(tmp_path: Path):
    first, second = _home(tmp_path, "same"), _home(tmp_path, "same")
    assert first.directory != second.directory
    assert first.directory.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in first.directory.iterdir()} == {0o600}
    about = json.loads((second.directory / "about.json").read_text())
    assert (about["service"], about["instance"]) == (SERVICE, "same")
    assert size_of(first.directory) >= 4096
    for one in (first, second):
        one.close(is_delivered=True)


def test_where_no_home_can_be_made_there_is_none_and_the_fix_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "file").write_text("")
    assert open_home(settings.override(journal=str(tmp_path / "file")), {"service.name": "bot"}) is None
    assert "OTEL_OBS_JOURNAL" in caplog.text
    caplog.clear()
    assert open_home(settings.override(journal="off"), {"service.name": "bot"}) is None
    assert caplog.text == ""
