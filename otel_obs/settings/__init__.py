"""SETTINGS: every setting once: variable, type, default, meaning; and those in force (this package's one global)."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from otel_obs.errors import SettingError
from otel_obs.settings import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SDK_DISABLED: Final = "OTEL_SDK_DISABLED"
_FILE: Final = "_FILE"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One row of SETTINGS. ``variables`` are tried in order; the first that is set counts.

    The value of a ``secret`` is never shown. Its variables that end in ``_FILE`` name the file that holds it.
    """

    name: str
    variables: tuple[str, ...]
    parse: Callable[[str], Any]
    default: Any
    doc: str
    secret: bool = False

    def shown(self, value: Any) -> str:
        """``value`` as others may see it."""
        return ("set" if value else "not set") if self.secret else repr(value)

    def text(self, variable: str, environment: Mapping[str, str]) -> str:
        """What ``variable`` says, or the file that it names.

        Raises:
            ValueError: the file cannot be read, or is empty.

        """
        given = environment[variable]
        return secret_in(Path(given)) if self.secret and variable.endswith(_FILE) else given


def secret_in(file: Path) -> str:
    """The first line of ``file``.

    Raises:
        ValueError: it cannot be read, or its first line is empty.

    """
    try:
        first, _, _ = file.read_text(encoding="utf-8").partition("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{file}: {getattr(error, 'strerror', None) or 'no text'}") from None
    if not first.rstrip("\r"):
        raise ValueError(f"{file} has an empty first line")
    return first.rstrip("\r")


