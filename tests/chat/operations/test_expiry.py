"""Rows that expire."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.support.chat import (
    LATER,
    Conn,
    call,
    call_value,
    digest,
    insert,
    rows,
    value,
)


def test_a_session_is_stored_found_and_replaced(chat: Conn, ids: dict[str, str]) -> None:
    call(chat, "put_session", digest("s"), {"a": 1}, LATER)
    assert call(chat, "get_session", digest("s"))["user_id"] is None
    call(chat, "put_session", digest("s"), {"b": 2}, LATER, ids["ada"])
    session = call(chat, "get_session", digest("s"))
    assert (session["user_id"], session["data"]) == (ids["ada"], {"b": 2})


def test_a_typing_indicator_is_visible_until_it_expires(chat: Conn, ids: dict[str, str]) -> None:
    until = call_value(chat, "start_typing", ids["room"], ids["ada"], timedelta(hours=1))
    call_value(chat, "start_typing", ids["room"], ids["bob"], timedelta(0))
    results = rows(chat, "list_typing", ids["room"])
    assert [(r["user_id"], r["expires_at"]) for r in results] == [(ids["ada"], until)]
    call_value(chat, "start_typing", ids["room"], ids["ada"], timedelta(0))
    assert rows(chat, "list_typing", ids["room"]) == []


def expired_rows(conn: Conn, ids: dict[str, str], when: Any) -> None:
    """Insert one row of each kind that expires, all at a given time."""
    ada = ids["ada"]
    call(conn, "notify_user", ada, "system", expires_at=when)
    call(conn, "put_session", digest("s"), {}, when)
    call(conn, "issue_token", ada, digest("t"), when)
    insert(conn, "typing_indicators", channel_id=ids["room"], user_id=ada, expires_at=when)
    insert(conn, "rate_limits", key="k", window_start="2000-01-01", window_end=when, hits=9)


@pytest.mark.parametrize("when", ["yesterday", "a moment ago"])
def test_no_read_ever_returns_an_expired_row(chat: Conn, ids: dict[str, str], when: str) -> None:
    """Not even in a transaction that started before it expired."""
    expired_rows(chat, ids, value(chat, "SELECT clock_timestamp()") if when[0] == "a" else when)
    assert rows(chat, "list_notifications", ids["ada"]) == []
    told = value(chat, "SELECT id FROM notifications")
    assert call_value(chat, "mark_notification_read", told, ids["ada"]) is False
    assert rows(chat, "get_session", digest("s")) == []
    assert rows(chat, "list_typing", ids["room"]) == []
    assert call_value(chat, "use_token", digest("t")) is None
    assert call_value(chat, "revoke_tokens", ids["ada"]) == 0
    assert call_value(chat, "hit_rate_limit", "k", 1, "1 h") is True


def test_only_expired_rows_are_purged(chat: Conn, ids: dict[str, str]) -> None:
    expired_rows(chat, ids, "yesterday")
    call(chat, "notify_user", ids["ada"], "system")
    call(chat, "notify_user", ids["ada"], "system", expires_at="tomorrow")
    call(chat, "put_session", digest("s2"), {}, "tomorrow")
    call(chat, "issue_token", ids["ada"], digest("t2"), "tomorrow")
    call(chat, "start_typing", ids["room"], ids["bob"])
    call_value(chat, "hit_rate_limit", "k2", 1, "1 h")
    file = {"user_id": ids["ada"], "name": "a", "type": "b", "size": 1, "url": "c"}
    for message, at in ((None, "yesterday"), (None, "now"), (ids["first"], "yesterday")):
        insert(chat, "files", **file, message_id=message, created_at=at)
    for name, age in (("ada", "91 s"), ("bob", "89 s"), ("eve", "1 h")):
        call(chat, "set_presence", ids[name], "away" if name != "eve" else "offline")
        chat.execute("UPDATE user_status SET last_seen = now() - %s::interval WHERE user_id = %s",
                     [age, ids[name]])  # fmt: skip
    assert call_value(chat, "purge_expired") == 7
    states = chat.execute("SELECT status FROM user_status ORDER BY user_id").fetchall()
    assert states == [("offline",), ("away",), ("offline",)]
    assert value(chat, "SELECT count(*) FROM files") == 2
    assert call_value(chat, "purge_expired") == 0
    left = ("notifications", "sessions", "refresh_tokens", "typing_indicators", "rate_limits")
    counts = [value(chat, f"SELECT count(*) FROM {table}") for table in left]
    assert counts == [2, 1, 1, 1, 1]


def test_a_session_is_ended_by_its_id_and_all_of_a_user_together(
    chat: Conn, ids: dict[str, str]
) -> None:
    for name, who in (("1", "ada"), ("2", "ada"), ("3", "ada"), ("4", "bob")):
        call(chat, "put_session", digest(name), {}, LATER, ids[who])
    call(chat, "put_session", digest("guest"), {}, LATER)
    assert call_value(chat, "end_session", digest("1")) is True
    assert call_value(chat, "end_session", digest("1")) is False
    assert call_value(chat, "end_session", digest("guest")) is True
    assert call_value(chat, "end_sessions", ids["ada"]) == 2
    assert value(chat, "SELECT user_id FROM sessions") == ids["bob"]


def test_a_purge_reads_no_table_that_may_be_large_as_a_whole(chat: Conn) -> None:
    indexes = chat.execute(
        "SELECT relname, attname FROM pg_index JOIN pg_class ON pg_class.oid = indrelid"
        " JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]"
        " WHERE attname IN ('expires_at', 'window_end')"
    )
    assert {table for table, _ in indexes} == {
        "notifications", "sessions", "refresh_tokens", "rate_limits"
    }  # fmt: skip


def test_a_rate_limit_counts_within_its_window(chat: Conn) -> None:
    assert [call_value(chat, "hit_rate_limit", "k", 3, "1 h") for _ in range(5)] == [
        True, True, True, False, False
    ]  # fmt: skip
    assert value(chat, "SELECT hits FROM rate_limits") == 3
    assert call_value(chat, "hit_rate_limit", "other", 1, "1 h") is True
    assert call_value(chat, "hit_rate_limit", "k", 4, "1 h") is True
    chat.execute("UPDATE rate_limits SET window_end = clock_timestamp()")
    assert [call_value(chat, "hit_rate_limit", "k", 1, "1 h") for _ in range(2)] == [True, False]
    assert value(chat, "SELECT window_end - window_start FROM rate_limits WHERE key = 'k'") == (
        timedelta(hours=1)
    )
