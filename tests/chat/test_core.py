"""Promises of the chat schema: ids, extensions, the rules of the core's ten tables, the way down.

The rules are tables of cases: what is written, and the SQLSTATE and the constraint that answer.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.pq import TransactionStatus

from tests.support.chat import (
    ARGON2,
    BCRYPT,
    CHECK,
    FOREIGN_KEY,
    NOT_NULL,
    STEMS,
    TOO_LONG,
    UNIQUE,
    Conn,
    insert,
    race,
    refused,
    run,
    user,
    users,
    value,
)
from tests.support.database import Database
from tests.support.paths import SHIPPED
from tests.support.servers import Server, first

CORE = STEMS[: STEMS.index("0014_sync_state") + 1]
TABLES = {
    "users", "user_settings", "user_status", "channels", "channel_members",
    "messages", "message_reads", "reactions", "files", "sync_state", "profiles", "relationships",
    "refresh_tokens", "sessions", "rate_limits", "message_edits", "message_deliveries",
    "typing_indicators", "notifications", "notification_preferences",
}  # fmt: skip

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def add(conn: Conn, channel: str, people: list[str]) -> None:
    conn.execute(
        "INSERT INTO channel_members (channel_id, user_id) SELECT %s, unnest(%s::text[])",
        [channel, people],
    )


def world(conn: Conn) -> dict[str, str]:
    """A small world: two users, a channel of each type, a message."""
    ada, bob = sorted([user(conn, "ada"), user(conn, "bob")])
    made = {"ada": ada, "bob": bob}
    for kind in ("public", "private", "group"):
        made[kind] = insert(conn, "channels", type=kind, name=kind)
    made["direct"] = insert(conn, "channels", type="direct", direct_low=ada, direct_high=bob)
    made["message"] = insert(conn, "messages", channel_id=made["public"], user_id=ada, content="Hi")
    return made


@pytest.fixture
def ids(migrated: Conn) -> dict[str, str]:
    """The small world, in a database of the test's own."""
    return world(migrated)


@pytest.fixture(scope="module")
def shared(server: Server) -> Iterator[tuple[Conn, dict[str, str]]]:
    """A database with the small world for all the cases that a rolled back transaction can hold."""
    made = server.create()
    with made.connect() as conn:
        for stem in STEMS:
            run(conn, "up", stem)
        yield conn, world(conn)
    made.drop()


@pytest.fixture
def chat(shared: tuple[Conn, dict[str, str]]) -> Iterator[Conn]:
    """The shared database, in a transaction that is rolled back."""
    with shared[0].transaction(force_rollback=True):
        yield shared[0]


@pytest.fixture
def there(shared: tuple[Conn, dict[str, str]]) -> dict[str, str]:
    """The ids of the shared small world."""
    return shared[1]


# --- ULIDs ----------------------------------------------------------------------------------------


def test_a_generated_id_is_a_ulid_of_now(migrated: Conn) -> None:
    before = value(migrated, "SELECT clock_timestamp()")
    made = value(migrated, "SELECT generate_ulid()")
    after = value(migrated, "SELECT clock_timestamp()")
    assert re.fullmatch(f"[0-7][{ALPHABET}]{{25}}", made)
    when = value(migrated, "SELECT ulid_timestamp(%s)", made)
    assert before - timedelta(milliseconds=1) < when <= after


def test_ids_sort_by_time_also_within_a_millisecond(migrated: Conn) -> None:
    made = value(
        migrated,
        "SELECT array_agg(ulid_encode(n, gen_random_uuid()) ORDER BY random())"
        " FROM generate_series(1::bigint << 50, (1::bigint << 50) + 2000) n",
    )
    ticks = [sum(ALPHABET.index(c) << 5 * (11 - i) for i, c in enumerate(u[:12])) for u in made]
    by_id = [tick for _, tick in sorted(zip(made, ticks, strict=True))]
    assert by_id == sorted(ticks)


def test_ids_made_one_after_the_other_sort_by_the_microsecond(migrated: Conn) -> None:
    made = [value(migrated, "SELECT generate_ulid()") for _ in range(200)]
    assert made == sorted(made)  # a turn to the server takes more than a microsecond


@pytest.mark.parametrize(
    "tick", [0, 1, 31, 32, 1023, 1024, 1_700_000_000_000 << 10, (1 << 53) - 1, (10 << 50) - 1]
)
def test_each_five_bits_of_the_time_are_one_character(chat: Conn, tick: int) -> None:
    made = value(chat, "SELECT ulid_encode(%s, gen_random_uuid())", tick)
    assert made[:12] == "".join(ALPHABET[tick >> 5 * i & 31] for i in range(11, -1, -1))


def test_every_position_of_the_alphabet_is_encoded(chat: Conn) -> None:
    """All 32 values pass through each of the eight bytes that are worked on at once."""
    rows = chat.execute(
        "SELECT n, ulid_encode((SELECT sum(n << 5 * i) FROM generate_series(0, 9) i)::bigint,"
        " gen_random_uuid()) FROM generate_series(0::bigint, 31) n"
    ).fetchall()
    assert [made[2:12] for _, made in rows] == [letter * 10 for letter in ALPHABET]


