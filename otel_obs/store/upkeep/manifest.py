"""A backup as files: what its manifest says, how files are written whole, and how damage is found before it is used."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import asdict, dataclass
from typing import IO, TYPE_CHECKING, Any, Final

from otel_obs.errors import StoreError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

MANIFEST: Final = "manifest.json"
FORMAT: Final = "otel_obs backup"
FORMAT_VERSION: Final = 1
_PIECE: Final = 1 << 20
_LEVEL: Final = 3


@dataclass(frozen=True, kw_only=True)
class DataFile:
    """Rows of one table as tab-separated text, packed with zstd; ``size`` and ``sha256`` are of the packed file."""

    name: str
    rows: int
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class TableCopy:
    """One table: ``rows`` as answers count them, ``checksum`` the sum of the rows' hashes, in any order."""

    name: str
    columns: tuple[str, ...]
    rows: int
    checksum: int
    retention: str
    first_arrival: int | None
    last_arrival: int | None
    files: tuple[DataFile, ...]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a backup holds; ``migrations`` are (version, name, sha256), ``taken_at`` is ISO, UTC."""

    taken_at: str
    otel_obs: str
    engine: str
    migrations: tuple[tuple[int, str, str], ...]
    tables: tuple[TableCopy, ...]
    left_out: tuple[str, ...]

    @property
    def rows(self) -> int:
        """All rows of all tables."""
        return sum(table.rows for table in self.tables)

    @property
    def size(self) -> int:
        """Bytes of all files but the manifest's."""
        return sum(file.size for table in self.tables for file in table.files)

    @property
    def id(self) -> str:
        """A name for exactly this content."""
        return hashlib.sha256(_canonical(asdict(self))).hexdigest()

    def write(self, directory: Path) -> None:
        """Write it, last of all."""
        whole = {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(self), "sha256": self.id}
        (directory / MANIFEST).write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")


def read(directory: Path) -> Manifest:
    """Read the manifest of a backup.

    Raises:
        StoreError: there is none, it is damaged, or of a newer kind.

    """
    try:
        whole = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        kind, version, told = whole.pop("format"), whole.pop("format_version"), whole.pop("sha256")
        if (kind, version) == (FORMAT, FORMAT_VERSION):
            manifest = _manifest(whole)
            if manifest.id == told:
                return manifest
    except FileNotFoundError as error:
        raise StoreError(
            f"{directory} holds no whole backup: it has no {MANIFEST}.",
            fix="Give the directory that `otel-obs store backup` said it wrote.",
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(f"{directory / MANIFEST} cannot be read: {error}.", fix="Use another backup.") from error
    if kind == FORMAT and version != FORMAT_VERSION:
        raise StoreError(
            f"{directory} is a backup of format {version}, and this program reads format {FORMAT_VERSION}.",
            fix="Upgrade with `pip install --upgrade otel-obs`.",
        )
    raise StoreError(f"{directory / MANIFEST} was changed after it was written.", fix="Use another backup.")


def damage(directory: Path, manifest: Manifest) -> list[str]:
    """Compare every file with what the manifest says; one sentence for each that differs."""
    return [
        found for table in manifest.tables for file in table.files if (found := _damage_of(directory / file.name, file))
    ]


def _damage_of(path: Path, file: DataFile) -> str:
    try:
        size = path.stat().st_size
        if size != file.size:
            return f"{file.name} has {size} bytes instead of {file.size}"
        with path.open("rb") as packed:
            return (
                "" if hashlib.file_digest(packed, "sha256").hexdigest() == file.sha256 else f"{file.name} was changed"
            )
    except OSError as error:
        return f"{file.name} cannot be read: {error.strerror}"


class Writer:
    """One data file on its way: takes text, packs it, counts its lines."""

    def __init__(self, directory: Path, name: str) -> None:
        self._name = name
        self._path = directory / name
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = self._path.open("xb")
        self._packer = zstd.ZstdCompressor(level=_LEVEL)
        self._hash = hashlib.sha256()
        self._size = 0
        self._rows = 0
        self.taken = 0

    def write(self, text: bytes) -> None:
        """Take text; a line may be cut anywhere."""
        self._rows += text.count(b"\n")
        self.taken += len(text)
        self._put(self._packer.compress(text))

    def close(self) -> DataFile:
        """Finish the file."""
        self._put(self._packer.flush())
        self._file.flush()
        self._file.close()
        return DataFile(name=self._name, rows=self._rows, size=self._size, sha256=self._hash.hexdigest())

    def _put(self, packed: bytes) -> None:
        self._size += len(packed)
        self._hash.update(packed)
        self._file.write(packed)


def text_of(path: Path) -> Generator[bytes]:
    """Unpack a data file, piece by piece."""
    with zstd.ZstdFile(path) as file:
        while piece := file.read(_PIECE):
            yield piece


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _manifest(whole: dict[str, Any]) -> Manifest:
    return Manifest(
        **{
            **whole,
            "migrations": tuple((int(version), str(name), str(sha)) for version, name, sha in whole["migrations"]),
            "left_out": tuple(whole["left_out"]),
            "tables": tuple(_table(each) for each in whole["tables"]),
        }
    )


def _table(whole: dict[str, Any]) -> TableCopy:
    files = tuple(DataFile(**each) for each in whole["files"])
    return TableCopy(**{**whole, "columns": tuple(whole["columns"]), "files": files})
