"""A file that fails is rolled back; what came before stays."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.migrate.migrator import Migrator
from chatdb_cli.migrate.model import MigrationError
from tests.support.chatdb import Chatdb
from tests.support.database import Database
from tests.support.project import Project, states

AT_A_STATEMENT = "CREATE TABLE bad (id int);\nSELECT 1/0;\nCREATE TABLE after (id int);"
AT_COMMIT = """
CREATE TABLE a (id int PRIMARY KEY);
CREATE TABLE b (id int REFERENCES a DEFERRABLE INITIALLY DEFERRED);
INSERT INTO b VALUES (7);
"""


# What keeps a row out of a table of the history, or changes it.
TRIGGERS = {
    "yoyo's table": ("INSERT", "_yoyo_migration", "RETURN NULL;"),
    "another name": ("INSERT", "_yoyo_migration", "NEW.migration_id := 'x'; RETURN NEW;"),
    "the audit log": ("INSERT", "_yoyo_log", "RETURN NULL;"),
    "the claim": ("INSERT", "chatdb_migration", "RETURN NULL;"),
    "the end of the claim": ("UPDATE", "chatdb_migration", "RETURN NULL;"),
    "another version": ("INSERT", "chatdb_migration", "NEW.version := 99; RETURN NEW;"),
    "a rolled back row": ("DELETE", "_yoyo_migration", "RETURN NULL;"),
}


@pytest.mark.parametrize("case", TRIGGERS)
def test_what_a_trigger_keeps_out_of_the_history_is_not_reported_as_recorded(
    project: Project, database: Database, case: str
) -> None:
    event, table, body = TRIGGERS[case]
    project.write(
        "0001_left",
        f"CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;"
        f"CREATE TRIGGER t BEFORE {event} ON {table} FOR EACH ROW EXECUTE FUNCTION f();"
        "CREATE TABLE t1 (id int);",
        "DROP TABLE t1;",
    )
    project.write_tables(2)
    run = project.migrator(database).up
    if event == "DELETE":
        run()
        run = partial(project.migrator(database).down, everything=True)
    with pytest.raises(MigrationError) as caught:
        run()
    assert caught.value.exit in (5, 6)
    assert "applied" not in states(caught.value)[-1:]
    tables = {i[5:].replace("left", "t1") for i in database.applied()}
    assert database.tables() == tables


def unmark(migrator: Migrator) -> None:
    migrator.mark(migrator.marks("unmark", "1"))


def mark(migrator: Migrator) -> None:
    migrator.mark(migrator.marks("mark", "2"))


def move_baseline(migrator: Migrator) -> None:
    migrator.baseline("2")


def accept_file(migrator: Migrator) -> None:
    (migrator.folder.path / "up" / "0001_t1.sql").write_text("SELECT 1;")
    migrator.repair(migrator.repairs())


@pytest.mark.parametrize(
    ("change", "table", "body"),
    [
        (mark, "_yoyo_migration", "RETURN NULL;"),
        (mark, "_yoyo_migration", "NEW.migration_id := 'x'; RETURN NEW;"),
        (mark, "_yoyo_log", "NEW.operation := 'x'; RETURN NEW;"),
        *((f, "_yoyo_log", "RETURN NULL;") for f in (mark, unmark, move_baseline, accept_file)),
    ],
)
def test_a_mark_or_repair_that_a_trigger_keeps_out_of_the_history_says_so(
    project: Project,
    database: Database,
    change: Callable[[Migrator], None],
    table: str,
    body: str,
) -> None:
    project.write_tables(1, 2)
    project.migrator(database).baseline("1")
    database.execute(
        f"CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$;"
        f"CREATE TRIGGER t BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION f()"
    )
    with pytest.raises(ChatdbError, match="or a trigger on its tables keeps a row out") as caught:
        change(project.migrator(database))
    assert caught.value.code is Code.HISTORY
    assert database.applied() == ["0001_t1"]


@pytest.mark.parametrize("table", ["_yoyo_migration", "_yoyo_log", "chatdb_migration"])
def test_a_rule_that_rewrites_what_is_recorded_is_the_reason_that_an_error_names(
    project: Project, database: Database, table: str
) -> None:
    project.write_tables(1, 2)
    project.migrator(database).up(to="1")
    database.execute(f"CREATE RULE r AS ON INSERT TO {table} DO INSTEAD NOTHING")
    for run in (project.migrator(database).up, project.migrator(database).redo):
        with pytest.raises(ChatdbError, match="a rule on one of its tables in schema 'public'"):
            run()
    assert database.applied() == ["0001_t1"]


# What may have the name of a table of the history, after that was renamed or not.
NOT_TABLES = {
    "a view": ("_yoyo_migration", "CREATE VIEW {0} AS SELECT * FROM renamed"),
    "a materialized view": ("chatdb_migration", "CREATE MATERIALIZED VIEW {0} AS TABLE renamed"),
    "a foreign table": (
        "_yoyo_log",
        "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;"
        "CREATE FOREIGN TABLE {0} (id text) SERVER s",
    ),
    "a sequence": ("_yoyo_version", "CREATE SEQUENCE {0}"),
}


@pytest.mark.parametrize("kind", NOT_TABLES)
def test_a_history_that_is_not_in_tables_is_refused_with_what_it_is(
    project: Project, database: Database, chatdb: Chatdb, kind: str
) -> None:
    table, replace = NOT_TABLES[kind]
    project.write_tables(1, 2)
    project.migrator(database).up(to="1")
    database.execute(f"ALTER TABLE {table} RENAME TO renamed; " + replace.format(table))
    for words in (
        "status",
        "status --check",
        "history",
        "up",
        "down --yes",
        "redo --yes",
        "mark 2",
        "unmark 1 --yes",
        "baseline 1 --yes",
        "repair --yes",
    ):
        result = chatdb("migrate", *words.split())
        assert result.code == 8, (words, result.err)
        assert f'"{table}" is {kind}, not a table' in " ".join(result.err.split()), words
        assert "--schema" in result.err
    assert database.tables() == {"renamed", "t1"}
    if table in ("_yoyo_migration", "chatdb_migration"):
        health = chatdb("health")
        assert f'the history can\'t be used: "{table}" is not a table' in health.out


def test_a_file_outside_a_transaction_that_replaces_the_history_by_a_view_is_told_so(
    project: Project, database: Database
) -> None:
    project.write(
        "0001_replaces",
        "-- chatdb: transactional: false\n"
        "ALTER TABLE _yoyo_migration RENAME TO renamed;\n"
        "CREATE VIEW _yoyo_migration AS TABLE renamed;\nSELECT 1/0;",
    )
    with pytest.raises(ChatdbError, match="division by zero") as caught:
        project.migrator(database).up()
    (note,) = caught.value.notes
    assert '"_yoyo_migration" is a view, not a table' in note  # not: none of its statements is done


@pytest.mark.quick
@pytest.mark.parametrize("place", [1, 3, 5])
@pytest.mark.parametrize(("sql", "sqlstate"), [(AT_A_STATEMENT, "22012"), (AT_COMMIT, "23503")])
def test_a_failure_rolls_its_file_back_and_keeps_what_was_applied_before(
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


def test_a_down_that_fails_keeps_what_was_rolled_back_before(
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


def test_a_file_that_drops_the_history_fails_and_is_rolled_back(
    project: Project, database: Database
) -> None:
    project.write_tables(1)
    project.write("0002_all", "DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
    with pytest.raises(MigrationError, match="dropped, renamed or moved the history"):
        project.migrator(database).up()
    assert database.applied() == ["0001_t1"]


def test_a_file_that_raises_the_error_of_the_claim_fails_as_a_file(
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
def test_an_invalid_file_stops_the_run_before_anything_runs(
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


def test_a_down_stopped_by_an_invalid_file_names_that_file_alone(
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


# What a file did before it failed, and what the error says about that.
DONE = {
    "a table": ("CREATE TABLE t (id int);", "nothing else was changed"),
    "a column": ("CREATE TABLE t (id serial); ALTER TABLE t ADD x int DEFAULT 1;", "nothing else"),
    "setval": ("SELECT setval('s', 99);", "except for what setval did, which no rollback undoes"),
    "nextval": ("DO $$ BEGIN PERFORM nextval('s'); END $$;", "except for what nextval did"),
    "an insert": ("INSERT INTO numbered VALUES (DEFAULT);", "no other version was changed"),
    "a default of rows": ("ALTER TABLE numbered ADD y int DEFAULT nextval('s');", "nextval did"),
    "a function": ("SELECT advance();", "no other version was changed"),
    "a function in an index": ("CREATE INDEX ON numbered (fixed(id));", "no other version"),
    "an operator in an index": ("CREATE INDEX ON numbered ((!!! id));", "no other version"),
    "a condition": ("ALTER TABLE numbered ADD CHECK (!!! id);", "no other version"),
    "a default of a domain": ("ALTER TABLE numbered ADD y counted;", "no other version"),
    "a condition of a domain": ("ALTER TABLE numbered ALTER id TYPE checked;", "no other version"),
    "a cast": ("ALTER TABLE words ALTER word TYPE pair;", "no other version"),
    "a bound": (
        "CREATE TABLE q (a int) PARTITION BY LIST (a);"
        "CREATE TABLE r PARTITION OF q FOR VALUES IN (nextval('s'));",
        "nextval did",
    ),
    "built-in types": (
        "ALTER TABLE numbered ADD a text[], ADD b timestamp(3), ADD c serial, ADD d jsonb DEFAULT '{}';"
        "CREATE UNIQUE INDEX ON numbered (id, a) WHERE b IS NULL;",
        "nothing else was changed",
    ),
    "no transaction": (
        "-- chatdb: transactional: false\nSELECT setval('s', 99);",
        "no other version",
    ),
}


@pytest.mark.parametrize("case", DONE)
def test_an_error_says_that_nothing_else_was_changed_only_if_that_is_true(
    project: Project, database: Database, case: str
) -> None:
    database.execute(
        "CREATE SEQUENCE s; CREATE TABLE numbered (id serial); INSERT INTO numbered DEFAULT VALUES;"
        "CREATE FUNCTION advance() RETURNS bigint LANGUAGE sql AS $$ SELECT nextval('s') $$;"
        "CREATE FUNCTION fixed(int) RETURNS int IMMUTABLE LANGUAGE sql RETURN $1;"
        "CREATE FUNCTION tick(int) RETURNS bool IMMUTABLE LANGUAGE plpgsql AS"
        "  $$ BEGIN RETURN nextval('public.s') > 0; END $$;"
        "CREATE OPERATOR !!! (RIGHTARG = int, FUNCTION = tick);"
        "CREATE DOMAIN counted int DEFAULT nextval('s'); CREATE DOMAIN checked int CHECK (tick(VALUE));"
        "CREATE TYPE pair AS (a int); CREATE TABLE words (word text); INSERT INTO words VALUES ('a');"
        "CREATE FUNCTION pair_of(text) RETURNS pair LANGUAGE plpgsql AS"
        "  $$ BEGIN RETURN ROW(nextval('public.s'))::public.pair; END $$;"
        "CREATE CAST (text AS pair) WITH FUNCTION pair_of(text) AS ASSIGNMENT"
    )
    done, told = DONE[case]
    sequences = "SELECT (SELECT last_value FROM s), (SELECT last_value FROM numbered_id_seq)"
    before = database.query(sequences)
    project.write("0001_bad", f"{done}\nDROP TABLE absent;\nINSERT INTO numbered VALUES (DEFAULT);")
    notes: list[str] = []
    for _ in range(2):  # the first run creates the tables of the history, and they stay
        with pytest.raises(MigrationError) as caught:
            project.migrator(database).up(allow_non_empty=True)
        notes += caught.value.notes
    first, note = notes
    assert "nothing else" not in first
    assert ("nothing else" in note) == ("only the tables of the history were created" in first)
    assert told in note
    if database.query(sequences) != before:
        assert "nothing else" not in note
