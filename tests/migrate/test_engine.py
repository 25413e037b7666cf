"""Promises about a run: what is applied, in which state it ends, and at what cost."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.history import History
from chatdb_cli.migrator import Migrator
from chatdb_cli.run import Event, MigrationError
from tests.support.database import Database
from tests.support.project import Project, states, through
from tests.support.proxy import Proxy
from tests.support.servers import Server, socket_of

# --- the ordinary day -----------------------------------------------------------------------------


def test_up_applies_what_is_pending_and_down_takes_back_the_newest(
    project: Project, database: Database
) -> None:
    project.write_tables(1, 2, 3)
    run = project.migrator(database).up()
    assert states(run) == ["applied"] * 3
    assert run.current == "0003"
    assert all(s.duration_ms is not None for s in run.steps)
    assert database.tables() == {"t1", "t2", "t3"}
    assert project.migrator(database).down().current == "0002"
    assert database.tables() == {"t1", "t2"}
    assert database.applied() == ["0001_t1", "0002_t2"]


@pytest.mark.parametrize(
    ("request_", "left"),
    [
        ({}, "0004"),
        ({"steps": 2}, "0003"),
        ({"to": "2"}, "0002"),
        ({"to": "0"}, None),
        ({"everything": True}, None),
    ],
    ids=str,
)
def test_down_takes_back_what_was_asked_for(
    project: Project, database: Database, request_: dict[str, Any], left: str | None
) -> None:
    project.write_tables(1, 2, 3, 4, 5)
    project.migrator(database).up()
    assert project.migrator(database).down(**request_).current == left


def test_redo_runs_the_down_and_the_up_that_are_on_disk_now(
    project: Project, database: Database
) -> None:
    project.write_tables(1, 2)
    project.migrator(database).up()
    project.write("0002_t2", "CREATE TABLE better (id int);", "DROP TABLE better;")
    project.write("0002_t2", "CREATE TABLE better (id int);", "DROP TABLE t2;")
    run = project.migrator(database).redo()
    assert [(s.direction, s.state) for s in run.steps] == [("down", "reverted"), ("up", "applied")]
    assert database.tables() == {"t1", "better"}


def test_what_is_done_already_costs_nothing_and_changes_nothing(
    project: Project, database: Database
) -> None:
    project.write_tables(1)
    project.migrator(database).up()
    before = database.query("SELECT xmin, * FROM chatdb_migration")
    run = project.migrator(database).up()
    assert run.steps == ()
    assert database.query("SELECT xmin, * FROM chatdb_migration") == before


def test_down_without_anything_applied_is_done(project: Project, database: Database) -> None:
    project.write_tables(1)
    assert project.migrator(database).down().steps == ()


def test_down_runs_without_the_file_as_the_history_keeps_it(
    project: Project, database: Database
) -> None:
    project.write_tables(1, 2)
    project.migrator(database).up()
    (project.sql / "up" / "0002_t2.sql").unlink()
    (project.sql / "down" / "0002_t2.sql").unlink()
    assert states(project.migrator(database).down()) == ["reverted"]
    assert database.tables() == {"t1"}


def test_status_needs_no_right_to_write_and_writes_nothing(
    project: Project, database: Database
) -> None:
    project.write_tables(1, 2)
    project.migrator(database).up(steps=1)
    url = database.url + "&options=-c%20default_transaction_read_only%3Don"
    status = project.migrator(database, database_url=url).status()
    assert status.current == "0001"
    assert [m.version for m in status.pending] == ["0002"]


def test_two_schemas_of_one_database_keep_their_own_history(
    project: Project, database: Database
) -> None:
    project.write_tables(1, 2)
    with database.connect() as conn:
        conn.execute('CREATE SCHEMA "other"')
        conn.execute('CREATE SCHEMA "Odd ""name"" é"')
    project.migrator(database).up(steps=1)
    project.migrator(database, schema="other").up()
    project.migrator(database, schema='Odd "name" é').up()
    assert database.tables() == {"t1"}
    assert database.tables("other") == {"t1", "t2"}
    assert database.tables('Odd "name" é') == {"t1", "t2"}
    project.migrator(database, schema='Odd "name" é').down(everything=True)
    assert database.tables('Odd "name" é') == set()
    assert database.tables("other") == {"t1", "t2"}


def test_the_author_and_the_checksums_stand_in_the_history(
    project: Project, database: Database
) -> None:
    project.write("1_a", "\ufeffSELECT 1;\r\n", "SELECT 2;")
    project.migrator(database).up()
    digest = "sha256:" + hashlib.sha256(b"SELECT 1;\n").hexdigest()
    ((checksum, up, down, who, client),) = database.query(
        "SELECT up_checksum, up_text, down_text, applied_by, client FROM chatdb_migration"
    )
    assert (checksum, up, down) == (digest, "SELECT 1;\r\n", "SELECT 2;")
    assert who == "postgres"
    assert "@" in client


# --- its cost -------------------------------------------------------------------------------------


def test_round_trips_do_not_grow_with_the_number_of_files(
    project: Project, database: Database
) -> None:
    counts: dict[int, list[int]] = {}
    with Proxy(socket_of(database.server)) as proxy:
        for number in (10, 50):
            project.write_tables(*range(1, number + 1))
            runs: list[Callable[[Migrator], object]] = [
                lambda m: m.up(),
                lambda m: m.up(),
                lambda m: m.status(),
                lambda m: m.down(everything=True),
            ]
            for run in runs:
                proxy.kinds.clear()
                run(through(proxy, project, database))
                counts.setdefault(number, []).append(proxy.round_trips())
    # Connecting is one; then two to read, and one for all of the files together with the lock, the
    # history's tables and letting go.  The first run ever reads once: there is nothing to read.
    assert counts[50][1:] == counts[10][1:]
    assert counts[10][1] - 1 <= 3  # an up that has nothing to do
    assert counts[10] == [3, 3, 3, 8]  # a way back is tried first, in three turns


def test_only_the_last_commit_of_a_run_waits_for_the_disk(
    project: Project, database: Database
) -> None:
    project.write_tables(1, 2, 3)
    scripts = [s.sql or "" for s in project.migrator(database).up(dry_run=True).steps]
    assert ["synchronous_commit" in sql for sql in scripts] == [True, True, False]
    migrator = project.migrator(database)
    each = Migrator(migrator.target, project.sql, sync_each=True).up(dry_run=True)
    assert not any("synchronous_commit" in (s.sql or "") for s in each.steps)


def test_a_select_of_100_mb_and_a_statement_of_10_mb_pass(
    project: Project, database: Database
) -> None:
    # The server is busy sending while the client still has much to send: neither may wait for the
    # other for ever, and nothing of it is kept in memory.
    big = "x" * 10_000_000
    project.write(
        "1_much",
        f"SELECT repeat('y', 1000000) FROM generate_series(1, 100);\nSELECT length('{big}');\n"
        "CREATE TABLE done (id int);",
    )
    project.migrator(database).up()
    assert database.tables() == {"done"}


def test_more_files_than_are_ever_under_way_at_once_are_all_applied(
    project: Project, database: Database
) -> None:
    project.write_tables(*range(1, 201))
    assert len(project.migrator(database).up().steps) == 200
    assert len(database.tables()) == 200


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
    made = server.create()
    yield made
    made.drop()


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_any_kind_runs_up_and_down_again(
    project: Project, shared: Database, kind: str
) -> None:
    up, down = KINDS[kind]
    project.write("1_kind", up, down)
    assert states(project.migrator(shared).up()) == ["applied"]
    lossy = "AS SELECT" in up
    run = project.migrator(shared).redo(allow_data_loss=lossy)
    assert states(run) == ["reverted", "applied"]
    assert states(project.migrator(shared).down(allow_data_loss=lossy)) == ["reverted"]
    assert shared.tables() == set()


def test_a_file_that_only_a_newer_server_can_read_goes_as_it_is(
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


def test_a_file_that_could_not_be_cut_is_applied_whole_and_the_pipeline_goes_on(
    project: Project, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chatdb_cli import sqltext

    cut = sqltext.split
    monkeypatch.setattr(sqltext, "split", lambda text: None if "whole" in text else cut(text))
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
def test_nothing_that_a_file_leaves_in_the_session_reaches_the_next(
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


# --- errors ---------------------------------------------------------------------------------------

AT_A_STATEMENT = "CREATE TABLE bad (id int);\nSELECT 1/0;\nCREATE TABLE after (id int);"
AT_COMMIT = """
CREATE TABLE a (id int PRIMARY KEY);
CREATE TABLE b (id int REFERENCES a DEFERRABLE INITIALLY DEFERRED);
INSERT INTO b VALUES (7);
"""


@pytest.mark.parametrize("place", [1, 3, 5])
@pytest.mark.parametrize(("sql", "sqlstate"), [(AT_A_STATEMENT, "22012"), (AT_COMMIT, "23503")])
def test_an_error_keeps_what_was_before_undoes_its_file_and_leaves_the_rest_alone(
    project: Project, database: Database, place: int, sql: str, sqlstate: str
) -> None:
    project.write_tables(*range(1, 6))
    project.write(f"{place:04}_t{place}", sql)
    with pytest.raises(MigrationError) as caught:
        project.migrator(database).up()
    error = caught.value
    assert (error.code, error.sqlstate) == (Code.STATEMENT, sqlstate)
    assert states(error) == ["applied"] * (place - 1) + ["failed"] + ["not-run"] * (5 - place)
    assert error.run.current == (f"{place - 1:04}" if place > 1 else None)
    assert database.tables() == {f"t{n}" for n in range(1, place)}
    assert len(database.applied()) == place - 1
    ((operation, migration),) = database.query(
        "SELECT operation, migration_id FROM _yoyo_log ORDER BY created_at_utc DESC LIMIT 1"
    )
    assert (operation, migration) == ("failed", f"{place:04}_t{place}")
    project.write_tables(place)
    project.migrator(database).up()
    assert len(database.applied()) == 5


def test_a_way_back_that_fails_keeps_what_was_taken_back_before(
    project: Project, database: Database
) -> None:
    project.write_tables(1, 2, 3, 4)
    project.migrator(database).up()
    project.write("0002_t2", "CREATE TABLE t2 (id int);\n", "DROP TABLE t2; DROP TABLE t2;")
    with pytest.raises(MigrationError) as caught:
        project.migrator(database).down(everything=True)
    assert states(caught.value) == ["reverted", "reverted", "failed", "not-run"]
    assert database.tables() == {"t1", "t2"}
    assert database.applied() == ["0001_t1", "0002_t2"]


def test_a_file_that_drops_the_history_is_told_so_and_undone(
    project: Project, database: Database
) -> None:
    project.write_tables(1)
    project.write("0002_all", "DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
    with pytest.raises(MigrationError, match="hold the history"):
        project.migrator(database).up()
    assert database.applied() == ["0001_t1"]


def test_a_file_that_raises_what_the_claim_would_raise_is_no_claim(
    project: Project, database: Database
) -> None:
    for n, sqlstate in enumerate(["22012", "23505", "55P03", "40001"], 1):
        project.write(
            "0001_raises",
            f"DO $$ BEGIN RAISE EXCEPTION 'mine' USING errcode = '{sqlstate}'; END $$",
        )
        with pytest.raises(MigrationError) as caught:
            project.migrator(database, retries="0").up()
        code = Code.LOCKED if sqlstate == "55P03" else Code.STATEMENT
        assert (caught.value.code, caught.value.sqlstate) == (code, sqlstate), n


REFUSED = {
    "BEGIN; CREATE TABLE x (id int); COMMIT;": 1,
    "CREATE TABLE x (id int);\nCOMMIT;": 2,
    "SELECT 1;\nROLLBACK AND CHAIN;": 2,
    "COPY x FROM STDIN;": 1,
    "SELECT 1;\n\\connect other": 2,
    "-- chatdb: transactional: false\nVACUUM;\nCOMMIT;": 3,
    "-- chatdb: transctional: false\nSELECT 1;": 1,
}


@pytest.mark.parametrize("sql", REFUSED)
def test_a_file_that_no_migration_may_be_stops_all_before_anything_runs(
    project: Project, database: Database, sql: str
) -> None:
    project.write_tables(1)
    project.write("0002_bad", sql)
    with pytest.raises(ChatdbError) as caught:
        project.migrator(database).up()
    assert caught.value.code is Code.BAD_FILE
    assert caught.value.exit == 2
    assert caught.value.hint
    place = caught.value.place
    assert place is not None
    assert place.file.name == "0002_bad.sql"
    assert place.line == REFUSED[sql]
    assert database.query("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]


def test_a_way_back_that_is_stopped_by_its_file_names_that_one_and_no_other(
    project: Project, database: Database
) -> None:
    project.write_tables(1, 2)
    project.migrator(database).up()
    project.write("0001_t1", "-- chatdb: nonsense: 1\n", "DROP TABLE t1;\n")
    project.write("0002_t2", "CREATE TABLE t2 (id int);\n", b"DROP TABLE \xff;\n")
    with pytest.raises(ChatdbError, match="UTF-8") as caught:
        project.migrator(database).down()
    assert caught.value.place is not None
    assert caught.value.place.file == project.sql / "down" / "0002_t2.sql"


# --- files and history disagree -------------------------------------------------------------------


def disagree(project: Project, database: Database) -> ChatdbError:
    with pytest.raises(ChatdbError) as caught:
        project.migrator(database).up()
    assert caught.value.exit == 6
    assert caught.value.hint
    return caught.value


def problem(project: Project, database: Database) -> tuple[str, str | None]:
    (found,) = project.migrator(database).status().problems
    return found.code, found.version


def test_an_edited_file_is_found_before_anything_runs(project: Project, database: Database) -> None:
    project.write_tables(1)
    project.migrator(database).up()
    project.write_tables(2)
    project.write("0001_t1", "CREATE TABLE t1 (id bigint);")
    assert "0001_t1" in disagree(project, database).message
    assert problem(project, database) == ("changed", "0001")
    assert database.tables() == {"t1"}


def test_line_ends_and_a_byte_order_mark_are_no_edit(project: Project, database: Database) -> None:
    project.write("1_a", "SELECT 1;\nSELECT 2;\n")
    project.migrator(database).up()
    project.write("1_a", "\ufeffSELECT 1;\r\nSELECT 2;\r\n")
    assert project.migrator(database).status().problems == ()


def test_a_missing_file_is_found_before_anything_runs(project: Project, database: Database) -> None:
    project.write_tables(1, 2)
    project.migrator(database).up()
    (project.sql / "up" / "0001_t1.sql").unlink()
    project.write_tables(3)
    assert "0001_t1" in disagree(project, database).message
    assert problem(project, database) == ("missing", "0001")


def test_a_version_used_twice_names_both_files(project: Project, database: Database) -> None:
    project.write_tables(1)
    project.write("1_again", "SELECT 1;")
    error = disagree(project, database)
    assert "0001_t1.sql" in error.message
    assert "1_again.sql" in error.message


def test_an_older_file_names_the_newer_one_and_is_applied_when_allowed(
    project: Project, database: Database
) -> None:
    project.write_tables(1, 3)
    project.migrator(database).up()
    project.write_tables(2)
    error = disagree(project, database)
    assert "0002_t2" in error.message
    assert "0003_t3" in error.message
    assert problem(project, database) == ("out-of-order", "0002")
    assert states(project.migrator(database).up(allow_out_of_order=True)) == ["applied"]
    assert database.applied() == ["0001_t1", "0002_t2", "0003_t3"]


def test_an_applied_version_that_no_file_has_is_unknown(
    project: Project, database: Database
) -> None:
    project.write_tables(1)
    project.migrator(database).up()
    with database.connect() as conn:
        conn.execute(
            "INSERT INTO _yoyo_migration VALUES ('x', 'initial-schema', now()), ('y', '0009_z', now())"
        )
    status = project.migrator(database).status()
    assert {p.version: p.code for p in status.problems} == {"0009": "missing"}
    # Only yoyo knows an id without a version; it is said, and stands in nobody's way.
    assert any("initial-schema" in warning for warning in status.warnings)
    database.execute("DELETE FROM _yoyo_migration WHERE migration_id = '0009_z'")
    assert states(project.migrator(database).down(everything=True)) == ["reverted"]
    assert database.query("SELECT migration_id FROM _yoyo_migration") == [("initial-schema",)]


def test_a_plan_that_no_longer_holds_is_never_carried_out(
    project: Project, database: Database
) -> None:
    """Another migrator changes the history between reading it and the claim."""
    project.write_tables(1, 2, 3)
    project.migrator(database).up(to="1")
    other = project.migrator(database)
    done: list[str] = []

    def interfere(event: Event) -> None:
        if event.kind == "planned" and not done:
            done.append("yes")
            other.up(to="2")

    run = project.migrator(database, progress=interfere).up()
    assert states(run) == ["by-another", "applied"]
    assert database.applied() == ["0001_t1", "0002_t2", "0003_t3"]


def test_a_way_back_never_takes_back_what_was_not_shown(
    project: Project, database: Database
) -> None:
    project.write_tables(1, 2, 3)
    project.migrator(database).up(to="2")
    done: list[str] = []

    def interfere(event: Event) -> None:
        if event.kind == "planned" and not done:
            done.append("yes")
            project.migrator(database).up()

    with pytest.raises(ChatdbError) as caught:
        project.migrator(database, progress=interfere).down()
    assert caught.value.exit == 6
    assert database.applied() == ["0001_t1", "0002_t2", "0003_t3"]


# --- yoyo -----------------------------------------------------------------------------------------


def test_a_yoyo_client_reads_the_history_and_agrees(project: Project, database: Database) -> None:
    from yoyo import get_backend, read_migrations

    project.write_tables(1, 2)
    project.migrator(database).up(steps=1)
    url = f"postgresql+psycopg://postgres@/{database.name}?host={database.server.embedded.params()['host']}"
    backend = get_backend(url)
    with backend:
        migrations = read_migrations(str(project.sql / "up"))
        assert [m.id for m in backend.to_apply(migrations)] == ["0002_t2"]
        assert [m.id for m in backend.to_rollback(migrations)] == ["0001_t1"]
        with backend.lock():
            backend.apply_migrations(backend.to_apply(migrations))
    # What yoyo applied is applied for us as well, and is taken over with the next write.
    status = project.migrator(database).status()
    assert [row.version for row, _ in status.applied] == ["0001", "0002"]
    assert status.problems == ()
    project.write_tables(3)
    project.migrator(database).up()
    assert database.applied() == ["0001_t1", "0002_t2", "0003_t3"]
    project.migrator(database).down()


def test_a_database_that_only_yoyo_has_written_is_taken_over(
    project: Project, database: Database
) -> None:
    from yoyo import get_backend, read_migrations

    project.write_tables(1, 2)
    host = database.server.embedded.params()["host"]
    with get_backend(f"postgresql+psycopg://postgres@/{database.name}?host={host}") as backend:
        backend.apply_migrations(backend.to_apply(read_migrations(str(project.sql / "up"))))
    project.write_tables(3)
    assert states(project.migrator(database).up()) == ["applied"]
    assert database.applied() == ["0001_t1", "0002_t2", "0003_t3"]


def test_the_hash_is_yoyos_own(project: Project, database: Database) -> None:
    from yoyo.migrations import get_migration_hash

    project.write("0001_é", "SELECT 1;")
    project.migrator(database).up()
    expected = [(get_migration_hash("0001_é"),)]
    assert database.query("SELECT migration_hash FROM _yoyo_migration") == expected
    assert database.query("SELECT migration_hash FROM _yoyo_log") == expected


def test_a_yoyo_lock_that_was_left_behind_is_reported(project: Project, database: Database) -> None:
    project.write_tables(1)
    project.migrator(database).up()
    with database.connect() as conn:
        conn.execute("CREATE TABLE yoyo_lock (locked int, ctime timestamp, pid int)")
        conn.execute("INSERT INTO yoyo_lock VALUES (1, now(), 4711)")
    (found,) = project.migrator(database).status().problems
    assert found.code == "yoyo-lock"
    assert "4711" in found.message


# --- the rest of a day ----------------------------------------------------------------------------


def test_progress_tells_each_step_as_it_begins_and_ends(
    project: Project, database: Database
) -> None:
    project.write("1_a", "DO $$ BEGIN RAISE NOTICE 'hello'; END $$")
    project.write("2_b", "SELECT 1;")
    seen: list[tuple[str, str | None, str]] = []
    project.migrator(
        database,
        progress=lambda e: seen.append((e.kind, e.step.version if e.step else None, e.text)),
    ).up()
    assert seen == [
        ("planned", None, ""),
        ("started", "1", ""),
        ("notice", "1", "notice: hello"),
        ("done", "1", ""),
        ("started", "2", ""),
        ("done", "2", ""),
    ]


def test_the_shipped_schema_does_not_go_where_other_tables_are_unless_it_was_named(
    project: Project, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.path)
    with database.connect() as conn:
        conn.execute("CREATE TABLE precious (id int)")
    with pytest.raises(ChatdbError) as caught:
        Migrator(database.target()).up()
    assert caught.value.exit == 8
    assert database.tables() == {"precious"}


def test_a_schema_that_is_not_there_is_not_made(project: Project, database: Database) -> None:
    project.write_tables(1)
    with pytest.raises(ChatdbError) as caught:
        project.migrator(database, schema="nowhere").up()
    assert caught.value.exit == 2
    assert "chatdb setup" in (caught.value.hint or "")


def test_history_is_complete_only_with_every_table() -> None:
    nothing = History(1, 180000, "d", "u", True, frozenset(), False, ())
    assert not nothing.complete


def test_the_connection_is_as_it_was_after_a_failed_run(
    project: Project, database: Database
) -> None:
    from chatdb_cli import pipeline

    with database.connect() as conn:
        bad = [[pipeline.Message(b"BEGIN", "frame"), pipeline.Message(b"SELECT 1/0", "file", 0)]]
        outcome = pipeline.run(conn, bad)
        assert isinstance(outcome.error, psycopg.errors.DivisionByZero)
        conn.execute("ROLLBACK")
        assert conn.execute("SELECT 1").fetchone() == (1,)
