"""A database with the world of tests/support/schema, on each server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from chatdb_cli.catalog.model import Snapshot
from chatdb_cli.catalog.snapshot import read_snapshot
from tests.support.database import Database
from tests.support.schema_changes import CREATE_ROLES, DROP_ROLES, SCHEMAS, WORLD
from tests.support.servers import Server


@dataclass
class World:
    """A database with an object of every kind, a connection to it, and its snapshot."""

    database: Database
    connection: psycopg.Connection[Any]
    snapshot: Snapshot

    def read(self) -> Snapshot:
        return read_snapshot(self.connection, SCHEMAS)


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
