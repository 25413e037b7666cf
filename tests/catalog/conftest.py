"""A database with the world of tests/support/schema, on each server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chatdb_cli.catalog.snapshot import read_snapshot
from tests.support.schema_changes import CREATE_ROLES, DROP_ROLES, SCHEMAS, WORLD, World
from tests.support.servers import Server


@pytest.fixture(scope="package")
def world(server: Server) -> Iterator[World]:
    """The world; a test that changes it has to change it back."""
    database = server.create()
    database.execute(CREATE_ROLES)
    database.execute(WORLD)
    with database.connect() as connection:
        connection.execute("SET client_min_messages = error")
        yield World(database, connection, read_snapshot(connection, SCHEMAS))
    database.drop()
    server.execute(DROP_ROLES)
