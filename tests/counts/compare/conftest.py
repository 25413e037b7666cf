"""Two databases that are compared: on one server, and on two servers of different versions."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatdb_cli.embedded.server import EmbeddedServer
from tests.support.servers import NAMES, PROGRAMS, TEMP_FOLDER, Server
from tests.support.sides import Sides


@pytest.fixture
def sides(server: Server) -> Iterator[Sides]:
    """Two empty databases of one server."""
    both = Sides(server.empty(), server.empty())
    yield both
    server.release(both.this)
    server.release(both.other)


@pytest.fixture(scope="session")
def two_servers(request: pytest.FixtureRequest) -> Iterator[tuple[Server, Server]]:
    """Two servers of different versions, the newer one first."""
    by_version = {NAMES[path].partition("-")[0]: path for path in reversed(PROGRAMS)}
    if len(by_version) < 2:
        pytest.skip("only one version of PostgreSQL is installed")
    running = []
    with tempfile.TemporaryDirectory(prefix="chatdb-test-", dir=TEMP_FOLDER) as folder:
        Path(folder).chmod(0o711)
        versions = sorted(by_version, key=int)
        for version in (versions[-1], versions[0]):
            home = Path(folder) / version
            home.mkdir(mode=0o711)
            home.chmod(0o711)
            embedded = EmbeddedServer(home / ".chatdb", programs=by_version[version])
            embedded.start()
            running.append(Server(embedded, NAMES[by_version[version]]))
            running[-1].execute("ALTER SYSTEM SET fsync = off")
            running[-1].execute("SELECT pg_reload_conf()")
        try:
            yield running[0], running[1]
        finally:
            for server in running:
                server.embedded.destroy()


@pytest.fixture
def versions(two_servers: tuple[Server, Server]) -> Iterator[Sides]:
    """An empty database of the newer server, and one of the older."""
    both = Sides(two_servers[0].empty(), two_servers[1].empty())
    yield both
    two_servers[0].release(both.this)
    two_servers[1].release(both.other)
