"""Promises about a file without a transaction: it is known how far it came, and it goes on there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from conftest import Database, Project, Server, first
from test_engine import states
from test_faults import kill_before

from chatdb_cli.errors import ChatdbError
from chatdb_cli.runner import MigrationError

ALONE = "-- chatdb: transactional: false\n"
INVALID = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid ORDER BY 1"


@pytest.fixture(scope="module")
def shared(server: Server) -> Iterator[Database]:
    """One database for what leaves nothing behind, or works in a schema of its own."""
    made = server.create()
    made.execute(
        "DO $$ BEGIN CREATE ROLE chatdb_test_role; "
        "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    )
    made.execute("GRANT CREATE, USAGE ON SCHEMA public TO chatdb_test_role")
    yield made
    made.drop()


def fails(project: Project, database: Database, what: str = "up", **flags: Any) -> MigrationError:
    migrator = project.migrator(database, **flags)
    with pytest.raises(MigrationError) as caught:
        migrator.up() if what == "up" else migrator.down()
    return caught.value


def refuses(project: Project, database: Database, what: str = "up") -> ChatdbError:
    migrator = project.migrator(database)
    with pytest.raises(ChatdbError) as caught:
        migrator.up() if what == "up" else migrator.down()
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
    from chatdb_cli import sqltext

    cut = sqltext.split
    monkeypatch.setattr(sqltext, "split", lambda text: None if "uncut" in text else cut(text))
    up, down = KINDS[kind]
    project.write("1_kind", ALONE + up, ALONE + down)
    project.write("2_behind", "CREATE TABLE behind (id int);", "DROP TABLE behind;")
    run = project.migrator(shared).up()
    assert states(run) == ["applied", "applied"]
    assert all(s.duration_ms is not None for s in run.steps)
    assert shared.query(INVALID) == []
    status = project.migrator(shared).status()
    assert (status.current, status.problems) == ("2", ())
    assert states(project.migrator(shared).down()) == ["reverted"]
    assert states(project.migrator(shared).redo()) == ["reverted", "applied"]
    assert shared.applied() == ["1_kind"]
    assert states(project.migrator(shared).down()) == ["reverted"]
    assert shared.tables() == set()
    assert shared.applied() == []


# --- killed ---------------------------------------------------------------------------------------


@first
def test_a_client_killed_at_any_statement_leaves_each_done_once_and_the_next_run_goes_on(
    project: Project, shared: Database
) -> None:
    """After the way up is killed and ended, so is the way down, at the same place."""
    seen = "INSERT INTO seen SELECT {} WHERE current_setting('work_mem') = '1234kB';\n"
    project.write(
        "1_alone",
        ALONE + "SET work_mem = '1234kB';\n" + seen.format(1)
        + "CREATE INDEX CONCURRENTLY i ON seen (n);\n" + seen.format(2),
        ALONE + "SET work_mem = '1234kB';\n" + seen.format(3)
        + "DROP INDEX CONCURRENTLY i;\n" + seen.format(4),
    )  # fmt: skip
    resumed = Counter[str]()
    for number in count(1):
        schema = f"killed_{number}"
        shared.execute(f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.seen (n int)")
        killed = []
        for what in ("up", "down"):
            killed.append(kill_before(number, project, shared, schema, what, kinds="EQ"))
            migrator = project.migrator(shared, schema=schema)
            for state in states(migrator.up() if what == "up" else migrator.down()):
                resumed[f"{what} {state}"] += 1
            rows = shared.query(f"SELECT n FROM {schema}.seen ORDER BY n")
            assert rows == [(n,) for n in (1, 2, 3, 4)[: len(killed) * 2]], (number, what)
            valid = shared.query(
                f"SELECT indisvalid FROM pg_index WHERE indrelid = '{schema}.seen'::regclass"
            )
            assert valid == [(True,)] * (what == "up"), number
            assert migrator.status().problems == ()
            assert len(shared.applied(schema)) == (what == "up")
        if not any(killed):
            break
    assert resumed["up applied"] >= 5
    assert resumed["up resumed"] > 20
    assert resumed["down reverted"] >= 5
    assert resumed["down resumed"] > 20
