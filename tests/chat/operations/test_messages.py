"""Messages: sent, changed, deleted, searched, read and delivered; reactions."""

from __future__ import annotations

import pytest

from tests.support.chat import (
    FORBIDDEN,
    Conn,
    assert_call_fails,
    call,
    call_value,
    ids_of,
    rows,
    send,
    value,
)


def test_a_message_is_sent_found_and_answered(chat: Conn, ids: dict[str, str]) -> None:
    sent = call(
        chat, "send_message", ids["room"], ids["bob"], "Yes", "b1", ids["first"], "text", {"k": 1}
    )
    assert sent["reply_to_id"] == ids["first"]
    assert (sent["content"], sent["metadata"], sent["status"]) == ("Yes", {"k": 1}, "sending")
    assert call(chat, "find_message", sent["id"]) == sent
    assert call(chat, "find_message_by_client_id", ids["bob"], "b1") == sent
    picture = call(chat, "send_message", ids["room"], ids["bob"], "", content_type="image")
    assert picture["content"] == ""


def test_a_resend_returns_the_first_message_even_if_it_was_deleted(
    chat: Conn, ids: dict[str, str]
) -> None:
    again = call(chat, "send_message", ids["room"], ids["ada"], "Other words", "a1")
    assert (again["id"], again["content"]) == (ids["first"], "First")
    assert call_value(chat, "delete_message", ids["first"], ids["ada"])
    assert send(chat, ids["room"], ids["ada"], client_message_id="a1") == ids["first"]
    call(chat, "archive_channel", ids["room"])
    assert send(chat, ids["room"], ids["ada"], client_message_id="a1") == ids["first"]
    assert send(chat, ids["group"], ids["bob"], client_message_id="a1") != ids["first"]


def test_earlier_versions_of_an_edited_message_are_kept(chat: Conn, ids: dict[str, str]) -> None:
    first, ada = ids["first"], ids["ada"]
    for content in ("Two", "Two", "Three"):
        edited = call(chat, "edit_message", first, ada, content)
        assert edited["content"] == content
        assert edited["edited_at"] == value(chat, "SELECT now()")
    chat.execute("UPDATE messages SET status = 'read' WHERE id = %s", [first])
    edits = chat.execute(
        "SELECT previous_content, edited_by FROM message_edits WHERE message_id = %s ORDER BY id",
        [first],
    )
    assert edits.fetchall() == [("First", ada), ("Two", ada)]


def test_a_deleted_message_appears_in_no_read(chat: Conn, ids: dict[str, str]) -> None:
    call(
        chat,
        "edit_message",
        ids["first"],
        ids["ada"],
        "Findable",
    )
    assert ids_of(rows(chat, "search_messages", ids["bob"], "findable")) == [ids["first"]]
    assert call_value(chat, "delete_message", ids["first"], ids["ada"]) is True
    assert call_value(chat, "delete_message", ids["first"], ids["ada"]) is False
    assert rows(chat, "find_message", ids["first"]) == []
    assert rows(chat, "find_message_by_client_id", ids["ada"], "a1") == []
    assert ids_of(rows(chat, "list_messages", ids["room"])) == [ids["second"]]
    assert rows(chat, "search_messages", ids["bob"], "findable") == []
    unread = {r["channel_id"]: r["unread"] for r in rows(chat, "unread_counts", ids["bob"])}
    assert unread[ids["room"]] == 0


def test_an_admin_of_the_channel_may_delete_messages_of_others(
    chat: Conn, ids: dict[str, str]
) -> None:
    assert call_value(chat, "delete_message", ids["second"], ids["ada"]) is True
    assert value(chat, "SELECT content FROM messages WHERE id = %s", ids["second"]) == "Second"


@pytest.mark.parametrize(("setting", "count"), [("off", 0), ("false", 0), ("on", 1), ("", 1)])
def test_the_setting_decides_whether_a_delete_keeps_the_row(
    chat: Conn, ids: dict[str, str], setting: str, count: int
) -> None:
    chat.execute("SELECT set_config('chat.soft_delete', %s, true)", [setting])
    call(chat, "add_reaction", ids["first"], ids["bob"], "👍")
    assert_call_fails(chat, FORBIDDEN, "delete_message", ids["first"], ids["bob"])
    assert call_value(chat, "delete_message", ids["first"], ids["ada"]) is True
    assert value(chat, "SELECT count(*) FROM messages WHERE id = %s", ids["first"]) == count
    # without soft delete, rows marked before are deleted too
    assert call_value(chat, "delete_message", ids["deleted"], ids["ada"]) is (count == 0)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("100%", {"100% sure"}),
        ("%", {"100% sure", r"%\_"}),
        ("_", {"snake_case", r"%\_"}),
        ("\\", {"C:\\temp", r"%\_"}),
        (r"%\_", {r"%\_"}),
        ("e_c", {"snake_case"}),
        ("it's", {'It\'s "quoted"'}),
        ('"QUOTED"', {'It\'s "quoted"'}),
        ("'; DROP TABLE messages; --", set()),
        ("straße", {"Lange STRAßE"}),
        ("🙂", {"smile 🙂"}),
        ("  sure ", {"100% sure", "1000 sures"}),
        ("C:\\temp", {"C:\\temp"}),
        (".", set()),
        ("*", set()),
        ("tw\no", {"tw\no lines"}),
    ],
)
def test_a_search_matches_every_character_literally(
    chat: Conn, ids: dict[str, str], query: str, expected: set[str]
) -> None:
    texts = ["100% sure", "1000 sures", "snake_case", "snakexcase", "C:\\temp", r"%\_",
             'It\'s "quoted"', "Lange STRAßE", "smile 🙂", "tw\no lines"]  # fmt: skip
    for text in texts:
        send(chat, ids["group"], ids["bob"], text)
    hits = rows(chat, "search_messages", ids["ada"], query, channel_id=ids["group"])
    assert {hit["content"] for hit in hits} == expected


