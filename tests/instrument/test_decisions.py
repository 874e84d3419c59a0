"""Decisions: their gates, how they end, and the orders and fills that follow from them."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any

import pytest

import otel_obs as obs
from otel_obs.contract.events.orders import Fill, Order
from otel_obs.contract.gates import Comparison
from otel_obs.errors import ContractError
from otel_obs.testing import FrozenClock, capture

if TYPE_CHECKING:
    from collections.abc import Callable

    from otel_obs.testing import Captured


class Side(str, Enum):  # noqa: UP042 - the older form, whose str() is "Side.BUY"
    """As bots and their libraries write it."""

    BUY = "buy"


class Sizing(Enum):
    """An enumeration whose members are no strings."""

    SMALL = "small"


# ---- gates


def test_all_gates_that_were_evaluated_are_in_the_ledger_in_order(seen: Captured) -> None:
    with obs.decision("enter long", side="buy") as choice:
        answers = [
            choice.gate("cooldown", verdict=True, reason="last trade 3 h ago"),
            choice.gate("spread_guard", observed=16.7, at_most=5.0, unit="bps"),
            choice.gate("volatility", observed=0.0, at_least=0.001),
            choice.gate("hours", observed=12, at_least=9, at_most=16),
            choice.gate("regime", observed="calm", equals="calm", duration_ms=1.5),
            choice.gate("size", "adjust", observed=3, threshold=2),
        ]
        assert answers == [True, False, False, True, True, True]
        assert not choice.allowed
    told = seen.decision()
    assert [(gate.name, gate.verdict, gate.comparison) for gate in told.gates] == [
        ("cooldown", "pass", Comparison.NONE),
        ("spread_guard", "deny", Comparison.AT_MOST),
        ("volatility", "deny", Comparison.AT_LEAST),
        ("hours", "pass", Comparison.BETWEEN),
        ("regime", "pass", Comparison.EQUALS),
        ("size", "adjust", Comparison.NONE),
    ]
    assert told.outcome == "vetoed"
    assert told.veto == "spread_guard"
    events = [dict(event.attributes or {}) for event in told.span.events]
    assert events[1] == {
        "gate.name": "spread_guard", "gate.verdict": "deny", "gate.mode": "enforce", "gate.comparison": "at_most",
        "gate.observed": 16.7, "gate.threshold": 5.0, "gate.unit": "bps",
    }  # fmt: skip
    assert events[0]["gate.reason"] == "last trade 3 h ago"
    assert (events[3]["gate.observed"], events[3]["gate.threshold"]) == (12, (9.0, 16.0))
    assert events[4]["gate.duration_ms"] == 1.5
    assert {event.name for event in told.span.events} == {"gate.evaluated"}


def test_a_given_verdict_stands_whatever_value_and_limit_would_say(seen: Captured) -> None:
    with obs.decision("enter") as choice:
        assert choice.gate("spread_guard", "pass", observed=16.7, at_most=5.0)
        assert not choice.gate("news", obs.Verdict.DENY)
    assert [gate.verdict for gate in seen.decision().gates] == ["pass", "deny"]


@pytest.mark.parametrize("verdict", [False, "deny", "error"])
def test_a_shadow_gate_is_recorded_and_never_binds(seen: Captured, verdict: Any) -> None:
    with obs.decision("enter") as choice:
        assert choice.gate("spread_guard", verdict, mode="shadow")
        assert choice.gate("volatility", observed=0.0, at_least=0.001, mode=obs.Mode.SHADOW)
        assert choice.allowed
    assert seen.decision().outcome == "held"
    assert seen.decision().veto is None
    assert {gate.mode for gate in seen.decision().gates} == {"shadow"}


@pytest.mark.parametrize(
    ("said", "fix"),
    [
        ({"observed": "16.7", "at_most": 5.0}, "observed value"),
        ({"observed": 16.7}, "neither a verdict nor a limit"),
        ({"observed": 16.7, "threshold": 5.0}, "neither a verdict nor a limit"),
        ({"verdict": "maybe"}, "has a verdict that is not pass"),
        ({"verdict": 1}, "has a verdict that is not pass"),
        ({"verdict": True, "mode": "dry-run"}, "neither enforce nor shadow"),
    ],
)
def test_a_gate_that_cannot_be_read_closes_is_no_veto_and_says_why(
    lenient: Captured, said: dict[str, Any], fix: str
) -> None:
    with obs.decision("enter") as choice:
        choice.gate("spread_guard", **said)
        is_closed = not choice.allowed
    told = lenient.decision()
    assert told.outcome == "held"
    assert told.veto is None
    assert len(told.gates) == 1
    assert fix in told.defects[0]
    assert is_closed == (told.gates[0].verdict == "error")


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_a_gate_that_had_nothing_to_see_closes_and_is_no_mistake_of_the_bot(missing: float | None) -> None:
    with capture() as seen, obs.decision("enter") as choice:  # strict: a mistake would raise
        assert not choice.gate("spread_guard", observed=missing, at_most=5.0)
        assert not choice.allowed
    told = seen.decision()
    assert (told.outcome, told.veto, told.defects) == ("held", None, ())
    assert (told.gates[0].verdict, told.gates[0].reason) == ("error", "there was no value to see")


def test_an_unknown_mode_enforces(lenient: Captured) -> None:
    with obs.decision("enter") as choice:
        choice.gate("spread_guard", verdict=False, mode="dry-run")
        assert not choice.allowed
    assert lenient.decision().veto == "spread_guard"


def test_a_gate_after_the_end_still_tells_the_bot_no(lenient: Captured) -> None:
    with obs.decision("enter") as choice:
        pass
    assert not choice.gate("spread_guard", verdict=False)
    assert not choice.allowed
    assert lenient.decision().outcome == "held"
    assert obs.problems() == {"too_late": 1}


def test_gates_beyond_the_limit_bind_and_are_counted(lenient: Captured) -> None:
    with obs.decision("enter") as choice:
        for number in range(200):
            choice.gate(f"gate {number}", number < 150)
        choice.failed("a word after many gates")
    told = lenient.decision()
    assert len(told.gates) == 128
    assert told.gates[0].name == "gate 0"
    assert (len(choice.gates), choice.allowed) == (200, False)
    assert obs.problems() == {"too_many": 72}
    assert told.defects == ("gates: are more than are recorded; all of them bind",)


# ---- functions as gates


def _decided(seen: Captured, *guards: Callable[[], Any]) -> list[tuple[str, str | None, Any, Any]]:
    with obs.decision("enter"):
        for guard in guards:
            guard()
    return [(gate.name, gate.verdict, gate.observed, gate.threshold) for gate in seen.decision().gates]


@pytest.mark.parametrize(
    ("said", "result", "entry"),
    [
        ({}, True, ("pass", None, None)),
        ({}, False, ("deny", None, None)),
        ({}, "deny", ("deny", None, None)),
        ({}, obs.Verdict.ADJUST, ("adjust", None, None)),
        ({}, (False, 16.7), ("deny", 16.7, None)),
        ({}, ("pass", 4.2, 5.0), ("pass", 4.2, 5.0)),
        ({"at_most": 5.0}, 16.7, ("deny", 16.7, 5.0)),
        ({"at_most": 5.0}, 5, ("pass", 5, 5.0)),
        ({"at_most": 5.0}, Decimal("16.7"), ("deny", "16.7", 5.0)),
        ({"at_most": Decimal("5.0")}, Decimal("4.9"), ("pass", "4.9", "5.0")),
        ({"at_most": 5.0}, True, ("pass", None, 5.0)),
        ({"at_most": 5.0}, "deny", ("deny", None, 5.0)),
        ({"at_most": 5.0}, (None, 16.7), ("deny", 16.7, 5.0)),
        ({"at_most": 5.0}, (None, 16.7, 20.0), ("pass", 16.7, 20.0)),
        ({"at_least": 9, "at_most": 16}, (None, 12, (13, 15)), ("deny", 12, (13.0, 15.0))),
        ({"equals": "calm"}, ("pass", "calm", "calm"), ("pass", "calm", "calm")),
    ],
)
def test_what_a_gate_function_returns_is_its_verdict_and_reaches_the_bot_untouched(
    seen: Captured, said: dict[str, Any], result: Any, entry: tuple[Any, ...]
) -> None:
    @obs.gate("guard", **said)
    def guard() -> Any:
        return result

    @obs.gate("guard", **said)
    async def awaited() -> Any:
        await asyncio.sleep(0)
        return result

    async def both() -> None:
        with obs.decision("enter"):
            assert guard() is result
            assert await awaited() is result

    asyncio.run(both())
    gates = seen.decision().gates
    assert [(gate.verdict, gate.observed, gate.threshold) for gate in gates] == [entry, entry]


@pytest.mark.parametrize("result", [None, 16.7, "perhaps", (1, 2, 3, 4), object()])
def test_a_gate_function_that_returns_no_verdict_closes(lenient: Captured, result: Any) -> None:
    @obs.gate
    def guard() -> Any:
        return result

    with obs.decision("enter") as choice:
        assert guard() is result
        assert not choice.allowed
    assert [gate.verdict for gate in lenient.decision().gates] == ["error"]
    assert lenient.decision().defects


@pytest.mark.parametrize("result", [None, float("nan"), "much"])
def test_a_gate_function_whose_number_cannot_be_held_against_its_limit_closes(lenient: Captured, result: Any) -> None:
    @obs.gate("guard", at_most=5.0)
    def guard() -> Any:
        return result

    with obs.decision("enter") as choice:
        guard()
        assert not choice.allowed
    assert [gate.verdict for gate in lenient.decision().gates] == ["error"]


def test_a_gate_function_that_raises_is_an_error_and_the_exception_passes(seen: Captured) -> None:
    error = ConnectionError("feed gone")

    @obs.gate("feed")
    def feed() -> bool:
        raise error

    @obs.gate("feed")
    async def awaited_feed() -> bool:
        raise error

    async def both() -> None:
        with obs.decision("enter") as choice:
            for call in (lambda: _now(feed), awaited_feed):
                with pytest.raises(ConnectionError) as raised:
                    await call()
                assert raised.value is error
            assert not choice.allowed

    asyncio.run(both())
    told = seen.decision()
    assert [(gate.verdict, gate.reason) for gate in told.gates] == [("error", "ConnectionError: feed gone")] * 2
    assert told.outcome == "held"  # the bot caught it and went on: an error closes, and is no veto


def test_a_gate_function_s_long_exception_is_shortened_and_nobody_s_mistake(seen: Captured) -> None:
    @obs.gate("feed")
    def feed() -> bool:
        raise ConnectionError("x" * 1_000_000 + " the end")

    with obs.decision("enter"), pytest.raises(ConnectionError):
        feed()
    [gate] = seen.decision().gates
    assert gate.reason.startswith("ConnectionError: xxx")
    assert gate.reason.endswith("xxx the end")
    assert len(gate.reason) < 17_000
    assert obs.problems() == {}


async def _now(function: Callable[[], Any]) -> Any:
    return function()


def test_gate_functions_take_their_name_arguments_mode_and_time(seen: Captured) -> None:
    clock = seen.clock
    assert isinstance(clock, FrozenClock)

    class Guards:
        limit = 5.0

        @obs.gate
        def spread(self, bps: float, *, factor: float = 1.0) -> tuple[bool, float, float]:
            """Widest spread."""
            clock.advance(0.25)
            return bps <= self.limit * factor, bps, self.limit * factor

        @obs.gate(mode="shadow", at_least=0.001, unit="1")
        def volatility(self) -> float:
            return 0.0

    guards = Guards()
    assert (Guards.spread.__name__, Guards.spread.__doc__) == ("spread", "Widest spread.")
    told = _decided(seen, lambda: guards.spread(16.7, factor=2.0), guards.volatility)
    assert told == [("spread", "deny", 16.7, 10.0), ("volatility", "deny", 0.0, 0.001)]
    assert [event.attributes["gate.duration_ms"] for event in seen.decision().span.events] == [250.0, 0.0]  # type: ignore[index]
    assert seen.decision().veto == "spread"


def test_a_gate_function_outside_a_decision_works_and_is_counted(lenient: Captured) -> None:
    @obs.gate
    def guard() -> bool:
        return False

    assert guard() is False
    assert obs.problems() == {"gate_without_decision": 1}
    assert lenient.spans == ()


# ---- how a decision ends


def test_a_decision_ends_by_itself_as_its_ledger_says(seen: Captured) -> None:
    with obs.decision("vetoed") as choice:
        choice.gate("spread_guard", verdict=False)
        if choice.allowed:
            choice.executed(order_id="never")
    with obs.decision("executed") as choice:
        choice.gate("spread_guard", verdict=True)
        if choice.allowed:
            choice.executed(order_id="o-1")
    with obs.decision("held") as choice:
        choice.gate("spread_guard", verdict=True)
        choice.held("on second thoughts")
    with obs.decision("nothing"):
        pass
    with obs.decision("failed") as choice:
        choice.failed("insufficient margin")
    with pytest.raises(ValueError, match="boom"), obs.decision("raised") as choice:  # noqa: PT012 - the deny comes first
        choice.gate("spread_guard", verdict=False)
        raise ValueError("boom")
    assert {told.what: told.outcome for told in seen.decisions} == {
        "vetoed": "vetoed", "executed": "executed", "held": "held", "nothing": "held", "failed": "failed",
        "raised": "failed",
    }  # fmt: skip
    assert seen.decision("executed").attributes["order.id"] == "o-1"
    assert seen.decision("held").why == "on second thoughts"
    assert {told.what for told in seen.decisions if told.failed} == {"failed", "raised"}


def _executed(choice: obs.Decision) -> None:
    choice.executed(order_id="o-1")


def _held(choice: obs.Decision) -> None:
    choice.held("not now")


def _failed(choice: obs.Decision) -> None:
    choice.failed("venue rejected it")


@pytest.mark.parametrize(
    ("told", "outcome"),
    [
        ([_executed, _held], "executed"),
        ([_executed, _failed], "executed"),
        ([_held, _executed], "executed"),
        ([_failed, _executed], "executed"),
        ([_failed, _held], "failed"),
        ([_held, _failed], "failed"),
    ],
)
def test_who_acted_has_acted_whatever_is_said_before_or_after(
    seen: Captured, told: list[Callable[[obs.Decision], None]], outcome: str
) -> None:
    with obs.decision("enter") as choice:
        for say in told:
            say(choice)
        assert choice.outcome == outcome
    assert seen.decision().outcome == outcome


def test_executed_after_an_enforced_deny_stays_executed_and_the_deny_stays_in_the_ledger(seen: Captured) -> None:
    with obs.decision("enter") as choice:
        choice.gate("spread_guard", verdict=False)
        choice.executed()
    assert seen.decision().outcome == "executed"
    assert seen.decision().veto == "spread_guard"


def test_what_is_said_after_the_end_is_too_late_and_counted(lenient: Captured) -> None:
    with obs.decision("enter") as choice:
        pass
    choice.executed(order_id="o-1")
    assert lenient.decision().outcome == "held"
    assert obs.problems()["too_late"] >= 1


def test_a_decision_says_what_why_how_sure_instead_of_what_and_from_what(seen: Captured) -> None:
    with obs.decision(
        "enter long", why="momentum", confidence=0.62, alternatives={"hold": 0.38}, symbol="BTCUSDT",
        inputs={"S_model": 0.31, "book": {"obi_10": Decimal("0.22")}}, side=Side.BUY, strategy="stacker",
        attributes={"sizing": Sizing.SMALL},
    ):  # fmt: skip
        pass
    assert dict(seen.decision().attributes) == {
        "decision.what": "enter long", "decision.why": "momentum", "decision.confidence": 0.62,
        "decision.alternatives": '{"hold":0.38}',
        "decision.inputs": '{"S_model":0.31,"book":{"obi_10":"0.22"}}', "instrument.symbol": "BTCUSDT",
        "order.side": "buy", "strategy.name": "stacker", "sizing": "small", "decision.outcome": "held",
    }  # fmt: skip
    assert seen.decision().span.name == "decision"


@pytest.mark.parametrize("alternatives", [["hold", "short"], ("hold", "short"), {"hold": 1, "short": 2}.keys()])
def test_alternatives_may_be_names_alone(seen: Captured, alternatives: Any) -> None:
    obs.decide("enter", alternatives=alternatives)
    assert list(seen.decision().alternatives) == ["hold", "short"]


def test_a_leaf_is_held_unless_it_says_its_outcome(seen: Captured) -> None:
    with obs.trace("cycle", intent="trade"):
        obs.decide("hold", why="no signal", confidence=0.9, symbol="BTCUSDT")
        obs.decide("exit", outcome="executed")
        obs.decide("hedge", outcome=obs.Outcome.FAILED)
    assert [(told.what, told.outcome) for told in seen.decisions] == [
        ("hold", "held"), ("exit", "executed"), ("hedge", "failed"),
    ]  # fmt: skip
    assert {told.parent_id for told in seen.decisions} == {seen.traces[0].id}
    assert seen.decision("hold").confidence == 0.9


def test_a_leaf_s_odd_outcome_is_read_as_anybody_s_would_be_and_marked(lenient: Captured) -> None:
    obs.decide("a", outcome="Submitted")
    obs.decide("b", outcome="moonshot")
    obs.decide("c", outcome="vetoed")
    assert [told.outcome for told in lenient.decisions] == ["executed", "held", "vetoed"]
    assert [bool(told.defects) for told in lenient.decisions] == [False, True, True]


# ---- facts


def test_orders_and_fills_are_log_records_with_their_event_s_name(seen: Captured) -> None:
    obs.order(id="o-1", status="submitted", type="limit", side="buy", quantity="0.010", price=Decimal("43210.50"),
              symbol="BTCUSDT", strategy="stacker", trade_id="t-1")  # fmt: skip
    obs.fill(id="f-1", price="43210.5", quantity=0.01, fee="-0.00000000000000001", fee_currency="BNB", order_id="o-1")
    order, fill = seen.facts
    assert (order.name, order.attributes) == (
        "order",
        {
            "order.id": "o-1", "order.status": "submitted", "order.type": "limit", "order.side": "buy",
            "order.quantity": "0.010", "order.price": "43210.50", "instrument.symbol": "BTCUSDT",
            "strategy.name": "stacker", "trade.id": "t-1", "event.name": "order", "otel_obs.tier": "durable",
        },
    )  # fmt: skip
    assert (fill.name, fill.attributes) == (
        "fill",
        {
            "fill.id": "f-1", "fill.price": "43210.5", "fill.quantity": "0.01", "fill.fee": "-0.00000000000000001",
            "fill.fee_currency": "BNB", "order.id": "o-1", "event.name": "fill", "otel_obs.tier": "durable",
        },
    )  # fmt: skip


@pytest.mark.parametrize(
    ("price", "text"),
    [
        ("43210.123456789012345678", "43210.123456789012345678"),
        (Decimal("99999999999999999999.999999999999999999"), "99999999999999999999.999999999999999999"),
        (Decimal("1E-18"), "0.000000000000000001"),
        (Decimal("4E+4"), "40000"),
        (0.1, "0.1"),
        (1e-7, "0.0000001"),
        (43210, "43210"),
        (" 5.0 ", "5.0"),
    ],
)
def test_no_cent_of_a_price_is_lost(seen: Captured, price: Any, text: str) -> None:
    obs.fill(id="f-1", price=price, quantity=1)
    obs.emit(Fill(id="f-1", price=price, quantity=1))  # type: ignore[arg-type]
    assert [fact.attributes["fill.price"] for fact in seen.facts] == [text, text]


def test_a_fact_belongs_to_the_open_decision_unless_it_names_another(seen: Captured) -> None:
    with obs.trace("cycle"):
        with obs.decision("enter") as choice, obs.stage("routing"):
            obs.order(id="o-1", status="submitted")
            obs.order(id="o-2", status="submitted", decision_id="00000000000000ff")
            obs.emit(Order(id="o-3", status="submitted"))
        obs.order(id="o-1", status="filled", decision_id=choice.id)
        obs.order(id="o-4", status="submitted")
    told = [(fact.attributes["order.id"], fact.attributes.get("decision.id")) for fact in seen.facts]
    id_ = seen.decision().id
    assert told == [("o-1", id_), ("o-2", "00000000000000ff"), ("o-3", id_), ("o-1", id_), ("o-4", None)]


def test_a_field_that_nobody_knows_is_kept_under_the_stream_s_name_and_the_near_one_is_named(
    lenient: Captured, caplog: pytest.LogCaptureFixture
) -> None:
    obs.order(id="o-1", status="submitted", decisionid="d-1", name="any", stream="any", venue={"id": 7})
    obs.emit(Order(id="o-2", status="submitted", **{"decision.what": "not a decision"}))  # type: ignore[arg-type]
    first, second = (fact.attributes for fact in lenient.facts)
    assert first["order.id"] == "o-1"
    assert [first[name] for name in ("order.decisionid", "order.name", "order.stream")] == ["d-1", "any", "any"]
    assert json.loads(first["order.venue"]) == {"id": 7}
    assert len(first["otel_obs.defects"]) == 4
    assert "Did you mean decision_id?" in caplog.text
    assert second["order.decision.what"] == "not a decision"
    assert "decision.what" not in second


def test_many_unknown_fields_never_push_out_what_makes_the_fact(lenient: Captured) -> None:
    obs.order(id="o-1", status="submitted", **{f"field_{number}": number for number in range(300)})
    told = lenient.facts[0].attributes
    assert (told["order.id"], told["order.status"], told["event.name"]) == ("o-1", "submitted", "order")
    assert told["otel_obs.defects"]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ({"price": "much", "quantity": 0.5}, {"fill.price": "much", "fill.quantity": "0.5"}),
        ({"price": float("nan"), "quantity": Decimal("1.50")}, {"fill.price": "nan", "fill.quantity": "1.50"}),
        ({"price": "1.1234567890123456789", "quantity": "1"}, {"fill.price": "1.1234567890123456789"}),
        ({"price": 10**21, "quantity": "1"}, {"fill.price": str(10**21)}),
        ({"price": [1], "quantity": "1"}, {"fill.price": "[1]"}),
        ({"price": None, "quantity": "1"}, {"fill.quantity": "1"}),
        ({"price": "1"}, {"fill.price": "1"}),
    ],
)
def test_a_value_that_cannot_be_is_kept_as_text_and_marked(
    lenient: Captured, said: dict[str, Any], kept: dict[str, str]
) -> None:
    obs.fill(id="f-1", **said)
    [fact] = lenient.facts
    assert fact.attributes["fill.id"] == "f-1"
    assert {name: fact.attributes[name] for name in kept} == kept
    assert len(fact.attributes["otel_obs.defects"]) >= 1


def test_strict_raises_on_a_fact_that_breaks_the_contract(seen: Captured) -> None:
    with pytest.raises(ContractError, match="price"):
        obs.fill(id="f-1", price="much", quantity="1")
    with pytest.raises(ContractError, match="Did you mean symbol"):
        obs.order(id="o-1", status="submitted", simbol="BTCUSDT")
    assert seen.facts == []


def test_only_facts_of_a_known_stream_can_be_emitted(lenient: Captured, caplog: pytest.LogCaptureFixture) -> None:
    obs.emit("a string")  # type: ignore[arg-type]
    assert lenient.facts == []
    assert obs.problems() == {"unknown_stream": 1}
    assert "order, fill" in caplog.text
