"""What `obs.delivery()` answers, and how it looks when it is printed."""

from __future__ import annotations

from otel_obs.contract.tiers import Loss, Tier
from otel_obs.sdk.ledger import Balance, Ledger
from otel_obs.sdk.monitor import (
    AdoptedStanding,
    Delivery,
    ExporterStanding,
    JournalStanding,
    QueueStanding,
)


def test_what_is_too_much_in_one_tier_does_not_hide_what_is_missing_in_another() -> None:
    ledger = Ledger()
    for tier in range(len(Tier)):
        for _ in range(10):
            ledger.number(tier)
    ledger.confirm(Tier.DURABLE, 9)
    ledger.deliver(Tier.DURABLE, 5)
    ledger.lose(Tier.DURABLE, Loss.REFUSED, 1)
    ledger.confirm(Tier.STANDARD, 10)
    ledger.leave(Tier.STANDARD, Loss.QUEUE_FULL, 4)  # before they had a number: no part of the equation

    whole = Delivery(instance="i", tiers=ledger.read(), waiting={Tier.DURABLE: 3, Tier.STANDARD: 10})
    assert (whole.adds_up, whole.difference) == (True, 0)
    crossed = Delivery(instance="i", tiers=ledger.read(), waiting={Tier.DURABLE: 5, Tier.STANDARD: 8})
    assert (crossed.adds_up, crossed.difference) == (False, 4)


def test_printed_it_is_one_screen_whatever_the_receiver_answered() -> None:
    balance = Balance(
        numbered=10**9, confirmed=10**9, delivered=10**9, untaken=dict.fromkeys(Loss, 10**8), lost={Loss.REFUSED: 5}
    )
    shown = str(
        Delivery(
            instance="4bf92f3577b34da6",
            tiers=dict.fromkeys(Tier, balance),
            waiting=dict.fromkeys(Tier, 10**6),
            queue=QueueStanding(
                records=65_536, capacity=65_536, bytes=2**26, capacity_bytes=2**26, fill=1.0, kill_switch=True,
                kills=12, writer_lag=1.5,
            ),
            journal=JournalStanding(state="disk_full", bytes=2**29, capacity=2**29, segments=64, oldest_age=86_400.0),
            exporter=ExporterStanding(
                state="backing_off", in_flight=512, requests=10**6, failures=10**5, consecutive_failures=10,
                last_error="503 \x1b[2J\n" + "<html>" * 1000, seconds_since_success=600.0,
            ),
            adopted=AdoptedStanding(instances=2, waiting=100, unconfirmed=3),
            altered={"too_deep": 7, "not_utf8": 0},
        )
    )  # fmt: skip
    lines = shown.splitlines()
    assert len(lines) <= 25
    assert max(map(len, lines)) <= 120
    assert "\x1b" not in shown
    assert "does NOT add up" in lines[0]
    assert any(line.startswith("  journal_full") and line.endswith("300,000,000") for line in lines)
    assert [line.split() for line in lines if line.startswith("altered")] == [["altered", "too_deep", "7"]]


def test_a_quiet_process_prints_that_all_adds_up_and_nothing_of_what_it_has_not() -> None:
    shown = str(Delivery(instance="i", tiers={tier: Balance() for tier in Tier}, waiting={}))
    assert shown.startswith("Delivery of i: it adds up.\n")
    assert "last error" not in shown
    assert "adopted" not in shown
