"""Old events are purged, and a reader that has missed one gets an error."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psycopg

from tests.support.chat_events import (
    RESYNCHRONISE,
    SEND_MESSAGE,
    Conn,
    assert_cursor_refused,
    cursor_now,
    read_all_pages,
    read_page,
    value,
)
from tests.support.database import Database
from tests.support.servers import on_first_server


def test_purging_deletes_the_oldest_events_first_in_batches_and_keeps_young_ones(
    database: Database,
) -> None:
    with database.connect() as conn:
        for _ in range(10):
            conn.execute(SEND_MESSAGE)
        conn.execute(
            "UPDATE events SET at = at - interval '1 day' WHERE seq <= (SELECT min(seq) + 6 FROM events)"
        )
        purge = "SELECT purge_events('1 hour', 3)"
        assert [value(conn, purge) for _ in range(4)] == [3, 3, 1, 0]
        assert value(conn, "SELECT count(*) FROM events") == 3


def test_a_cursor_before_purged_events_is_refused_and_others_are_not(
    database: Database,
) -> None:
    with database.connect() as conn:
        begin = cursor_now(conn)
        for _ in range(4):
            conn.execute(SEND_MESSAGE)
        middle = read_page(conn, begin, 2)[0][1]
        done = read_page(conn, begin)[-1][1]
        conn.execute(SEND_MESSAGE)
        conn.execute(
            "UPDATE events SET at = at - interval '1 day' WHERE seq < (SELECT max(seq) FROM events)"
        )
        assert value(conn, "SELECT purge_events('1 hour')") == 4
        for cursor in (begin, middle):
            assert "purged" in assert_cursor_refused(conn, cursor)
        assert len(read_all_pages(conn, done)) == 1
        fresh = cursor_now(conn)
        assert value(conn, "SELECT purge_events('0s')") == 1
        assert read_all_pages(conn, fresh) == []
        assert read_all_pages(conn, cursor_now(conn)) == []
        assert_cursor_refused(conn, done)


def test_events_newer_than_a_running_transaction_are_not_purged(
    database: Database,
) -> None:
    """No unread event is purged, and a reader that missed no event gets no error."""
    with database.connect() as conn, database.connect() as writer:
        conn.execute(SEND_MESSAGE)
        writer.execute("BEGIN")
        writer.execute(SEND_MESSAGE)
        begin = cursor_now(conn)
        for _ in range(3):
            conn.execute(SEND_MESSAGE)
        cursor = read_page(conn, begin)[-1][1]
        assert value(conn, "SELECT purge_events('0s')") == 1, "what was settled before it began"
        assert read_all_pages(conn, cursor) == []
        assert len(read_all_pages(conn, begin)) == 3
        writer.execute("COMMIT")
        assert len(read_all_pages(conn, cursor)) == 1
        assert len(read_all_pages(conn, begin)) == 4
        cursor = cursor_now(conn)
        assert value(conn, "SELECT purge_events('0s')") == 4
        assert read_all_pages(conn, cursor) == []
        assert_cursor_refused(conn, begin)


def test_a_reader_that_missed_a_late_commit_is_told_when_it_is_purged(database: Database) -> None:
    """The cursor is newer than the purged event, except for one transaction that was running then."""
    with database.connect() as conn, database.connect() as writer:
        begin = cursor_now(conn)
        writer.execute("BEGIN")
        writer.execute(SEND_MESSAGE)
        conn.execute(SEND_MESSAGE)
        cursor = read_page(conn, begin)[-1][1]
        writer.execute("COMMIT")
        assert value(conn, "SELECT purge_events('0s')") == 2
        assert_cursor_refused(conn, cursor)


@on_first_server
def test_two_concurrent_purges_do_not_wait_for_each_other(database: Database) -> None:
    with database.connect() as conn, database.connect() as other:
        for _ in range(4):
            conn.execute(SEND_MESSAGE)
        conn.execute("BEGIN")
        assert value(conn, "SELECT purge_events('0s', 2)") == 2
        assert value(other, "SELECT purge_events('0s', 2)") == 0
        conn.execute("COMMIT")
        assert value(other, "SELECT purge_events('0s', 9)") == 2


def record_numbers_aside(database: Database) -> None:
    """Write the number of each event a second time, into a table that is never purged."""
    database.execute(
        "SELECT events_since(); CREATE TABLE recorded (seq bigint);"
        "CREATE FUNCTION record() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN INSERT INTO recorded VALUES (NEW.seq); RETURN NULL; END';"
        "CREATE TRIGGER record AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION record()"
    )


class Follower:
    """Reads page by page; after an error it starts again, and must then miss nothing.

    A page and the recorded numbers are read in one snapshot.  The recorded numbers of the first page
    after a start are those of the events that came before the start.
    """

    def __init__(self, database: Database, seed: int) -> None:
        self.database = database
        self.dice = random.Random(seed)
        self.begin_again()

    def begin_again(self) -> None:
        self.cursor = ""
        self.before_start: set[int] = set()
        self.received: set[int] = set()

    def follow(self, stop: threading.Event) -> None:
        with self.database.connect() as conn:
            conn.execute("SET default_transaction_isolation = 'repeatable read'")
            while not stop.is_set():
                try:
                    self.read_page(conn)
                except psycopg.Error as error:
                    if error.sqlstate != RESYNCHRONISE:
                        raise
                    self.begin_again()
                if self.dice.random() < 0.05:
                    time.sleep(0.02)  # lag

    def read_page(self, conn: Conn) -> None:
        with conn.transaction():
            page = read_page(conn, self.cursor, self.dice.choice([1, 5, 100]))
            recorded = {row[0] for row in conn.execute("SELECT seq FROM recorded")}
        at_the_end = page[-1][0] is None
        if not self.cursor:
            self.before_start = recorded
        elif at_the_end:
            assert recorded - self.before_start == self.received
        self.received |= {seq for seq, _ in page if seq is not None}
        self.cursor = page[-1][1]


def write_events(database: Database, stop: threading.Event) -> None:
    with database.connect() as conn:
        while not stop.is_set():
            conn.execute(SEND_MESSAGE)


def purge_with_and_without_a_long_transaction(database: Database) -> int:
    """Purge repeatedly; return the number of purged events."""
    purge = "SELECT purge_events('2 ms', 7)"
    purged = 0
    with database.connect() as conn, database.connect() as long:
        for _ in range(3):
            long.execute("BEGIN")
            long.execute(SEND_MESSAGE)
            purged += sum(value(conn, purge) for _ in range(30))
            long.execute("COMMIT")
            purged += sum(value(conn, purge) for _ in range(30))
    return purged


def test_a_reader_misses_no_event_or_is_told_while_events_are_purged(database: Database) -> None:
    record_numbers_aside(database)
    stop = threading.Event()
    with ThreadPoolExecutor() as pool:
        try:
            threads = [pool.submit(Follower(database, seed).follow, stop) for seed in range(3)]
            threads += [pool.submit(write_events, database, stop) for _ in range(2)]
            purged = purge_with_and_without_a_long_transaction(database)
        finally:
            stop.set()
        for thread in threads:
            thread.result()
    assert purged
