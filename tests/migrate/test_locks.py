"""Promises about those who stand in the way: one migrator at a time, and nobody in a queue for long."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from chatdb_cli.errors import Code
from chatdb_cli.migrate.model import MigrationError, Progress
from chatdb_cli.postgres.quoting import Quoting
from tests.support.children import run_concurrently, start_child
from tests.support.database import Database, wait_for_no_sessions, wait_for_session
from tests.support.project import Project, call_when_waiting, states
from tests.support.servers import on_first_server

PATIENCE = 120.0
ADVISORY = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
GATE = 4711


def until(done: Callable[[], bool]) -> None:
    """Wait without a snapshot, for which an index would wait in its turn."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def hold(conn: psycopg.Connection[Any]) -> None:
    """Take the lock that a migrator of this database takes."""
    conn.execute(f"SELECT pg_advisory_lock({Quoting(conn, 'public').session_key})")


# --- one migrator at a time -----------------------------------------------------------------------


def test_sixteen_concurrent_migrators_apply_each_version_once_and_all_succeed(
    project: Project, database: Database
) -> None:
    for n in range(1, 50):
        project.write(
            f"{n:04}_t{n}",
            f"CREATE TABLE t{n} (id int); CREATE TABLE IF NOT EXISTS counted (n int); "
            f"INSERT INTO counted VALUES ({n}); SELECT pg_sleep(0.002);",
        )
    project.write(
        "0050_index",
        "-- chatdb: transactional: false\nINSERT INTO counted VALUES (50);\nVACUUM t1;",
    )
    answers = run_concurrently(database, project, ["up"] * 16)
    assert [code for code, _ in answers] == [0] * 16, answers
    assert database.query("SELECT n FROM counted ORDER BY n") == [(n,) for n in range(1, 51)]
    assert sum(states.count("applied") for _, states in answers) == 50
    assert all(set(states) <= {"applied", "by-another"} for _, states in answers)
    assert len(database.applied()) == 50
    assert database.query(ADVISORY) == [(0,)]


@pytest.mark.quick
@on_first_server
def test_a_waiting_migrator_names_the_holder_of_the_lock_and_how_to_end_it(
    project: Project, database: Database
) -> None:
    project.write_tables(1)
    with database.connect(application_name="chatdb 12ab34cd") as holder:
        hold(holder)
        name = (
            rf"pid {holder.info.backend_pid} \(chatdb 12ab34cd, user postgres, idle, "
            r"since \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ, \d+ s ago\): SELECT pg_advisory_lock"
        )
        for wait in ("0s", "50ms"):
            texts: list[str] = []
            with pytest.raises(MigrationError) as caught:
                project.migrator(database, wait=wait, progress=call_when_waiting(texts.append)).up()
            error = caught.value
            assert (error.code, error.exit) == (Code.LOCKED, 7)
            assert states(error) == ["not-run"]
            assert re.search(f"another migrator is running .*: {name}", error.message)
            assert f"pg_terminate_backend({holder.info.backend_pid})" in (error.hint or "")
            assert len(texts) == (wait != "0s")
            assert all(re.match(f"waiting for another migrator: {name}", t) for t in texts)
        assert database.tables() == set()
        assert project.migrator(database).up(dry_run=True).steps  # takes no lock


def test_a_waiting_migrator_holds_no_lock_and_no_snapshot(
    project: Project, database: Database
) -> None:
    project.write_tables(1)
    with database.connect() as holder:
        hold(holder)
        found: list[Any] = []

        def look(_: str) -> None:
            found.extend(
                database.query(
                    "SELECT state, backend_xid, backend_xmin, "
                    "(SELECT count(*) FROM pg_locks l WHERE l.pid = a.pid) "
                    f"FROM pg_stat_activity a WHERE application_name = '{application}'"
                )
            )
            holder.close()

        migrator = project.migrator(database, progress=call_when_waiting(look))
        application = migrator.target.application
        assert states(migrator.up()) == ["applied"]
    assert found == [("idle", None, None, 0)]


@on_first_server
def test_a_waiting_migrator_does_not_block_create_index_concurrently_of_the_holder(
    project: Project, database: Database
) -> None:
    project.write("1_t", "CREATE TABLE t (n int);")
    project.migrator(database).up()
    project.write(
        "2_index",
        "-- chatdb: transactional: false\n"
        f"CREATE INDEX CONCURRENTLY i ON t (n);\nSELECT pg_advisory_xact_lock({GATE});",
    )
    runs: dict[str, Any] = {}
    told, waits = threading.Event(), threading.Event()

    def run(name: str, event: threading.Event) -> threading.Thread:
        progress = call_when_waiting(lambda _: event.set())
        migrator = project.migrator(database, lock_timeout="10min", wait="10min", progress=progress)
        thread = threading.Thread(target=lambda: runs.update({name: migrator.up()}))
        thread.start()
        return thread

    with database.connect() as gate, database.connect() as old:
        gate.execute(f"SELECT pg_advisory_lock({GATE})")
        old.execute("BEGIN; INSERT INTO t VALUES (1)")
        one = run("one", told)
        assert told.wait(PATIENCE)  # the index waits for the old transaction
        two = run("two", waits)
        assert waits.wait(PATIENCE)
        old.execute("ROLLBACK")
        until(lambda: database.query("SELECT indisvalid FROM pg_index WHERE indrelid = 't'::regclass")
              == [(True,)])  # fmt: skip
        assert two.is_alive()
        assert not runs
        gate.execute(f"SELECT pg_advisory_unlock({GATE})")
        one.join(PATIENCE)
        two.join(PATIENCE)
    assert (states(runs["one"]), states(runs["two"])) == (["applied"], ["by-another"])


