"""Use a test schema in pytest.

The session gets a schema at the newest version and without rows; each test runs in a transaction that is
rolled back.  `TEST_DATABASE_URL` names the database, or else `DATABASE_URL`.
"""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

import chatdb_cli


@pytest.fixture(scope="session")
def target() -> Iterator[chatdb_cli.Target]:
    settings = chatdb_cli.settings_for_tests(chatdb_cli.load_settings(), "test")
    with chatdb_cli.open_target(settings) as target:
        chatdb_cli.setup_test_schema(target, "@chat")
        yield target


@pytest.fixture
def conn(target: chatdb_cli.Target) -> Iterator[psycopg.Connection[Any]]:
    with (
        chatdb_cli.open_pool(target) as pool,
        pool.connection() as conn,
        conn.transaction(force_rollback=True),
    ):
        yield conn


def test_there_are_no_users_yet(conn: psycopg.Connection[Any]) -> None:
    assert conn.execute("SELECT count(*) FROM users").fetchone() == (0,)
