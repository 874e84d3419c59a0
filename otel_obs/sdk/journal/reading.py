"""Looking into journals without touching them: who left what, which frames lie there, and whether it adds up."""

from __future__ import annotations

import zlib
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from otel_obs.contract.tiers import Tier
from otel_obs.sdk.journal import framing, settling
from otel_obs.sdk.journal.accounts import Account, made_whole
from otel_obs.sdk.journal.adoption import homes
from otel_obs.sdk.journal.aside import refused_in
from otel_obs.sdk.journal.home import LEDGER, REFUSED, is_held, read_about
from otel_obs.sdk.journal.segment import contents, segments_in, settled_beside
from otel_obs.sdk.ledger import Balance, NoLedgerError, read_ledger

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from otel_obs.sdk.journal.home import About


@dataclass(frozen=True, kw_only=True)
class Lying:
    """A frame in a file."""

    path: Path
    found: framing.Found

    def body(self) -> bytes:
        """A whole OTLP request. Raises OSError where it is gone meanwhile."""
        return _kept(self.path)[self.found.start : self.found.start + self.found.length]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """What does not add up; ``offset`` in bytes, where it is a place in the file. It may be ``is_expected``."""

    path: Path
    what: str
    offset: int | None = None
    is_expected: bool = False


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One process's directory. ``balances`` are its ledger, made whole with its files where the process is dead."""

    directory: Path
    about: About
    is_alive: bool
    has_ended: bool
    balances: Mapping[Tier, Balance]
    frames: tuple[Lying, ...]
    problems: tuple[Problem, ...]

    def waiting(self) -> dict[Tier, int]:
        """Records that wait, by tier; those that the ledger does not number as well."""
        found = dict.fromkeys(Tier, 0)
        for frame in self.frames:
            found[frame.found.header.tier] += frame.found.header.records
        return found

    def waiting_bytes(self) -> int:
        """Bytes of their bodies."""
        return sum(frame.found.length for frame in self.frames)

    def oldest_at_ns(self) -> int | None:
        """When the oldest was made."""
        return min((frame.found.header.at_ns for frame in self.frames), default=None)


@lru_cache(maxsize=1)
def _kept(path: Path) -> bytes:
    """The frames of a file are asked for one after the other."""
    return contents(path)


def services(root: Path) -> list[Path]:
    """The directories of all services; none where there is no journal. Raises OSError where it cannot be read."""
    return sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []


def instances(root: Path, *, service: str = "") -> list[Instance]:
    """Every process that has a directory there, of one service or of all, oldest first.

    Raises:
        OSError: a directory cannot be read.

    """
    found = []
    for place in services(root):
        for directory in homes(place):
            with suppress(FileNotFoundError):  # it ended while we looked
                one = read(directory)
                if not service or one.about.service == service:
                    found.append(one)
    return sorted(found, key=lambda one: one.about.started_ns)


def read(directory: Path) -> Instance:
    """One process's directory. Raises OSError where it cannot be read, FileNotFoundError where it is gone."""
    is_alive = is_held(directory)
    accounts = {tier: Account() for tier in Tier}
    frames: list[Lying] = []
    problems: list[Problem] = []
    for path, tier, _ in segments_in(directory):
        with suppress(FileNotFoundError):  # all of it was delivered meanwhile
            frames += _waiting(path, accounts[tier], problems, is_alive=is_alive)
    balances, has_ended = _ledger(directory, problems)
    if not is_alive:
        balances = _whole(directory, balances, accounts, problems)
    return Instance(
        directory=directory, about=read_about(directory), is_alive=is_alive, has_ended=has_ended, balances=balances,
        frames=tuple(sorted(frames, key=lambda one: one.found.header.at_ns)), problems=tuple(problems),
    )  # fmt: skip


def _waiting(path: Path, account: Account, problems: list[Problem], *, is_alive: bool) -> Iterator[Lying]:
    settled = [*settling.read(settled_beside(path))]
    account.settle(settled)
    offsets = {one.offset for one in settled}
    try:
        content = contents(path)
    except (EOFError, zlib.error) as error:
        problems.append(Problem(path=path, offset=0, what=f"it cannot be unpacked: {error}"))
        account.is_damaged = True
        return
    for found in framing.scan(content):
        account.find(found, is_settled=found.offset in offsets)
        if isinstance(found, framing.Damage):
            problems.append(_damaged(path, found, is_alive=is_alive))
        elif found.offset not in offsets:
            yield Lying(path=path, found=found)


def _damaged(path: Path, found: framing.Damage, *, is_alive: bool) -> Problem:
    if not found.is_torn:
        what = f"{found.length} bytes are damaged"
        if found.header is not None:
            what += f": {found.header.records} records of {found.header.tier}"
    elif is_alive:
        what = f"{found.length} bytes are being written"
    else:
        what = f"the last frame is torn ({found.length} bytes), as a kill in mid-write leaves it"
    return Problem(path=path, offset=found.offset, what=what, is_expected=found.is_torn)


def _ledger(directory: Path, problems: list[Problem]) -> tuple[dict[Tier, Balance], bool]:
    path = directory / LEDGER
    try:
        return read_ledger(path)
    except (NoLedgerError, FileNotFoundError):
        problems.append(Problem(path=path, what="there is no ledger in it"))
        return {tier: Balance() for tier in Tier}, False


def _whole(
    directory: Path, balances: Mapping[Tier, Balance], accounts: Mapping[Tier, Account], problems: list[Problem]
) -> dict[Tier, Balance]:
    found = {}
    for tier, balance in balances.items():
        found[tier], missing = made_whole(balance, accounts[tier])
        if missing > 0:
            what = f"{missing} confirmed records of {tier} are neither here nor settled"
            problems.append(Problem(path=directory / LEDGER, what=what))
    return found


def refused(root: Path, *, service: str = "") -> list[Lying]:
    """The frames that were refused and set aside, oldest first. Raises OSError."""
    found = []
    for place in services(root):
        names = {read_about(directory).service for directory in homes(place)} | {place.name}
        if service and service not in names:
            continue
        for path in refused_in(place / REFUSED):
            with suppress(FileNotFoundError):
                content = path.read_bytes()
                found += [
                    Lying(path=path, found=one) for one in framing.scan(content) if isinstance(one, framing.Found)
                ]
    return found
