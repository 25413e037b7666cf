"""Readers get each event once and in order: random schedules, each printed with its seed."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from tests.support.chat_events import (
    ADA,
    EDIT_MESSAGE,
    HALL,
    HI,
    INSERT_MESSAGES,
    MALFORMED,
    NEW,
    NEWER,
    SEND_MESSAGE,
    YO,
    Conn,
    assert_fails,
    cursor_now,
    read_all_pages,
    read_page,
    value,
)
from tests.support.database import Database
from tests.support.servers import on_first_server


@dataclass
class Change:
    """A written event, with the steps of the schedule at which it was written and committed."""

    row: str
    written: int
    committed: int = 0


@dataclass
class Writer:
    """A session that writes, with the events of its open transaction."""

    conn: Conn
    pending: dict[int, Change] = field(default_factory=dict)
    savepoints: list[dict[int, Change]] = field(default_factory=list)
    written: int = 0


@dataclass
class Reader:
    """A session that reads from its cursor; `expected` are the events that it must get."""

    writer: Writer
    cursor: str
    before: set[int]
    got: list[int] = field(default_factory=list)


class Schedule:
    """Random steps of writers and readers, one at a time; a seed reproduces the schedule.

    A writer that would have to wait for another gives up after a millisecond, which is one more way to
    roll back.
    """

    def __init__(self, sessions: list[Conn], seed: int, *, prepare: bool) -> None:
        self.random = random.Random(seed)
        self.sessions = list(sessions)
        self.prepare = prepare
        self.step = 0
        self.prepared: dict[str, dict[int, Change]] = {}
        self.truth: dict[int, Change] = {}
        self.writers = [Writer(self.connect()) for _ in range(5)]
        self.readers: list[Reader] = []

    def connect(self) -> Conn:
        conn = self.sessions.pop()
        conn.execute("SET lock_timeout = '1ms'")
        conn.execute(f"SET chat.notify = '{'off' if self.prepare else ''}'")
        return conn

    def play(self, steps: int) -> None:
        for self.step in range(1, steps + 1):
            if not self.readers or (self.random.random() < 0.02 and len(self.readers) < 4):
                self.new_reader()
            if self.random.random() < 0.6:
                self.write(self.random.choice(self.writers))
            else:
                self.read(self.random.choice(self.readers))
        for writer in self.writers + [r.writer for r in self.readers]:
            self.step += 1
            if self.random.random() < 0.5:
                self.commit(writer)
            else:
                self.rollback(writer)
        while self.prepared:
            self.finish_prepared(self.writers[0])
        for reader in self.readers:
            self.check(reader)

    # -- writing

    def idle(self, writer: Writer) -> bool:
        return writer.conn.info.transaction_status == TransactionStatus.IDLE

    def write(self, writer: Writer) -> None:
        choose = self.random.random()
        if self.idle(writer):
            if self.prepared and choose < 0.1:
                self.finish_prepared(writer)
            elif choose < 0.5:
                isolation = self.random.choice(
                    ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]
                )
                writer.conn.execute(f"BEGIN ISOLATION LEVEL {isolation}")
                writer.conn.execute("SELECT 1")  # takes the snapshot
            else:
                self.change(writer)
                self.commit(writer)
        elif choose < 0.15:
            self.commit(writer)
        elif choose < 0.22:
            self.rollback(writer)
        elif choose < 0.26 and self.prepare:
            self.prepare_transaction(writer)
        elif choose < 0.34:
            writer.conn.execute(f"SAVEPOINT s{len(writer.savepoints)}")
            writer.savepoints.append(dict(writer.pending))
        elif choose < 0.42 and writer.savepoints:
            before = writer.savepoints.pop()
            name = f"s{len(writer.savepoints)}"
            if self.random.random() < 0.6:
                writer.conn.execute(f"ROLLBACK TO {name}; RELEASE {name}")
                writer.pending = before
            else:
                writer.conn.execute(f"RELEASE {name}")
        else:
            self.change(writer)

    def statement(self) -> str:
        r = self.random
        some = f"(SELECT id FROM messages OFFSET {r.randrange(8)} LIMIT {r.choice([1, 1, 3])})"
        new = f"INSERT INTO messages (channel_id, user_id, content) SELECT '{HALL}', '{ADA}', 'x'"
        return r.choice(
            [
                new,
                f"{new} FROM generate_series(1, {r.choice([2, 5, 40])})",
                f"UPDATE messages SET content = '{self.step}' WHERE id IN {some}",
                f"UPDATE messages SET deleted_at = now() WHERE id IN {some}",
                f"UPDATE messages SET updated_at = now() WHERE id IN {some}",
                f"DELETE FROM messages WHERE id IN {some}",
                "INSERT INTO reactions (message_id, user_id, emoji)"
                f" SELECT id, '{ADA}', 'x' FROM messages WHERE id IN {some} ON CONFLICT DO NOTHING",
                f"DO $$ BEGIN BEGIN {new}; RAISE division_by_zero; EXCEPTION WHEN OTHERS THEN NULL; END;"
                f" {new}; END $$",
            ]
        )

    def change(self, writer: Writer) -> None:
        begun = not self.idle(writer)
        try:
            if not begun:
                writer.conn.execute("BEGIN")
            writer.conn.execute(self.statement())
            rows = writer.conn.execute(
                "SELECT seq, table_name || row_id FROM events"
                " WHERE xid = pg_current_xact_id_if_assigned() AND seq > %s",
                [writer.written],
            ).fetchall()
        except (
            psycopg.errors.LockNotAvailable,
            psycopg.errors.SerializationFailure,
            psycopg.errors.ForeignKeyViolation,
            psycopg.errors.DeadlockDetected,
        ):
            self.rollback(writer)
            return
        for seq, row in rows:
            writer.pending[seq] = Change(row, self.step)
            writer.written = max(writer.written, seq)

    def commit(self, writer: Writer) -> None:
        try:
            writer.conn.execute("COMMIT")
        except psycopg.errors.SerializationFailure:
            self.rollback(writer)
        else:
            self.made_true(writer.pending)
            self.clear(writer)

    def rollback(self, writer: Writer) -> None:
        writer.conn.execute("ROLLBACK")
        self.clear(writer)

    def prepare_transaction(self, writer: Writer) -> None:
        name = f"p{self.step}"
        try:
            writer.conn.execute(f"PREPARE TRANSACTION '{name}'")
        except psycopg.errors.SerializationFailure:
            self.rollback(writer)
        else:
            self.prepared[name] = writer.pending
            self.clear(writer)

    def finish_prepared(self, writer: Writer) -> None:
        name = self.random.choice(list(self.prepared))
        changes = self.prepared.pop(name)
        if self.random.random() < 0.7:
            writer.conn.execute(f"COMMIT PREPARED '{name}'")
            self.made_true(changes)
        else:
            writer.conn.execute(f"ROLLBACK PREPARED '{name}'")

    def made_true(self, changes: dict[int, Change]) -> None:
        for change in changes.values():
            change.committed = self.step
        self.truth |= changes

    def clear(self, writer: Writer) -> None:
        writer.pending, writer.savepoints = {}, []

    # -- reading

    def new_reader(self) -> None:
        conn = self.connect()
        with conn.transaction():
            conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor = cursor_now(conn)
            before = {row[0] for row in conn.execute("SELECT seq FROM events")}
        self.readers.append(Reader(Writer(conn), cursor, before))

    def read(self, reader: Reader) -> None:
        """Read a page, and accept all or only the start of it; or do something else between pages."""
        choose = self.random.random()
        writer = reader.writer
        if choose < 0.15:
            if not self.idle(writer):
                self.commit(writer) if choose < 0.1 else self.rollback(writer)
            else:
                isolation = self.random.choice(
                    ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"]
                )
                writer.conn.execute(f"BEGIN ISOLATION LEVEL {isolation}")
        elif choose < 0.25 and not self.idle(writer):
            self.change(writer)  # a reader may write too
        elif choose < 0.3 and self.idle(writer) and self.sessions:
            self.sessions.insert(0, writer.conn)
            writer.conn = self.connect()  # a reader needs only its cursor to continue
        else:
            try:
                page = read_page(
                    writer.conn, reader.cursor, self.random.choice([1, 2, 3, 10, 100, 500])
                )
            except psycopg.errors.SerializationFailure:
                self.rollback(writer)
                return
            taken = page[: self.random.choice([1, 2, len(page)])]
            reader.got += [seq for seq, _ in taken if seq is not None]
            reader.cursor = taken[-1][1]

    def check(self, reader: Reader) -> None:
        reader.got += read_all_pages(
            reader.writer.conn, reader.cursor, self.random.choice([2, 20, 500])
        )
        assert len(reader.got) == len(set(reader.got)), "twice"
        assert set(reader.got) == self.truth.keys() - reader.before, "lost"
        written, rows = 0, dict[str, int]()
        for seq in reader.got:
            change = self.truth[seq]
            assert change.committed >= written, "after a change that was written after its commit"
            written = max(written, change.written)
            assert rows.get(change.row, 0) < seq, "changes of a row in another order"
            rows[change.row] = seq


@pytest.mark.parametrize("prepare", [False, True], ids=["notify", "two-phase"])
def test_readers_get_each_event_once_and_in_order_whatever_the_schedule(
    request: pytest.FixtureRequest, owned: Database, prepare: bool
) -> None:
    rounds = 400 if request.config.getoption("--long") else 5
    start = random.randrange(10**9)
    with ExitStack() as stack:
        sessions = [stack.enter_context(owned.connect()) for _ in range(11)]
        for seed in range(start, start + rounds):
            try:
                Schedule(sessions, seed, prepare=prepare).play(250)
            except BaseException as error:
                error.add_note(f"seed {seed}, prepare {prepare}")
                raise


def test_readers_get_each_event_once_at_full_speed(database: Database) -> None:
    """Truly concurrent, to cover changes during a single statement."""
    done = threading.Event()

    def write(number: int) -> None:
        chance = random.Random(number)
        with database.connect() as conn:
            for _ in range(60):
                with conn.transaction(force_rollback=chance.random() < 0.2):
                    for _ in range(chance.choice([1, 1, 2, 8])):
                        conn.execute(SEND_MESSAGE)
                    with conn.transaction(force_rollback=chance.random() < 0.5):
                        conn.execute(EDIT_MESSAGE, [chance.choice([HI, YO])])

    def follow(cursor: str, limit: int) -> list[int]:
        seqs: list[int] = []
        with database.connect() as conn:
            last = False
            while True:
                page = read_page(conn, cursor, limit)
                page = page[: random.randint(1, len(page))]
                seqs += [seq for seq, _ in page if seq is not None]
                cursor = page[-1][1]
                if page[-1][0] is None:
                    if last:
                        return seqs
                    last = done.is_set()

    with database.connect() as conn, ThreadPoolExecutor(8) as pool:
        readers = [pool.submit(follow, cursor_now(conn), limit) for limit in (1, 7, 500)]
        writers = [pool.submit(write, number) for number in range(5)]
        wait(writers)
        done.set()
        for writer in writers:
            writer.result()
        rows = dict(conn.execute("SELECT seq, table_name || row_id FROM events").fetchall())
        for reader in readers:
            seqs = reader.result()
            assert sorted(seqs) == sorted(rows)
            for row in set(rows.values()):
                of_row = [seq for seq in seqs if rows[seq] == row]
                assert of_row == sorted(of_row)


def test_a_reader_continues_from_any_row_of_any_page(database: Database) -> None:
    with database.connect() as conn:
        begin = cursor_now(conn)
        for _ in range(4):
            conn.execute(SEND_MESSAGE)
        conn.execute(f"{SEND_MESSAGE}, ('{HALL}', '{ADA}', 'y'), ('{HALL}', '{ADA}', 'z')")
        whole = read_all_pages(conn, begin)
        assert len(whole) == 7
        for limit in range(1, 9):
            page = read_page(conn, begin, limit)
            for seq, cursor in page:
                rest = read_all_pages(conn, cursor, limit)
                assert rest == [s for s in whole if s > (seq or 0)], f"{seq} of {limit}"


def test_a_page_is_the_same_however_often_it_is_read_and_whatever_comes(database: Database) -> None:
    with database.connect() as conn, database.connect() as other:
        begin = cursor_now(conn)
        other.execute("BEGIN")
        other.execute(SEND_MESSAGE)
        for _ in range(3):
            conn.execute(SEND_MESSAGE)
        ((_, cursor),) = read_page(conn, begin, 1)[:1]
        page = [seq for seq, _ in read_page(conn, cursor, 10)]
        other.execute("COMMIT")
        conn.execute(SEND_MESSAGE)
        assert [seq for seq, _ in read_page(conn, cursor, 10)] == page
        assert len(read_all_pages(conn, begin)) == 5


def test_without_an_event_one_row_brings_the_cursor_to_keep(database: Database) -> None:
    with database.connect() as conn:
        for empty in (None, ""):
            (row,) = conn.execute("SELECT * FROM events_since(%s)", [empty]).fetchall()
            assert row[:-1] == (None,) * 7
            assert row[-1]
        assert read_page(conn, cursor_now(conn)) == [(None, cursor_now(conn))]
        conn.execute(SEND_MESSAGE)
        assert read_page(conn, cursor_now(conn)) == [(None, cursor_now(conn))], (
            "an empty cursor begins from now"
        )


@on_first_server
def test_events_since_accepts_any_positive_limit(database: Database) -> None:
    with database.connect() as conn:
        begin = cursor_now(conn)
        conn.execute(SEND_MESSAGE)
        for limit in ("1", "2147483647", "NULL"):
            ((seq,),) = conn.execute(f"SELECT seq FROM events_since('{begin}', {limit})").fetchall()
            assert seq
        for limit in ("0", "-1"):
            assert_fails(conn, MALFORMED, f"SELECT events_since('{begin}', {limit})")


DELETE = "UPDATE messages SET deleted_at = now() WHERE id = NEW.id"
AS_TRIGGER = """
CREATE FUNCTION moderate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {0}; RETURN NULL; END $$;
CREATE TRIGGER {1} AFTER {2} ON messages FOR EACH {3} WHEN (pg_trigger_depth() = 0)
  EXECUTE FUNCTION moderate();
