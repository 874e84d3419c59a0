"""A disk that is full, cannot be written, or loses its directory: memory stands in, and every loss has its reason."""

from __future__ import annotations

import shutil
import subprocess
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Start = Callable[..., Any]

UNTIL_TOLD = """
import os, resource, sys, threading
import otel_obs as obs
if largest := int(os.environ.get("LARGEST_FILE", "0")):
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
from trading import Tally
obs.configure()
print("configured")
told = threading.Event()
threading.Thread(target=lambda: (sys.stdin.readline(), told.set()), daemon=True).start()
tally = Tally()
while not told.is_set():
    tally.rounds(0.1, pause=float(os.environ.get("PAUSE", "0.001")))
print("traded", obs.delivery())
obs.flush(within=60)
"""


@contextmanager
def mounted(place: Path, options: str) -> Iterator[bool]:
    """A file system of our own there; False where none can be mounted."""
    place.mkdir(parents=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True, check=False
    )
    try:
        yield done.returncode == 0
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.parametrize("is_killed", [False, True], ids=["ends", "killed"])
def test_a_disk_that_is_full_while_the_receiver_is_away_loses_what_its_ledger_names(
    *, start: Start, last_start: Start, reckoning: Any, tallies: Path, network: Any, tmp_path: Path, is_killed: bool
) -> None:
    network.go()
    with mounted(tmp_path / "state", "size=512k") as is_small:
        limit = "0" if is_small else "16384"
        bot = start(UNTIL_TOLD, endpoint=network.endpoint, OTEL_OBS_MAX_QUEUE_BYTES="400000", LARGEST_FILE=limit)
        bot.until_said("its disk is full")
        time.sleep(2)
        if is_killed:
            bot.kill()
            network.come()
        else:
            network.come()
            bot.go_on()
            bot.ends_well(within=120)
        last_start(endpoint=network.endpoint)
        rows = reckoning.add_up(
            tallies, instances=2, killed=is_killed, lost={"disk_full", "unwritable", "journal_full"}
        )
        assert any(row.dropped for row in rows)


def _a_file_in_its_place(state: Path) -> None:
    state.mkdir(parents=True)
    (state / "otel_obs").write_text("a file stands here")


@pytest.fixture
def read_only() -> Iterator[Callable[[Path], None]]:
    """Let nothing be written there."""
    with ExitStack() as mounts:

        def mount(state: Path) -> None:
            if not mounts.enter_context(mounted(state, "ro,size=1m")):
                state.chmod(0o500)  # who may not mount may not write there either

        yield mount


@pytest.mark.parametrize("how", ["a file in its place", "a file system that is read only"])
def test_a_journal_that_cannot_be_made_is_told_of_and_memory_bridges_a_receiver_that_is_away(
    *,
    start: Start,
    reckoning: Any,
    tallies: Path,
    network: Any,
    tmp_path: Path,
    how: str,
    read_only: Callable[[Path], None],
) -> None:
    (_a_file_in_its_place if how == "a file in its place" else read_only)(tmp_path / "state")
    bot = start(UNTIL_TOLD, endpoint=network.endpoint, PAUSE="0.01")
    bot.until_said("configured")
    time.sleep(0.5)
    network.go()
    time.sleep(1.5)
    network.come()
    bot.go_on()
    bot.ends_well(within=90)
    assert bot.said().count("There is no journal in") == 1
    rows = reckoning.add_up(tallies)
    assert {row.state for row in rows} == {"adds_up"}


def test_a_journal_that_is_deleted_while_the_bot_runs_costs_nothing_that_memory_holds(
    *, start: Start, reckoning: Any, tallies: Path, network: Any, tmp_path: Path
) -> None:
    bot = start(UNTIL_TOLD, endpoint=network.endpoint, PAUSE="0.01")
    bot.until_said("configured")
    time.sleep(0.5)
    network.go()
    time.sleep(0.5)
    shutil.rmtree(tmp_path / "state")
    time.sleep(1)
    network.come()
    bot.go_on()
    bot.ends_well(within=90)
    reckoning.add_up(tallies, lost={"damaged", "unwritable"})


def test_a_bot_that_has_no_file_left_to_open_goes_on_and_loses_nothing(
    *, start: Start, last_start: Start, reckoning: Any, tallies: Path
) -> None:
    start(NO_FILES).ends_well(within=90)
    last_start()
    rows = reckoning.add_up(tallies, instances=2)
    assert {row.state for row in rows} == {"adds_up"}


NO_FILES = """
import os
import otel_obs as obs
from trading import Tally
obs.configure()
tally = Tally()
tally.rounds(0.3)
for _ in range(2):
    opened = []
    try:
        while True:
            opened.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    tally.rounds(1, pause=0.01)
    for one in opened:
        os.close(one)
    tally.rounds(0.3)
assert obs.flush(within=30), obs.delivery()
"""
