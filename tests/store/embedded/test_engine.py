"""The engine's connections: what one statement did or left behind is nothing to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from otel_obs.errors import QueryError
from otel_obs.store.embedded.engine import Engine
from otel_obs.store.embedded.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

FAILS_LATE = "SELECT number, throwIf(number = 300000) FROM numbers(400000) SETTINGS max_block_size = 1000"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = Engine(tmp_path_factory.mktemp("engine"), limits=Limits(queries=1))
    yield engine
    engine.close()


@pytest.mark.parametrize("form", ["TabSeparatedWithNames", "JSON", "Native"])
def test_what_a_failed_statement_had_written_is_not_in_the_next_answer(engine: Engine, form: str) -> None:
    with pytest.raises(QueryError) as caught:
        engine.read(FAILS_LATE, form)
    assert caught.value.code == 395
    assert engine.read("SELECT 42") == b"42\n"
    with pytest.raises(QueryError):
        engine.write(FAILS_LATE, form)
    assert engine.write("SELECT 42", "TabSeparated") == b"42\n"
    with pytest.raises(QueryError):
        list(engine.stream(FAILS_LATE, form))
    assert b"".join(engine.stream("SELECT 42", "TabSeparated")) == b"42\n"


def test_a_stream_that_is_given_up_leaves_nothing_to_the_next_answer(engine: Engine) -> None:
    stream = engine.stream("SELECT number FROM numbers(10000000)", "TabSeparated")
    assert next(iter(stream)).startswith(b"0\n")
    stream.close()  # type: ignore[attr-defined]
    assert engine.read("SELECT 42") == b"42\n"


def test_settings_and_database_of_one_statement_are_not_the_next_one_s(engine: Engine) -> None:
    asked = "SELECT getSetting('max_threads') = {n:UInt8}, currentDatabase()"
    assert engine.read(asked, params={"n": "7"}, settings={"max_threads": "7"}, database="system") == b"1\tsystem\n"
    assert engine.read(asked, params={"n": "7"}) == b"0\totel\n"
    with pytest.raises(QueryError):
        engine.read("SELECT 1", settings={"max_threads": "many"})
    assert engine.read("SELECT getSetting('async_insert')", settings={"async_insert": "1"}) == b"true\n"
    assert engine.read("SELECT getSetting('async_insert')") == b"false\n"
