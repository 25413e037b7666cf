"""Pages of messages and channels have no gaps or duplicates; unread counts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.support.chat import (
    Conn,
    Row,
    ids_of,
    insert,
    insert_messages,
    rows,
    send,
    ulid,
    value,
)

# Few examples, because each sends several statements to a real server.
FEW = hypothesis_settings(max_examples=25, deadline=None, database=None)


NUMBERED = st.lists(
    st.tuples(st.integers(1, 99), st.booleans()), max_size=14, unique_by=lambda m: m[0]
)


@given(NUMBERED, st.integers(1, 5))
@FEW
def test_pages_of_messages_have_no_gaps_or_duplicates_while_others_write(
    shared: tuple[Conn, dict[str, str]], messages: list[tuple[int, bool]], size: int
) -> None:
    conn, ids = shared
    with conn.transaction(force_rollback=True):
        insert_messages(conn, ids["group"], ids["ada"], messages)
        seen: list[str] = []
        before, arrived = None, 100
        while page := rows(conn, "list_messages", ids["group"], size, before):
            assert len(page) <= size
            seen += ids_of(page)
            before = seen[-1]
            # Between two pages, another session writes, and deletes rows already read.
            insert_messages(conn, ids["group"], ids["bob"], [(arrived, False)])
            conn.execute("UPDATE messages SET deleted_at = now() WHERE id = %s", [seen[0]])
            arrived += 1
        assert seen == sorted((ulid(n) for n, deleted in messages if not deleted), reverse=True)


@given(st.lists(st.lists(st.tuples(st.integers(1, 999), st.booleans()), max_size=3), max_size=7),
       st.integers(1, 3))  # fmt: skip
@FEW
def test_pages_of_channels_are_ordered_by_last_activity_without_duplicates(
    shared: tuple[Conn, dict[str, str]],
    channels: list[list[tuple[int, bool]]],
    size: int,
) -> None:
    conn, ids = shared
    with conn.transaction(force_rollback=True):
        conn.execute("DELETE FROM channel_members WHERE user_id = %s", [ids["eve"]])
        expected = []
        for number, messages in enumerate(channels):
            channel = ulid(10**6 - 10**3 * number)  # older ones have newer messages, or none
            insert(conn, "channels", id=channel, type="group", name="x")
            conn.execute(
                "INSERT INTO channel_members (channel_id, user_id) VALUES (%s, %s)",
                [channel, ids["eve"]],
            )
            once = {(2 + number) * 10**6 + n: deleted for n, deleted in messages}
            insert_messages(conn, channel, ids["ada"], list(once.items()))
            live = [ulid(n) for n, deleted in once.items() if not deleted]
            expected.append((max(live, default=channel), channel, len(live)))
        expected.sort(reverse=True)

        seen: list[Row] = []
        before = None
        while page := rows(conn, "list_channels", ids["eve"], size, before):
            assert len(page) <= size
            seen += page
            before = page[-1]["last_activity"]
        assert [(r["last_activity"], r["id"], r["unread"]) for r in seen] == expected
        assert all(r["last_message_id"] in (None, r["last_activity"]) for r in seen)


@given(
    st.lists(st.tuples(st.booleans(), st.booleans()), max_size=25),
    st.one_of(st.none(), st.integers(0, 26)),
)
@FEW
def test_unread_counts_are_the_live_messages_of_others_after_the_marker(
    shared: tuple[Conn, dict[str, str]],
    messages: list[tuple[bool, bool]],
    marker: int | None,
) -> None:
    conn, ids = shared
    with conn.transaction(force_rollback=True):
        for number, (own, deleted) in enumerate(messages):
            insert_messages(conn, ids["group"], ids["ada" if own else "bob"], [(number, deleted)])
        conn.execute(
            "UPDATE channel_members SET last_read_message_id = %s"
            " WHERE channel_id = %s AND user_id = %s",
            [None if marker is None else ulid(marker), ids["group"], ids["ada"]],
        )
        plain = sum(
            not own and not deleted and number > (-1 if marker is None else marker)
            for number, (own, deleted) in enumerate(messages)
        )
        counts = {r["channel_id"]: r["unread"] for r in rows(conn, "unread_counts", ids["ada"])}
        assert counts[ids["group"]] == plain
        assert set(counts) == {ids[n] for n in ("room", "group", "archive", "direct")}
        listed = {r["id"]: r["unread"] for r in rows(conn, "list_channels", ids["ada"])}
        assert listed == counts


@pytest.mark.parametrize(("written", "counted"), [(99, 99), (100, 100), (101, 100), (300, 100)])
def test_unread_messages_are_counted_up_to_100(
    chat: Conn, ids: dict[str, str], written: int, counted: int
) -> None:
    insert_messages(chat, ids["group"], ids["bob"], [(n, False) for n in range(written)])
    counts = {r["channel_id"]: r["unread"] for r in rows(chat, "unread_counts", ids["ada"])}
    assert counts[ids["group"]] == counted


def test_a_channel_in_the_list_has_the_fields_that_a_client_shows(
    chat: Conn, ids: dict[str, str]
) -> None:
    message = send(chat, ids["direct"], ids["ada"], "é" * 150)
    listed = {r["id"]: r for r in rows(chat, "list_channels", ids["bob"])}
    assert set(listed) == {ids[n] for n in ("room", "group", "archive", "direct")}
    direct = listed[ids["direct"]]
    assert direct["direct_user_id"] == ids["ada"]
    assert direct["last_message_preview"] == "é" * 100
    assert (direct["last_message_id"], direct["last_message_user_id"]) == (message, ids["ada"])
    assert (direct["last_message_at"], direct["unread"]) == (value(chat, "SELECT now()"), 1)
    assert listed[ids["group"]]["last_message_id"] is None
    assert listed[ids["group"]]["last_activity"] == ids["group"]
    assert (listed[ids["room"]]["role"], listed[ids["archive"]]["archived_at"] is None) == (
        "member", False,
    )  # fmt: skip


READS = [
    ("find_user", "'x'"),
    ("find_user_by_email", "'x'"),
    ("find_user_by_username", "'x'"),
    ("find_channel", "'x'"),
    ("find_message", "'x'"),
    ("find_message_by_client_id", "'x', 'y'"),
    ("list_messages", "'x'"),
    ("list_messages", "'x', 10, 'y'"),
    ("unread_counts", "'x'"),
    ("list_channels", "'x'"),
    ("list_notifications", "'x', unread_only => true"),
    ("list_typing", "'x'"),
]


@pytest.mark.parametrize("role", [None, "chat_app"])
@pytest.mark.parametrize(("function", "args"), READS)
def test_reads_are_inlined_into_the_query_that_calls_them(
    chat: Conn, function: str, args: str, role: str | None
) -> None:
    if role:
        chat.execute(f"SET LOCAL ROLE {role}")
    chat.execute("SET LOCAL enable_seqscan = off")
    plan = "\n".join(r[0] for r in chat.execute(f"EXPLAIN SELECT * FROM {function}({args})"))
    assert "Function Scan" not in plan
    assert "Index" in plan


def test_the_newest_page_is_one_index_range_under_row_level_security(
    chat: Conn, ids: dict[str, str]
) -> None:
    """A policy must not be evaluated before the index condition: only the page is read."""
    insert_messages(chat, ids["room"], ids["bob"], [(n, False) for n in range(1000, 3000)])
    insert_messages(chat, ids["group"], ids["bob"], [(n, False) for n in range(100)])
    chat.execute("ANALYZE messages")
    chat.execute("SET LOCAL ROLE chat_app")
    chat.execute("SELECT set_config('chat.user_id', %s, true)", [ids["ada"]])
    explain = "EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF, FORMAT JSON) SELECT * FROM "
    plan = value(chat, explain + "list_messages(%s, 20)", ids["group"])[0]["Plan"]
    scans = [node for node in nodes(plan) if node.get("Relation Name") == "messages"]
    assert [scan["Index Name"] for scan in scans] == ["messages_channel_newest_idx"]
    assert scans[0]["Actual Rows"] == 20
    assert scans[0].get("Rows Removed by Filter", 0) == 0


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(inner for child in plan.get("Plans", []) for inner in nodes(child))]