"""
NEW_MESSAGE = f"{INSERT_MESSAGES} ('{NEW}', '{HALL}', '{ADA}', 'x')"
EDIT = f"UPDATE messages SET content = 'y' WHERE id = '{HI}'"
RENEW = f"{INSERT_MESSAGES} (OLD.id, '{HALL}', '{ADA}', 'x')"
INNER = {
    # the trigger's body, and when it fires; the statement; the row and its events
    "a soft delete of the row just inserted": (
        (DELETE, "moderate", "INSERT", "ROW"), NEW_MESSAGE, NEW, ["delete"],
    ),
    "a delete of the row just inserted": (
        ("DELETE FROM messages WHERE id = NEW.id", "moderate", "INSERT", "ROW"),
        NEW_MESSAGE, NEW, ["delete"],
    ),
    "a soft delete of the row just inserted, by a trigger of the statement": (
        (DELETE.replace("NEW.id", f"'{NEW}'"), "a_moderate", "INSERT", "STATEMENT"),
        NEW_MESSAGE, NEW, ["delete"],
    ),
    "a change of the row just inserted": (
        ("UPDATE messages SET content = 'y' WHERE id = NEW.id", "moderate", "INSERT", "ROW"),
        NEW_MESSAGE, NEW, ["insert"],
    ),
    "a soft delete of the row just changed": (
        (DELETE, "moderate", "UPDATE", "ROW"), EDIT, HI, ["delete"],
    ),
    "a delete of the row just changed": (
        ("DELETE FROM messages WHERE id = NEW.id", "moderate", "UPDATE", "ROW"),
        EDIT, HI, ["delete"],
    ),
    "a soft delete undone": (
        ("UPDATE messages SET deleted_at = NULL WHERE id = NEW.id", "moderate", "UPDATE", "ROW"),
        DELETE.replace("NEW.id", f"'{YO}'"), YO, ["update"],
    ),
    "a row that comes back": (
        (RENEW, "moderate", "DELETE", "ROW"),
        f"DELETE FROM messages WHERE id = '{YO}'", YO, ["insert"],
    ),
    "a statement that inserts, and deletes by a function": (
        None,
        f"WITH new AS ({NEW_MESSAGE} RETURNING id) SELECT delete_message(id, '{ADA}') FROM new",
        NEW, ["delete"],
    ),
    "a statement that sends, and deletes by a function": (
        None,
        f"WITH new AS (SELECT id FROM send_message('{HALL}', '{ADA}', 'x', 'c'))"
        f" SELECT delete_message(id, '{ADA}') FROM new",
        None, ["insert", "delete"],
    ),
    "a statement that deletes a row and inserts it again": (
        None,
        f"WITH old AS (DELETE FROM messages WHERE id = '{YO}' RETURNING *)"
        " INSERT INTO messages SELECT * FROM old",
        YO, ["insert"],
    ),
    "a statement that inserts, and edits by a function": (
        None,
        f"{EDIT}; WITH new AS ({NEW_MESSAGE} RETURNING id)"
        f" SELECT edit_message(id, '{ADA}', 'y') FROM new",
        NEW, ["insert"],
    ),
    "a statement that inserts, and edits and sends by functions": (
        None,
        f"WITH new AS ({NEW_MESSAGE} RETURNING id) SELECT edit_message(id, '{ADA}', 'y'),"
        f" send_message('{HALL}', '{ADA}', 'x', 'c') FROM new",
        NEW, ["insert"],
    ),
    "a statement that inserts, and inserts or changes by a function": (
        None,
        f"""CREATE FUNCTION again() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
            {NEW_MESSAGE} ON CONFLICT (id) DO UPDATE SET content = 'y'; END $$;
        WITH new AS ({NEW_MESSAGE} RETURNING id) SELECT again() FROM new""",
        NEW, ["insert"],
    ),
    "a row that is inserted, and changed by the next statement": (
        None,
        f"{EDIT}; {NEW_MESSAGE}; {EDIT.replace(HI, NEW)}; {NEW_MESSAGE.replace(NEW, NEWER)}",
        NEW, ["insert", "update"],
    ),
    "a statement after a change in the same transaction": (
        None, f"{EDIT}; {NEW_MESSAGE}; {EDIT.replace('y', 'z')}", NEW, ["insert"],
    ),
    "after a savepoint rolled back": (
        (DELETE, "moderate", "INSERT", "ROW"),
        f"SAVEPOINT s; {NEW_MESSAGE}; ROLLBACK TO s; DROP TRIGGER moderate ON messages; {NEW_MESSAGE}",
        NEW, ["insert"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", INNER)
@pytest.mark.parametrize(
    "nonsense",
    ["", "'x'", "pg_current_xact_id() || ':x'", "pg_current_xact_id() || ':99999999999'"],
)
def test_the_last_event_of_a_row_in_a_transaction_is_true(
    chat: Conn, case: str, nonsense: str
) -> None:
    """A statement within a statement changes a row of the outer one; settings may be nonsense."""
    trigger, statement, row, expected = INNER[case]
    with chat.transaction(force_rollback=True):
        mark = value(chat, "SELECT coalesce(max(seq), 0) FROM events")
        if nonsense:
            chat.execute("SET LOCAL chat.notify = 'every'")
            for name in ("chat.changed", "chat.rung"):
                chat.execute(f"SELECT set_config('{name}', {nonsense}, true)")
        if trigger:
            chat.execute(AS_TRIGGER.format(*trigger))
        chat.execute(statement)
        row = row or value(chat, "SELECT id FROM messages WHERE client_message_id = 'c'")
        ops = chat.execute(
            "SELECT op FROM events WHERE seq > %s AND row_id = %s AND table_name = 'messages'"
            " ORDER BY seq",
            [mark, row],
        ).fetchall()
        assert [op for (op,) in ops] == expected
        live = "SELECT count(*) FROM messages WHERE id = %s AND deleted_at IS NULL"
        assert value(chat, live, row) == (expected[-1] != "delete")
