"""The chat schema as the roles of the application see it: who reads and changes which rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg.pq import TransactionStatus
from psycopg.types.json import Jsonb

from tests.support.chat import (
    LATER,
    Conn,
    call,
    call_value,
    create_people,
    create_world,
    digest,
    fill_ids,
    insert,
)
from tests.support.database import Database

ROLES = ["chat_owner", "chat_app", "chat_readonly", "chat_listener"]


# The rows of each table that a user sees, as conditions that its owner evaluates.
MINE = "channel_id IN (SELECT channel_id FROM channel_members WHERE user_id = %(me)s)"


MY_MESSAGES = f"message_id IN (SELECT id FROM messages WHERE {MINE})"


OWN = "user_id = %(me)s"


VISIBLE_ROWS = {
    "channels": f"type = 'public' OR {MINE.replace('channel_id', 'id', 1)}",
    "channel_members": MINE,
    "messages": MINE,
    "message_edits": MY_MESSAGES,
    "message_deliveries": f"{OWN} OR {MY_MESSAGES}",
    "message_reads": f"{OWN} OR {MY_MESSAGES}",
    "reactions": MY_MESSAGES,
    "files": f"{OWN} OR {MY_MESSAGES}",
    "typing_indicators": MINE,
    "relationships": "%(me)s IN (user_id, related_user_id)",
    "notifications": OWN,
    "notification_preferences": OWN,
    "sessions": OWN,
    "refresh_tokens": OWN,
    "sync_state": OWN,
    "user_settings": OWN,
}


OPEN = ["users", "profiles", "user_status", "rate_limits"]  # the application decides


CLOSED = ["events", "events_state"]  # read and written only by the functions of the log


def create_furnished_world(conn: Conn) -> dict[str, str]:
    """Create the world of the operations, with rows of Ada and Bob in every table and a few of Eve."""
    ids = create_world(conn)
    ada, bob, eve, first = ids["ada"], ids["bob"], ids["eve"], ids["first"]
    call(conn, "edit_message", first, ada, "First!")
    call(conn, "edit_message", ids["elsewhere"], eve, "Elsewhere!")
    call(conn, "mark_read", ids["second"], ada)
    call(conn, "mark_read", first, bob)
    call(conn, "mark_delivered", first, bob)
    call(conn, "add_reaction", first, bob, "👍")
    call(conn, "request_friend", bob, ada)
    call(conn, "block_user", ada, eve)
    for message, who in (("first", ada), ("second", bob), (None, bob), (None, eve)):
        home = ids[message] if message else None
        file = insert(
            conn, "files", user_id=who, message_id=home, name="a", type="b", size=1, url="c"
        )
        if who == bob and not message:
            ids["upload of bob"] = file
    for name in ("ada", "bob", "eve"):
        who = ids[name]
        ids[f"told {name}"] = call(conn, "notify_user", who, "system")["id"]
        call(conn, "put_setting", who, "theme", Jsonb("dark"))
        call(conn, "put_session", digest(name), {"who": name}, LATER, who)
        call(conn, "issue_token", who, digest(name), LATER)
        insert(conn, "notification_preferences", user_id=who)
        insert(conn, "sync_state", user_id=who, sync_type="x")
        insert(conn, "profiles", user_id=who)
        call(conn, "set_presence", who, "online")
    for name in ("ada", "bob"):
        call(conn, "start_typing", ids["room"], ids[name], "1 hour")
    call(conn, "put_session", digest("guest"), {}, LATER)
    call_value(conn, "hit_rate_limit", "k", 1, "1 hour")
    # A user who created a private channel and was removed from it
    ids["ousted"] = create_people(conn, "ousted")[0]
    ids["lair"] = call(conn, "create_channel", ids["ousted"], "private", "lair", [ada])["id"]
    call(conn, "set_role", ids["lair"], ada, "owner")
    assert call_value(conn, "remove_member", ids["lair"], ids["ousted"])
    return ids


class Scene:
    """A database with the furnished world, and a login of the application."""

    def __init__(self, database: Database, conn: Conn) -> None:
        self.database = database
        self.conn = conn
        self.ids = create_furnished_world(conn)
        self.login = f"app_{database.name}"
        if database.server.version < 15:  # as docs/security.md says
            conn.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        conn.execute(f"CREATE ROLE {self.login} LOGIN IN ROLE chat_app")

    @contextmanager
    def act_as(self, who: str | None, role: str | None = None) -> Iterator[Conn]:
        """Use the connection as the login of the application (or another role) on behalf of a user."""
        self.conn.execute(f"SET SESSION AUTHORIZATION {role or self.login}")
        self.set_user(self.conn, who)
        try:
            yield self.conn
        finally:
            if self.conn.info.transaction_status != TransactionStatus.INERROR:
                self.set_user(self.conn, None)
                self.conn.execute("RESET SESSION AUTHORIZATION")

    def set_user(self, conn: Conn, who: str | None) -> None:
        setting = self.ids.get(who, who) if who else ""
        conn.execute("SELECT set_config('chat.user_id', %s, false)", [setting])

    def fill(self, values: list[Any]) -> list[Any]:
        return fill_ids(self.ids, *values)
