"""Promises about a way back that would destroy rows: it is refused, and says which."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.migrate.migrator import Migrator
from chatdb_cli.migrate.model import Confines, Loss, MigrationError, Progress
from tests.support.database import Database
from tests.support.project import Project, migrator_through, states
from tests.support.proxy import WAITING, Proxy
from tests.support.servers import Server, on_first_server, socket_of

BEFORE = """
CREATE TABLE kept (id int PRIMARY KEY, note text, total int GENERATED ALWAYS AS (id * 2) STORED);
INSERT INTO kept VALUES (1, 'a'), (2, NULL), (3, 'c');
CREATE TABLE empty (id int, note text);
CREATE TABLE child (id int REFERENCES kept ON DELETE CASCADE, note text);
INSERT INTO child VALUES (1), (1), (2);
CREATE TABLE parted (id int, note text) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (1) TO (10);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (10) TO (20);
INSERT INTO parted VALUES (1, 'a'), (11, NULL);
CREATE TABLE heir (more text) INHERITS (child);
INSERT INTO heir VALUES (9, NULL, 'm');
CREATE SCHEMA "Other one";
CREATE TABLE "Other one"."odd; ""name" (id int, "the col" text);
INSERT INTO "Other one"."odd; ""name" VALUES (1, 'x');
CREATE VIEW seen AS SELECT * FROM empty;
CREATE MATERIALIZED VIEW computed AS SELECT * FROM kept;
CREATE FUNCTION wipe() RETURNS void LANGUAGE plpgsql AS $$ BEGIN DELETE FROM child; END $$;
CREATE TYPE mood AS ENUM ('good');
CREATE TABLE moods (id int, mood mood);
INSERT INTO moods VALUES (1, 'good'), (2, NULL);
CREATE TABLE typed (
    id int, price numeric(8, 2), whole numeric(8, 2), flag int, at timestamptz,
    upper text GENERATED ALWAYS AS (lower(note)) STORED, note text
);
INSERT INTO typed (id, price, whole, flag, at, note)
VALUES (1, 1.25, 3, 0, '2020-01-01 10:00+02', 'aa'), (2, 2, NULL, 1, NULL, 'ab');
CREATE TYPE address AS (street text, zip text, nothing text);
CREATE TYPE person AS (name text, home address);
CREATE TABLE people (id int, home address, all_homes address[], whole person, other text);
INSERT INTO people VALUES
    (1, ('s', 'z', NULL), NULL, NULL, 'x'), (2, NULL, ARRAY[('s', 'z', NULL)::address], NULL, 'x'),
    (3, ('s', NULL, NULL), NULL, ('n', ('s', 'z', NULL)), 'x');
CREATE DOMAIN three AS char(3);
CREATE TABLE blanks (a text, b varchar(5), c text[], d text, e text);
INSERT INTO blanks VALUES ('x  ', 'x  ', '{"x  "}', 'x  ', 'x'), ('x', 'x', '{"x"}', 'x', 'x y');
CREATE TABLE shape (id int, note text);
CREATE TABLE holders (id int, shape shape);
INSERT INTO holders VALUES (1, (1, 'note')), (2, NULL);
CREATE FUNCTION wipe_uncounted() RETURNS void LANGUAGE sql SET track_counts = off AS 'DELETE FROM child';
CREATE TABLE files (id int, content oid);
INSERT INTO files VALUES (1, lo_from_bytea(0, 'one')), (2, lo_from_bytea(0, 'two'));
CREATE FUNCTION unlink_all() RETURNS bigint LANGUAGE sql AS
    'SELECT count(lo_unlink(content)) FROM files';
