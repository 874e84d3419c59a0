"""Pieces that expressions and annotations are made of. `<bots>` stands for the bots that a group of rules is about."""

from __future__ import annotations

from typing import Final

from otel_obs.contract import health_metrics as metrics
from otel_obs.contract.outcome import Outcome

CANDIDATES: Final = f"{Outcome.VETOED}|{Outcome.EXECUTED}|{Outcome.FAILED}"
_CANDIDATE: Final = f'outcome=~"{CANDIDATES}"'

# Series of one bot, by the labels that every target has; `$of` is set by AT.
WHO: Final = "{{ or $labels.service $labels.instance }}"
AT: Final = '{{ $of := printf "job=%q,instance=%q,service=%q" $labels.job $labels.instance $labels.service }}'
SERVICE: Final = "{{ with $labels.service }} --service {{ . }}{{ end }}"
SOURCE: Final = '{{ if match "^[A-Za-z0-9_:.@/-]+$" $labels.source }} --source {{ $labels.source }}{{ end }}'
AGE: Final = "{{ $value | humanizeDuration }}"


def of(metric: metrics.Metric, *matchers: str) -> str:
    """The metric of the bots in question."""
    return f"{metric.name}{{{','.join(('<bots>', *matchers))}}}"


def record(name: str) -> str:
    """A recorded series of the bots in question."""
    return f"{name}{{<bots>}}"


def increase(metric: metrics.Metric, window: str, *matchers: str, without: str) -> str:
    """What a counter grew by within ``window`` (a threshold, maybe with `offset`), its own labels added up."""
    span, _, offset = window.partition(" ")
    return f"sum without ({without}) (increase({of(metric, *matchers)}[{span}]{' ' + offset if offset else ''}))"


def _counted(series: str, started: str, window: str) -> str:
    """What ``series`` grew by within ``window``, exactly: `increase` makes 5.1 of 5, and sees no first count.

    A series that appeared within the window began at 0, if its bot was known before, or began within it itself.
    """
    known = f"({started} offset {window} or {started} > time() - {window.replace('>', ':s>')})"
    before = f"{series} offset {window} or {series} * 0 and on (job, instance) {known}"
    return f"({series} - ({before}) unless resets({series}[{window}]) > 0) or increase({series}[{window}])"


def counted(metric: metrics.Metric, window: str, *matchers: str) -> str:
    """What a counter of the bots in question grew by within ``window``, as a whole number but after a restart."""
    return _counted(of(metric, *matchers), of(metrics.STARTED), window)


def counted_of(metric: metrics.Metric, window: str, *matchers: str) -> str:
    """The same of the one bot that an annotation is about; for ``asked``."""
    bot = "%[1]s"
    return _counted(f"{metric.name}{{{','.join((bot, *matchers))}}}", f"{metrics.STARTED.name}{{{bot}}}", window)


def most(metric: metrics.Metric, label: str, window: str, *matchers: str) -> str:
    """The three largest of a counter's series of one bot, the largest first; for ``asked``."""
    return f"sort_desc(topk(3, sum by ({label}) ({counted_of(metric, window, *matchers)}) > 0.5))"


def vetoed(window: str) -> str:
    """Vetoes within ``window``."""
    return increase(metrics.DECISIONS, window, f'outcome="{Outcome.VETOED}"', without="outcome")


def candidates(window: str) -> str:
    """Decisions that count in the rejection rate."""
    return increase(metrics.DECISIONS, window, _CANDIDATE, without="outcome")


def known_for(metric: metrics.Metric, window: str, *matchers: str, without: str = "") -> str:
    """That the series was there before ``window`` began: only then has the window filled."""
    known = f"present_over_time({of(metric, *matchers)}[{window}] offset {window})"
    return f"count without ({without}) ({known})" if without else known