def test_the_random_part_uses_the_whole_alphabet_evenly(chat: Conn) -> None:
    counts = chat.execute(
        "SELECT i, substr(u, i, 1), count(*)"
        " FROM (SELECT generate_ulid() u FROM generate_series(1, 32000)) x,"
        " generate_series(13, 26) i GROUP BY 1, 2"
    ).fetchall()
    assert len(counts) == 14 * 32
    assert all(800 < n < 1200 for _, _, n in counts)  # 1000 expected, six deviations either way


@first
def test_a_million_ids_are_all_different(migrated: Conn) -> None:
    count = 'SELECT count(DISTINCT generate_ulid() COLLATE "C") FROM generate_series(1, 1000000)'
    assert value(migrated, count) == 1_000_000


def test_the_column_default_costs_a_single_function_call(chat: Conn) -> None:
    plan = value(chat, "EXPLAIN (VERBOSE, FORMAT JSON) SELECT generate_ulid()")
    output = str(plan[0]["Plan"]["Output"])
    assert "ulid_encode" in output  # inlined
    assert "generate_ulid" not in output


@pytest.mark.parametrize(
    ("ulid", "milliseconds"),
    [("0" * 26, 0), ("0000000001" + "Z" * 16, 1), ("7" + "Z" * 25, (1 << 48) - 1),
     ("01ARZ3NDEKTSV4RRFFQ69G5FAV", 1469922850259)],
)  # fmt: skip
def test_a_ulid_tells_its_time(chat: Conn, ulid: str, milliseconds: int) -> None:
    told = value(chat, "SELECT (extract(epoch FROM ulid_timestamp(%s)) * 1000)::bigint", ulid)
    assert told == milliseconds


@pytest.mark.parametrize(
    "ulid",
    ["", "0" * 25, "0" * 27, "8" + "0" * 25, "0" * 25 + "U", "0" * 25 + "I", "0" * 25 + "a",
     "0" * 25 + "\n", "0" * 26 + "\n", "é" * 26],
)  # fmt: skip
def test_a_malformed_ulid_is_refused_clearly(chat: Conn, ulid: str) -> None:
    with pytest.raises(psycopg.errors.InvalidTextRepresentation, match="malformed ULID"):
        value(chat, "SELECT ulid_timestamp(%s)", ulid)


def test_no_ulid_has_no_time(chat: Conn) -> None:
    assert value(chat, "SELECT ulid_timestamp(NULL)") is None


# --- the rules, table by table --------------------------------------------------------------------

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
    ({"auth0_id": "x" * 129}, TOO_LONG, None),
    ({"password_hash": "Passw0rd"}, CHECK, "users_password_hash_format"),
    ({"password_hash": BCRYPT.replace("12", "09")}, CHECK, "users_password_hash_format"),
    ({"password_hash": BCRYPT.replace("12", "32")}, CHECK, "users_password_hash_format"),
    ({"password_hash": BCRYPT[:-1]}, CHECK, "users_password_hash_format"),
    ({"password_hash": BCRYPT + "\nx"}, CHECK, "users_password_hash_format"),
    ({"password_hash": ARGON2.replace("2id", "2i")}, CHECK, "users_password_hash_format"),
    ({"email": "eve.example.org"}, CHECK, "users_email_format"),
    ({"email": "e@" + "x" * 254}, CHECK, "users_email_length"),
    ({"username": "ev"}, CHECK, "users_username_length"),
    ({"username": "e" * 51}, CHECK, "users_username_length"),
    ({"username": "eve-1"}, CHECK, "users_username_format"),
    ({"username": "eve 1"}, CHECK, "users_username_format"),
    ({"username": "évelyne"}, CHECK, "users_username_format"),
    ({"username": "eve\n"}, CHECK, "users_username_format"),
    ({"display_name": ""}, CHECK, "users_display_name_not_empty"),
    ({"display_name": "  "}, CHECK, "users_display_name_not_empty"),
    ({"display_name": "x" * 101}, TOO_LONG, None),
    ({"full_name": "x" * 256}, TOO_LONG, None),
    ({"email": "ADA@Example.org"}, UNIQUE, "users_email_live_key"),
    ({"username": "ADA"}, UNIQUE, "users_username_live_key"),
    ({"auth0_id": "ada"}, UNIQUE, "users_auth0_id_live_key"),
]


@pytest.mark.parametrize(("change", "state", "constraint"), USERS_REFUSED)
def test_a_user_who_breaks_a_rule_is_refused(
    chat: Conn, change: dict[str, Any], state: str, constraint: str | None
) -> None:
    refused(chat, state, constraint, "users", **{**USER, **change})


