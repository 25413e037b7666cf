"""A database with the chat schema."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chatdb_cli.migrate.migrator import Migrator
from tests.support.listen import Chat
from tests.support.paths import SHIPPED
from tests.support.servers import Server


@pytest.fixture(scope="module", autouse=True)
def chat(server: Server) -> Iterator[Chat]:
    """One for all tests: each listens from now on."""
    chat = Chat(server.create())
    Migrator(chat.database.target(), SHIPPED).up()
    chat.users = chat.insert(
        "INSERT INTO users (username, email, auth0_id) "
        "VALUES ('ada', 'ada@chat.example', 'a'), ('bob', 'bob@chat.example', 'b')"
    )
    chat.channels = chat.insert(
        "INSERT INTO channels (type, name) VALUES ('public', 'one'), ('public', 'two')"
    )
    yield chat
    chat.database.drop()
