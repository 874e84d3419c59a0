"""Documents appear when a trace has ended, whatever happens to the disk; nothing is lost without being counted."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otel_obs.contract.tiers import Loss
from otel_obs.sdk.otlp import encode_logs, encode_spans
from otel_obs.sdk.trace_files import TraceFiles
from otel_obs.sdk.trace_files.reading import read
from otel_obs.sdk.trace_files.upkeep import Upkeep

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

DAY = "bot/2025-12-19"


def documents(directory: Path) -> dict[str, Any]:
    """Every document of a tree, by its name."""
    return {path.name: json.loads(path.read_bytes()) for path in sorted(directory.rglob("*.json"))}


def adds_up(files: TraceFiles, taken: int) -> None:
    """Every record is in a document, dropped for a reason, or waiting."""
    now = files.standing()
    assert now.records + sum(now.dropped.values()) + now.waiting == taken


def test_a_trace_becomes_one_document_when_its_root_has_ended(
    bot: Any, tmp_path: Path, until: Callable[..., None]
) -> None:
    files = TraceFiles(tmp_path / "traces", grace=0.05)
    order, decision, root = bot.cycle()
    files.take([order, decision])
    time.sleep(0.5)
    assert files.standing().written == 0
    files.take([root])
    until(lambda: files.standing().written == 1)
    [path] = (tmp_path / "traces").rglob("*.json")
    assert str(path.relative_to(tmp_path)) == f"traces/{DAY}/120000-cycle-{root.trace_id:032x}.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert {place.stat().st_mode & 0o777 for place in list(path.parents)[:3]} == {0o700}
    found = json.loads(path.read_bytes())
    assert (found["complete"], len(found["decisions"]), len(found["orders"])) == (True, 1, 1)
    files.take([root._replace(span_id=999, parent_id=root.span_id, name="late", attributes={})])
    files.close(10)
    late = documents(tmp_path)[f"120000-late-{root.trace_id:032x}.json"]
    assert (late["part"], late["incomplete_because"]) == (2, ["continued"])
    adds_up(files, 4)


def test_a_trace_that_never_ends_and_records_outside_any_are_written_all_the_same(
    bot: Any, tmp_path: Path, until: Callable[..., None]
) -> None:
    files = TraceFiles(tmp_path, open_for=0.1)
    order, decision, _ = bot.cycle()
    files.take([decision, order._replace(trace_id=0, span_id=0)])
    until(lambda: files.standing().waiting == 0)
    found = {one["name"]: one for one in documents(tmp_path).values()}
    assert found["decision"]["incomplete_because"] == ["no_root"]
    assert (found["outside any trace"]["complete"], len(found["outside any trace"]["orders"])) == (True, 1)
    files.close(10)


def test_what_no_document_can_hold_at_once_is_written_in_parts_and_none_of_it_is_lost(bot: Any, tmp_path: Path) -> None:
    files = TraceFiles(tmp_path)
    _, decision, root = bot.cycle()
    spans = [decision._replace(span_id=10_000 + number) for number in range(7_000)]
    files.take(spans)
    files.take([root])
    files.close(120)
    found = sorted(documents(tmp_path).values(), key=lambda one: one["part"])
    assert len(found) >= 2
    assert not any(one["complete"] for one in found)
    assert sum(len(one["decisions"]) for one in found) == 7_000
    adds_up(files, 7_001)


def test_a_trace_of_which_records_were_dropped_says_so(bot: Any, tmp_path: Path) -> None:
    files = TraceFiles(tmp_path)
    _, decision, root = bot.cycle()
    files.take([root, *[decision._replace(span_id=10_000 + number) for number in range(9_000)]])
    now = files.close(120)
    assert now.dropped[Loss.QUEUE_FULL] > 0
    assert any("records_lost" in one.get("incomplete_because", ()) for one in documents(tmp_path).values())
    adds_up(files, 9_001)


def test_the_bot_never_waits_for_a_disk_that_hangs_and_every_drop_is_counted(
    bot: Any, frozen_disk: tuple[Path, Callable[[], object]]
) -> None:
    place, thaw = frozen_disk
    files = TraceFiles(place / "traces", grace=0.0)
    taken, slowest = 0, 0.0
    while not files.standing().dropped:
        batch = [record for _ in range(50) for record in bot.cycle(why="w" * 2_000)]
        start = time.thread_time()
        files.take(batch)
        slowest = max(slowest, time.thread_time() - start)
        taken += len(batch)
        assert taken < 200_000
    assert slowest < 0.1
    assert files.standing().dropped.keys() == {Loss.QUEUE_FULL}
    adds_up(files, taken)
    start = time.monotonic()
    assert files.close(0.2).waiting > 0
    assert time.monotonic() - start < 30
    files.take(bot.cycle())
    assert files.standing().dropped[Loss.ENDED] == 3
    thaw()
    files._thread.join(60)  # what hung must not tell into the next test
    adds_up(files, taken + 3)


def test_a_full_disk_costs_nothing_while_memory_lasts_and_is_written_to_again_when_there_is_room(
    bot: Any, small_disk: Path, until: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 240_000)
    files = TraceFiles(small_disk / "traces", grace=0.0)
    for _ in range(30):
        files.take(bot.cycle())
    until(lambda: "No space left" in files.standing().last_error)
    assert files.standing().dropped == {}
    assert not list(small_disk.rglob("*.part"))
    ballast.unlink()
    until(lambda: files.standing().written == 30)
    assert files.standing().last_error == ""
    assert all(one["complete"] for one in documents(small_disk).values())
    assert [record.message.split(":")[0] for record in caplog.records] == [
        f"Trace files cannot be written to {small_disk}/traces",
        f"Trace files are written to {small_disk}/traces again.",
    ]
    files.close(10)
    adds_up(files, 90)


def test_a_disk_that_stays_full_costs_the_oldest_traces_within_a_bound_counted_and_told_once(
    bot: Any, small_disk: Path, until: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    (small_disk / "ballast").write_bytes(b"x" * 240_000)
    files = TraceFiles(small_disk / "traces", grace=0.0)
    taken = 0
    while not files.standing().dropped.get(Loss.DISK_FULL):
        files.take([record for _ in range(50) for record in bot.cycle(why="w" * 50_000)])
        taken += 150
        until(lambda: not files._inbox)
        assert taken < 20_000
    adds_up(files, taken)
    (small_disk / "ballast").unlink()
    files.close(30)
    adds_up(files, taken)
    assert files.standing().written > 0
    assert len([one for one in caplog.records if "were dropped" in one.message]) <= 2


def test_a_directory_that_cannot_be_written_or_is_removed_costs_no_trace_that_memory_holds(
    bot: Any, tmp_path: Path, until: Callable[..., None]
) -> None:
    place = tmp_path / "traces"
    place.write_text("a file stands where the directory should")
    files = TraceFiles(place, grace=0.0)
    files.take(bot.cycle())
    until(lambda: files.standing().last_error)
    place.unlink()
    until(lambda: files.standing().written == 1)
    shutil.rmtree(place)
    files.take(bot.cycle())
    until(lambda: files.standing().written == 2)
    assert len(documents(place)) == 1
    files.close(10)
    adds_up(files, 6)


def test_a_forked_child_writes_its_own_traces_and_not_those_that_its_parent_has_open(bot: Any, tmp_path: Path) -> None:
    files = TraceFiles(tmp_path)
    files.take(bot.cycle())
    child = os.fork()
    if not child:
        files.take(bot.cycle())
        os._exit(0 if files.close(20).written == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert files.close(20).written == 1
    assert sorted(len(one["decisions"]) for one in documents(tmp_path).values()) == [1, 1]


WRITER = """
import sys, importlib.util
from pathlib import Path
spec = importlib.util.spec_from_file_location("beside", sys.argv[1])
beside = importlib.util.module_from_spec(spec)
spec.loader.exec_module(beside)
import itertools
from otel_obs.sdk.trace_files import TraceFiles
beside._ids = itertools.count(int(sys.argv[3]))
files = TraceFiles(Path(sys.argv[2]), grace=0.0)
bot = beside.Bot()
print("go", flush=True)
for number in range(int(sys.argv[4])):
    files.take(bot.cycle(why="w" * 3000))
    while files.standing().waiting > 3000: pass
