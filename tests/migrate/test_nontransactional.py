"""Promises about a file without a transaction: it is known how far it came, and it goes on there."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import postgast
import psycopg
import pytest

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.migrate.migrator import Migrator
from chatdb_cli.migrate.model import MigrationError, Progress
from tests.support.chatdb import Chatdb
from tests.support.children import kill_before
from tests.support.database import Database, wait_for_no_sessions, wait_for_session
from tests.support.project import Project, states
from tests.support.psql import run_psql, schema_and_history
from tests.support.servers import Server, on_first_server

ALONE = "-- chatdb: transactional: false\n"
INVALID = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid ORDER BY 1"


@pytest.fixture(scope="module")
def shared(server: Server) -> Iterator[Database]:
    """One database for what leaves nothing behind, or works in a schema of its own."""
    database = server.create()
    database.execute(
        "DO $$ BEGIN CREATE ROLE chatdb_test_role; "
        "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    )
    database.execute("GRANT CREATE, USAGE ON SCHEMA public TO chatdb_test_role")
    yield database
    database.drop()


def fails(project: Project, database: Database, what: str = "up", **flags: Any) -> MigrationError:
    migrator = project.migrator(database, **flags)
    with pytest.raises(MigrationError) as caught:
        migrator.up(allow_non_empty=True) if what == "up" else migrator.down(allow_data_loss=True)
    return caught.value


def refuses(project: Project, database: Database, what: str = "up") -> ChatdbError:
    migrator = project.migrator(database)
    with pytest.raises(ChatdbError) as caught:
        migrator.up(allow_non_empty=True) if what == "up" else migrator.down(allow_data_loss=True)
    assert not isinstance(caught.value, MigrationError)
    assert caught.value.hint
    return caught.value


def problem(project: Project, database: Database) -> tuple[str, str, str]:
    (found,) = project.migrator(database).status().problems
    return found.code, found.message, found.hint


# --- files of every kind --------------------------------------------------------------------------

TABLE = "CREATE TABLE t (n int);\nINSERT INTO t VALUES (1);\n"
KINDS = {
    "an index": (
        TABLE + "CREATE INDEX CONCURRENTLY i ON t (n);",
        "DROP INDEX CONCURRENTLY i; DROP TABLE t;",
    ),
    "an index without a name": (
        TABLE + "CREATE UNIQUE INDEX CONCURRENTLY ON t (n) WHERE n > 0;",
        "DROP INDEX CONCURRENTLY t_n_idx; DROP TABLE t;",
    ),
    "odd names": (
        'CREATE TABLE "T ""x""" (n int); CREATE INDEX CONCURRENTLY "I %s{}" ON "T ""x""" (n);',
        'DROP INDEX CONCURRENTLY "I %s{}"; DROP TABLE "T ""x""";',
    ),
    "REINDEX": (
        TABLE + "CREATE INDEX i ON t (n); REINDEX INDEX CONCURRENTLY i; REINDEX (CONCURRENTLY) "
        "TABLE t;",
        "DROP TABLE t;",
    ),
    "VACUUM": (TABLE + "VACUUM (ANALYZE) t;\nINSERT INTO t VALUES (2);", "DROP TABLE t; VACUUM;"),
    "a new enum value in use": (
        "CREATE TYPE e AS ENUM ('a'); ALTER TYPE e ADD VALUE 'b'; CREATE TABLE t AS SELECT 'b'::e AS e;",
        "DROP TABLE t; DROP TYPE e;",
    ),
    "a procedure that commits": (
        TABLE + "CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN "
        "FOR i IN 1..3 LOOP INSERT INTO t VALUES (i); COMMIT; END LOOP; END $$;\nCALL p();",
        "DROP PROCEDURE p; DROP TABLE t;",
    ),
    "a block that commits": (
        TABLE + "DO $$ BEGIN UPDATE t SET n = 2; COMMIT; UPDATE t SET n = 3; END $$;",
        "DROP TABLE t;",
    ),
    "settings that hold": (
        "SET work_mem = '123kB'; SET lock_timeout = '777ms'; SET search_path = pg_catalog, public;"
        "CREATE TABLE public.t (n int); VACUUM t; CREATE INDEX CONCURRENTLY i ON t (n); VACUUM t;"
        "SELECT 1 / (current_setting('work_mem') = '123kB')::int,"
        " 1 / (current_setting('lock_timeout') = '777ms')::int,"
        " 1 / (current_setting('search_path') LIKE 'pg_catalog%')::int;",
        "DROP TABLE t;",
    ),
    "a role": (
        "SET ROLE chatdb_test_role; CREATE TABLE t (n int); CREATE INDEX CONCURRENTLY i ON t (n);"
        "VACUUM t; SELECT 1 / (current_user = 'chatdb_test_role')::int;",
        "SET SESSION AUTHORIZATION chatdb_test_role; DROP INDEX CONCURRENTLY i; DROP TABLE t;"
        "SELECT 1 / (session_user = 'chatdb_test_role')::int;",
    ),
    "what a session holds": (
        "CREATE TEMP TABLE x (n int); PREPARE q AS SELECT 1; LISTEN here; EXECUTE q; "
        "INSERT INTO x VALUES (1);",
        "SELECT 1 / (to_regclass('pg_temp.x') IS NULL)::int;"
        "SELECT 1 / (count(*) = 0)::int FROM pg_prepared_statements;",
    ),
    "a whole that can't be cut": ("-- uncut\nCREATE TABLE t (n int); SELECT 1;", "DROP TABLE t;"),
    "empty": ("", ""),
    "a comment alone": ("/* nothing ; here */ -- at all", "-- nothing"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_any_kind_runs_up_and_down_again(
    project: Project, shared: Database, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = postgast.split

    def split(text: str) -> Any:
        if "uncut" in text:
            raise postgast.PgQueryError("not in this grammar")
        return cut(text)

    monkeypatch.setattr(postgast, "split", split)
    up, down = KINDS[kind]
    project.write("1_kind", ALONE + up, ALONE + down)
    project.write("2_behind", "CREATE TABLE behind (id int);", "DROP TABLE behind;")
    run = project.migrator(shared).up()
    assert states(run) == ["applied", "applied"]
    assert all(s.duration_ms is not None for s in run.steps)
    assert shared.query(INVALID) == []
    status = project.migrator(shared).status()
    assert (status.current, status.problems) == ("2", ())
    assert states(project.migrator(shared).down(allow_data_loss=True)) == ["reverted"]
    assert states(project.migrator(shared).redo(allow_data_loss=True)) == ["reverted", "applied"]
    assert shared.applied() == ["1_kind"]
    assert states(project.migrator(shared).down(allow_data_loss=True)) == ["reverted"]
    assert shared.tables() == set()
    assert shared.applied() == []


# --- killed ---------------------------------------------------------------------------------------


@on_first_server
def test_a_client_killed_at_any_statement_leaves_each_done_once_and_the_next_run_continues(
    project: Project, shared: Database, places: Iterator[int]
) -> None:
    """After the way up is killed and ended, so is the way down, at the same place."""
    insert = "INSERT INTO seen VALUES ({});"
    project.write(
        "1_alone",
        f"{ALONE}CREATE INDEX CONCURRENTLY i ON seen (n);\n{insert.format(1)}",
        f"{ALONE}DROP INDEX CONCURRENTLY i;\n{insert.format(2)}",
    )
    resumed = Counter[str]()
    for number in places:
        schema = f"killed_{number}"
        shared.execute(f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.seen (n int)")
        killed = []
        for what in ("up!", "down!"):
            killed.append(kill_before(number, project, shared, schema, what, kinds="EQ"))
            migrator = project.migrator(shared, schema=schema)
            for state in states(
                migrator.up(allow_non_empty=True)
                if what == "up!"
                else migrator.down(allow_data_loss=True)
            ):
                resumed[f"{what.strip('!')} {state}"] += 1
            rows = shared.query(f"SELECT n FROM {schema}.seen ORDER BY n")
            assert rows == [(n,) for n in (1, 2)[: len(killed)]], (number, what)
            valid = shared.query(
                f"SELECT indisvalid FROM pg_index WHERE indrelid = '{schema}.seen'::regclass"
            )
            assert valid == [(True,)] * (what == "up!"), number
            assert migrator.status().problems == ()
            assert len(shared.applied(schema)) == (what == "up!")
        # The other tests name no schema, so there may be only one history.
        shared.execute(f"DROP SCHEMA {schema} CASCADE")
        if not any(killed):
            break
    assert resumed["up applied"] >= 1
    assert resumed["up resumed"] > 4
    assert resumed["down reverted"] >= 1
    assert resumed["down resumed"] > 4


# --- failed ---------------------------------------------------------------------------------------

UNIQUE = "CREATE UNIQUE INDEX CONCURRENTLY i ON t (n);"


def stop(project: Project, database: Database, index: str = UNIQUE) -> MigrationError:
    """Have a file stop at its second statement, on rows that are there twice."""
    project.write("1_t", "CREATE TABLE t (n int);\nINSERT INTO t VALUES (1), (1);", "DROP TABLE t;")
    project.write(
        "2_index",
        f"{ALONE}INSERT INTO t VALUES (2);\n{index}\nINSERT INTO t VALUES (3);",
        f"{ALONE}DROP INDEX CONCURRENTLY IF EXISTS i;\nDELETE FROM t WHERE n > 1;",
    )
    return fails(project, database)


def mend(database: Database) -> None:
    database.execute("DELETE FROM t a USING t b WHERE a.n = b.n AND a.ctid > b.ctid")


def leave_invalid(database: Database, name: str, column: str = "n") -> None:
    """What somebody else's try has left, on the same table."""
    with database.connect() as conn, pytest.raises(psycopg.errors.UniqueViolation):
        conn.execute(f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON t ({column})")


def test_after_a_failure_status_names_the_statement_and_up_continues_there(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    error = stop(project, database)
    project.write_tables(3)
    assert (error.code, error.exit, error.sqlstate) == (Code.STATEMENT, 5, "23505")
    assert states(error) == ["applied", "failed"]
    assert error.run.current == "1"
    assert any("stopped part-way: 1 of its statements is done" in n for n in error.notes)
    assert error.place is not None
    assert error.place.line == 3
    assert database.query(INVALID) == [("i",)]

    code, message, hint = problem(project, database)
    assert code == "unfinished"
    assert f"{project.sql / 'up' / '2_index.sql'}:3: CREATE UNIQUE INDEX" in message
    assert "Migrator.up() continues there" in hint
    status = chatdb("migrate", "status", "--check", "--format", "json")
    assert status.code == 6
    assert [a["state"] for a in status.document["applied"]] == ["applied", "unfinished"]
    assert status.document["current"] == "1"
    assert [p["code"] for p in status.document["problems"]] == ["unfinished"]

    assert states(fails(project, database)) == ["failed", "not-run"]
    mend(database)
    seen: list[str] = []
    run = project.migrator(database, progress=lambda e: seen.append(e.text)).up()
    assert states(run) == ["resumed", "applied"]
    assert any("dropped the INVALID index public.i " in text for text in seen)
    assert database.query(INVALID) == []
    assert database.query("SELECT n FROM t ORDER BY n") == [(1,), (2,), (3,)]
    assert project.migrator(database).status().problems == ()
    assert states(project.migrator(database).up()) == []


VALID = {"i", "other", "u_pkey"}
CORRECTIONS = {
    "nothing": (UNIQUE, UNIQUE, VALID),
    "a statement in front": (
        UNIQUE,
        "DELETE FROM t a USING t b WHERE a.n = b.n AND a.ctid > b.ctid;\n" + UNIQUE,
        VALID,
    ),
    "no longer unique": (UNIQUE, "CREATE INDEX CONCURRENTLY i ON t (n);", VALID),
    "another name": (UNIQUE, UNIQUE.replace(" i ", " j "), VALID - {"i"} | {"j"}),
    "another table": (
        UNIQUE,
        "CREATE INDEX CONCURRENTLY j ON u (n); CREATE INDEX CONCURRENTLY i ON u (n);",
        VALID | {"j"},
    ),
    "only where there is none": (UNIQUE, UNIQUE.replace(" i ", " IF NOT EXISTS i "), VALID),
    "in a transaction": (UNIQUE, "CREATE INDEX i ON t (n);", VALID),
    "removed": (UNIQUE, "", VALID - {"i"}),
    "another kind": (
        UNIQUE,
        "DROP INDEX CONCURRENTLY other; REINDEX TABLE CONCURRENTLY u;",
        VALID - {"i", "other"},
    ),
    "one without a name": (
        UNIQUE.replace(" i ", " "),
        UNIQUE.replace(" i ", " "),
        VALID - {"i"} | {"t_n_idx"},
    ),
}


@pytest.mark.parametrize("correction", CORRECTIONS)
def test_a_failed_statement_may_be_corrected_and_only_its_invalid_index_is_dropped(
    project: Project, database: Database, correction: str
) -> None:
    first_try, corrected, valid = CORRECTIONS[correction]
    database.execute("CREATE TABLE u (n int PRIMARY KEY)")
    project.write("1_t", "CREATE TABLE t (n int, m int);\nINSERT INTO t VALUES (1, 1), (1, 1);")
    project.migrator(database).up(allow_non_empty=True)
    leave_invalid(database, "made_before")
    project.write("2_index", f"{ALONE}INSERT INTO t VALUES (2);\n{first_try}")
    fails(project, database)
    leave_invalid(database, "made_since", "m")
    database.execute("CREATE INDEX other ON t (n)")
    if correction != "a statement in front":
        mend(database)
    project.write(
        "2_index", f"{ALONE}INSERT INTO t VALUES (2);\n{corrected}\nINSERT INTO t VALUES (3);"
    )
    assert states(project.migrator(database).up()) == ["resumed"]
    assert database.query("SELECT n FROM t ORDER BY n") == [(1,), (2,), (3,)]
    assert database.query(INVALID) == [("made_before",), ("made_since",)]
    rows = database.query(
        "SELECT indexrelid::regclass::text FROM pg_index "
        "WHERE indisvalid AND indrelid IN ('t'::regclass, 'u'::regclass)"
    )
    assert {row[0] for row in rows} == valid
    status = project.migrator(database).status()
    assert (status.current, status.problems) == ("2", ())


def test_a_statement_that_already_ran_may_not_be_edited(
    project: Project, database: Database
) -> None:
    stop(project, database)
    mend(database)
    project.write("2_index", f"{ALONE}INSERT INTO t VALUES (9);\n{UNIQUE}")
    error = refuses(project, database)
    assert (error.code, error.exit) == (Code.HISTORY, 6)
    assert "2_index stopped after statement 1 of its file" in error.message
    assert problem(project, database)[0] == "changed"
    # To take it back first is a way out.
    project.write("2_index", f"{ALONE}INSERT INTO t VALUES (9);\n{UNIQUE}", ALONE + "DROP INDEX i;")
    assert states(project.migrator(database).redo(allow_data_loss=True)) == ["reverted", "applied"]
    assert database.query("SELECT n FROM t ORDER BY n") == [(1,), (2,), (9,)]


def test_a_redo_that_stops_in_its_up_says_so(project: Project, database: Database) -> None:
    project.write_tables(1)
    project.write("0002_rows", f"{ALONE}INSERT INTO t1 VALUES (1);", f"{ALONE}DELETE FROM t1;")
    project.migrator(database).up()
    end = "SELECT pg_terminate_backend(pg_backend_pid());"
    project.write(
        "0002_rows", f"{ALONE}INSERT INTO t1 VALUES (1);\n{end}", f"{ALONE}DELETE FROM t1;"
    )
    with pytest.raises(MigrationError) as caught:
        project.migrator(database).redo(allow_data_loss=True)
    assert (caught.value.exit, states(caught.value)) == (3, ["reverted", "failed"])
    assert caught.value.run.current == project.migrator(database).status().current == "0001"
    assert "0002 stopped part-way: 1 of its statements is done" in caught.value.notes[0]


@pytest.mark.parametrize("alone", ["", ALONE])
def test_an_up_that_stopped_can_be_rolled_back_and_applied_again(
    project: Project, database: Database, alone: str
) -> None:
    stop(project, database)
    down = alone + "DROP INDEX i;\nDELETE FROM t WHERE n > 1;"
    up = f"{alone}INSERT INTO t VALUES (4);"
    project.write("2_index", (project.sql / "up" / "2_index.sql").read_text(), down)
    run = project.migrator(database).down(allow_data_loss=True)
    assert (states(run), run.current) == (["reverted"], "1")
    assert database.query("SELECT DISTINCT n FROM t") == [(1,)]
    assert database.applied() == ["1_t"]
    assert database.query(INVALID) == []
    fails(project, database)
    project.write("2_index", up, down)
    run = project.migrator(database).redo(allow_data_loss=True)
    assert (states(run), run.current) == (["reverted", "applied"], "2")
    assert database.query("SELECT DISTINCT n FROM t ORDER BY 1") == [(1,), (4,)]


def test_a_down_that_stopped_continues_there_and_no_up_begins(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write_tables(1)
    down = f"{ALONE}INSERT INTO t1 VALUES (1);\nSELECT 1 / count(*) FROM gate;\nDROP INDEX i;"
    project.write("0002_index", f"{ALONE}CREATE INDEX CONCURRENTLY i ON t1 (id);", down)
    project.migrator(database).up()
    project.write_tables(3)
    database.execute("CREATE TABLE gate (id int)")
    error = fails(project, database, "down")
    assert (states(error), error.exit, error.sqlstate) == (["failed"], 5, "22012")
    assert error.run.current == "0001"
    error_up = refuses(project, database)
    assert error_up.exit == 6
    assert "Migrator.down() continues there" in (error_up.hint or "")
    assert chatdb("migrate", "status", "--check").code == 6
    database.execute("INSERT INTO gate VALUES (1)")
    assert states(project.migrator(database).down(allow_data_loss=True)) == ["resumed"]
    assert database.query("SELECT id FROM t1") == [(1,)]
    assert database.applied() == ["0001_t1"]
    assert states(project.migrator(database).up()) == ["applied", "applied"]


def test_settings_of_earlier_statements_hold_when_a_file_continues(
    project: Project, database: Database
) -> None:
    database.execute("CREATE SCHEMA other; CREATE TABLE other.gate (id int)")
    project.write(
        "1_set",
        f"{ALONE}SET search_path = other;\nSET ROLE pg_monitor;\nRESET ROLE;\n"
        "SELECT 1 / count(*) FROM gate;\nCREATE TABLE here (id int);",
    )
    fails(project, database)
    database.execute("INSERT INTO other.gate VALUES (1)")
    assert states(project.migrator(database).up()) == ["resumed"]
    assert database.tables("other") == {"gate", "here"}


# --- held up --------------------------------------------------------------------------------------


def held_up(
    project: Project,
    database: Database,
    act: Callable[[psycopg.Connection[Any]], None],
    **flags: Any,
) -> tuple[Migrator, list[str]]:
    """A migrator whose CREATE INDEX CONCURRENTLY meets an older transaction; then something happens."""
    project.write("1_t", "CREATE TABLE t (n int);")
    project.migrator(database).up()
    project.write(
        "2_index", f"{ALONE}INSERT INTO t VALUES (2);\nCREATE INDEX CONCURRENTLY i ON t (n);"
    )
    old = database.connect()
    old.execute("BEGIN; INSERT INTO t VALUES (1)")
    texts: list[str] = []

    def progress(event: Progress) -> None:
        if event.kind == "waiting":
            texts.append(event.text)
            if not old.closed:
                try:
                    act(old)
                finally:
                    old.close()

    return project.migrator(database, progress=progress, **flags), texts


LONG_BLOCKED = (
    "query LIKE 'CREATE INDEX%' AND wait_event_type = 'Lock' "
    "AND clock_timestamp() - query_start > '200ms'"
)
KILL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%'"


def test_an_index_waits_for_an_older_transaction_longer_than_any_lock_timeout(
    project: Project, database: Database
) -> None:
    migrator, texts = held_up(
        project,
        database,
        lambda old: wait_for_session(database, LONG_BLOCKED),
        lock_timeout="50ms",
        retries="0",
    )
    assert states(migrator.up()) == ["applied"]
    assert texts[0].startswith("waits for pid")
    assert "INSERT INTO t VALUES (1)" in texts[0]
    assert database.query(INVALID) == []


def test_an_index_whose_session_was_ended_is_built_again(
    project: Project, database: Database
) -> None:
    migrator, _ = held_up(project, database, lambda old: database.execute(KILL))
    with pytest.raises(MigrationError) as caught:
        migrator.up()
    assert (caught.value.code, caught.value.exit) == (Code.LOST, 3)
    assert states(caught.value) == ["failed"]
    assert any("1 of its statements is done" in note for note in caught.value.notes)
    assert database.query(INVALID) == [("i",)]
    assert states(project.migrator(database).up()) == ["resumed"]
    assert database.query(INVALID) == []
    assert database.query("SELECT n FROM t") == [(2,)]


def test_an_interrupt_stops_the_building_of_an_index_and_the_next_run_continues(
    project: Project, database: Database
) -> None:
    migrator, _ = held_up(project, database, lambda old: signal.raise_signal(signal.SIGINT))
    with pytest.raises(MigrationError) as caught:
        migrator.up()
    assert (caught.value.code, caught.value.exit) == (Code.INTERRUPTED, 130)
    assert states(caught.value) == ["not-run"]
    assert any("1 of its statements is done" in note for note in caught.value.notes)
    wait_for_no_sessions(database)
    assert states(project.migrator(database).up()) == ["resumed"]
    assert database.query(INVALID) == []


def test_a_statement_that_waits_for_a_lock_is_retried_and_those_before_it_are_not(
    project: Project, database: Database
) -> None:
    project.write_tables(1)
    project.migrator(database).up()
    project.write("0002_add", f"{ALONE}CREATE TABLE t2 (id int); ALTER TABLE t1 ADD COLUMN a int;")
    with database.connect() as reader:
        reader.execute("BEGIN; SELECT * FROM t1")
        error = fails(project, database, lock_timeout="20ms", retries="1")
        assert (error.code, error.exit, states(error)) == (Code.LOCKED, 7, ["failed"])

        def let_go(event: Progress) -> None:
            if "trying again" in event.text:
                reader.execute("ROLLBACK")

        run = project.migrator(database, lock_timeout="20ms", progress=let_go).up()
    assert states(run) == ["resumed"]
    assert database.tables() == {"t1", "t2"}


def test_a_drop_that_timed_out_continues_and_a_correction_of_it_runs(
    project: Project, database: Database
) -> None:
    database.execute("CREATE TABLE t (n int); CREATE INDEX a ON t (n); CREATE INDEX b ON t (n);")
    limit = f"-- chatdb: lock-timeout: 20ms\n{ALONE}"
    project.write("1_drop", limit + "DROP INDEX CONCURRENTLY a;")
    with database.connect() as reader:
        reader.execute("BEGIN; SELECT * FROM t")
        assert fails(project, database, retries="1").exit == 7
    project.write("1_drop", limit + "DROP INDEX CONCURRENTLY b; DROP INDEX CONCURRENTLY a;")
    assert states(project.migrator(database).up()) == ["resumed"]
    assert database.query("SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass") == [(0,)]


# --- beside others --------------------------------------------------------------------------------


def test_an_older_file_without_a_transaction_is_applied_when_allowed_and_yoyo_agrees(
    project: Project, database: Database
) -> None:
    from yoyo import get_backend, read_migrations

    project.write_tables(1, 3)
    project.migrator(database).up()
    project.write("0002_index", f"{ALONE}CREATE INDEX CONCURRENTLY i ON t1 (id);", "DROP INDEX i;")
    project.write_tables(4)
    assert refuses(project, database).exit == 6
    run = project.migrator(database).up(to="2", allow_out_of_order=True)
    assert (states(run), run.current) == (["applied"], "0003")
    assert database.applied() == ["0001_t1", "0002_index", "0003_t3"]
    host = database.server.embedded.params()["host"]
    with get_backend(f"postgresql+psycopg://postgres@/{database.name}?host={host}") as backend:
        migrations = read_migrations(str(project.sql / "up"))
        assert [m.id for m in backend.to_apply(migrations)] == ["0004_t4"]


@on_first_server
def test_a_dry_run_of_a_nontransactional_file_is_a_script_that_does_the_same_in_psql(
    project: Project, chatdb: Chatdb, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = database.server.create()
    try:
        for one in (database, other):
            stop(project, one)
            mend(one)
        flag = "--allow-data-loss"
        for line in ("up", f"redo {flag}", f"down {flag}", f"down {flag}"):
            monkeypatch.setenv("DATABASE_URL", other.url)
            printed = chatdb("migrate", *line.split(), "--dry-run")
            assert (printed.code, printed.err) == (0, ""), line
            run_psql(other, printed.out)
            monkeypatch.setenv("DATABASE_URL", database.url)
            assert chatdb("migrate", *line.split()).code == 0
            assert schema_and_history(other) == schema_and_history(database), line
            assert other.query(INVALID) == []
    finally:
        other.drop()


# A statement that was killed, what somebody made in its place, and whether that is the same.
BY_HAND = {
    "the same": ("CONCURRENTLY i ON t (lower(name))", "i ON t (lower(name))", True),
    "in other words": (
        "CONCURRENTLY IF NOT EXISTS i ON public.t (n ASC, lower(name::text)) WHERE n IN (1, 2)",
        "i ON t USING btree (n, lower(name)) WHERE n = ANY (ARRAY[1, 2])",
        True,
    ),
    "another column": ("CONCURRENTLY i ON t (n)", "i ON t (name)", False),
    "another column, IF NOT EXISTS": (
        "CONCURRENTLY IF NOT EXISTS i ON t (n)",
        "i ON t (name)",
        False,
    ),
    "another order": ("CONCURRENTLY i ON t (n)", "i ON t (n DESC)", False),
    "a condition": ("CONCURRENTLY i ON t (n)", "i ON t (n) WHERE n > 0", False),
    "another method": ("CONCURRENTLY i ON t (n)", "i ON t USING hash (n)", False),
    "another column included": (
        "CONCURRENTLY i ON t (n) INCLUDE (name)",
        "i ON t (n, name)",
        False,
    ),
    "another parameter": ("CONCURRENTLY i ON t (n) WITH (fillfactor = 50)", "i ON t (n)", False),
}


def end_the_build(database: Database) -> None:
    """End the session that builds an index, when it waits for another session."""
    wait_for_session(database, "query LIKE 'CREATE INDEX%' AND wait_event_type = 'Lock'")
    database.query(KILL)


@pytest.mark.parametrize("case", BY_HAND)
def test_an_index_made_by_hand_counts_as_done_only_if_it_is_the_same(
    project: Project, shared: Database, case: str
) -> None:
    statement, by_hand, same = BY_HAND[case]
    shared.execute(
        "DROP SCHEMA public CASCADE; CREATE SCHEMA public; "
        "CREATE TABLE t (gone int, n int, name text, up text GENERATED ALWAYS AS (upper(name)) STORED); "
        "ALTER TABLE t DROP COLUMN gone"
    )
    project.write("1_i", f"{ALONE}SELECT 1;\nCREATE INDEX {statement};")
    with shared.connect() as old:
        old.execute("BEGIN; INSERT INTO t VALUES (1)")
        watcher = threading.Thread(target=end_the_build, args=(shared,))
        watcher.start()
        with pytest.raises(MigrationError):
            project.migrator(shared).up(allow_non_empty=True)
        watcher.join()
    shared.execute("DROP INDEX IF EXISTS i")
    shared.execute(f"CREATE INDEX {by_hand}")
    if same:
        assert states(project.migrator(shared).up(allow_non_empty=True)) == ["resumed"]
    else:
        error = fails(project, shared)
        assert (error.exit, error.sqlstate) == (5, "55000")
        assert "the index public.i exists already, but it is not" in error.message
        shared.execute("DROP INDEX i")
        assert states(project.migrator(shared).up(allow_non_empty=True)) == ["resumed"]
    assert shared.tables() == {"t"}


@on_first_server
def test_an_invalid_index_that_was_there_before_is_not_hidden_by_if_not_exists(
    project: Project, database: Database
) -> None:
    database.execute("CREATE TABLE t (n int); INSERT INTO t VALUES (1), (1)")
    with database.connect() as conn, pytest.raises(psycopg.errors.UniqueViolation):
        conn.execute("CREATE UNIQUE INDEX CONCURRENTLY i ON t (n)")
    project.write("1_i", f"{ALONE}CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (n);")
    with pytest.raises(MigrationError) as caught:
        project.migrator(database).up(allow_non_empty=True)
    assert (caught.value.exit, caught.value.sqlstate) == (5, "55000")
    assert "DROP INDEX CONCURRENTLY public.i" in caught.value.message
    database.execute("DROP INDEX i")
    assert states(project.migrator(database).up()) == ["resumed"]
    valid = database.query("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass")
    assert valid == [(True,)]
