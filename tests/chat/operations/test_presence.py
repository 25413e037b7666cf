"""Presence, which expires."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.chat import Conn, call, call_value, rows, value


def age(chat: Conn, user: str, seconds: float) -> None:
    chat.execute(
        "UPDATE user_status SET last_seen = now() - %s WHERE user_id = %s",
        [timedelta(seconds=seconds), user],
    )


def test_a_custom_status_stays_until_it_is_changed_or_cleared(
    chat: Conn, ids: dict[str, str]
) -> None:
    ada = ids["ada"]
    assert call(chat, "set_presence", ada, "busy", "writing")["custom_status"] == "writing"
    assert call(chat, "set_presence", ada, "away")["custom_status"] == "writing"
    assert call(chat, "set_presence", ada, "away", None)["custom_status"] == "writing"
    assert call(chat, "set_presence", ada, "away", "lunch")["custom_status"] == "lunch"
    assert call(chat, "set_presence", ada, "online", "")["custom_status"] is None
    assert call(chat, "set_presence", ids["bob"], "online", "")["custom_status"] is None


@pytest.mark.parametrize("function", ["set_presence", "touch_last_seen"])
def test_the_two_times_of_a_heartbeat_agree(chat: Conn, ids: dict[str, str], function: str) -> None:
    ada = ids["ada"]
    call(chat, "set_presence", ada, "online")
    age(chat, ada, 1000)
    chat.execute("UPDATE users SET last_seen_at = now() - interval '1 day'")
    args = [ada, "online"] if function == "set_presence" else [ada]
    rows(chat, function, *args)
    times = chat.execute(
        "SELECT u.last_seen_at, s.last_seen FROM users u JOIN user_status s ON s.user_id = u.id"
    ).fetchall()
    assert times == [(value(chat, "SELECT now()"),) * 2]


def test_a_silent_user_is_offline_when_read(chat: Conn, ids: dict[str, str]) -> None:
    ada, bob, eve = ids["ada"], ids["bob"], ids["eve"]
    call(chat, "set_presence", ada, "busy", "writing")
    call(chat, "set_presence", bob, "online")
    for seconds, status in ((0, "busy"), (80, "busy"), (91, "offline"), (9999, "offline")):
        age(chat, ada, seconds)
        found = call(chat, "find_presence", ada)
        assert (found["status"], found["custom_status"]) == (status, "writing")
        listed = rows(chat, "list_presence", ids["room"])
        assert [(r["user_id"], r["status"]) for r in listed] == [(ada, status), (bob, "online")]
        asked = rows(chat, "list_presence", users=[eve, ada, ada, ids["nobody"]])
        assert [(r["user_id"], r["status"]) for r in asked] == [(ada, status), (eve, "offline")]
    assert call(chat, "find_presence", ada, "1 day")["status"] == "busy"
    assert call(chat, "find_presence", ada, None)["status"] == "offline"
    assert rows(chat, "list_presence", ids["room"], "1 day")[0]["status"] == "busy"
    assert rows(chat, "list_presence", users=[ada], silent_after="1 day")[0]["status"] == "busy"
    never = call(chat, "find_presence", eve)
    assert (never["status"], never["last_seen"]) == ("offline", None)


def test_a_purge_tells_clients_who_has_fallen_silent(chat: Conn, ids: dict[str, str]) -> None:
    call(chat, "set_presence", ids["ada"], "online")
    age(chat, ids["ada"], 91)
    mark = value(chat, "SELECT max(seq) FROM events")
    assert call_value(chat, "purge_expired") == 1
    events = chat.execute("SELECT table_name, op, row_id FROM events WHERE seq > %s", [mark])
    assert events.fetchall() == [("user_status", "update", ids["ada"])]
    assert call_value(chat, "purge_expired") == 0
