"""Operations called at once by two sessions."""

from __future__ import annotations

import threading
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from tests.support.chat import (
    FORBIDDEN,
    FOREIGN_KEY,
    LATER,
    NO_DATA,
    TwoSessions,
    call,
    call_value,
    digest,
    ids_of,
    insert,
    members,
    race,
    relationships,
    rows,
    send,
    value,
    wait_until_blocked,
)


def test_a_direct_channel_opened_by_both_at_once_is_created_once(two: TwoSessions) -> None:
    ada, bob = two.create_people()
    one, other = two.race(("open_direct_channel", ada, bob), ("open_direct_channel", bob, ada))
    assert one["id"] == other["id"]
    assert members(two.first, one["id"]) == {ada: "member", bob: "member"}


def test_the_same_message_sent_twice_at_once_is_stored_once(two: TwoSessions) -> None:
    ada, _, room, first = two.room()
    again = ("send_message", room, ada, "Hi", "c1")
    one, other = two.race(again, again)
    assert one == other
    assert ids_of(rows(two.first, "list_messages", room)) == [one["id"], first]


def test_the_second_sender_of_a_message_continues_when_the_first_fails(
    two: TwoSessions,
) -> None:
    ada, _, room, _ = two.room()
    again = ("send_message", room, ada, "Hi", "c1")
    waiting = threading.Thread(target=lambda: rows(two.second, *again))
    with two.first.transaction(force_rollback=True):
        lost = call(two.first, *again)["id"]
        waiting.start()
        assert wait_until_blocked(two.first, two.second.info.backend_pid)
    waiting.join(20)
    assert call(two.first, "find_message_by_client_id", ada, "c1")["id"] != lost


@pytest.mark.parametrize(
    "case", ["direct", "message", "friend", "friend again", "token", "reaction", "edit", "limit"]
)
def test_under_repeatable_read_the_second_sender_gets_a_serialization_failure_and_then_succeeds(
    two: TwoSessions, case: str
) -> None:
    """A snapshot from before the other commit must cause 40001, never a duplicate."""
    ada, bob, room, first = two.room()
    token = digest(ada)
    call(two.first, "issue_token", ada, token, LATER)
    key = f"key {ada}"
    call_value(two.first, "hit_rate_limit", key, 2, "1 h")
    calls: dict[str, tuple[Any, Any]] = {
        "direct": (("open_direct_channel", ada, bob), ("open_direct_channel", bob, ada)),
        "message": (("send_message", room, ada, "Hi", "c1"),) * 2,
        "friend": (("request_friend", ada, bob), ("request_friend", bob, ada)),
        "friend again": (("request_friend", ada, bob),) * 2,
        "token": (("use_token", token),) * 2,
        "reaction": (("add_reaction", first, bob, "👍"),) * 2,
        "edit": (("delete_message", first, ada), ("delete_message", first, ada)),
        "limit": (("hit_rate_limit", key, 2, "1 h"),) * 2,
    }
    then = two.fail_late_call(*calls[case])()
    if case == "friend":
        assert (then["user_id"], then["status"]) == (ada, "accepted")
    count = {
        "direct": "SELECT count(*) FROM channels WHERE direct_low = %s",
        "message": "SELECT count(*) FROM messages WHERE client_message_id = 'c1' AND user_id = %s",
        "friend": "SELECT count(*) FROM relationships WHERE %s IN (user_id, related_user_id)",
        "friend again": "SELECT count(*) FROM relationships WHERE user_id = %s",
        "reaction": "SELECT count(*) FROM reactions r JOIN messages m ON m.id = message_id"
        " WHERE m.user_id = %s",
    }
    if case in count:
        assert value(two.first, count[case], ada) == 1
    else:
        assert list(then.values()) in ([None], [False])


def test_a_delete_that_comes_during_an_edit_deletes_what_was_edited(two: TwoSessions) -> None:
    ada, _, room, first = two.room()
    edited, deleted = two.race(("edit_message", first, ada, "New"), ("delete_message", first, ada))
    assert (edited["content"], deleted["delete_message"]) == ("New", True)
    assert rows(two.first, "list_messages", room) == []


@pytest.mark.parametrize("soft", ["on", "off"])
def test_an_edit_that_comes_during_a_delete_finds_no_message(two: TwoSessions, soft: str) -> None:
    ada, _, _, first = two.room()
    two.first.execute("SELECT set_config('chat.soft_delete', %s, false)", [soft])
    with pytest.raises(psycopg.errors.NoDataFound):
        two.race(("delete_message", first, ada), ("edit_message", first, ada, "New"))
    two.first.execute("RESET chat.soft_delete")
    contents = two.first.execute("SELECT content FROM messages WHERE id = %s", [first]).fetchall()
    assert contents == ([("First",)] if soft == "on" else [])
    edits = "SELECT count(*) FROM message_edits WHERE message_id = %s"
    assert value(two.first, edits, first) == 0


