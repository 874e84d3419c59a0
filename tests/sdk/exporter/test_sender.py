"""The sender against a receiver that misbehaves: every record ends delivered or set aside with a reason, or waits."""

from __future__ import annotations

import logging
import random
import re
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from otel_obs.contract.tiers import Loss, Tier
from otel_obs.sdk.exporter.standing import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_obs.sdk.exporter.sender import Sender

    Start = Callable[..., Sender]


def settled(outbox: Any) -> bool:
    """Whether nothing waits and nothing is on its way."""
    return not outbox.entries and not outbox.taken


def adds_up(bot: Any, outbox: Any, receiver: Any) -> None:
    """Each record is stored or set aside, none is both, none is missing; and the outbox was told so in numbers."""
    assert outbox.set_aside | set(receiver.stored) == bot.said
    assert not outbox.set_aside & set(receiver.stored)
    for tier in Tier:
        said = sum(of == tier for of, _ in bot.said)
        aside = sum(of == tier for of, _ in outbox.set_aside)
        assert outbox.delivered[tier] == said - aside


def poisoned(kit: Any, poison: set[Any], status: int = 400) -> Any:
    """A mood: bodies with one of these records are refused."""
    return lambda signal, body: (
        kit.Answer(status, {}, b"cannot be read") if poison & set(kit.numbers_in(signal, body)) else None
    )


def test_frames_of_one_signal_are_joined_and_all_of_it_goes_out_in_few_posts(
    sending: Start, outbox: Any, receiver: Any, bot: Any
) -> None:
    for _ in range(50):
        outbox.put(bot.frame("traces"), bot.frame("logs", tier=Tier.STANDARD))
    sender = sending(send_interval=30, most_records=200)
    assert sender.flush(30)
    adds_up(bot, outbox, receiver)
    assert set(receiver.stored.values()) == {1}
    assert len(receiver.posts) == 6
    standing = sender.standing()
    assert (standing.state, standing.requests, standing.records, standing.failures) == (State.IDLE, 6, 1000, 0)
    assert standing.bytes == sum(size for _, _, size in receiver.posts)


def test_what_is_little_waits_for_the_interval_and_what_is_much_does_not(
    sending: Start, outbox: Any, receiver: Any, bot: Any, kit: Any
) -> None:
    sending(send_interval=3_600, most_records=100)
    outbox.put(*[bot.frame() for _ in range(15)])
    kit.until(lambda: len(receiver.stored) == 100)
    time.sleep(0.3)
    assert len(receiver.posts) == 1


def test_while_the_receiver_is_away_a_batch_is_tried_now_and_then_and_all_arrives_when_it_returns(
    *, sending: Start, outbox: Any, receiver: Any, bot: Any, kit: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "otel_obs")
    receiver.stop()
    sender = sending(waiting=lambda: 7)
    outbox.put(*[bot.frame(signal) for signal in ("traces", "logs") * 30])
    kit.until(lambda: sender.standing().consecutive_failures >= 4)
    assert sender.standing().state is State.BACKING_OFF
    assert sender.standing().last_error == "Connection refused"
    assert outbox.compressed
    receiver.start()
    kit.until(lambda: settled(outbox))
    adds_up(bot, outbox, receiver)
    place = re.escape(receiver.endpoint)
    away, back = caplog.messages
    assert re.fullmatch(f"{place} does not take what is sent: Connection refused. .* running there[?]", away)
    assert re.fullmatch(rf"{place}/v1/\w+ takes records again, after \d+ s; 7 waited for it[.]", back)


def test_a_flush_ends_a_pause_and_says_whether_all_arrived(
    sending: Start, outbox: Any, receiver: Any, bot: Any, kit: Any
) -> None:
    receiver.mood = lambda *_: kit.Answer(503, {"Retry-After": "3600"})
    sender = sending()
    outbox.put(bot.frame())
    kit.until(lambda: sender.standing().consecutive_failures)
    assert not sender.flush(0.05)
    kit.until(lambda: sender.standing().requests == 2)
    time.sleep(0.3)
    assert sender.standing().requests == 2  # what the receiver asked for counts again
    receiver.mood = lambda *_: None
    assert sender.flush(30)
    adds_up(bot, outbox, receiver)


