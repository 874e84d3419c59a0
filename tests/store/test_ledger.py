"""What a process says of its records, held against what arrived over OTLP: delivered twice, late, in part, or never."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from otel_obs.reports.registry import report
from otel_obs.reports.run import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import ModuleType

    from clickhouse_connect.driver.client import Client

SECOND = 1_000_000_000
EVERYTHING = {"from": "2025-12-19", "to": "2262-01-01", "tz": "UTC"}


class Bot:
    """One process: sends spans and log records by their numbers, and statements, as a sender of ours would."""

    def __init__(self, otlp: ModuleType, receiver: Any, service: str, instance: str = "i-1") -> None:
        self._otlp, self._receiver = otlp, receiver
        self._of = {"service": service, "resource": {"service.instance.id": instance}}

    def sends(self, numbers: Iterable[int], tier: str = "durable", *, as_logs: bool = False) -> Any:
        """One body; the same numbers make the same records."""
        found = []
        for number in numbers:
            told = {"otel_obs.tier": tier, "otel_obs.seq": number}
            if as_logs:
                found.append(self._otlp.fact("note", told, at=self._otlp.NOON + number))
            else:
                span_id, trace_id = number.to_bytes(8, "big"), number.to_bytes(16, "big")
                found.append(self._otlp.span(told, id=span_id, trace=trace_id, at=self._otlp.NOON + number))
        body = self._otlp.logs(*found, **self._of) if as_logs else self._otlp.traces(*found, **self._of)
        self._receiver.send(body)
        return body

    def says(self, numbered: int, tier: str = "durable", *, after: int = 60, **told: Any) -> None:
        """A statement; what is not told is 0, and all that was numbered was delivered."""
        lost, untaken = told.get("lost", {}), told.get("untaken", {})
        produced = numbered + told.get("sampled", 0) + sum(untaken.values())
        waits = told.get("journaled", 0) + told.get("unconfirmed", 0) + sum(lost.values())
        said = {
            "produced": produced, "numbered": numbered, "delivered": numbered - waits, "journaled": 0,
            "unconfirmed": 0, "sampled": 0, "ended": False, "kill_switch": False, **told, "lost": lost,
            "untaken": untaken,
        }  # fmt: skip
        at = self._otlp.NOON + after * SECOND
        self._receiver.send(self._otlp.logs(self._otlp.statement(tier, at=at, **said), **self._of))


@pytest.fixture
def bot(otlp: ModuleType, receiver: Any) -> Callable[..., Bot]:
    """Make a process."""
    return lambda service, instance="i-1": Bot(otlp, receiver, service, instance)


def _rows(client: Client, service: str, **given: str) -> dict[tuple[str | None, str | None], Any]:
    answer = run(client, report("delivery"), {**EVERYTHING, "service": service, **given})
    return {(row.instance, row.tier): row for row in answer.rows}


def test_records_that_arrive_twice_late_and_in_any_order_count_once(
    bot: Callable[..., Bot], receiver: Any, asked: Client
) -> None:
    one = bot("repeats")
    numbers = list(range(1, 301))
    random.Random(1).shuffle(numbers)
    bodies = [one.sends(numbers[at : at + 50], as_logs=at % 100 == 0) for at in range(0, 300, 50)]
    one.sends(sorted(numbers[:70]))  # another cut of the same
    for body in [*bodies, bodies[0]]:
        receiver.send(body, packed=True)
    one.says(300)
    [total, row] = _rows(asked, "repeats").values()
    assert (row.state, row.produced, row.stored, row.missing) == ("adds_up", 300, 300, 0)
    assert (total.state, total.stored, total.not_numbered) == ("adds_up", 300, 0)
    before = row
    receiver.send(bodies[1])
    assert _rows(asked, "repeats")["i-1", "durable"] == before
    asked.command("OPTIMIZE TABLE delivered_numbers FINAL")
    assert _rows(asked, "repeats")["i-1", "durable"] == before


def test_numbers_that_nobody_accounts_for_are_named_and_the_ledger_does_not_add_up(
    bot: Callable[..., Bot], asked: Client
) -> None:
    one = bot("holes")
    one.sends(set(range(1, 101)) - {17, 18, 19, 44, 100})
    one.says(100)
    answer = run(asked, report("delivery"), {**EVERYTHING, "service": "holes", "gaps": "2"})
    [total, row] = answer.rows
    assert (row.state, row.unaccounted, row.gaps, row.missing_elsewhere) == ("does_not_add_up", 5, ["17-19", "44"], 1)
    assert total.state == "does_not_add_up"
    assert "does NOT add up: holes i-1 durable lacks 5 records" in answer.sentence
    assert "17-19, 44, 1 more" in answer.sentence


def test_a_statement_may_be_older_or_newer_than_what_arrived(bot: Callable[..., Bot], asked: Client) -> None:
    one = bot("ages")
    one.sends(range(1, 21))
    assert _rows(asked, "ages")["i-1", "durable"].state == "no_statement"
    one.says(12, after=10)
    older = _rows(asked, "ages")["i-1", "durable"]
    assert (older.state, older.stored, older.since) == ("adds_up", 12, 8)
    one.says(30, after=20, journaled=6, unconfirmed=4)
    newer = _rows(asked, "ages")["i-1", "durable"]
    assert (newer.state, newer.stored, newer.journaled, newer.unconfirmed) == ("waiting", 20, 6, 4)
    assert (newer.gaps, newer.unaccounted) == (["21-30"], 0)
    one.sends(range(21, 31))
    assert _rows(asked, "ages")["i-1", "durable"].state == "adds_up"
    one.says(25, after=15)  # one that was overtaken changes nothing
    assert _rows(asked, "ages")["i-1", "durable"].produced == 30


def test_what_was_dropped_is_told_by_reason_and_a_lost_record_that_arrived_is_a_fault_of_the_ledger(
    bot: Callable[..., Bot], asked: Client
) -> None:
    one = bot("drops")
    one.sends(range(1, 9), "best_effort")
    one.says(10, "best_effort", untaken={"queue_full": 5, "kill_switch": 1}, lost={"queue_full": 2}, sampled=3)
    row = _rows(asked, "drops")["i-1", "best_effort"]
    assert (row.state, row.produced, row.stored, row.sampled) == ("lost", 19, 8, 3)
    assert row.dropped == {"kill_switch": 1, "queue_full": 7}
    one.sends([9], "best_effort")
    row = _rows(asked, "drops")["i-1", "best_effort"]
    assert (row.state, row.overcounted, row.unaccounted) == ("does_not_add_up", 1, 0)


def test_a_killed_process_is_told_by_its_heir_and_its_restart_is_another_ledger(
    bot: Callable[..., Bot], asked: Client
) -> None:
    killed, next_one = bot("restarts", "killed"), bot("restarts", "next")
    killed.sends(range(1, 41))
    killed.says(40, after=1)
    next_one.sends(range(1, 4))
    next_one.says(3, after=100)
    # what it left in its journal, and what died with it
    killed.says(50, after=100, journaled=7, unconfirmed=3, ended=True)
    row = _rows(asked, "restarts")["killed", "durable"]
    assert (row.process, row.journaled, row.unconfirmed, row.state) == ("ended", 7, 3, "lost")
    killed.sends(range(41, 48))
    killed.says(50, after=101, unconfirmed=3, ended=True)
    rows = _rows(asked, "restarts")
    row = rows["killed", "durable"]
    assert (row.state, row.stored, row.unconfirmed, row.gaps) == ("lost", 47, 3, ["48-50"])
    assert rows["next", "durable"].state == "adds_up"
    assert (rows[None, None].produced, rows[None, None].stored) == (53, 50)
    assert _rows(asked, "restarts", instance="next").keys() == {(None, None), ("next", "durable")}


def test_records_of_other_sdks_are_counted_as_not_numbered(otlp: ModuleType, receiver: Any, asked: Client) -> None:
    body = otlp.traces(*[otlp.decision("enter", at=otlp.NOON + index) for index in range(7)], service="foreign")
    for _ in range(2):
        receiver.send(body)
    receiver.send(otlp.logs(otlp.fact("note", {"otel_obs.seq": 3, "otel_obs.tier": "durable"}), service="foreign"))
    answer = run(asked, report("delivery"), {**EVERYTHING, "service": "foreign"})
    [row] = answer.rows
    assert (row.instance, row.state, row.not_numbered) == (None, "not_numbered", 8)  # one names no instance
    assert "Not numbered" in answer.sentence


HOSTILE = ["", "-1", "1e3", "nan", "9" * 40, "18446744073709551615", "{", "[1]", '{"a":-1}', '{"a":"x"}', "\x00", "٣"]


@pytest.mark.parametrize("table", ["otel_traces", "otel_logs"])
def test_whatever_stands_where_a_number_should_be_is_stored_and_counts_as_none(
    asked: Client, otlp: ModuleType, table: str
) -> None:
    of = {"service": f"hostile {table}", "resource": {"service.instance.id": "'; DROP"}}
    texts = [*HOSTILE, b"\xff\xfe", "0", "+5", " 7", "7"]
    told = [{"otel_obs.seq": text, "otel_obs.tier": text} for text in texts]
    if table == "otel_traces":
        rows = [otlp.span_row(each, number=9_000_000 + at, **of) for at, each in enumerate(told)]
    else:
        rows = [otlp.log_row(each, number=9_000_000 + at, name="note", **of) for at, each in enumerate(told)]
    otlp.insert(asked, table, rows)
    found = _rows(asked, f"hostile {table}")
    counted = sum(row.stored for row in found.values() if row.tier is not None)
    assert counted + found[None, None].not_numbered == len(rows)
    assert found["'; DROP", "7"].stored == 1


def test_a_statement_that_cannot_be_read_is_stored_named_and_never_taken_for_zero(
    asked: Client, otlp: ModuleType
) -> None:
    counts = ("produced", "numbered", "delivered", "journaled", "unconfirmed", "sampled")
    names = (*counts, "untaken", "lost", "ended", "kill_switch")
    rows = [
        otlp.log_row(
            {"delivery.tier": "durable", **{f"delivery.{name}": text for name in names}}, number=9_100_000 + at,
            name="delivery", service="unreadable", resource={"service.instance.id": str(at)},
        )
        for at, text in enumerate(HOSTILE)
    ]  # fmt: skip
    otlp.insert(asked, "otel_logs", rows)
    found = asked.query(
        "SELECT instance, produced, numbered, defects FROM delivery FINAL WHERE service = 'unreadable'"
    ).result_rows
    assert len(found) == len(HOSTILE)
    for _, produced, numbered, defects in found:
        assert (produced, numbered) == (None, None)
        assert any(text.startswith("delivery.numbered ") for text in defects), defects
    told = _rows(asked, "unreadable")
    assert {row.state for row in told.values()} == {"no_statement"}
    assert len(told) == len(HOSTILE) + 1
    assert all(row.defects for row in told.values())
