"""The constraints of the tables outside of the core."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg.rows import dict_row

from tests.support.chat import (
    CHECK,
    FOREIGN_KEY,
    LATER,
    NOT_NULL,
    UNIQUE,
    Conn,
    Row,
    assert_insert_fails,
    create_people,
    digest,
    fill_ids,
    insert,
    value,
)

TABLE_RULES: list[tuple[str, Row, str, str | None]] = [
    ("profiles", {"user_id": "{nobody}"}, FOREIGN_KEY, "profiles_user_id_fkey"),
    ("profiles", {"bio": "🙂" * 501}, CHECK, "profiles_bio_length"),
    ("relationships", {"id": "x"}, CHECK, "relationships_id_format"),
    ("relationships", {"user_id": "{nobody}"}, FOREIGN_KEY, "relationships_user_id_fkey"),
    ("relationships", {"related_user_id": "{nobody}"}, FOREIGN_KEY,
     "relationships_related_user_id_fkey"),
    ("relationships", {"related_user_id": "{ada}"}, CHECK, "relationships_not_with_oneself"),
    ("relationships", {"type": "foe"}, CHECK, "relationships_type_valid"),
    ("relationships", {"type": None}, NOT_NULL, "type"),
    ("relationships", {"status": "done"}, CHECK, "relationships_status_valid"),
    ("relationships", {"status": None}, NOT_NULL, "status"),
    ("refresh_tokens", {"id": "x"}, CHECK, "refresh_tokens_id_format"),
    ("refresh_tokens", {"user_id": "{nobody}"}, FOREIGN_KEY, "refresh_tokens_user_id_fkey"),
    ("refresh_tokens", {"user_id": None}, NOT_NULL, "user_id"),
    ("refresh_tokens", {"expires_at": None}, NOT_NULL, "expires_at"),
    ("refresh_tokens", {"token_hash": None}, NOT_NULL, "token_hash"),
    ("refresh_tokens", {"token_hash": digest("x")[:31]}, CHECK, "refresh_tokens_token_hash_digest"),
    ("sessions", {"user_id": "{nobody}"}, FOREIGN_KEY, "sessions_user_id_fkey"),
    ("sessions", {"session_hash": None}, NOT_NULL, "session_hash"),
    ("sessions", {"session_hash": digest("x") + b"x"}, CHECK, "sessions_session_hash_digest"),
    ("sessions", {"data": "[]"}, CHECK, "sessions_data_object"),
    ("sessions", {"expires_at": None}, NOT_NULL, "expires_at"),
    ("rate_limits", {"key": ""}, CHECK, "rate_limits_key_length"),
    ("rate_limits", {"key": "x" * 501}, CHECK, "rate_limits_key_length"),
    ("rate_limits", {"window_end": "yesterday"}, CHECK, "rate_limits_window_not_empty"),
    ("rate_limits", {"hits": -1}, CHECK, "rate_limits_hits_not_negative"),
    ("message_edits", {"id": "x"}, CHECK, "message_edits_id_format"),
    ("message_edits", {"message_id": "{nobody}"}, FOREIGN_KEY, "message_edits_message_id_fkey"),
    ("message_edits", {"edited_by": "{nobody}"}, FOREIGN_KEY, "message_edits_edited_by_fkey"),
    ("message_edits", {"previous_content": None}, NOT_NULL, "previous_content"),
    ("message_deliveries", {"message_id": "{nobody}"}, FOREIGN_KEY,
     "message_deliveries_message_id_fkey"),
    ("message_deliveries", {"user_id": "{nobody}"}, FOREIGN_KEY, "message_deliveries_user_id_fkey"),
    ("typing_indicators", {"channel_id": "{nobody}"}, FOREIGN_KEY,
     "typing_indicators_channel_id_fkey"),
    ("typing_indicators", {"user_id": "{nobody}"}, FOREIGN_KEY, "typing_indicators_user_id_fkey"),
    ("typing_indicators", {"expires_at": None}, NOT_NULL, "expires_at"),
    ("notifications", {"id": "x"}, CHECK, "notifications_id_format"),
    ("notifications", {"user_id": "{nobody}"}, FOREIGN_KEY, "notifications_user_id_fkey"),
    ("notifications", {"content": "[]"}, CHECK, "notifications_content_object"),
    ("notifications", {"related_type": "x" * 51}, CHECK, "notifications_related_type_length"),
    ("notifications", {"related_id": "x" * 256}, CHECK, "notifications_related_id_length"),
    ("notifications", {"in_app": None}, NOT_NULL, "in_app"),
    *[("notifications", {"type": wrong}, CHECK, "notifications_type_format")
      for wrong in ("", "System", "a b", "1a", "x" * 51, "a\n", "ä", "a-b")],
    ("notification_preferences", {"user_id": "{nobody}"}, FOREIGN_KEY,
     "notification_preferences_user_id_fkey"),
    ("notification_preferences", {"email": None}, NOT_NULL, "email"),
    ("notification_preferences", {"other": "1"}, CHECK, "notification_preferences_other_object"),
]  # fmt: skip

# The columns of a complete row of each table; a case changes one.
WHOLE: dict[str, Row] = {
    "profiles": {"user_id": "{ada}"},
    "relationships": {"user_id": "{ada}", "related_user_id": "{bob}", "type": "friend"},
    "refresh_tokens": {"user_id": "{ada}", "token_hash": digest("t"), "expires_at": LATER},
    "sessions": {"session_hash": digest("s"), "user_id": "{ada}", "expires_at": LATER},
    "rate_limits": {"key": "k", "window_end": LATER},
    "message_edits": {"message_id": "{first}", "previous_content": ""},
    "message_deliveries": {"message_id": "{first}", "user_id": "{bob}"},
    "typing_indicators": {"channel_id": "{room}", "user_id": "{ada}", "expires_at": LATER},
    "notifications": {"user_id": "{ada}", "type": "system"},
    "notification_preferences": {"user_id": "{ada}"},
}


def whole(table: str, ids: dict[str, str], **change: Any) -> Row:
    row = {**WHOLE[table], **change}
    return dict(zip(row, fill_ids(ids, *row.values()), strict=True))


@pytest.mark.parametrize(("table", "change", "state", "constraint"), TABLE_RULES)
def test_a_row_that_violates_a_constraint_is_refused(
    chat: Conn, ids: dict[str, str], table: str, change: Row, state: str, constraint: str | None
) -> None:
    assert_insert_fails(chat, state, constraint, table, **whole(table, ids, **change))


@pytest.mark.parametrize(
    ("table", "change"),
    [
        *[(table, {}) for table in WHOLE],
        ("profiles", {"bio": "🙂" * 500}),
        ("sessions", {"user_id": None}),
        ("rate_limits", {"key": "x" * 500}),
        ("notifications", {"type": "a" + "_.9" * 16 + "z"}),
        ("notifications", {"related_id": "🙂 any text/" * 23}),
        ("message_edits", {"edited_by": "{ada}"}),
    ],
)
def test_a_row_at_the_limits_of_the_constraints_is_accepted(
    chat: Conn, ids: dict[str, str], table: str, change: Row
) -> None:
    insert(chat, table, **whole(table, ids, **change))


@pytest.mark.parametrize(
    ("table", "constraint"),
    [
        ("profiles", "profiles_pkey"),
        ("relationships", "relationships_pair_key"),
        ("refresh_tokens", "refresh_tokens_token_hash_key"),
        ("sessions", "sessions_pkey"),
        ("rate_limits", "rate_limits_pkey"),
        ("message_deliveries", "message_deliveries_pkey"),
        ("typing_indicators", "typing_indicators_pkey"),
        ("notification_preferences", "notification_preferences_pkey"),
    ],
)
def test_a_duplicate_of_a_unique_value_is_refused(
    chat: Conn, ids: dict[str, str], table: str, constraint: str
) -> None:
    insert(chat, table, **whole(table, ids))
    assert_insert_fails(chat, UNIQUE, constraint, table, **whole(table, ids))


DEFAULTS: list[tuple[str, Row]] = [
    ("relationships", {"status": "pending"}),
    ("refresh_tokens", {"revoked_at": None}),
    ("sessions", {"data": {}}),
    ("rate_limits", {"hits": 1}),
    ("notifications", {"content": {}, "read_at": None, "expires_at": None, "in_app": True}),
    ("notification_preferences", {
        "in_app": True, "email": True, "push": True, "on_message": True,
        "on_friend_request": True, "on_system": True, "other": {}}),
]  # fmt: skip


@pytest.mark.parametrize(("table", "defaults"), DEFAULTS)
def test_states_have_the_promised_defaults(
    chat: Conn, ids: dict[str, str], table: str, defaults: Row
) -> None:
    insert(chat, table, **whole(table, ids))
    row = chat.cursor(row_factory=dict_row).execute(f"SELECT * FROM {table}").fetchone()
    assert row is not None
    assert {key: row[key] for key in defaults} == defaults


def test_only_tables_that_need_not_survive_a_crash_are_unlogged(chat: Conn) -> None:
    unlogged = chat.execute(
        "SELECT relname FROM pg_class WHERE relpersistence = 'u' AND relkind = 'r'"
    )
    assert {r[0] for r in unlogged} == {"sessions", "rate_limits", "typing_indicators"}


@pytest.mark.parametrize("of", ["user", "message", "channel"])
def test_deleting_a_row_deletes_what_belongs_to_it(
    chat: Conn, ids: dict[str, str], of: str
) -> None:
    chat.execute("DELETE FROM channels WHERE type = 'direct'")
    for table in WHOLE:
        insert(chat, table, **whole(table, ids))
    chat.execute("UPDATE message_edits SET edited_by = %s", [ids["eve"]])
    gone = {
        "user": "profiles refresh_tokens sessions notifications typing_indicators"
        " notification_preferences",
        "message": "message_edits message_deliveries",
        "channel": "message_edits message_deliveries typing_indicators",
    }[of].split()
    ends = {
        # A user with messages or reactions can't be deleted, so Ada's go to Eve first.
        "user": "UPDATE messages SET user_id = %(eve)s; UPDATE reactions SET user_id = %(eve)s;"
        " DELETE FROM users WHERE id = %(ada)s",
        "message": "DELETE FROM messages WHERE id = %(first)s",
        "channel": "DELETE FROM channels WHERE id = %(room)s",
    }
    for end in ends[of].split(";"):
        chat.execute(end, ids)
    assert {t: value(chat, f"SELECT count(*) FROM {t}") for t in gone} == dict.fromkeys(gone, 0)
    assert value(chat, "SELECT count(*) FROM relationships") == (of != "user")
    if of == "user":
        chat.execute("DELETE FROM messages WHERE user_id = %s AND id <> %s",
                     [ids["eve"], ids["first"]])  # fmt: skip
        assert value(chat, "SELECT edited_by FROM message_edits") == ids["eve"]


def test_an_edit_outlives_its_editor(chat: Conn, ids: dict[str, str]) -> None:
    gone = create_people(chat, "gone_editor")[0]
    insert(chat, "message_edits", **whole("message_edits", ids, edited_by=gone))
    chat.execute("DELETE FROM users WHERE id = %s", [gone])
    assert value(chat, "SELECT edited_by FROM message_edits") is None


@pytest.mark.parametrize(
    ("table", "same", "other"),
    [
        ("profiles", "bio = bio", "bio = 'x'"),
        ("relationships", "type = type", "status = 'accepted'"),
        ("refresh_tokens", "user_id = user_id", "revoked_at = now()"),
        ("sessions", "data = '{}'", "data = '{\"a\": 1}'"),
        ("notifications", "type = type", "read_at = now()"),
        ("notification_preferences", "email = true", "email = false"),
    ],
)
def test_updated_at_changes_if_and_only_if_the_row_changes(
    chat: Conn, ids: dict[str, str], table: str, same: str, other: str
) -> None:
    old = value(chat, "SELECT 'yesterday'::timestamptz")
    insert(chat, table, **whole(table, ids, updated_at=old))
    for change, moved in ((same, False), (other, True)):
        chat.execute(f"UPDATE {table} SET {change}")
        assert (value(chat, f"SELECT updated_at FROM {table}") > old) is moved
