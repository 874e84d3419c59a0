"""Run a report: read its parameters, ask the store, shape the rows."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any, Final

from otel_obs.errors import QuestionError, nearest
from otel_obs.reports.report import Kind, Parameter, Report
from otel_obs.reports.times import for_store, moment, zone, zone_for_store
from otel_obs.store.client import ask, assignments, statement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clickhouse_connect.driver.client import Client

    from otel_obs.reports.answer import Answer

_MOST: Final = 1_000_000  # rows that are listed; whoever wants all of them asks the store itself


def read(report: Report[Any], given: Mapping[str, str], *, now: datetime) -> dict[str, Any]:
    """Read ``given`` texts as the report's parameters; defaults fill in.

    Raises:
        QuestionError: an unknown, missing or unreadable parameter, or a window that ends before it starts.

    """
    known = {parameter.name: parameter for parameter in report.parameters}
    if unknown := sorted(set(given) - set(known)):
        raise QuestionError(f"{report.name} has no parameter {unknown[0]!r}.", fix=f"It has {', '.join(known)}.")
    texts = {name: given.get(name, parameter.default) for name, parameter in known.items()}
    tz = zone(texts.get("tz") or "")
    asked = {name: _value(parameter, texts[name], tz=tz, now=now) for name, parameter in known.items()}
    if "from" in asked and asked["from"] > asked["to"]:
        raise QuestionError(
            f"The window ends ({texts['to']}) before it starts ({texts['from']}).", fix="Exchange --from and --to."
        )
    return {**asked, **(report.derive(asked) if report.derive else {})}


def _value(parameter: Parameter, text: str | None, *, tz: Any, now: datetime) -> Any:
    if text is None:
        raise QuestionError(f"{parameter.name} is missing.", fix=parameter.doc)
    if parameter.choices and text and text not in parameter.choices:
        raise QuestionError(f"{parameter.name} {text!r} is not known.", fix=f"Known: {', '.join(parameter.choices)}.")
    try:
        match parameter.kind:
            case Kind.TIME:
                return None if text == parameter.default == "" else moment(text, tz=tz, now=now)
            case Kind.ZONE:
                return tz
            case Kind.COUNT:
                return _within(1, int(text), _MOST)
            case Kind.SHARE:
                share = text.strip()
                scale = 100 if share.endswith("%") else 1
                return _within(0, float(share.removesuffix("%")) / scale, sys.float_info.max)
            case Kind.NUMBER:
                return _within(-sys.float_info.max, float(text), sys.float_info.max) if text else None
            case Kind.TEXT:
                return text
    except ValueError:
        raise QuestionError(f"{parameter.name} {text!r} cannot be read.", fix=parameter.doc) from None


def _within(least: float, number: float, most: float) -> float:
    if not least <= number <= most:
        raise ValueError
    return number


def _for_store(value: Any, *, now: datetime) -> Any:
    if isinstance(value, datetime):
        return for_store(value)
    return zone_for_store(value, now=now) if isinstance(value, tzinfo) else value


def run(client: Client, report: Report[Any], given: Mapping[str, str], *, now: datetime | None = None) -> Answer[Any]:
    """Ask the store. ``given`` holds parameters as text, by name.

    Raises:
        QuestionError: see ``read``.
        QueryError: the store refused the query.

    """
    now = now or datetime.now(UTC)
    asked = read(report, given, now=now)
    found = ask(client, report.query, for_query(asked, now=now))
    answer = report.shape([report.row.of(row) for row in found], asked)
    if not found or _is_empty(answer):
        answer = _with_hint(client, report, asked, answer)
    return replace(answer.plainly(asked["tz"]), row=report.answer_row, window=_window(asked))


def _window(asked: Mapping[str, Any]) -> str:
    if "from" not in asked:
        return ""
    start, end = (asked[name].astimezone(asked["tz"]).isoformat(" ", "minutes") for name in ("from", "to"))
    return f"{start} to {end}"


def for_query(asked: Mapping[str, Any], *, now: datetime) -> dict[str, Any]:
    """What was read, as the parameters of the ``.sql``."""
    return {name: _for_store(value, now=now) for name, value in asked.items()}


def sql(report: Report[Any], given: Mapping[str, str], *, now: datetime | None = None) -> str:
    """The statement that answers, after its parameters as ``SET param_…``: as clickhouse-client takes both.

    Raises:
        QuestionError: see ``read``.

    """
    now = now or datetime.now(UTC)
    parameters = for_query(read(report, given, now=now), now=now)
    text = statement(report.query)
    return "\n".join([*assignments(parameters, text), "", text])


def _is_empty(answer: Answer[Any]) -> bool:
    return isinstance(answer.data, dict) and answer.data.get("state") == "never_recorded"


def unrecorded(client: Client, kind: str, name: str) -> str:
    """The sentence that says that no record carries ``name``, with the nearest that one does; empty where one does."""
    known = [row["name"] for row in ask(client, "recorded", {"kind": kind})] if name else []
    if not known or name in known:
        return ""
    return f"No {kind} {name!r} was ever recorded. {nearest(name, known)}"


def _with_hint(client: Client, report: Report[Any], asked: Mapping[str, Any], answer: Answer[Any]) -> Answer[Any]:
    """Where nothing was found: whether it is for a name that no record carries, or when the latest record is."""
    for parameter in report.parameters:
        if parameter.recorded and (wrong := unrecorded(client, parameter.recorded, asked.get(parameter.name) or "")):
            if answer.rows:  # it says already that nothing was ever recorded
                return replace(answer, sentence=f"{answer.sentence} {wrong.partition('. ')[2]}")
            return replace(answer, sentence=wrong, found=False)
    return _with_latest(client, asked, answer)


def _with_latest(client: Client, asked: Mapping[str, Any], answer: Answer[Any]) -> Answer[Any]:
    """Where a window holds nothing: when the latest record is, so that nobody takes a wrong window for silence."""
    if answer.rows or not answer.found or "from" not in asked:
        return answer
    filters = {name: asked.get(name, "") for name in ("service", "symbol")}
    latest = ask(client, "latest", filters)[0]["latest"]
    if latest is None:
        return replace(answer, sentence=f"{answer.sentence} Nothing was ever recorded.")
    if asked["from"] <= latest < asked["to"]:
        return answer
    shown = latest.astimezone(asked["tz"]).isoformat(" ", "seconds")
    return replace(answer, sentence=f"{answer.sentence} The latest record is of {shown}.")