def test_a_search_covers_only_the_live_channels_of_the_user(
    chat: Conn, ids: dict[str, str]
) -> None:
    seen = {}
    for name in ("room", "group", "hall"):
        who = ids["eve"] if name == "hall" else ids["ada"]
        seen[name] = send(chat, ids[name], who, "needle")
    chat.execute("UPDATE messages SET content = 'needle' WHERE id = %s", [ids["lost"]])
    assert ids_of(rows(chat, "search_messages", ids["bob"], "NEEDLE")) == [
        seen["group"], seen["room"]
    ]  # fmt: skip
    one = rows(chat, "search_messages", ids["bob"], "needle", channel_id=ids["room"])
    assert ids_of(one) == [seen["room"]]
    assert rows(chat, "search_messages", ids["bob"], "needle", channel_id=ids["hall"]) == []
    assert ids_of(rows(chat, "search_messages", ids["bob"], "needle", 1)) == [seen["group"]]
    before = rows(chat, "search_messages", ids["bob"], "needle", 5, before=seen["group"])
    assert ids_of(before) == [seen["room"]]


def test_a_search_for_a_frequent_word_reads_the_newest_messages_not_all(
    chat: Conn, ids: dict[str, str]
) -> None:
    chat.execute(
        "INSERT INTO channels (type, name, created_by) SELECT 'private', 'x', %s"
        " FROM generate_series(1, 200)",
        [ids["ada"]],
    )
    chat.execute(
        "INSERT INTO channel_members (channel_id, user_id) SELECT id, created_by FROM channels"
        " WHERE name = 'x'"
    )
    chat.execute(
        "INSERT INTO messages (channel_id, user_id, content)"
        " SELECT id, created_by, 'hello ' || n FROM channels, generate_series(1, 20) n"
        " WHERE name = 'x'"
    )
    chat.execute("ANALYZE channels; ANALYZE channel_members; ANALYZE messages")
    rows(chat, "search_messages", ids["ada"], "hello", 20)  # fills the caches of the session
    explain = "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT JSON) SELECT * FROM "
    plan = value(chat, explain + "search_messages(%s, 'hello', 20)", ids["ada"])[0]["Plan"]
    assert plan["Actual Rows"] == 20
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 400


def test_the_read_marker_moves_forward_and_never_back(chat: Conn, ids: dict[str, str]) -> None:
    one, two, bob = ids["first"], ids["second"], ids["bob"]
    assert call_value(chat, "mark_read", two, bob) == two
    assert call_value(chat, "mark_read", one, bob) == two
    assert call_value(chat, "mark_read", two, bob) == two
    receipts = chat.execute("SELECT message_id FROM message_reads WHERE user_id = %s", [bob])
    assert {r[0] for r in receipts} == {one, two}
    other = value(
        chat, "SELECT last_read_message_id FROM channel_members WHERE channel_id = %s"
        " AND user_id = %s", ids["room"], ids["ada"],
    )  # fmt: skip
    assert other is None


def test_a_delivery_is_written_once(chat: Conn, ids: dict[str, str]) -> None:
    assert call_value(chat, "mark_delivered", ids["first"], ids["bob"]) is True
    assert call_value(chat, "mark_delivered", ids["first"], ids["bob"]) is False


def test_an_emoji_is_added_to_a_message_once_and_removed(chat: Conn, ids: dict[str, str]) -> None:
    first, bob = ids["first"], ids["bob"]
    reaction = call(chat, "add_reaction", first, bob, "👍")
    assert call(chat, "add_reaction", first, bob, "👍") == reaction
    assert call(chat, "add_reaction", first, bob, "🎉")["id"] != reaction["id"]
    assert call_value(chat, "remove_reaction", first, bob, "👍") is True
    assert call_value(chat, "remove_reaction", first, bob, "👍") is False
