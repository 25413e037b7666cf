"""Any file runs, and leaves nothing in the session for the next."""

from __future__ import annotations

from typing import Any

import postgast
import pytest

from chatdb_cli.migrate.model import MigrationError
from tests.support.database import Database
from tests.support.project import Project, states
from tests.support.servers import Server

# --- files of every kind --------------------------------------------------------------------------

KINDS = {
    "empty": ("", ""),
    "a comment alone": ("/* nothing ; here */ -- at all", ""),
    "semicolons alone": (";;;\n;", ""),
    "a byte order mark": ("\ufeffCREATE TABLE t (id int);", "DROP TABLE t;"),
    "no final semicolon or newline": ("CREATE TABLE t (id int) -- the end", "DROP TABLE t"),
    "CRLF": ("CREATE TABLE t (\r\n  id int\r\n);\r\n", "DROP TABLE t;\r\n"),
    "percent signs": (
        "CREATE TABLE t AS SELECT format('%s %I %%', 1, 'a') AS a, 7 % 4;",
        "DROP TABLE t;",
    ),
    "colons": (
        """CREATE TABLE t AS SELECT '{":a": ":b"}'::jsonb AS j, (ARRAY[1,2,3])[1:2] AS s;""",
        "DROP TABLE t",
    ),
    "question marks": ("""SELECT '{"a":1}'::jsonb ? 'a', '{"a":1}'::jsonb ?| ARRAY['a'];""", ""),
    "braces": ("CREATE TABLE t AS SELECT '{{ .Name }} {schema} {0}' AS a;", "DROP TABLE t"),
    "dollar bodies": (
        "CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS $emp$ BEGIN "
        "RETURN $$a;b$$ || '''' || ';'; END; $emp$;",
        "DROP FUNCTION f;",
    ),
    "a quoted body": (
        "CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN ''a;b''''c''; END;';",
        "DROP FUNCTION f;",
    ),
    "BEGIN ATOMIC": (
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC "
        "SELECT 1; SELECT CASE WHEN true THEN 2 END; END; CREATE TABLE t (id int);",
        "DROP TABLE t; DROP FUNCTION f;",
    ),
    "nested comments": ("/* a /* b ; */ ; */ CREATE TABLE t (id int); -- it's", "DROP TABLE t"),
    "a rule of two statements": (
        "CREATE TABLE t (id int); CREATE TABLE u (id int); CREATE RULE r AS ON INSERT TO t "
        "DO ALSO (INSERT INTO u VALUES (1); INSERT INTO u VALUES (2));",
        "DROP TABLE t, u;",
    ),
    "escapes": (r"CREATE TABLE t AS SELECT E'\';' AS a, '\' AS b, U&'\0041' AS c;", "DROP TABLE t"),
    "odd identifiers": ('CREATE TABLE "a;""b" (a$b$c int, "begin" int);', 'DROP TABLE "a;""b";'),
    "operators that look like comments": ("SELECT 1 <--1\n2, 4*/*x*/2;", ""),
    "strings over lines": ("SELECT 'a' -- and\n 'b', 'x\n-- not a comment\n;y';", ""),
    "CONCURRENTLY in a comment": ("-- CREATE INDEX CONCURRENTLY\nSELECT 'VACUUM';", ""),
    "a savepoint": ("SAVEPOINT a; CREATE TABLE x (id int); ROLLBACK TO a; RELEASE a;", ""),
    "a new enum value": ("CREATE TYPE e AS ENUM ('a'); ALTER TYPE e ADD VALUE 'b';", "DROP TYPE e"),
    "much notice": (
        "DO $$ BEGIN FOR i IN 1..300 LOOP RAISE NOTICE '%', repeat('n', 10000); END LOOP; END $$;",
        "",
    ),
    "LISTEN and NOTIFY": ("LISTEN here; NOTIFY here, 'x';", ""),
    "an expression nested deeper than parse trees are read": (
        "SELECT " + " || ".join(["'a'"] * 2000) + ";",
        "",
    ),
    "a setting for the file": (
        "SET standard_conforming_strings = off; SET search_path = pg_catalog; SELECT 1;",
        "",
    ),
    "a comment behind the last statement": ("SELECT 1; -- so it's; done\n/* really */", ""),
}


@pytest.fixture(scope="module")
def shared(server: Server) -> Any:
    """One database for the cases that leave nothing behind."""
    database = server.create()
    yield database
    database.drop()


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_any_kind_runs_up_and_down_again(
    project: Project, shared: Database, kind: str
) -> None:
    up, down = KINDS[kind]
    project.write("1_kind", up, down or "-- chatdb: nothing-to-undo: it leaves nothing")
    assert states(project.migrator(shared).up()) == ["applied"]
    lossy = "AS SELECT" in up
    run = project.migrator(shared).redo(allow_data_loss=lossy)
    assert states(run) == ["reverted", "applied"]
    assert states(project.migrator(shared).down(allow_data_loss=lossy)) == ["reverted"]
    assert shared.tables() == set()


