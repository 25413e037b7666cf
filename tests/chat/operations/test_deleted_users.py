"""A deleted user is refused wherever an unknown one is, with the same error."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.chat import (
    CHECK,
    FOREIGN_KEY,
    LATER,
    Conn,
    assert_call_fails,
    assert_insert_fails,
    call,
    call_value,
    create_people,
    digest,
    fill_ids,
    insert,
    insert_users,
    members,
    rows,
    send,
    value,
)

# Each call with an unknown user, and with one that was deleted and has rows in every table.
CALLS: list[tuple[str, list[Any]]] = [
    ("find_user", ["{who}"]),
    ("update_user", ["{who}", {"full_name": "x"}]),
    ("touch_last_seen", ["{who}"]),
    ("set_presence", ["{who}", "online"]),
    ("find_presence", ["{who}"]),
    ("put_profile", ["{who}", "x"]),
    ("get_profile", ["{who}"]),
    ("delete_user", ["{who}"]),
    ("create_channel", ["{who}", "public", "x"]),
    ("create_channel", ["{who}", "group", "x", ["{ada}"]]),
    ("create_channel", ["{ada}", "public", "x", ["{bob}", "{who}"]]),
    ("create_channel", ["{ada}", "private", "x", [], ["{who}"]]),
    ("create_channel", ["{ada}", "group", "x", ["{who}"]]),
    ("create_channel", ["{ada}", "group", "x", ["{bob}", "{who}"]]),
    ("open_direct_channel", ["{ada}", "{who}"]),
    ("open_direct_channel", ["{who}", "{ada}"]),
    ("open_direct_channel", ["{who}", "{who}"]),
    ("add_member", ["{room}", "{who}"]),
    ("add_member", ["{hall}", "{who}"]),
    ("set_role", ["{room}", "{who}", "admin"]),
    ("is_member", ["{room}", "{who}"]),
    ("send_message", ["{room}", "{who}", "x"]),
    ("edit_message", ["{message of who}", "{who}", "x"]),
    ("delete_message", ["{message of who}", "{who}"]),
    ("set_message_status", ["{first}", "{who}", "error"]),
    ("mark_read", ["{first}", "{who}"]),
    ("mark_read", ["{second}", "{who}"]),
    ("mark_delivered", ["{first}", "{who}"]),
    ("mark_delivered", ["{second}", "{who}"]),
    ("add_reaction", ["{first}", "{who}", "👍"]),
    ("add_reaction", ["{second}", "{who}", "👍"]),
    ("issue_token", ["{who}", digest("new"), LATER]),
    ("request_friend", ["{ada}", "{who}"]),
    ("request_friend", ["{who}", "{ada}"]),
    ("answer_friend", ["{ada}", "{who}", True]),
    ("answer_friend", ["{who}", "{ada}", True]),
    ("block_user", ["{ada}", "{who}"]),
    ("block_user", ["{who}", "{ada}"]),
    ("notify_user", ["{who}", "system"]),
    ("get_notification_preferences", ["{who}"]),
    ("set_notification_preferences", ["{who}", False]),
    ("put_setting", ["{who}", "theme", Jsonb("dark")]),
    ("put_sync_state", ["{who}", "messages"]),
    ("put_session", [digest("new"), {}, LATER, "{who}"]),
    ("put_session", [digest("there"), {}, LATER, "{who}"]),
    ("start_typing", ["{room}", "{who}"]),
]  # fmt: skip


def delete_cat(conn: Conn, ids: dict[str, str]) -> dict[str, str]:
    """Create a user with rows in every table, and delete them."""
    cat = create_people(conn, "cat")[0]
    call_value(conn, "add_member", ids["room"], cat)
    call(conn, "put_profile", cat, "I purr.")
    call(conn, "put_setting", cat, "theme", Jsonb("light"))
    call(conn, "set_presence", cat, "online")
    call(conn, "set_notification_preferences", cat)
    call(conn, "put_sync_state", cat, "messages")
    call(conn, "request_friend", cat, ids["ada"])
    call_value(conn, "mark_delivered", ids["first"], cat)
    call_value(conn, "mark_read", ids["first"], cat)
    call(conn, "add_reaction", ids["first"], cat, "👍")
    message = send(conn, ids["room"], cat, "Purr")
    call_value(conn, "start_typing", ids["room"], cat)
    assert call_value(conn, "delete_user", cat) is True
    call(conn, "put_session", digest("there"), {}, LATER)
    return {**ids, "cat": cat, "message of who": message}


def outcome(conn: Conn, function: str, args: list[Any]) -> Any:
    """Return the rows of a call, or the SQLSTATE and the constraint of its error."""
    try:
        with conn.transaction():
            return rows(conn, function, *args)
    except psycopg.Error as error:
        return error.sqlstate, error.diag.constraint_name


@pytest.mark.parametrize(("function", "args"), CALLS)
def test_an_operation_treats_a_deleted_user_as_an_unknown_one(
    chat: Conn, ids: dict[str, str], function: str, args: list[Any]
) -> None:
    there = delete_cat(chat, ids)
    unknown, deleted = (
        outcome(chat, function, fill_ids({**there, "who": who}, *args))
        for who in (there["nobody"], there["cat"])
    )
    assert unknown == deleted
    assert (
        not unknown or unknown == [] or isinstance(unknown, tuple) or not any(unknown[0].values())
    )


ROWS: list[tuple[str, str, dict[str, Any]]] = [
    ("profiles", "user_id", {}),
    ("user_settings", "user_id", {}),
    ("user_status", "user_id", {}),
    ("sync_state", "user_id", {"sync_type": "x"}),
    ("refresh_tokens", "user_id", {"token_hash": digest("x"), "expires_at": LATER}),
    ("sessions", "user_id", {"session_hash": digest("x"), "expires_at": LATER}),
    ("notifications", "user_id", {"type": "system"}),
    ("notification_preferences", "user_id", {}),
    ("files", "user_id", {"name": "a", "type": "b", "size": 1, "url": "c"}),
    ("channel_members", "user_id", {"channel_id": "{hall}"}),
    ("channels", "created_by", {"type": "public", "name": "x"}),
    ("relationships", "user_id", {"related_user_id": "{bob}", "type": "friend"}),
    ("relationships", "related_user_id", {"user_id": "{bob}", "type": "friend"}),
]  # fmt: skip


@pytest.mark.parametrize(("table", "column", "row"), ROWS)
def test_a_table_refuses_a_row_of_a_deleted_user_as_one_of_an_unknown_user(
    chat: Conn, ids: dict[str, str], table: str, column: str, row: dict[str, Any]
) -> None:
    there = {**delete_cat(chat, ids), "dan": create_people(chat, "dan")[0]}
    call_value(chat, "delete_user", there["dan"])  # who has no row that would be a duplicate
    values = dict(zip(row, fill_ids(ids, *row.values()), strict=True))
    for who in (there["nobody"], there["dan"]):
        name = f"{table}_{column}_fkey"
        assert_insert_fails(chat, FOREIGN_KEY, name, table, **values, **{column: who})
    if table not in ("channels", "relationships"):
        live = there["eve" if table != "channel_members" else "ada"]
        insert(chat, table, **values, **{column: live})
        move = f"UPDATE {table} SET user_id = %s WHERE user_id = %s"
        with pytest.raises(psycopg.errors.ForeignKeyViolation), chat.transaction():
            chat.execute(move, [there["dan"], live])


def test_a_deleted_member_takes_no_place_in_a_group(chat: Conn, ids: dict[str, str]) -> None:
    """Neither as a hundredth member, nor as the other one that a group needs."""
    cat = delete_cat(chat, ids)["cat"]
    assert assert_call_fails(chat, CHECK, "create_channel", ids["ada"], "group", "x", [cat]) == (
        "channels_group_not_alone"
    )
    people = insert_users(chat, 101)
    group = call(chat, "create_channel", ids["ada"], "group", "full", people[:99])["id"]
    assert (
        assert_call_fails(chat, CHECK, "add_member", group, people[99]) == "channel_members_limit"
    )
    call_value(chat, "delete_user", people[0])
    assert call_value(chat, "add_member", group, people[99]) is True
    assert (
        assert_call_fails(chat, CHECK, "add_member", group, people[100]) == "channel_members_limit"
    )
    assert len(members(chat, group)) == 101
    club = call(chat, "create_channel", ids["ada"], "private", "club", people[1:])["id"]
    turn = "UPDATE channels SET type = 'group' WHERE id = %s"
    with pytest.raises(psycopg.errors.CheckViolation), chat.transaction():
        chat.execute(turn, [club])
    call_value(chat, "delete_user", people[1])
    chat.execute(turn, [club])


def test_a_restored_user_is_a_member_again_and_has_to_log_in(
    chat: Conn, ids: dict[str, str]
) -> None:
    bob = ids["bob"]
    call(chat, "issue_token", bob, digest("t"), LATER)
    call(chat, "put_session", digest("s"), {}, LATER, bob)
    assert call_value(chat, "delete_user", bob) is True
    assert call_value(chat, "is_member", ids["room"], bob) is False
    chat.execute("UPDATE users SET deleted_at = NULL WHERE id = %s", [bob])
    assert call_value(chat, "is_member", ids["room"], bob) is True
    send(chat, ids["room"], bob)
    assert call_value(chat, "use_token", digest("t")) is None
    assert rows(chat, "get_session", digest("s")) == []
    assert value(chat, "SELECT count(*) FROM sessions WHERE user_id = %s", bob) == 0