def test_only_one_of_two_concurrent_deletes_deletes_the_message(two: TwoSessions) -> None:
    ada, _, _, first = two.room()
    both = two.race(("delete_message", first, ada), ("delete_message", first, ada))
    assert [row["delete_message"] for row in both] == [True, False]


def test_two_users_who_ask_each_other_at_once_become_friends(two: TwoSessions) -> None:
    ada, bob = two.create_people()
    one, other = two.race(("request_friend", ada, bob), ("request_friend", bob, ada))
    assert (one["status"], other["status"], one["id"]) == ("pending", "accepted", other["id"])
    assert relationships(two.first) >= {(ada, bob, "friend", "accepted")}
    assert rows(two.first, "unblock_user", bob, ada)[0]["unblock_user"] is False


def test_two_friend_requests_at_once_count_as_one(two: TwoSessions) -> None:
    ada, bob = two.create_people()
    one, other = two.race(("request_friend", ada, bob), ("request_friend", ada, bob))
    assert one == other


def test_a_block_wins_over_a_friend_request_at_the_same_time(two: TwoSessions) -> None:
    ada, bob = two.create_people()
    two.race(("request_friend", ada, bob), ("block_user", bob, ada))
    mine = {r for r in relationships(two.first) if ada in r}
    assert mine == {(bob, ada, "blocked", "accepted")}
    cay, dan = two.create_people()
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        two.race(("block_user", cay, dan), ("request_friend", dan, cay))


def test_two_users_who_block_each_other_at_once_are_both_blocked(two: TwoSessions) -> None:
    ada, bob = two.create_people()
    two.race(("block_user", ada, bob), ("block_user", bob, ada))
    mine = {r[:3] for r in relationships(two.first) if ada in r}
    assert mine == {(ada, bob, "blocked"), (bob, ada, "blocked")}


def test_a_request_is_answered_once(two: TwoSessions) -> None:
    ada, bob = two.create_people()
    call(two.first, "request_friend", ada, bob)
    with pytest.raises(psycopg.errors.NoDataFound):
        two.race(("answer_friend", bob, ada, True), ("answer_friend", bob, ada, False))
    assert (ada, bob, "friend", "accepted") in relationships(two.first)


def test_only_one_of_two_concurrent_uses_of_a_token_succeeds(two: TwoSessions) -> None:
    ada, _ = two.create_people()
    call(two.first, "issue_token", ada, digest(ada), LATER)
    both = two.race(("use_token", digest(ada)), ("use_token", digest(ada)))
    assert [row["use_token"] for row in both] == [ada, None]


def test_the_same_emoji_added_twice_at_once_is_stored_once(two: TwoSessions) -> None:
    _, bob, _, first = two.room()
    one, other = two.race(("add_reaction", first, bob, "👍"), ("add_reaction", first, bob, "👍"))
    assert one == other


def test_of_two_concurrent_read_markers_the_newer_one_wins(two: TwoSessions) -> None:
    ada, bob, room, first = two.room()
    newer = send(two.first, room, ada)
    both = two.race(("mark_read", newer, bob), ("mark_read", first, bob))
    assert [row["mark_read"] for row in both] == [newer, newer]


def test_concurrent_changes_of_different_columns_are_both_kept(two: TwoSessions) -> None:
    ada, _, room, _ = two.room()
    two.race(("update_user", ada, {"full_name": "A"}), ("update_user", ada, {"avatar_url": "u"}))
    changed = call(two.first, "find_user", ada)
    assert (changed["full_name"], changed["avatar_url"]) == ("A", "u")
    two.race(("update_channel", room, {"name": "N"}), ("update_channel", room, {"avatar_url": "u"}))
    channel = call(two.first, "find_channel", room)
    assert (channel["name"], channel["avatar_url"]) == ("N", "u")
    put = ("put_setting", ada)
    two.race((*put, "a", Jsonb(1)), (*put, "b", Jsonb(2)))
    _, last = two.race((*put, "theme", Jsonb("dark")), (*put, "a", Jsonb(3)))
    assert (last["theme"], last["preferences"]) == ("dark", {"a": 3, "b": 2})


def test_a_purge_waits_for_no_lock(two: TwoSessions) -> None:
    ada, _ = two.create_people()
    call(two.first, "put_session", digest(ada), {}, "yesterday")
    two.second.execute("SET lock_timeout = '2s'")
    with two.first.transaction():
        call(two.first, "put_session", digest(ada), {}, LATER, ada)
        assert call_value(two.second, "purge_expired") == 0
    assert call(two.first, "get_session", digest(ada))["user_id"] == ada


