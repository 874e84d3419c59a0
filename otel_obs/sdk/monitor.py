"""What `obs.delivery()` answers: where every record of this process is, and how queue, journal and exporter stand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from otel_obs.contract.tiers import Loss, Tier
    from otel_obs.sdk.ledger import Balance

JournalState = Literal["on", "off", "full", "disk_full", "unwritable"]
ExporterState = Literal["idle", "sending", "backing_off", "refused", "off"]

_MIB: Final = 1 << 20
_WIDTH: Final = 12
_LABEL: Final = 14
_LONGEST_ERROR: Final = 100


@dataclass(frozen=True, kw_only=True)
class QueueStanding:
    """The queue between the bot's threads and the writer.

    ``fill`` is the share in use, of records or of bytes, whichever is larger. ``writer_lag`` is the age in seconds of
    the oldest record that is not yet encoded; None where none waits. ``kills`` counts how often the kill switch went
    on.
    """

    records: int = 0
    capacity: int = 0
    bytes: int = 0
    capacity_bytes: int = 0
    fill: float = 0.0
    kill_switch: bool = False
    kills: int = 0
    writer_lag: float | None = None


@dataclass(frozen=True, kw_only=True)
class JournalStanding:
    """The journal on disk, in bytes. ``oldest_age``: seconds that the oldest undelivered record waits, or None."""

    state: JournalState = "off"
    bytes: int = 0
    capacity: int = 0
    segments: int = 0
    oldest_age: float | None = None


@dataclass(frozen=True, kw_only=True)
class ExporterStanding:
    """The sender. ``in_flight`` are records in requests on their way; ``requests`` and ``failures`` are attempts."""

    state: ExporterState = "idle"
    in_flight: int = 0
    requests: int = 0
    failures: int = 0
    consecutive_failures: int = 0
    last_error: str = ""
    seconds_since_success: float | None = None


@dataclass(frozen=True, kw_only=True)
class AdoptedStanding:
    """What dead processes of this service left behind: how many there were, what of theirs still waits, what is lost.

    ``instances`` and ``unconfirmed`` count from this process's start and never go down.
    """

    instances: int = 0
    waiting: int = 0
    unconfirmed: int = 0


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """Where every record of this process is. ``waiting`` is what its outbox holds, on disk or in memory, by tier.

    ``altered`` counts values that could not be sent as they were, by reason.
    """

    instance: str
    tiers: Mapping[Tier, Balance]
    waiting: Mapping[Tier, int]
    queue: QueueStanding = field(default_factory=QueueStanding)
    journal: JournalStanding = field(default_factory=JournalStanding)
    exporter: ExporterStanding = field(default_factory=ExporterStanding)
    adopted: AdoptedStanding = field(default_factory=AdoptedStanding)
    altered: Mapping[str, int] = field(default_factory=dict)

    @property
    def difference(self) -> int:
        """Records of which ledger and outbox disagree, over all tiers; 0 where every one has its place."""
        return sum(abs(balance.waiting - self.waiting.get(tier, 0)) for tier, balance in self.tiers.items())

    @property
    def adds_up(self) -> bool:
        """Whether every record has its place."""
        return self.difference == 0

    def __str__(self) -> str:
        """One screen for people."""
        return text(self)


def text(delivery: Delivery) -> str:
    """One screen for people: the ledger as a table, then a line for each part of the way."""
    verdict = "it adds up" if delivery.adds_up else f"it does NOT add up: {delivery.difference:,} records differ"
    lines = [f"Delivery of {delivery.instance}: {verdict}.", *_table(delivery)]
    told = (
        ("queue", _queue(delivery.queue)),
        ("kill switch", _switch(delivery.queue)),
        ("journal", _journal(delivery.journal)),
        ("exporter", _exporter(delivery.exporter)),
        ("last error", _cut(delivery.exporter.last_error)),
        ("adopted", _adopted(delivery.adopted)),
        ("altered", ", ".join(f"{reason} {count:,}" for reason, count in sorted(delivery.altered.items()) if count)),
    )
    return "\n".join([*lines, *(f"{about:<{_LABEL}}{found}" for about, found in told if found)])


def _table(delivery: Delivery) -> list[str]:
    balances = [delivery.tiers[tier] for tier in delivery.tiers]
    reasons: dict[Loss, None] = dict.fromkeys(reason for balance in balances for reason in balance.dropped)
    return [
        _row("", (*delivery.tiers, "total")),
        _sum("produced", (balance.produced for balance in balances)),
        _sum("delivered", (balance.delivered for balance in balances)),
        _sum("waiting", (delivery.waiting.get(tier, 0) for tier in delivery.tiers)),
        _sum("unconfirmed", (balance.unconfirmed for balance in balances)),
        _sum("sampled", (balance.sampled for balance in balances)),
        _sum("dropped", (sum(balance.dropped.values()) for balance in balances)),
        *(_sum(f"  {reason}", (balance.dropped.get(reason, 0) for balance in balances)) for reason in reasons),
    ]


def _sum(label: str, counts: Iterable[int]) -> str:
    found = tuple(counts)
    return _row(label, tuple(f"{count:,}" for count in (*found, sum(found))))


def _row(label: str, cells: Iterable[str]) -> str:
    return f"{label:<{_LABEL}}" + "".join(f"{cell:>{_WIDTH}}" for cell in cells)


def _queue(queue: QueueStanding) -> str:
    lag = "" if queue.writer_lag is None else f"; the writer is {queue.writer_lag:.2f} s behind"
    return (
        f"{queue.fill:.0%} full: {queue.records:,} of {queue.capacity:,} records, "
        f"{_mib(queue.bytes)} of {_mib(queue.capacity_bytes)} MiB{lag}"
    )


def _switch(queue: QueueStanding) -> str:
    times = f"; it went on {queue.kills:,} times" if queue.kills else ""
    return f"{'ON: only durable records are taken' if queue.kill_switch else 'off'}{times}"


def _journal(journal: JournalStanding) -> str:
    waits = "" if journal.oldest_age is None else f"; the oldest waits {journal.oldest_age:.1f} s"
    if journal.state == "off":
        return f"off{waits}"
    return (
        f"{journal.state}: {_mib(journal.bytes)} of {_mib(journal.capacity)} MiB in {journal.segments:,} "
        f"segments{waits}"
    )


def _exporter(exporter: ExporterStanding) -> str:
    since = exporter.seconds_since_success
    success = "none succeeded yet" if since is None else f"last success {since:.1f} s ago"
    return (
        f"{exporter.state}: {exporter.in_flight:,} in flight; {exporter.failures:,} of "
        f"{exporter.requests:,} requests failed ({exporter.consecutive_failures:,} in a row); {success}"
    )


def _adopted(adopted: AdoptedStanding) -> str:
    if not adopted.instances:
        return ""
    return (
        f"of {adopted.instances:,} dead processes: {adopted.waiting:,} waiting, {adopted.unconfirmed:,} unconfirmed "
        "(lost with them)"
    )


def _mib(size: int) -> str:
    return f"{size / _MIB:,.1f}"


def _cut(told: str) -> str:
    line = " ".join("".join(mark if mark.isprintable() else " " for mark in told).split())
    return line if len(line) <= _LONGEST_ERROR else line[: _LONGEST_ERROR - 1] + "…"
