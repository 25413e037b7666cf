"""Other people's servers: what comes, and what the message says.

Servers whose messages are not English, and TLS, are in tests/postgres/test_refused_connections.py.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from chatdb_cli.postgres.quoting import Quoting
from tests.support.chatdb import Chatdb
from tests.support.database import Database, wait_for_session
from tests.support.errors import SECRET, error_text
from tests.support.project import Project, command_environment
from tests.support.servers import Server, allow_logins

HISTORY = ("_yoyo_migration", "_yoyo_log", "_yoyo_version", "chatdb_migration")


@pytest.fixture
def reader(server: Server, database: Database) -> Iterator[str]:
    """A role without rights; its sessions begin as the superuser's, with `SET role`."""
    server.execute("CREATE ROLE t_reader; GRANT t_reader TO postgres")
    yield "t_reader"
    database.execute("DROP OWNED BY t_reader")
    server.execute("DROP ROLE t_reader")


def as_role(database: Database, role: str) -> str:
    return f"{database.url}{'&' if '?' in database.url else '?'}options=-crole%3D{role}"


# --- who may read the history ---------------------------------------------------------------------


def test_rows_of_the_history_that_row_security_hides_are_said_and_not_counted_as_none(
    project: Project, chatdb: Chatdb, database: Database, reader: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    project.write_tables(1)
    assert chatdb("migrate", "up").code == 0
    grants = "; ".join(
        f"GRANT SELECT ON {t} TO {reader}; ALTER TABLE {t} ENABLE ROW LEVEL SECURITY"
        for t in HISTORY
    )
    database.execute(f"GRANT USAGE ON SCHEMA public TO {reader}; {grants}")
    assert chatdb("migrate", "status").code == 0  # the owner sees all
    monkeypatch.setenv("DATABASE_URL", as_role(database, reader))
    for command in ("status", "history", "up", "down"):
        result = chatdb("migrate", command)
        assert result.code == 5, command
        assert "row-level security hides rows of the history" in error_text(result)
        assert "row_security = off" in result.err
        assert "ALTER TABLE public." in result.err


def test_a_role_that_may_not_read_the_history_is_told_which_rights_it_needs(
    project: Project, chatdb: Chatdb, database: Database, reader: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    project.write_tables(1)
    assert chatdb("migrate", "up").code == 0
    monkeypatch.setenv("DATABASE_URL", as_role(database, reader))
    result = chatdb("migrate", "status", "--format", "json")
    assert (result.code, result.document["error"]["sqlstate"]) == (3, "42501")
    hint = result.document["error"]["hint"]
    rights = hint[hint.index("GRANT") :].replace("TO postgres", f"TO {reader}")
    monkeypatch.setenv("DATABASE_URL", database.url)
    database.execute(rights)
    monkeypatch.setenv("DATABASE_URL", as_role(database, reader))
    assert chatdb("migrate", "status").code == 0
    assert chatdb("migrate", "history").code == 0


def test_a_history_of_yoyo_5_names_the_way_to_a_newer_one(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write_tables(1)
    database.execute("CREATE TABLE _yoyo_migration (id varchar(255) PRIMARY KEY, ctime timestamp)")
    result = chatdb("migrate", "status")
    assert result.code == 6
    assert "yoyo 6 or newer once" in error_text(result)


# --- what a file does to the history --------------------------------------------------------------

HARM = {
    "renamed": "ALTER SCHEMA public RENAME TO other; CREATE SCHEMA public;",
    "moved": "CREATE SCHEMA aside; ALTER TABLE chatdb_migration SET SCHEMA aside;",
    "renamed table": "ALTER TABLE _yoyo_migration RENAME TO other;",
    "emptied": "DELETE FROM chatdb_migration;",
    "hidden": "ALTER TABLE chatdb_migration ENABLE ROW LEVEL SECURITY;"
    "ALTER TABLE chatdb_migration FORCE ROW LEVEL SECURITY;",
    "hidden log": "ALTER TABLE _yoyo_log ENABLE ROW LEVEL SECURITY;"
    "ALTER TABLE _yoyo_log FORCE ROW LEVEL SECURITY;",
}


@pytest.mark.parametrize("what", HARM)
def test_a_file_that_moves_or_hides_the_history_is_undone_and_told_so(
    what: str, project: Project, chatdb: Chatdb, database: Database, server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    server.execute(
        f"DROP ROLE IF EXISTS t_owner; CREATE ROLE t_owner LOGIN; "
        f"GRANT ALL ON DATABASE {database.name} TO t_owner"
    )
    database.execute("ALTER SCHEMA public OWNER TO t_owner")
    try:
        # Row-level security does not apply to a superuser: the owner logs in.
        with allow_logins(server, "local all t_owner trust"):
            monkeypatch.setenv("DATABASE_URL", make_conninfo(database.url, user="t_owner"))
            project.write_tables(1)
            project.write("0002_harm", HARM[what])
            result = chatdb("migrate", "up")
        assert result.code == 5
        assert "the history" in error_text(result)
        assert "0002 was rolled back" in result.err
        assert "division by zero" not in result.err
    finally:
        monkeypatch.setenv("DATABASE_URL", database.url)
        database.execute("DROP OWNED BY t_owner CASCADE; CREATE SCHEMA IF NOT EXISTS public")
        server.execute("DROP OWNED BY t_owner; DROP ROLE t_owner")


# --- which schema ---------------------------------------------------------------------------------


def test_the_search_path_is_that_of_the_extensions_when_the_file_begins(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    if not database.query("SELECT FROM pg_available_extensions WHERE name = 'pg_trgm'"):
        pytest.skip("this PostgreSQL has no pg_trgm")
    project.write("0001_ext", "CREATE SCHEMA extensions; CREATE EXTENSION pg_trgm SCHEMA extensions;",
                  "DROP EXTENSION pg_trgm; DROP SCHEMA extensions;")  # fmt: skip
    project.write(
        "0002_t", "CREATE TABLE t (x text); CREATE INDEX ON t USING gin (x gin_trgm_ops);",
        "DROP TABLE t;",
    )  # fmt: skip
    alone = "-- chatdb: transactional: false\n"
    project.write("0003_i", f"{alone}CREATE INDEX CONCURRENTLY i ON t USING gin (x gin_trgm_ops);",
                  f"{alone}DROP INDEX CONCURRENTLY i;")  # fmt: skip
    assert chatdb("migrate", "up").code == 0
    assert chatdb("migrate", "down", "--all").code == 0


@pytest.mark.parametrize("source", ["url", "role", "database"])
def test_a_search_path_that_is_not_used_is_said_with_the_option_that_names_the_schema(
    source: str, project: Project, chatdb: Chatdb, database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    project.write_tables(1)
    database.execute("CREATE SCHEMA app")
    if source == "url":
        monkeypatch.setenv("PGOPTIONS", "-c search_path=app,public")
    elif source == "role":
        database.execute(f"ALTER ROLE postgres IN DATABASE {database.name} SET search_path = app")
    else:
        database.execute(f"ALTER DATABASE {database.name} SET search_path = 'app'")
    try:
        for command in ("up", "status"):
            result = chatdb("migrate", command)
            assert result.code == 0
            assert "search_path app" in result.err
            assert "--schema" in result.err
        assert database.tables("public") == {"t1"}
        assert "search_path" not in chatdb("migrate", "status", "--schema", "public").err
    finally:
        database.execute(f"ALTER ROLE postgres IN DATABASE {database.name} RESET ALL")


def test_a_history_in_another_schema_is_named_unless_it_is_that_of_a_test_schema(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write_tables(1)
    database.execute("CREATE SCHEMA app; CREATE SCHEMA test")
    assert chatdb("migrate", "up", "--schema", "test").code == 0
    database.execute(
        "COMMENT ON SCHEMA test IS 'chatdb: a test schema, reset by chatdb setup --test'"
    )
    assert chatdb("migrate", "status").code == 0
    assert chatdb("migrate", "up", "--schema", "app").code == 0
    for command in ("status", "up", "down"):
        result = chatdb("migrate", command)
        assert result.code == 8, command
        assert "there is one in schema 'app'" in error_text(result)
        assert "--schema" in result.err
    assert chatdb("migrate", "up", "--schema", "public").code == 0


def test_tables_without_a_history_are_not_joined_by_others_unasked(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write_tables(1)
    if database.query("SELECT FROM pg_available_extensions WHERE name = 'pg_stat_statements'"):
        database.execute("CREATE EXTENSION pg_stat_statements")  # its views are no reason
        assert chatdb("migrate", "up", "--dry-run").code == 0
    database.execute("CREATE TABLE theirs ()")
    for command in (("migrate", "up"), ("setup",)):
        result = chatdb(*command)
        assert result.code == 8
        assert "baseline" in error_text(result)
        assert "--allow-non-empty" in result.err
    assert database.tables() == {"theirs"}
    assert chatdb("migrate", "up", "--allow-non-empty").code == 0
    assert chatdb("migrate", "up").code == 0  # from now on it has a history


# --- encodings ------------------------------------------------------------------------------------


@contextmanager
def encoded(server: Server, encoding: str) -> Iterator[Database]:
    name = f"t_{encoding.lower()}"
    server.execute(f"DROP DATABASE IF EXISTS {name}")
    server.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    database = Database(server, name)
    try:
        yield database
    finally:
        database.drop()


def test_only_a_character_outside_of_comments_that_the_database_lacks_is_refused(
    project: Project, offline: Chatdb, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    comments = "-- the price is in €\nCREATE TABLE x (y int /* ≤ 3 € */, \"ä\" text DEFAULT 'ö');"
    project.write("0001_x", comments, "-- 3 €\nDROP TABLE x;")
    with encoded(server, "LATIN1") as database:
        monkeypatch.setenv("DATABASE_URL", database.url)
        assert offline("migrate", "up").code == 0
        assert offline("migrate", "status", "--check").code == 0
        project.write("0002_y", "CREATE TABLE y ();\nINSERT INTO x VALUES (1, '5 €');")
        result = offline("migrate", "up")
        assert result.code == 5
        assert "  --> sql/up/0002_y.sql:2:29\n" in error_text(result)
        assert "EURO SIGN" in result.err
        assert database.tables() == {"x"}
        (project.sql / "up/0002_y.sql").unlink()
        (project.sql / "down/0002_y.sql").unlink()
        (project.sql / "down/0001_x.sql").unlink()
        assert offline("migrate", "down").code == 0  # its text is kept, with another comment


def test_sql_ascii_counts_bytes_and_cuts_characters(
    project: Project, offline: Chatdb, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("0001_a", "SELECT 'ärger€' FROM nosuch;")
    with encoded(server, "SQL_ASCII") as database:
        monkeypatch.setenv("DATABASE_URL", database.url)
        assert "0001_a.sql:1:22\n" in error_text(offline("migrate", "up"))
        # Whichever character the server cuts, a waiting migrator shows what is left of the query.
        for padding in ("", "x"):
            project.write("0001_a", f"SELECT '{padding}{'ä' * 700}', pg_sleep(60);")
            process = subprocess.Popen(
                [sys.executable, "-m", "chatdb_cli", "migrate", "up"],
                cwd=project.path, env=command_environment(project, database),
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            try:
                wait_for_session(database, "wait_event = 'PgSleep'")
                result = offline("migrate", "up", "--wait", "50ms")
            finally:
                process.kill()
                process.wait()
                database.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                                 "WHERE wait_event = 'PgSleep'")  # fmt: skip
            assert result.code == 7
            assert "another migrator is running" in error_text(result)


# --- locks and times ------------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["_yoyo_migration", "chatdb_migration", "_yoyo_log"])
def test_a_locked_history_ends_within_the_wait_and_names_the_session_that_holds_it(
    table: str, project: Project, chatdb: Chatdb, database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    project.write_tables(1)
    assert chatdb("migrate", "up").code == 0
    project.write_tables(2)
    monkeypatch.setenv("CHATDB_WAIT", "200ms")
    with database.connect() as other, other.transaction():
        other.execute(f"LOCK TABLE {table}")
        for command in ("up", "history") if table == "_yoyo_log" else ("up", "status", "down"):
            result = chatdb("migrate", command)
            assert result.code == 7, (command, result.err)
            assert f"pid {other.info.backend_pid}" in error_text(result)
    assert chatdb("migrate", "up").code == 0


def test_a_role_that_may_not_see_who_holds_the_lock_is_told_so(
    project: Project, chatdb: Chatdb, database: Database, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("0001_a", "LOCK TABLE busy;")
    database.execute(
        f"GRANT ALL ON SCHEMA public TO {role}; CREATE TABLE busy (); GRANT ALL ON busy TO {role}; "
        "REVOKE SELECT ON pg_locks, pg_stat_activity FROM PUBLIC"
    )
    monkeypatch.setenv("DATABASE_URL", database.url.replace("postgres@", f"{role}:{SECRET}@"))
    up = ("migrate", "up", "--allow-non-empty", "--lock-timeout", "600ms", "--retries", "0")
    try:
        with database.connect() as other:
            other.execute(f"SELECT pg_advisory_lock({Quoting(other, 'public').session_key})")
            result = chatdb(*up, "--wait", "50ms")
            assert result.code == 7
            assert "can't be seen" in error_text(result)
        with database.connect() as other, other.transaction():
            other.execute("LOCK TABLE busy")
            result = chatdb(*up)
            assert result.code == 7
            assert "can't be seen" in error_text(result)
    finally:
        database.execute(
            f"GRANT SELECT ON pg_locks, pg_stat_activity TO PUBLIC; DROP OWNED BY {role}"
        )


def test_no_timeout_of_the_database_ends_a_run(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write_tables(1)
    database.execute(f"ALTER DATABASE {database.name} SET idle_session_timeout = '400ms'; "
                     f"ALTER DATABASE {database.name} SET statement_timeout = '20ms'")  # fmt: skip
    assert chatdb("migrate", "up").code == 0
    project.write("0002_slow", "ALTER TABLE t1 ADD x int; SELECT pg_sleep(0.1);", "SELECT 1;")
    ready, done = threading.Event(), threading.Event()

    def hold() -> None:
        with psycopg.connect(
            database.url, options="-c idle_session_timeout=0 -c statement_timeout=0"
        ) as conn:
            conn.execute("LOCK TABLE t1 IN ACCESS SHARE MODE")
            ready.set()
            done.wait(3)

    holder = threading.Thread(target=hold)
    holder.start()
    assert ready.wait(20)
    result = chatdb("migrate", "up", "--lock-timeout", "50ms")
    done.set()
    holder.join()
    assert (result.code, "trying again" in result.err) == (0, True)