@pytest.mark.parametrize(
    "change",
    [{"username": "eve"}, {"username": "e" * 50}, {"username": "Eve_2"},
     {"email": "e@" + "x" * 253}, {"display_name": "Éve 🙂"}, {"display_name": "x" * 100},
     {"auth0_id": None, "password_hash": BCRYPT},
     {"auth0_id": None, "password_hash": BCRYPT.replace("12", "10")},
     {"auth0_id": None, "password_hash": BCRYPT.replace("2b", "2y").replace("12", "31")},
     {"auth0_id": None, "password_hash": ARGON2}],
)  # fmt: skip
def test_a_user_at_the_edge_of_the_rules_is_taken(chat: Conn, change: dict[str, Any]) -> None:
    insert(chat, "users", **{**USER, **change})


def test_a_deleted_user_leaves_email_username_and_auth0_id_to_others(migrated: Conn) -> None:
    gone = user(migrated, "ada")
    migrated.execute("UPDATE users SET deleted_at = now() WHERE id = %s", [gone])
    user(migrated, "ada")
    with pytest.raises(psycopg.errors.UniqueViolation):
        migrated.execute("UPDATE users SET deleted_at = NULL WHERE id = %s", [gone])


def test_email_and_username_compare_without_case(migrated: Conn) -> None:
    made = user(migrated, "Ada", email="Ada@Example.ORG")
    find = "SELECT id FROM users WHERE email = 'ada@example.org' AND username = 'ADA'"
    assert value(migrated, find) == made


# Values in braces stand for the ids of the small world.
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
    ("channels", {"type": "public", "name": "x" * 256}, TOO_LONG, None),
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
    ("message_reads", {"message_id": "0" * 26, "user_id": "{ada}"}, FOREIGN_KEY,
     "message_reads_message_id_fkey"),
    ("message_reads", {"message_id": "{message}", "user_id": "0" * 26}, FOREIGN_KEY,
     "message_reads_user_id_fkey"),
    ("reactions", {"id": "x"}, CHECK, "reactions_id_format"),
    ("reactions", {"message_id": "0" * 26}, FOREIGN_KEY, "reactions_message_id_fkey"),
    ("reactions", {"user_id": "0" * 26}, FOREIGN_KEY, "reactions_user_id_fkey"),
    ("reactions", {"emoji": ""}, CHECK, "reactions_emoji_not_empty"),
    ("reactions", {"emoji": "x" * 51}, TOO_LONG, None),
    ("files", {"id": "x"}, CHECK, "files_id_format"),
    ("files", {"message_id": "0" * 26}, FOREIGN_KEY, "files_message_id_fkey"),
    ("files", {"size": -1}, CHECK, "files_size_not_negative"),
    ("files", {"name": "x" * 256}, TOO_LONG, None),
    ("files", {"type": "x" * 101}, TOO_LONG, None),
    ("files", {"url": None}, NOT_NULL, "url"),
    ("sync_state", {"id": "x"}, CHECK, "sync_state_id_format"),
    ("sync_state", {"user_id": "0" * 26}, FOREIGN_KEY, "sync_state_user_id_fkey"),
    ("sync_state", {"sync_type": ""}, CHECK, "sync_state_sync_type_not_empty"),
    ("sync_state", {"sync_type": "x" * 51}, TOO_LONG, None),
    ("sync_state", {"metadata": "null"}, CHECK, "sync_state_metadata_object"),
]  # fmt: skip

# What makes a row of these tables complete; a case changes it.
WHOLE: dict[str, dict[str, Any]] = {
    "messages": {"channel_id": "{public}", "user_id": "{ada}", "content": "Hello"},
    "reactions": {"message_id": "{message}", "user_id": "{ada}", "emoji": "👍"},
    "files": {
        "message_id": "{message}", "name": "a.png", "type": "image/png", "size": 0, "url": "s3:a",
    },
    "sync_state": {"user_id": "{ada}", "sync_type": "messages"},
}  # fmt: skip


def filled(table: str, change: dict[str, Any], ids: dict[str, str]) -> dict[str, Any]:
    row = {**WHOLE.get(table, {}), **change}
    return {k: ids.get(v[1:-1], v) if isinstance(v, str) else v for k, v in row.items()}


