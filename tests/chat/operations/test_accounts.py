"""Tokens, friends and blocks, notifications, settings."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg.types.json import Jsonb

from tests.support.chat import (
    FORBIDDEN,
    LATER,
    NO_DATA,
    UNIQUE,
    Conn,
    Row,
    assert_call_fails,
    call,
    call_value,
    digest,
    ids_of,
    insert,
    relationships,
    rows,
    value,
)


def test_a_token_is_used_once(chat: Conn, ids: dict[str, str]) -> None:
    issued = call(chat, "issue_token", ids["ada"], digest("t"), LATER)
    assert (issued["user_id"], issued["revoked_at"]) == (ids["ada"], None)
    assert assert_call_fails(chat, UNIQUE, "issue_token", ids["bob"], digest("t"), LATER)
    assert call_value(chat, "use_token", digest("t")) == ids["ada"]
    assert call_value(chat, "use_token", digest("t")) is None


@pytest.mark.parametrize(
    "end",
    ["UPDATE refresh_tokens SET revoked_at = now()",
     "UPDATE refresh_tokens SET expires_at = clock_timestamp()",
     "UPDATE users SET is_active = false", "UPDATE users SET deleted_at = now()",
     "SELECT revoke_tokens(user_id) FROM refresh_tokens"],
)  # fmt: skip
def test_an_expired_or_revoked_token_is_refused(chat: Conn, ids: dict[str, str], end: str) -> None:
    call(chat, "issue_token", ids["ada"], digest("t"), LATER)
    chat.execute(end)
    assert call_value(chat, "use_token", digest("t")) is None


def test_all_live_tokens_of_a_user_are_revoked_and_counted(chat: Conn, ids: dict[str, str]) -> None:
    for name, who, until in (("1", "ada", LATER), ("2", "ada", LATER),
                             ("3", "ada", "yesterday"), ("4", "bob", LATER)):  # fmt: skip
        call(chat, "issue_token", ids[who], digest(name), until)
    call_value(chat, "use_token", digest("1"))
    assert call_value(chat, "revoke_tokens", ids["ada"]) == 1
    assert call_value(chat, "use_token", digest("2")) is None
    assert call_value(chat, "use_token", digest("4")) == ids["bob"]


def test_a_friend_request_is_sent_and_answered(chat: Conn, ids: dict[str, str]) -> None:
    ada, bob, eve = ids["ada"], ids["bob"], ids["eve"]
    asked = call(chat, "request_friend", ada, bob)
    assert call(chat, "request_friend", ada, bob) == asked
    assert call(chat, "answer_friend", bob, ada, True)["status"] == "accepted"
    assert_call_fails(chat, NO_DATA, "answer_friend", bob, ada, False)  # answered already
    assert_call_fails(chat, NO_DATA, "answer_friend", ada, bob, True)  # Ada got no request
    assert call(chat, "request_friend", bob, ada)["status"] == "accepted"
    call(chat, "request_friend", ada, eve)
    assert call(chat, "answer_friend", eve, ada, False)["status"] == "rejected"
    assert call(chat, "request_friend", ada, eve)["status"] == "rejected"
    # a user who rejected a request may send one later
    assert call(chat, "request_friend", eve, ada)["status"] == "accepted"
    assert relationships(chat) == {
        (ada, bob, "friend", "accepted"),
        (ada, eve, "friend", "accepted"),
    }


def test_a_block_ends_a_relationship_and_refuses_new_ones(chat: Conn, ids: dict[str, str]) -> None:
    ada, bob = ids["ada"], ids["bob"]
    call(chat, "request_friend", bob, ada)
    for _ in range(2):
        blocked = call(chat, "block_user", ada, bob)
    assert relationships(chat) == {(ada, bob, "blocked", "accepted")}
    assert (blocked["type"], blocked["status"]) == ("blocked", "accepted")
    for one, other in ((ada, bob), (bob, ada)):
        assert_call_fails(chat, FORBIDDEN, "request_friend", one, other)
        assert_call_fails(chat, FORBIDDEN, "open_direct_channel", one, other)
    call(chat, "block_user", bob, ada)
    assert call_value(chat, "unblock_user", ada, bob) is True
    assert relationships(chat) == {(bob, ada, "blocked", "accepted")}
    assert_call_fails(chat, FORBIDDEN, "request_friend", ada, bob)
    assert call_value(chat, "unblock_user", bob, ada) is True
    call(chat, "request_friend", ada, bob)


def test_blocking_a_friend_ends_the_friendship(chat: Conn, ids: dict[str, str]) -> None:
    ada, bob = ids["ada"], ids["bob"]
    for asks, answers in ((ada, bob), (bob, ada)):
        call(chat, "request_friend", asks, answers)
        call(chat, "answer_friend", answers, asks, True)
        call(chat, "block_user", ada, bob)
        assert relationships(chat) == {(ada, bob, "blocked", "accepted")}
        assert call_value(chat, "unblock_user", ada, bob)
        assert relationships(chat) == set()


@pytest.mark.parametrize("gone", ["one", "both"])
def test_a_friend_request_to_a_deleted_user_is_refused(
    chat: Conn, ids: dict[str, str], gone: str
) -> None:
    chat.execute("UPDATE users SET deleted_at = now() WHERE id = %s", [ids["bob"]])
    if gone == "both":
        chat.execute("UPDATE users SET deleted_at = now() WHERE id = %s", [ids["ada"]])
    for function in ("request_friend", "block_user"):
        assert_call_fails(chat, NO_DATA, function, ids["ada"], ids["bob"])
        assert_call_fails(chat, NO_DATA, function, ids["bob"], ids["ada"])


@pytest.mark.parametrize(
    ("table", "wish", "type_", "told"),
    [
        (None, {}, "message", True),
        ("user_settings", {"notifications_enabled": False}, "message", False),
        ("notification_preferences", {"on_message": False}, "message", False),
        ("notification_preferences", {"on_message": False}, "message.mention", False),
        ("notification_preferences", {"on_message": False}, "messages", True),
        ("notification_preferences", {"on_message": False}, "system", True),
        ("notification_preferences", {"on_friend_request": False}, "friend_request", False),
        ("notification_preferences", {"on_system": False}, "system.update", False),
        ("notification_preferences", {"other": '{"poll": false}'}, "poll.closed", False),
        ("notification_preferences", {"other": '{"poll": true}'}, "poll", True),
        ("notification_preferences", {"other": '{"poll": null}'}, "poll", True),
        ("notification_preferences", {"other": '{"message": false}'}, "message", True),
    ],
)  # fmt: skip
def test_a_user_who_has_turned_notifications_off_gets_none(
    chat: Conn, ids: dict[str, str], table: str | None, wish: Row, type_: str, told: bool
) -> None:
    if table:
        insert(chat, table, user_id=ids["ada"], **wish)
    answer = call(chat, "notify_user", ids["ada"], type_, {"k": 1}, "message", ids["first"])
    notification = answer["id"]
    assert (notification is not None) is told
    assert (answer["in_app"], answer["email"], answer["push"]) == (told, told, told)
    assert ids_of(rows(chat, "list_notifications", ids["ada"])) == ([notification] if told else [])


@pytest.mark.parametrize("in_app", [True, False])
@pytest.mark.parametrize("email", [True, False])
@pytest.mark.parametrize("push", [True, False])
def test_a_notification_is_kept_if_any_channel_is_wanted_and_shown_if_the_application_is(
    chat: Conn, ids: dict[str, str], in_app: bool, email: bool, push: bool
) -> None:
    ada = ids["ada"]
    call(chat, "set_notification_preferences", ada, in_app=in_app, email=email, push=push)
    answer = call(chat, "notify_user", ada, "system")
    assert (answer["in_app"], answer["email"], answer["push"]) == (in_app, email, push)
    assert (answer["id"] is not None) is (in_app or email or push)
    assert value(chat, "SELECT count(*) FROM notifications") == (in_app or email or push)
    shown = [answer["id"]] if in_app else []
    assert ids_of(rows(chat, "list_notifications", ada)) == shown
    assert ids_of(rows(chat, "list_notifications", ada, unread_only=True)) == shown


def test_preferences_have_defaults_and_what_is_not_given_stays(
    chat: Conn, ids: dict[str, str]
) -> None:
    ada = ids["ada"]
    defaults = {
        "user_id": ada, "in_app": True, "email": True, "push": True, "on_message": True,
        "on_friend_request": True, "on_system": True, "other": {},
    }  # fmt: skip
    assert call(chat, "get_notification_preferences", ada) == defaults
    call(chat, "set_notification_preferences", ada, email=False, other=Jsonb({"poll": False}))
    call(chat, "set_notification_preferences", ada, on_system=False, other=Jsonb({"game": True}))
    expected = {
        **defaults, "email": False, "on_system": False, "other": {"poll": False, "game": True}
    }  # fmt: skip
    assert call(chat, "get_notification_preferences", ada) == expected
    call(chat, "set_notification_preferences", ada, email=True, other=Jsonb({"poll": None}))
    assert call(chat, "get_notification_preferences", ada) == {
        **expected, "email": True, "other": {"game": True}
    }  # fmt: skip
    assert call(chat, "get_notification_preferences", ids["bob"])["email"] is True


def test_relationships_are_listed_from_both_sides_without_the_blocks_of_others(
    chat: Conn, ids: dict[str, str]
) -> None:
    ada, bob, eve = ids["ada"], ids["bob"], ids["eve"]
    call(chat, "request_friend", bob, ada)
    call(chat, "block_user", eve, ada)
    call(chat, "block_user", ada, eve)

    def listed(*args: Any, **named: Any) -> list[tuple[str, str]]:
        found = rows(chat, "list_relationships", *args, **named)
        return [(r["user_id"], r["related_user_id"]) for r in found]

    assert listed(ada) == [(ada, eve), (bob, ada)]
    assert listed(bob) == listed(ada, "friend") == listed(ada, status="pending") == [(bob, ada)]
    assert listed(ada, "blocked") == listed(ada, None, "accepted") == [(ada, eve)]
    assert listed(ada, "friend", "accepted") == []


def test_a_relationship_is_removed_from_either_side_but_not_the_block_of_another(
    chat: Conn, ids: dict[str, str]
) -> None:
    ada, bob, eve = ids["ada"], ids["bob"], ids["eve"]
    for who, other in ((ada, bob), (bob, ada)):
        call(chat, "request_friend", ada, bob)
        assert call_value(chat, "remove_relationship", who, other) is True
        assert call_value(chat, "remove_relationship", who, other) is False
    call(chat, "block_user", eve, ada)
    assert call_value(chat, "remove_relationship", ada, eve) is False
    assert call_value(chat, "remove_relationship", eve, ada) is True
    assert relationships(chat) == set()


def test_the_state_of_a_synchronization_is_kept_by_kind(chat: Conn, ids: dict[str, str]) -> None:
    ada = ids["ada"]
    call(chat, "put_sync_state", ada, "messages", "yesterday", Jsonb({"cursor": "x"}))
    call(chat, "put_sync_state", ada, "contacts", metadata=Jsonb({"n": 1}))
    later = call(chat, "put_sync_state", ada, "messages")
    assert later["metadata"] == {"cursor": "x"}
    assert later["last_sync"] == value(chat, "SELECT now()")
    assert call(chat, "get_sync_state", ada, "messages") == later
    assert call(chat, "get_sync_state", ada, "contacts")["metadata"] == {"n": 1}
    assert rows(chat, "get_sync_state", ids["bob"], "messages") == []


def test_notifications_come_in_pages_and_are_read_once(chat: Conn, ids: dict[str, str]) -> None:
    ada = ids["ada"]
    notification = [call(chat, "notify_user", ada, "system", {"n": n})["id"] for n in range(5)]
    notification.reverse()
    assert ids_of(rows(chat, "list_notifications", ada, 2)) == notification[:2]
    assert ids_of(rows(chat, "list_notifications", ada, 9, notification[1])) == notification[2:]
    assert call_value(chat, "mark_notification_read", notification[0], ids["bob"]) is False
    assert call_value(chat, "mark_notification_read", notification[0], ada) is True
    assert call_value(chat, "mark_notification_read", notification[0], ada) is False
    assert ids_of(rows(chat, "list_notifications", ada, unread_only=True)) == notification[1:]
    assert ids_of(rows(chat, "list_notifications", ada)) == notification
    assert ids_of(rows(chat, "list_notifications", ada, None, None, None)) == notification


SETTINGS: list[tuple[str, Any, tuple[str, bool, Any]]] = [
    ("theme", Jsonb("dark"), ("dark", True, {"a": 1})),
    ("theme", Jsonb(None), ("light", True, {"a": 1})),
    ("theme", None, ("light", True, {"a": 1})),
    ("notifications_enabled", Jsonb(False), ("light", False, {"a": 1})),
    ("notifications_enabled", Jsonb(None), ("light", True, {"a": 1})),
    ("b", Jsonb({"x": [1]}), ("light", True, {"a": 1, "b": {"x": [1]}})),
    ("a", Jsonb(2), ("light", True, {"a": 2})),
    ("a", Jsonb(None), ("light", True, {})),
    ("a", None, ("light", True, {})),
    ("missing", Jsonb(None), ("light", True, {"a": 1})),
]


@pytest.mark.parametrize(("key", "to", "then"), SETTINGS)
def test_a_setting_is_stored_by_its_path_and_null_removes_it(
    chat: Conn, ids: dict[str, str], key: str, to: Any, then: tuple[str, bool, Any]
) -> None:
    call(chat, "put_setting", ids["ada"], "a", Jsonb(1))
    call(chat, "put_setting", ids["ada"], key, to)
    row = call(chat, "put_setting", ids["ada"], "missing", Jsonb(None))
    assert (row["theme"], row["notifications_enabled"], row["preferences"]) == then


@pytest.mark.parametrize("key", ["theme", "notifications_enabled", "other"])
def test_removing_a_setting_that_was_never_set_leaves_the_defaults(
    chat: Conn, ids: dict[str, str], key: str
) -> None:
    row = call(chat, "put_setting", ids["ada"], key, Jsonb(None))
    assert (row["theme"], row["notifications_enabled"], row["preferences"]) == ("light", True, {})
