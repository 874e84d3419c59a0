"""THRESHOLDS: every number and window that an alert depends on, once; one file of the operator sets them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from otel_obs.contract.health_metrics import STALE_AFTER
from otel_obs.errors import SettingError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Kind = Literal["duration", "ratio", "number", "text"]

SERVICES: Final = "services"
_DURATION: Final = re.compile(r"(?=.)([1-9]\d*w)?([1-9]\d*d)?([1-9]\d*h)?([1-9]\d*m)?([1-9]\d*s)?([1-9]\d*ms)?")
_NAMED: Final = re.compile(r"<([a-z_]+)(:s)?>")


@dataclass(frozen=True, kw_only=True)
class Threshold:
    """One row. A ``global_`` one holds for all bots alike; the others can differ by service."""

    name: str
    kind: Kind
    default: str
    doc: str
    global_: bool = False

    def read(self, value: Any) -> str:
        """``value`` as it stands in a rule.

        Raises:
            SettingError: it is not of this kind.

        """
        text = str(value).strip()
        if isinstance(value, bool) or not _IS[self.kind](text):
            raise SettingError(f"{self.name}: {value!r} is not {_WANTED[self.kind]}.", fix=f"{self.doc} {self.default}")
        return text


def _is_number(text: str) -> bool:
    try:
        return 0 <= float(text) < float("inf")
    except ValueError:
        return False


_IS: Final[dict[Kind, Callable[[str], bool]]] = {
    "duration": lambda text: _DURATION.fullmatch(text) is not None,
    "ratio": lambda text: _is_number(text) and float(text) <= 1,
    "number": _is_number,
    "text": lambda text: not set(text) & set("\"'{}<>\n"),
}
_WANTED: Final[dict[Kind, str]] = {
    "duration": "a length of time as Prometheus writes it, such as 15s, 5m, 1h30m or 2d",
    "ratio": "a share between 0 and 1",
    "number": "a number, 0 or more",
    "text": "an address",
}


THRESHOLDS: Final[dict[str, Threshold]] = {}


def _row(name: str, default: str, doc: str, kind: Kind, *, global_: bool = False) -> None:
    THRESHOLDS[name] = Threshold(name=name, kind=kind, default=default, doc=doc, global_=global_)


def _time(name: str, default: str, doc: str) -> None:
    _row(name, default, doc, "duration")


def _share(name: str, default: str, doc: str) -> None:
    _row(name, default, doc, "ratio")


def _number(name: str, default: str, doc: str) -> None:
    _row(name, default, doc, "number")


_row("evaluation_interval", "15s", "How often the rules are evaluated.", "duration", global_=True)
_row("runbooks", "docs/runbooks", "Where runbooks are read: a URL before `/NAME.md`.", "text", global_=True)
_row("grafana", "", "Grafana's URL; with it, messages link to its dashboards.", "text", global_=True)

_time("rejection_window", "2h", "Window of the rejection rate; it must have filled since start and opening.")
_share("rejection_ratio", "0.8", "Share of candidates that were vetoed, above which it is too many.")
_number("rejection_min_decisions", "20", "Candidates (vetoed, executed or failed) below which no rate counts.")
_time("burst_window", "15m", "Window of a burst of rejections.")
_time("burst_baseline", "1d", "What came before it, as this bot's own baseline.")
_number("burst_min_decisions", "10", "Candidates in the window below which nothing is a burst.")
_number("burst_baseline_decisions", "50", "Candidates of the baseline below which there is none.")
_share("burst_rise", "0.3", "Rise of the share of vetoes above the baseline's.")
_number("burst_sigmas", "4", "The same in standard deviations of that many candidates.")
_time("gate_window", "30m", "Window in which one gate denies everything; it must have filled since start and opening.")
_number("gate_min_evaluations", "20", "Evaluations below which that says nothing.")
_time("no_decisions_after", "1h", "Silence of a bot that lives and whose market is open. One of daily bars wants 30h.")

_number("source_stale_factor", str(STALE_AFTER), "Expected intervals without an update: beyond, a source is stale.")
_time("source_stale_min", "30s", "It is never stale sooner; above the scrape interval.")
_time("source_default_interval", "1m", "Expected of a websocket, order book or trades whose author told no interval.")
_time("source_never_seen_after", "5m", "Time after start or opening in which a source must be seen once.")
_number("source_gap_factor", "10", "Expected intervals of silence that are a gap, though updates came again.")
_time("source_gap_min", "1m", "No shorter silence is a gap.")
_time("reconnect_window", "10m", "Window of a reconnect storm.")
_number("reconnect_max", "5", "Reconnects of one source in it that are still none.")

_number("heartbeat_factor", "3", "Expected periods without a round after which the loop hangs.")
_time("heartbeat_min", "30s", "It never hangs sooner; above the scrape interval.")
_time("heartbeat_default", "1m", "Expected period of a loop whose author told none.")
_time("heartbeat_first", "5m", "Time after start or opening in which a declared loop must come round once.")
_time("metrics_absent_for", "5m", "Time for which a target answers without our metrics.")
_time("error_window", "15m", "Window of the error rate.")
_number("error_rate", "0.02", "Errors per second above which there are too many (18 in 15 minutes).")
_time("throttle_window", "1h", "Window of throttling.")
_number("throttle_max", "10", "Throttles in it that are still normal.")
_number("loop_lag_seconds", "1", "Lag of the event loop above which a bot reacts too late.")
_time("snapshot_overdue", "15m", "Time without a periodic snapshot (one is sent every 5 minutes).")
_number("clock_skew_seconds", "5", "Difference between a bot's clock and that of Prometheus.")

_time("drop_window", "15m", "Window in which records that the bot's recorder lost are told.")
_number("drop_max", "0", "Records below `durable` that may be dropped in it.")
_share(
    "bot_queue_ratio", "0.7", "Share of the bot's own queue in use, above which it fills; at 0.8 records are dropped."
)
_time("bot_queue_for", "1m", "Time for which it is above that.")
_time("writer_late", "30s", "Age of a record in that queue beyond which its writer is stuck.")
_time("journal_oldest", "10m", "Age of an undelivered record beyond which the journal grows.")
_time("journal_window", "5m", "Time within which what waits must become less.")
_share("journal_ratio", "0.8", "Share of the journal's bound in use, above which it is nearly full.")
_time("ledger_for", "2m", "Time for which ledger and outbox disagree.")

_row("down_for", "1m", "Failed scrapes until a bot, a collector or a store is down.", "duration", global_=True)
_row("queue_ratio", "0.5", "Share of the collector's queue in use, above which it fills.", "ratio", global_=True)
_row("collector_window", "5m", "Window in which the collector refuses, or sends nothing.", "duration", global_=True)
_row("monitoring_window", "15m", "Window in which rules or notifications fail.", "duration", global_=True)


class Thresholds:
    """Values by name: the operator's, else the defaults; and what some services have of their own."""

    def __init__(self, given: Mapping[str, Any] | None = None) -> None:
        """Read them.

        Raises:
            SettingError: a name that is none, or a value that is not of its kind.

        """
        own = dict(given or {})
        services = own.pop(SERVICES, None) or {}
        if not isinstance(services, dict) or not all(isinstance(value, dict) for value in services.values()):
            raise SettingError(
                f"{SERVICES}: is not a map of services.",
                fix=f"Write `{SERVICES}: {{my-bot: {{rejection_ratio: 0.9}}}}`.",
            )
        self.everywhere: Final = {name: row.default for name, row in THRESHOLDS.items()} | _read(own)
        self.services: Final = {str(name): _read(values, of=str(name)) for name, values in services.items()}

    def of(self, service: str | None) -> dict[str, str]:
        """The values for one service that has its own; those of all others for None."""
        return self.everywhere | (self.services[service] if service is not None else {})


def _read(given: Mapping[str, Any], *, of: str = "") -> dict[str, str]:
    found = {}
    for name, value in given.items():
        row = THRESHOLDS.get(str(name))
        if row is None:
            raise SettingError(f"There is no threshold {name!r}.", fix=nearest(str(name), THRESHOLDS))
        if of and row.global_:
            raise SettingError(f"{name} holds for everything, and cannot differ for {of!r}.", fix="Set it at the top.")
        found[row.name] = row.read(value)
    return found


def seconds(duration: str) -> float:
    """A duration of Prometheus in seconds."""
    units = {"w": 604_800.0, "d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)(ms|[wdhms])", duration))


def filled(text: str, values: Mapping[str, str]) -> str:
    """``text`` with the values of its ``<thresholds>``; ``<name:s>`` is a duration in seconds, for arithmetic."""
    return _NAMED.sub(lambda match: f"{seconds(values[match[1]]):g}" if match[2] else values[match[1]], text)