@pytest.mark.parametrize(("table", "change", "state", "constraint"), ROWS_REFUSED)
def test_a_row_that_breaks_a_rule_is_refused(
    chat: Conn,
    there: dict[str, str],
    table: str,
    change: dict[str, Any],
    state: str,
    constraint: str | None,
) -> None:
    refused(chat, state, constraint, table, **filled(table, change, there))


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
        ("files", {}),
        ("sync_state", {}),
        ("user_settings", {"user_id": "{ada}", "theme": "system", "preferences": '{"a": [1]}'}),
    ],
)
def test_a_row_at_the_edge_of_the_rules_is_taken(
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
def test_what_is_unique_is_refused_a_second_time(
    chat: Conn, there: dict[str, str], table: str, change: dict[str, Any], constraint: str
) -> None:
    row = filled(table, change, there)
    insert(chat, table, **row)
    refused(chat, UNIQUE, constraint, table, **row)


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


# --- what goes with what --------------------------------------------------------------------------


@pytest.fixture
def full(migrated: Conn, ids: dict[str, str]) -> dict[str, str]:
    """The small world with a row in every table; bob has written nothing."""
    ada, bob, message = ids["ada"], ids["bob"], ids["message"]
    migrated.execute("DELETE FROM channels WHERE type = 'direct'")
    ids["reply"] = insert(
        migrated, "messages", channel_id=ids["group"], user_id=ada, content="x", reply_to_id=message
    )
    insert(migrated, "reactions", message_id=message, user_id=ada, emoji="👍")
    insert(migrated, "files", message_id=message, name="a", type="b", size=1, url="c")
    insert(migrated, "message_reads", message_id=message, user_id=bob)
    insert(migrated, "channel_members", channel_id=ids["public"], user_id=bob)
    for table in ("user_settings", "user_status"):
        insert(migrated, table, user_id=bob)
    insert(migrated, "sync_state", user_id=bob, sync_type="messages")
    migrated.execute("UPDATE channels SET created_by = %s WHERE id = %s", [bob, ids["group"]])
    return ids


def counts(conn: Conn, *tables: str) -> list[int]:
    return [value(conn, f"SELECT count(*) FROM {table}") for table in tables]


def test_with_a_message_go_its_receipts_reactions_and_files(
    migrated: Conn, full: dict[str, str]
) -> None:
    migrated.execute("DELETE FROM messages WHERE id = %s", [full["message"]])
    assert counts(migrated, "message_reads", "reactions", "files", "messages") == [0, 0, 0, 1]
    assert value(migrated, "SELECT reply_to_id FROM messages") is None


def test_with_a_channel_go_its_messages_and_members(migrated: Conn, full: dict[str, str]) -> None:
    migrated.execute("DELETE FROM channels WHERE id = %s", [full["public"]])
    assert counts(migrated, "channel_members", "messages") == [0, 1]


def test_with_a_user_goes_what_only_they_have(migrated: Conn, full: dict[str, str]) -> None:
    migrated.execute("DELETE FROM users WHERE id = %s", [full["bob"]])
    gone = ("user_settings", "user_status", "sync_state", "channel_members", "message_reads")
    assert counts(migrated, *gone) == [0, 0, 0, 0, 0]
    assert value(migrated, "SELECT created_by FROM channels WHERE id = %s", full["group"]) is None


@pytest.mark.parametrize(
    ("kept", "constraint"),
    [("messages", "messages_user_id_fkey"), ("reactions", "reactions_user_id_fkey")],
)
def test_a_user_who_has_written_something_stays(
    migrated: Conn, full: dict[str, str], kept: str, constraint: str
) -> None:
    if kept == "reactions":
        migrated.execute("UPDATE messages SET user_id = %s", [full["bob"]])
    with pytest.raises(psycopg.errors.IntegrityError) as caught:
        migrated.execute("DELETE FROM users WHERE id = %s", [full["ada"]])
    # PostgreSQL 18 says 23001 for RESTRICT, earlier ones 23503
    assert caught.value.sqlstate in {"23001", FOREIGN_KEY}
    assert caught.value.diag.constraint_name == constraint


def test_a_user_of_a_direct_channel_stays(migrated: Conn, ids: dict[str, str]) -> None:
    with pytest.raises(psycopg.errors.IntegrityError) as caught:
        migrated.execute("DELETE FROM users WHERE id = %s", [ids["bob"]])
    assert caught.value.diag.constraint_name == "channels_direct_high_fkey"


def test_the_read_marker_outlives_its_message(migrated: Conn, full: dict[str, str]) -> None:
    migrated.execute("UPDATE channel_members SET last_read_message_id = %s", [full["message"]])
    migrated.execute("DELETE FROM messages WHERE id = %s", [full["message"]])
    assert value(migrated, "SELECT last_read_message_id FROM channel_members") == full["message"]


# --- updated_at -----------------------------------------------------------------------------------

OLD = datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("table", "same", "other"),
    [
        ("users", "username = username", "username = upper(username::text)"),
        ("user_settings", "theme = 'light'", "theme = 'dark'"),
        ("user_status", "last_seen = last_seen", "last_seen = now()"),
        ("channels", "metadata = '{}'", "metadata = '{\"a\": 1}'"),
        ("channel_members", "role = 'member'", "role = 'admin'"),
        ("messages", "content = content", "content = content || '.'"),
        ("files", "size = size", "size = size + 1"),
        ("sync_state", "metadata = metadata", "last_sync = now() + '1 s'"),
    ],
)
def test_updated_at_moves_when_and_only_when_the_row_changes(
    migrated: Conn, full: dict[str, str], table: str, same: str, other: str
) -> None:
    name = sql.Identifier(table)
    with migrated.transaction():
        migrated.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER USER").format(name))
        migrated.execute(sql.SQL("UPDATE {} SET updated_at = %s").format(name), [OLD])
        migrated.execute(sql.SQL("ALTER TABLE {} ENABLE TRIGGER USER").format(name))
    for change, moved in ((same, False), (other, True)):
        setting = sql.SQL(change)
        migrated.execute(sql.SQL("UPDATE {} SET {}").format(name, setting))
        stamps = migrated.execute(sql.SQL("SELECT updated_at FROM {}").format(name)).fetchall()
        assert stamps
        assert all((stamp > OLD) is moved for (stamp,) in stamps)