def test_a_poisoned_record_is_set_aside_with_the_receiver_s_words_and_all_others_get_through(
    *, sending: Start, outbox: Any, receiver: Any, bot: Any, kit: Any, caplog: pytest.LogCaptureFixture
) -> None:
    poison = {("durable", 17), ("durable", 333), ("standard", 5)}
    receiver.mood = poisoned(kit, poison)
    outbox.put(*[bot.frame(records=50) for _ in range(10)], bot.frame("logs", tier=Tier.STANDARD))
    outbox.put(bot.frame("logs", tier=Tier.BEST_EFFORT))
    assert sending().flush(60)
    adds_up(bot, outbox, receiver)
    assert outbox.set_aside == poison
    assert {(frame.records, loss, told) for frame, loss, told in outbox.refused} == {
        (1, Loss.REFUSED, "HTTP 400: cannot be read")
    }
    assert all(kit.numbers_in(frame.signal, frame.body) for frame, _, _ in outbox.refused)
    assert len(receiver.posts) < 60
    assert sum("set aside: HTTP 400: cannot be read" in text for text in caplog.messages) == 1


def test_what_is_too_large_is_halved_and_a_record_too_large_alone_is_set_aside(
    sending: Start, outbox: Any, receiver: Any, bot: Any, kit: Any
) -> None:
    receiver.mood = lambda _signal, body: kit.Answer(413) if len(body) > 3_000 else None
    outbox.put(bot.frame(records=200))
    outbox.put(bot.frame(records=1, text="x" * 5_000), *[bot.frame(records=3) for _ in range(100)])
    assert sending().flush(60)
    adds_up(bot, outbox, receiver)
    assert outbox.set_aside == {("durable", 201)}
    assert [loss for _, loss, _ in outbox.refused] == [Loss.TOO_LARGE]


def test_what_is_rejected_in_part_is_found_out_record_by_record_and_nothing_else_is_lost(
    sending: Start, outbox: Any, receiver: Any, bot: Any, kit: Any
) -> None:
    poison = {("durable", number) for number in (3, 4, 77)} | {("standard", 2)}

    def mood(signal: str, body: bytes) -> Any:
        refused = poison & set(kit.numbers_in(signal, body))
        return kit.partial(signal, len(refused), "too old", refused)

    receiver.mood = mood
    outbox.put(*[bot.frame(records=20) for _ in range(5)], bot.frame("logs", 1), bot.frame(tier=Tier.STANDARD))
    assert sending().flush(60)
    adds_up(bot, outbox, receiver)
    assert outbox.set_aside == poison
    assert {told for _, _, told in outbox.refused} == {"too old"}
    assert len(receiver.posts) < 60


