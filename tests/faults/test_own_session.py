"""A run knows its own session, whatever the role's defaults and its files do to that session."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest

from chatdb_cli.errors import Code
from chatdb_cli.migrate import ending
from chatdb_cli.migrate.model import MigrationError, Progress
from chatdb_cli.postgres.quoting import Quoting
from tests.support.database import COUNT_APPLIED, Database, wait_for_no_sessions, wait_for_session
from tests.support.pooler import PGBOUNCER, allow_owner_login, pooled
from tests.support.project import Project, migrator_through, states
from tests.support.proxy import Proxy
from tests.support.servers import Server, socket_of

SLEEPING = "query LIKE '%pg_sleep(600)%' AND state <> 'idle' AND pid <> pg_backend_pid()"
SLOW = "SELECT pg_sleep(600);"
STUBBORN = """DO $$ BEGIN LOOP
    BEGIN PERFORM pg_sleep(600); EXCEPTION WHEN query_canceled THEN NULL; END;
END LOOP; END $$;"""
# What a file does to its session before a slow statement.
CHANGES = {
    "nothing": "",
    "another name": "SET application_name = 'mine';",
    "a reset": "RESET ALL;",
    "another role": "SET ROLE pg_monitor;",
    "released locks": "SELECT pg_advisory_unlock_all();",
    "another user": "SET SESSION AUTHORIZATION t_owner;",
}
# The third migration was refused, or applied.
EXECUTED = """
SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'ClientRead'
                  AND query LIKE 'SELECT 1%_yoyo_log WHERE id%')
       OR (SELECT count(*) = 3 FROM _yoyo_migration)
       OR NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
                         AND pid <> pg_backend_pid() AND backend_type = 'client backend')"""
WAYS = [
    "straight",
    pytest.param(
        "pooled", marks=pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed")
    ),
]


@pytest.fixture
def owner(server: Server, other_role: str) -> str:
    """The role that each login becomes by default; PgBouncer may log in."""
    allow_owner_login(server)
    return other_role


@contextmanager
def way_in(way: str, database: Database) -> Iterator[str | Path]:
    """Yield the socket of the server, or of a pooler before it."""
    with pooled(database) if way == "pooled" else nullcontext() as pooler:
        yield pooler.socket if pooler else socket_of(database.server)


def run_cut_off(
    project: Project, database: Database, socket: str | Path, **flags: Any
) -> MigrationError:
    """Run `up`, and lose its connection without the server noticing while a file sleeps."""
    with Proxy(socket) as proxy:

        def cut() -> None:
            wait_for_session(database, SLEEPING)
            proxy.cut(clients_only=True)

        cutter = threading.Thread(target=cut)
        cutter.start()
        url = f"{proxy.url(database.name)}&application_name=%C3%BCbung"
        with pytest.raises(MigrationError) as caught:
            project.migrator(database, database_url=url, **flags).up()
        cutter.join()
    return caught.value


@pytest.mark.quick
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.usefixtures("owner")
def test_a_session_that_outlives_its_client_is_ended_whatever_its_file_did_to_it(
    project: Project, database: Database, way: str
) -> None:
    project.write_tables(1, 3)
    project.migrator(database).up(to="1")
    with way_in(way, database) as socket:
        for name, change in CHANGES.items():
            project.write("0002_slow", f"CREATE TABLE t2 (id int);\n{change}\n{SLOW}")
            error = run_cut_off(project, database, socket)
            asleep = database.query(f"SELECT count(*) FROM pg_stat_activity WHERE {SLEEPING}")
            assert asleep == [(0,)], name
            assert (error.code, states(error)) == (Code.LOST, ["failed", "not-run"]), name
            assert any(note.startswith("0002 was rolled back") for note in error.notes), name
            assert database.applied() == ["0001_t1"], name
    assert database.tables() == {"t1"}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.usefixtures("owner")
def test_an_interrupt_ends_a_file_that_swallows_the_cancel(
    project: Project, database: Database, way: str
) -> None:
    project.write_tables(1, 3)
    project.write("0002_stubborn", f"SET application_name = 'x';\n{STUBBORN}")
    main = threading.main_thread().ident or 0

    def watch() -> None:
        wait_for_session(database, SLEEPING)
        signal.pthread_kill(main, signal.SIGINT)

    with way_in(way, database) as socket, Proxy(socket) as proxy:
        watcher = threading.Thread(target=watch)
        watcher.start()
        with pytest.raises(MigrationError) as caught:
            migrator_through(proxy, project, database).up()
        watcher.join()
    assert (caught.value.code, caught.value.exit) == (Code.INTERRUPTED, 130)
    assert states(caught.value)[0] == "applied"
    wait_for_no_sessions(database, "state <> 'idle' AND backend_type = 'client backend'")
    assert database.applied() == ["0001_t1"]


@pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed")
@pytest.mark.parametrize("isolation", ["read committed", "serializable"])
def test_what_a_pooler_has_received_is_not_executed_after_the_run_was_reported(
    project: Project, database: Database, server: Server, isolation: str
) -> None:
    """The connection is lost between two migrations; the next one reaches the pooler afterwards."""
    allow_owner_login(server)
    project.write_tables(1, 2)
    late = f"-- chatdb: isolation: {isolation}\nCREATE TABLE t3 (id int);"
    project.write("0003_t3", late, "DROP TABLE t3;")
    project.migrator(database).up(to="1")
    reported, arrived = threading.Event(), threading.Event()
    sent = Counter[str]()

    def hold_back(connection: int, kind: str, number: int) -> bool:
        sent[kind] += connection == 1
        if connection == 1 and sent["H"] == 2 and kind != "H":
            reported.wait()
        if connection == 1 and kind == "S":
            while database.query(EXECUTED) != [(True,)]:
                pass  # the server has not received everything before
            arrived.set()
        return True

    with pooled(database) as pooler, Proxy(pooler.socket, on_message=hold_back) as proxy:

        def cut() -> None:
            while database.query(COUNT_APPLIED) != [(2,)]:
                pass
            proxy.cut(clients_only=True)

        cutter = threading.Thread(target=cut)
        cutter.start()
        with pytest.raises(MigrationError) as caught:
            migrator_through(proxy, project, database).up()
        cutter.join()
        reported.set()
        assert arrived.wait(60)
    wait_for_no_sessions(database, "backend_type = 'client backend'")
    assert (caught.value.code, states(caught.value)) == (Code.LOST, ["applied", "failed"])
    assert caught.value.run.current == "0002"
    assert database.applied() == ["0001_t1", "0002_t2"]
    ended = "SELECT count(*) FROM _yoyo_log WHERE operation = 'ended'"
    assert database.query(ended) == [(1,)]
    assert states(project.migrator(database).up()) == ["applied"]


def test_a_session_that_does_not_end_makes_the_result_unknown_and_is_named(
    project: Project, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ending, "_ENDS_WITHIN_S", 0.3)
    project.write("1_slow", f"CREATE TABLE t1 (id int);\n{SLOW}")
    stopped: list[int] = []
    with Proxy(socket_of(database.server)) as proxy:

        def cut() -> None:
            wait_for_session(database, SLEEPING)
            query = f"SELECT pid FROM pg_stat_activity WHERE {SLEEPING}"
            stopped.extend(pid for (pid,) in database.query(query))
            os.kill(stopped[0], signal.SIGSTOP)
            proxy.cut(clients_only=True)

        cutter = threading.Thread(target=cut)
        cutter.start()
        try:
            with pytest.raises(MigrationError) as caught:
                migrator_through(proxy, project, database).up()
        finally:
            cutter.join()
            os.kill(stopped[0], signal.SIGCONT)
    assert states(caught.value) == ["unknown"]
    assert not caught.value.notes
    assert f"SELECT pg_terminate_backend({stopped[0]});" in (caught.value.hint or "")
    assert "can't be reached" not in (caught.value.hint or "")
    wait_for_no_sessions(database)
    assert database.tables() == set()


# --- who is in the way ----------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.usefixtures("owner")
def test_who_blocks_a_migration_is_named_to_a_role_that_becomes_another(
    project: Project, database: Database, way: str
) -> None:
    project.write_tables(1)
    project.write("0002_add", "SET application_name = 'x';\nALTER TABLE t1 ADD COLUMN a int;")
    project.migrator(database).up(to="1")
    with database.connect(application_name="reader") as reader:
        reader.execute("BEGIN; SELECT * FROM t1")
        name = f"pid {reader.info.backend_pid} (reader, user postgres"
        texts: list[str] = []

        def unblock(event: Progress) -> None:
            if event.kind == "waiting":
                texts.append(event.text)
                reader.execute("ROLLBACK")

        with way_in(way, database) as socket, Proxy(socket) as proxy:
            flags = {"lock_timeout": "5s", "progress": unblock}
            run = migrator_through(proxy, project, database, **flags).up()
        assert states(run) == ["applied"]
        assert texts[0].startswith(f"waits for {name}")


@pytest.mark.usefixtures("owner")
def test_who_holds_the_migration_lock_is_named_to_a_role_that_becomes_another(
    project: Project, database: Database
) -> None:
    project.write_tables(1)
    with database.connect(application_name="chatdb 12ab34cd") as holder:
        pid = holder.info.backend_pid
        holder.execute(f"SELECT pg_advisory_lock({Quoting(holder, 'public').session_key})")
        with pytest.raises(MigrationError) as caught:
            project.migrator(database, wait="0s").up()
    assert f"pid {pid} (chatdb 12ab34cd, user postgres, idle" in caught.value.message
    assert f"pg_terminate_backend({pid})" in (caught.value.hint or "")
