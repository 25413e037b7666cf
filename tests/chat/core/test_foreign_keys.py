"""Foreign keys: rows that a delete removes, sets null or refuses to delete; and updated_at."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg
import pytest
from psycopg import sql

from tests.support.chat import (
    FOREIGN_KEY,
    Conn,
    counts,
    value,
)

# --- deletes --------------------------------------------------------------------------------------


def test_deleting_a_message_deletes_its_receipts_reactions_and_files(
    migrated: Conn, full: dict[str, str]
) -> None:
    migrated.execute("DELETE FROM messages WHERE id = %s", [full["message"]])
    assert counts(migrated, "message_reads", "reactions", "files", "messages") == [0, 0, 0, 1]
    assert value(migrated, "SELECT reply_to_id FROM messages") is None


def test_deleting_a_channel_deletes_its_messages_and_members(
    migrated: Conn, full: dict[str, str]
) -> None:
    migrated.execute("DELETE FROM channels WHERE id = %s", [full["public"]])
    assert counts(migrated, "channel_members", "messages") == [0, 1]


def test_deleting_a_user_deletes_their_own_rows(migrated: Conn, full: dict[str, str]) -> None:
    migrated.execute("DELETE FROM users WHERE id = %s", [full["bob"]])
    gone = ("user_settings", "user_status", "sync_state", "channel_members", "message_reads")
    assert counts(migrated, *gone) == [0, 0, 0, 0, 0]
    assert value(migrated, "SELECT created_by FROM channels WHERE id = %s", full["group"]) is None


@pytest.mark.parametrize(
    ("table", "constraint"),
    [("messages", "messages_user_id_fkey"), ("reactions", "reactions_user_id_fkey")],
)
def test_a_user_who_has_written_a_message_can_not_be_deleted(
    migrated: Conn, full: dict[str, str], table: str, constraint: str
) -> None:
    if table == "reactions":
        migrated.execute("UPDATE messages SET user_id = %s", [full["bob"]])
    with pytest.raises(psycopg.errors.IntegrityError) as caught:
        migrated.execute("DELETE FROM users WHERE id = %s", [full["ada"]])
    # for RESTRICT, PostgreSQL 18 has 23001, earlier versions 23503
    assert caught.value.sqlstate in {"23001", FOREIGN_KEY}
    assert caught.value.diag.constraint_name == constraint


def test_a_user_of_a_direct_channel_can_not_be_deleted(migrated: Conn, ids: dict[str, str]) -> None:
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
def test_updated_at_changes_if_and_only_if_the_row_changes(
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
        migrated.execute("SET LOCAL session_replication_role = replica")  # a status goes back, too
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
