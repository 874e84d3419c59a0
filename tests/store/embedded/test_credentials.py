"""Who comes in: by which words, with which password, and what is told to whom does not."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from otel_obs.errors import SettingError, StoreError
from otel_obs.settings import resolve
from otel_obs.store.client import connect
from otel_obs.store.embedded.credentials import Credentials, User, is_loopback
from otel_obs.store.embedded.server import Access

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD, READERS = "pass word:ü%", "readers' own"
CREDENTIALS = Credentials(password=PASSWORD, reader_password=READERS)


@pytest.fixture(scope="module")
def closed(front) -> Iterator:
    """The same store, with passwords."""
    with front.another(credentials=CREDENTIALS) as another:
        yield another


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


@pytest.mark.parametrize(("name", "password"), [("default", PASSWORD), ("reader", READERS), ("reader", PASSWORD)])
def test_a_user_is_named_in_each_of_clickhouses_ways(closed, name: str, password: str) -> None:
    latin = password.encode().decode("latin-1")
    for answer in (
        closed.ask("SELECT 1", headers=basic(name, password)),
        closed.ask("SELECT 1", headers={"X-ClickHouse-User": name, "X-ClickHouse-Key": password}),
        closed.ask("SELECT 1", headers={"X-ClickHouse-User": name, "X-ClickHouse-Key": latin}),
        closed.ask("SELECT 1", user=name, password=password),
    ):
        assert (answer.status, answer.text) == (200, "1\n")


def test_without_a_name_it_is_default(closed) -> None:
    assert closed.ask("SELECT currentRoles()", password=PASSWORD).text == "['client']\n"
    assert closed.ask("SELECT currentRoles()", user="reader", password=READERS).text == "['reader']\n"


@pytest.mark.parametrize(
    ("params", "headers"),
    [
        ({}, {}),
        ({"user": "default"}, {}),
        ({"user": "default", "password": READERS}, {}),
        ({"user": "default", "password": PASSWORD + " "}, {}),
        ({"user": "reader", "password": ""}, {}),
        ({"user": "root", "password": PASSWORD}, {}),
        ({"user": "default", "password": PASSWORD}, basic("default", PASSWORD)),
        ({}, {"Authorization": "Bearer x"}),
        ({}, {"Authorization": "Basic !"}),
        ({}, basic("default", "wrong")),
        ({}, {"X-ClickHouse-Key": "wrong"}),
    ],
)
def test_who_is_wrong_is_refused_in_clickhouses_words_without_his_password(closed, params, headers) -> None:
    answer = closed.ask("SELECT 1", headers=headers, **params)
    assert answer.error == (403, 516)
    assert answer.text.startswith("Code: 516. DB::Exception: ")
    for secret in (PASSWORD, READERS, "wrong"):
        assert secret not in answer.text


def test_without_passwords_both_users_come_in_and_others_do_not(front) -> None:
    assert front.ask("SELECT 1", user="reader").text == front.ask("SELECT 1", user="default", password="any").text
    assert front.ask("SELECT 1", user="root").error == (403, 516)
    assert front.ask("CREATE DATABASE x", user="reader").error == (403, 164)


def test_health_needs_no_password(closed) -> None:
    assert closed.ask(method="GET", path="/ping").text == "Ok.\n"


def test_clickhouse_connect_comes_in_and_says_clearly_why_not(closed) -> None:
    for name, password in (("default", PASSWORD), ("reader", READERS)):
        client = clickhouse_connect.get_client(
            host="127.0.0.1", port=closed.port, username=name, password=password, database="otel"
        )
        assert client.query("SELECT 1").result_rows == [(1,)]
        if name == "reader":
            with pytest.raises(DatabaseError, match="The user reader may SELECT"):
                client.command("CREATE TABLE x (a Int8) ENGINE = Memory")
        client.close()
    with pytest.raises(DatabaseError, match="password is incorrect") as refused:
        clickhouse_connect.get_client(host="127.0.0.1", port=closed.port, username="default", password="s3cret")
    assert refused.value.code == 516
    assert "s3cret" not in str(refused.value)


def test_our_client_takes_user_and_password_from_the_url_or_the_environment(
    closed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = f"127.0.0.1:{closed.port}"
    quoted = "pass%20word%3A%C3%BC%25"
    with pytest.raises(StoreError, match="OTEL_OBS_PASSWORD_FILE") as refused:
        connect(f"http://default:{quoted}wrong@{place}")
    assert "wrong" not in str(refused.value)
    connect(f"http://default:{quoted}@{place}").close()
    (tmp_path / "secret").write_text(f"{READERS}\nnot this\n")
    monkeypatch.setenv("OTEL_OBS_USER", "reader")
    monkeypatch.setenv("OTEL_OBS_READER_PASSWORD_FILE", str(tmp_path / "secret"))
    client = connect(f"http://{place}")
    assert client.query("SELECT currentRoles()").result_rows == [(["reader"],)]
    client.close()
    monkeypatch.setenv("OTEL_OBS_PASSWORD", PASSWORD)
    client = connect(f"http://default@{place}")
    assert client.query("SELECT currentRoles()").result_rows == [(["client"],)]
    client.close()


def test_a_password_comes_from_a_file_and_is_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{PASSWORD}\r\n")
    settings = resolve({"OTEL_OBS_PASSWORD_FILE": str(file)})
    assert settings.store_password == PASSWORD
    assert PASSWORD not in repr(settings)
    assert PASSWORD not in repr(Credentials(password=PASSWORD))
    file.write_text("\n")
    with pytest.raises(SettingError, match="empty first line"):
        resolve({"OTEL_OBS_PASSWORD_FILE": str(file)})
    with pytest.raises(SettingError, match="nowhere"):
        resolve({"OTEL_OBS_PASSWORD_FILE": str(tmp_path / "nowhere")})


def test_other_machines_are_let_in_by_password_only() -> None:
    for host in ("0.0.0.0", "::", "192.168.1.5", "store.internal"):
        assert not is_loopback(host)
        with pytest.raises(SettingError, match="--password-file"):
            Access(host=host)
        Access(host=host, credentials=CREDENTIALS)
    for host in ("127.0.0.1", "127.1.2.3", "::1", "localhost"):
        Access(host=host)


def test_a_password_of_the_reader_alone_protects_nothing_and_is_refused() -> None:
    with pytest.raises(SettingError, match="--password-file"):
        Credentials(reader_password=READERS)
    assert Credentials(password=PASSWORD).user("reader", PASSWORD) is User.READER