def test_a_file_in_the_syntax_of_a_newer_server_is_sent_unchanged(
    project: Project, database: Database
) -> None:
    # No grammar knows this, and the server says so itself, with the place in the file.
    project.write_tables(1)
    project.write("0002_new", "CREATE TABLE x (id int);\n\n  CREATE GIZMO é;\n")
    project.write_tables(3)
    with pytest.raises(MigrationError) as caught:
        project.migrator(database).up()
    assert states(caught.value) == ["applied", "failed", "not-run"]
    assert caught.value.sqlstate == "42601"
    place = caught.value.place
    assert place is not None
    assert (place.line, place.column) == (3, 10)
    assert database.tables() == {"t1"}


def test_a_file_that_can_not_be_split_is_sent_whole_and_the_pipeline_continues(
    project: Project, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = postgast.split

    def split(text: str) -> Any:
        if "whole" in text:
            raise postgast.PgQueryError("not in this grammar")
        return cut(text)

    monkeypatch.setattr(postgast, "split", split)
    project.write_tables(1)
    project.write("0002_whole", "CREATE TABLE whole1 (id int); CREATE TABLE whole2 (id int);")
    project.write_tables(3)
    assert states(project.migrator(database).up()) == ["applied"] * 3
    assert database.tables() == {"t1", "t3", "whole1", "whole2"}


# --- what a file leaves behind --------------------------------------------------------------------

LEFTOVERS = {
    "a role": "SET ROLE chatdb_test_role;",
    "a session's user": "SET SESSION AUTHORIZATION chatdb_test_role;",
    "an empty search_path": "SET search_path = '';",
    "a search_path of its own": "SELECT set_config('search_path', 'pg_catalog', false);",
    "a temporary table that hides one": "CREATE TEMPORARY TABLE _yoyo_log (id int);",
    "a prepared statement": "PREPARE query AS SELECT 1;",
    "a cursor": "DECLARE c CURSOR WITH HOLD FOR SELECT 1;",
    "a listener": "LISTEN something;",
    "an encoding": "SET client_encoding = 'LATIN1';",
    "read only": "SET default_transaction_read_only = on;",
    "a short statement_timeout": "SET statement_timeout = '1s';",
    "another isolation": "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE;",
    "standard_conforming_strings": "SET standard_conforming_strings = off;",
    "no replication role": "SET session_replication_role = replica;",
}


@pytest.mark.parametrize("left", LEFTOVERS)
def test_session_state_of_a_file_does_not_reach_the_next(
    project: Project, database: Database, left: str
) -> None:
    with database.connect() as conn:
        conn.execute(
            "DO $$ BEGIN CREATE ROLE chatdb_test_role; "
            "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        )
    project.write("1_leaves", LEFTOVERS[left])
    project.write(
        "2_looks",
        r"CREATE TABLE seen AS SELECT current_user::text AS role, session_user::text AS session, "
        r"current_setting('search_path') AS path, current_setting('client_encoding') AS encoding, "
        r"current_setting('transaction_isolation') AS isolation, '\' AS backslash, "
        r"current_setting('statement_timeout') AS timeout, "
        r"current_setting('session_replication_role') AS replication, "
        r"(SELECT count(*) FROM pg_prepared_statements WHERE name NOT LIKE 'chatdb%') AS prepared, "
        r"(SELECT count(*) FROM pg_cursors WHERE name = 'c') AS cursors, "
        r"(SELECT count(*) FROM pg_listening_channels()) AS listening, "
        r"to_regclass('pg_temp._yoyo_log') AS temporary, 'é' AS letter;",
    )
    project.migrator(database).up()
    assert database.query("SELECT * FROM public.seen") == [
        (
            "postgres", "postgres", '"public"', "UTF8", "read committed", "\\",
            "0", "origin", 0, 0, 0, None, "é",
        )
    ]  # fmt: skip
    assert database.applied() == ["1_leaves", "2_looks"]


def test_an_expected_role_may_stay_in_force_until_the_end_of_its_file(
    project: Project, database: Database
) -> None:
    with database.connect() as conn:
        conn.execute(
            "DO $$ BEGIN CREATE ROLE chatdb_test_role; "
            "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
        )
        conn.execute("GRANT CREATE, USAGE ON SCHEMA public TO chatdb_test_role")
    project.write("1_owner", "SET ROLE chatdb_test_role; CREATE TABLE mine (id int);")
    project.migrator(database).up()
    owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'mine'"
    assert database.query(owner) == [("chatdb_test_role",)]


DIRECTIVES = {
    "isolation: serializable": ("transaction_isolation", "serializable"),
    "isolation: repeatable read": ("transaction_isolation", "repeatable read"),
    "lock-timeout: 7s": ("lock_timeout", "7s"),
    "statement-timeout: 2min": ("statement_timeout", "2min"),
}


@pytest.mark.parametrize("directive", DIRECTIVES)
def test_a_directive_holds_for_its_file_alone(
    project: Project, database: Database, directive: str
) -> None:
    setting, value = DIRECTIVES[directive]
    look = f"CREATE TABLE {{}} AS SELECT current_setting('{setting}') AS value;"
    project.write("1_with", f"-- chatdb: {directive}\n{look.format('a')}", "DROP TABLE a;")
    project.write("2_without", look.format("b"), "DROP TABLE b;")
    project.migrator(database).up()
    assert database.query("SELECT value FROM a") == [(value,)]
    assert database.query("SELECT value FROM b") != [(value,)]
    project.migrator(database).down(everything=True, allow_data_loss=True)
    assert database.applied() == []
