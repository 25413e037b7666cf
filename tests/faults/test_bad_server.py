"""A server in trouble: its disk is full, it has no free connection, it is a standby or still starting.

After each fault the history agrees with the schema, and the next `up` finishes without help.  Faults at
random places are in `test_random.py`; clients that are killed and connections that are lost at a chosen
place are in `test_killed_and_cut.py`.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.migrate.model import MigrationError
from tests.support.database import Database, wait_for_no_sessions
from tests.support.project import Project, call_when_waiting, migrator_through, states
from tests.support.proxy import Proxy
from tests.support.servers import Server, allow_logins, on_first_server, socket_of
from tests.support.standby import Standby, copied, data_of

pytestmark = on_first_server
ALONE = "-- chatdb: transactional: false\n"


@pytest.fixture
def open_logins(server: Server) -> Iterator[None]:
    """Let replication and the role `t_poor` log in from this machine."""
    with allow_logins(server, "local replication postgres trust", "local all t_poor trust"):
        yield


# --- a full disk ----------------------------------------------------------------------------------


@pytest.fixture
def small_disk(server: Server) -> Iterator[Path]:
    """A disk of 24 MB that holds a tablespace of the server."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    folder = Path(tempfile.mkdtemp(prefix="chatdb-disk-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "chatdb-test", folder], capture_output=True
    )
    try:
        if mounted.returncode:
            pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode().strip()}")
        owner = data_of(server).stat()
        os.chown(folder, owner.st_uid, owner.st_gid)
        server.execute(f"CREATE TABLESPACE t_small LOCATION '{folder}'")
        try:
            yield folder
        finally:
            server.execute("DROP TABLESPACE t_small")
    finally:
        if not mounted.returncode:
            subprocess.run(["umount", folder], check=True)
        folder.rmdir()


def test_a_full_disk_rolls_the_file_back_and_once_there_is_space_the_next_run_continues(
    project: Project, server: Server, small_disk: Path
) -> None:
    server.execute("CREATE DATABASE t_on_small TEMPLATE template0 TABLESPACE t_small")
    database = Database(server, "t_on_small")
    try:
        project.write_tables(1)
        fill = "INSERT INTO t2 SELECT generate_series(1, 700000);"  # 25 MB, and 15 MB for its index
        project.write("0002_fill", f"CREATE TABLE t2 (n int);\n{fill}", "DROP TABLE t2;")
        project.write_tables(3)
        project.write("0004_index", f"{ALONE}CREATE INDEX CONCURRENTLY t2_n ON t2 (n);")
        with pytest.raises(MigrationError) as caught:
            project.migrator(database).up()
        error = caught.value
        assert (error.code, error.sqlstate) == (Code.STATEMENT, "53100")
        assert states(error) == ["applied", "failed", "not-run", "not-run"]
        assert error.place
        assert error.place.line == 2
        assert "free space on the server's disk" in (error.hint or "")
        assert (database.tables(), database.applied()) == ({"t1"}, ["0001_t1"])

        subprocess.run(["mount", "-o", "remount,size=42m", small_disk], check=True)
        with pytest.raises(MigrationError) as caught:  # the index does not fit yet
            project.migrator(database).up()
        assert (states(caught.value), caught.value.sqlstate) == (
            ["applied", "applied", "failed"],
            "53100",
        )
        assert [p.code for p in project.migrator(database).status().problems] == ["unfinished"]

        subprocess.run(["mount", "-o", "remount,size=200m", small_disk], check=True)
        assert states(project.migrator(database).up()) == ["resumed"]
        assert database.query(
            "SELECT indisvalid FROM pg_index WHERE indrelid = 't2'::regclass"
        ) == [(True,)]
        assert len(database.applied()) == 4
    finally:
        database.drop()


# --- no connection left ---------------------------------------------------------------------------


@pytest.fixture
def single_connection(database: Database, open_logins: None) -> Iterator[str]:
    """Return the URL of a role that may open one connection only."""
    database.execute("CREATE ROLE t_poor LOGIN CONNECTION LIMIT 1")
    database.execute("GRANT ALL ON SCHEMA public TO t_poor")
    try:
        yield database.url.replace("postgres@", "t_poor@")
    finally:
        wait_for_no_sessions(database)
        database.execute("DROP OWNED BY t_poor; DROP ROLE t_poor")


def test_without_a_free_connection_a_run_waits_then_fails_and_changes_nothing(
    project: Project, database: Database, single_connection: str
) -> None:
    project.write_tables(1)
    texts: list[str] = []
    flags = {"database_url": single_connection, "connect_retry_delay": "10ms"}
    with psycopg.connect(single_connection) as other:
        with pytest.raises(ChatdbError) as caught:
            project.migrator(
                database, **flags, connect_retries="2", progress=lambda e: texts.append(e.text)
            ).up()
        assert (caught.value.code, caught.value.sqlstate) == (Code.UNREACHABLE, "53300")
        assert [t.rpartition("; ")[2] for t in texts] == [
            "trying again in 0.01 s (1 of 2)",
            "trying again in 0.02 s (2 of 2)",
        ]
        assert database.tables() == set()
        progress = call_when_waiting(lambda _: other.close(), "trying again")
        run = project.migrator(database, **flags, connect_retries="1000", progress=progress).up()
    assert states(run) == ["applied"]
    assert database.applied() == ["0001_t1"]


