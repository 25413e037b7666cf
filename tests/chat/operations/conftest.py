"""Databases with the small world, created by the operations themselves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.chat import (
    Conn,
    TwoSessions,
    create_world,
)
from tests.support.servers import Server


@pytest.fixture(scope="module")
def shared(server: Server) -> Iterator[tuple[Conn, dict[str, str]]]:
    database = server.chat()
    with database.connect() as conn:
        yield conn, create_world(conn)
    database.drop()


@pytest.fixture
def ids(shared: tuple[Conn, dict[str, str]]) -> dict[str, str]:
    return shared[1]


@pytest.fixture(scope="module")
def pair(server: Server) -> Iterator[TwoSessions]:
    database = server.chat()
    with database.connect() as one, database.connect() as other:
        yield TwoSessions(one, other)
    database.drop()


@pytest.fixture
def two(pair: TwoSessions) -> Iterator[TwoSessions]:
    yield pair
    for conn in (pair.first, pair.second):
        conn.rollback()
