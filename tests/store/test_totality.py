"""Whatever a sender writes, each INSERT succeeds; a decision, order or fill is one row, and no amount is rounded."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st

from otel_obs.reports.registry import REPORTS
from otel_obs.reports.run import run
from otel_obs.surfaces.cli import render

if TYPE_CHECKING:
    from types import ModuleType

    from clickhouse_connect.driver.client import Client

SECOND = 1_000_000_000
LAST = 2**63 - 1  # 2262-04-11
_numbers = itertools.count(1)

HORRORS = [
    "",
    " ",
    "null",
    "nan",
    "-inf",
    "Infinity",
    "1e400",
    "-1e400",
    "1e-400",
    "0x1F",
    "٣٤",
    "1_000",
    "+5",
    "5.",
    ".5",
    "9" * 300,
    "0." + "0" * 300 + "1",
    "1" + "0" * 30,
    "18446744073709551616",
    "-1",
    "true",
    "TRUE",
    "\x00",
    "\x1b[31m",
    "\x9b31m",
    "{",
    "}",
    '{"a":',
    '{"a":1}x',
    '{"a":NaN}',
    '{"a":1e999}',
    '{"a":' + "9" * 5000 + "}",
    '"\\ud800"',
    "[" * 900 + "]" * 900,
    "[" * 3000,
    '{"a":{"b":{"c":[{"d":null}]}}}',
    '[1,"two",null,{"3":4}]',
    '["a","b"]',
    "[[]]",
    '{"":""}',
    '{"a":1,"a":2}',
    "[1,2]",
    "[1,null]",
    "[null]",
    '["x","y"]',
    "'; DROP TABLE decisions; --",
    "\\",
    "'",
    '"',
    "\ufeff",
    "\u202etxt",
    "🙂" * 50,
    "x" * 70_000,
]
BYTES = [b"\xff\xfe", b"\xc3\x28", b"abc\x80", b"\xed\xa0\x80", b"\x00\x01"]

_text = st.sampled_from(HORRORS) | st.text(max_size=20) | st.floats().map(repr) | st.integers().map(str)
_bytes = st.sampled_from(BYTES) | st.binary(max_size=12)
_any = st.one_of(_text, _text, _text, _bytes)
_names = {
    "trace": "name project intent domain query evidence output score score_max passed principles gaps idle_reason",
    "stage": "name evidence output",
    "decision": "what why confidence alternatives inputs outcome id",
    "gate": "name verdict mode observed threshold comparison unit reason duration_ms",
    "order": "id status type side quantity price",
    "fill": "id price quantity fee fee_currency",
    "otel_obs": "defects tier seq",
    "gen_ai.usage": "input_tokens output_tokens",
}
ATTRIBUTES = [f"{prefix}.{name}" for prefix, names in _names.items() for name in names.split()]
ATTRIBUTES += ["strategy.name", "instrument.symbol", "trade.id", "event.name", "gen_ai.request.model", ""]
_words = st.sampled_from(["at_most", "at_least", "between", "equals", "none", "deny", "shadow", "executed", "rejected"])
_attributes = st.dictionaries(st.sampled_from(ATTRIBUTES) | _any, _any | _words, max_size=14)
_moments = st.sampled_from([0, 1, 4 * 86_400 * SECOND, 2**32 * SECOND, 5_662_310_400 * SECOND, LAST]) | st.integers(
    0, LAST
)


def _gates_are_common(name: str) -> str:
    return "gate.evaluated" if len(name) % 2 else name


_events = st.lists(st.tuples(st.text(max_size=5).map(_gates_are_common), _attributes), max_size=4)


def _count(client: Client, sql: str, **parameters: Any) -> int:
    return int(client.query(f"SELECT count() FROM otel.{sql}", parameters=parameters).result_rows[0][0])


def _json(text: str) -> Any:
    def refused(constant: str) -> Any:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refused)


def test_every_report_answers_in_every_form_whatever_was_stored(
    client: Client, otlp: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    client.database = "otel"
    everything = {"from": "1970-01-01", "to": "2262-04-12", "tz": "UTC"}
    rows = [
        otlp.span_row(
            {
                "decision.what": horror,
                "decision.why": horror,
                "decision.inputs": horror,
                "trace.name": horror,
                "trace.intent": "trade",
            },
            [
                ("gate.evaluated", {f"gate.{name}": horror for name in _names["gate"].split()}),
                (
                    "gate.evaluated",
                    {"gate.name": horror, "gate.verdict": "deny", "gate.observed": horror, "gate.threshold": horror},
                ),
            ],
            number=200_000 + index,
            service=horror,
        )
        for index, horror in enumerate([*HORRORS, *BYTES])
    ]
    otlp.insert(client, "otel_traces", rows)
    asked: list[tuple[str, dict[str, str]]] = [
        (row.name, everything) for row in REPORTS if row.parameters[0].name == "from"
    ]
    asked += [("decision", {"id": row[2], "tz": "UTC"}) for row in rows]
    asked += [("trace", {"id": row[1], "tz": "UTC"}) for row in rows[::4]]
    by_name = {row.name: row for row in REPORTS}
    for name, given in asked:
        answer = run(client, by_name[name], given, now=datetime(2026, 1, 1, tzinfo=UTC))
        assert answer.found, (name, given)
        _json(render.as_json(answer))
        render.as_csv(answer)
        render.as_markdown(answer)
        render.screen(answer)
    assert "\x1b" not in capsys.readouterr().out
    for service in ("'", '"', "\\", "\x1b[31m", "\r\n\t", "🙂" * 50, "'; DROP TABLE decisions; --", "{x:String}", "%s"):
        otlp.insert(
            client, "otel_traces", [otlp.span_row({"decision.what": "x"}, number=next(_numbers), service=service)]
        )
        assert run(client, by_name["why"], {**everything, "service": service}).data["decisions"] >= 1


def test_any_span_is_stored_and_every_decision_trace_stage_and_gate_is_one_row(
    client: Client, otlp: ModuleType
) -> None:
    kinds = st.sets(st.sampled_from(["decision.what", "trace.name", "stage.name"]))
    statuses = st.sampled_from(["Unset", "Ok", "Error", "", "?"])
    examples = otlp.drawn(st.tuples(_attributes, kinds, _any, _events, _moments, statuses, _any), 500)
    rows, expected = [], {"decisions": 0, "traces": 0, "stages": 0, "gates": 0}
    first = 1_000_000
    for index, (attributes, told, said, events, at, status, service) in enumerate(examples):
        named = {**attributes, **dict.fromkeys(told, said)}
        rows.append(
            otlp.span_row(
                named,
                events,
                number=first + index,
                at=at,
                status=status,
                service=service,
                resource={"deployment.environment.name": said},
            )
        )
        keys = {key.encode() if isinstance(key, str) else key for key in named}
        expected["decisions"] += b"decision.what" in keys
        expected["traces"] += b"trace.name" in keys
        expected["stages"] += b"stage.name" in keys
        if b"decision.what" in keys:
            expected["gates"] += sum(name == "gate.evaluated" for name, _ in events)
    otlp.insert(client, "otel_traces", rows)
    seen = {
        table: _count(client, f"{table} FINAL WHERE trace_id >= {{first:String}}", first=f"{first:032x}")
        for table in expected
    }
    assert seen == expected

    # each is where its own time is, to the nanosecond, up to 2262
    window = "timestamp >= fromUnixTimestamp64Nano({at:Int64}) AND timestamp <= fromUnixTimestamp64Nano({at:Int64})"
    decided = [row for row in rows if any(key in {"decision.what", b"decision.what"} for key in row[11])]
    for row in decided[:40]:
        assert _count(client, f"decisions FINAL WHERE {window} AND span_id = {{id:String}}", at=row[0], id=row[2]) == 1


def _exact(text: Any) -> Decimal | None:
    """The amount that a text means, if a Decimal(38, 18) holds it to the last digit."""
    try:
        amount = Decimal(text) if isinstance(text, str) else None
    except InvalidOperation:
        return None
    if amount is None or not amount.is_finite():
        return None
    sign, digits, exponent = amount.as_tuple()
    scaled = int("".join(map(str, digits)) or "0")
    shift = int(exponent) + 18
    if abs(shift) > 500:
        return Decimal(0) if not scaled else None
    whole, rest = divmod(scaled * 10 ** max(shift, 0), 10 ** max(-shift, 0))
    if rest or whole >= 10**38:
        return None
    return Decimal((sign, tuple(map(int, str(whole))), -18))


_digits = st.text("0123456789", max_size=45)
_amounts = st.one_of(
    st.builds(lambda sign, whole, part: f"{sign}{whole}.{part}", st.sampled_from(["", "-", "+"]), _digits, _digits),
    st.builds(
        lambda sign, whole, part, zeros: f"{sign}{whole}.{part}{'0' * zeros}",
        st.sampled_from(["", "-"]),
        st.integers(0, 10**20 - 1),
        st.text("0123456789", min_size=1, max_size=18),
        st.integers(0, 60),
    ),
    st.builds(
        lambda mantissa, letter, exponent: f"{mantissa}{letter}{exponent}",
        st.decimals(-(10**6), 10**6, places=6),
        st.sampled_from("eE"),
        st.integers(-60, 60),
    ),
    st.floats(allow_nan=False).map(repr),
    _any,
)


def _is_plain(text: str) -> bool:
    """A decimal string as the wire wants it: digits, at most one point inside."""
    whole, _, part = text.removeprefix("-").partition(".")
    return whole.isascii() and whole.isdigit() and (part.isdigit() or "." not in text) and part.isascii()


@pytest.mark.parametrize(
    ("name", "amounts"),
    [("order", ("order.quantity", "order.price")), ("fill", ("fill.price", "fill.quantity", "fill.fee"))],
)
def test_any_order_and_fill_is_one_row_with_exact_amounts_or_none(
    client: Client, otlp: ModuleType, name: str, amounts: tuple[str, ...]
) -> None:
    table = f"{name}s"
    examples = otlp.drawn(
        st.tuples(_attributes, st.tuples(*[_amounts] * len(amounts)), _moments, st.booleans(), _any), 500
    )
    first = next(_numbers) * 10_000_000
    rows = [
        otlp.log_row(
            # the name stands in its column, or in the attribute alone
            {
                **attributes,
                f"{name}.id": str(index),
                **({} if in_column else {"event.name": name}),
                **dict(zip(amounts, texts, strict=True)),
            },
            number=first + index,
            name=name if in_column else "",
            at=at,
            body=body,
        )
        for index, (attributes, texts, at, in_column, body) in enumerate(examples)
    ]
    otlp.insert(client, "otel_logs", rows)
    columns = ", ".join(amount.partition(".")[2] for amount in amounts)
    found = client.query(
        f"SELECT {columns}, defects FROM otel.{table} FINAL "
        "WHERE trace_id >= {first:String} AND trace_id < {last:String} ORDER BY trace_id",
        parameters={"first": f"{first:032x}", "last": f"{first + len(rows):032x}"},
    ).result_rows
    assert len(found) == len(rows)
    for (_, texts, *_), (*values, defects) in zip(examples, found, strict=True):
        for amount, text, value in zip(amounts, texts, values, strict=True):
            if value is not None:
                assert value == Decimal(text if isinstance(text, str) else text.decode()), (text, value)
            elif text not in {"", b""}:
                assert f"{amount} cannot be read" in defects, (text, defects)
            if isinstance(text, str) and _is_plain(text):
                assert value == _exact(text), text


def test_a_fact_is_known_by_its_column_or_by_its_attribute_and_never_twice(client: Client, otlp: ModuleType) -> None:
    rows = [
        otlp.log_row({"order.id": "both", "event.name": "order"}, number=1, name="order"),
        otlp.log_row({"order.id": "column"}, number=2, name="order"),
        otlp.log_row({"order.id": "attribute", "event.name": "order"}, number=3, name=""),
        otlp.log_row({"order.id": "neither"}, number=4, name="note"),
        # the same record, whose name a collector lost on the way
        otlp.log_row({"order.id": "both", "event.name": "order"}, number=1, name=""),
    ]
    otlp.insert(client, "otel_logs", rows)
    assert _count(client, "orders FINAL WHERE order_id = 'both'") == 1
    assert _count(client, "orders FINAL WHERE order_id = 'column'") == 1
    assert _count(client, "orders FINAL WHERE order_id = 'attribute'") == 1
    assert _count(client, "orders FINAL WHERE order_id = 'neither'") == 0


def test_a_ledger_of_a_hundred_thousand_gates_keeps_every_one(client: Client, otlp: ModuleType) -> None:
    events = [("gate.evaluated", {"gate.name": "g", "gate.verdict": "deny"})] * 100_000
    row = otlp.span_row({"decision.what": "enter"}, events, number=77)
    otlp.insert(client, "otel_traces", [row])
    assert _count(client, "decisions FINAL WHERE span_id = {id:String}", id=row[2]) == 1
    assert _count(client, "gates FINAL WHERE span_id = {id:String}", id=row[2]) == 100_000


@pytest.mark.parametrize(
    ("kind", "attribute", "unreadable", "named"),
    [
        ("decision", "decision.confidence", "7", "decision.confidence cannot be read"),
        ("decision", "decision.inputs", "{", "decision.inputs is no JSON"),
        ("decision", "decision.alternatives", "hold, sell", "decision.alternatives is no JSON"),
        ("decision", "decision.outcome", "moon", "decision.outcome is not known"),
        ("gate", "gate.verdict", "maybe", "gate.verdict cannot be read"),
        ("gate", "gate.mode", "loud", "gate.mode is not known"),
        ("gate", "gate.comparison", "above", "gate.comparison is not known"),
        ("gate", "gate.duration_ms", "long", "gate.duration_ms cannot be read"),
        ("gate", "gate.duration_ms", "inf", "gate.duration_ms cannot be read"),
        ("trace", "trace.score", "good", "trace.score cannot be read"),
        ("trace", "trace.passed", "perhaps", "trace.passed cannot be read"),
        ("trace", "trace.evidence", "{]", "trace.evidence is no JSON"),
        ("trace", "trace.gaps", "META-12", "trace.gaps is no JSON"),
        ("trace", "trace.gaps", '{"META-12":1}', "trace.gaps cannot be read"),
        ("stage", "stage.output", "'", "stage.output is no JSON"),
        ("stage", "gen_ai.usage.input_tokens", "many", "gen_ai.usage.input_tokens cannot be read"),
        ("stage", "gen_ai.usage.output_tokens", "-3", "gen_ai.usage.output_tokens cannot be read"),
    ],
)
def test_what_cannot_be_read_is_named(
    client: Client, otlp: ModuleType, *, kind: str, attribute: str, unreadable: str, named: str
) -> None:
    makes = {"decision": "decision.what", "gate": "decision.what", "trace": "trace.name", "stage": "stage.name"}[kind]
    gate = {"gate.name": "g", "gate.verdict": "pass", **({attribute: unreadable} if kind == "gate" else {})}
    own = {attribute: unreadable} if kind != "gate" else {}
    row = otlp.span_row({makes: "x", **own}, [("gate.evaluated", gate)], number=next(_numbers) + 5_000)
    otlp.insert(client, "otel_traces", [row])
    table = {"decision": "decisions", "gate": "decisions", "trace": "traces", "stage": "stages"}[kind]
    [[defects]] = client.query(
        f"SELECT defects FROM otel.{table} FINAL WHERE span_id = {{id:String}}", parameters={"id": row[2]}
    ).result_rows
    assert defects == [named]
