"""Whatever is killed and whichever connection is lost: the schema is always at a whole version."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.migrate.migrator import Migrator
from chatdb_cli.migrate.model import MigrationError, Progress
from tests.support.children import CONTEXT, kill_before, run_concurrently, start_child
from tests.support.database import (
    CHATDB_BACKENDS,
    COUNT_APPLIED,
    Database,
    wait_for_no_sessions,
    wait_for_session,
)
from tests.support.project import Project, migrator_through, states
from tests.support.proxy import Proxy
from tests.support.servers import PROGRAMS, Server, socket_of

CONTEXT.set_forkserver_preload(
    [
        "pytest",
        "tests.support.child",
        "psycopg",
        "postgast",
        "chatdb_cli.migrate.runner",
        "yoyo.internalmigrations",
    ]
)

FILES = 2


def write_files(project: Project) -> None:
    for n in range(1, FILES + 1):
        project.write(
            f"{n:04}_t{n}",
            f"CREATE TABLE t{n} (id int);\nINSERT INTO t{n} VALUES ({n});\n"
            f"CREATE INDEX t{n}_idx ON t{n} (id);",
            f"DROP INDEX t{n}_idx;\nDELETE FROM t{n};\nDROP TABLE t{n};",
        )


def count_versions(database: Database, schema: str = "public") -> int:
    """Return how many versions are applied, after checking that schema and histories agree."""
    ((tables, indexes, history),) = database.query(
        "SELECT count(*) FILTER (WHERE relkind = 'r' AND relname ~ '^t[0-9]+$'), "
        "count(*) FILTER (WHERE relkind = 'i' AND relname ~ '^t[0-9]+_idx$'), "
        "count(*) FILTER (WHERE relname = 'chatdb_migration') "
        f"FROM pg_class WHERE relnamespace = '{schema}'::regnamespace"
    )
    assert tables == indexes == (len(database.applied(schema)) if history else 0)
    return int(tables)


# The most expensive test of all: each direction runs on another server.
@pytest.mark.parametrize(
    ("server", "what"), [(PROGRAMS[0], "up"), (PROGRAMS[-1], "down!")], indirect=["server"]
)
def test_a_client_killed_at_any_statement_leaves_whole_versions_and_the_next_run_continues(
    project: Project, database: Database, what: str, places: Iterator[int]
) -> None:
    write_files(project)
    seen = Counter[int]()
    for number in places:
        schema = f"killed_{number}"
        database.execute(f"CREATE SCHEMA {schema}")
        migrator = project.migrator(database, schema=schema)
        if what != "up":
            migrator.up()
        killed = kill_before(number, project, database, schema, what)
        seen[count_versions(database, schema)] += 1
        if what == "up":
            migrator.up()
        else:
            migrator.down(everything=True, allow_data_loss=True)
        assert count_versions(database, schema) == (FILES if what == "up" else 0)
        if not killed:
            break
    assert set(seen) == set(range(FILES + 1))
    assert sum(seen.values()) > FILES * 4


def test_after_a_client_is_killed_the_server_finishes_or_rolls_back_each_version(
    project: Project, database: Database
) -> None:
    project.write_tables(1)
    project.write("0002_slow", "CREATE TABLE t2 (id int); SELECT pg_sleep(0.3);", "DROP TABLE t2;")
    project.write_tables(3)
    run = start_child(database.url, str(project.sql), "up", "public")
    wait_for_session(database, "query LIKE '%pg_sleep(0.3)%'")
    run.kill()
    run.join()
    wait_for_no_sessions(database)
    assert len(database.tables()) == len(database.applied()) >= 1
    project.migrator(database).up()
    assert database.tables() == {"t1", "t2", "t3"}


@pytest.mark.quick
@pytest.mark.parametrize("part", ["file", "COMMIT"])
def test_a_lost_connection_is_reported_as_the_history_says(
    project: Project, database: Database, part: str
) -> None:
    """A loss before COMMIT rolls the version back, a later one does not; chatdb never guesses which."""
    project.write_tables(1, 2)
    project.migrator(database).up(steps=1)
    sent = Counter[str]()

    def cut(connection: int, kind: str, number: int) -> bool:
        sent[kind] += 1
        # The client flushes after the lock, the prepared statements, the claim, and COMMIT.
        in_part = sent["H"] == 3 and kind == "E" if part == "file" else sent["H"] == 4
        if connection > 1 or not in_part:
            return True
        while part == "COMMIT" and database.query(COUNT_APPLIED) != [(2,)]:
            pass  # until the server has committed
        proxy.cut()
        return False

    with (
        Proxy(socket_of(database.server), on_message=cut) as proxy,
        pytest.raises(MigrationError) as caught,
    ):
        migrator_through(proxy, project, database).up()
    error = caught.value
    assert (error.code, error.exit) == (Code.LOST, 3)
    wait_for_no_sessions(database)
    assert states(error) == (["failed"] if part == "file" else ["applied"])
    assert error.run.current == database.applied()[-1][:4]
    project.migrator(database).up()
    assert database.tables() == {"t1", "t2"}


def test_a_connection_lost_after_the_last_commit_is_not_a_failure(
    project: Project, database: Database
) -> None:
    project.write_tables(1, 2)
    project.migrator(database).up(steps=1)
    confirmed = threading.Event()
    sent = Counter[str]()

    def cut(connection: int, kind: str, number: int) -> bool:
        sent[kind] += 1
        if connection > 1 or kind != "S" or sent["H"] < 4:
            return True
        assert confirmed.wait(60)
        proxy.cut()  # before the Sync, when everything is already committed
        return False

    def watch(event: Progress) -> None:
        if event.kind == "done":
            confirmed.set()

    with Proxy(socket_of(database.server), on_message=cut) as proxy:
        target = migrator_through(proxy, project, database).target
        run = Migrator(target, project.sql, progress=watch).up()
    assert ([s.state for s in run.steps], run.current) == (["applied"], "0002")
    assert sent["H"] == 4
    assert confirmed.is_set()
    wait_for_no_sessions(database)
    assert database.tables() == {"t1", "t2"}


def test_a_session_that_outlives_its_client_is_ended_before_the_history_is_read(
    project: Project, database: Database
) -> None:
    """The server does not notice such a loss: unless its session is ended, it continues and commits."""
    project.write("1_slow", "CREATE TABLE t1 (id int); SELECT pg_sleep(600);")
    with Proxy(socket_of(database.server)) as proxy:

        def cut() -> None:
            wait_for_session(database, "query LIKE '%pg_sleep(600)%'")
            proxy.cut(clients_only=True)

        cutter = threading.Thread(target=cut)
        cutter.start()
        with pytest.raises(MigrationError) as caught:
            migrator_through(proxy, project, database).up()
        cutter.join()
        sleeping = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'"
        assert database.query(sleeping) == [(0,)]
    assert states(caught.value) == ["failed"]
    assert any("rolled back" in note for note in caught.value.notes)
    assert database.tables() == set()


def test_a_session_that_the_server_ends_is_a_lost_connection(
    project: Project, database: Database
) -> None:
    project.write_tables(1)
    project.write("0002_end", "SELECT pg_terminate_backend(pg_backend_pid());")
    with pytest.raises(MigrationError) as caught:
        project.migrator(database).up()
    assert caught.value.code is Code.LOST
    assert states(caught.value) == ["applied", "failed"]
    assert database.applied() == ["0001_t1"]


@pytest.mark.quick
def test_an_interrupt_stops_on_the_server_and_says_what_was_applied(
    project: Project, database: Database
) -> None:
    project.write_tables(1)
    project.write("0002_slow", "CREATE TABLE t2 (id int);\nSELECT pg_sleep(600);")
    project.write_tables(3)
    main = threading.main_thread().ident or 0

    def watch() -> None:
        wait_for_session(database, "query LIKE '%pg_sleep(600)%'")
        signal.pthread_kill(main, signal.SIGINT)

    watcher = threading.Thread(target=watch)
    watcher.start()
    with pytest.raises(MigrationError) as caught:
        project.migrator(database).up()
    watcher.join()
    assert (caught.value.code, caught.value.exit) == (Code.INTERRUPTED, 130)
    assert states(caught.value) == ["applied", "not-run", "not-run"]
    assert database.tables() == {"t1"}
    wait_for_no_sessions(database)
    assert database.applied() == ["0001_t1"]


def test_an_interrupt_with_an_unknown_outcome_is_reported_as_such(
    project: Project, database: Database
) -> None:
    project.write("0001_slow", "SELECT pg_sleep(600);")
    main = threading.main_thread().ident or 0
    with Proxy(socket_of(database.server)) as proxy:

        def watch() -> None:
            wait_for_session(database, "query LIKE '%pg_sleep(600)%'")
            proxy.refuse()  # neither a cancel request nor a query arrives
            signal.pthread_kill(main, signal.SIGINT)

        watcher = threading.Thread(target=watch)
        watcher.start()
        url = proxy.url(database.name)
        with pytest.raises(MigrationError) as caught:
            project.migrator(database, database_url=url, connect_retries="0").up()
        watcher.join()
    assert (caught.value.code, caught.value.exit) == (Code.INTERRUPTED, 130)
    assert "Migrator.status() will show it" in (caught.value.hint or "")
    assert states(caught.value) == ["unknown"]


# --- several at once ------------------------------------------------------------------------------


def test_a_concurrent_up_and_down_never_overtake_each_other(
    project: Project, database: Database
) -> None:
    project.write_tables(*range(1, 11))
    for _ in range(6):
        project.migrator(database).up(to="5")
        for code, answer in run_concurrently(database, project, ["up", "down"]):
            # The down stops with a reason if a newer version was applied meanwhile.
            assert code in (0, 6), answer
        assert len(database.tables()) == len(database.applied())
        versions = [int(i[:4]) for i in database.applied()]
        assert versions == list(range(1, len(versions) + 1))
        project.migrator(database).down(everything=True)


def test_a_redo_that_waited_for_the_lock_applies_what_it_rolled_back(
    project: Project, database: Database
) -> None:
    project.write_tables(1, 2)
    project.migrator(database).up()
    sql = project.migrator(database).redo(dry_run=True).steps[0].sql or ""
    lock = next(line for line in sql.splitlines() if "pg_advisory_xact_lock" in line)
    with database.connect() as other:
        other.execute("BEGIN")
        other.execute(lock)

        def release_lock(event: Progress) -> None:
            if event.kind == "waiting":
                other.execute("ROLLBACK")

        # Neither the lock timeout nor the statement timeout limits that wait.
        migrator = project.migrator(
            database, lock_timeout="300ms", statement_timeout="200ms", progress=release_lock
        )
        run = migrator.redo()
    assert states(run) == ["reverted", "applied"]
    assert database.applied() == ["0001_t1", "0002_t2"]


def test_a_killed_server_restarts_at_a_whole_version(project: Project, server: Server) -> None:
    """Only the last commit waits for the disk: a version that is lost is missing in the history too."""
    from chatdb_cli.embedded.server import EmbeddedServer

    home = server.embedded.home.with_name(".killed")
    embedded = EmbeddedServer(home, programs=server.embedded.programs)
    embedded.start()
    database = Database(Server(embedded, server.name), "postgres")
    project.write_tables(*range(1, 301))  # more than one pipeline holds
    try:
        for stop_at in (3, 100, 200):
            killed: list[int] = []

            def kill(event: Progress, at: int = stop_at, killed: list[int] = killed) -> None:
                if not killed and event.kind == "done" and event.step and event.step.number >= at:
                    killed.append(event.step.number)
                    postmaster = embedded.status().pid
                    assert postmaster  # never kill 0 or -1
                    for pid in (postmaster, *(row[0] for row in database.query(CHATDB_BACKENDS))):
                        os.kill(pid, signal.SIGKILL)

            with pytest.raises(ChatdbError) as caught:
                project.migrator(database, connect_retries="0", progress=kill).up()
            assert caught.value.exit == 3
            embedded.start()
            # The newest versions are lost, sometimes all of them; the history has none of those.
            history = database.query("SELECT to_regclass('chatdb_migration') IS NOT NULL")
            assert len(database.tables()) == (len(database.applied()) if history[0][0] else 0)
        project.migrator(database).up()
        assert len(database.applied()) == 300
    finally:
        embedded.destroy()
