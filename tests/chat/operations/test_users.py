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
    assert set(rows[0]) == {"id", "username", "display_name", "avatar_url", "created_at"}


def test_presence_and_last_seen_are_kept(chat: Conn, ids: dict[str, str]) -> None:
    assert call(chat, "set_presence", ids["ada"], "busy", "writing")["custom_status"] == "writing"
    later = call(chat, "set_presence", ids["ada"], "away")
    assert (later["status"], later["custom_status"]) == ("away", None)
    assert later["last_seen"] == value(chat, "SELECT now()")
    assert call_value(chat, "touch_last_seen", ids["ada"]) == value(chat, "SELECT now()")


def test_an_erased_user_leaves_their_messages_and_no_personal_data(
    chat: Conn, ids: dict[str, str]
) -> None:
    bob = ids["bob"]
    call(chat, "add_reaction", ids["first"], bob, "👍")
    call(chat, "request_friend", ids["ada"], bob)
    call(chat, "block_user", ids["eve"], bob)
    call(chat, "set_presence", bob, "online")
    call(chat, "put_setting", bob, "theme", Jsonb("dark"))
    call(chat, "issue_token", bob, digest("t"), LATER)
    call(chat, "put_session", digest("s"), {}, LATER, bob)
    call(chat, "notify_user", bob, "system")
    call(chat, "start_typing", ids["room"], bob)
    call(chat, "mark_read", ids["first"], bob)
    call(chat, "mark_delivered", ids["first"], bob)
    for table in ("profiles", "notification_preferences"):
        insert(chat, table, user_id=bob)
    insert(chat, "sync_state", user_id=bob, sync_type="x")

    assert call_value(chat, "erase_user", bob) is True
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
    row = chat.cursor(row_factory=dict_row).execute("SELECT * FROM users WHERE id = %s", [bob])
    erased = row.fetchone()
    assert erased is not None
    assert "bob" not in str(erased)
    assert BCRYPT not in str(erased)
    assert erased["deleted_at"] is not None
    assert rows(chat, "find_user", bob) == []
    assert call(chat, "find_message", ids["second"])["content"] == "Second"
    assert call_value(chat, "erase_user", bob) is True  # a second time does no harm
    assert call(chat, "create_user", "bob@example.org", "bob", "bob")["id"] != bob