@pytest.mark.parametrize(
    ("table", "change"),
    [("user_status", "last_seen = clock_timestamp()"), ("users", "last_seen_at = now()"),
     ("channel_members", "last_read_message_id = generate_ulid()"),
     ("messages", "status = 'delivered'")],
)  # fmt: skip
def test_frequent_updates_write_no_index(
    migrated: Conn, full: dict[str, str], table: str, change: str
) -> None:
    with migrated.transaction():
        for _ in range(5):
            migrated.execute(
                sql.SQL("UPDATE {} SET {}").format(sql.Identifier(table), sql.SQL(change))
            )
        row = migrated.execute(
            "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relname = %s",
            [table],
        ).fetchone()
    assert row is not None
    updates, hot = row
    assert updates == hot > 0


# --- at most 100 members --------------------------------------------------------------------------

LIMIT = "channel_members_limit"


@pytest.fixture
def second(migrated: Conn) -> Iterator[Conn]:
    with psycopg.connect(migrated.info.dsn, autocommit=True) as conn:
        yield conn


def refusal(action: Any, *arguments: Any) -> str | None:
    with pytest.raises(psycopg.errors.CheckViolation) as caught:
        action(*arguments)
    return caught.value.diag.constraint_name


def test_a_group_takes_100_members_and_not_one_more(migrated: Conn, ids: dict[str, str]) -> None:
    people = users(migrated, 101)
    add(migrated, ids["group"], people[:100])
    assert refusal(add, migrated, ids["group"], people[100:]) == LIMIT
    migrated.execute("DELETE FROM channel_members WHERE user_id = %s", [people[0]])
    add(migrated, ids["group"], people[100:])


def test_101_members_at_once_are_refused(migrated: Conn, ids: dict[str, str]) -> None:
    assert refusal(add, migrated, ids["group"], users(migrated, 101)) == LIMIT


@pytest.mark.parametrize("kind", ["public", "private"])
def test_a_public_or_private_channel_takes_any_number(
    migrated: Conn, ids: dict[str, str], kind: str
) -> None:
    add(migrated, ids[kind], users(migrated, 150))
    move = "UPDATE channel_members SET channel_id = %s WHERE channel_id = %s"
    assert refusal(migrated.execute, move, [ids["group"], ids[kind]]) == LIMIT
    turn = "UPDATE channels SET type = 'group' WHERE id = %s"
    assert refusal(migrated.execute, turn, [ids[kind]]) == LIMIT


def test_a_channel_with_100_members_may_become_a_group(migrated: Conn, ids: dict[str, str]) -> None:
    add(migrated, ids["public"], users(migrated, 100))
    migrated.execute("UPDATE channels SET type = 'group' WHERE id = %s", [ids["public"]])


def test_of_two_who_race_for_the_100th_place_one_gets_it(
    migrated: Conn, second: Conn, ids: dict[str, str]
) -> None:
    people = users(migrated, 101)
    group = ids["group"]
    add(migrated, group, people[:99])
    error = race(
        migrated,
        second,
        lambda: add(migrated, group, people[99:100]),
        lambda: add(second, group, people[100:]),
    )
    assert isinstance(error, psycopg.errors.CheckViolation)
    assert error.diag.constraint_name == LIMIT
    assert counts(migrated, "channel_members") == [100]


def test_the_100th_place_is_safe_under_repeatable_read(
    migrated: Conn, second: Conn, ids: dict[str, str]
) -> None:
    """A snapshot from before the other's commit can't count it: it has to fail, not to overfill."""
    people = users(migrated, 101)
    group = ids["group"]
    add(migrated, group, people[:99])
    second.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    assert value(second, "SELECT count(*) FROM channel_members") == 99
    add(migrated, group, people[99:100])
    with pytest.raises(psycopg.errors.SerializationFailure):
        add(second, group, people[100:])
    second.rollback()
    assert counts(migrated, "channel_members") == [100]


def test_who_joins_while_the_channel_becomes_a_group_is_counted(
    migrated: Conn, second: Conn, ids: dict[str, str]
) -> None:
    people = users(migrated, 101)
    room = ids["public"]
    add(migrated, room, people[:100])
    turn = "UPDATE channels SET type = 'group' WHERE id = %s"
    error = race(
        migrated,
        second,
        lambda: add(migrated, room, people[100:]),
        lambda: second.execute(turn, [room]),
    )
    assert isinstance(error, psycopg.errors.CheckViolation)
    migrated.execute("DELETE FROM channel_members WHERE user_id = %s", [people[100]])
    error = race(
        migrated,
        second,
        lambda: migrated.execute(turn, [room]),
        lambda: add(second, room, people[100:]),
    )
    assert isinstance(error, psycopg.errors.CheckViolation)
    assert counts(migrated, "channel_members") == [100]


