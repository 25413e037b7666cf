"""Each SQLSTATE that has a hint of its own is provoked."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from chatdb_cli.cli.words import COMMAND_LINE
from chatdb_cli.embedded.server import EmbeddedServer
from chatdb_cli.errors import Code
from chatdb_cli.postgres.hints import HINTS
from chatdb_cli.postgres.sqlstates import sqlstate_name
from chatdb_cli.remedy import Advice
from tests.support.chatdb import Chatdb, Result
from tests.support.database import Database
from tests.support.errors import SECRET, error_text, run_in_every_format
from tests.support.project import Project
from tests.support.servers import on_first_server


@dataclass
class Scene:
    """A project, an empty database, and the command in between."""

    call: Chatdb
    project: Project
    database: Database
    role: str
    setenv: Callable[[str, str], None]

    def up(self, sql: str = "SELECT 1", *more: str, url: str | None = None) -> Result:
        """Run a migration once; what stderr says of an error is then also a document on stdout."""
        self.project.write("0001_case", sql)
        self.setenv("DATABASE_URL", url or self.database.url)
        options = (
            "--retries",
            "0",
            "--statement-timeout",
            "60s",
            "--format",
            "json",
            "-v",
            "--allow-non-empty",
        )
        return self.call("migrate", "up", *options, *more)

    @property
    def login(self) -> str:
        """The URL of a role that logs in with a password, and may do nothing."""
        return self.database.url.replace("postgres@", f"{self.role}:{SECRET}@")

    @contextmanager
    def beside(self, *statements: str) -> Iterator[None]:
        """Have another session execute statements in the meantime."""

        def execute() -> None:
            with self.database.connect() as conn:
                for statement in ("SET statement_timeout = '60s'", *statements):
                    conn.execute(statement)

        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(execute)
            yield
            other.result()


@pytest.fixture
def scene(
    offline: Chatdb,
    project: Project,
    database: Database,
    role: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Scene:
    monkeypatch.setenv("CHATDB_CONNECT_RETRIES", "0")
    return Scene(offline, project, database, role, monkeypatch.setenv)


def until(what: str) -> str:
    """SQL that waits for a row of pg_locks in this database."""
    return f"""DO $$ BEGIN
        WHILE NOT EXISTS (
            SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database
            WHERE datname = current_database() AND {what}
        ) LOOP PERFORM pg_sleep(0.01); END LOOP;
    END $$;"""


T = "relation = 't'::regclass AND mode = 'AccessExclusiveLock'"


def _a_deadlock(scene: Scene) -> Result:
    # The file closes the circle and looks at once; the other would look after a second at most.
    scene.database.execute("CREATE TABLE t ()")
    file = f"LOCK TABLE t; {until(f'{T} AND NOT granted')} SET deadlock_timeout = '1ms'; "
    other = "BEGIN", "SELECT pg_advisory_xact_lock(7)", until(f"{T} AND granted"), "LOCK TABLE t"
    with scene.beside("SET deadlock_timeout = '1h'", *other, "COMMIT"):
        return scene.up(f"{file} SELECT pg_advisory_xact_lock(7);", "--lock-timeout", "60s")


def _a_row_that_another_has_changed(scene: Scene) -> Result:
    scene.database.execute("CREATE TABLE t AS SELECT 1 AS id")
    ours, theirs = (f"locktype = 'advisory' AND objsubid = 1 AND objid = {n}" for n in (7, 8))
    file = "-- chatdb: isolation: repeatable read\nSELECT id, pg_advisory_xact_lock(7) FROM t;"
    changed = until(ours), "UPDATE t SET id = 2", "SELECT pg_advisory_lock(8)"
    # At last it waits for the file's end, so that its lock can be seen until then.
    with scene.beside(*changed, "SELECT pg_advisory_lock(7)"):
        return scene.up(f"{file} {until(theirs)} UPDATE t SET id = 3;", "--lock-timeout", "60s")


def _a_lock_that_another_holds(scene: Scene) -> Result:
    scene.database.execute("CREATE TABLE t ()")
    with scene.database.connect() as conn, conn.transaction():
        conn.execute("LOCK TABLE t")
        return scene.up("LOCK TABLE t", "--lock-timeout", "50ms")


def _no_more_connections(scene: Scene) -> Result:
    scene.database.execute(f"ALTER ROLE {scene.role} CONNECTION LIMIT 0")
    return scene.up(url=scene.login)


def _a_wrong_password(scene: Scene) -> Result:
    return scene.up(url=scene.login.replace("@", "x@"))


def _no_database(scene: Scene) -> Result:
    return scene.up(url=scene.database.server.url("no_such"))


def _answer(url: str) -> str:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError as error:
        return str(error)
    return "welcome"


def _a_standby_that_is_shutting_down(scene: Scene) -> Result:
    server = EmbeddedServer(
        scene.project.path / ".chatdb", programs=scene.database.server.embedded.programs
    )
    try:
        server.start()
        server.stop()
        data = server.status().data
        assert data
        (data / "standby.signal").touch()
        server.start()
        with psycopg.connect(server.url()) as conn:
            error = scene.up("CREATE TABLE t ()", url=server.url()).document["error"]
            assert (error["sqlstate"], error["hint"]) == ("25006", HINTS["25006"])
            pid = server.status().pid
            assert pid
            os.kill(pid, signal.SIGTERM)  # it waits for this session to end
            while "shutting down" not in _answer(server.url()):
                pass
            result = scene.up(url=server.url())
            assert conn.execute("SELECT 1").fetchone()
        return result
    finally:
        server.destroy()


# How each row comes about: a migration, or what else has to happen.
PROVOKED: dict[str, str | Callable[[Scene], Result]] = {
    "23503": "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE t (p int);"
    "INSERT INTO t VALUES (7); ALTER TABLE t ADD CONSTRAINT t_rule FOREIGN KEY (p) REFERENCES p;",
    "23505": "CREATE TABLE t (id int); INSERT INTO t VALUES (7), (7);"
    "ALTER TABLE t ADD CONSTRAINT t_rule UNIQUE (id);",
    "25001": "SELECT 1; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",
    "25006": "SET TRANSACTION READ ONLY; CREATE TABLE t ();",
    "28P01": _a_wrong_password,
    "2D000": "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$; CALL p();",
    "3D000": _no_database,
    "40001": _a_row_that_another_has_changed,
    "40P01": _a_deadlock,
    "42501": "SET ROLE t_role; CREATE TABLE public.t ();",
    # Two `setup` at once are no error: test_cli.py.
    "42P04": "ALTER DATABASE template1 RENAME TO postgres",
    "42P06": "CREATE SCHEMA s; CREATE SCHEMA s;",
    "42P07": "CREATE TABLE t (); CREATE TABLE t ();",
    # A disk that is always full, on every system that has it.
    "53100": "COPY (SELECT generate_series(1, 100000)) TO '/dev/full'"
    if Path("/dev/full").exists()
    else "DO $$ BEGIN RAISE 'could not extend file' USING ERRCODE = 'disk_full'; END $$",
    "53200": "SELECT pg_advisory_xact_lock(n) FROM generate_series(1, 1000000) AS n",
    "53300": _no_more_connections,
    "55P03": _a_lock_that_another_holds,
    "57014": "-- chatdb: statement-timeout: 50ms\nSELECT pg_sleep(100);",
    "57P03": _a_standby_that_is_shutting_down,
}


def test_every_sqlstate_with_a_hint_has_a_case() -> None:
    assert PROVOKED.keys() == HINTS.keys()


@pytest.mark.parametrize("sqlstate", PROVOKED)
def test_each_sqlstate_is_reported_with_its_hint(sqlstate: str, scene: Scene) -> None:
    way = PROVOKED[sqlstate]
    result = scene.up(way) if isinstance(way, str) else way(scene)
    names = {"table": "t", "constraint": "t_rule", "right": "USAGE and CREATE on schema public"}
    hint = Advice(HINTS[sqlstate], **names).worded(COMMAND_LINE)
    error = result.document["error"]
    assert (error["sqlstate"], error["hint"]) == (sqlstate, hint)
    assert (
        result.code == next(code.exit for code in Code if code.slug == error["code"]) in (3, 5, 7)
    )
    shown = error_text(result)
    assert f" [{sqlstate} {sqlstate_name(sqlstate)}]\n" in shown
    assert f"\n\nhint: {hint}\n" in shown
    if "constraint" in HINTS[sqlstate]:
        assert re.search(r"\n  = server detail: Key \(\w+\)=\(7\) is ", shown)
    assert SECRET not in result.out + result.err


RIGHTS = {
    "CREATE SCHEMA mine": "CREATE on database {database}",
    "DROP TABLE theirs": "the ownership of table theirs",
    "DROP SCHEMA public": "the ownership of schema public",
    "SELECT FROM theirs": "SELECT, INSERT or what else the statement needs on table theirs",
    "SELECT FROM seen": "what the statement needs on view seen",
    "SELECT nextval('counter')": "USAGE on sequence counter",
    "SELECT work()": "EXECUTE on function work",
    "CREATE ROLE t_another": "the attribute CREATEROLE",
    "COPY (SELECT 1) TO '/dev/null'": "the right that is named",
}


def test_a_missing_right_is_named(scene: Scene) -> None:
    scene.database.execute(
        "CREATE TABLE theirs (); CREATE VIEW seen AS SELECT; CREATE SEQUENCE counter;"
        "CREATE FUNCTION work() RETURNS void LANGUAGE sql AS ''; REVOKE ALL ON FUNCTION work "
        "FROM public"
    )
    for sql, right in RIGHTS.items():
        error = scene.up(f"SET ROLE {scene.role}; {sql}").document["error"]
        assert error["sqlstate"] == "42501"
        named = right.format(database=scene.database.name)
        assert error["hint"] == Advice(HINTS["42501"], right=named).worded(COMMAND_LINE), sql


@on_first_server
def test_a_role_that_may_not_create_or_connect_to_a_database_is_told_so(scene: Scene) -> None:
    name = scene.database.name
    missing = scene.login.replace(name, "t_missing")
    assert missing != scene.login
    scene.setenv("DATABASE_URL", missing)
    scene.project.write_tables(1)
    result = run_in_every_format(scene.call, "setup")
    assert result.code == 3
    assert (
        "'t_missing' does not exist, and can't be created: permission denied to create database [42501 "
        in result.err
    )
    assert f"give role '{scene.role}' the attribute CREATEDB, or" in result.err
    scene.database.execute(f"REVOKE CONNECT ON DATABASE {name} FROM public")
    error = scene.up(url=scene.login).document["error"]
    assert (error["code"], error["sqlstate"]) == ("login", "42501")
    assert error["hint"] == "GRANT CONNECT ON DATABASE to the role"
    scene.database.execute(f"ALTER ROLE {scene.role} NOLOGIN")
    error = scene.up(url=scene.login).document["error"]
    assert (error["code"], error["sqlstate"]) == ("login", "28000")
    assert error["hint"] == "name a role that may log in"