CREATE SCHEMA planted;
CREATE VIEW planted.pg_locks AS SELECT * FROM pg_catalog.pg_locks WHERE false;
"""


def dropped(table: str, rows: int) -> Loss:
    return Loss(table, None, rows, "dropped table")


def dropped_column(table: str, column: str, values: int) -> Loss:
    return Loss(table, column, values, "dropped column")


def truncated(table: str, rows: int) -> Loss:
    return Loss(table, None, rows, "truncated")


def deleted(table: str, rows: int) -> Loss:
    return Loss(table, None, rows, "deleted")


def changed(table: str, column: str, values: int) -> Loss:
    return Loss(table, column, values, "changed")


def dropped_attribute(table: str, column: str, values: int) -> Loss:
    return Loss(table, column, values, "dropped attribute")


# The statements of a down migration, and the rows that they would delete.
DESTROYS: dict[str, tuple[str, set[Loss]]] = {
    "a dropped table": ("DROP TABLE kept CASCADE;", {dropped("kept", 3)}),
    "by CASCADE to heirs": ("DROP TABLE child CASCADE;", {dropped("child", 3), dropped("heir", 1)}),
    "a partition": ("DROP TABLE parted_1;", {dropped("parted_1", 1)}),
    "all partitions": (
        "DROP TABLE parted",
        {dropped("parted_1", 1), dropped("parted_2", 1)},
    ),
    "a dropped schema": ('DROP SCHEMA "Other one" CASCADE;', {dropped('Other one.odd; "name', 1)}),
    "DO": (
        "DO $$ BEGIN EXECUTE 'DROP TABLE ' || 'child CASCADE'; END $$;",
        {dropped("child", 3), dropped("heir", 1)},
    ),
    "a column": (
        "ALTER TABLE kept DROP COLUMN note CASCADE;",
        {dropped_column("kept", "note", 2)},
    ),
    "a column of an odd name": (
        'ALTER TABLE "Other one"."odd; ""name" DROP COLUMN "the col";',
        {dropped_column('Other one.odd; "name', "the col", 1)},
    ),
    "a column with its type": (
        "DROP TYPE mood CASCADE;",
        {dropped_column("moods", "mood", 1)},
    ),
    "a column of all partitions": (
        "ALTER TABLE parted DROP COLUMN note;",
        {dropped_column("parted_1", "note", 1)},
    ),
    "TRUNCATE": ("TRUNCATE moods;", {truncated("moods", 2)}),
    "TRUNCATE CASCADE": (
        "TRUNCATE kept CASCADE;",
        {truncated("kept", 3), truncated("child", 3)},
    ),
    "TRUNCATE and other rows": (
        "TRUNCATE moods; INSERT INTO moods SELECT 3 FROM generate_series(1, 9);",
        {truncated("moods", 2)},
    ),
    "DELETE": ("DELETE FROM moods WHERE id = 1;", {deleted("moods", 1)}),
    "DELETE with ON DELETE CASCADE": (
        "DELETE FROM kept WHERE id = 1;",
        {deleted("kept", 1), deleted("child", 2)},
    ),
    "DELETE by a function": (
        "SELECT wipe();",
        {deleted("child", 3), deleted("heir", 1)},
    ),
    "DELETE and a new type": (
        "DELETE FROM moods WHERE id = 1; ALTER TABLE moods ALTER id TYPE text;",
        {deleted("moods", 1)},
    ),
    "DELETE and DROP": ("DELETE FROM moods; DROP TABLE moods;", {dropped("moods", 2)}),
    "a table by another name": (
        "CREATE TABLE new AS SELECT * FROM moods; DROP TABLE moods; ALTER TABLE new RENAME TO moods;",
        {dropped("moods", 2)},
    ),
    "as another role": (
        "SET ROLE pg_monitor; RESET ROLE; SET search_path = pg_catalog; DROP TABLE public.moods;",
        {dropped("moods", 2)},
    ),
    "temporary tables left behind": (
        "CREATE TEMP TABLE moods (id int); DROP TABLE public.moods;",
        {dropped("moods", 2)},
    ),
    # --- values that another type does not hold
    "rounding": (
        "ALTER TABLE typed ALTER price TYPE int, ALTER whole TYPE int;",
        {changed("typed", "price", 1)},
    ),
    "narrowing": (
        "ALTER TABLE people RENAME other TO o; "
        "ALTER TABLE people ALTER o TYPE varchar(1) USING left(o, 0);",
        {changed("people", "other", 3)},
    ),
    "the same type by USING, in DO": (
        "DO $$ BEGIN EXECUTE 'ALTER TABLE people ALTER other TYPE text USING NULL'; END $$;",
        {changed("people", "other", 3)},
    ),
    "a type that can't be cast back": (
        "ALTER TABLE people ALTER other TYPE int USING 7;",
        {changed("people", "other", 3)},
    ),
    "other values with an old type that goes": (
        "ALTER TABLE moods ALTER mood TYPE text USING 'none'; DROP TYPE mood;",
        {changed("moods", "mood", 1)},
    ),
    "blanks at the end": (
        "ALTER TABLE blanks ALTER a TYPE char(3), ALTER b TYPE three, ALTER c TYPE char(3)[], "
        "ALTER d TYPE bpchar;",
        {changed("blanks", column, 1) for column in "abcd"},
    ),
    "a type of all partitions": (
        "ALTER TABLE parted ALTER note TYPE varchar(2) USING left(note, 0);",
        {changed("parted_1", "note", 1)},
    ),
    "an attribute": (
        "ALTER TYPE address DROP ATTRIBUTE zip;",
        {
            dropped_attribute("people", "home", 1),
            dropped_attribute("people", "all_homes", 1),
            dropped_attribute("people", "whole", 1),
        },
    ),
    "a column in a row type": (
        "ALTER TABLE shape DROP COLUMN note;",
        {dropped_attribute("holders", "shape", 1)},
    ),
    "a column that is no longer generated": (
        "ALTER TABLE typed ALTER upper DROP EXPRESSION; ALTER TABLE typed DROP COLUMN upper;",
        {dropped_column("typed", "upper", 2)},
    ),
    # --- rows that the counters don't show
    "without counters": (
        "SET LOCAL track_counts = off; DELETE FROM moods; RESET track_counts;",
        {deleted("moods", 2)},
    ),
    "without counters, by a function": (
        "SELECT wipe_uncounted();",
        {deleted("child", 3), deleted("heir", 1)},
    ),
    "restored rows and others": (
        "SAVEPOINT a; DELETE FROM moods; ROLLBACK TO a; DELETE FROM moods WHERE id = 1;",
        {deleted("moods", 1)},
    ),
    "large objects, by a function": (
        "SELECT unlink_all();",
        {deleted("pg_largeobject", 2)},
    ),
    "the content of large objects": (
        "SELECT lo_put(content, 0, 'XX') FROM files WHERE id = 1;",
        {Loss("pg_largeobject", None, 1, "changed")},
    ),
    # --- in the names of chatdb's own
    "a savepoint": (
        "SAVEPOINT chatdb; DROP TABLE moods; SAVEPOINT chatdb;",
        {dropped("moods", 2)},
    ),
    "temporary catalogs": (
        "CREATE TEMP VIEW pg_locks AS SELECT * FROM planted.pg_locks; "
        "CREATE TEMP TABLE pg_class (oid oid); DROP TABLE moods;",
        {dropped("moods", 2)},
    ),
    "catalogs of another schema": (
        "SET search_path = planted, public, pg_catalog; DROP TABLE moods;",
        {dropped("moods", 2)},
    ),
}
HARMLESS = {
    "nothing": "",
    "empty tables": "DROP TABLE empty CASCADE;",
    "an empty column": "ALTER TABLE child DROP COLUMN note;",
    "a generated column": "ALTER TABLE kept DROP COLUMN total CASCADE;",
    "TRUNCATE of an empty table": "TRUNCATE empty;",
    "DELETE without rows": "DELETE FROM child WHERE id = 77;",
    "a view": "DROP VIEW seen;",
    "a materialized view": "DROP MATERIALIZED VIEW computed;",
    "a function": "DROP FUNCTION wipe;",
    "an index": "CREATE INDEX i ON kept (note); DROP INDEX i;",
    "a constraint": "ALTER TABLE kept DROP CONSTRAINT kept_pkey CASCADE;",
    "another type": "ALTER TABLE child ALTER id TYPE bigint;",
    "another name": "ALTER TABLE child RENAME TO other; ALTER TABLE other RENAME note TO notes;",
    "another schema": 'ALTER TABLE child SET SCHEMA "Other one";',
    "new columns": "ALTER TABLE child ADD COLUMN a int DEFAULT 1, ADD b timestamptz DEFAULT now();",
    "tables of its own": "CREATE TABLE x AS SELECT 1 AS a; CREATE TEMP TABLE y AS SELECT 1 AS b; "
    "DELETE FROM x; DROP TABLE x, y;",
    "new rows": "INSERT INTO child VALUES (3); UPDATE child SET note = 'x';",
    "blanks that were not there": "ALTER TABLE blanks ALTER e TYPE char(3); "
    "ALTER TABLE blanks ALTER e TYPE text;",
    "types that hold the same": "ALTER TABLE typed ALTER whole TYPE int, ALTER id TYPE text, "
    "ALTER flag TYPE boolean USING flag <> 0, ALTER at TYPE timestamp;",
    "a type without a value": "CREATE TYPE fewer AS ENUM ('good'); "
    "ALTER TABLE moods ALTER mood TYPE fewer USING mood::text::fewer; DROP TYPE mood;",
    "new rows and another type": "INSERT INTO typed (id) VALUES (3); "
    "ALTER TABLE typed ALTER id TYPE bigint;",
    "an attribute without values": "ALTER TYPE address DROP ATTRIBUTE nothing;",
    "rows deleted and restored": "INSERT INTO child VALUES (3); SAVEPOINT a; DELETE FROM child; "
    "ROLLBACK TO a; DELETE FROM empty;",
    "an error after DELETE": "DO $$ BEGIN UPDATE child SET note = 'x'; BEGIN DELETE FROM child; "
    "RAISE 'no'; EXCEPTION WHEN OTHERS THEN NULL; END; END $$;",
    "a column of its own": "ALTER TABLE kept ADD x text; UPDATE kept SET x = note, note = NULL; "
    "UPDATE kept SET note = x; ALTER TABLE kept DROP x;",
    "a new large object": "INSERT INTO files VALUES (3, lo_from_bytea(0, 'new'));",
    "a schema by another name": 'ALTER SCHEMA "Other one" RENAME TO another; '
    "CREATE SCHEMA x; ALTER SCHEMA x OWNER TO CURRENT_USER; DROP SCHEMA x;",
    "rights on the history": "GRANT SELECT ON chatdb_migration TO pg_monitor; -- DELETE FROM _yoyo_log",
    "temporary tables discarded": "CREATE TEMP TABLE x (); DISCARD TEMP; DROP TABLE empty CASCADE;",
    "a partition that is taken out": "ALTER TABLE parted DETACH PARTITION parted_1;",
    "its own settings reset": "RESET ALL; DROP TABLE empty CASCADE;",
}


@pytest.fixture
def before(project: Project, database: Database) -> Project:
    project.write("0001_before", BEFORE, None)
    return project


EVERYTHING = """\
SELECT (SELECT array_agg(c::text) FROM child c), (SELECT array_agg(k::text) FROM kept k),
       (SELECT array_agg(p::text) FROM parted p), (SELECT array_agg(m::text) FROM moods m),
       (SELECT jsonb_agg(p) FROM pg_tables p WHERE schemaname <> 'pg_catalog')"""


def refused(project: Project, database: Database, **request: Any) -> MigrationError:
    with pytest.raises(MigrationError) as caught:
        project.migrator(database).down(**request)
    assert (caught.value.code, caught.value.exit) == (Code.REFUSED, 8), caught.value.message
    return caught.value


@pytest.fixture(scope="module")
def shared(server: Server) -> Any:
    """One database for what is refused, and so changes nothing."""
    database = server.create()
    database.execute(BEFORE)
    yield database
    database.drop()


@pytest.mark.quick
@pytest.mark.parametrize("case", DESTROYS)
def test_a_down_that_would_delete_rows_is_refused_and_says_which(
    case: str, project: Project, shared: Database
) -> None:
    down, losses = DESTROYS[case]
    shared.execute(
        "DROP TABLE IF EXISTS chatdb_migration, _yoyo_migration, _yoyo_log, _yoyo_version"
    )
    project.write("0001_case", "", down)
    project.migrator(shared).up(allow_non_empty=True)
    before = shared.query(EVERYTHING)
    error = refused(project, shared)
    assert set(error.run.losses or ()) == losses
    assert "allow_data_loss=True" in (error.hint or "")
    assert states(error) == ["not-run"]
    assert shared.applied() == ["0001_case"]
    assert shared.query(EVERYTHING) == before


@pytest.mark.parametrize("case", HARMLESS)
def test_a_down_that_deletes_no_rows_needs_no_flag(
    case: str, before: Project, database: Database
) -> None:
    before.write("0002_case", "", HARMLESS[case])
    before.migrator(database).up()
    run = before.migrator(database).down()
    assert states(run) == ["reverted"]
    assert run.losses == ()


# --- several migrations ---------------------------------------------------------------------------


@on_first_server
def test_a_data_loss_in_any_step_of_a_down_stops_every_step(
    before: Project, database: Database
) -> None:
    before.write("0002_rows", "", "ALTER TABLE moods RENAME TO more; DROP TABLE child CASCADE;")
    before.write("0003_none", "", "DROP TABLE empty CASCADE; CREATE TABLE other (id int);")
    before.write("0004_none", "", "DROP TABLE other; DELETE FROM kept WHERE id = 77;")
    before.migrator(database).up()
    database.execute("CREATE TABLE other (id int)")
    error = refused(before, database, to="1")
    assert states(error) == ["not-run"] * 3
    assert set(error.run.losses or ()) == {dropped("child", 3), dropped("heir", 1)}
    assert len(database.applied()) == 4
    database.execute("DELETE FROM heir; DELETE FROM child")
    run = before.migrator(database).down(to="1")
    assert states(run) == ["reverted"] * 3
    assert database.tables() >= {"other", "kept", "more"}
    assert not database.tables() & {"child", "empty", "moods"}


@on_first_server
def test_a_table_that_an_earlier_step_renamed_is_still_checked(
    before: Project, database: Database
) -> None:
    before.write("0002_drop", "", "ALTER TABLE zwei DROP b; DROP TABLE zwei;")
    rename = (
        'ALTER TABLE "Other one".eins RENAME a TO b; ALTER TABLE "Other one".eins SET SCHEMA public; '
        "ALTER TABLE eins RENAME TO zwei;"
    )
    before.write("0003_name", "", rename)
    before.migrator(database).up()
    database.execute('CREATE TABLE "Other one".eins (id int, a int)')
    assert states(before.migrator(database).down(to="1")) == ["reverted"] * 2


@on_first_server
def test_many_downs_are_checked_together_before_the_first_runs(
    project: Project, database: Database
) -> None:
    project.write_tables(*range(1, 121))
    project.migrator(database).up()
    database.execute("INSERT INTO t2 VALUES (1)")
    error = refused(project, database, everything=True)
    assert error.run.losses == (Loss("t2", None, 1, "dropped table"),)
    assert len(database.applied()) == 120
    assert len(project.migrator(database).down(to="2").steps) == 118
    assert database.tables() == {"t1", "t2"}


@on_first_server
def test_redo_checks_its_down_and_not_its_up(before: Project, database: Database) -> None:
    before.write("0002_redo", "DELETE FROM child;", "DROP TABLE moods;")
    before.migrator(database).up()
    with pytest.raises(MigrationError) as caught:
        before.migrator(database).redo()
    assert caught.value.exit == 8
    assert states(caught.value) == ["not-run", "not-run"]
    assert caught.value.run.losses == (Loss("moods", None, 2, "dropped table"),)
    database.execute("DELETE FROM moods; INSERT INTO child VALUES (1)")
    assert states(before.migrator(database).redo()) == ["reverted", "applied"]


@on_first_server
def test_a_down_that_works_only_in_a_transaction_of_its_own_still_does(
    project: Project, database: Database
) -> None:
    # What a new value of an enum is for is known from its COMMIT on.
    project.write(
        "0001_type", "CREATE TYPE e AS ENUM ('a'); CREATE TABLE t (e e);", "DROP TABLE t;"
    )
    project.write("0002_use", "", "ALTER TABLE t ALTER e SET DEFAULT 'b';")
    project.write("0003_value", "", "ALTER TYPE e ADD VALUE 'b';")
    project.migrator(database).up()
    run = project.migrator(database).down(everything=True)
    assert states(run) == ["reverted"] * 3
    assert database.tables() == set()


@on_first_server
def test_a_down_that_fails_fails_as_it_would_without_the_check(
    project: Project, database: Database
) -> None:
    project.write_tables(1, 2, 3)
    project.write("0002_t2", "CREATE TABLE t2 (id int);\n", "DROP TABLE t2;\nDROP TABLE nope;")
    project.migrator(database).up()
    with pytest.raises(MigrationError) as caught:
        project.migrator(database).down(everything=True)
    error = caught.value
    assert (error.exit, error.sqlstate, states(error)) == (
        5, "42P01", ["reverted", "failed", "not-run"],
    )  # fmt: skip
    assert error.place is not None
    assert (error.place.file.name, error.place.line) == ("0002_t2.sql", 2)
    assert database.tables() == {"t1", "t2"}


# --- between the trial and the run ----------------------------------------------------------------

RACES = {
    "a row into a table that goes": (
        "DROP TABLE empty CASCADE;", "INSERT INTO empty VALUES (1)",
        Loss("empty", None, 1, "dropped table"),
    ),
    "a value into a column that goes": (
        "ALTER TABLE child DROP COLUMN note;", "UPDATE ONLY child SET note = 'x' WHERE id = 2",
        Loss("child", "note", 1, "dropped column"),
    ),
    "a row into a table that is truncated": (
        "TRUNCATE empty;", "INSERT INTO empty VALUES (1)", Loss("empty", None, 1, "truncated"),
    ),
    "a row that is deleted": (
        "DELETE FROM empty;", "INSERT INTO empty VALUES (1)", Loss("empty", None, 1, "deleted"),
    ),
    "another table into a schema that goes": (
        'DROP TABLE "Other one"."odd; ""name"; DROP SCHEMA "Other one" CASCADE;',
        'CREATE TABLE "Other one".new AS SELECT 1', Loss("Other one.new", None, 1, "dropped table"),
    ),
    "another partition": (
        "DROP TABLE parted;",
        "CREATE TABLE parted_3 PARTITION OF parted FOR VALUES FROM (20) TO (30); "
        "INSERT INTO parted VALUES (21)",
        Loss("parted_3", None, 1, "dropped table"),
    ),
    "a value that its new type does not hold": (
        "ALTER TABLE typed ALTER whole TYPE int;", "UPDATE typed SET whole = 3.5 WHERE id = 1",
        Loss("typed", "whole", 1, "changed"),
    ),
    "a value of an attribute": (
        "ALTER TYPE address DROP ATTRIBUTE nothing;",
        "UPDATE people SET home.nothing = 'n' WHERE id = 1",
        Loss("people", "home", 1, "dropped attribute"),
    ),
    "what a block decides by": (
        "DO $$ BEGIN IF EXISTS (SELECT FROM empty) THEN TRUNCATE moods; END IF; "
        "ALTER TABLE moods ADD COLUMN x int; END $$;",
        "INSERT INTO empty VALUES (1)", Loss("moods", None, 2, "truncated"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", RACES)
def test_rows_inserted_between_the_check_and_the_run_are_not_lost(
    case: str, before: Project, database: Database
) -> None:
    down, write, loss = RACES[case]
    turns = 5 if loss.how == "changed" else 3
    before.write("0002_case", "", down)
    before.migrator(database).up()
    database.execute('DELETE FROM parted; DELETE FROM "Other one"."odd; ""name"')
    waits: list[str] = []
    told: list[str] = []

    def on_message(connection: int, kind: str, number: int) -> bool:
        # Queries read the history and take the lock; three turns are the trial, and one more each time
        # that it measures; then comes the run.
        if kind in WAITING:
            waits.append(kind)
        elif waits[-turns:] == ["S"] * turns and write not in told:
            told.append(write)
            database.execute(write)
        return True

    def listen(event: Progress) -> None:
        told.append(event.text)

    with (
        Proxy(socket_of(database.server), on_message=on_message) as proxy,
        pytest.raises(MigrationError) as caught,
    ):
        migrator_through(proxy, before, database, progress=listen).down()
    assert (caught.value.exit, caught.value.run.losses) == (8, (loss,))
    assert any("have changed" in text for text in told)
    assert len(database.applied()) == 2


# --- rows elsewhere -------------------------------------------------------------------------------

FAR = """
CREATE EXTENSION postgres_fdw;
CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS
    (host '127.0.0.1', port '{port}', dbname '{database}', sslmode 'disable');
