"""Use a test schema in pytest: set up, use, clear, drop.

The session gets a schema at the newest version and without rows.  A test that only needs a connection
runs in a transaction that is rolled back; one whose code commits gets the pool, and its rows are deleted
after it.  `TEST_DATABASE_URL` names the database, or else `DATABASE_URL`.  `setup_test_database` and
`drop_test_database` do the same with a database of its own, where nothing real is in reach.
"""

from collections.abc import Iterator
from typing import Any, TypeAlias

import psycopg
import psycopg_pool
import pytest

import chatdb_cli

Connection: TypeAlias = psycopg.Connection[Any]
Pool: TypeAlias = psycopg_pool.ConnectionPool[Connection]


@pytest.fixture(scope="session")
def schema() -> Iterator[Pool]:
    settings = chatdb_cli.load_settings()
    with chatdb_cli.setup_test_schema(settings, "@chat") as pool:
        yield pool
    chatdb_cli.drop_test_schema(settings)


@pytest.fixture
def pool(schema: Pool) -> Iterator[Pool]:
    yield schema
    chatdb_cli.clear_test_data(schema)


@pytest.fixture
def conn(schema: Pool) -> Iterator[Connection]:
    with schema.connection() as conn, conn.transaction(force_rollback=True):
        yield conn


def add_user(pool: Pool) -> None:
    with pool.connection() as conn:  # commits
        conn.execute(
            "INSERT INTO users (email, username, auth0_id)"
            " VALUES ('ann@example.org', 'ann', 'auth0|ann')"
        )


def test_there_are_no_users_yet(conn: Connection) -> None:
    assert conn.execute("SELECT count(*) FROM users").fetchone() == (0,)


def test_cleared_data_is_gone(pool: Pool) -> None:
    add_user(pool)
    assert chatdb_cli.clear_test_data(pool) != ()
    add_user(pool)  # the same name again: the first is gone
