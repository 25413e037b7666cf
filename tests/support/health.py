"""Checking the health of a test's database."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from chatdb_cli.embedded.server import EmbeddedServer
from chatdb_cli.health.check import check_health
from chatdb_cli.health.model import Check, Health
from tests.support.database import Database
from tests.support.paths import SHIPPED
from tests.support.servers import NAMES, PROGRAMS, TEMP_FOLDER, Server

NOBODY = "health_nobody"


def health_of(
    database: Database, directory: str | Path = "@chat", *, url: str = "", **limits: str
) -> Health:
    """Return the health; `longest_transaction__error="1s"` sets `longest-transaction.error`."""
    settings = database.settings(database_url=url or database.url, dir=str(directory))
    # The time that this machine takes is no fault of the database.
    limits = {"latency": "1h", "connection": "1h"} | limits
    named = {k.replace("__", ".").replace("_", "-"): value for k, value in limits.items()}
    return check_health(settings, thresholds=named)


def check_of(database: Database, name: str, directory: str | Path = SHIPPED, **more: str) -> Check:
    """Return one check of the health."""
    health = health_of(database, directory, **more)
    check = health.check(name)
    assert check is not None, health
    return check


@contextmanager
def as_nobody(database: Database) -> Iterator[str]:
    """Yield a URL of a role with no privilege but to connect."""
    with database.connect(application_name="psql") as conn:
        conn.execute(f"CREATE ROLE {NOBODY}")
        try:
            yield f"{database.url}&options={quote(f'-c role={NOBODY}')}"
        finally:
            conn.execute(f"DROP OWNED BY {NOBODY}")
            conn.execute(f"DROP ROLE {NOBODY}")


# Little of everything, so that it can be used up.
SMALL = {
    "fsync": "off",
    "max_connections": 10,
    "max_prepared_transactions": 2,
    "shared_buffers": "'1MB'",
    "autovacuum": "off",
}


@pytest.fixture(scope="session")
def small_server(server: Server) -> Iterator[Server]:
    """Another server of the same version, with few connections and little memory.

    The first of PROGRAMS also loads pg_stat_statements; another may lack it.
    """
    has_statements = server.name == NAMES[PROGRAMS[0]]
    settings = SMALL | (
        {"shared_preload_libraries": "pg_stat_statements"} if has_statements else {}
    )
    with tempfile.TemporaryDirectory(prefix="chatdb-test-", dir=TEMP_FOLDER) as folder:
        Path(folder).chmod(0o711)
        embedded = EmbeddedServer(Path(folder) / ".chatdb", programs=server.embedded.programs)
        embedded.start()
        small = Server(embedded, server.name)
        try:
            for name, value in settings.items():
                small.execute(f"ALTER SYSTEM SET {name} = {value}")
            embedded.stop()
            embedded.start()
            yield small
        finally:
            embedded.destroy()


@pytest.fixture
def small(small_server: Server) -> Iterator[Database]:
    """A database of that server."""
    database = small_server.create()
    yield database
    database.drop()


def row_of(check: Check) -> tuple[Any, ...]:
    """Return status, value and threshold of a check."""
    return check.status, check.value, check.threshold