CREATE USER MAPPING FOR CURRENT_USER SERVER far OPTIONS
    (user 'postgres', password_required 'false');
CREATE TABLE far_rows AS SELECT 1 AS id UNION SELECT 2;
CREATE FOREIGN TABLE near (id int) SERVER far OPTIONS (table_name 'far_rows');
CREATE TABLE parts (id int) PARTITION BY RANGE (id);
CREATE FOREIGN TABLE part PARTITION OF parts FOR VALUES FROM (1) TO (9) SERVER far
    OPTIONS (table_name 'far_rows');
CREATE TABLE parent (id int);
CREATE FOREIGN TABLE heir () INHERITS (parent) SERVER far OPTIONS (table_name 'far_rows');
CREATE SCHEMA s;
CREATE FOREIGN TABLE s.there (id int) SERVER far
    OPTIONS (schema_name 'public', table_name 'far_rows');
CREATE TABLE no_rows (id int);
CREATE TABLE more_rows AS SELECT 1 AS id UNION SELECT 2 UNION SELECT 3;
CREATE FOREIGN TABLE nothing (id int) SERVER far OPTIONS (table_name 'no_rows');
CREATE VIEW seen AS SELECT * FROM near;
CREATE FUNCTION wipe() RETURNS void LANGUAGE plpgsql AS $$ BEGIN DELETE FROM near; END $$;
CREATE FUNCTION swap() RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN DELETE FROM near WHERE id = 1; INSERT INTO near VALUES (9); END $$;
CREATE FUNCTION cut() RETURNS void LANGUAGE plpgsql AS $$ BEGIN TRUNCATE near; END $$;
CREATE FUNCTION cut_too() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM cut(); END $$;
CREATE FUNCTION on_bell() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN TRUNCATE near; RETURN NULL; END $$;
CREATE SEQUENCE first;
CREATE SEQUENCE second;
CREATE TABLE bell (id int);
CREATE TRIGGER t BEFORE INSERT ON bell FOR EACH ROW EXECUTE FUNCTION on_bell();
"""
MINE = "CREATE FOREIGN TABLE mine (id int) SERVER far OPTIONS (table_name 'far_rows');"
# A down, and the rows that it would delete.
FOREIGN: dict[str, tuple[str, set[Loss]]] = {
    "DELETE": ("DELETE FROM near WHERE id = 1;", {deleted("near", 1)}),
    "TRUNCATE of a parent": ("TRUNCATE parts;", {deleted("part", 2)}),
    "DELETE from a parent": ("DELETE FROM parent WHERE id = 2;", {deleted("heir", 1)}),
    "as many new rows": (
        "DO $$ BEGIN DELETE FROM near WHERE id = 1; INSERT INTO near VALUES (9); END $$;",
        {Loss("near", None, 1, "changed")},
    ),
    "as many new rows, by a function": (
        "DO $$ BEGIN PERFORM swap(); END $$;", {Loss("near", None, 1, "changed")},
    ),
    "not in the trial": (
        "DO $$ BEGIN IF nextval('first') > 1 THEN DELETE FROM near; END IF; END $$;",
        {deleted("near", 2)},
    ),
}  # fmt: skip
# A down that deletes rows of a foreign table which nobody can count after it, and what is said of it.
UNCOUNTED = {
    "DELETE and DROP": (
        "DELETE FROM near; DROP FOREIGN TABLE near CASCADE;", "'near' is written to and dropped",
    ),
    "an exception swallowed after it": (
        "DO $$ BEGIN BEGIN DELETE FROM near; EXCEPTION WHEN OTHERS THEN NULL; END; "
        "EXECUTE 'DROP FOREIGN ' || 'TABLE near CASCADE'; END $$;", "'near' is written to and dropped",
    ),
    "by a view": (
        "DELETE FROM seen; DROP VIEW seen; DROP FOREIGN TABLE near;", "'near' is written to",
    ),
    "by a function of a built name": (
        "DO $$ BEGIN EXECUTE 'SELECT wi' || 'pe()'; END $$; DROP FOREIGN TABLE near CASCADE;",
        "'near' is written to",
    ),
    "with the server": ("DELETE FROM near WHERE id = 1; DROP SERVER far CASCADE;", "is written to"),
    "with the extension": (
        "DELETE FROM near WHERE id = 1; DROP EXTENSION postgres_fdw CASCADE;", "is written to",
    ),
    "with the schema": ("DELETE FROM s.there; DROP SCHEMA s CASCADE;", "'there' is written to"),
    "with the partitioned table": (
        "DELETE FROM parts WHERE id = 1; DROP TABLE parts;", "'part' is written to and dropped",
    ),
    "with the parent": ("DELETE FROM parent; DROP TABLE parent CASCADE;", "'heir' is written to"),
    "values and DROP": (
        "UPDATE near SET id = 7; DROP FOREIGN TABLE near CASCADE;", "'near' is written to",
    ),
    "the same name again": (
        "DELETE FROM s.there; DROP FOREIGN TABLE s.there; "
        "CREATE FOREIGN TABLE s.there (id int) SERVER far OPTIONS (schema_name 's', table_name 'no');",
        "'there' is written to and dropped",
    ),
    "other options": (
        "DELETE FROM near; ALTER FOREIGN TABLE near OPTIONS (SET table_name 'more_rows');",
        "'near' is written to and altered",
    ),
    "other options for a while": (
        "ALTER FOREIGN TABLE nothing OPTIONS (SET table_name 'far_rows'); DELETE FROM nothing; "
        "ALTER FOREIGN TABLE nothing OPTIONS (SET table_name 'no_rows');",
        "'nothing' is written to and altered",
    ),
    "its own table": (f"{MINE} DELETE FROM mine;", "'mine' is created and is written to"),
    "its own table, dropped": (
        f"{MINE} DELETE FROM mine; DROP FOREIGN TABLE mine;",
        "a foreign table is created, is written to and dropped",
    ),
    "its own table, uncounted": (
        f"SET track_counts = off; {MINE} DELETE FROM mine; DROP FOREIGN TABLE mine;",
        "a foreign table is created, is written to and dropped",
    ),
    "an imported table": (
        "CREATE SCHEMA x; IMPORT FOREIGN SCHEMA public LIMIT TO (far_rows) FROM SERVER far INTO x; "
        "DELETE FROM x.far_rows; DROP SCHEMA x CASCADE;", "a foreign table is created",
    ),
    "an imported table that is kept": (
        "CREATE SCHEMA x; IMPORT FOREIGN SCHEMA public LIMIT TO (far_rows) FROM SERVER far INTO x; "
        "TRUNCATE x.far_rows;", "'far_rows' is created and may be truncated",
    ),
    "TRUNCATE and DROP": (
        "TRUNCATE near; DROP FOREIGN TABLE near CASCADE;", "'near' may be truncated and dropped",
    ),
    "TRUNCATE by functions": (
        "SELECT cut_too(); DROP FOREIGN TABLE near CASCADE;", "'near' may be truncated and dropped",
    ),
    "TRUNCATE by a trigger": (
        "INSERT INTO bell VALUES (1); DROP FOREIGN TABLE near CASCADE;",
        "'near' may be truncated and dropped",
    ),
    "not in the trial": (
        "DO $$ BEGIN IF nextval('second') > 1 THEN DELETE FROM near; END IF; "
        "DROP FOREIGN TABLE near CASCADE; END $$;", "'near' is written to and dropped",
    ),
    "TRUNCATE, put together": (
        "DO $$ BEGIN EXECUTE 'TRUN' || 'CATE near'; END $$; DROP FOREIGN TABLE near CASCADE;",
        "'near' may be truncated and dropped",
    ),
    "a schema": ("DELETE FROM pg_namespace WHERE nspname = 's';", "the catalog pg_namespace is"),
    "the catalog": (
        "UPDATE pg_attribute SET attisdropped = true "
        "WHERE attname = 'id' AND attrelid = 'far_rows'::regclass;",
        "the catalog pg_attribute is written to",
    ),
}  # fmt: skip
# An up, and a down that deletes nothing.
FOREIGN_HARMLESS = {
    "nothing deleted": (
        "",
        "DELETE FROM near WHERE id = 7; INSERT INTO near VALUES (9); DELETE FROM near WHERE id = 9;",
    ),
    "nothing but new rows": ("DELETE FROM near WHERE id = 9;", "INSERT INTO near VALUES (9);"),
    "a table": (MINE, "DROP FOREIGN TABLE mine;"),
    "a table, in DO": (MINE, "DO $$ BEGIN EXECUTE 'DROP FOREIGN TABLE mine'; END $$;"),
    "a table that is read": (
        MINE, "CREATE TEMP TABLE x AS SELECT * FROM mine; DELETE FROM x; DROP TABLE x; "
        "DROP FOREIGN TABLE mine;",
    ),
    "a deletion undone": (
        MINE, "SAVEPOINT a; DELETE FROM mine; ROLLBACK TO a; DROP FOREIGN TABLE mine;",
    ),
    "other options": (
        "ALTER FOREIGN TABLE nothing OPTIONS (SET table_name 'far_rows');",
        "ALTER FOREIGN TABLE nothing OPTIONS (SET table_name 'no_rows');",
    ),
    "other columns": (
        f"DROP FOREIGN TABLE IF EXISTS mine; {MINE}",
        "ALTER FOREIGN TABLE mine ADD x int; ALTER FOREIGN TABLE mine DROP x;",
    ),
    "a new table": ("DROP FOREIGN TABLE mine;", MINE.replace("far_rows", "not_there")),
    "a table of its own beside it": (
        "DROP FOREIGN TABLE mine;",
        f"{MINE} CREATE TABLE x (id int); INSERT INTO x SELECT 1; DELETE FROM x; DROP TABLE x;",
    ),
    "all definitions": (
        "",
        "DROP VIEW seen; DROP FOREIGN TABLE near; DROP SERVER far CASCADE; DROP EXTENSION postgres_fdw;",
    ),
}  # fmt: skip


def test_rows_of_a_foreign_table_are_counted_and_compared_and_asked_for_where_they_can_not_be(
    project: Project, database: Database
) -> None:
    # The server may not log in to itself; this process may.
    with Proxy(socket_of(database.server)) as proxy:
        project.write("0000_far", FAR.format(port=proxy.port, database=database.name), None)
        project.migrator(database).up()
        project.write("0001_case", "", "")
        project.migrator(database).up()
        rows = "SELECT count(*) FROM far_rows WHERE id < 3"
        for case, (down, losses) in FOREIGN.items():
            project.write("0001_case", "", down)
            error = refused(project, database)
            assert set(error.run.losses or ()) == losses, case
        for case, (down, message) in UNCOUNTED.items():
            project.write("0001_case", "", down)
            with pytest.raises(ChatdbError) as caught:
                project.migrator(database).down()
            told = caught.value
            assert (told.exit, "allow_data_loss=True" in (told.hint or "")) == (8, True), case
            assert message in told.message, case
            assert {"nothing was changed", "no version was rolled back"} & {*told.notes}, case
            assert told.place is not None
            assert told.place.file.name == "0001_case.sql"
            assert database.query(rows) == [(2,)], case
        for number, (case, (up, down)) in enumerate(FOREIGN_HARMLESS.items(), 2):
            project.write(f"{number:04}_case", up, down)
            project.migrator(database).up()
            run = project.migrator(database).down()
            assert (states(run), run.losses) == (["reverted"], ()), case
            project.write(f"{number:04}_case", "", "")
            assert database.query(rows) == [(2,)], case


# --- what can't be tried --------------------------------------------------------------------------

UNTRIED = {
    "without a transaction": ("-- chatdb: transactional: false\nVACUUM;", None),
    "setval": ("SELECT 1;\nSELECT setval('s', 7);", 2),
    "setval in a block": ("DO $a$\nBEGIN PERFORM setval('s', 7); END $a$;", 2),
    "another database": (
        "CREATE TABLE x ();\n\nSELECT dblink_exec('host=there', 'DROP TABLE t')",
        3,
    ),
    "a quoted name": ("SELECT 1;\nSELECT \"setval\"('s', 7);", 2),
    "a string that a block runs": (
        "DO $$ BEGIN\nEXECUTE 'SELECT setval(''s'', 7)'; END $$;", 2,
    ),
    "a string of a block": ("SELECT 1;\nDO 'BEGIN PERFORM setval(''s'', 7); END';", 2),
    "two strings": ("DO $$ BEGIN\nEXECUTE 'SELECT set' || 'val(''s'', 7)'; END $$;", 1),
    "a name that is filled in": (
        "DO $$ BEGIN\nEXECUTE format('SELECT %I(''s'', 7)', 'setval'); END $$;", 2,
    ),
    "a replication slot": ("SELECT pg_drop_replication_slot('slot');", 1),
    "large objects without counters": (
        "SELECT 1;\nSET track_counts = off; SELECT lo_unlink(1);",
        2,
    ),
    "a new replication slot": ("SELECT pg_create_physical_replication_slot('slot');", 1),
    "the history": ("SELECT 1;\nDELETE FROM public.chatdb_migration WHERE version = 7;", 2),
    "the log of the history, in a block": (
        "DO $$ BEGIN EXECUTE 'TRUNCATE ONLY \"_yoyo_log\"'; END $$;", 1,
    ),
    "values that are discarded": ("ALTER TABLE t1 ALTER id TYPE text;\nDISCARD TEMP;", 2),
    "a program": ("COPY t1 TO PROGRAM 'cat';", 1),
    "a file": ("COPY t1 (id) TO '/nowhere/at/all';", 1),
}  # fmt: skip


@on_first_server
@pytest.mark.parametrize("case", UNTRIED)
def test_statements_that_no_rollback_undoes_are_refused_without_running_them(
    case: str, project: Project, database: Database
) -> None:
    down, line = UNTRIED[case]
    up = "CREATE TABLE t1 (id int); INSERT INTO t1 VALUES (1); CREATE SEQUENCE s;"
    project.write("0001_t", up, down)
    project.migrator(database).up()
    with pytest.raises(ChatdbError) as caught:
        project.migrator(database).down()
    error = caught.value
    assert (error.code, error.exit) == (Code.REFUSED, 8)
    assert "allow_data_loss=True" in (error.hint or "")
    assert error.place is not None
    assert (error.place.file.name, error.place.line) == ("0001_t.sql", line)
    assert database.query("SELECT last_value FROM s") == [(1,)]
    assert database.applied() == ["0001_t"]
    run = project.migrator(database, retries="0").down(dry_run=True)  # which tries nothing
    assert states(run) == ["planned"]


INDEXES_ONLY = """\
-- chatdb: transactional: false
SET lock_timeout = '5s';
DROP INDEX CONCURRENTLY t1_id;
CREATE INDEX CONCURRENTLY t1_other ON t1 (id);
REINDEX INDEX CONCURRENTLY t1_other;
"""
# An index may call what is IMMUTABLE, and that may call what is not.
DELETING = """\
CREATE OR REPLACE FUNCTION clear() RETURNS int LANGUAGE sql AS 'DELETE FROM t1; SELECT 1';
CREATE OR REPLACE FUNCTION computed(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
    'BEGIN RETURN clear(); END';
"""


@on_first_server
def test_a_down_that_only_drops_and_builds_indexes_needs_no_flag_without_a_transaction_either(
    project: Project, database: Database
) -> None:
    project.write("0001_t", "CREATE TABLE t1 (id int);", "DROP TABLE t1;")
    project.write("0002_i", "CREATE INDEX t1_id ON t1 (id);", INDEXES_ONLY)
    project.write("0003_more", "CREATE TABLE t3 ();", "DROP TABLE t3;")
    project.migrator(database).up()
    database.execute("INSERT INTO t1 VALUES (1)")
    error = refused(project, database, everything=True)  # before the first down
    assert set(error.run.losses or ()) == {dropped("t1", 1)}
    assert states(error) == ["not-run"] * 3
    run = project.migrator(database).down(to="1")
    assert (states(run), run.losses) == (["reverted"] * 2, ())
    assert database.query("SELECT indexname FROM pg_indexes WHERE tablename = 't1'") == [
        ("t1_other",)
    ]
    for last, message in (
        ("DELETE FROM t1;", "runs outside of a transaction"),
        (
            "CREATE INDEX CONCURRENTLY i ON t1 (computed(id));",
            "an index calls a function that may delete rows",
        ),
    ):
        project.write(
            "0002_i", f"CREATE INDEX t1_id ON t1 (id); {DELETING}", f"{INDEXES_ONLY}{last}"
        )
        project.migrator(database).up(to="2")
        with pytest.raises(ChatdbError, match=message) as caught:
            project.migrator(database).down()
        assert caught.value.exit == 8
        project.write("0002_i", f"CREATE INDEX t1_id ON t1 (id); {DELETING}", "DROP INDEX t1_id;")
        project.migrator(database).down()
    assert database.query("SELECT id FROM t1") == [(1,)]


@on_first_server
def test_creating_a_function_that_would_delete_rows_is_allowed(
    project: Project, database: Database
) -> None:
    body = "CREATE FUNCTION f() RETURNS bigint LANGUAGE sql AS $f$ SELECT setval('s', 7) $f$;"
    project.write("0001_t", "CREATE SEQUENCE s;", f"-- setval(\nSELECT 'setval(1)'; {body}")
    project.migrator(database).up()
    assert states(project.migrator(database).down()) == ["reverted"]


@on_first_server
def test_a_function_with_an_effect_that_no_rollback_undoes_is_not_called_by_the_check(
    project: Project, database: Database
) -> None:
    functions = """\
        CREATE SEQUENCE s;
        CREATE FUNCTION advance() RETURNS bigint LANGUAGE sql AS $$ SELECT setval('s', 7) $$;
        CREATE FUNCTION "Outer"() RETURNS bigint LANGUAGE sql AS 'SELECT advance()';
        CREATE EXTENSION dblink; ALTER FUNCTION dblink_exec(text, text) RENAME TO renamed;
        CREATE FUNCTION parsed() RETURNS text BEGIN ATOMIC SELECT renamed('x', 'y'); END;"""
    drop = 'DROP FUNCTION IF EXISTS "Outer"(); DROP FUNCTION advance(); DROP FUNCTION parsed();'
    project.write("0001_f", functions, drop)
    project.write("0002_call", "", 'SELECT 1;\nDO $$ BEGIN PERFORM "Outer"(); END $$;')
    project.migrator(database).up()
    error = refused(project, database)
    assert "'Outer'" in error.message
    assert "allow_data_loss=True" in (error.hint or "")
    assert error.place is not None
    assert error.place.file.name == "0002_call.sql"
    assert database.query("SELECT last_value FROM s") == [(1,)]
    assert states(project.migrator(database).down(allow_data_loss=True)) == ["reverted"]
    project.write("0002_call", "", "SELECT parsed();")
    project.migrator(database).up()
    assert "'parsed'" in refused(project, database).message
    project.write("0002_call", "", "")
    # These only name the functions.
    assert states(project.migrator(database).down(everything=True)) == ["reverted"] * 2


@on_first_server
def test_a_down_where_a_policy_may_hide_rows_is_refused(
    project: Project, database: Database
) -> None:
    project.write(
        "0001_t",
        "CREATE TABLE t1 (id int); INSERT INTO t1 VALUES (1); "
        "ALTER TABLE t1 ENABLE ROW LEVEL SECURITY; ALTER TABLE t1 FORCE ROW LEVEL SECURITY;",
        "DROP TABLE t1;",
    )
    role = f"role_{database.name}"
    database.execute(f"CREATE ROLE {role}; GRANT ALL ON SCHEMA public TO {role}")
    migrator = project.migrator(database, database_url=f"{database.url}&options=-crole%3D{role}")
    migrator.up()
    with pytest.raises(MigrationError) as caught:
        migrator.down()
    assert (caught.value.code, caught.value.sqlstate) == (Code.REFUSED, "42501")
    assert "row-level security" in caught.value.message
    assert "allow_data_loss=True" in (caught.value.hint or "")
    assert states(migrator.down(allow_data_loss=True)) == ["reverted"]
    database.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


@on_first_server
def test_a_lock_that_can_not_be_acquired_is_waited_for_and_then_exit_7(
    project: Project, database: Database
) -> None:
    project.write_tables(1)
    project.migrator(database).up()
    told: list[str] = []

    def listen(event: Progress) -> None:
        told.append(event.text)

    with database.connect(application_name="reader") as reader:
        reader.execute("BEGIN; SELECT * FROM t1")
        flags = {"lock_timeout": "50ms", "retries": "1", "progress": listen}
        with pytest.raises(MigrationError) as caught:
            project.migrator(database, **flags).down()
    assert (caught.value.exit, caught.value.sqlstate) == (7, "55P03")
    assert sum("trying again" in text for text in told) == 1
    assert states(project.migrator(database).down()) == ["reverted"]


# --- how it is said ---------------------------------------------------------------------------------


@on_first_server
def test_the_error_lists_the_rows_that_would_be_lost(before: Project, database: Database) -> None:
    down = "ALTER TABLE kept DROP COLUMN note CASCADE; TRUNCATE moods; DELETE FROM ONLY child; " + (
        'DROP TABLE "Other one"."odd; ""name";'
    )
    before.write("0002_all", "", down)
    env = {"DATABASE_URL": database.url}
    assert before.chatdb("migrate", "up", env=env).returncode == 0
    result = before.chatdb("migrate", "down", env=env)
    assert (result.returncode, result.stdout) == (8, "")
    lines = result.stderr.splitlines()[1:]
    assert lines[0] == "error: rolling back 0002_all would delete rows"
    assert lines[1] == "  table                 column  rows  how"
    assert sorted(lines[2:6]) == [
        '  Other one.odd; "name          1     dropped table',
        "  child                         3     deleted",
        "  kept                  note    2     dropped column",
        "  moods                         2     truncated",
    ]
    assert lines[6:] == [
        "  = nothing was changed", "",
        "hint: first copy the rows that are needed; if they may be deleted, give --allow-data-loss",
    ]  # fmt: skip
    document = json.loads(before.chatdb("migrate", "down", "--format=json", env=env).stdout)
    assert document["error"]["code"] == "refused"
    assert {"table": "kept", "column": "note", "rows": 2, "how": "dropped column"} in (
        document["losses"]
    )
    dry = json.loads(before.chatdb("migrate", "down", "--dry-run", "--format=json", env=env).stdout)
    assert (dry["losses"], dry["steps"][0]["state"]) == (None, "planned")
    for flags in (["redo"], ["down"]):
        run = before.chatdb("migrate", *flags, "--allow-data-loss", "--format=json", env=env)
        assert (run.returncode, json.loads(run.stdout)["losses"]) == (0, None)
        if flags == ["redo"]:  # there is nothing left to lose
            database.execute('CREATE TABLE "Other one"."odd; ""name" (id int)')
            database.execute("ALTER TABLE kept ADD COLUMN note text")


@on_first_server
def test_a_down_that_is_confined_to_its_schema_is_checked_for_rows_like_any_other(
    project: Project, database: Database
) -> None:
    confined = Confines(None, ("public",), "")
    project.write("0001_t", "CREATE TABLE t (id int);", "DROP TABLE t;")
    Migrator(database.target(), project.sql, confined=confined).up()
    database.execute("INSERT INTO t VALUES (1)")
    for request in ("down", "redo"):
        migrator = Migrator(database.target(), project.sql, confined=confined)
        with pytest.raises(MigrationError) as caught:
            getattr(migrator, request)()
        assert caught.value.code is Code.REFUSED
        assert caught.value.run.losses == (dropped("t", 1),)
        assert database.query("SELECT id FROM t") == [(1,)]
    migrator = Migrator(database.target(), project.sql, confined=confined)
    assert states(migrator.down(allow_data_loss=True)) == ["reverted"]
