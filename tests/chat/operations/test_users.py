"""Users: found, changed, seen by others, erased."""

from __future__ import annotations

import pytest
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from tests.support.chat import (
    BCRYPT,
    LATER,
    Conn,
    call,
    call_value,
    digest,
    ids_of,
    insert,
    rows,
    send,
    value,
)


def test_a_user_is_found_by_id_email_and_name_without_case(chat: Conn, ids: dict[str, str]) -> None:
    for user in (
        call(chat, "find_user", ids["ada"]),
        call(chat, "find_user_by_email", "Ada@Example.ORG"),
        call(chat, "find_user_by_username", "ADA"),
    ):
        assert (user["id"], user["username"]) == (ids["ada"], "ada")


@pytest.mark.parametrize("path", ["public", "pg_catalog", "elsewhere, public", ""])
def test_operations_work_whatever_the_search_path(
    chat: Conn, ids: dict[str, str], path: str
) -> None:
    """Especially citext, which is case-sensitive if its schema is not in the search path."""
    chat.execute(
        "CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.users (); SET LOCAL search_path = pg_temp"
    )
    chat.execute("SELECT set_config('search_path', %s, true)", [path])
    user = value(chat, "SELECT id FROM public.find_user_by_email('ADA@example.org')")
    assert user == ids["ada"]
    renamed = 'SELECT display_name FROM public.update_user(%s, \'{"display_name": "A"}\')'
    assert value(chat, renamed, ids["ada"]) == "A"
    sent = value(
        chat, "SELECT id FROM public.send_message(%s, %s, 'x', 'c1')", ids["room"], ids["ada"]
    )
    assert value(chat, "SELECT id FROM public.search_messages(%s, 'x', 1)", ids["ada"]) == sent
    assert value(chat, "SELECT public.mark_read(%s, %s)", sent, ids["bob"]) == sent


def test_a_change_of_a_user_leaves_other_columns_alone(chat: Conn, ids: dict[str, str]) -> None:
    before = call(chat, "find_user", ids["ada"])
    changed = call(
        chat, "update_user", ids["ada"],
        {"email": "New@example.org", "display_name": "Ada 🙂", "is_verified": True},
    )  # fmt: skip
    expected = {"email": "New@example.org", "display_name": "Ada 🙂", "is_verified": True}
    assert changed == {**before, **expected, "updated_at": changed["updated_at"]}
    emptied = call(chat, "update_user", ids["ada"], {"display_name": None})
    assert emptied["display_name"] is None
    assert emptied["email"] == "New@example.org"
    assert call(chat, "update_user", ids["ada"], {}) == emptied


def test_the_public_view_has_no_email_hash_or_flag_and_no_deleted_user(
    chat: Conn, ids: dict[str, str]
) -> None:
    chat.execute("UPDATE users SET deleted_at = now() WHERE id = %s", [ids["eve"]])
    view = chat.cursor(row_factory=dict_row).execute("SELECT * FROM public_users ORDER BY id")
    rows = view.fetchall()
    assert ids_of(rows) == [ids["ada"], ids["bob"]]
    assert set(rows[0]) == {
        "id", "username", "full_name", "display_name", "avatar_url", "last_seen_at"
    }  # fmt: skip


MARKS = {
    "email": "Bobby.Tables@example.org", "username": "bobby_tables", "auth0_id": "auth0|bobbymark",
    "full_name": "Robert Bobbymark", "display_name": "Bobbymark!", "avatar_url": "https://bobbymark/a",
    "password_hash": BCRYPT.replace("a", "b"),
}  # fmt: skip


def mark_every_table(chat: Conn, ids: dict[str, str], bob: str) -> None:
    """Write what Bob has, and what names him, into every table; each text has a mark of him."""
    call(chat, "update_user", bob, MARKS)
    call(chat, "add_reaction", ids["first"], bob, "👍")
    call(chat, "request_friend", ids["ada"], bob)
    call(chat, "block_user", ids["eve"], bob)
    call(chat, "set_presence", bob, "online", "bobbymark is here")
    call(chat, "put_profile", bob, "I am bobbymark")
    call(chat, "put_setting", bob, "nick", Jsonb("bobbymark"))
    call(chat, "set_notification_preferences", bob, other=Jsonb({"bobbymark": True}))
    call(chat, "put_sync_state", bob, "bobbymark", metadata=Jsonb({"phone": "bobbymark"}))
    call(chat, "issue_token", bob, digest("t"), LATER)
    call(chat, "put_session", digest("s"), {"name": "bobbymark"}, LATER, bob)
    call(chat, "notify_user", bob, "system", {"to": "bobbymark"})
    call(chat, "notify_user", ids["ada"], "friend_request", {"from": {"name": "Bobbymark!"}})
    call(chat, "notify_user", ids["ada"], "friend_request", {}, "user", bob)
    call(chat, "start_typing", ids["room"], bob)
    call(chat, "mark_read", ids["first"], bob)
    call(chat, "mark_delivered", ids["first"], bob)
    send(chat, ids["room"], bob, "Hello", client_message_id="bobbymark-phone-1")
    insert(chat, "files", user_id=bob, name="bobbymark.png", type="b", size=1, url="bobbymark")
    for key in ("login:bobby.tables@example.org", "post:bobby_tables:1", f"x:{bob}"):
        call_value(chat, "hit_rate_limit", key, 1, "1 h")


