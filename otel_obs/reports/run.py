"""Run a report: read its parameters, ask the store, shape the rows."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any, Final

from otel_obs.errors import QuestionError
from otel_obs.reports.answer import plain
from otel_obs.reports.registry import Kind, Parameter, Report
from otel_obs.reports.times import for_store, moment, zone, zone_for_store
from otel_obs.store.client import ask

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clickhouse_connect.driver.client import Client

    from otel_obs.reports.answer import Answer

_MOST: Final = 1_000_000  # rows that are listed; whoever wants all of them asks the store itself


def read(report: Report, given: Mapping[str, str], *, now: datetime) -> dict[str, Any]:
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
    return asked


def _value(parameter: Parameter, text: str | None, *, tz: Any, now: datetime) -> Any:
    if text is None:
        raise QuestionError(f"{parameter.name} is missing.", fix=parameter.doc)
    if parameter.choices and text and text not in parameter.choices:
        raise QuestionError(f"{parameter.name} {text!r} is not known.", fix=f"Known: {', '.join(parameter.choices)}.")
    try:
        match parameter.kind:
            case Kind.TIME:
                return moment(text, tz=tz, now=now)
            case Kind.ZONE:
                return tz
            case Kind.COUNT:
                return _within(1, int(text), _MOST)
            case Kind.SHARE:
                return _within(0, float(text), sys.float_info.max)
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


def run(client: Client, report: Report, given: Mapping[str, str], *, now: datetime | None = None) -> Answer:
    """Ask the store. ``given`` holds parameters as text, by name.

    Raises:
        QuestionError: see ``read``.
        QueryError: the store refused the query.

    """
    now = now or datetime.now(UTC)
    asked = read(report, given, now=now)
    parameters = {name: _for_store(value, now=now) for name, value in asked.items()}
    answer = report.shape(ask(client, report.name, parameters), asked)
    tz = asked["tz"]
    return replace(
        answer,
        data=plain(answer.data, tz),
        tables=[replace(table, rows=plain(list(table.rows), tz)) for table in answer.tables],
    )
