"""The status of a message: moved forward by receipts, set by its author, without a queue."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.chat import (
    WRONG_STATE,
    Conn,
    TwoSessions,
    assert_call_fails,
    call,
    call_value,
    race,
    rows,
    send,
    value,
)

STATUS = "SELECT status FROM messages WHERE id = %s"


def test_the_first_receipt_of_another_member_moves_that_message_and_no_older_one(
    chat: Conn, ids: dict[str, str]
) -> None:
    ada, bob = ids["ada"], ids["bob"]
    old, new = (send(chat, ids["room"], ada) for _ in range(2))
    assert value(chat, STATUS, new) == "sending"
    for function in ("mark_read", "mark_delivered"):  # the author's own other client
        rows(chat, function, new, ada)
    assert value(chat, STATUS, new) == "sending"
    mark = value(chat, "SELECT max(seq) FROM events")
    call_value(chat, "mark_delivered", new, bob)
    assert value(chat, STATUS, new) == "delivered"
    call_value(chat, "mark_read", new, bob)
    assert value(chat, STATUS, new) == "read"
    call_value(chat, "mark_delivered", new, bob)
    assert value(chat, STATUS, new) == "read"
    assert value(chat, STATUS, old) == "sending"
    events = chat.execute("SELECT DISTINCT table_name FROM events WHERE seq > %s", [mark])
    assert {name for (name,) in events} == {"message_deliveries", "message_reads"}


def test_a_message_that_is_read_at_once_skips_delivered(chat: Conn, ids: dict[str, str]) -> None:
    call_value(chat, "mark_read", ids["first"], ids["bob"])
    assert value(chat, STATUS, ids["first"]) == "read"


@pytest.mark.parametrize("count", [1, 3, 1500])
def test_receipts_written_by_sql_move_their_messages_too(
    chat: Conn, ids: dict[str, str], count: int
) -> None:
    ada, bob = ids["ada"], ids["bob"]
    chat.execute(
        "INSERT INTO messages (channel_id, user_id, content, client_message_id)"
        " SELECT %s, %s, 'x', 'load' || n FROM generate_series(1, %s) n",
        [ids["room"], ada, count],
    )
    new = "client_message_id LIKE 'load%%'"
    for table, status in (("message_deliveries", "delivered"), ("message_reads", "read")):
        for who, expected in ((ada, None), (bob, status)):
            chat.execute(
                f"INSERT INTO {table} (message_id, user_id) SELECT id, %s FROM messages WHERE {new}",
                [who],
            )
            if expected:
                states = f"SELECT status, count(*) FROM messages WHERE {new} GROUP BY 1"
                assert chat.execute(states, []).fetchall() == [(expected, count)]


def test_a_repeated_receipt_makes_up_for_one_that_did_not_move_the_message(
    chat: Conn, ids: dict[str, str]
) -> None:
    first, bob = ids["first"], ids["bob"]
    for function, status in (("mark_delivered", "delivered"), ("mark_read", "read")):
        rows(chat, function, first, bob)
        chat.execute("SET LOCAL session_replication_role = replica")
        chat.execute("UPDATE messages SET status = 'sending' WHERE id = %s", [first])
        chat.execute("SET LOCAL session_replication_role = origin")
        rows(chat, function, first, bob)
        assert value(chat, STATUS, first) == status


FORWARD = {
    "sending": {"sending", "delivered", "read", "error"},
    "error": {"sending", "delivered", "read", "error"},
    "delivered": {"delivered", "read"},
    "read": {"read"},
}


@pytest.mark.parametrize("before", FORWARD)
@pytest.mark.parametrize("after", FORWARD)
def test_the_author_sets_the_status_and_never_back(
    chat: Conn, ids: dict[str, str], before: str, after: str
) -> None:
    first, ada = ids["first"], ids["ada"]
    chat.execute("UPDATE messages SET status = %s WHERE id = %s", [before, first])
    if after in FORWARD[before]:
        assert call(chat, "set_message_status", first, ada, after)["status"] == after
    else:
        assert_call_fails(chat, WRONG_STATE, "set_message_status", first, ada, after)


@pytest.mark.parametrize("before", FORWARD)
@pytest.mark.parametrize("after", FORWARD)
def test_no_update_of_the_table_moves_a_status_back(
    chat: Conn, ids: dict[str, str], before: str, after: str
) -> None:
    """Not even one by the owner, as of a script."""
    first, change = ids["first"], "UPDATE messages SET status = %s WHERE id = %s"
    chat.execute(change, [before, first])
    if after in FORWARD[before]:
        assert chat.execute(change, [after, first]).rowcount == 1
    else:
        with pytest.raises(psycopg.Error, match="does not go back") as caught, chat.transaction():
            chat.execute(change, [after, first])
        assert caught.value.sqlstate == WRONG_STATE
        assert "from sending to delivered to read" in str(caught.value.diag.message_hint)


def test_no_receipt_hides_an_error(chat: Conn, ids: dict[str, str]) -> None:
    call(chat, "set_message_status", ids["first"], ids["ada"], "error")
    for function in ("mark_delivered", "mark_read"):
        rows(chat, function, ids["first"], ids["bob"])
        assert value(chat, STATUS, ids["first"]) == "error"


@pytest.mark.parametrize("begun", ["mark_read", "mark_delivered"])
@pytest.mark.parametrize("function", ["mark_read", "mark_delivered"])
def test_members_who_receive_a_message_at_the_same_time_do_not_wait_for_each_other(
    two: TwoSessions, begun: str, function: str
) -> None:
    """Only a read waits, for a delivery that has just begun: the status would remain behind."""
    ada, bob, room, message = two.room()
    cat, _ = two.create_people()
    call_value(two.first, "add_member", room, cat)
    if (begun, function) == ("mark_delivered", "mark_read"):
        error = race(
            two.first, two.second,
            lambda: rows(two.first, begun, message, bob),
            lambda: rows(two.second, function, message, cat),
        )  # fmt: skip
        assert error is None
    else:
        with two.first.transaction():
            rows(two.first, begun, message, bob)
            two.second.execute("SET lock_timeout = '5s'")
            rows(two.second, function, message, cat)
            two.second.execute("RESET lock_timeout")
    expected = "read" if "mark_read" in (begun, function) else "delivered"
    assert value(two.first, STATUS, message) == expected
    assert ada != bob


def test_members_who_read_two_messages_in_opposite_orders_do_not_deadlock(two: TwoSessions) -> None:
    _, bob, room, one = two.room()
    cat, dan = two.create_people()
    for who in (cat, dan):
        call_value(two.first, "add_member", room, who)
    other = send(two.first, room, dan)
    two.second.execute("SET lock_timeout = '5s'")
    with two.first.transaction(), two.second.transaction():
        rows(two.first, "mark_read", one, bob)
        rows(two.second, "mark_read", other, cat)
        rows(two.first, "mark_read", other, bob)
        rows(two.second, "mark_read", one, cat)
    two.second.execute("RESET lock_timeout")
    assert [value(two.first, STATUS, m) for m in (one, other)] == ["read", "read"]
