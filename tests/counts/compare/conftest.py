"""Two databases that are compared: on one server, and on two servers of different versions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.database import Database
from tests.support.servers import Server
from tests.support.sides import Sides


@pytest.fixture
def sides(server: Server) -> Iterator[Sides]:
    """Two empty databases of one server."""
    both = Sides(server.empty(), server.empty())
    yield both
    server.release(both.this)
    server.release(both.other)


@pytest.fixture
def versions(pair: tuple[Database, Database]) -> Sides:
    """An empty database of the newest server, and one of the oldest."""
    return Sides(pair[1], pair[0])