@pytest.mark.parametrize("status", [401, 403, 404, 301])
def test_a_receiver_that_is_wrongly_configured_costs_no_record_and_the_log_says_once_what_to_mend(
    *, sending: Start, outbox: Any, receiver: Any, bot: Any, kit: Any, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.mood = lambda *_: kit.Answer(status)
    sender = sending()
    outbox.put(*[bot.frame() for _ in range(10)])
    kit.until(lambda: sender.standing().failures > 3)
    assert sender.standing().state is State.REFUSED
    assert not outbox.refused
    [told] = caplog.messages
    assert re.search(rf"HTTP {status}[.] It is tried again, .*OTEL_EXPORTER_OTLP_(HEADERS|ENDPOINT)", told)
    receiver.mood = lambda *_: None
    assert sender.flush(30)
    adds_up(bot, outbox, receiver)
    assert sender.standing().state is State.IDLE


def test_one_signal_that_nobody_takes_does_not_hold_up_the_other(
    sending: Start, outbox: Any, receiver: Any, bot: Any, kit: Any
) -> None:
    receiver.mood = lambda signal, _: kit.Answer(404) if signal == "logs" else None
    sending(chance=lambda: 1.0)
    outbox.put(*[bot.frame("logs") for _ in range(20)])
    for _ in range(20):
        outbox.put(*[bot.frame("traces") for _ in range(5)])
        time.sleep(0.01)
    kit.until(lambda: len(receiver.stored) == 1_000)
    assert sum(path == "/v1/logs" for path, _, _ in receiver.posts) < 15


def test_a_receiver_that_refuses_everything_is_not_hammered_and_goes_on_when_it_is_mended(
    *, sending: Start, outbox: Any, receiver: Any, bot: Any, kit: Any, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.mood = lambda *_: kit.Answer(400, {}, b"not today")
    sender = sending(chance=lambda: 1.0)
    outbox.put(*[bot.frame(records=20) for _ in range(100)])
    kit.until(lambda: sender.standing().state is State.REFUSED)
    time.sleep(2)
    assert 16 <= len(receiver.posts) <= 24  # after 16 in a row pauses of 0.5 s, 1 s, 2 s …
    assert len(outbox.set_aside) < 20
    assert sum("refuses all that it is sent: HTTP 400: not today" in text for text in caplog.messages) == 1
    receiver.mood = lambda *_: None
    assert sender.flush(60)
    adds_up(bot, outbox, receiver)


def test_bad_records_hold_up_no_good_ones(sending: Start, outbox: Any, receiver: Any, bot: Any, kit: Any) -> None:
    bad = [bot.frame(records=100) for _ in range(20)]
    poison = set(bot.said)
    receiver.mood = poisoned(kit, poison)
    outbox.put(*bad)
    sender = sending(chance=lambda: 1.0)
    kit.until(lambda: sender.standing().state is State.REFUSED)
    outbox.put(bot.frame())
    kit.until(lambda: len(receiver.stored) == 10)
    assert len(outbox.set_aside) < len(poison)


def test_a_record_that_makes_the_receiver_fail_holds_up_no_others_and_stays(
    sending: Start, outbox: Any, receiver: Any, bot: Any, kit: Any
) -> None:
    receiver.mood = poisoned(kit, {("durable", 45)}, status=500)
    outbox.put(*[bot.frame() for _ in range(10)])
    sending()
    kit.until(lambda: len(receiver.stored) == 90)
    kit.until(lambda: outbox.entries)
    assert len(outbox.entries) == 1
    assert not outbox.refused


def test_what_is_too_much_for_a_receiver_s_time_is_sent_in_smaller_batches(
    *, sending: Start, outbox: Any, receiver: Any, bot: Any, kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver.mood = lambda signal, body: kit.Answer(silent=len(kit.numbers_in(signal, body)) > 600)
    outbox.put(*[bot.frame() for _ in range(300)])
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1.5")
    sender = sending()
    kit.until(lambda: settled(outbox))
    adds_up(bot, outbox, receiver)
    assert sender.standing().last_error == "no answer within 1.5 s"


def test_a_receiver_that_never_answers_holds_up_neither_a_flush_nor_the_end(
    sending: Start, outbox: Any, receiver: Any, bot: Any, kit: Any
) -> None:
    receiver.mood = lambda *_: kit.Answer(silent=True)
    sender = sending()
    outbox.put(bot.frame())
    kit.until(lambda: sender.standing().in_flight == 10)
    assert sender.standing().state is State.SENDING
    start = time.monotonic()
    assert not sender.flush(0.1)
    assert not sender.shutdown(0.1)
    assert time.monotonic() - start < 5


def test_an_end_delivers_what_it_can_and_gives_back_the_rest(
    sending: Start, outbox: Any, receiver: Any, bot: Any, kit: Any
) -> None:
    receiver.mood = lambda signal, _: kit.Answer(503) if signal == "logs" else None
    outbox.put(*[bot.frame("logs") for _ in range(50)], *[bot.frame("traces") for _ in range(50)])
    sender = sending(send_interval=3_600, most_records=40)
    start = time.monotonic()
    assert not sender.shutdown(60, attempts=1)
    assert time.monotonic() - start < 30
    assert len(receiver.stored) == 500
    assert len(outbox.entries) == 50
    assert not outbox.taken
    assert not [thread for thread in threading.enumerate() if thread is sender._thread]


def test_an_entry_that_cannot_be_read_any_more_is_passed_over(
    sending: Start, outbox: Any, receiver: Any, bot: Any
) -> None:
    outbox.put(*[bot.frame() for _ in range(3)])
    outbox.entries[1].is_readable = False
    assert sending().flush(30)
    assert len(receiver.stored) == 20


def test_an_outbox_or_an_observer_that_raises_does_not_end_the_sender(
    *, sending: Start, outbox: Any, receiver: Any, bot: Any, kit: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def sync() -> None:
        del outbox.sync
        raise RuntimeError("not now")

    outbox.sync = sync
    outbox.put(bot.frame())
    sending(observed=lambda *_: 1 / 0)
    kit.until(lambda: settled(outbox))
    adds_up(bot, outbox, receiver)
    assert caplog.messages == ["The sender of records stumbled, and goes on."]


def test_its_own_requests_are_neither_traced_nor_logged(
    sending: Start, outbox: Any, receiver: Any, bot: Any, caplog: pytest.LogCaptureFixture
) -> None:
    from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled, is_instrumentation_enabled

    caplog.set_level(logging.DEBUG)
    enabled: list[bool] = []
    sender = sending(observed=lambda *_: enabled.extend((is_instrumentation_enabled(),
                                                         is_http_instrumentation_enabled())))  # fmt: skip
    outbox.put(bot.frame())
    assert sender.flush(30)
    assert receiver.stored
    assert enabled == [False, False]
    assert caplog.messages == []


@pytest.mark.parametrize("seed", range(6))
def test_whatever_the_receiver_does_in_whatever_order_every_record_is_delivered_or_set_aside_with_its_reason(
    *, sending: Start, outbox: Any, receiver: Any, bot: Any, kit: Any, seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    dice = random.Random(seed)
    poison: set[tuple[str, int]] = set()
    lock = threading.Lock()

    def misbehave(signal: str, body: bytes) -> Any:
        with lock:
            found = poison & set(kit.numbers_in(signal, body))
            kind = dice.choice(["", "", "503", "429", "cut", "half", "500", "partial", "close", ""])
        answers = {
            "503": kit.Answer(503), "429": kit.Answer(429, {"Retry-After": "0"}), "500": kit.Answer(500),
            "close": kit.Answer(cut=0), "cut": kit.Answer(cut=30), "half": kit.Answer(body=b"x" * 80, cut=60),
        }  # fmt: skip
        if kind in answers:
            return answers[kind]
        if not found:
            return kit.Answer(413) if len(body) > 20_000 else None
        return kit.partial(signal, len(found), "bad", found) if kind else kit.Answer(400, {}, b"bad")

    receiver.mood = misbehave
    sender = sending(most_records=300, chance=lambda: 0.01)
    for _ in range(40):
        signal, tier = dice.choice(["traces", "logs"]), dice.choice(list(Tier))
        frame = bot.frame(signal, dice.randint(1, 60), tier)
        numbers = {(tier.value, number) for first, last in frame.numbers for number in range(first, last + 1)}
        with lock:
            poison |= {one for one in sorted(numbers) if dice.random() < 0.005}
        outbox.put(frame)
        if dice.random() < 0.1:
            sender.flush(0.01)
    kit.until(lambda: sender.flush(1), within=120)
    assert settled(outbox)
    adds_up(bot, outbox, receiver)
    assert outbox.set_aside == poison
    assert all(told for _, _, told in outbox.refused)
    assert sum("does not take what is sent" in text for text in caplog.messages) <= 1
