"""A cursor that is not valid any more is refused: copies, restores, resets, crashes, standbys."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading

import psycopg
import pytest

from chatdb_cli.embedded.server import EmbeddedServer
from tests.support.chat_events import (
    MALFORMED,
    SEND_MESSAGE,
    STANDBY,
    assert_cursor_refused,
    cursor_now,
    read_all_pages,
    read_page,
    use_up_xids,
    value,
)
from tests.support.database import Database
from tests.support.servers import Server, on_first_server


@on_first_server
def test_a_malformed_cursor_is_refused_as_such(database: Database) -> None:
    with database.connect() as conn:
        epoch = cursor_now(conn).split("|")[0]
        conn.execute(SEND_MESSAGE)
        for cursor in (
            " ", "0", "5:5:", epoch, f"{epoch}|", f"{epoch}|5", f"{epoch}|5:3:", f"{epoch}|0:0:",
            f"{epoch}|5:9:8,7", f"{epoch}|5:9:4", f"{epoch}|5:9:,",
            f"{epoch}|5:5:|5:5:", f"{epoch}|5:5:|5:5:|1",
            f"{epoch}|5:5:|6:5:|1.1|-", f"{epoch}|5:5:|5:5:|{'9' * 30}.1|-",
            f"{epoch}|5:5:|5:5:|1.1|{'9' * 30}-",
            f"{epoch}|5:5:|5:5:|x|-", f"{epoch}|5:5:\n", f"{cursor_now(conn)}|", f"x{cursor_now(conn)}",
            "'; DROP TABLE events; --", "\u20ac" * 5000,
        ):  # fmt: skip
            assert "not a cursor of the change log" in assert_cursor_refused(
                conn, cursor, MALFORMED
            )


def test_a_copied_database_is_noticed_and_has_a_log_of_its_own(
    server: Server, database: Database
) -> None:
    with database.connect() as conn:
        begin = cursor_now(conn)
        for _ in range(3):
            conn.execute(SEND_MESSAGE)
        middle = read_page(conn, begin, 2)[0][1]
    copy = server.create(database.name)
    with copy.connect() as conn:
        for cursor in (begin, middle):
            assert_cursor_refused(conn, cursor)
        fresh = cursor_now(conn)
        assert cursor_now(conn) == fresh, "the epoch begins once"
        for cursor in (begin, middle):
            assert_cursor_refused(conn, cursor)
        conn.execute(SEND_MESSAGE)
        assert len(read_all_pages(conn, fresh)) == 1
    copy.drop()
    with database.connect() as conn:
        assert len(read_all_pages(conn, begin)) == 3
        assert_cursor_refused(conn, fresh)


def test_two_readers_that_find_a_copy_at_once_agree_on_its_epoch(
    server: Server, database: Database
) -> None:
    copy = server.create(database.name)
    cursors: list[str] = []
    with copy.connect() as first_one:
        first_one.execute("BEGIN")
        cursors.append(cursor_now(first_one))

        def second() -> None:
            with copy.connect() as conn:
                cursors.append(cursor_now(conn))

        thread = threading.Thread(target=second)
        thread.start()
        copy.execute(
            "DO $$ BEGIN WHILE NOT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype ="
            " 'transactionid') LOOP PERFORM pg_sleep(0.002); END LOOP; END $$"
        )
        first_one.execute("COMMIT")
        thread.join()
        first_one.execute(SEND_MESSAGE)
        assert [len(read_all_pages(first_one, cursor)) for cursor in cursors] == [1, 1]
    copy.drop()


def dump(database: Database, *more: str) -> str:
    programs = database.server.embedded.programs
    return subprocess.run(
        [programs / "pg_dump", *more, database.url], check=True, capture_output=True, text=True
    ).stdout


def restore(database: Database, text: str) -> None:
    programs = database.server.embedded.programs
    subprocess.run(
        [programs / "psql", "-qX", "-v", "ON_ERROR_STOP=1", "-d", database.url],
        input=text, check=True, capture_output=True, text=True,
    )  # fmt: skip


def test_old_events_of_a_restored_database_never_come_up_as_new_ones(
    database: Database, own: Server
) -> None:
    """Not at once, not if a running transaction has the xid of one, not when xids pass theirs."""
    xid = "SELECT pg_current_xact_id()::text::bigint"
    with own.create().connect() as conn:
        there = value(conn, xid)
    with database.connect() as conn:
        use_up_xids(conn, max(0, there - value(conn, xid)) + 2000)  # the restore uses hundreds
        begin = cursor_now(conn)
        for _ in range(200):
            conn.execute(SEND_MESSAGE)
        old = value(conn, "SELECT count(*) FROM events")
        text = dump(database)
        conn.execute("DROP OWNED BY chat_listener")  # the roles belong to the other cluster
    restored = own.create()
    restore(restored, text)
    with restored.connect() as conn, restored.connect() as writer, restored.connect() as late:
        assert value(conn, "SELECT count(*) FROM events") == old
        assert value(conn, "SELECT min(xid::text::bigint) FROM events") > value(conn, xid)
        conn.execute(SEND_MESSAGE)  # before any read
        writer.execute("BEGIN")
        writer.execute(SEND_MESSAGE)
        conn.execute(
            "UPDATE events SET xid = %s WHERE seq = (SELECT min(seq) FROM events)",
            [str(value(writer, xid))],
        )
        late.execute("BEGIN")
        late.execute("SELECT 1")
        assert_cursor_refused(conn, begin)
        fresh = cursor_now(conn)
        assert read_all_pages(conn, fresh) == []
        writer.execute("COMMIT")
        late.execute(SEND_MESSAGE)
        late.execute("COMMIT")
        conn.execute(SEND_MESSAGE)
        new = read_all_pages(conn, fresh)
        assert len(new) == 3
        for _ in range(4):
            use_up_xids(conn, 700)
            conn.execute(SEND_MESSAGE)
        assert value(conn, xid) > there + 2000 + 200
        assert read_all_pages(conn, fresh, 2)[:3] == new
        assert len(read_all_pages(conn, fresh)) == 7
        assert_cursor_refused(conn, begin)
    restored.drop()


def test_a_log_that_nobody_reads_after_a_restore_can_be_purged(
    database: Database, own: Server
) -> None:
    database.execute(SEND_MESSAGE)
    restored = own.create()
    restore(restored, dump(database))
    with restored.connect() as conn:
        conn.execute("UPDATE events SET xid = '99999999999'")
        conn.execute(SEND_MESSAGE)
        while value(conn, "SELECT purge_events('0s')"):
            pass
        assert value(conn, "SELECT count(*) FROM events") == 0
    restored.drop()


def test_a_dump_restored_into_the_same_database_is_noticed(database: Database) -> None:
    with database.connect() as conn:
        begin = cursor_now(conn)
        conn.execute(SEND_MESSAGE)
        text = dump(database, "--clean", "--if-exists")
        conn.execute(SEND_MESSAGE)
        after = cursor_now(conn)
    restore(database, text)
    with database.connect() as conn:
        for cursor in (begin, after):
            assert_cursor_refused(conn, cursor)
        fresh = cursor_now(conn)
        conn.execute(SEND_MESSAGE)
        assert len(read_all_pages(conn, fresh)) == 1


@pytest.mark.parametrize("savepoint", [False, True])
def test_the_reader_that_begins_the_epoch_reads_its_own_later_events(
    database: Database, savepoint: bool
) -> None:
    """The reader starts the epoch, and an old event may even have the xid of the reader."""
    with database.connect() as conn:
        conn.execute("TRUNCATE events_state")
        conn.execute(
            "INSERT INTO events (xid, table_name, op, row_id)"
            " SELECT (pg_current_xact_id()::text::bigint + n)::text::xid8, 'messages', 'insert', 'old'"
            " FROM generate_series(1, 50) n"
        )
        conn.execute("BEGIN")
        if savepoint:
            conn.execute("SAVEPOINT s")
        conn.execute(SEND_MESSAGE)
        assert value(conn, "SELECT count(*) FROM events WHERE xid = pg_current_xact_id()") == 2
        cursor = cursor_now(conn)
        assert read_all_pages(conn, cursor) == []
        conn.execute("COMMIT")
        assert read_all_pages(conn, cursor) == [value(conn, "SELECT max(seq) FROM events")]


def test_a_reset_begins_a_new_epoch_and_loses_nothing_that_is_being_written(
    database: Database,
) -> None:
    with database.connect() as conn, database.connect() as writer:
        conn.execute(SEND_MESSAGE)
        begin = cursor_now(conn)
        writer.execute("BEGIN")
        writer.execute(SEND_MESSAGE)
        fresh = str(value(conn, "SELECT events_reset()"))
        assert_cursor_refused(conn, begin)
        writer.execute("COMMIT")
        conn.execute(SEND_MESSAGE)
        assert len(read_all_pages(conn, fresh)) == 2
        assert len(read_all_pages(conn, cursor_now(conn))) == 0


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_a_reset_is_possible_in_a_transaction_of_any_kind(database: Database, level: str) -> None:
    with database.connect() as conn, database.connect() as other:
        conn.execute(f"BEGIN ISOLATION LEVEL {level}")
        conn.execute("SELECT count(*) FROM users")
        other.execute(SEND_MESSAGE)
        fresh = str(value(conn, "SELECT events_reset()"))
        other.execute(SEND_MESSAGE)
        conn.execute("COMMIT")
        other.execute(SEND_MESSAGE)
        assert len(read_all_pages(conn, fresh)) == (2 if level == "READ COMMITTED" else 3)


def test_a_cursor_ahead_of_the_database_is_refused(database: Database) -> None:
    with database.connect() as conn:
        conn.execute(SEND_MESSAGE)
        epoch, snapshot = cursor_now(conn).split("|")
        xmax = int(snapshot.split(":")[1]) + 100_000
        for ahead in (f"{xmax}:{xmax}:", f"{snapshot}|{xmax}:{xmax}:|1.1|1-1"):
            assert "restored" in assert_cursor_refused(conn, f"{epoch}|{ahead}")


def test_a_transaction_older_than_the_cursor_is_refused_and_loses_nothing(
    database: Database,
) -> None:
    """Its snapshot does not show yet what the cursor counts as read, or what is on the page."""
    with database.connect() as conn, database.connect() as old, database.connect() as writer:
        conn.execute(SEND_MESSAGE)
        begin = cursor_now(conn)
        writer.execute("BEGIN")
        writer.execute(SEND_MESSAGE)
        conn.execute(SEND_MESSAGE)  # puts the writer's xid in the middle
        old.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        assert len(read_all_pages(old, begin)) == 1
        writer.execute("COMMIT")
        pages = read_page(conn, begin, 1)
        cursors = [pages[0][1], read_page(conn, pages[0][1], 5)[-1][1]]
        for cursor in cursors:
            assert_cursor_refused(old, cursor)
        old.execute("ROLLBACK")
        assert [len(read_all_pages(old, cursor)) for cursor in cursors] == [1, 0]


def test_after_a_crash_events_with_reused_xids_are_not_lost(own: Server) -> None:
    """The xids of transactions rolled back just before the crash are not on disk."""
    database = own.create(own.templates["world"])
    with database.connect() as conn:
        conn.execute(SEND_MESSAGE)
        begin = cursor_now(conn)
        for _ in range(30):
            with conn.transaction(force_rollback=True):
                conn.execute(SEND_MESSAGE)
        cursors = [begin, cursor_now(conn), read_page(conn, begin)[-1][1]]
        kill(own)
    with database.connect() as conn:
        for _ in range(40):
            conn.execute(SEND_MESSAGE)
        assert [len(read_all_pages(conn, cursor)) for cursor in cursors] == [40] * 3
    database.drop()


def kill(server: Server) -> None:
    """Kill the server and start it again."""
    pid = server.embedded.status().pid
    assert pid
    os.kill(pid, signal.SIGQUIT)
    while server.embedded.status().running:
        pass
    server.embedded.start()


def test_a_cursor_stays_valid_after_a_restart(own: Server) -> None:
    database = own.create(own.templates["world"])
    with database.connect() as conn:
        begin = cursor_now(conn)
        for _ in range(3):
            conn.execute(SEND_MESSAGE)
        middle = read_page(conn, begin, 2)[0][1]
    own.embedded.stop()
    own.embedded.start()
    with database.connect() as conn:
        conn.execute(SEND_MESSAGE)
        assert len(read_all_pages(conn, begin)) == 4
        assert len(read_all_pages(conn, middle)) == 3
    database.drop()


@on_first_server
def test_a_standby_refuses_readers_with_its_own_sqlstate(own: Server) -> None:
    database = own.create(own.templates["world"])
    with database.connect() as conn:
        begin = cursor_now(conn)
    home = own.embedded.home.with_name(".standby")
    standby = EmbeddedServer(home, programs=own.embedded.programs)
    try:
        standby.start()
        standby.stop()
        mine, theirs = own.embedded.status(), standby.status()
        assert mine.data
        assert theirs.data
        # The embedded server allows replication only for this test.
        with (own.embedded.home / "hba.conf").open("a") as file:
            file.write("local replication all trust\n")
        own.execute("SELECT pg_reload_conf()")
        own.execute("CHECKPOINT")
        with database.connect() as conn:
            conn.execute("SELECT pg_backup_start('standby', true)" if own.version >= 15
                         else "SELECT pg_start_backup('standby', true, false)")  # fmt: skip
            shutil.rmtree(theirs.data)
            subprocess.run(["cp", "-a", mine.data, theirs.data], check=True)
            label = value(
                conn,
                "SELECT labelfile FROM pg_backup_stop()" if own.version >= 15
                else "SELECT labelfile FROM pg_stop_backup(false)",
            )  # fmt: skip
        (theirs.data / "postmaster.pid").unlink()
        (theirs.data / "backup_label").write_text(label)
        (theirs.data / "standby.signal").touch()
        for name in ("backup_label", "standby.signal"):
            shutil.chown(theirs.data / name, theirs.data.stat().st_uid)
        with (theirs.data / "postgresql.auto.conf").open("a") as file:
            file.write(f"primary_conninfo = 'host={mine.socket_dir} user=postgres'\n")
        standby.start()
        with database.connect() as conn:
            conn.execute(SEND_MESSAGE)
            lsn = value(conn, "SELECT pg_current_wal_lsn()")
        with psycopg.connect(standby.url(database.name), autocommit=True) as conn:
            while value(conn, "SELECT pg_last_wal_replay_lsn() < %s", lsn):
                pass
            assert value(conn, "SELECT count(*) FROM events") == 1, "it streams"
            assert value(conn, "SELECT count(*) FROM pg_stat_wal_receiver") == 1
            for cursor in (begin, ""):
                assert "primary" in assert_cursor_refused(conn, cursor, STANDBY)
    finally:
        standby.destroy()
    database.drop()
