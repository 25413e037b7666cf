"""Databases with the whole schema and a few rows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.chat import (
    STEMS,
    Conn,
    insert,
    run,
    small_world,
)
from tests.support.servers import Server


@pytest.fixture
def ids(migrated: Conn) -> dict[str, str]:
    """The small world, in a database for one test."""
    return small_world(migrated)


@pytest.fixture(scope="module")
def shared(server: Server) -> Iterator[tuple[Conn, dict[str, str]]]:
    """A database with the small world, for all cases that fit in a transaction that is rolled back."""
    if "core" not in server.templates:
        template = server.create()
        with template.connect() as conn:
            for stem in STEMS:
                run(conn, "up", stem)
        server.templates["core"] = template.name
    database = server.create(server.templates["core"])
    with database.connect() as conn:
        yield conn, small_world(conn)
    database.drop()


@pytest.fixture
def there(shared: tuple[Conn, dict[str, str]]) -> dict[str, str]:
    """The ids of the shared small world."""
    return shared[1]


@pytest.fixture
def full(migrated: Conn, ids: dict[str, str]) -> dict[str, str]:
    """The small world with a row in every table; bob has written nothing."""
    ada, bob, message = ids["ada"], ids["bob"], ids["message"]
    migrated.execute("DELETE FROM channels WHERE type = 'direct'")
    ids["reply"] = insert(
        migrated, "messages", channel_id=ids["group"], user_id=ada, content="x", reply_to_id=message
    )
    insert(migrated, "reactions", message_id=message, user_id=ada, emoji="👍")
    insert(migrated, "files", user_id=ada, message_id=message, name="a", type="b", size=1, url="c")
    insert(migrated, "message_reads", message_id=message, user_id=bob)
    insert(migrated, "channel_members", channel_id=ids["public"], user_id=bob)
    for table in ("user_settings", "user_status"):
        insert(migrated, table, user_id=bob)
    insert(migrated, "sync_state", user_id=bob, sync_type="messages")
    migrated.execute("UPDATE channels SET created_by = %s WHERE id = %s", [bob, ids["group"]])
    return ids
