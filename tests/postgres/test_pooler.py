"""Promises about PgBouncer in transaction mode, where each transaction may get another session."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg
import pytest

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.migrate.migrator import Migrator
from chatdb_cli.migrate.model import Loss, MigrationError, Progress
from chatdb_cli.postgres.pool import open_pool
from chatdb_cli.postgres.target import open_target
from chatdb_cli.provision.test_schema import make_test_schema, settings_for_tests
from tests.support.children import run_concurrently
from tests.support.database import COUNT_APPLIED, Database, wait_for_no_sessions, wait_for_session
from tests.support.pooler import PGBOUNCER, allow_owner_login, pooled
from tests.support.project import Project, migrator_through, states
from tests.support.proxy import Proxy
from tests.support.servers import Server, on_first_server, socket_of

pytestmark = [
    on_first_server,  # these do not depend on the version of PostgreSQL
    pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed"),
]

PATIENCE = 60.0


@pytest.fixture(scope="module", autouse=True)
def _let_in(server: Server) -> None:
    allow_owner_login(server)


# --- concurrent migrators -------------------------------------------------------------------------


def test_eight_concurrent_migrators_apply_each_version_once_and_all_succeed(
    project: Project, database: Database
) -> None:
    for n in range(1, 11):
        project.write(
            f"{n:04}_t{n}",
            f"CREATE TABLE t{n} (id int); CREATE TABLE IF NOT EXISTS counted (n int); "
            f"INSERT INTO counted VALUES ({n}); SELECT pg_sleep(0.002);",
        )
    with pooled(database) as pooler:
        answers = run_concurrently(database, project, ["up"] * 8, pooler.url(database.name))
    assert [code for code, _ in answers] == [0] * 8, answers
    assert database.query("SELECT n FROM counted ORDER BY n") == [(n,) for n in range(1, 11)]
    assert sum(states.count("applied") for _, states in answers) == 10
    assert len(database.applied()) == 10


def test_a_concurrent_up_and_down_never_overtake_each_other(
    project: Project, database: Database
) -> None:
    project.write_tables(*range(1, 11))
    with pooled(database) as pooler:
        for _ in range(5):
            pooler.migrator(project, database).up(to="5")
            url = pooler.url(database.name)
            for code, answer in run_concurrently(database, project, ["up", "down"], url):
                assert code in (0, 6), answer
            versions = [int(i[:4]) for i in database.applied()]
            assert versions == list(range(1, len(versions) + 1))
            assert database.tables() == {f"t{n}" for n in versions}
            pooler.migrator(project, database).down(everything=True)


# --- its cost, and what stays in a session --------------------------------------------------------


def test_a_pooler_costs_no_more_round_trips(project: Project, database: Database) -> None:
    project.write_tables(*range(1, 31))
    runs: list[Callable[[Migrator], object]] = [
        lambda m: m.up(),
        lambda m: m.up(),
        lambda m: m.status(),
        lambda m: m.down(everything=True),
    ]
    project.migrator(database).up()  # the first run ever has no history to read
    project.migrator(database).down(everything=True)
    counts: dict[str, list[int]] = {}
    with pooled(database) as pooler:
        for name, socket in (("straight", socket_of(database.server)), ("pooled", pooler.socket)):
            with Proxy(socket) as proxy:
                for run in runs:
                    proxy.kinds.clear()
                    run(migrator_through(proxy, project, database))
                    counts.setdefault(name, []).append(proxy.round_trips())
    assert all(p <= s for p, s in zip(counts["pooled"], counts["straight"], strict=True)), counts
    assert max(counts["pooled"][1:3]) - 1 <= 3  # to connect is one


SESSION_STATE = """\
SELECT (SELECT jsonb_object_agg(name, setting) FROM pg_settings WHERE name <> 'application_name'),
       (SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_listening_channels()),
       (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'), current_user, session_user,
       (SELECT count(*) FROM pg_class WHERE relpersistence = 't'),
       (SELECT count(*) FROM pg_cursors WHERE is_holdable)"""
LEAVES = (
    "SET work_mem = '1234kB'; SET search_path = pg_catalog; SET standard_conforming_strings = off; "
    "CREATE TEMP TABLE x (n int); PREPARE q AS SELECT 1; LISTEN here; SELECT pg_advisory_lock(42); "
    "DECLARE c CURSOR WITH HOLD FOR SELECT 1; SET statement_timeout = '7min'; "
    "SET ROLE pg_monitor;"
)


def test_session_state_of_a_file_does_not_stay_on_a_pooled_connection(
    project: Project, database: Database
) -> None:
    project.write("1_leaves", LEAVES, LEAVES)
    project.write_tables(2)
    with pooled(database, size=1) as pooler:
        migrator = pooler.migrator(project, database, retries="0", lock_timeout="7s")

        def session_state() -> Any:
            with psycopg.connect(pooler.url(database.name), autocommit=True) as conn:
                return conn.execute(SESSION_STATE).fetchone()

        before = session_state()
        migrator.up()
        assert session_state() == before
        migrator.down(everything=True)
        assert session_state() == before
        project.write("1_leaves", LEAVES + "RESET ROLE; SELECT 1/0;")
        with pytest.raises(MigrationError, match="division"):
            migrator.up()
        assert session_state() == before


# --- what needs a session -------------------------------------------------------------------------


def test_a_file_without_a_transaction_is_refused_before_anything_runs(
    project: Project, database: Database
) -> None:
    project.write_tables(1)
    project.write(
        "0002_index",
        "-- chatdb: transactional: false\nCREATE INDEX CONCURRENTLY i ON t1 (id);",
        "-- chatdb: transactional: false\nDROP INDEX CONCURRENTLY i;",
    )
    with pooled(database) as pooler:
        down = partial(Migrator.down, allow_data_loss=True)
        for request in (Migrator.up, down):
            with pytest.raises(ChatdbError) as caught:
                request(pooler.migrator(project, database))
            error = caught.value
            assert (error.code, error.exit) == (Code.REFUSED, 8)
            assert "pooler" in error.message
            assert "pooler='session'" in (error.hint or "")
            assert error.place is not None
            assert error.place.file.name == "0002_index.sql"
            if request is Migrator.up:
                assert database.tables() == set()
                project.migrator(database).up()
        assert database.applied() == ["0001_t1", "0002_index"]
    with pooled(database, mode="session") as pooler:
        migrator = pooler.migrator(project, database, pooler="session")
        assert states(migrator.redo(allow_data_loss=True)) == ["reverted", "applied"]
    assert database.query("SELECT indisvalid FROM pg_index WHERE indrelid = 't1'::regclass") == [
        (True,)
    ]


# --- blocked, killed, interrupted -----------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 3])
def test_the_blocking_session_is_named_where_the_pool_has_a_free_connection(
    project: Project, database: Database, size: int
) -> None:
    project.write_tables(1)
    project.write("0002_add", "ALTER TABLE t1 ADD COLUMN a int;")
    with pooled(database, size) as pooler, database.connect(application_name="reader") as reader:
        pooler.migrator(project, database).up(to="1")
        reader.execute("BEGIN; SELECT * FROM t1")
        pid = reader.info.backend_pid
        texts: list[str] = []

        def unblock(event: Progress) -> None:
            if event.kind == "waiting":
                texts.append(event.text)
                reader.execute("ROLLBACK")

        flags = {"lock_timeout": "2s" if size > 1 else "50ms", "progress": unblock}
        assert states(pooler.migrator(project, database, **flags).up()) == ["applied"]
    if size > 1:
        assert texts[0].startswith(f"waits for pid {pid} (reader, user postgres")
    else:
        assert "trying again" in texts[0]


@pytest.mark.parametrize("part", ["file", "COMMIT"])
def test_a_pooler_that_dies_is_reported_as_the_history_says(
    project: Project, database: Database, part: str
) -> None:
    project.write_tables(1)
    with pooled(database) as pooler:
        pooler.migrator(project, database).up()
        slow = "SELECT pg_sleep(600);" if part == "file" else ""
        project.write("0002_t2", f"CREATE TABLE t2 (id int); {slow}")
        sent = Counter[str]()

        def restart(connection: int, kind: str, number: int) -> bool:
            sent[kind] += 1
            # A flush request follows the claim, and another COMMIT: without it there is no answer.
            if connection > 1 or sent["H"] < 2 or kind != "H":
                return True
            if part == "file":
                wait_for_session(database, "query LIKE '%pg_sleep(600)%'")
            while part == "COMMIT" and database.query(COUNT_APPLIED) != [(2,)]:
                pass  # the server has not committed yet
            pooler.restart()
            return False

        with (
            Proxy(pooler.socket, on_message=restart) as proxy,
            pytest.raises(MigrationError) as caught,
        ):
            # Long enough for the new pooler to start.
            migrator_through(proxy, project, database, connect_timeout="2min").up()
        error = caught.value
        assert (error.code, error.exit) == (Code.LOST, 3)
        assert "result is unknown" not in str(error.hint)
        assert states(error) == ["failed" if part == "file" else "applied"]
        assert error.run.current == database.applied()[-1][:4]
        sleeping = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(600)%'"
        assert database.query(sleeping) == [(0,)]
        assert database.tables() == {f"t{n}" for n in range(1, len(database.applied()) + 1)}


def test_an_interrupt_stops_the_statement_on_the_server(
    project: Project, database: Database
) -> None:
    project.write("1_slow", "CREATE TABLE t1 (id int); SELECT pg_sleep(600);")
    main = threading.main_thread().ident or 0

    def watch() -> None:
        wait_for_session(database, "query LIKE '%pg_sleep(600)%'")
        signal.pthread_kill(main, signal.SIGINT)

    with pooled(database) as pooler:
        watcher = threading.Thread(target=watch)
        watcher.start()
        with pytest.raises(MigrationError) as caught:
            pooler.migrator(project, database).up()
        watcher.join()
        assert (caught.value.code, caught.value.exit) == (Code.INTERRUPTED, 130)
        busy = "state <> 'idle' AND backend_type = 'client backend'"
        wait_for_no_sessions(database, busy)
        assert database.tables() == set()
        assert database.applied() == []


# --- data loss, test schemas, pools ---------------------------------------------------------------


def test_data_loss_is_checked_through_a_pooler_too(project: Project, database: Database) -> None:
    project.write_tables(1, 2)
    with pooled(database) as pooler:
        migrator = pooler.migrator(project, database)
        migrator.up()
        database.execute("INSERT INTO t1 VALUES (1)")
        with pytest.raises(MigrationError) as caught:
            migrator.down(everything=True)
        assert caught.value.exit == 8
        assert caught.value.run.losses == (Loss("t1", None, 1, "dropped table"),)
        assert database.tables() == {"t1", "t2"}
        assert states(migrator.down()) == ["reverted"]
        with psycopg.connect(pooler.url(database.name), autocommit=True) as conn:
            # Another client's DELETE in the same session of the server does not count as the file's.
            conn.execute("DELETE FROM t1")
        assert states(migrator.redo()) == ["reverted", "applied"]


def test_a_test_schema_is_isolated_through_a_pooler_too(
    project: Project, database: Database
) -> None:
    database.execute("CREATE EXTENSION citext; CREATE TABLE users (id int)")  # both in public
    project.write_tables(1)
    with pooled(database) as pooler:
        settings = database.settings(database_url=pooler.url(database.name))
        target = open_target(settings_for_tests(settings, "test"))
        assert states(make_test_schema(target, project.sql).run) == ["applied"]
        assert make_test_schema(target, project.sql).run.steps == ()
        project.write("0002_bad", "SELECT 1;\nDROP TABLE IF EXISTS users;")
        with pytest.raises(MigrationError) as caught:
            make_test_schema(target, project.sql)
    assert caught.value.exit == 8
    assert caught.value.place is not None
    assert caught.value.place.line == 2
    assert "table users" in caught.value.message
    assert database.tables() == {"users"}


def test_a_pool_does_not_prepare_statements_in_transaction_mode(database: Database) -> None:
    with (
        pooled(database) as pooler,
        database.target(database_url=pooler.url(database.name)) as target,
        open_pool(target) as pool,
        pool.connection() as one,
        pool.connection() as other,
    ):
        for n in range(30):  # psycopg prepares a statement after sending it five times
            for conn in (one, other):
                assert conn.execute("SELECT %s::int", (n,)).fetchone() == (n,)
                conn.commit()


def test_a_pool_that_would_leak_its_search_path_is_refused(database: Database) -> None:
    database.execute("CREATE SCHEMA mine")
    with (
        pooled(database) as pooler,
        database.target(database_url=pooler.url(database.name), schema="mine") as target,
        pytest.raises(ChatdbError) as caught,
    ):
        open_pool(target)
    assert caught.value.exit == 8
    assert "pooler='session'" in (caught.value.hint or "")
    with (
        pooled(database, mode="session") as pooler,
        database.target(
            database_url=pooler.url(database.name), schema="mine", pooler="session"
        ) as target,
        open_pool(target) as pool,
        pool.connection() as conn,
    ):
        assert conn.execute("SELECT current_schema()").fetchone() == ("mine",)
