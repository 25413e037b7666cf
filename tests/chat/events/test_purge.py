"""Old events are purged, and no reader misses one without being told."""

from __future__ import annotations

import random
import threading
import time

import psycopg

from tests.support.chat_events import RESYNCHRONISE, SEND, drain, now, read, refuses, value
from tests.support.database import Database
from tests.support.servers import first


def test_purging_goes_in_batches_oldest_first_and_keeps_what_is_young(database: Database) -> None:
    with database.connect() as conn:
        for _ in range(10):
            conn.execute(SEND)
        conn.execute(
            "UPDATE events SET at = at - interval '1 day' WHERE seq <= (SELECT min(seq) + 6 FROM events)"
        )
        purge = "SELECT purge_events('1 hour', 3)"
        assert [value(conn, purge) for _ in range(4)] == [3, 3, 1, 0]
        assert value(conn, "SELECT count(*) FROM events") == 3


def test_a_cursor_from_before_what_was_purged_is_told_and_others_are_not(
    database: Database,
) -> None:
    with database.connect() as conn:
        begin = now(conn)
        for _ in range(4):
            conn.execute(SEND)
        middle = read(conn, begin, 2)[0][1]
        done = read(conn, begin)[-1][1]
        conn.execute(SEND)
        conn.execute(
            "UPDATE events SET at = at - interval '1 day' WHERE seq < (SELECT max(seq) FROM events)"
        )
        assert value(conn, "SELECT purge_events('1 hour')") == 4
        for cursor in (begin, middle):
            assert "purged" in refuses(conn, cursor)
        assert len(drain(conn, done)) == 1
        fresh = now(conn)
        assert value(conn, "SELECT purge_events('0s')") == 1
        assert drain(conn, fresh) == []
        assert drain(conn, now(conn)) == []
        refuses(conn, done)


def test_what_a_long_transaction_may_still_change_the_order_of_is_not_purged(
    database: Database,
) -> None:
    """Nothing that a reader has not got yet goes, and nobody is told of a purge that hurt nobody."""
    with database.connect() as conn, database.connect() as writer:
        conn.execute(SEND)
        writer.execute("BEGIN")
        writer.execute(SEND)
        begin = now(conn)
        for _ in range(3):
            conn.execute(SEND)
        cursor = read(conn, begin)[-1][1]
        assert value(conn, "SELECT purge_events('0s')") == 1, "what was settled before it began"
        assert drain(conn, cursor) == []
        assert len(drain(conn, begin)) == 3
        writer.execute("COMMIT")
        assert len(drain(conn, cursor)) == 1
        assert len(drain(conn, begin)) == 4
        cursor = now(conn)
        assert value(conn, "SELECT purge_events('0s')") == 4
        assert drain(conn, cursor) == []
        refuses(conn, begin)


def test_who_has_not_read_a_late_commit_is_told_when_it_is_purged(database: Database) -> None:
    """The cursor is newer than it, but for the one transaction that was running then."""
    with database.connect() as conn, database.connect() as writer:
        begin = now(conn)
        writer.execute("BEGIN")
        writer.execute(SEND)
        conn.execute(SEND)
        cursor = read(conn, begin)[-1][1]
        writer.execute("COMMIT")
        assert value(conn, "SELECT purge_events('0s')") == 2
        refuses(conn, cursor)


@first
def test_two_who_purge_at_once_do_not_wait_for_each_other(database: Database) -> None:
    with database.connect() as conn, database.connect() as other:
        for _ in range(4):
            conn.execute(SEND)
        conn.execute("BEGIN")
        assert value(conn, "SELECT purge_events('0s', 2)") == 2
        assert value(other, "SELECT purge_events('0s', 2)") == 0
        conn.execute("COMMIT")
        assert value(other, "SELECT purge_events('0s', 9)") == 2


def test_readers_have_all_or_are_told_while_it_is_purged_under_them(database: Database) -> None:
    """Each event is written down a second time, where nothing is purged."""
    database.execute(
        "SELECT events_since(); CREATE TABLE shadow (seq bigint);"
        "CREATE FUNCTION cast_shadow() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN INSERT INTO shadow VALUES (NEW.seq); RETURN NULL; END';"
        "CREATE TRIGGER shadow AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION cast_shadow()"
    )
    done = threading.Event()
    told: list[int] = []
    failed: list[str] = []

    def follow(number: int) -> None:
        chance = random.Random(number)
        with database.connect() as conn:
            conn.execute("SET default_transaction_isolation = 'repeatable read'")
            cursor, before, got = "", set[int](), set[int]()
            while not done.is_set():
                try:
                    with conn.transaction():
                        page = read(conn, cursor, chance.choice([1, 5, 100]))
                        there = {row[0] for row in conn.execute("SELECT seq FROM shadow")}
                except psycopg.Error as error:
                    if error.sqlstate != RESYNCHRONISE:
                        failed.append(str(error))
                        return
                    told.append(number)
                    cursor, got = "", set()
                    continue
                if not cursor:
                    before = there
                elif page[-1][0] is None and there - before != got:
                    failed.append(f"{number} misses {there - before - got}")
                got |= {seq for seq, _ in page if seq is not None}
                cursor = page[-1][1]
                if chance.random() < 0.05:
                    time.sleep(0.02)  # falls behind

    def write() -> None:
        with database.connect() as conn:
            while not done.is_set():
                conn.execute(SEND)

    threads = [threading.Thread(target=follow, args=[n]) for n in range(3)]
    threads += [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    purged = 0
    with database.connect() as conn, database.connect() as long:
        for _ in range(3):
            long.execute("BEGIN")
            long.execute(SEND)
            for _ in range(30):
                purged += value(conn, "SELECT purge_events('2 ms', 7)")
            long.execute("COMMIT")
            for _ in range(30):
                purged += value(conn, "SELECT purge_events('2 ms', 7)")
    done.set()
    for thread in threads:
        thread.join()
    assert not failed
    assert purged
