"""The constraints of each table: a row, and the SQLSTATE and the constraint that refuse it."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.support.chat import (
    ARGON2,
    BCRYPT,
    CHECK,
    FOREIGN_KEY,
    NOT_NULL,
    TOO_LONG,
    UNIQUE,
    Conn,
    assert_insert_fails,
    insert,
    insert_user,
    value,
)

USER = {"email": "eve@example.org", "username": "eve", "auth0_id": "auth0|eve"}

USERS_REFUSED: list[tuple[dict[str, Any], str, str | None]] = [
    ({"email": None}, NOT_NULL, "email"),
    ({"username": None}, NOT_NULL, "username"),
    ({"is_active": None}, NOT_NULL, "is_active"),
    ({"id": "8" + "0" * 25}, CHECK, "users_id_format"),
    ({"id": "0" * 25}, CHECK, "users_id_format"),
    ({"id": "0" * 25 + "u"}, CHECK, "users_id_format"),
    ({"id": "0" * 27}, TOO_LONG, None),
    ({"auth0_id": None}, CHECK, "users_credentials_present"),
    ({"auth0_id": ""}, CHECK, "users_auth0_id_not_empty"),
    ({"auth0_id": "x" * 129}, CHECK, "users_auth0_id_length"),
    ({"password_hash": "Passw0rd"}, CHECK, "users_password_hash_format"),
    ({"password_hash": BCRYPT.replace("12", "09")}, CHECK, "users_password_hash_format"),
    ({"password_hash": BCRYPT.replace("12", "32")}, CHECK, "users_password_hash_format"),
    ({"password_hash": BCRYPT[:-1]}, CHECK, "users_password_hash_format"),
    ({"password_hash": BCRYPT + "\nx"}, CHECK, "users_password_hash_format"),
    ({"password_hash": ARGON2.replace("2id", "2i")}, CHECK, "users_password_hash_format"),
    *[
        ({"email": wrong}, CHECK, "users_email_format")
        for wrong in (
            "",
            "@",
            "eve.example.org",
            "eve@",
            "@example.org",
            "eve@@example.org",
            "eve@a@example.org",
            "eve @example.org",
            " eve@example.org",
            "eve@example.org ",
            "eve@exa mple.org",
            "eve@e\n",
            "e\tve@example.org",
            "eve@example.org\r",
            "e\x01ve@example.org",
            "e\x7fve@example.org",
            "e\u00a0ve@example.org",
            "e\u2003ve@example.org",
            "e\u200bve@example.org",
            "e\u3000ve@example.org",
            "e\u0085ve@example.org",
            "\ufeffeve@example.org",
        )
    ],
    ({"email": "e@" + "x" * 254}, CHECK, "users_email_length"),
    ({"username": "ev"}, CHECK, "users_username_length"),
    ({"username": "e" * 51}, CHECK, "users_username_length"),
    ({"username": "eve-1"}, CHECK, "users_username_format"),
    ({"username": "eve 1"}, CHECK, "users_username_format"),
    ({"username": "évelyne"}, CHECK, "users_username_format"),
    ({"username": "eve\n"}, CHECK, "users_username_format"),
    ({"display_name": ""}, CHECK, "users_display_name_not_empty"),
    ({"display_name": "  "}, CHECK, "users_display_name_not_empty"),
    ({"display_name": "x" * 101}, CHECK, "users_display_name_length"),
    ({"full_name": "x" * 256}, CHECK, "users_full_name_length"),
    ({"email": "ADA@Example.org"}, UNIQUE, "users_email_live_key"),
    ({"username": "ADA"}, UNIQUE, "users_username_live_key"),
    ({"auth0_id": "ada"}, UNIQUE, "users_auth0_id_live_key"),
]


@pytest.mark.parametrize(("change", "state", "constraint"), USERS_REFUSED)
def test_a_user_who_violates_a_constraint_is_refused(
    chat: Conn, change: dict[str, Any], state: str, constraint: str | None
) -> None:
    assert_insert_fails(chat, state, constraint, "users", **{**USER, **change})


@pytest.mark.parametrize(
    "change",
    [{"username": "eve"}, {"username": "e" * 50}, {"username": "Eve_2"},
     {"email": "e@" + "x" * 253}, {"display_name": "Éve 🙂"}, {"display_name": "🙂" * 100},
     {"email": "e@x"}, {"email": "évé+tag@例え.jp"}, {"email": "a.b-c_d'e!#$%&*/=?^`{|}~@x-y.example"},
     {"auth0_id": "é" * 128, "full_name": "🙂" * 255},
     {"auth0_id": None, "password_hash": BCRYPT},
     {"auth0_id": None, "password_hash": BCRYPT.replace("12", "10")},
     {"auth0_id": None, "password_hash": BCRYPT.replace("2b", "2y").replace("12", "31")},
     {"auth0_id": None, "password_hash": ARGON2}],
)  # fmt: skip
def test_a_user_at_the_limits_of_the_constraints_is_accepted(
    chat: Conn, change: dict[str, Any]
) -> None:
    insert(chat, "users", **{**USER, **change})


def test_a_deleted_user_leaves_email_username_and_auth0_id_to_others(migrated: Conn) -> None:
    gone = insert_user(migrated, "ada")
    migrated.execute("UPDATE users SET deleted_at = now() WHERE id = %s", [gone])
    insert_user(migrated, "ada")
    with pytest.raises(psycopg.errors.UniqueViolation):
        migrated.execute("UPDATE users SET deleted_at = NULL WHERE id = %s", [gone])


def test_email_and_username_compare_without_case(migrated: Conn) -> None:
    user_id = insert_user(migrated, "Ada", email="Ada@Example.ORG")
    find = "SELECT id FROM users WHERE email = 'ada@example.org' AND username = 'ADA'"
    assert value(migrated, find) == user_id


# Names in braces are replaced by ids of the small world.
ROWS_REFUSED: list[tuple[str, dict[str, Any], str, str | None]] = [
    ("user_settings", {"user_id": "0" * 26}, FOREIGN_KEY, "user_settings_user_id_fkey"),
    ("user_settings", {"user_id": "{ada}", "theme": "blue"}, CHECK, "user_settings_theme_valid"),
    ("user_settings", {"user_id": "{ada}", "theme": None}, NOT_NULL, "theme"),
    ("user_settings", {"user_id": "{ada}", "preferences": "[]"}, CHECK,
     "user_settings_preferences_object"),
    ("user_status", {"user_id": "0" * 26}, FOREIGN_KEY, "user_status_user_id_fkey"),
    ("user_status", {"user_id": "{ada}", "status": "gone"}, CHECK, "user_status_status_valid"),
    ("channels", {"type": "room", "name": "x"}, CHECK, "channels_type_valid"),
    ("channels", {"name": "x"}, NOT_NULL, "type"),
    ("channels", {"id": "x" * 26, "type": "public", "name": "x"}, CHECK, "channels_id_format"),
    ("channels", {"type": "public"}, CHECK, "channels_name_present"),
    ("channels", {"type": "private", "name": " "}, CHECK, "channels_name_present"),
    ("channels", {"type": "group"}, CHECK, "channels_name_present"),
    ("channels", {"type": "group", "name": "x" * 101}, CHECK, "channels_group_name_length"),
    ("channels", {"type": "public", "name": "x" * 256}, CHECK, "channels_name_length"),
    ("channels", {"type": "public", "name": "x", "metadata": "1"}, CHECK,
     "channels_metadata_object"),
    ("channels", {"type": "public", "name": "x", "created_by": "0" * 26}, FOREIGN_KEY,
     "channels_created_by_fkey"),
    ("channels", {"type": "direct"}, CHECK, "channels_direct_users"),
    ("channels", {"type": "direct", "direct_low": "{ada}"}, CHECK, "channels_direct_users"),
    ("channels", {"type": "direct", "direct_low": "{bob}", "direct_high": "{ada}"}, CHECK,
     "channels_direct_users"),
    ("channels", {"type": "public", "name": "x", "direct_low": "{ada}", "direct_high": "{bob}"},
     CHECK, "channels_direct_users"),
    ("channels", {"type": "direct", "direct_low": "0" * 26, "direct_high": "{ada}"}, FOREIGN_KEY,
     "channels_direct_low_fkey"),
    ("channels", {"type": "direct", "direct_low": "{ada}", "direct_high": "7" + "Z" * 25},
     FOREIGN_KEY, "channels_direct_high_fkey"),
    ("channels", {"type": "direct", "direct_low": "{ada}", "direct_high": "{bob}"}, UNIQUE,
     "channels_direct_users_key"),
    ("channel_members", {"channel_id": "0" * 26, "user_id": "{ada}"}, FOREIGN_KEY,
     "channel_members_channel_id_fkey"),
    ("channel_members", {"channel_id": "{public}", "user_id": "0" * 26}, FOREIGN_KEY,
     "channel_members_user_id_fkey"),
    ("channel_members", {"channel_id": "{public}", "user_id": "{ada}", "role": "boss"}, CHECK,
     "channel_members_role_valid"),
    ("messages", {"id": "x"}, CHECK, "messages_id_format"),
    ("messages", {"channel_id": "0" * 26}, FOREIGN_KEY, "messages_channel_id_fkey"),
    ("messages", {"user_id": "0" * 26}, FOREIGN_KEY, "messages_user_id_fkey"),
    ("messages", {"reply_to_id": "0" * 26}, FOREIGN_KEY, "messages_reply_to_id_fkey"),
    ("messages", {"content": ""}, CHECK, "messages_content_length"),
    ("messages", {"content": "🙂" * 4001}, CHECK, "messages_content_length"),
    ("messages", {"content_type": "video"}, CHECK, "messages_content_type_valid"),
    ("messages", {"status": "sent"}, CHECK, "messages_status_valid"),
    ("messages", {"status": None}, NOT_NULL, "status"),
    ("messages", {"metadata": "[]"}, CHECK, "messages_metadata_object"),
    ("messages", {"client_message_id": ""}, CHECK, "messages_client_message_id_not_empty"),
    ("messages", {"client_message_id": "x" * 256}, CHECK, "messages_client_message_id_length"),
    ("message_reads", {"message_id": "0" * 26, "user_id": "{ada}"}, FOREIGN_KEY,
     "message_reads_message_id_fkey"),
    ("message_reads", {"message_id": "{message}", "user_id": "0" * 26}, FOREIGN_KEY,
     "message_reads_user_id_fkey"),
    ("reactions", {"id": "x"}, CHECK, "reactions_id_format"),
    ("reactions", {"message_id": "0" * 26}, FOREIGN_KEY, "reactions_message_id_fkey"),
    ("reactions", {"user_id": "0" * 26}, FOREIGN_KEY, "reactions_user_id_fkey"),
    ("reactions", {"emoji": ""}, CHECK, "reactions_emoji_not_empty"),
    ("reactions", {"emoji": "x" * 51}, CHECK, "reactions_emoji_length"),
    ("files", {"id": "x"}, CHECK, "files_id_format"),
    ("files", {"message_id": "0" * 26}, FOREIGN_KEY, "files_message_id_fkey"),
    ("files", {"user_id": None}, NOT_NULL, "user_id"),
    ("files", {"user_id": "0" * 26}, FOREIGN_KEY, "files_user_id_fkey"),
    ("user_settings", {"user_id": "{ada}", "preferences": '{"": 1}'}, CHECK,
     "user_settings_key_length"),
    *[("user_settings", {"user_id": "{ada}", "preferences": f'{{"a": 1, "{key}": 1}}'}, CHECK,
       "user_settings_key_length") for key in ("x" * 51, "é" * 51, "\\n" * 51)],
    ("files", {"size": -1}, CHECK, "files_size_not_negative"),
    ("files", {"name": "x" * 256}, CHECK, "files_name_length"),
    ("files", {"type": "x" * 101}, CHECK, "files_type_length"),
    ("files", {"url": None}, NOT_NULL, "url"),
    ("sync_state", {"id": "x"}, CHECK, "sync_state_id_format"),
    ("sync_state", {"user_id": "0" * 26}, FOREIGN_KEY, "sync_state_user_id_fkey"),
    ("sync_state", {"sync_type": ""}, CHECK, "sync_state_sync_type_not_empty"),
    ("sync_state", {"sync_type": "x" * 51}, CHECK, "sync_state_sync_type_length"),
    ("sync_state", {"metadata": "null"}, CHECK, "sync_state_metadata_object"),
]  # fmt: skip

# The columns of a complete row of each table; a case changes one.
WHOLE: dict[str, dict[str, Any]] = {
    "messages": {"channel_id": "{public}", "user_id": "{ada}", "content": "Hello"},
    "reactions": {"message_id": "{message}", "user_id": "{ada}", "emoji": "👍"},
    "files": {
        "user_id": "{ada}", "message_id": "{message}", "name": "a.png", "type": "image/png", "size": 0,
        "url": "s3:a",
    },
    "sync_state": {"user_id": "{ada}", "sync_type": "messages"},
}  # fmt: skip


def filled(table: str, change: dict[str, Any], ids: dict[str, str]) -> dict[str, Any]:
    row = {**WHOLE.get(table, {}), **change}
    return {k: ids.get(v[1:-1], v) if isinstance(v, str) else v for k, v in row.items()}


@pytest.mark.parametrize(("table", "change", "state", "constraint"), ROWS_REFUSED)
def test_a_row_that_violates_a_constraint_is_refused(
    chat: Conn,
    there: dict[str, str],
    table: str,
    change: dict[str, Any],
    state: str,
    constraint: str | None,
) -> None:
    assert_insert_fails(chat, state, constraint, table, **filled(table, change, there))


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("channels", {"type": "group", "name": "x" * 100}),
        ("channels", {"type": "public", "name": "x" * 255}),
        ("channels", {"type": "direct", "direct_low": "{ada}", "direct_high": "{ada}"}),
        ("messages", {"content": "🙂" * 4000}),
        ("messages", {"content": "", "content_type": "image"}),
        ("messages", {"content": "x" * 5000, "content_type": "system"}),
        ("messages", {"client_message_id": None}),
        ("reactions", {"emoji": "👩‍👩‍👧‍👦"}),
        ("reactions", {"emoji": "🙂" * 50}),
        ("messages", {"client_message_id": "é" * 255}),
        ("files", {"name": "é" * 255, "type": "x" * 100}),
        ("sync_state", {"sync_type": "é" * 50}),
        ("files", {}),
        ("files", {"message_id": None}),
        (
            "user_settings",
            {"user_id": "{ada}", "preferences": f'{{"{"é" * 50}": {{"{"x" * 99}": 1}}}}'},
        ),
        ("sync_state", {}),
        ("user_settings", {"user_id": "{ada}", "theme": "system", "preferences": '{"a": [1]}'}),
    ],
)
def test_a_row_at_the_limits_of_the_constraints_is_accepted(
    chat: Conn, there: dict[str, str], table: str, change: dict[str, Any]
) -> None:
    insert(chat, table, **filled(table, change, there))


@pytest.mark.parametrize(
    ("table", "change", "constraint"),
    [
        ("user_settings", {"user_id": "{ada}"}, "user_settings_pkey"),
        ("user_status", {"user_id": "{ada}"}, "user_status_pkey"),
        ("channel_members", {"channel_id": "{public}", "user_id": "{ada}"}, "channel_members_pkey"),
        ("messages", {"client_message_id": "1"}, "messages_client_message_id_key"),
        ("message_reads", {"message_id": "{message}", "user_id": "{ada}"}, "message_reads_pkey"),
        ("reactions", {}, "reactions_message_user_emoji_key"),
        ("sync_state", {}, "sync_state_user_type_key"),
    ],
)
def test_a_duplicate_of_a_unique_value_is_refused(
    chat: Conn, there: dict[str, str], table: str, change: dict[str, Any], constraint: str
) -> None:
    row = filled(table, change, there)
    insert(chat, table, **row)
    assert_insert_fails(chat, UNIQUE, constraint, table, **row)


def test_two_users_may_use_the_same_client_message_id(chat: Conn, there: dict[str, str]) -> None:
    for name in ("ada", "bob"):
        row = filled("messages", {"client_message_id": "1", "user_id": there[name]}, there)
        insert(chat, "messages", **row)


def test_states_have_the_promised_defaults(migrated: Conn, ids: dict[str, str]) -> None:
    ada = ids["ada"]
    insert(migrated, "user_settings", user_id=ada)
    insert(migrated, "user_status", user_id=ada)
    insert(migrated, "channel_members", channel_id=ids["public"], user_id=ada)
    assert migrated.execute(
        "SELECT s.theme, s.notifications_enabled, s.preferences, p.status, m.role,"
        "       t.content_type, t.status, u.is_active, u.is_verified"
        "  FROM users u JOIN user_settings s ON s.user_id = u.id"
        "  JOIN user_status p ON p.user_id = u.id JOIN channel_members m ON m.user_id = u.id"
        "  JOIN messages t ON t.user_id = u.id WHERE u.id = %s",
        [ada],
    ).fetchone() == ("light", True, {}, "offline", "member", "text", "sending", True, False)
