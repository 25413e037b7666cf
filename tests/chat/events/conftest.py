"""Databases with a few rows and an empty change log."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.chat_events import Conn, Events, start_private_server, value, world_template
from tests.support.database import Database
from tests.support.servers import TEMP_FOLDER, Server


@pytest.fixture
def world(server: Server) -> str:
    """The name of a database with the small world, which tests copy."""
    return world_template(server)


@pytest.fixture
def database(server: Server, world: str) -> Iterator[Database]:
    """A copy of the small world for one test, with an empty log."""
    database = server.create(world)
    yield database
    database.drop()


@pytest.fixture(scope="module")
def chat(server: Server) -> Iterator[Conn]:
    """A session in a copy of the small world; each test is rolled back."""
    database = server.create(world_template(server))
    with database.connect() as conn:
        yield conn
    database.drop()


@pytest.fixture
def log(chat: Conn) -> Iterator[Callable[..., Events]]:
    """A function that runs statements and returns their events; rolled back at the end."""

    def written(*statements: str) -> Events:
        mark = value(chat, "SELECT coalesce(max(seq), 0) FROM events")
        for statement in statements:
            chat.execute(statement)
        return chat.execute(
            "SELECT table_name, op, row_id, channel_id, user_id FROM events WHERE seq > %s ORDER BY seq",
            [mark],
        ).fetchall()

    with chat.transaction(force_rollback=True):
        yield written


@pytest.fixture(scope="module")
def own(server: Server) -> Iterator[Server]:
    """A server for one module: it is killed and copied, and its notification queue is small."""
    with tempfile.TemporaryDirectory(prefix="chatdb-test-", dir=TEMP_FOLDER) as folder:
        Path(folder).chmod(0o711)
        private_server = start_private_server(Path(folder, "own"), server)
        yield private_server
        private_server.embedded.destroy()


@pytest.fixture
def owned(own: Server) -> Iterator[Database]:
    """A copy of the small world on that server."""
    database = own.create(own.templates["world"])
    yield database
    database.drop()


@pytest.fixture
def listener(database: Database) -> Iterator[Conn]:
    with database.connect() as conn:
        conn.execute("LISTEN chat_events")
        yield conn
