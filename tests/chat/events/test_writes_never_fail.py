"""A write never fails because of its event."""

from __future__ import annotations

import psycopg
import pytest

from tests.support.chat_events import (
    ADA,
    HALL,
    HI,
    INSERT_MESSAGES,
    MODES,
    PAUSE,
    SEND_MESSAGE,
    THUMB,
    YO,
    Conn,
    cursor_now,
    read_all_pages,
    ulid,
    value,
)
from tests.support.database import Database
from tests.support.servers import Server, on_first_server

BIG = {
    "a message": f"INSERT INTO messages (channel_id, user_id, content_type, content) VALUES"
    f" ('{HALL}', '{ADA}', 'system', repeat('😀', 1000000))",
    "its metadata": f"UPDATE messages SET metadata = jsonb_build_object('a', repeat('x', 1000000))"
    f" WHERE id = '{HI}'",
    "numbers": """UPDATE messages SET metadata = ('{"a": 1' || repeat('0', 10000) || '}')::jsonb""",
    "a name": "UPDATE channels SET name = repeat('😀', 255), description = repeat('\"', 100000)",
    "an emoji": "INSERT INTO reactions (message_id, user_id, emoji)"
    f" VALUES ('{YO}', '{ADA}', repeat('😀', 50))",
    "a file": "UPDATE files SET url = repeat('x', 1000000), name = repeat('\"', 255)",
    "a status": "UPDATE user_status SET custom_status = repeat('\\', 1000000)",
    "a notification": "UPDATE notifications SET content = jsonb_build_object('a', repeat('x', 1000000))",
    "many rows": "INSERT INTO messages (channel_id, user_id, content)"
    f" SELECT '{HALL}', '{ADA}', repeat('x', 4000) FROM generate_series(1, 500)",
}


@on_first_server
@pytest.mark.parametrize("mode", MODES)
def test_a_row_of_any_size_is_written(chat: Conn, mode: str) -> None:
    for name, statement in BIG.items():
        with chat.transaction():
            chat.execute("SELECT set_config('chat.notify', %s, true)", [mode])
            before = value(chat, "SELECT count(*) FROM events")
            chat.execute(statement)
            assert value(chat, "SELECT count(*) FROM events") > before, name
            raise psycopg.Rollback


def usage(conn: Conn) -> float:
    return float(value(conn, "SELECT pg_notification_queue_usage()"))


def small_queue(server: Server) -> None:
    if server.version < 17:
        pytest.skip(
            "a queue that can be filled cheaply came with PostgreSQL 17; below it holds 8 GB"
        )


@on_first_server
def test_an_idle_listener_in_a_transaction_makes_no_write_fail(
    own: Server, owned: Database
) -> None:
    small_queue(own)
    with owned.connect() as conn, owned.connect() as sitting:
        sitting.execute("LISTEN chat_events")
        sitting.execute("BEGIN")
        sitting.execute("SELECT 1")
        begin = cursor_now(conn)
        conn.execute("SELECT set_notify_mode('every')")
        conn.execute(
            f"{INSERT_MESSAGES} "
            + ", ".join(f"('{ulid(1000 + n)}', '{HALL}', '{ADA}', 'x')" for n in range(20))
        )
        for n in range(600):  # each notification is half a kilobyte
            conn.execute("UPDATE messages SET metadata = jsonb_build_object('n', %s::int)", [n])
        assert 0.4 < usage(conn) < 0.9, "it stops ringing when the queue is half full"
        assert len(read_all_pages(conn, begin)) == 20 + 600 * 22
        sitting.execute("ROLLBACK")


@on_first_server
def test_a_full_queue_makes_no_write_fail(own: Server, owned: Database) -> None:
    small_queue(own)
    with owned.connect() as conn, owned.connect() as sitting:
        sitting.execute("LISTEN of_another_application")
        sitting.execute("BEGIN")
        sitting.execute("SELECT 1")
        while usage(conn) < 0.97:
            conn.execute("SELECT pg_notify('of_another_application', repeat('x', 7000))")
        with pytest.raises(psycopg.Error, match="queue"):
            conn.execute(
                "SELECT pg_notify('of_another_application', n || repeat('x', 7000))"
                " FROM generate_series(1, 20) n"
            )
        begin = cursor_now(conn)
        for mode in MODES:
            conn.execute("SELECT set_config('chat.notify', %s, false)", [mode])
            conn.execute(SEND_MESSAGE)
            conn.execute(f"SELECT start_typing('{HALL}', '{ADA}')")
        assert len(read_all_pages(conn, begin)) == 3
        sitting.execute("ROLLBACK")


@on_first_server
def test_a_transaction_of_thousands_of_statements_does_not_fill_the_queue(
    own: Server, owned: Database
) -> None:
    small_queue(own)
    with owned.connect() as conn:
        for mode in ("every", "doorbell"):
            conn.execute("SELECT set_config('chat.notify', %s, false)", [mode])
            conn.execute(f"DO $$ BEGIN FOR i IN 1..4000 LOOP {SEND_MESSAGE}; END LOOP; END $$")
            assert usage(conn) < 0.1