print(files.close(60).written)
"""


def writer(tmp_path: Path, first: int, traces: int) -> subprocess.Popen[str]:
    """A process of the same bot that writes."""
    beside = str(Path(__file__).with_name("conftest.py"))
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, beside, str(tmp_path), str(first), str(traces)],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_kill_in_mid_write_leaves_no_half_document_under_its_name(tmp_path: Path, until: Callable[..., None]) -> None:
    for killed in range(6):
        before = len(list(tmp_path.rglob("*.json")))
        process = writer(tmp_path, 1_000_000 * (killed + 1), 1_000_000)
        until(lambda: len(list(tmp_path.rglob("*.json"))) >= before + 20 + 7 * killed)  # noqa: B023
        process.send_signal(signal.SIGKILL)
        process.communicate()
    found = list(tmp_path.rglob("*.json"))
    assert len(found) > 100
    for path in found:
        assert len(read(path.read_bytes()).spans) == 2


def test_two_processes_of_one_bot_write_side_by_side_and_never_over_each_other(tmp_path: Path) -> None:
    both = [writer(tmp_path, 1, 300), writer(tmp_path, 1, 300)]  # the very same traces, and so the same names
    assert [process.communicate(timeout=120)[0].split() for process in both] == [["go", "300"]] * 2
    found = documents(tmp_path)
    assert len(found) == 600
    assert sum(name.endswith(".2.json") for name in found) == 300


def test_a_day_that_is_over_is_packed_whole_and_the_oldest_goes_first(bot: Any, tmp_path: Path) -> None:
    today = int(datetime.now(UTC).timestamp()) * 10**9
    told = [bot.cycle(at=today - days * 86_400 * 10**9) for days in (2, 2, 1, 0)]
    files = TraceFiles(tmp_path)
    for records in told:
        files.take(records)
    assert files.close(30).written == 4
    service, stop = tmp_path / "bot", threading.Event()
    days = [(datetime.now(UTC) - timedelta(days=ago)).date().isoformat() for ago in (2, 1, 0)]
    for age, day in enumerate(reversed(days)):
        for path in (service / day).iterdir():
            os.utime(path, (time.time() - age * 1_000 - 10,) * 2)
    Upkeep(keep_days=30, max_bytes=1 << 30, stop=stop).run(service)
    assert sorted(path.name for path in service.iterdir() if path.name != ".lock") == sorted(
        [f"{days[0]}.jsonl.gz", f"{days[1]}.jsonl.gz", days[2]]
    )
    lines = gzip.decompress((service / f"{days[0]}.jsonl.gz").read_bytes()).splitlines()
    back = [read(line) for line in lines]
    assert [encode_spans(one.spans) + encode_logs(one.logs) for one in back] == [
        encode_spans(records[1:]) + encode_logs(records[:1]) for records in told[:2]
    ]
    left = sum(path.stat().st_size for path in service.rglob("*") if path.is_file())
    Upkeep(keep_days=30, max_bytes=left - 1, stop=stop).run(service)
    assert sorted(path.name for path in service.iterdir() if path.name != ".lock") == [f"{days[1]}.jsonl.gz", days[2]]
    os.utime(service / f"{days[1]}.jsonl.gz", (time.time() - 3 * 86_400,) * 2)
    Upkeep(keep_days=2, max_bytes=1 << 30, stop=stop).run(service)
    assert [path.name for path in service.iterdir() if path.name != ".lock"] == [days[2]]


def test_packing_that_another_process_does_just_now_is_left_to_it(bot: Any, tmp_path: Path) -> None:
    files = TraceFiles(tmp_path)
    files.take(bot.cycle())
    files.close(30)
    both = [Upkeep(keep_days=30, max_bytes=1 << 30, stop=threading.Event(), quiet=-1.0) for _ in range(2)]
    threads = [threading.Thread(target=one.run, args=(tmp_path / "bot",)) for one in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [packed] = (tmp_path / "bot").glob("*.jsonl.gz")
    assert len(gzip.decompress(packed.read_bytes()).splitlines()) == 1