def test_joining_a_public_channel_waits_for_nobody(
    migrated: Conn, second: Conn, ids: dict[str, str]
) -> None:
    people = users(migrated, 2)
    second.execute("SET lock_timeout = '2s'")
    with migrated.transaction():
        add(migrated, ids["public"], people[:1])
        add(second, ids["public"], people[1:])
    assert second.info.transaction_status == TransactionStatus.IDLE


def test_the_limit_holds_whatever_the_callers_search_path(
    migrated: Conn, ids: dict[str, str]
) -> None:
    people = users(migrated, 101)
    migrated.execute("SET search_path = pg_catalog")
    with pytest.raises(psycopg.errors.CheckViolation) as caught:
        migrated.execute(
            "INSERT INTO public.channel_members (channel_id, user_id)"
            " SELECT %s, unnest(%s::text[])",
            [ids["group"], people],
        )
    assert caught.value.diag.constraint_name == LIMIT


# --- the catalog ----------------------------------------------------------------------------------

OURS = "n.nspname = 'public' AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = {}.oid AND d.deptype = 'e')"  # noqa: E501
HISTORY = "c.relname NOT LIKE '%yoyo%' AND c.relname NOT LIKE 'chatdb%'"


def listed(conn: Conn, query: str) -> list[Any]:
    return [row[0] for row in conn.execute(query)]


def test_all_tables_are_there(migrated: Conn) -> None:
    there = listed(
        migrated,
        "SELECT relname FROM pg_class c WHERE relkind = 'r'"
        f" AND relnamespace = 'public'::regnamespace AND {HISTORY}",
    )
    assert set(there) == TABLES | {"events", "events_state"}


def test_every_foreign_key_has_a_leading_index_and_an_on_delete(migrated: Conn) -> None:
    bare = """
        SELECT k.conname FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
         WHERE k.contype = 'f' AND n.nspname = 'public'
           AND NOT EXISTS (
             SELECT FROM pg_index i
              WHERE i.indrelid = k.conrelid AND i.indisvalid AND i.indexprs IS NULL
                AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey
                AND (i.indpred IS NULL
                     OR pg_get_expr(i.indpred, i.indrelid) ~ '^[(]\\w+ IS NOT NULL[)]$'))"""
    assert listed(migrated, bare) == []
    no_action = """
        SELECT k.conname FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
         WHERE k.contype = 'f' AND n.nspname = 'public' AND k.confdeltype = 'a'"""
    assert listed(migrated, no_action) == []


def test_every_table_and_function_says_what_it_is_for(migrated: Conn) -> None:
    tables = f"""
        SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE c.relkind IN ('r', 'p', 'v') AND {OURS.format("c")} AND {HISTORY}
           AND coalesce(obj_description(c.oid, 'pg_class'), '') = ''"""
    functions = f"""
        SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
         WHERE {OURS.format("p")} AND coalesce(obj_description(p.oid, 'pg_proc'), '') = ''"""
    assert listed(migrated, tables) == []
    assert listed(migrated, functions) == []


def test_ids_are_ulids_in_collation_c_with_the_format_on_the_id_alone(migrated: Conn) -> None:
    columns = migrated.execute(
        "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), o.collname,"
        "       pg_get_expr(d.adbin, d.adrelid)"
        "  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
        "  JOIN pg_collation o ON o.oid = a.attcollation"
        "  LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum"
        " WHERE c.relkind = 'r' AND c.relname = ANY (%s)"
        "   AND (a.attname ~ '(^|_)id$' OR a.attname IN ('created_by', 'edited_by', 'direct_low',"
        "   'direct_high'))"
        "   AND a.attname NOT IN ('auth0_id', 'client_message_id')",
        [sorted(TABLES)],
    ).fetchall()
    assert len(columns) > 40
    for table, column, kind, collation, default in columns:
        assert (kind, collation) == ("character varying(26)", "C"), (table, column)
        assert default == ("generate_ulid()" if column == "id" else None), (table, column)


def test_functions_that_name_tables_pin_their_search_path(migrated: Conn) -> None:
    pinned = listed(
        migrated,
        f"SELECT coalesce(p.proconfig::text, '') FROM pg_proc p"
        f" JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {OURS.format('p')} AND p.prosecdef",
    )
    assert pinned
    assert all(re.search(r"search_path=public.*pg_temp", setting) for setting in pinned)