def open_for(window: str, *, beside: str = "") -> str:
    """Clauses: the market is open, and was for ``window``; ``beside`` are labels that a bot's hours do not have."""
    which = f"ignoring ({beside}) " if beside else ""
    return (
        f"unless {which}{of(metrics.TRADING_OPEN)} == 0\n"
        f"unless {which}{of(metrics.TRADING_OPENED)} > time() - {window.replace('>', ':s>')}"
    )


def asked(expression: str, *arguments: str) -> str:
    """A query within an annotation, evaluated when the alert is; ``%s`` is the bot, further ones are ``arguments``."""
    return f"printf `{expression}` {' '.join(('$of', *arguments))} | query"


def told(metric: metrics.Metric, label: str, window: str, *matchers: str) -> str:
    """What most of a count are, within an annotation: `exchange 40, TimeoutError 3`."""
    return (
        f"{AT}{{{{ range $i, $one := {asked(most(metric, label, window, *matchers))} }}}}{{{{ if $i }}}}, {{{{ end }}}}"
        f'{{{{ $one.Labels.{label} }}}} {{{{ $one.Value | printf "%.0f" }}}}{{{{ end }}}}'
    )


def hours(expression: str, *arguments: str) -> str:
    """What is known of trading hours, within an annotation: they may not be."""
    return (
        f"{{{{ if {asked(expression, *arguments)} }}}}its market is open"
        "{{ else }}its market's hours are not known{{ end }}"
    )


def number(expression: str, *arguments: str, form: str = "%.0f") -> str:
    """The first value of a query within an annotation."""
    return f'{{{{ with {asked(expression, *arguments)} }}}}{{{{ . | first | value | printf "{form}" }}}}{{{{ end }}}}'


def candidates_told(window: str) -> str:
    """The number of candidates, within an annotation."""
    return number(f"sum({counted_of(metrics.DECISIONS, window, _CANDIDATE)})")


# What the gate called $gate saw last against which limit: `; last observed 16.7 bps, allowed at most 5 bps`.
_UNIT: Final = (
    '{{ $unit := "" }}'
    f"{{{{ with {asked(metrics.GATE_INFO.name + '{%s,gate=%q}', '$gate')} }}}}"
    '{{ with . | first | label "unit" }}{{ $unit = printf " %s" . }}{{ end }}{{ end }}'
)
LAST_SEEN: Final = (
    _UNIT + f"{{{{ with {asked(metrics.OBSERVED.name + '{%s,gate=%q}', '$gate')} }}}}"
    '; last observed {{ . | first | value | printf "%.6g" }}{{ $unit }}'
    f"{{{{ with {asked(metrics.THRESHOLD.name + '{%s,gate=%q}', '$gate')} }}}}, allowed"
    '{{ range $i, $limit := . | sortByLabel "bound" }}{{ if $i }} and{{ end }}'
    '{{ if eq $limit.Labels.bound "upper" }} at most{{ else if eq $limit.Labels.bound "lower" }} at least'
    '{{ else if eq $limit.Labels.bound "equal" }} exactly{{ else }} by the bot\'s own verdict, limit{{ end }}'
    ' {{ $limit.Value | printf "%.6g" }}{{ $unit }}{{ end }}{{ end }}{{ end }}'
)


def gates(window: str) -> str:
    """Which gates denied first: `spread_guard denied 28 of 30; last observed 16.7 bps, allowed at most 5 bps`."""
    vetoes = asked(most(metrics.VETOES, "gate", window))
    return (
        f"{AT}{{{{ range $i, $veto := {vetoes} }}}}{{{{ $gate := $veto.Labels.gate }}}}"
        '{{ if $i }}. {{ end }}{{ $gate }} denied {{ $veto.Value | printf "%.0f" }} of '
        f"{candidates_told(window)}{LAST_SEEN}{{{{ end }}}}"
    )


def at_least(expression: str, least: str) -> str:
    """No less than a threshold that is a length of time."""
    return f"clamp_min({expression}, <{least}:s>)"