@pytest.mark.quick
def test_a_killed_holder_releases_the_lock(project: Project, database: Database) -> None:
    project.write("1_slow", f"CREATE TABLE t1 (id int); SELECT pg_advisory_xact_lock({GATE});")
    project.write_tables(2)
    with database.connect() as gate:
        gate.execute(f"SELECT pg_advisory_lock({GATE})")
        holder = start_child(database.url, str(project.sql), "up", "public")
        wait_for_session(database, "wait_event = 'advisory'")

        def kill(_: str) -> None:
            holder.kill()
            holder.join()
            gate.close()

        run = project.migrator(database, progress=call_when_waiting(kill)).up()
    # What it had sent the server still does, each version whole.
    assert set(states(run)) <= {"applied", "by-another"}
    assert database.applied() == ["0002_t2", "1_slow"]
    wait_for_no_sessions(database)
    assert database.query(ADVISORY) == [(0,)]


@on_first_server
def test_a_file_that_releases_the_lock_is_applied_and_the_run_warns(
    project: Project, database: Database
) -> None:
    project.write("1_unlock", "CREATE TABLE t1 (id int); SELECT pg_advisory_unlock_all();")
    texts: list[str] = []
    progress = call_when_waiting(texts.append, "the migration lock was lost before the end")
    assert states(project.migrator(database, progress=progress).up()) == ["applied"]
    assert len(texts) == 1


@on_first_server
def test_an_error_in_the_progress_callback_is_raised(project: Project, database: Database) -> None:
    def progress(event: Progress) -> None:
        if event.kind == "started":
            raise LookupError("mine")

    for n, alone in enumerate(("", "-- chatdb: transactional: false\n"), 1):
        project.write(f"{n}_t{n}", f"{alone}CREATE TABLE t{n} (id int);")
        with pytest.raises(LookupError, match="mine"):
            project.migrator(database, progress=progress).up()
        project.migrator(database).up()
        assert len(database.tables()) == len(database.applied()) == n


def test_a_migrator_that_waits_too_long_for_another_transaction_is_exit_7(
    project: Project, database: Database
) -> None:
    """Behind a pooler there is no lock of the session, and the transaction's own decides."""
    project.write_tables(1)
    project.migrator(database).up()
    project.write_tables(2)
    sql = project.migrator(database).up(dry_run=True).steps[0].sql or ""
    lock = next(line for line in sql.splitlines() if "pg_advisory_xact_lock" in line)
    with database.connect() as other:
        other.execute("BEGIN")
        other.execute(lock)
        for wait in ("0s", "100ms"):
            with pytest.raises(MigrationError) as caught:
                project.migrator(database, wait=wait).up()
            assert (caught.value.code, caught.value.exit) == (Code.LOCKED, 7)
            assert states(caught.value) == ["not-run"]
        progress = call_when_waiting(lambda _: other.execute("ROLLBACK"))
        run = project.migrator(database, lock_timeout="100ms", progress=progress).up()
    assert states(run) == ["applied"]


# --- whom a statement waits for -------------------------------------------------------------------

READ = "SELECT 'postgresql://u:hunter2@h/d', *  FROM t1\nWHERE true"


@on_first_server
def test_the_blocking_session_is_named_and_others_wait_no_longer_than_the_lock_timeout(
    project: Project, database: Database
) -> None:
    project.write_tables(1)
    project.migrator(database).up()
    project.write("0002_add", "CREATE TABLE t2 (id int); ALTER TABLE t1 ADD COLUMN a int;")
    with database.connect(application_name="report") as reader, database.connect() as third:
        reader.execute("BEGIN")
        reader.execute(READ)
        texts: list[str] = []

        def read(text: str) -> None:
            """The migrator stands in front of t1; who comes behind it gets through."""
            texts.append(text)
            third.execute("SELECT * FROM t1")
            assert reader.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS

        with pytest.raises(MigrationError) as caught:
            project.migrator(
                database,
                lock_timeout="800ms",
                retries="2",
                progress=call_when_waiting(read, "waits for"),
            ).up()
        error = caught.value
        assert (error.code, error.exit, states(error)) == (Code.LOCKED, 7, ["failed"])
        blocker = re.compile(
            rf"pid {reader.info.backend_pid} \(report, user postgres, idle in transaction, "
            r"since \S+ \S+Z, \d+ s ago\): SELECT '•+', \*  FROM t1$"
        )
        assert blocker.search(texts[0])
        assert any(n.startswith("it waited for pid") and blocker.search(n) for n in error.notes)
        assert any("0002 was rolled back" in note for note in error.notes)
        progress = call_when_waiting(lambda _: reader.execute("ROLLBACK"), "trying again (1 of 10)")
        run = project.migrator(database, lock_timeout="20ms", progress=progress).up()
    assert states(run) == ["applied"]
    assert database.tables() == {"t1", "t2"}


@on_first_server
def test_a_transient_failure_is_retried(project: Project, database: Database) -> None:
    for n, sqlstate in enumerate(("55P03", "40P01", "40001"), 1):
        database.execute(f"CREATE SEQUENCE tries{n}")
        project.write(
            f"{n}_passes",
            f"DO $$ BEGIN IF nextval('tries{n}') < 3 THEN "
            f"RAISE EXCEPTION 'not yet' USING errcode = '{sqlstate}'; END IF; END $$;",
        )
    texts: list[str] = []
    progress: Callable[[Progress], None] = lambda e: texts.append(e.text)  # noqa: E731
    assert states(project.migrator(database, progress=progress).up()) == ["applied"] * 3
    said = [t for t in texts if t.startswith("ERROR") or "not yet" in t]
    assert [t[-9:] for t in said] == ["(1 of 10)", "(2 of 10)"] * 3
