"""ClickHouse's HTTP interface over the embedded engine: bodies in, statements run, answers out piece by piece."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from anyio import from_thread, to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse

from otel_obs.errors import QueryError
from otel_obs.store.embedded.clickhouse_answer import hello, messages, refusal, taken
from otel_obs.store.embedded.clickhouse_forbidden import check_parameters, check_values, may_hold_a_name
from otel_obs.store.embedded.clickhouse_frames import bounded, too_large, uncompressed, unframed
from otel_obs.store.embedded.clickhouse_request import Call, parameters
from otel_obs.store.embedded.clickhouse_statements import SYNTAX_ERROR, Insert, Kind, Statement, examine, tokens
from otel_obs.store.embedded.credentials import NO_PASSWORDS, Credentials, User, who_asks
from otel_obs.store.embedded.rights import Rights

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from otel_obs.store.embedded.engine import Engine

READONLY: Final = 164

_HEALTH: Final = frozenset({"/ping", "/replicas_status"})
_MIB: Final = 1 << 20
_LONGEST_STATEMENT: Final = 4 * _MIB
_IN_MEMORY: Final = 8 * _MIB
_ASK_AGAIN_SECONDS: Final = 0.5

# The formats of which the engine's pieces, put together, are the whole. Of all others each piece is a document.
_ADDABLE: Final = frozenset(
    {
        "csv",
        "jsoncompacteachrow",
        "jsoncompactstringseachrow",
        "jsoneachrow",
        "jsonlines",
        "jsonstringseachrow",
        "lineasstring",
        "msgpack",
        "native",
        "ndjson",
        "rowbinary",
        "tabseparated",
        "tabseparatedraw",
        "tskv",
        "tsv",
        "tsvraw",
    }
)
# With these an answer ends in something that the engine's pieces leave out.
_MORE_THAN_ROWS: Final = frozenset({"TOTALS", "EXTREMES", "OUTPUT_FORMAT_JSON_ARRAY_OF_ROWS"})
_HELLO: Final = "SELECT displayName(), version(), revision(), timezone()"
_HELLO_PROTOCOL: Final = 54454


def application(
    engine: Engine,
    *,
    credentials: Credentials = NO_PASSWORDS,
    spool: Path | None = None,
    limit: int = 256 * _MIB,
) -> ASGIApp:
    """ClickHouse's HTTP interface over ``engine``, for whom ``credentials`` let in.

    ``spool`` is the directory of temporary files (default: the system's); ``limit`` bounds a request's body, in bytes,
    packed and unpacked.
    """
    return _Interface(engine, credentials, spool=spool, limit=limit)


class _Run:
    """One request in its worker thread, as the event loop and that thread see it."""

    def __init__(self) -> None:
        self.unwanted = threading.Event()
        self.ended = threading.Event()


class _Interface:
    def __init__(self, engine: Engine, credentials: Credentials, *, spool: Path | None, limit: int) -> None:
        self._engine = engine
        self._credentials = credentials
        self._spool = None if spool is None else str(spool)
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/":
            with suppress(ClientDisconnect):
                await self._converse(Request(scope, receive), receive, send)
        elif scope["path"] in _HEALTH:
            await PlainTextResponse("Ok.\n")(scope, receive, send)
        else:
            unknown = PlainTextResponse("Statements go to /, health checks to /ping.\n", status_code=404)
            await unknown(scope, receive, send)

    async def _converse(self, request: Request, receive: Receive, send: Send) -> None:
        call = Call.of(request)
        with tempfile.SpooledTemporaryFile(max_size=_MIB, dir=self._spool) as body:
            try:
                call = replace(call, rights=self._rights(request))
                await self._take(request, body)
            except QueryError as error:
                for message in refusal(call, error):
                    await send(message)
                return
            run = _Run()
            tell = _from_thread(send, self._engine.limits.send_seconds)
            work = asyncio.ensure_future(to_thread.run_sync(self._respond, call, body, tell, run))
            await self._watch(work, receive, call, run)

    def _rights(self, request: Request) -> Rights:
        user = who_asks(request.headers, parameters(request), self._credentials)
        return Rights.CLIENT if user is User.DEFAULT else Rights.READER

    async def _take(self, request: Request, body: IO[bytes]) -> None:
        size = 0
        async for piece in request.stream():
            size += len(piece)
            if size > self._limit:
                raise too_large(self._limit)
            body.write(piece)
        body.seek(0)

    async def _watch(self, work: asyncio.Future[None], receive: Receive, call: Call, run: _Run) -> None:
        """Wait for ``work``; when the client goes away, or this server, end its SELECT."""
        leaving = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait({work, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            if not work.done():
                run.unwanted.set()
                threading.Thread(target=self._end, args=[call, run], name=f"ending {call.tag}", daemon=True).start()
        await work

    def _end(self, call: Call, run: _Run) -> None:
        with suppress(QueryError):  # the engine is closed: nothing runs
            while not run.ended.is_set():
                self._engine.stop(call.tag)
                run.ended.wait(_ASK_AGAIN_SECONDS)  # it may wait for a reader, and begin later

    def _respond(self, call: Call, body: IO[bytes], tell: Callable[[Message], None], run: _Run) -> None:
        asked = call
        try:
            asked, pieces = self._unpacked(call, body)
            form, answer = self._perform(asked, pieces)
            with closing(answer):
                for message in messages(asked, form, answer):
                    if run.unwanted.is_set():
                        return
                    tell(message)
        except QueryError as error:
            for message in refusal(asked, error):
                tell(message)
        except TimeoutError as error:
            raise ClientDisconnect from error
        finally:
            run.ended.set()

    def _unpacked(self, call: Call, body: IO[bytes]) -> tuple[Call, Iterator[bytes]]:
        """The call as its body completes it, and what else the body holds."""
        pieces = uncompressed(_read(body), call.encoding)
        if call.decompress:
            pieces = unframed(pieces, self._limit)
        pieces = bounded(pieces, self._limit)
        if call.is_form:
            call, pieces = call.with_form(b"".join(pieces)), iter(())
        if call.query:
            pieces = chain([_encoded(call.query.rstrip() + "\n")], pieces)
        return call, pieces

    def _perform(self, call: Call, pieces: Iterator[bytes]) -> tuple[str, Generator[bytes]]:
        """The format of the answer (empty: none) and the answer; all but a SELECT is done on return."""
        head, complete = taken(pieces, _LONGEST_STATEMENT)
        text = head.decode("utf-8", "surrogateescape")
        statement = examine(text)
        if isinstance(statement, Insert):
            _refuse_if_read_only(call)
            self._insert(call, statement, chain([_encoded(text[statement.data_at :])], pieces))
            return "", _only(b"")
        if not complete:
            raise QueryError(f"The statement is longer than {_LONGEST_STATEMENT} bytes.", code=SYNTAX_ERROR)
        return self._execute(call, statement)

    def _insert(self, call: Call, insert: Insert, rows: Iterable[bytes]) -> None:
        with tempfile.NamedTemporaryFile(dir=self._spool, suffix=".rows") as file:
            suspect = False
            for piece in rows:
                suspect = suspect or (insert.form.lower() == "values" and may_hold_a_name(piece))
                file.write(piece)
            file.flush()
            if suspect:
                check_values(tokens(Path(file.name).read_text(encoding="utf-8", errors="surrogateescape")))
            if file.tell():
                self._engine.write_for_client(_utf8(insert.from_infile(file.name)), **call.given)

    def _execute(self, call: Call, statement: Statement) -> tuple[str, Generator[bytes]]:
        form = call.format_of_answer(statement.form)
        check_parameters(statement.words, call.params)
        if statement.kind is Kind.SELECT:
            return form, self._select(call, statement, form)
        if statement.kind is Kind.SESSION:
            return "", _only(b"")
        if statement.kind is Kind.EMPTY:
            if not call.read_only:
                raise QueryError("Empty query.", code=SYNTAX_ERROR)
            return "", _only(b"Ok.\n")
        if statement.kind is Kind.LISTING:
            answer = self._engine.read(_utf8(statement.text), form, **call.given, rights=call.rights)
        else:
            _refuse_if_read_only(call)
            answer = self._engine.write_for_client(_utf8(statement.text), form, **call.given)
        return form, _only(answer)

    def _select(self, call: Call, statement: Statement, form: str) -> Generator[bytes]:
        if form == "Native" and call.protocol >= _HELLO_PROTOCOL and statement.text.strip() == _HELLO:
            names = self._engine.read("SELECT displayName(), version(), timezone()").decode()
            yield hello(*names.rstrip("\n").split("\t"))
        elif form.lower() in _ADDABLE and not _MORE_THAN_ROWS & (statement.words | _upper(call.settings)):
            pieces = self._engine.stream(_tagged(statement.text, call), form, **call.given, rights=call.rights)
            yield from self._to_the_end(pieces) if call.wait_end_of_query else pieces
        else:
            yield from self._through_file(call, statement, form)

    def _to_the_end(self, pieces: Iterable[bytes]) -> Generator[bytes]:
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY, dir=self._spool) as file:
            file.writelines(pieces)
            file.seek(0)
            yield from _read(file)

    def _through_file(self, call: Call, statement: Statement, form: str) -> Generator[bytes]:
        """An answer that is one document, however large: the engine writes it to a file of ours."""
        with tempfile.TemporaryDirectory(dir=self._spool) as directory:
            path = Path(directory, "answer")
            written = _tagged(statement.into_outfile(str(path), form), call)
            self._engine.read(written, "Null", **call.given, rights=call.rights)
            with path.open("rb") as file:
                yield from _read(file)


def _from_thread(send: Send, patience: float) -> Callable[[Message], None]:
    async def tell(message: Message) -> None:
        async with asyncio.timeout(patience):  # a client that stops reading would hold a connection for ever
            await send(message)

    return lambda message: from_thread.run(tell, message)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _refuse_if_read_only(call: Call) -> None:
    if call.rights is Rights.READER:
        raise QueryError(
            "The user reader may SELECT, SHOW, DESCRIBE, EXPLAIN and ask EXISTS: nothing else.",
            code=READONLY,
            fix="Ask as default to change something.",
        )
    if call.read_only:
        raise QueryError(
            "Cannot change anything in a request with GET or readonly.", code=READONLY, fix="Send it with POST."
        )


def _tagged(sql: str, call: Call) -> str:
    return _utf8(f"{sql}\n/* {call.tag} */")


def _utf8(sql: str) -> str:
    try:
        sql.encode()
    except UnicodeEncodeError as error:
        raise QueryError("The statement is not UTF-8.", code=SYNTAX_ERROR) from error
    return sql


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _upper(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.upper() for name in names)


def _read(file: IO[bytes]) -> Iterator[bytes]:
    return iter(partial(file.read, _MIB), b"")


def _only(piece: bytes) -> Generator[bytes]:
    yield piece
