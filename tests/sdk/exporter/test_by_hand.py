"""Bodies handed over while somebody waits: how often, how long, what is told, and what is found where it is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from otel_obs.sdk.exporter.by_hand import TRIES, ByHand, UntakenError
from otel_obs.sdk.exporter.transport import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def way(to: Callable[..., Any]) -> Callable[..., tuple[ByHand, list[float]]]:
    """One that notes how long it would sleep, and does not."""

    def make(**given: Any) -> tuple[ByHand, list[float]]:
        slept: list[float] = []
        return ByHand(to(), sleep=slept.append, **given), slept

    return make


def test_a_busy_receiver_is_asked_again_after_the_time_that_it_names(
    way: Any, receiver: Any, bot: Any, kit: Any
) -> None:
    answers = [kit.Answer(503, {"Retry-After": "7"}), kit.Answer(429, {"Retry-After": "9"})]
    receiver.mood = lambda *_: answers.pop(0) if answers else None
    by_hand, slept = way()
    assert by_hand.send("traces", bot.frame().body).verdict is Verdict.DELIVERED
    assert [int(seconds) for seconds in slept] == [7, 9]
    impatient, slept = way(patience=5)
    answers = [kit.Answer(503, {"Retry-After": "7"})]
    assert impatient.send("traces", bot.frame().body).told == "HTTP 503"
    assert slept == []


def test_it_gives_up_after_some_tries_and_at_once_where_somebody_has_to_mend_something(
    way: Any, receiver: Any, bot: Any, kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20s3cret")
    frame = bot.frame()
    for status, tries in ((500, TRIES), (401, 1)):
        receiver.posts.clear()
        receiver.mood = lambda *_, status=status: kit.Answer(status, {}, b"not with s3cret")
        by_hand, _ = way()
        with pytest.raises(UntakenError) as raised:
            by_hand.hand_over([(kit.Entry(frame), frame.body)])
        assert (
            raised.value.what
            == f"{receiver.endpoint}/v1/traces does not take what is sent: HTTP {status}: not with ***."
        )
        assert ("OTEL_EXPORTER_OTLP_HEADERS" in raised.value.fix) is (status == 401)
        assert len(receiver.posts) == tries


def test_the_one_record_that_is_refused_is_found_among_the_entries_of_a_body(
    way: Any, receiver: Any, bot: Any, kit: Any
) -> None:
    bad = ("durable", 17)
    receiver.mood = lambda signal, body: kit.Answer(400, {}, b"17!") if bad in kit.numbers_in(signal, body) else None
    entries = [(kit.Entry(frame), frame.body) for frame in (bot.frame() for _ in range(4))]
    by_hand, _ = way()
    (found,) = by_hand.hand_over(entries)
    assert found.entry is entries[1][0]
    assert [(frame.numbers, words) for frame, _, words in found.parts] == [(((17, 17),), "HTTP 400: 17!")]
    assert set(receiver.stored) == bot.said - {bad}
