"""How the sender ends in processes: with one that forks, and with an interpreter that exits while nobody answers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from otel_obs.sdk.exporter.pauses import pause

HERE = Path(__file__).parent
PROGRAM = """
import importlib.util, os, sys
spec = importlib.util.spec_from_file_location("kit", sys.argv[1])
kit = sys.modules["kit"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(kit)
from otel_obs import settings
from otel_obs.sdk.exporter.sender import Sender
from otel_obs.sdk.exporter.transport import connect
from otel_obs.contract.tiers import Tier

def start():
    outbox = kit.MemoryOutbox()
    return outbox, Sender(outbox, connect(settings.resolve({}, endpoint=sys.argv[2])), send_interval=0.01)

bot = kit.Bot()
outbox, sender = start()
outbox.put(bot.frame())
"""


def run(program: str, endpoint: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "PYTHON"))}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM + program, str(HERE / "receiving.py"), endpoint],
        capture_output=True, text=True, check=False, timeout=60, env=clean,
    )  # fmt: skip


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_sends_on_a_connection_of_its_own_and_its_parent_goes_on(receiver: Any) -> None:
    done = run(
        """
assert sender.flush(30)
if (child := os.fork()) == 0:
    outbox, sender = start()
    outbox.put(bot.frame(tier=Tier.STANDARD))
    os._exit(0 if sender.shutdown(30) else 1)
outbox.put(bot.frame("logs"), bot.frame())
assert sender.flush(30)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert sender.shutdown(30)
""",
        receiver.endpoint,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(receiver.stored) == 40
    assert set(receiver.stored.values()) == {1}


def test_an_interpreter_exits_while_a_request_hangs_and_says_nothing(receiver: Any, kit: Any) -> None:
    receiver.mood = lambda *_: kit.Answer(silent=True)
    start = time.monotonic()
    done = run(
        """
import atexit
atexit.register(lambda: print(sender.shutdown(0.2), flush=True))
kit.until(lambda: sender.standing().in_flight)
""",
        receiver.endpoint,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "False\n", "")
    assert time.monotonic() - start < 10  # the request's own timeout


def test_pauses_double_up_to_a_bound_with_full_jitter_and_what_the_receiver_asks_for_is_kept() -> None:
    def longest(failures: int, *, after: float | None = None, is_hurried: bool = False) -> float:
        assert pause(failures, after=after, is_hurried=is_hurried, chance=0.0) == min(after or 0.0, 300)
        return pause(failures, after=after, is_hurried=is_hurried, chance=1.0)

    assert [longest(failures) for failures in (1, 2, 3, 6, 7, 8, 9_999)] == [0.5, 1, 2, 16, 30, 30, 30]
    assert [longest(failures, is_hurried=True) for failures in (1, 2, 9)] == [0.5, 1, 1]
    assert [longest(1, after=after) for after in (0.0, 7.0, 9_999.0)] == [0.5, 7.5, 300.5]