def test_a_rate_limit_counts_exactly_under_concurrent_hits(two: TwoSessions) -> None:
    ada, _ = two.create_people()
    answers: list[bool] = []
    together = threading.Barrier(4)

    def hit() -> None:
        with psycopg.connect(two.first.info.dsn, autocommit=True) as conn:
            together.wait(20)
            answers.extend(call_value(conn, "hit_rate_limit", ada, 25, "1 h") for _ in range(10))

    hitters = [threading.Thread(target=hit) for _ in range(4)]
    for hitter in hitters:
        hitter.start()
    for hitter in hitters:
        hitter.join(60)
    assert (answers.count(True), answers.count(False)) == (25, 15)


def test_of_two_messages_that_want_the_same_upload_one_gets_it(two: TwoSessions) -> None:
    ada, _, room, first = two.room()
    second = send(two.first, room, ada)
    file = insert(two.first, "files", user_id=ada, name="a", type="b", size=1, url="c")
    error = race(
        two.first, two.second,
        lambda: rows(two.first, "attach_files", first, [file]),
        lambda: rows(two.second, "attach_files", second, [file]),
    )  # fmt: skip
    assert isinstance(error, psycopg.Error)
    assert error.sqlstate == NO_DATA
    assert [f["id"] for f in rows(two.first, "list_files", first)] == [file]


def test_a_purge_leaves_a_user_whose_heartbeat_comes_at_the_same_moment(two: TwoSessions) -> None:
    ada, bob = two.create_people()
    for who in (ada, bob):
        call(two.first, "set_presence", who, "online")
    two.first.execute("UPDATE user_status SET last_seen = now() - interval '1 hour'")
    with two.first.transaction():
        call(two.first, "set_presence", ada, "away")
        rows(two.second, "purge_expired")
    states = [call(two.first, "find_presence", who)["status"] for who in (ada, bob)]
    assert states == ["away", "offline"]


# What a person does while somebody deletes or erases them, and how to find what is left of it.
DURING_THE_END: list[tuple[str, tuple[Any, ...], str]] = [
    ("delete_user", ("issue_token", "{bob}", digest("t"), LATER),
     "SELECT count(*) FROM refresh_tokens WHERE user_id = %s AND revoked_at IS NULL"),
    ("delete_user", ("put_session", digest("s"), {}, LATER, "{bob}"), "sessions"),
    ("erase_user", ("put_profile", "{bob}", "I am Bob"), "profiles"),
    ("erase_user", ("put_setting", "{bob}", "nick", Jsonb("bob")), "user_settings"),
    ("erase_user", ("set_presence", "{bob}", "online", "at Bob's"), "user_status"),
    ("erase_user", ("touch_last_seen", "{bob}"), "user_status"),
    ("erase_user", ("notify_user", "{bob}", "system"), "notifications"),
    ("erase_user", ("request_friend", "{bob}", "{ada}"), "relationships"),
    ("erase_user", ("create_channel", "{bob}", "public", "mine"), "channel_members"),
    ("erase_user", ("mark_read", "{first}", "{bob}"), "message_reads"),
    ("erase_user", ("mark_delivered", "{first}", "{bob}"), "message_deliveries"),
    ("erase_user", ("start_typing", "{room}", "{bob}"), "typing_indicators"),
    ("erase_user", ("send_message", "{room}", "{bob}", "x", "phone of bob"),
     "SELECT count(*) FROM messages WHERE user_id = %s AND client_message_id IS NOT NULL"),
]  # fmt: skip


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize(("end", "act", "left"), DURING_THE_END)
def test_nothing_is_left_of_what_a_user_does_while_they_are_deleted_or_erased(
    two: TwoSessions, end: str, act: tuple[Any, ...], left: str, order: str
) -> None:
    """Either it comes first, and is ended or erased, too; or it waits, and is refused."""
    ada, bob, room, first = two.room()
    ids = {"ada": ada, "bob": bob, "room": room, "first": first}
    done = tuple(a.format(**ids) if isinstance(a, str) else a for a in act)
    if order == "before":
        two.race(done, (end, bob))
    elif act[0] == "touch_last_seen":
        assert two.race((end, bob), done)[1] == {"touch_last_seen": None}
    else:
        with pytest.raises(psycopg.Error) as caught:
            two.race((end, bob), done)
        assert caught.value.sqlstate in {FOREIGN_KEY, NO_DATA, FORBIDDEN}
    count = left if left.startswith("SELECT") else f"SELECT count(*) FROM {left} WHERE user_id = %s"
    assert value(two.first, count, bob) == 0


def test_a_user_who_is_being_deleted_is_not_added_to_a_channel(two: TwoSessions) -> None:
    ada, bob = two.create_people()
    room = call(two.first, "create_channel", ada, "private", "room")["id"]
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        two.race(("delete_user", bob), ("add_member", room, bob))
    assert members(two.first, room) == {ada: "owner"}
