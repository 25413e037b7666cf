"""Two databases: on the oldest and on the newest PostgreSQL of this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from chatdb_cli.embedded.server import EmbeddedServer
from tests.support.database import Database
from tests.support.servers import NAMES, PROGRAMS, TEMP_FOLDER, Server


@pytest.fixture(scope="session")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    """The servers of the oldest and the newest version, whatever the server of other tests is."""
    versions = sorted(PROGRAMS, key=lambda programs: int(NAMES[programs].split("-")[0]))
    with ExitStack() as stack:
        servers = []
        for programs in (versions[0], versions[-1]):
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="chatdb-test-", dir=TEMP_FOLDER)
            )
            Path(folder).chmod(0o711)
            embedded = EmbeddedServer(Path(folder) / ".chatdb", programs=programs)
            embedded.start()
            stack.callback(embedded.destroy)
            servers.append(Server(embedded, NAMES[programs]))
            servers[-1].execute("ALTER SYSTEM SET fsync = off")
        yield servers[0], servers[1]


@pytest.fixture
def pair(both: tuple[Server, Server]) -> Iterator[tuple[Database, Database]]:
    """An empty database on each of them; the objects of the second have other OIDs."""
    databases = both[0].empty(), both[1].empty()
    databases[1].execute("CREATE TABLE other_oids (); DROP TABLE other_oids")
    yield databases
    for server, database in zip(both, databases, strict=True):
        server.release(database)
