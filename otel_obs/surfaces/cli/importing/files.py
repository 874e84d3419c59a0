"""Files of trace documents, found and read one document at a time; what is broken is told and costs nothing else."""

from __future__ import annotations

import gzip
import io
import os
import re
import sys
import zlib
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from otel_obs.errors import QuestionError
from otel_obs.sdk.trace_files.reading import DocumentError, Records, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

STDIN: Final = "-"
_ENDS: Final = (".json", ".json.gz", ".jsonl", ".jsonl.gz")
_PLACE: Final = re.compile(r"line (\d+) column (\d+)")
_GZIP: Final = b"\x1f\x8b"
_DAMAGED: Final = "Restore the file from a copy; the documents before this place were taken."


@dataclass(frozen=True, kw_only=True)
class Broken:
    """What could not be read: in which file, where in it, and what to do."""

    file: str
    position: str
    problem: str
    fix: str

    def __str__(self) -> str:
        place = f"{self.file}: {self.position}" if self.position else self.file
        return f"{place}: {self.problem} {self.fix}".rstrip()


def found(given: Iterable[str]) -> list[str]:
    """The files that are meant: those named, and every document under the directories named, in order.

    Raises:
        QuestionError: one is not there, or a directory holds no documents.

    """
    files: list[str] = []
    for name in given:
        path = Path(name)
        if name == STDIN or path.is_file():
            files.append(name)
        elif path.is_dir():
            inside = [
                os.path.join(place, file)  # noqa: PTH118 - walk() deals in texts
                for place, _, names in os.walk(path)
                for file in names
                if file.endswith(_ENDS) and not file.startswith(".")
            ]
            if not inside:
                raise QuestionError(f"There are no trace documents in {name}.", fix=f"They end in {', '.join(_ENDS)}.")
            files += sorted(inside)
        else:
            raise QuestionError(f"{name} is not there.", fix="Give files, directories, or - for what is piped in.")
    return list(dict.fromkeys(files))


def documents(file: str) -> Iterator[Records | Broken]:
    """The records of each document in a file, packed or not, one document or one on each line; or what is wrong."""
    try:
        with _opened(file) as stream:
            yield from _each(file, stream)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        yield Broken(file=file, position="", problem=f"The packed data are damaged: {error}.", fix=_DAMAGED)
    except OSError as error:
        yield Broken(
            file=file, position="", problem=f"It cannot be read: {error.strerror or error}.", fix="Look at its rights."
        )


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    """What a file holds, unpacked where it is packed, whatever its name says."""
    with ExitStack() as closing:
        raw: Any = sys.stdin.buffer if file == STDIN else closing.enter_context(Path(file).open("rb"))
        plain = raw if isinstance(raw, io.BufferedReader) else io.BufferedReader(raw)
        if plain.peek(2)[:2] == _GZIP:
            packed: Any = closing.enter_context(gzip.GzipFile(fileobj=plain))
            yield packed
        else:
            yield plain


def _each(file: str, stream: BinaryIO) -> Iterator[Records | Broken]:
    """Documents one after the other, each on one line or on many, of which the last is a brace alone."""
    first, held, is_empty = 1, b"", True
    for number, line in enumerate(stream, start=1):
        if line.startswith(b"{") and held.strip():  # the one before was torn
            yield _document(file, held, first)
            first, held = number, b""
        if not held.strip():
            first, held = number, b""
        held += line
        is_empty = is_empty and not line.strip()
        if line.startswith(b"}") or (line.startswith(b"{") and line.rstrip().endswith(b"}")):
            yield _document(file, held, first)
            held = b""
    if held.strip():
        yield _document(file, held, first)
    if is_empty:
        yield Broken(file=file, position="", problem="It is empty.", fix="Restore the file from a copy.")


def _document(file: str, content: bytes, first: int) -> Records | Broken:
    try:
        return read(content.rstrip())
    except DocumentError as error:
        if place := _PLACE.fullmatch(error.where):
            position = f"line {int(place[1]) + first - 1} column {place[2]}"
        else:
            position = f"line {first}{', ' if error.where else ''}{error.where}"
        return Broken(file=file, position=position, problem=error.what, fix=error.fix)
