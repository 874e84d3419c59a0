"""REPORTS: every question once; the command line, the Python API, and whatever else answers, walk this table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel_obs.contract.gates import Verdict
from otel_obs.contract.outcome import Outcome
from otel_obs.contract.scorecard import Form, Scorecard
from otel_obs.contract.tiers import Tier
from otel_obs.errors import QuestionError, nearest
from otel_obs.reports import rows
from otel_obs.reports.report import Kind, Parameter, Picture, Report
from otel_obs.reports.shapes import decisions, delivery, gates, health, ledgers, traces

if TYPE_CHECKING:
    from collections.abc import Mapping

_FROM = Parameter(name="from", kind=Kind.TIME, default="-24h", doc="Start of the window, included.")
_TO = Parameter(name="to", kind=Kind.TIME, default="now", doc="End of the window, not included.")
_TZ = Parameter(name="tz", kind=Kind.ZONE, default="", doc="Time zone of times read and shown; else this machine's.")
_SERVICE = Parameter(
    name="service", kind=Kind.TEXT, default="", doc="Only this bot (service.name).", recorded="service"
)
_SYMBOL = Parameter(name="symbol", kind=Kind.TEXT, default="", doc="Only this instrument.", recorded="symbol")
_GATE = Parameter(name="gate", kind=Kind.TEXT, default="", doc="Only this gate.", recorded="gate")
_LIMIT = Parameter(name="limit", kind=Kind.COUNT, default="50", doc="At most so many.")
_NEAR = Parameter(
    name="near",
    kind=Kind.SHARE,
    default="0.10",
    doc="A near miss lies within this share of the limit, on either side: 0.10 or 10%.",
)
_WINDOW = (_FROM, _TO, _TZ, _SERVICE, _SYMBOL)
_RUNS = (
    *(_FROM, _TO, _TZ, _SERVICE),
    Parameter(name="intent", kind=Kind.TEXT, default="", doc="Only runs for this (trace.intent).", recorded="intent"),
    Parameter(name="domain", kind=Kind.TEXT, default="", doc="Only runs about this (trace.domain).", recorded="domain"),
    Parameter(name="project", kind=Kind.TEXT, default="", doc="Only runs of this project.", recorded="project"),
)


def _before(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """The window that another is held against: unless told, as long as that one, and right before it."""
    end = asked["base_to"] or asked["from"]
    start = asked["base_from"] or end - (asked["to"] - asked["from"])
    if start > end:
        raise QuestionError("The base window ends before it starts.", fix="Exchange --base-from and --base-to.")
    return {"base_from": start, "base_to": end}


def _both(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"ids": [asked["a"], asked["b"]]}


def _alone(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"ids": [asked["id"]]}


REPORTS: Final[tuple[Report[Any], ...]] = (
    Report(
        name="why",
        question="Why did the bot do that, or nothing? Two ledgers: cycles, and decisions by outcome and gate.",
        parameters=(
            *_WINDOW,
            Parameter(name="intent", kind=Kind.TEXT, default="trade", doc="Which traces are cycles; '' takes all."),
        ),
        row=rows.Why,
        shape=ledgers.why,
        picture=Picture.LEDGER,
        example="otel-obs report why --from 2025-12-19T14:00 --to 2025-12-19T16:00 --tz Asia/Kolkata",
    ),
    Report(
        name="summary",
        question="What was recorded, and how did it end? By service, with quality and cost.",
        parameters=_WINDOW,
        row=rows.Summary,
        shape=ledgers.summary,
        picture=Picture.TABLE,
        example="otel-obs report summary --from -7d",
    ),
    Report(
        name="rejections",
        question="Which gate refused how much, hour by hour?",
        parameters=_WINDOW,
        row=rows.Rejections,
        shape=ledgers.rejections,
        picture=Picture.BARS,
        example="otel-obs report rejections --from today",
    ),
    Report(
        name="gates",
        question="How often does each gate pass, and where does what it sees stand against its limit?",
        parameters=(*_WINDOW, _NEAR),
        row=rows.GateStatistics,
        shape=gates.gates,
        picture=Picture.TABLE,
        example="otel-obs report gates --from -7d --service my-bot",
    ),
    Report(
        name="near-misses",
        question="Which candidates came close to a gate's limit, on either side?",
        parameters=(
            *_WINDOW, _GATE,
            Parameter(
                name="verdict", kind=Kind.TEXT, default="", choices=tuple(verdict.value for verdict in Verdict),
                doc="Only those with this verdict.",
            ),
            Parameter(
                name="gate_mode", kind=Kind.TEXT, default="", choices=("enforce", "shadow"),
                doc="Only gates that bind, or only those that watch.",
            ),
            _NEAR, _LIMIT,
        ),
        row=rows.NearMiss,
        shape=gates.near_misses,
        picture=Picture.TABLE,
        example="otel-obs report near-misses --gate spread_guard --near 0.05 --verdict deny",
    ),
    Report(
        name="co-denials",
        question="Which gates deny together, and which alone?",
        parameters=(
            *_WINDOW,
            Parameter(
                name="gate_mode", kind=Kind.TEXT, default="enforce", choices=("enforce", "shadow"),
                doc="Whose denials count: those that bind, or those that only watch; '' takes both.",
            ),
        ),
        row=rows.CoDenial,
        shape=gates.co_denials,
        picture=Picture.TABLE,
        example="otel-obs report co-denials --from -7d",
    ),
    Report(
        name="decisions",
        question="Which decisions were there, the latest first?",
        parameters=(
            *_WINDOW,
            Parameter(
                name="outcome",
                kind=Kind.TEXT,
                default="",
                choices=tuple(outcome.value for outcome in Outcome),
                doc="Only those that ended so.",
            ),
            Parameter(
                name="gate", kind=Kind.TEXT, default="", doc="Only those whose first denial was this gate's.",
                recorded="gate",
            ),
            _LIMIT,
        ),
        row=rows.DecisionLine,
        shape=decisions.decisions,
        picture=Picture.TABLE,
        example="otel-obs report decisions --from -2h --outcome vetoed",
    ),
    Report(
        name="decision",
        question="What was one decision: what, why, with which gates, and what came of it?",
        parameters=(
            Parameter(name="id", kind=Kind.TEXT, position=True, doc="The decision's id, or its unique beginning."),
            _TZ,
        ),
        row=rows.Decision,
        shape=decisions.decision,
        picture=Picture.CARD,
        example="otel-obs report decision 5f3a90c1d2e4b687",
    ),
    Report(
        name="confidence",
        question="How did decisions end, by how sure the bot was? In tenths of confidence.",
        parameters=_WINDOW,
        row=rows.ConfidenceBand,
        shape=decisions.confidence,
        picture=Picture.BARS,
        example="otel-obs report confidence --from -30d",
    ),
    Report(
        name="overridden",
        question="Which decisions acted though an enforced gate had denied?",
        parameters=(*_WINDOW, _GATE, _LIMIT),
        row=rows.Overridden,
        shape=decisions.overridden,
        picture=Picture.TABLE,
        example="otel-obs report overridden --from -7d",
    ),
    Report(
        name="changes",
        question="What differs between two windows: how often, at which rates, under which limits?",
        parameters=(
            *_WINDOW,
            Parameter(
                name="base_from", kind=Kind.TIME, default="",
                doc="Start of the window that it is held against; else one as long, right before.",
            ),
            Parameter(
                name="base_to", kind=Kind.TIME, default="", doc="End of that window; else the start of the other."
            ),
        ),
        row=rows.Change,
        shape=ledgers.changes,
        picture=Picture.TABLE,
        example="otel-obs report changes --from today --base-from yesterday --base-to today",
        derive=_before,
    ),
    Report(
        name="orders",
        question="What became of each order: asked for, submitted, filled? By decision.",
        parameters=(
            *_WINDOW,
            Parameter(
                name="state", kind=Kind.TEXT, default="",
                doc="Only those in this state: asked, submitted, partly filled, filled, cancelled, rejected …; "
                "open takes all that have not ended.",
            ),
            _LIMIT,
        ),
        row=rows.OrderLine,
        shape=decisions.orders,
        picture=Picture.TABLE,
        example="otel-obs report orders --from today --state open",
    ),
    Report(
        name="stages",
        question="How long does each stage take, and which one is the bottleneck?",
        parameters=_WINDOW,
        row=rows.StageStatistics,
        shape=traces.stages,
        picture=Picture.BARS,
        example="otel-obs report stages --from -24h",
    ),
    Report(
        name="slowest",
        question="Which traces, stages or decisions took longest?",
        parameters=(
            *_WINDOW,
            Parameter(
                name="kind", kind=Kind.TEXT, default="trace", choices=("trace", "stage", "decision"),
                doc="Of what; '' takes all.",
            ),
            Parameter(name="limit", kind=Kind.COUNT, default="20", doc="At most so many."),
        ),
        row=rows.Slow,
        shape=traces.slowest,
        picture=Picture.TABLE,
        example="otel-obs report slowest --kind stage",
    ),
    Report(
        name="traces",
        question="Which traces were there, by intent, domain, project, status and score?",
        parameters=(
            *_RUNS, _SYMBOL,
            Parameter(
                name="status", kind=Kind.TEXT, default="", choices=("complete", "failed"),
                doc="Only those that ended so; failed means by an error.",
            ),
            Parameter(
                name="quality", kind=Kind.TEXT, default="", choices=("passed", "failed"),
                doc="Only those that passed, or did not pass, their quality gate.",
            ),
            Parameter(name="min_score", kind=Kind.NUMBER, default="", doc="Only those scored this or more."),
            Parameter(name="max_score", kind=Kind.NUMBER, default="", doc="Only those scored this or less."),
            _LIMIT,
        ),
        row=rows.TraceLine,
        shape=traces.traces,
        picture=Picture.TABLE,
        example="otel-obs report traces --from -7d --intent validating --max-score 2",
    ),
    Report(
        name="trace",
        question="What happened in one trace, as a tree with times?",
        parameters=(Parameter(name="id", kind=Kind.TEXT, position=True, doc="The trace id."), _TZ),
        row=rows.Span,
        shape=traces.trace,
        picture=Picture.TREE,
        example="otel-obs report trace 46ba668494c05cab9846e039e0a15f64",
    ),
    Report(
        name="scorecard",
        question="What is worth saying of one trace: quality, decisions, stages, cost?",
        parameters=(
            Parameter(name="id", kind=Kind.TEXT, position=True, doc="The trace's id, or its unique beginning."),
            Parameter(
                name="form", kind=Kind.TEXT, default="compact", choices=tuple(form.value for form in Form),
                doc="How much of it is said, and how.",
            ),
            _TZ,
        ),
        row=rows.Said,
        answers=Scorecard,
        shape=traces.scorecard,
        picture=Picture.CARD,
        example="otel-obs report scorecard 46ba6684 --form verbose",
        derive=_alone,
    ),
    Report(
        name="compare",
        question="What do two traces say differently: quality, cost, stages, decisions, gates, principles?",
        parameters=(
            Parameter(name="a", kind=Kind.TEXT, position=True, doc="One trace's id, or its unique beginning."),
            Parameter(name="b", kind=Kind.TEXT, position=True, doc="The other's."),
            _TZ,
        ),
        row=rows.Said,
        answers=rows.Difference,
        shape=traces.compare,
        picture=Picture.TABLE,
        example="otel-obs report compare 46ba6684 9d01c7e2",
        sql="scorecard",
        derive=_both,
    ),
    Report(
        name="gate-failures",
        question="Which runs did not pass their quality gate, and what fell short?",
        parameters=(*_RUNS, _LIMIT),
        row=rows.TraceLine,
        shape=traces.gate_failures,
        picture=Picture.TABLE,
        example="otel-obs report gate-failures --from -7d --domain edtech",
    ),
    Report(
        name="principles",
        question="Which principles fall short most often?",
        parameters=(
            *_RUNS,
            Parameter(
                name="min_runs", kind=Kind.COUNT, default="3", doc="Only those judged in so many traces or more."
            ),
        ),
        row=rows.Principle,
        shape=traces.principles,
        picture=Picture.BARS,
        example="otel-obs report principles --from -30d --min-runs 5",
    ),
    Report(
        name="freshness",
        question="How fresh was what each source gave, how long was it silent, and was it connected?",
        parameters=(
            *(_FROM, _TO, _TZ, _SERVICE),
            Parameter(name="source", kind=Kind.TEXT, default="", doc="Only this source."),
        ),
        row=rows.Freshness,
        shape=health.freshness,
        picture=Picture.TABLE,
        example="otel-obs report freshness --from -2h --service my-bot",
    ),
    Report(
        name="delivery",
        question="Where are the records that were produced, was any lost, and does the ledger add up?",
        parameters=(
            *(_FROM, _TO, _TZ, _SERVICE),
            Parameter(name="instance", kind=Kind.TEXT, default="", doc="Only this process (service.instance.id)."),
            Parameter(
                name="tier", kind=Kind.TEXT, default="", choices=tuple(tier.value for tier in Tier),
                doc="Only records of this tier.",
            ),
            Parameter(
                name="gaps", kind=Kind.COUNT, default="10", doc="At most so many ranges of missing numbers of each."
            ),
        ),
        row=rows.Delivery,
        shape=delivery.delivery,
        picture=Picture.LEDGER,
        example="otel-obs report delivery --from -1h --service my-bot",
    ),
)  # fmt: skip


def report(name: str) -> Report[Any]:
    """Return the report called ``name``.

    Raises:
        QuestionError: there is none; the nearest name is told.

    """
    for row in REPORTS:
        if row.name == name:
            return row
    raise QuestionError(f"There is no report {name!r}.", fix=nearest(name, [row.name for row in REPORTS]))