def test_one_connection_is_enough_even_while_another_session_blocks(
    project: Project, database: Database, single_connection: str
) -> None:
    """The blocking session is looked up on a second connection; without one it is just not named."""
    project.write_tables(1)
    project.migrator(database, database_url=single_connection).up()
    project.write("0002_add", "ALTER TABLE t1 ADD COLUMN a int;")
    with database.connect() as other:
        other.execute("BEGIN")
        other.execute("LOCK TABLE t1")
        with pytest.raises(MigrationError) as caught:
            project.migrator(
                database, database_url=single_connection, lock_timeout="100ms", retries="1"
            ).up()
        assert (caught.value.exit, states(caught.value)) == (7, ["failed"])
        assert database.applied() == ["0001_t1"]
    assert states(project.migrator(database, database_url=single_connection).up()) == ["applied"]


# --- read-only ------------------------------------------------------------------------------------


def test_a_session_that_is_read_only_by_default_runs_all_files(
    project: Project, database: Database
) -> None:
    database.execute(f"ALTER DATABASE {database.name} SET default_transaction_read_only = on")
    project.write_tables(1)
    project.write(
        "0002_index",
        f"{ALONE}CREATE INDEX CONCURRENTLY i ON t1 (id);\nVACUUM t1;",
        f"{ALONE}DROP INDEX CONCURRENTLY i;",
    )
    assert states(project.migrator(database, allow_read_only_override=True).up()) == [
        "applied",
        "applied",
    ]
    run = project.migrator(database, allow_read_only_override=True).redo(allow_data_loss=True)
    assert states(run) == ["reverted", "applied"]
    assert len(database.applied()) == 2


# --- a standby, from its start to its promotion ---------------------------------------------------


@pytest.fixture
def standby(server: Server, open_logins: None) -> Iterator[Standby]:
    with copied(server) as standby:
        yield standby


def test_a_standby_is_only_read_and_after_its_promotion_the_run_continues(
    project: Project, database: Database, server: Server, open_logins: None, request: Any
) -> None:
    project.write_tables(1)
    project.migrator(database).up()
    standby: Standby = request.getfixturevalue("standby")  # a copy that has this database
    url = standby.url(database.name)
    project.write_tables(2)
    project.write("0003_alone", f"{ALONE}VACUUM t1;", f"{ALONE}VACUUM t1;")
    project.write_tables(4)

    def check_refusal(*sqlstates: str, **flags: str) -> None:
        """Check that up, down and redo fail with one of these SQLSTATEs."""
        for what in ("up", "down", "redo"):
            with pytest.raises(ChatdbError) as caught:
                getattr(project.migrator(database, database_url=url, **flags), what)()
            assert caught.value.sqlstate in sqlstates, (what, caught.value)
            assert caught.value.hint

    standby.start(hot=False)  # it recovers, and rejects connections
    check_refusal("57P03", connect_retries="0")
    standby.stop()

    standby.start(hot=True)
    check_refusal("25006", "0A000")
    reader = project.migrator(database, database_url=url)
    assert reader.status().current == "0001"
    assert [m.version for m in reader.status().pending] == ["0002", "0003", "0004"]
    assert reader.history()
    project.migrator(database).up(to="2")  # the primary continues, and the standby follows
    deadline = time.monotonic() + 60
    while reader.status().current != "0002":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    standby.stop()

    standby.start(hot=False)
    progress = call_when_waiting(lambda _: standby.promote(), "trying again")
    flags = {"connect_retries": "1000", "connect_retry_delay": "10ms"}
    run = project.migrator(database, database_url=url, progress=progress, **flags).up()
    assert states(run) == ["applied"] * 2
    assert database.applied() == ["0001_t1", "0002_t2"]  # the primary is unchanged
    assert project.migrator(database, database_url=url).status().pending == ()
    standby.stop()


# --- a cut at COMMIT ------------------------------------------------------------------------------


def test_a_connection_lost_before_the_commit_rolls_the_version_back_and_says_so(
    project: Project, database: Database
) -> None:
    """Losses after COMMIT are in test_killed_and_cut.py, those anywhere else in test_random.py."""
    project.write_tables(1, 2)
    project.migrator(database).up(steps=1)
    database.execute("CREATE SCHEMA other")
    project.migrator(database, schema="other").up(steps=1)
    with Proxy(socket_of(database.server)) as proxy:
        migrator_through(proxy, project, database, schema="other").up()
        sent = proxy.kinds
    # The client flushes after it prepares statements, after the claim, and after COMMIT.
    flushed = [n for n, kind in enumerate(sent) if kind == "H"][2]
    commit = max(n for n, kind in enumerate(sent[:flushed]) if kind == "E")
    messages = count(1)

    def cut(connection: int, kind: str, number: int) -> bool:
        return next(messages) != commit + 1

    with (
        Proxy(socket_of(database.server), on_message=cut) as proxy,
        pytest.raises(MigrationError) as caught,
    ):
        migrator_through(proxy, project, database).up()
    assert (caught.value.code, states(caught.value)) == (Code.LOST, ["failed"])
    assert caught.value.run.current == "0001"
    wait_for_no_sessions(database)
    assert (database.tables(), database.applied()) == ({"t1"}, ["0001_t1"])
    assert states(project.migrator(database).up()) == ["applied"]
