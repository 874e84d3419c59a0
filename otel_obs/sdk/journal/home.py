"""One process's directory: where it lies, its lock, its ledger, and who the process is."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import re
import secrets
import shutil
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from otel_obs.contract import semconv
from otel_obs.sdk.journal.aside import Aside
from otel_obs.sdk.journal.outbox import Outbox
from otel_obs.sdk.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otel_obs.settings import Settings

_log: Final = logging.getLogger("otel_obs")
LOCK: Final = "lock"
LEDGER: Final = "ledger"
ABOUT: Final = "about.json"
REFUSED: Final = "refused"
DRAFT: Final = ".new-"
SCHEMA: Final = 1
_OFF: Final = "off"
_LONGEST_NAME: Final = 80
_UNSAFE: Final = re.compile(r"[^a-z0-9.\-]+")


@dataclass(frozen=True, kw_only=True)
class About:
    """Who a process is. ``started_ns`` counts from the epoch; ``resource`` are the resource's attributes."""

    service: str
    instance: str
    pid: int = 0
    started_ns: int = 0
    resource: Mapping[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA


class Home:
    """The directory of this process, locked for as long as it lives."""

    def __init__(self, directory: Path, *, about: About, ledger: Ledger, lock: int) -> None:
        self.directory, self.about, self.ledger = directory, about, ledger
        self._lock: int | None = lock

    def outbox(self, settings: Settings, *, already: int = 0) -> Outbox:
        """The outbox that writes here; what is refused is set aside beside it, as it outlives the directory.

        ``already`` are bytes of the dead that are not taken over.
        """
        aside = Aside(
            self.directory.parent / REFUSED, journal_bytes=settings.journal_max_bytes, instance=self.about.instance
        )
        return Outbox(
            self.ledger, directory=self.directory, most_bytes=settings.journal_max_bytes,
            most_memory=settings.max_queue_bytes, fsync=settings.journal_fsync, already=already, aside=aside,
        )  # fmt: skip

    def close(self, *, is_delivered: bool) -> None:
        """End in order: the directory goes if the receiver has everything, the last statement too; else it is adopted.

        To be called after ``Outbox.close``.
        """
        self.ledger.end()
        if is_delivered:
            discard(self.directory)
        self.abandon()

    def abandon(self) -> None:
        """Let go of the lock's file: for a forked child, which would else keep its parent alive in others' eyes."""
        lock, self._lock = self._lock, None
        if lock is not None:
            with suppress(OSError):
                os.close(lock)


def root_of(settings: Settings) -> Path | None:
    """The directory of all journals; None where the setting is ``off``.

    Raises:
        RuntimeError: the user has no home directory.

    """
    if settings.journal.strip().lower() == _OFF:
        return None
    if settings.journal:
        return Path(settings.journal).expanduser()
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if Path(state).is_absolute() else Path.home() / ".local" / "state"
    return base / "otel_obs" / "journal"


def slug(name: str) -> str:
    """A name as one of a directory; two names never share one."""
    plain = _UNSAFE.sub("_", name.lower()).strip("._")[:_LONGEST_NAME]
    if plain == name and name not in {"", REFUSED}:
        return plain
    return f"{plain or 'bot'}-{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:8]}"


def open_home(settings: Settings, resource: Mapping[str, Any]) -> Home | None:
    """Make this process's directory; None without a journal, or where none can be made, which is logged."""
    root = None
    try:
        root = root_of(settings)
        return None if root is None else _made(root, resource)
    except Exception as error:  # noqa: BLE001 - a bot without a journal is better than none
        _log.warning(
            "There is no journal in %s (%s): what is not delivered when this process dies is lost. Make that directory "
            "writable, name another with OTEL_OBS_JOURNAL, or say `off` there.",
            root or "the user's state directory", error,
        )  # fmt: skip
        return None


def _made(root: Path, resource: Mapping[str, Any]) -> Home:
    """Under another name first, so that nobody takes it for a dead one's before it is locked."""
    about = About(
        service=str(resource.get(semconv.SERVICE_NAME, "")) or "bot",
        instance=str(resource.get(semconv.SERVICE_INSTANCE_ID, "")) or secrets.token_hex(8),
        pid=os.getpid(),
        started_ns=time.time_ns(),
        resource=dict(resource),
    )
    service = root / slug(about.service)
    service.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = service / f"{DRAFT}{secrets.token_hex(8)}"
    draft.mkdir(mode=0o700)
    try:
        lock = _locked_at_last(draft)
        content = json.dumps(asdict(about), default=_listed)
        with open(os.open(draft / ABOUT, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123 - Path.open knows no mode
            file.write(content)
        ledger = Ledger(draft / LEDGER)
        return Home(_named(draft, service / slug(about.instance)), about=about, ledger=ledger, lock=lock)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def discard(directory: Path) -> None:
    """Delete it: under another name first, as what a kill in the midst of it leaves has no lock, and is nobody's."""
    gone = directory.with_name(f"{DRAFT}{secrets.token_hex(8)}")
    try:
        directory.rename(gone)
    except OSError:
        gone = directory
    shutil.rmtree(gone, ignore_errors=True)


def _locked_at_last(draft: Path) -> int:
    """Nobody else knows a new directory, so this is tried once."""
    lock = locked(draft)
    if lock is None:
        raise BlockingIOError(f"{draft} is locked by another process")
    return lock


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple | set | frozenset) else str(value)


def _named(draft: Path, wanted: Path) -> Path:
    """Give it its name; where another process bears the same id, or did, a longer one."""
    for path in (wanted, wanted.with_name(f"{wanted.name}-{secrets.token_hex(4)}")):
        try:
            draft.rename(path)
        except OSError:  # that directory is there, and not empty
            if not path.exists():
                raise
        else:
            return path
    raise FileExistsError(f"{wanted} is there already")


def locked(directory: Path) -> int | None:
    """Lock the directory for this process: the lock's file, to be closed; None where somebody else holds it.

    Raises:
        OSError: the file cannot be made or opened.

    """
    path = directory / LOCK
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.stat().st_ino == os.fstat(lock).st_ino:  # else it was removed while we waited for it
            return lock
    except BlockingIOError:
        pass
    except BaseException:
        os.close(lock)
        raise
    os.close(lock)
    return None


def is_held(directory: Path) -> bool:
    """Whether a living process holds this directory. Raises OSError where that cannot be found out."""
    lock = os.open(directory / LOCK, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def read_about(directory: Path) -> About:
    """Who left this directory; by the directory's name where the file cannot be read."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        told = json.loads((directory / ABOUT).read_text(encoding="utf-8"))
        return About(
            service=str(told["service"]), instance=str(told["instance"]), pid=int(told["pid"]),
            started_ns=int(told["started_ns"]), resource=dict(told["resource"]), schema=int(told["schema"]),
        )  # fmt: skip
    return About(service=directory.parent.name, instance=directory.name)
