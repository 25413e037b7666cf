"""A database with rows in every table, and a login of the application."""

from __future__ import annotations

import getpass
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.chat import (
    Conn,
    value,
)
from tests.support.chat_security import Scene
from tests.support.servers import Server


@pytest.fixture(scope="module")
def built(server: Server) -> Iterator[Scene]:
    database = server.chat()
    with database.connect() as conn:
        scene = Scene(database, conn)
        yield scene
        conn.execute(f"DROP ROLE {scene.login}")
    database.drop()


@pytest.fixture
def scene(built: Scene) -> Iterator[Scene]:
    """The scene, in a transaction that is rolled back."""
    with built.conn.transaction(force_rollback=True):
        yield built


@pytest.fixture(scope="module")
def login(built: Scene) -> Iterator[Conn]:
    """A session that has really logged in as the application."""
    ident = Path(value(built.conn, "SHOW ident_file"))
    before = ident.read_text()
    ident.write_text(before + f'chatdb "{getpass.getuser()}" {built.login}\n')
    built.conn.execute("SELECT pg_reload_conf()")
    deadline = time.monotonic() + 20
    while True:
        try:
            with psycopg.connect(built.database.url, user=built.login, autocommit=True) as conn:
                yield conn
            break
        except psycopg.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    ident.write_text(before)
    built.conn.execute("SELECT pg_reload_conf()")