def test_an_erased_user_leaves_their_messages_and_no_personal_data(
    chat: Conn, ids: dict[str, str]
) -> None:
    bob = ids["bob"]
    mark_every_table(chat, ids, bob)
    call_value(chat, "hit_rate_limit", "login:eve@example.org", 1, "1 h")
    call(chat, "notify_user", ids["ada"], "system")
    tables = [row[0] for row in chat.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"
    )]  # fmt: skip
    marks = [*map(str.lower, MARKS.values()), "bobby", digest("t").hex(), digest("s").hex()]

    def marked() -> set[str]:
        return {
            table
            for table in tables
            for (row,) in chat.execute(f"SELECT lower(t::text) FROM {table} t")
            if any(mark in row for mark in marks)
        }

    assert marked() >= {
        "users", "profiles", "user_settings", "user_status", "sync_state", "sessions", "messages",
        "refresh_tokens", "notifications", "notification_preferences", "files", "rate_limits",
    }  # fmt: skip
    assert call_value(chat, "erase_user", bob) is True
    assert marked() == set()
    keys = chat.execute(
        "SELECT conrelid::regclass::text, attname, confdeltype FROM pg_constraint"
        " JOIN pg_attribute ON attrelid = conrelid AND attnum = conkey[1]"
        " WHERE contype = 'f' AND confrelid = 'users'::regclass"
    ).fetchall()
    left = {
        table
        for table, column, _ in keys
        if value(chat, f"SELECT count(*) FROM {table} WHERE {column} = %s", bob)
    }
    assert left == {"messages", "reactions", "channels"}
    assert {table for table, _, action in keys if action == "r"} >= left
    erased = value(chat, "SELECT deleted_at FROM users WHERE id = %s", bob)
    assert erased is not None
    assert rows(chat, "find_user", bob) == []
    assert call(chat, "find_message", ids["second"])["content"] == "Second"
    assert value(chat, "SELECT count(*) FROM notifications") == 1
    assert value(chat, "SELECT key FROM rate_limits") == "login:eve@example.org"
    assert call_value(chat, "erase_user", bob) is True  # a second time does no harm
    assert call(chat, "create_user", "bob@example.org", "bob", "bob")["id"] != bob


def test_a_deleted_user_can_not_log_in_and_their_name_is_free(
    chat: Conn, ids: dict[str, str]
) -> None:
    bob = ids["bob"]
    call(chat, "issue_token", bob, digest("t"), LATER)
    call(chat, "put_session", digest("s"), {}, LATER, bob)
    call(chat, "set_presence", bob, "online")
    assert call_value(chat, "delete_user", bob) is True
    assert call_value(chat, "delete_user", bob) is False
    assert rows(chat, "find_user", bob) == rows(chat, "find_presence", bob) == []
    assert call_value(chat, "use_token", digest("t")) is None
    assert rows(chat, "get_session", digest("s")) == []
    assert value(chat, "SELECT status FROM user_status") == "offline"
    assert call(chat, "find_message", ids["second"])["user_id"] == bob
    assert call(chat, "create_user", "bob@example.org", "bob", "bob")["id"] != bob


def test_a_profile_is_written_and_read(chat: Conn, ids: dict[str, str]) -> None:
    call(chat, "put_profile", ids["ada"], "Asks why.")
    assert call(chat, "put_profile", ids["ada"], "Asks how.")["bio"] == "Asks how."
    assert call(chat, "get_profile", ids["ada"])["bio"] == "Asks how."
    assert call(chat, "put_profile", ids["ada"], None)["bio"] is None
    call_value(chat, "delete_user", ids["ada"])
    assert rows(chat, "get_profile", ids["ada"]) == []
