"""Files that are uploaded before their message; replies; unread messages of all channels."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.chat import (
    NO_DATA,
    Conn,
    assert_call_fails,
    call_value,
    ids_of,
    insert,
    rows,
    send,
    value,
)


def upload(chat: Conn, user: str, **more: Any) -> str:
    return insert(chat, "files", user_id=user, name="a", type="b", size=1, url="c", **more)


def test_uploads_are_attached_to_a_message_by_its_author(chat: Conn, ids: dict[str, str]) -> None:
    ada, first = ids["ada"], ids["first"]
    files = sorted(upload(chat, ada) for _ in range(2))
    assert ids_of(rows(chat, "attach_files", first, files)) == files
    assert ids_of(rows(chat, "attach_files", first, files)) == files  # a retry does no harm
    assert ids_of(rows(chat, "list_files", first)) == files
    assert rows(chat, "attach_files", first, []) == []
    call_value(chat, "delete_message", first, ada)
    assert rows(chat, "list_files", first) == []


@pytest.mark.parametrize("wrong", ["of another user", "of another message", "missing"])
def test_files_are_attached_all_or_none(chat: Conn, ids: dict[str, str], wrong: str) -> None:
    ada, first = ids["ada"], ids["first"]
    good = upload(chat, ada)
    bad = {
        "of another user": lambda: upload(chat, ids["bob"]),
        "of another message": lambda: upload(chat, ada, message_id=ids["old"]),
        "missing": lambda: ids["nobody"],
    }[wrong]()
    assert_call_fails(chat, NO_DATA, "attach_files", first, [good, bad])
    assert rows(chat, "list_files", first) == []
    assert ids_of(rows(chat, "attach_files", first, [good])) == [good]


def test_replies_are_listed_newest_first_in_pages(chat: Conn, ids: dict[str, str]) -> None:
    first, ada = ids["first"], ids["ada"]
    replies = [send(chat, ids["room"], ada, reply_to_id=first) for _ in range(4)][::-1]
    send(chat, ids["room"], ada, reply_to_id=replies[0])
    assert call_value(chat, "delete_message", replies.pop(1), ada)
    assert ids_of(rows(chat, "list_replies", first)) == replies
    assert ids_of(rows(chat, "list_replies", first, 2)) == replies[:2]
    assert ids_of(rows(chat, "list_replies", first, 2, replies[1])) == replies[2:]


def test_the_unread_messages_of_all_channels_are_counted(chat: Conn, ids: dict[str, str]) -> None:
    bob = ids["bob"]
    before = call_value(chat, "count_unread", bob)
    for _ in range(3):
        send(chat, ids["group"], ids["ada"])
    send(chat, ids["room"], ids["ada"])
    assert call_value(chat, "count_unread", bob) == before + 4
    assert before + 4 == sum(r["unread"] for r in rows(chat, "unread_counts", bob))
    assert value(chat, "SELECT count_unread('nobody')") == 0
