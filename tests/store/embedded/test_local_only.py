"""Who reaches a port of this machine, and who does not."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from starlette.responses import PlainTextResponse

from otel_obs.store.embedded.local_only import LocalOnly

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.types import Message


def status(*headers: tuple[str, str], accept_hosts: Collection[str] = ()) -> int:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    sent: list[Message] = []
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
    }
    asyncio.run(LocalOnly(PlainTextResponse("Welcome."), accept_hosts=accept_hosts)(scope, receive, send))
    return sent[0]["status"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8123", "127.0.0.1:1", "[::1]", "[::1]:8123"])
def test_programs_of_this_machine_reach_the_port(host: str) -> None:
    assert status(("Host", host)) == 200


@pytest.mark.parametrize(
    "host", ["attacker.example", "localhost.attacker.example:80", "127.0.0.1.", "", ":8123", "::1"]
)
def test_a_foreign_host_name_is_refused(host: str) -> None:
    assert status(("Host", host)) == 403


def test_a_request_without_host_or_with_a_second_one_is_refused() -> None:
    assert status() == 403
    assert status(("Host", "localhost"), ("Host", "attacker.example")) == 403


@pytest.mark.parametrize(
    "header",
    [("Origin", "http://localhost"), ("Origin", "null"), ("Origin", ""), ("Sec-Fetch-Site", "cross-site")],
)
def test_a_page_in_the_users_browser_is_refused(header: tuple[str, str]) -> None:
    assert status(("Host", "localhost"), header) == 403


def test_an_address_typed_by_the_user_is_answered() -> None:
    assert status(("Host", "localhost"), ("Sec-Fetch-Site", "none")) == 200


def test_a_further_name_of_the_port_may_be_accepted() -> None:
    assert status(("Host", "Store.internal:4318"), accept_hosts=["store.internal"]) == 200
    assert status(("Host", "localhost"), accept_hosts=["store.internal"]) == 200
    assert status(("Host", "other.internal"), accept_hosts=["store.internal"]) == 403
