"""What the migrations' statements become on a cluster: replicated tables of each shard, and one over all shards."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from otel_obs.errors import SchemaError
from otel_obs.store.client import DATABASE
from otel_obs.store.embedded.clickhouse_statements import string, tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otel_obs.store.embedded.clickhouse_statements import Token

LOCAL: Final = "_local"
HISTORY: Final = "schema_migrations"

_BY_TRACE: Final = "cityHash64(trace_id)"
_BY_RECORD: Final = "cityHash64(service, timestamp)"
_BY_SERIES: Final = "cityHash64(ServiceName, MetricName)"
# A repeated row collapses only where its copies meet: on one shard. So a row's shard follows from what the sender
# fixed, and a typed row is where a raw one with equal values would put it.
SHARDED_BY: Final = {
    "otel_traces": "cityHash64(TraceId)",
    "otel_traces_trace_id_ts": "cityHash64(TraceId)",
    "decisions": _BY_TRACE,
    "gates": _BY_TRACE,
    "traces": _BY_TRACE,
    "stages": _BY_TRACE,
    "otel_logs": "cityHash64(ServiceName, Timestamp)",
    "orders": _BY_RECORD,
    "fills": _BY_RECORD,
    "health_snapshots": _BY_RECORD,
    "delivery": _BY_RECORD,
    "delivered_numbers": "cityHash64(service, instance, tier, chunk)",
    "otel_metrics_gauge": _BY_SERIES,
    "otel_metrics_sum": _BY_SERIES,
    "otel_metrics_histogram": _BY_SERIES,
    "otel_metrics_exponential_histogram": _BY_SERIES,
    "otel_metrics_summary": _BY_SERIES,
}

_ENGINE: Final = "ReplacingMergeTree"
_ENGINES: Final = frozenset({_ENGINE, "AggregatingMergeTree"})
_OF_SHARD: Final = "'/clickhouse/tables/{shard}/{database}/{table}', '{replica}'"
# Not of a shard: every server has all of it, and a replica's name may be used again in another shard.
ALL_SHARDS: Final = "/clickhouse/tables/all_shards/"
_OF_ALL: Final = f"'{ALL_SHARDS}{{database}}/{{table}}', '{{shard}}_{{replica}}'"
# What waits to be passed on to another shard was acknowledged: it survives the server that took it.
_KEPT: Final = "SETTINGS fsync_after_insert = 1, fsync_directories = 1"
# Else a replica leaves out a block that it has seen, and its views with it: what a killed server had stored raw would
# never become a decision when it is sent again. Repeated rows collapse by their keys.
_TAKES_REPEATS: Final = "replicated_deduplication_window = 0, replicated_deduplication_window_for_async_inserts = 0"
_ADDED_TO_BOTH: Final = frozenset({("ADD", "COLUMN")})
_OF_STORAGE: Final = frozenset({("ADD", "INDEX"), ("MODIFY", "TTL"), ("MODIFY", "SETTING")})
_TAKING_FROM: Final = frozenset({"TRIM", "EXTRACT", "SUBSTRING"})


@dataclass(frozen=True, slots=True)
class _Edit:
    start: int
    end: int
    text: str


class _Reading:
    """The tokens of one statement, taken from its start."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: Sequence[Token] = [token for token in tokens(text) if token.text != ";"]
        self.at = 0

    def take(self, *words: str) -> bool:
        """Go past these words, if they come next."""
        found = tuple(token.word for token in self.tokens[self.at : self.at + len(words)])
        if found != words:
            return False
        self.at += len(words)
        return True

    def name(self) -> Token:
        """Go past the name that comes next, which names no database."""
        if self.at + 1 >= len(self.tokens) or not self.tokens[self.at].word or self.tokens[self.at + 1].text == ".":
            raise self.refusal("a plain name is wanted where it goes on")
        self.at += 1
        return self.tokens[self.at - 1]

    def refusal(self, why: str) -> SchemaError:
        """The error for a statement that has no meaning on a cluster yet."""
        return SchemaError(
            f"A migration has no form for a cluster: {why}, in {' '.join(self.text.split())[:90]!r}.",
            fix="Write it as an earlier migration does, or teach otel_obs/store/cluster.py that kind of statement.",
        )

    def edited(self, edits: Sequence[_Edit]) -> str:
        """The statement with some of its pieces replaced."""
        pieces, at = [], 0
        for edit in sorted(edits, key=lambda edit: edit.start):
            pieces += [self.text[at : edit.start], edit.text]
            at = edit.end
        return "".join([*pieces, self.text[at:]])


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A cluster by the name that its servers know it by."""

    name: str

    def first(self) -> list[str]:
        """Create the database, and the history of migrations on every server."""
        history = (
            f"CREATE TABLE IF NOT EXISTS {DATABASE}.{HISTORY} {self._everywhere}\n(\n    version UInt32,\n"
            "    name String,\n    sha256 String,\n    applied_at DateTime('UTC') DEFAULT now('UTC')\n)\n"
            f"ENGINE = Replicated{_ENGINE}({_OF_ALL})\nORDER BY version"
        )
        return [f"CREATE DATABASE IF NOT EXISTS {DATABASE} {self._everywhere} ENGINE = Atomic", history]

    def statements(self, text: str) -> list[str]:
        """Say a migration's statement for this cluster, as one or more.

        Raises:
            SchemaError: it is of a kind that has no form for a cluster yet.

        """
        reading = _Reading(text)
        kinds: tuple[tuple[tuple[str, ...], Callable[[_Reading], list[str]]], ...] = (
            (("CREATE", "TABLE", "IF", "NOT", "EXISTS"), self._table),
            (("CREATE", "MATERIALIZED", "VIEW", "IF", "NOT", "EXISTS"), self._view),
            (("ALTER", "TABLE"), self._change),
        )
        for words, kind in kinds:
            if reading.take(*words):
                return kind(reading)
        raise reading.refusal("it begins with other words than those that are known")

    @property
    def _everywhere(self) -> str:
        return f"ON CLUSTER {string(self.name)}"

    def _table(self, reading: _Reading) -> list[str]:
        name = reading.name()
        if name.text not in SHARDED_BY:
            raise reading.refusal(f"SHARDED_BY does not say on which shard a row of {name.text} belongs")
        if reading.tokens[reading.at].text != "(":
            raise reading.refusal("columns are wanted after the table's name")
        local = reading.edited([self._renamed(name), _replicated(reading), _settings(reading)])
        distributed = (
            f"CREATE TABLE IF NOT EXISTS {DATABASE}.{name.text} {self._everywhere} AS {_local(name)}\n"
            f"ENGINE = Distributed({string(self.name)}, {string(DATABASE)}, {string(name.text + LOCAL)}, "
            f"{SHARDED_BY[name.text]})\n{_KEPT}"
        )
        return [local, distributed]

    def _view(self, reading: _Reading) -> list[str]:
        name = reading.name()
        if not reading.take("TO"):
            raise reading.refusal("a view that keeps its rows itself (without TO)")
        target = reading.name()
        if target.text not in SHARDED_BY:
            raise reading.refusal(f"{target.text} is no table of ours")
        if not reading.take("AS"):
            raise reading.refusal("a view that says more than TO and AS")
        placed = _Edit(name.start, name.end, f"{DATABASE}.{name.text} {self._everywhere}")
        return [reading.edited([placed, _Edit(target.start, target.end, _local(target)), *_sources(reading)])]

    def _change(self, reading: _Reading) -> list[str]:
        name = reading.name()
        what = tuple(token.word for token in reading.tokens[reading.at : reading.at + 2])
        everywhere = _Edit(name.start, name.end, f"{DATABASE}.{name.text} {self._everywhere}")
        if what == ("MODIFY", "QUERY") and name.text not in SHARDED_BY:
            return [reading.edited([everywhere, *_sources(reading)])]
        if name.text not in SHARDED_BY:
            raise reading.refusal(f"{name.text} is no table of ours")
        if any(token.text == "," and token.depth == 0 for token in reading.tokens) and what != ("MODIFY", "TTL"):
            raise reading.refusal("several changes in one statement")
        if what in _ADDED_TO_BOTH:
            return [reading.edited([self._renamed(name)]), reading.edited([everywhere])]
        if what in _OF_STORAGE:
            return [reading.edited([self._renamed(name)])]
        raise reading.refusal(f"ALTER TABLE … {' '.join(what)}")

    def _renamed(self, name: Token) -> _Edit:
        return _Edit(name.start, name.end, f"{_local(name)} {self._everywhere}")


def _local(table: Token) -> str:
    return f"{DATABASE}.{table.text}{LOCAL}"


def _replicated(reading: _Reading) -> _Edit:
    """Put the place of a shard before what the engine is given."""
    for at, (word, mark) in enumerate(pairwise(reading.tokens)):
        if word.word == "ENGINE" and word.depth == 0 and mark.text == "=":
            engine, *rest = reading.tokens[at + 2 :]
            if engine.text not in _ENGINES:
                raise reading.refusal(f"the engine {engine.text}")
            has_arguments = bool(rest) and rest[0].text == "("
            opened = f"Replicated{engine.text}({_OF_SHARD}"
            end = rest[0].end if has_arguments else engine.end
            return _Edit(engine.start, end, f"{opened}, " if has_arguments else f"{opened})")
    raise reading.refusal("a table without an engine")


def _settings(reading: _Reading) -> _Edit:
    for token in reading.tokens:
        if token.word == "SETTINGS" and token.depth == 0:
            return _Edit(token.end, token.end, f" {_TAKES_REPEATS},")
    end = reading.tokens[-1].end
    return _Edit(end, end, f"\nSETTINGS {_TAKES_REPEATS}")


def _sources(reading: _Reading) -> list[_Edit]:
    """Let a view read the rows of its own shard; only what was put into a local table sets it going."""
    edits = []
    opened: list[str] = []
    before = ""
    rest = reading.tokens[reading.at :]
    for at, token in enumerate(rest):
        if token.text in {"(", "[", "{"}:
            opened.append(before)
        elif token.text in {")", "]", "}"}:
            opened.pop()
        elif token.word == "JOIN" and before != "ARRAY":
            raise reading.refusal("a view that joins, whose other side may be on another shard")
        elif token.word == "FROM" and not (opened and opened[-1] in _TAKING_FROM):
            source, *following = rest[at + 1 :]
            if source.text not in SHARDED_BY:
                raise reading.refusal(f"it reads {source.text}, which is no table of ours")
            if following and following[0].text == ",":
                raise reading.refusal("it reads a list of tables")
            edits.append(_Edit(source.start, source.end, _local(source)))
        before = token.word
    if len(edits) != 1:
        raise reading.refusal(f"it reads {len(edits)} tables, where a view reads one")
    return edits
