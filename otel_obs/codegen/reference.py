"""docs/reference/: the wire, the settings and the reports, as tables for people."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Final

from otel_obs.codegen.alerts import alerts
from otel_obs.codegen.metrics import metrics
from otel_obs.codegen.pages import page as _page
from otel_obs.codegen.pages import table as _table
from otel_obs.codegen.questions import stub
from otel_obs.codegen.trace_document import schema
from otel_obs.contract import gates, outcome, semconv
from otel_obs.contract.streams import STREAMS
from otel_obs.reports.registry import REPORTS
from otel_obs.reports.rows import columns
from otel_obs.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable


def _words(table: dict[str, outcome.Outcome] | dict[str, gates.Verdict]) -> str:
    meanings: dict[str, list[str]] = {}
    for word, meaning in table.items():
        meanings.setdefault(meaning.value, []).append(f"`{word}`")
    return _table(("meaning", "words"), [(f"`{name}`", ", ".join(words)) for name, words in meanings.items()])


_HEADINGS: Final = {
    "any": "On any span or log record",
    "resource": "On the resource",
    "trace": "Trace: a span with `trace.name`",
    "stage": "Stage: a span with `stage.name`",
    "decision": f"Decision: a span with `decision.what`, whose name is `{semconv.DECISION_SPAN}`",
    "gate": f"Gate: a span event `{semconv.GATE_EVENT}` on a decision",
    "exception": "Span event `exception`: what was raised",
    "order": "`order`: a log record with that EventName",
    "fill": "`fill`: a log record with that EventName",
    "health_snapshot": "`health_snapshot`: a log record with that EventName",
    "delivery": "`delivery`: a log record with that EventName, one for each tier",
}


_WIRE: Final = """\
# The wire

What a program in any language says, over OTLP, to be understood. Every name stands once in
`otel_obs/contract/semconv.py`. Maps are written as one JSON-object string; OTLP's own map and array values are
accepted as equal. Decimals travel as text. A decision's id is its span id."""

_OUTCOME_WORDS: Final = """\
## Words for an outcome

Case and surrounding white space do not count. `rejected` means `vetoed` where an enforced gate denied, else `failed`.
An unknown word counts as none, and is named in `defects`; the word as sent stays in `outcome_raw`."""

_SETTINGS: Final = """\
# Settings

Each can be given to `otel_obs.configure()` by its name, or in the environment; the argument wins. `otel-obs doctor`
shows which are in force and where they come from. OpenTelemetry's own variables (`OTEL_RESOURCE_ATTRIBUTES`,
`OTEL_TRACES_SAMPLER`, `OTEL_EXPORTER_OTLP_HEADERS` …) mean what they mean elsewhere."""


_REPORTS: Final = """\
Ask with `otel-obs report NAME`; add `--json`, `--csv` or `--md`, and `--url` or `--data` to say which store. `--sql`
prints the statement instead. In Python each is a method of `otel_obs.query.connect(…)`, whose rows have the columns
named here: [how to ask](../how-to/ask.md)."""


def wire() -> str:
    """Every name on the wire, from ``semconv``, ``gates``, ``outcome`` and STREAMS."""
    parts = [_WIRE]
    for place, heading in _HEADINGS.items():
        rows = [
            (f"`{name}`", attribute.type, attribute.unit, attribute.stability, attribute.doc)
            for name, attribute in semconv.ATTRIBUTES.items()
            if place in attribute.on
        ]
        parts += [f"## {heading}", _table(("name", "type", "unit", "stability", "meaning"), rows)]
    streams = [(f"`{row.name}`", row.tier, str(row.retention_days), f"`{row.table}`", row.doc) for row in STREAMS]
    parts += [
        _OUTCOME_WORDS,
        _words(outcome.OUTCOME_WORDS),
        "## Words for a verdict",
        _words(gates.VERDICT_WORDS),
        "## Streams of typed facts",
        _table(("event name", "tier", "kept (days)", "table", "what it is"), streams),
    ]
    return _page(*parts)


def settings() -> str:
    """Every setting, from SETTINGS."""
    rows = [
        (f"`{row.name}`", ", ".join(f"`{variable}`" for variable in row.variables), f"`{row.default!r}`", row.doc)
        for row in SETTINGS
    ]
    return _page(_SETTINGS, _table(("name", "variables", "default", "meaning"), rows))


def reports() -> str:
    """Every report, from REPORTS."""
    parts = [
        "# Reports",
        _REPORTS,
    ]
    for row in REPORTS:
        parameters = [
            (
                parameter.name if parameter.position else f"`--{parameter.name.replace('_', '-')}`",
                parameter.kind.value,
                "" if not parameter.default else f"`{parameter.default}`",
                parameter.doc + (f" One of {', '.join(parameter.choices)}." if parameter.choices else ""),
            )
            for parameter in row.parameters
        ]
        parts += [
            f"## {row.name}",
            row.question,
            _table(("parameter", "kind", "default", "meaning"), parameters),
            f"```\n{row.example}\n```",
            _about(row.answer_row),
        ]
    return _page(*parts)


def _about(row: type) -> str:
    hints = {field.name: str(field.type) for field in fields(row)}
    doc = " ".join((row.__doc__ or "").split())
    names = ", ".join(f"`{name}` {hints[name].replace(' | ', ' or ')}" for name in columns(row))
    return f"{doc} Columns: {names}."


FILES: Final[dict[str, Callable[[], str]]] = {
    "docs/reference/wire.md": wire,
    "docs/reference/settings.md": settings,
    "docs/reference/reports.md": reports,
    "docs/reference/metrics.md": metrics,
    "docs/reference/trace-document.schema.json": schema,
    "otel_obs/query/questions.pyi": stub,
    **alerts(),
}
