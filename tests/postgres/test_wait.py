"""Waiting for a server that is starting."""

from __future__ import annotations

import pytest

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.postgres.wait import Patience, wait_for_server
from tests.support.database import Database
from tests.support.proxy import Proxy
from tests.support.servers import on_first_server, socket_of

pytestmark = on_first_server


def test_it_ends_with_the_first_connection_and_says_why_it_waits(database: Database) -> None:
    with Proxy(socket_of(database.server)) as closed:
        url = closed.url(database.name)
    reports: list[str] = []
    opened = Proxy(socket_of(database.server), listen_at=closed.port)

    def report(text: str) -> None:
        reports.append(text)
        opened.__enter__()

    try:
        with database.target(database_url=url) as target:
            wait_for_server(target, 60_000, report)
    finally:
        opened.__exit__()
    (said,) = reports
    assert said.endswith("Connection refused; waiting up to 60 s")


def test_it_gives_up_with_the_last_reason(database: Database) -> None:
    with (
        database.target(database_url="postgresql://x@127.0.0.1:1/x") as target,
        pytest.raises(ChatdbError) as caught,
    ):
        wait_for_server(target, 200)
    assert (caught.value.code, caught.value.errno) == (Code.UNREACHABLE, "ECONNREFUSED")


@pytest.mark.parametrize("code", [Code.LOGIN, Code.MISSING_DATABASE, Code.REFUSED, Code.KEY_LOCKED])
def test_an_answer_ends_the_waiting_even_if_it_refuses(code: Code, server: object) -> None:
    tries: list[int] = []

    def refuse() -> None:
        tries.append(1)
        raise ChatdbError(code, "no")

    with pytest.raises(ChatdbError, match="no"):
        Patience(3_600_000).try_until(refuse)
    assert tries == [1]


def test_each_reason_is_reported_once(server: object) -> None:
    reasons = iter(["refused", "refused", "starting", "starting"])
    reports: list[str] = []

    def answer() -> str:
        for reason in reasons:
            raise ChatdbError(Code.UNREACHABLE, reason)
        return "up"

    assert Patience(60_000, reports.append).try_until(answer) == "up"
    assert reports == ["refused; waiting up to 60 s", "starting; waiting up to 60 s"]