SETTINGS: Final[tuple[Setting, ...]] = (
    Setting(
        name="enabled",
        variables=("OTEL_OBS_DISABLED",),
        parse=parse.not_flag,
        default=True,
        doc="Whether anything is recorded. `OTEL_SDK_DISABLED=true` switches it off as well.",
    ),
    Setting(
        name="service_name",
        variables=("OTEL_SERVICE_NAME",),
        parse=str,
        default="",
        doc="The bot's name: `service.name` of everything it says. Without it, the program's file name.",
    ),
    Setting(
        name="endpoint",
        variables=("OTEL_EXPORTER_OTLP_ENDPOINT",),
        parse=str,
        default="http://127.0.0.1:4318",
        doc="Where OTLP over HTTP goes; `/v1/traces` and `/v1/logs` are appended.",
    ),
    Setting(
        name="ids_seed",
        variables=("OTEL_OBS_IDS_SEED",),
        parse=str,
        default="",
        doc="Gives a replay or backtest the same trace and span ids at each run, so that a second run replaces the "
        "first instead of doubling it. Empty: random ids.",
    ),
    Setting(
        name="strict",
        variables=("OTEL_OBS_STRICT",),
        parse=parse.flag,
        default=False,
        doc="Raise on a record that breaks the contract instead of marking it. For tests, never for production.",
    ),
    Setting(
        name="max_text",
        variables=("OTEL_OBS_MAX_TEXT",),
        parse=parse.count,
        default=16_384,
        doc="Longest text of one value, in characters; what is longer is cut and marked.",
    ),
    Setting(
        name="max_items",
        variables=("OTEL_OBS_MAX_ITEMS",),
        parse=parse.count,
        default=1_000,
        doc="Most entries of one map or list; further ones are left out and marked.",
    ),
    Setting(
        name="max_gates",
        variables=("OTEL_OBS_MAX_GATES",),
        parse=parse.count,
        default=128,
        doc="Most gates recorded on one decision; further ones still bind, and are counted.",
    ),
    Setting(
        name="max_queue",
        variables=("OTEL_OBS_MAX_QUEUE", "OTEL_BSP_MAX_QUEUE_SIZE"),
        parse=parse.count,
        default=16_384,
        doc="Most records in memory that are not encoded yet. From 80 % on `best_effort` is dropped, from 95 % on "
        "all but `durable`; every drop is counted.",
    ),
    Setting(
        name="max_queue_bytes",
        variables=("OTEL_OBS_MAX_QUEUE_BYTES",),
        parse=parse.size,
        default=32 << 20,
        doc="The same in bytes (`32MiB`). Where there is no journal, as many again may wait for the receiver.",
    ),
    Setting(
        name="block",
        variables=("OTEL_OBS_BLOCK",),
        parse=parse.seconds,
        default=0.0,
        doc="Most seconds that one call may wait for room in the queue before its record is dropped. 0 never waits; "
        "for backtests, where losing nothing matters more than time.",
    ),
    Setting(
        name="journal",
        variables=("OTEL_OBS_JOURNAL",),
        parse=str,
        default="",
        doc="The directory where records stand until the receiver has them; `off` keeps them in memory alone. Else "
        "`otel_obs/journal` in the user's state directory (`$XDG_STATE_HOME`, `~/.local/state`).",
    ),
    Setting(
        name="journal_max_bytes",
        variables=("OTEL_OBS_JOURNAL_MAX_BYTES",),
        parse=parse.size,
        default=256 << 20,
        doc="Most bytes of one process's journal, with those of the dead that it took over. Beyond it, cheaper tiers "
        "make room for dearer ones.",
    ),
    Setting(
        name="journal_fsync",
        variables=("OTEL_OBS_JOURNAL_FSYNC",),
        parse=parse.fsync,
        default="never",
        doc="When the journal is forced to the disk: `never` survives the death of the process, not of the machine; "
        "`second` loses at most one second to that; `each` forces every write.",
    ),
    Setting(
        name="journal_sync",
        variables=("OTEL_OBS_JOURNAL_SYNC",),
        parse=parse.flag,
        default=False,
        doc="Whether a durable record is in the journal before the call that says it returns.",
    ),
    Setting(
        name="trace_files",
        variables=("OTEL_OBS_TRACE_FILES",),
        parse=str,
        default="",
        doc="A directory where each finished trace is also written as one JSON document; empty writes none.",
    ),
    Setting(
        name="trace_files_keep_days",
        variables=("OTEL_OBS_TRACE_FILES_KEEP_DAYS",),
        parse=parse.count,
        default=30,
        doc="Days that those documents are kept, counted from when they were written.",
    ),
    Setting(
        name="trace_files_max_bytes",
        variables=("OTEL_OBS_TRACE_FILES_MAX_BYTES",),
        parse=parse.size,
        default=1 << 30,
        doc="Most bytes of one bot's documents; beyond it the oldest are removed.",
    ),
    Setting(
        name="send_interval",
        variables=("OTEL_OBS_SEND_INTERVAL",),
        parse=parse.seconds,
        default=1.0,
        doc="Seconds between two batches when little is said.",
    ),
    Setting(
        name="shutdown_timeout",
        variables=("OTEL_OBS_SHUTDOWN_TIMEOUT",),
        parse=parse.seconds,
        default=5.0,
        doc="Most seconds that `shutdown()` and the interpreter's exit wait for what is still unsent.",
    ),
    Setting(
        name="scorecard",
        variables=("OTEL_OBS_SCORECARD",),
        parse=parse.card,
        default="off",
        doc="Write a card on stderr after each trace: `compact` or `verbose`. `otel-obs scorecard` shows any later.",
    ),
    Setting(
        name="metrics_port",
        variables=("OTEL_OBS_METRICS_PORT",),
        parse=parse.port,
        default=-1,
        doc="Where Prometheus scrapes this process's health: 9464 is usual, 0 takes any free port, `off` (-1) none.",
    ),
    Setting(
        name="metrics_host",
        variables=("OTEL_OBS_METRICS_HOST",),
        parse=str,
        default="127.0.0.1",
        doc="The address that it listens on; `0.0.0.0` lets other machines scrape it.",
    ),
    Setting(
        name="health_snapshots",
        variables=("OTEL_OBS_HEALTH_SNAPSHOTS",),
        parse=parse.flag,
        default=True,
        doc="Whether a bot that feeds `otel_obs.health` sends a `health_snapshot` every 5 minutes, hour and day, and "
        "on change.",
    ),
    Setting(
        name="trading_hours",
        variables=("OTEL_OBS_TRADING_HOURS",),
        parse=str,
        default="24x7",
        doc="When the bot trades: `24x7`, `weekdays` (Monday to Friday, UTC), `weekdays@America/New_York`, or an "
        "exchange that the package exchange_calendars knows, such as `XNYS`.",
    ),
    Setting(
        name="url",
        variables=("OTEL_OBS_URL",),
        parse=str,
        default="",
        doc="The store that is asked: ClickHouse's HTTP interface. Else `http://127.0.0.1:8123`.",
    ),
    Setting(
        name="prometheus_url",
        variables=("OTEL_OBS_PROMETHEUS_URL",),
        parse=str,
        default="",
        doc="Prometheus, as `otel-obs doctor` asks it. Else `http://127.0.0.1:9090` where something answers.",
    ),
    Setting(
        name="alertmanager_url",
        variables=("OTEL_OBS_ALERTMANAGER_URL",),
        parse=str,
        default="",
        doc="Alertmanager, as `otel-obs doctor` and `otel-obs alerts test` ask it. Else `http://127.0.0.1:9093`.",
    ),
    Setting(
        name="data",
        variables=("OTEL_OBS_DATA",),
        parse=str,
        default="",
        doc="The data directory that is served, or asked without a server.",
    ),
    Setting(
        name="user",
        variables=("OTEL_OBS_USER",),
        parse=str,
        default="",
        doc="As whom the store is asked: `default` or `reader`; one in the URL counts first. Else `default`.",
    ),
    Setting(
        name="store_password",
        variables=("OTEL_OBS_PASSWORD", "OTEL_OBS_PASSWORD_FILE"),
        parse=str,
        default="",
        doc="The password of the store's user `default`, who reads and writes: asked for by `otel-obs up`, given by "
        "whoever asks. `…_FILE` names a file whose first line it is.",
        secret=True,
    ),
    Setting(
        name="reader_password",
        variables=("OTEL_OBS_READER_PASSWORD", "OTEL_OBS_READER_PASSWORD_FILE"),
        parse=str,
        default="",
        doc="The password of the store's user `reader`, who only reads. Else that of `default`.",
        secret=True,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one process, one field for each row of SETTINGS."""

    enabled: bool = True
    service_name: str = ""
    endpoint: str = "http://127.0.0.1:4318"
    ids_seed: str = ""
    strict: bool = False
    max_text: int = 16_384
    max_items: int = 1_000
    max_gates: int = 128
    max_queue: int = 16_384
    max_queue_bytes: int = 32 << 20
    block: float = 0.0
    journal: str = ""
    journal_max_bytes: int = 256 << 20
    journal_fsync: str = "never"
    journal_sync: bool = False
    trace_files: str = ""
    trace_files_keep_days: int = 30
    trace_files_max_bytes: int = 1 << 30
    send_interval: float = 1.0
    shutdown_timeout: float = 5.0
    scorecard: str = "off"
    metrics_port: int = -1
    metrics_host: str = "127.0.0.1"
    health_snapshots: bool = True
    trading_hours: str = "24x7"
    url: str = ""
    prometheus_url: str = ""
    alertmanager_url: str = ""
    data: str = ""
    user: str = ""
    store_password: str = field(default="", repr=False)
    reader_password: str = field(default="", repr=False)


def sdk_disabled(environment: Mapping[str, str] = os.environ) -> bool:
    """Tell whether OpenTelemetry's own switch is off, which other frameworks tell their users to set."""
    return environment.get(SDK_DISABLED, "").strip().lower() == "true"


def resolve(
    environment: Mapping[str, str] = os.environ,
    *,
    refused: Callable[[SettingError], None] | None = None,
    **given: Any,
) -> Settings:
    """Settings from the arguments that are not None, else the environment, else the defaults.

    With ``refused`` nothing is raised: each error is handed there, and that setting keeps its default.

    Raises:
        SettingError: an unknown name, or a value that cannot be understood.

    """

    def refuse(error: SettingError) -> None:
        if refused is None:
            raise error from None
        refused(error)

    known = {row.name for row in SETTINGS}
    for unknown in sorted(set(given) - known):
        refuse(SettingError(f"There is no setting {unknown}.", fix=f"Known: {', '.join(sorted(known))}."))
    values: dict[str, Any] = {}
    for row in SETTINGS:
        variable = next((name for name in row.variables if name in environment), None)
        try:
            if given.get(row.name) is not None:
                values[row.name] = _checked(row, given[row.name])
            elif variable is not None:
                values[row.name] = row.parse(row.text(variable, environment))
        except ValueError as error:
            by_name = given.get(row.name) is not None
            value = "" if row.secret else f"={given[row.name] if by_name else environment[variable or '']!r}"
            shown = f"{row.name if by_name else variable}{value}"
            refuse(SettingError(f"{shown} cannot be read: {error}.", fix=row.doc))
    if sdk_disabled(environment) and given.get("enabled") is None:
        values["enabled"] = False
    return Settings(**values)


def _checked(row: Setting, value: Any) -> Any:
    """A value given in code: of the default's own kind, and within the bounds that a text has as well."""
    kinds: tuple[type, ...] = (int, float) if isinstance(row.default, float) else (type(row.default),)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise ValueError(f"it wants {kinds[-1].__name__}, not {type(value).__name__}")
    if not isinstance(value, bool):
        row.parse(str(value))
    return value


# In force from the start, so that a bot whose author never calls configure() can be switched off as well.
active: Settings = resolve(refused=lambda _error: None)


def activate(settings: Settings) -> None:
    """Put ``settings`` in force for the whole process."""
    global active  # noqa: PLW0603 - the one place where the settings in force are kept
    active = settings


def override(**changes: Any) -> Settings:
    """Return the settings in force with ``changes``; nothing is put in force."""
    return replace(active, **changes)
