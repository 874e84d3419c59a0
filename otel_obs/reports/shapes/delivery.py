"""Answers about the delivery ledger: delivery."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from otel_obs.analytics.deliveries import State, total
from otel_obs.reports import rows
from otel_obs.reports.answer import Answer, Table, listed
from otel_obs.reports.shapes.words import count, time

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_ORDER: Final = list(State)
_NAMED: Final = 3
_COUNTS: Final = (
    "produced", "stored", "journaled", "dropped", "sampled", "unconfirmed", "unaccounted", "overcounted",
)  # fmt: skip


def delivery(found: Sequence[rows.Delivery], asked: Mapping[str, Any]) -> Answer[rows.Delivery]:
    """Where are the records that were produced, and does the ledger add up?"""
    ledgers = sorted((row for row in found if row.tier is not None), key=_worst_first)
    sums = _sums(ledgers, {row.service: row.not_numbered for row in found if row.tier is None})
    by_service = Table(
        title="By service",
        columns=("service", "state", *_COUNTS, "not numbered"),
        rows=[(row.service, _words(row.state), *_figures(row), row.not_numbered) for row in sums],
    )
    by_tier = Table(
        title="By instance and tier",
        columns=("service", "instance", "tier", "state", "process", *_COUNTS, "missing", "since", "statement"),
        rows=[
            (
                row.service, row.instance, row.tier, _words(row.state), row.process, *_figures(row), _gaps(row),
                row.since, time(row.statement_at, asked),
            )
            for row in ledgers
        ],
    )  # fmt: skip
    return listed([*sums, *ledgers], _sentence(ledgers, sums), by_service, by_tier)


def _worst_first(row: rows.Delivery) -> tuple[Any, ...]:
    return _ORDER.index(State(row.state)), row.service, row.instance or "", row.tier or ""


def _sums(ledgers: Iterable[rows.Delivery], not_numbered: Mapping[str, int]) -> list[rows.Delivery]:
    of_service: dict[str, list[rows.Delivery]] = defaultdict(list)
    for service in not_numbered:
        of_service[service] = []
    for row in ledgers:
        of_service[row.service].append(row)
    sums = [_sum(service, those, not_numbered.get(service, 0)) for service, those in of_service.items()]
    return sorted(sums, key=_worst_first)


def _sum(service: str, those: Sequence[rows.Delivery], not_numbered: int) -> rows.Delivery:
    return rows.Delivery(
        service=service, instance=None, tier=None, process="", gaps=[],
        missing_elsewhere=sum(row.missing for row in those),
        kill_switch=any(row.kill_switch for row in those),
        statement_at=max((row.statement_at for row in those if row.statement_at), default=None),
        defects=sorted({text for row in those for text in row.defects}),
        **total([asdict(row) for row in those], not_numbered=not_numbered),
    )  # fmt: skip


def _figures(row: rows.Delivery) -> tuple[Any, ...]:
    dropped = ", ".join(f"{reason} {number}" for reason, number in row.dropped.items())
    return (
        row.produced, row.stored, row.journaled, dropped, row.sampled, row.unconfirmed, row.unaccounted,
        row.overcounted,
    )  # fmt: skip


def _words(state: str) -> str:
    return state.replace("_", " ")


def _gaps(row: rows.Delivery) -> str:
    more = f"{row.missing_elsewhere} more" if row.gaps else f"{row.missing_elsewhere}"
    return ", ".join([*row.gaps, *([more] if row.missing_elsewhere else [])])


def _sentence(ledgers: Sequence[rows.Delivery], sums: Sequence[rows.Delivery]) -> str:
    if not sums:
        return "No record arrived in this window, and no process told where its records are."
    told = [_not_adding_up(ledgers), _lost(ledgers), _unheard(ledgers), _waiting(ledgers)]
    if ledgers and not any(told):
        produced = sum(row.produced or 0 for row in ledgers)
        sampled = sum(row.sampled for row in ledgers)
        but = f" but {sampled} that a sampler left out" if sampled else ""
        told = [f"The ledger adds up: of {count(produced, 'record')} produced all are stored{but}."]
    if killed := sorted({row.service for row in ledgers if row.kill_switch and row.process == "running"}):
        told.append(f"The kill switch is on in {', '.join(killed)}: only durable records are taken.")
    if foreign := [row for row in sums if row.not_numbered]:
        of = ", ".join(f"{row.service} {row.not_numbered}" for row in foreign)
        told.append(f"Not numbered, so nothing can be said of them: {of}.")
    return " ".join(text for text in told if text)


def _not_adding_up(ledgers: Iterable[rows.Delivery]) -> str:
    wrong = [row for row in ledgers if row.state == State.DOES_NOT_ADD_UP]
    if not wrong:
        return ""
    named = "; ".join(f"{row.service} {row.instance} {row.tier} {_difference(row)}" for row in wrong[:_NAMED])
    more = f"; and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
    return f"The ledger does NOT add up: {named}{more}."


def _difference(row: rows.Delivery) -> str:
    parts = []
    if row.unaccounted:
        among = f" (missing: {_gaps(row)})" if row.missing else ""
        parts.append(f"lacks {count(row.unaccounted, 'record')} that nobody accounts for{among}")
    if row.overcounted:
        parts.append(f"has {count(row.overcounted, 'record')} that its process counts as lost")
    return " and ".join(parts)


def _lost(ledgers: Iterable[rows.Delivery]) -> str:
    reasons: dict[str, int] = defaultdict(int)
    for row in ledgers:
        for reason, number in row.dropped.items():
            reasons[reason] += number
        if row.process == "ended":
            reasons["unconfirmed"] += row.unconfirmed
    worst = sorted(((number, reason) for reason, number in reasons.items() if number), reverse=True)
    if not worst:
        return ""
    told = ", ".join(f"{reason} {number}" for number, reason in worst)
    return f"Lost, and counted: {count(sum(number for number, _ in worst), 'record')} ({told})."


def _unheard(ledgers: Iterable[rows.Delivery]) -> str:
    unheard = [row for row in ledgers if row.state == State.NO_STATEMENT]
    if not unheard:
        return ""
    arrived = sum(row.stored for row in unheard)
    instances = len({(row.service, row.instance) for row in unheard})
    return f"No statement yet from {count(instances, 'instance')}, of which {count(arrived, 'record')} arrived."


def _waiting(ledgers: Iterable[rows.Delivery]) -> str:
    those = list(ledgers)
    journaled = sum(row.journaled for row in those)
    unconfirmed = sum(row.unconfirmed for row in those if row.process != "ended")
    if not journaled + unconfirmed:
        return ""
    silent = sorted({row.service for row in those if row.process == "silent" and row.journaled + row.unconfirmed})
    unheard = f"; nothing was heard for 15 minutes of {', '.join(silent)}" if silent else ""
    return f"On their way: {journaled} in a journal, {unconfirmed} in memory{unheard}."