def test_the_newest_page_of_a_channel_is_one_index_range(
    migrated: Conn, ids: dict[str, str]
) -> None:
    migrated.execute(
        "INSERT INTO messages (channel_id, user_id, content)"
        " SELECT %s, %s, 'message ' || n FROM generate_series(1, 2000) n",
        [ids["group"], ids["ada"]],
    )
    migrated.execute("ANALYZE messages")
    plan = "\n".join(
        row[0]
        for row in migrated.execute(
            "EXPLAIN SELECT * FROM messages WHERE channel_id = %s AND id < 'Z'"
            " ORDER BY id DESC LIMIT 50",
            [ids["public"]],
        )
    )
    assert "messages_channel_newest_idx" in plan
    assert "Sort" not in plan


def test_search_finds_parts_of_words_by_index(migrated: Conn, ids: dict[str, str]) -> None:
    insert(migrated, "messages", channel_id=ids["public"], user_id=ids["ada"],
           content="Der Donaudampfer legt ab")  # fmt: skip
    migrated.execute("SET enable_seqscan = off")
    search = "SELECT count(*) FROM messages WHERE content ILIKE '%DAMPF%' AND deleted_at IS NULL"
    assert value(migrated, search) == 1
    plan = "\n".join(row[0] for row in migrated.execute("EXPLAIN " + search))
    assert "messages_content_search_idx" in plan


# --- up and down ----------------------------------------------------------------------------------

# What is the server's own (an oid below 16384) is left out, but schemas: a step may grant them.
CATALOG = {
    "relations": "SELECT oid::regclass::text, relkind, relpersistence, reloptions, relrowsecurity,"
    " relforcerowsecurity, relowner::regrole FROM pg_class WHERE oid >= 16384"
    " AND relnamespace <> 'pg_toast'::regnamespace",
    "functions": "SELECT pg_get_functiondef(p.oid), obj_description(p.oid, 'pg_proc'),"
    " proowner::regrole FROM pg_proc p WHERE prokind = 'f' AND oid >= 16384 AND prolang <> 13",
    "indexes": "SELECT pg_get_indexdef(indexrelid), indisvalid FROM pg_index"
    " WHERE indrelid >= 16384 AND indrelid::regclass::text NOT LIKE 'pg_toast%'",
    "constraints": "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)"
    " FROM pg_constraint WHERE oid >= 16384",
    "triggers": "SELECT pg_get_triggerdef(oid), tgenabled FROM pg_trigger WHERE NOT tgisinternal",
    "columns": "SELECT attrelid::regclass::text, attname, atttypid::regtype, atttypmod, attnotnull,"
    " attcollation::regcollation::text, pg_get_expr(adbin, adrelid)"
    " FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum"
    " WHERE attnum > 0 AND attrelid >= 16384 AND attrelid::regclass::text NOT LIKE 'pg_toast%'",
    "types": "SELECT oid::regtype::text FROM pg_type WHERE typtype <> 'b' AND oid >= 16384",
    "comments": "SELECT classoid::regclass::text, pg_describe_object(classoid, objoid, objsubid),"
    " description FROM pg_description WHERE objoid >= 16384",
    "extensions": "SELECT extname, extnamespace::regnamespace::text,"
    " obj_description(oid, 'pg_extension') FROM pg_extension",
    "views": "SELECT oid::regclass::text, pg_get_viewdef(oid) FROM pg_class"
    " WHERE relkind IN ('v', 'm') AND oid >= 16384",
    "policies": "SELECT polrelid::regclass::text, polname, polcmd, polpermissive,"
    " polroles::regrole[]::text, pg_get_expr(polqual, polrelid),"
    " pg_get_expr(polwithcheck, polrelid) FROM pg_policy",
    "default rights": "SELECT defaclrole::regrole, defaclnamespace::regnamespace::text,"
    " defaclobjtype, defaclacl::text FROM pg_default_acl",
}
# Rights that were given and taken back are written down as they were by default.
RIGHTS = {
    "schemas": "pg_namespace, aclexplode(coalesce(nspacl, acldefault('n', nspowner))) a",
    "relations": "pg_class, aclexplode(coalesce(relacl,"
    " acldefault((CASE relkind WHEN 'S' THEN 's' ELSE 'r' END)::\"char\", relowner))) a"
    " WHERE oid >= 16384 AND relkind IN ('r', 'v', 'S', 'm', 'p')",
    "functions": "pg_proc, aclexplode(coalesce(proacl, acldefault('f', proowner))) a"
    " WHERE oid >= 16384",
    "types": "pg_type, aclexplode(coalesce(typacl, acldefault('T', typowner))) a"
    " WHERE oid >= 16384 AND typelem = 0",
}
for _kind, _source in RIGHTS.items():
    _class = _source.split(",")[0]
    CATALOG[f"rights on {_kind}"] = (
        f"SELECT pg_describe_object('{_class}'::regclass, oid, 0), grantor::regrole::text,"
        f" grantee::regrole::text, privilege_type, is_grantable FROM {_source}"
    )
CATALOG["rights on columns"] = (
    "SELECT attrelid::regclass::text, attname, grantor::regrole::text, grantee::regrole::text,"
    " privilege_type, is_grantable FROM pg_attribute, aclexplode(attacl) WHERE attrelid >= 16384"
)


