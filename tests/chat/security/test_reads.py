"""The rows that a user sees, in every table and view."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.support.chat import (
    FORBIDDEN,
    NOBODY,
    Conn,
    assert_call_fails,
    ids_of,
    rows,
    send,
    value,
)
from tests.support.chat_security import CLOSED, OPEN, VISIBLE_ROWS, Scene


def seen(conn: Conn, table: str) -> list[Any]:
    return sorted(conn.execute(f"SELECT t::text FROM {table} t").fetchall())


def test_row_level_security_is_enabled_on_exactly_the_tables_of_private_rows(scene: Scene) -> None:
    rows = scene.conn.execute(
        "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class"
        " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        " AND relname !~ 'yoyo|^chatdb'"
    )
    state = {name: (on, forced) for name, on, forced in rows}
    assert state == {
        **dict.fromkeys(VISIBLE_ROWS, (True, False)),
        **dict.fromkeys((*OPEN, *CLOSED), (False, False)),
    }  # fmt: skip


@pytest.mark.parametrize("who", ["ada", "bob", "eve", "ousted"])
def test_a_user_sees_only_their_own_rows(scene: Scene, who: str) -> None:
    me = {"me": scene.ids[who]}
    for table, condition in VISIBLE_ROWS.items():
        mine = f"SELECT t::text FROM {table} t WHERE {condition}"
        theirs = sorted(scene.conn.execute(mine, me).fetchall())
        total = value(scene.conn, f"SELECT count(*) FROM {table}")
        if who == "ada":
            assert theirs, table
        if who in {"eve", "ousted"}:
            assert len(theirs) < total, table
        with scene.act_as(who) as conn:
            assert seen(conn, table) == theirs, table


@pytest.mark.parametrize("who", [None, NOBODY, "no id at all", "' OR true --"])
def test_without_a_user_the_application_sees_and_changes_no_row(
    scene: Scene, who: str | None
) -> None:
    with scene.act_as(who) as conn:
        for table in VISIBLE_ROWS:
            public = " WHERE type <> 'public'" if table == "channels" and who else ""
            assert value(conn, f"SELECT count(*) FROM {table}{public}") == 0, table
            if table in ("message_edits", "sessions"):
                continue
            if who:
                assert conn.execute(f"DELETE FROM {table}").rowcount == 0, table
                continue
            with pytest.raises(psycopg.Error, match="not set") as caught, conn.transaction():
                conn.execute(f"DELETE FROM {table}")
            assert caught.value.sqlstate == FORBIDDEN


WAYS = ["login", "session authorization", "role"]


@pytest.mark.parametrize("way", WAYS)
def test_row_level_security_holds_however_a_session_becomes_the_application(
    scene: Scene, login: Conn, way: str
) -> None:
    conn = login if way == "login" else scene.conn
    if way == "session authorization":
        conn.execute(f"SET SESSION AUTHORIZATION {scene.login}")
    elif way == "role":
        conn.execute("SET ROLE chat_app")
    try:
        with conn.transaction(force_rollback=True):
            assert sum(value(conn, f"SELECT count(*) FROM {table}") for table in VISIBLE_ROWS) == 0
            conn.execute("SELECT set_config('chat.user_id', %s, true)", [scene.ids["eve"]])
            assert len(rows(conn, "search_messages", scene.ids["eve"], "e")) == 1
            assert_call_fails(conn, FORBIDDEN, "search_messages", scene.ids["ada"], "e")
            assert_call_fails(
                conn, FORBIDDEN, "open_direct_channel", scene.ids["ada"], scene.ids["bob"]
            )
            assert_call_fails(conn, FORBIDDEN, "erase_user", scene.ids["ada"])
            send(conn, scene.ids["hall"], scene.ids["eve"])
            assert rows(conn, "list_messages", scene.ids["room"]) == []
        with conn.transaction(force_rollback=True):  # set for one transaction
            assert value(conn, "SELECT count(*) FROM messages") == 0
    finally:
        conn.execute("RESET ROLE")
        conn.execute("RESET SESSION AUTHORIZATION")


def test_the_owner_sees_every_row(scene: Scene) -> None:
    assert value(scene.conn, "SELECT count(*) FROM messages") > 5
    results = rows(scene.conn, "search_messages", scene.ids["ada"], "first")
    assert ids_of(results) == [scene.ids["first"]]


@pytest.mark.parametrize(
    ("operation", "condition"),
    [
        ("list_messages($1, 50, $2)", "(id < "),
        ("unread_counts($1)", "(id > "),
        ("list_notifications($1, 50, $2)", "(id < "),
    ],
)
def test_a_page_is_one_index_range_under_row_level_security_too(
    scene: Scene, operation: str, condition: str
) -> None:
    """A condition that is not leakproof is evaluated last: the whole channel would be read."""
    scene.conn.execute("SET LOCAL plan_cache_mode = force_generic_plan")
    scene.conn.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
    with scene.act_as("ada") as conn:
        types = "(text, text)" if "$2" in operation else "(text)"
        conn.execute(f"PREPARE page {types} AS SELECT * FROM {operation}")
        arguments = "('a', 'b')" if "$2" in operation else "('a')"
        plan = "\n".join(row[0] for row in conn.execute(f"EXPLAIN EXECUTE page{arguments}"))
        conn.execute("DEALLOCATE page")
    ranges = [line for line in plan.splitlines() if "Index Cond" in line]
    assert any(condition in line.replace("(id)::text", "id") for line in ranges), plan


def test_the_policies_apply_to_a_member_of_the_owner_role_without_its_rights(
    scene: Scene,
) -> None:
    """The policies apply to a member of the owner role that does not inherit its rights."""
    scene.conn.execute("CREATE ROLE heir NOINHERIT IN ROLE chat_app, postgres")
    scene.conn.execute("GRANT USAGE ON SCHEMA public TO heir")
    for signature in ("search_messages(text, text, integer, text, text)", "erase_user(text)"):
        scene.conn.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO heir")
    with scene.act_as("eve", role="heir") as conn:
        assert_call_fails(conn, FORBIDDEN, "search_messages", scene.ids["ada"], "first")
        assert_call_fails(conn, FORBIDDEN, "erase_user", scene.ids["ada"])