@on_first_server
def test_a_killed_listener_makes_no_write_fail(database: Database) -> None:
    with database.connect() as conn:
        dead = database.connect()
        dead.execute("LISTEN chat_events")
        conn.execute("SELECT pg_terminate_backend(%s)", [dead.info.backend_pid])
        begin = cursor_now(conn)
        for _ in range(5):
            conn.execute(PAUSE)
            conn.execute(SEND_MESSAGE)
        assert len(read_all_pages(conn, begin)) == 5
        with pytest.raises(psycopg.OperationalError):
            dead.execute("SELECT 1")
        dead.close()


@pytest.mark.parametrize("where", ["session", "table"])
def test_two_phase_commit_works_with_notifications_off(owned: Database, where: str) -> None:
    with owned.connect() as conn:
        conn.execute(
            "SET chat.notify = 'off'" if where == "session" else "SELECT set_notify_mode('off')"
        )
        begin = cursor_now(conn)
        conn.execute("BEGIN")
        conn.execute(SEND_MESSAGE)
        conn.execute(f"SELECT start_typing('{HALL}', '{ADA}')")
        conn.execute("PREPARE TRANSACTION 'kept'")
        assert read_all_pages(conn, begin) == []
        conn.execute(SEND_MESSAGE)
        cursor = cursor_now(conn)
        conn.execute("COMMIT PREPARED 'kept'")
        assert len(read_all_pages(conn, cursor)) == 1
        assert len(read_all_pages(conn, begin)) == 2


def test_a_sequence_that_was_set_back_makes_no_write_fail_and_loses_nothing(
    database: Database,
) -> None:
    """A sequence is set back after a crash of a copied database, and on a promoted replica."""
    with database.connect() as conn:
        begin = cursor_now(conn)
        for _ in range(6):
            conn.execute(SEND_MESSAGE)
        conn.execute(
            "SELECT setval(pg_get_serial_sequence('events', 'seq'), min(seq), false) FROM events"
        )
        for _ in range(6):
            conn.execute(SEND_MESSAGE)
        rows = sorted(conn.execute("SELECT seq, row_id FROM events").fetchall())
        assert len({seq for seq, _ in rows}) == 6
        for limit in (1, 2, 3, 5, 500):
            events, cursor = list[tuple[int, str]](), begin
            while True:
                page = conn.execute(
                    "SELECT seq, row_id, cursor FROM events_since(%s, %s)", [cursor, limit]
                ).fetchall()
                cursor = page[-1][2]
                if page[-1][0] is None:
                    break
                events += [row[:2] for row in page]
            assert sorted(events) == rows, limit
        highest = rows[-1][0]
        conn.execute("SELECT setval(pg_get_serial_sequence('events', 'seq'), min(seq)) FROM events")
        fresh = str(value(conn, "SELECT events_reset()"))
        conn.execute(SEND_MESSAGE)
        assert read_all_pages(conn, fresh) == [highest + 1], "a reset puts it right"


@on_first_server
def test_a_write_succeeds_where_the_state_row_is_missing(database: Database) -> None:
    with database.connect() as conn:
        conn.execute("DELETE FROM events_state")
        conn.execute(SEND_MESSAGE)
        assert value(conn, "SELECT count(*) FROM events") == 1


@on_first_server
@pytest.mark.parametrize("mode", MODES)
def test_the_log_ignores_the_search_path_of_the_caller(chat: Conn, mode: str) -> None:
    """Tables, functions and operators of the same names, in a schema and in pg_temp."""
    with chat.transaction(force_rollback=True):
        chat.execute("CREATE SCHEMA evil")
        for where in ("evil", "pg_temp"):
            for name in ("events", "events_state", "messages", "events_bell"):
                chat.execute(f"CREATE TABLE {where}.{name} (id text)")
            for call in (
                "ring_doorbell(text, text, text[], text[])",
                "bell_is_due()",
                "clock_timestamp()",
                "events_origin()",
                "pg_notify(text, text)",
                "pg_current_xact_id()",
            ):
                chat.execute(
                    f"CREATE FUNCTION {where}.{call} RETURNS text LANGUAGE plpgsql AS"
                    " 'BEGIN RAISE EXCEPTION $$evil$$; END'"
                )
        chat.execute(
            "CREATE FUNCTION evil.boom(text, text) RETURNS text LANGUAGE plpgsql AS"
            " 'BEGIN RAISE EXCEPTION $$evil$$; END';"
            "CREATE OPERATOR evil.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.boom)"
        )
        cursor = cursor_now(chat)
        chat.execute("SELECT set_config('chat.notify', %s, true)", [mode])
        chat.execute("SET LOCAL search_path = pg_temp, evil, pg_catalog")
        before = value(chat, "SELECT count(*) FROM public.events")
        chat.execute(SEND_MESSAGE.replace("INTO messages", "INTO public.messages"))
        chat.execute(f"UPDATE public.channel_members SET role = 'admin' WHERE user_id = '{ADA}'")
        chat.execute(f"DELETE FROM public.reactions WHERE id = '{THUMB}'")
        assert value(chat, "SELECT count(*) FROM public.events") == before + 3
        for where in ("evil", "pg_temp"):
            assert value(chat, f"SELECT count(*) FROM {where}.events") == 0
        page = chat.execute("SELECT seq FROM public.events_since(%s)", [cursor]).fetchall()
        assert page == [(None,)], "its own are for later"
