"""The tree on disk: `<service>/<day>/<time>-<name>-<trace id>.json`, each document there as a whole or not at all."""

from __future__ import annotations

import errno
import itertools
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from otel_obs.sdk.trace_files.document import moment, title

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from otel_obs.sdk.trace_files.gathering import Gathered

PART: Final = ".part"  # ends the name of a file that is being written
DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST: Final = 60
_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK})
_numbers: Final = itertools.count()


def safe(name: str, otherwise: str) -> str:
    """A name that is one step of a path, on any system."""
    return _UNSAFE.sub("_", name)[:_LONGEST].strip("._") or otherwise


def place(gathered: Gathered) -> tuple[str, str]:
    """The day and the name (without its end) of a document: of the root's own time, in UTC."""
    began = moment(gathered.began_ns)
    trace = format(gathered.trace_id, "032x") if gathered.trace_id else "records"
    return began[:10], f"{began[11:19].replace(':', '')}-{safe(title(gathered), 'trace')}-{trace}"


def made(directory: Path) -> Path:
    """The directory, which nobody else can read where it has to be made.

    Raises:
        OSError: it cannot be.

    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory


def publish(directory: Path, stem: str, end: str, write: Callable[[int], None]) -> Path:
    """Write a file under a name of its own, then give it the name that it is found by; none is ever replaced.

    Args:
        directory: where it goes; it is there.
        stem: its name; `stem.2` and so on where that is taken.
        end: what follows, such as `.json`.
        write: writes it, given the open file's number.

    Raises:
        OSError: it could not be written; nothing is left behind.

    """
    hidden = directory / f".{stem}.{os.getpid()}-{next(_numbers)}{PART}"
    handle = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        try:
            write(handle)
        finally:
            os.close(handle)
        return _named(hidden, directory, stem, end)
    finally:
        with suppress(OSError):
            hidden.unlink()


def _named(hidden: Path, directory: Path, stem: str, end: str) -> Path:
    for number in itertools.count(1):
        final = directory / (f"{stem}{end}" if number == 1 else f"{stem}.{number}{end}")
        if final.exists():
            continue
        try:
            os.link(hidden, final)
        except FileExistsError:
            continue
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            hidden.rename(final)
        return final
    raise AssertionError


def write_all(handle: int, content: bytes) -> None:
    """Write all of it.

    Raises:
        OSError: there is no room, or the file is gone.

    """
    view = memoryview(content)
    while view:
        view = view[os.write(handle, view) :]
