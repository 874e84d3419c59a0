"""A process that measures when it is told to, so that two sides take turns on one machine, round by round."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def running(program: str, *arguments: object) -> Iterator[Callable[..., Any]]:
    """Start ``program``, which ``answer``s; yields what asks it. It ends with the block, after its own end."""
    command = [sys.executable, program, *map(str, arguments)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    said, heard = process.stdin, process.stdout
    if said is None or heard is None:
        raise RuntimeError("the worker has no pipes")

    def ask(*words: object) -> Any:
        said.write(json.dumps(words) + "\n")
        said.flush()
        line = heard.readline()
        if not line:
            raise RuntimeError(f"{' '.join(command)} died when it was asked {words}")
        return json.loads(line)

    try:
        yield ask
        said.close()
        if process.wait(60):
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    finally:
        process.kill()
        process.wait()


def answer(to: Callable[..., Any]) -> None:
    """Answer each question with what ``to`` returns for its words, until nobody asks any more."""
    for line in sys.stdin:
        print(json.dumps(to(*json.loads(line))), flush=True)
