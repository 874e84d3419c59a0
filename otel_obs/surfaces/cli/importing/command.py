"""The command `otel-obs import`: what it asks, sends, and says."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from otel_obs import settings
from otel_obs.contract.tiers import Tier
from otel_obs.reports.answer import Answer
from otel_obs.sdk.exporter.by_hand import ByHand, UntakenError
from otel_obs.sdk.exporter.transport import connect
from otel_obs.sdk.journal import Entry
from otel_obs.sdk.ledger import Ledger
from otel_obs.sdk.otlp import encode_logs, encode_spans
from otel_obs.surfaces.cli import render
from otel_obs.surfaces.cli.exits import FAILED
from otel_obs.surfaces.cli.importing.files import Broken, documents, found

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from otel_obs.sdk.frames import Signal
    from otel_obs.sdk.otlp import LogRecord, SpanRecord

    R = TypeVar("R", SpanRecord, LogRecord)

_AT_ONCE: Final = 500  # records of one request
_MOST_BYTES: Final = 4 << 20  # of one request; receivers take more, and few take without end
_MOST_REASONS: Final = 5
_AGAIN: Final = "Importing again later changes nothing that is stored already."


@dataclass
class Imported:
    """What one run has read and sent. ``refused`` counts records that the receiver did not want."""

    endpoint: str
    dry_run: bool
    files: int = 0
    documents: int = 0
    spans: int = 0
    log_records: int = 0
    requests: int = 0
    refused: int = 0
    refusals: list[str] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)


@click.command(
    name="import",
    epilog="\b\nExamples:\n  otel-obs import traces/my-bot\n"
    "  otel-obs import traces/my-bot/2025-12-18.jsonl.gz --dry-run\n"
    "  ssh bot cat traces/my-bot/2025-12-19/*.json | otel-obs import -",
)
@click.argument("files", metavar="FILES...", nargs=-1, required=True)
@click.option("--endpoint", metavar="URL", help="Send here (OTEL_EXPORTER_OTLP_ENDPOINT; else http://127.0.0.1:4318).")
@click.option("--dry-run", is_flag=True, help="Read everything, send nothing.")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
@click.pass_context
def import_files(
    context: click.Context, files: Sequence[str], endpoint: str | None, *, dry_run: bool, as_json: bool
) -> None:
    """Send the traces in FILES, which OTEL_OBS_TRACE_FILES wrote, to the store.

    FILES are documents, packed days, directories of both, or - for what is piped in. What is stored already is not
    stored twice. A file that is broken is told of, and costs no other.
    """
    way = ByHand(connect(settings.resolve(enabled=True), endpoint=endpoint or ""))
    run = Imported(endpoint=way.place("traces"), dry_run=dry_run)
    sending = _Sending(way, run)
    names = found(files)
    with _bar(len(names)) as (tell, advance):
        for name in names:
            for one in documents(name):
                if isinstance(one, Broken):
                    run.broken.append(one)
                    tell(f"error: {one}")
                else:
                    run.documents += 1
                    sending.add(one.spans, one.logs)
            run.files += 1
            advance()
        sending.rest()
    way.close()
    if as_json:
        click.echo(render.as_json(_answer(run)))
    else:
        render.screen(_answer(run))
    if run.broken or run.refused:
        context.exit(FAILED)


class _Sending:
    """Gathers records into requests, and posts each."""

    def __init__(self, way: ByHand, run: Imported) -> None:
        self._way, self._run = way, run
        self._most_bytes = min(_MOST_BYTES, way.most_bytes)
        self._unnumbered = Ledger()
        self._spans: list[SpanRecord] = []
        self._logs: list[LogRecord] = []

    def add(self, spans: Sequence[SpanRecord], logs: Sequence[LogRecord]) -> None:
        self._spans += spans
        self._logs += logs
        if len(self._spans) + len(self._logs) >= _AT_ONCE:
            self.rest()

    def rest(self) -> None:
        """Post what is gathered."""
        spans, self._spans = self._spans, []
        logs, self._logs = self._logs, []
        self._send("traces", spans, encode_spans)
        self._send("logs", logs, encode_logs)
        self._run.spans += len(spans)
        self._run.log_records += len(logs)

    def _send(self, signal: Signal, records: list[R], encode: Callable[[list[R]], bytes]) -> None:
        """Post records; those that are too many at once by halves."""
        if self._run.dry_run or not records:
            return
        body = encode(records) if len(records) <= _AT_ONCE else b""
        if body and (len(body) <= self._most_bytes or len(records) == 1):
            self._post(signal, len(records), body)
            return
        middle = len(records) // 2
        self._send(signal, records[:middle], encode)
        self._send(signal, records[middle:], encode)

    def _post(self, signal: Signal, records: int, body: bytes) -> None:
        whole = Entry(
            signal=signal, tier=Tier.STANDARD, records=records, numbered=0, at_ns=0, size=len(body),
            ledger=self._unnumbered,
        )  # fmt: skip
        try:
            found = self._way.hand_over([(whole, body)])
        except UntakenError as error:
            sent = f"{self._run.spans} spans and {self._run.log_records} log records had been sent before."
            raise UntakenError(f"{error.what} {sent}", fix=f"{error.fix} {_AGAIN}") from error
        self._run.requests += 1
        for one in found:
            for frame, _, words in one.parts:
                self._refuse(frame.records, words)

    def _refuse(self, count: int, why: str) -> None:
        self._run.refused += count
        if why and why not in self._run.refusals and len(self._run.refusals) < _MOST_REASONS:
            self._run.refusals.append(why)


def _answer(run: Imported) -> Answer[Any]:
    what = f"{run.spans} spans and {run.log_records} log records from {run.documents} documents in {run.files} files"
    sentence = f"{what} would be sent; nothing was." if run.dry_run else f"{what} were sent to {run.endpoint}."
    if run.refused:
        sentence += f" {run.refused} of them were refused: {'; '.join(run.refusals)}."
    if run.broken:
        sentence += f" {len(run.broken)} could not be read."
    return Answer(sentence=sentence, data=asdict(run))


@contextmanager
def _bar(total: int) -> Iterator[tuple[Callable[[str], None], Callable[[], None]]]:
    """Files done, on a terminal; what is told stands above."""
    out = Console(stderr=True, highlight=False, soft_wrap=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
        task = bar.add_task("files", total=total)
        yield (
            lambda words: out.print(render.cell(words), markup=False),
            lambda: bar.advance(task),
        )
