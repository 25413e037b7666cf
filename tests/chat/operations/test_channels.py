"""Channels and their members."""

from __future__ import annotations

import pytest

from tests.support.chat import (
    CHECK,
    FOREIGN_KEY,
    NOBODY,
    WRONG_STATE,
    Conn,
    assert_call_fails,
    call,
    call_value,
    ids_of,
    insert_users,
    members,
    rows,
    send,
    value,
)


@pytest.mark.parametrize("kind", ["public", "private", "group"])
def test_a_channel_is_created_with_its_members_and_roles(
    chat: Conn, ids: dict[str, str], kind: str
) -> None:
    ada, bob, eve = ids["ada"], ids["bob"], ids["eve"]
    channel = call(
        chat, "create_channel", ada, kind, "New", [bob, eve, eve, ada, None], [eve, ada],
        description="d", avatar_url="u", metadata={"a": 1},
    )  # fmt: skip
    assert (channel["type"], channel["name"], channel["created_by"]) == (kind, "New", ada)
    assert (channel["description"], channel["avatar_url"], channel["metadata"]) == (
        "d",
        "u",
        {"a": 1},
    )
    assert members(chat, channel["id"]) == {ada: "owner", bob: "member", eve: "admin"}
    assert call(chat, "find_channel", channel["id"]) == channel


def test_a_channel_is_created_with_every_member_or_not_at_all(
    chat: Conn, ids: dict[str, str]
) -> None:
    channel = call(chat, "create_channel", ids["ada"], "public", "Alone", None, None)
    assert members(chat, channel["id"]) == {ids["ada"]: "owner"}
    before = value(chat, "SELECT count(*) FROM channels")
    assert_call_fails(
        chat, FOREIGN_KEY, "create_channel", ids["ada"], "public", "x", [ids["bob"], NOBODY]
    )
    assert value(chat, "SELECT count(*) FROM channels") == before


def test_a_group_with_101_members_is_not_created(chat: Conn, ids: dict[str, str]) -> None:
    many = insert_users(chat, 100)
    named = assert_call_fails(chat, CHECK, "create_channel", ids["ada"], "group", "x", many)
    assert named == "channel_members_limit"
    channel = call(chat, "create_channel", ids["ada"], "group", "x", many[:99])
    assert (
        assert_call_fails(chat, CHECK, "add_member", channel["id"], many[99])
        == "channel_members_limit"
    )


def test_a_group_has_another_member_unless_it_is_meant_to_be_alone(
    chat: Conn, ids: dict[str, str]
) -> None:
    ada, bob = ids["ada"], ids["bob"]
    alone = call(chat, "create_channel", ada, "group", "Later", alone=True)["id"]
    assert members(chat, alone) == {ada: "owner"}
    led = call(chat, "create_channel", ada, "group", "Led", admins=[bob])["id"]
    assert members(chat, led) == {ada: "owner", bob: "admin"}


def test_a_deleted_channel_is_in_no_list_and_its_messages_stay(
    chat: Conn, ids: dict[str, str]
) -> None:
    room = ids["room"]
    assert call(chat, "delete_channel", room)["deleted_at"] is not None
    assert rows(chat, "find_channel", room) == []
    assert room not in ids_of(rows(chat, "list_channels", ids["ada"]))
    assert_call_fails(chat, WRONG_STATE, "send_message", room, ids["ada"], "x")
    assert value(chat, "SELECT count(*) FROM messages WHERE channel_id = %s", room) == 3


def test_members_are_listed_in_pages_with_what_others_see_of_them(
    chat: Conn, ids: dict[str, str]
) -> None:
    room, ada, bob = ids["room"], ids["ada"], ids["bob"]
    call(chat, "update_user", bob, {"full_name": "Bob B", "display_name": "B"})
    first, second = rows(chat, "list_members", room)
    assert (first["user_id"], first["role"]) == (ada, "owner")
    assert (second["username"], second["full_name"], second["display_name"]) == (
        "bob", "Bob B", "B"
    )  # fmt: skip
    assert not {"email", "password_hash", "muted_until"} & set(second)
    assert rows(chat, "list_members", room, 1) == [first]
    assert rows(chat, "list_members", room, 1, ada) == [second]
    assert rows(chat, "list_members", room, None, bob) == []
    call_value(chat, "delete_user", bob)
    assert rows(chat, "list_members", room) == [first]


def test_a_channel_is_changed_archived_and_restored(chat: Conn, ids: dict[str, str]) -> None:
    room = ids["room"]
    before = call(chat, "find_channel", room)
    changed = call(chat, "update_channel", room, {"name": "N", "metadata": {"b": 2}})
    assert changed == {
        **before, "name": "N", "metadata": {"b": 2}, "updated_at": changed["updated_at"]
    }  # fmt: skip
    archived = call(chat, "archive_channel", room)["archived_at"]
    assert archived is not None
    assert call(chat, "archive_channel", room)["archived_at"] == archived
    assert_call_fails(chat, WRONG_STATE, "send_message", room, ids["ada"], "x")
    assert len(rows(chat, "list_messages", room)) == 2  # it can still be read,
    assert call_value(chat, "delete_message", ids["second"], ids["ada"])  # and moderated
    assert call(chat, "archive_channel", room, archived=False)["archived_at"] is None
    send(chat, room, ids["ada"])


def test_a_direct_channel_is_the_same_however_it_is_opened(chat: Conn, ids: dict[str, str]) -> None:
    ada, bob, eve = ids["ada"], ids["bob"], ids["eve"]
    for one, other in ((ada, bob), (bob, ada), (ada, bob)):
        assert call(chat, "open_direct_channel", one, other)["id"] == ids["direct"]
    new = call(chat, "open_direct_channel", eve, ada)
    assert (new["type"], new["created_by"], new["name"]) == ("direct", eve, None)
    assert members(chat, new["id"]) == {ada: "member", eve: "member"}
    assert call(chat, "open_direct_channel", ada, eve) == new
    alone = call(chat, "open_direct_channel", ada, ada)["id"]
    assert members(chat, alone) == {ada: "member"}


@pytest.mark.parametrize(
    "end",
    ["UPDATE channels SET deleted_at = now() WHERE id = %s",
     "UPDATE channels SET archived_at = now() WHERE id = %s",
     "DELETE FROM channel_members WHERE channel_id = %s"],
)  # fmt: skip
def test_opening_a_direct_channel_restores_a_deleted_archived_or_abandoned_one(
    chat: Conn, ids: dict[str, str], end: str
) -> None:
    message = send(chat, ids["direct"], ids["ada"])
    chat.execute(end, [ids["direct"]])
    back = call(chat, "open_direct_channel", ids["bob"], ids["ada"])
    assert (back["id"], back["deleted_at"], back["archived_at"]) == (ids["direct"], None, None)
    assert set(members(chat, back["id"])) == {ids["ada"], ids["bob"]}
    assert ids_of(rows(chat, "list_messages", back["id"])) == [message]


def test_a_member_is_added_given_a_role_and_removed(chat: Conn, ids: dict[str, str]) -> None:
    room, eve = ids["room"], ids["eve"]
    assert call_value(chat, "add_member", room, eve) is True
    assert call_value(chat, "add_member", room, eve, "admin") is False
    assert call_value(chat, "is_member", room, eve) is True
    assert members(chat, room)[eve] == "member"
    assert call(chat, "set_role", room, eve, "admin")["role"] == "admin"
    assert call_value(chat, "remove_member", room, eve) is True
    assert call_value(chat, "is_member", room, eve) is False