def catalog(conn: Conn) -> dict[str, list[str]]:
    """What the database holds, in words: no oid, no order of creation."""
    with conn.transaction():
        conn.execute("SET LOCAL search_path = pg_catalog")
        return {
            kind: sorted(map(str, conn.execute(query).fetchall()))
            for kind, query in CATALOG.items()
        }


def test_each_down_is_the_exact_inverse_of_its_up(database: Database) -> None:
    with database.connect() as conn:
        states = [catalog(conn)]
        for stem in STEMS:
            run(conn, "up", stem)
            states.append(catalog(conn))
            run(conn, "down", stem)
            # before it the last step went up a second time: that, too, has to be as it was
            assert catalog(conn) == states[-2], stem
            run(conn, "up", stem)
        assert catalog(conn) == states[-1]
        for stem in reversed(STEMS):
            run(conn, "down", stem)
        assert catalog(conn) == states[0]


@pytest.mark.parametrize("order", [["one", "Two"], ["Two", "one"]])
def test_two_copies_live_in_one_database_and_the_last_one_clears_up(
    database: Database, order: list[str]
) -> None:
    notices: list[str | None] = []
    with database.connect() as conn:
        conn.add_notice_handler(lambda said: notices.append(said.message_primary))
        conn.execute('CREATE SCHEMA one; CREATE SCHEMA "Two"')
        before = catalog(conn)
        for schema in ("one", "Two"):
            for stem in STEMS:
                run(conn, "up", stem, f'"{schema}", public')
        notices.clear()
        for stem in reversed(STEMS):
            run(conn, "down", stem, f'"{order[0]}", public')
        assert f'the extension "citext" stays: the chat schema in "{order[1]}" uses it' in notices
        for stem in reversed(STEMS):
            run(conn, "down", stem, f'"{order[1]}", public')
        assert catalog(conn) == before


def test_several_copies_may_be_built_at_the_same_moment(database: Database) -> None:
    names = ["a", "b", "c", "d"]
    failed: list[psycopg.Error] = []
    together = threading.Barrier(len(names))

    def build(schema: str) -> None:
        try:
            with database.connect() as conn:
                together.wait(20)
                for stem in STEMS:
                    run(conn, "up", stem, f"{schema}, public")
        except psycopg.Error as error:
            failed.append(error)

    with database.connect() as conn:
        for name in names:
            conn.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
    builders = [threading.Thread(target=build, args=[name]) for name in names]
    for builder in builders:
        builder.start()
    for builder in builders:
        builder.join(60)
    assert failed == []


def test_extensions_that_were_there_before_are_used_and_stay(database: Database) -> None:
    with database.connect() as conn:
        conn.execute("CREATE SCHEMA lib; CREATE EXTENSION citext SCHEMA lib")
        conn.execute("CREATE EXTENSION pg_trgm SCHEMA lib; CREATE SCHEMA chat")
        before = catalog(conn)
        for stem in CORE:
            run(conn, "up", stem, "chat, lib")
        conn.execute("SET search_path = chat, lib")
        user(conn, "ada")
        refused(conn, UNIQUE, "users_email_live_key", "users", email="ADA@example.org",
                username="eve", auth0_id="eve")  # fmt: skip
        for stem in reversed(CORE):
            run(conn, "down", stem, "chat, lib")
        assert catalog(conn) == before


@pytest.fixture
def stranger(database: Database) -> Iterator[str]:
    """A role that owns the schema "chat" and may create no extension."""
    name = f"stranger_{database.name}"
    database.server.execute(f"CREATE ROLE {name}")
    with database.connect() as conn:
        conn.execute(f"CREATE SCHEMA chat AUTHORIZATION {name}")
        yield name
        conn.execute(f"DROP OWNED BY {name}")
    database.server.execute(f"DROP ROLE {name}")


def test_who_may_not_create_citext_is_told_what_to_do(database: Database, stranger: str) -> None:
    with database.connect() as conn:
        conn.execute(f"SET ROLE {stranger}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match='"citext" is required') as e:
            run(conn, "up", CORE[0], "chat, public")
        assert "CREATE EXTENSION citext" in str(e.value.diag.message_hint)


def test_who_may_not_create_extensions_migrates_where_citext_is_there(
    database: Database, stranger: str
) -> None:
    with database.connect() as conn:
        conn.execute("CREATE EXTENSION citext")
        before = catalog(conn)
        conn.execute(f"SET ROLE {stranger}")
        for stem in CORE:
            run(conn, "up", stem, "chat, public")
        for stem in reversed(CORE):
            run(conn, "down", stem, "chat, public")
        assert catalog(conn) == before


@pytest.mark.parametrize("stem", STEMS)
def test_a_down_has_no_cascade_and_no_if_exists(stem: str) -> None:
    code = re.sub(r"--.*", "", (SHIPPED / "down" / f"{stem}.sql").read_text()).upper()
    assert "CASCADE" not in code
    assert "IF EXISTS (" in code or "IF EXISTS" not in code
