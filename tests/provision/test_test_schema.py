"""Promises about `setup --test`: a schema for tests, whose files can change nothing outside."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import takewhile
from typing import Any

import pytest

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.migrate.model import MigrationError
from chatdb_cli.postgres.target import open_target
from chatdb_cli.provision.database import create_database
from chatdb_cli.provision.test_schema import make_test_schema, settings_for_tests
from chatdb_cli.settings.load import load_settings
from tests.support.chatdb import Chatdb
from tests.support.database import Database
from tests.support.paths import SHIPPED
from tests.support.project import Project
from tests.support.proxy import Proxy
from tests.support.servers import Server, on_first_server, socket_of

OUTSIDE = """
CREATE EXTENSION citext;
CREATE TABLE users (id int PRIMARY KEY, note text);
INSERT INTO users VALUES (1, 'a'), (2, 'b');
CREATE VIEW seen AS SELECT * FROM users;
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TYPE mood AS ENUM ('good');
CREATE SCHEMA other;
CREATE TABLE other.t (id serial, note text);
CREATE SEQUENCE counter;
CREATE FOREIGN DATA WRAPPER w;
CREATE SERVER far FOREIGN DATA WRAPPER w;
DO $$ BEGIN CREATE ROLE chatdb_test_owner; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
CREATE TABLE other.owned (id int);
ALTER TABLE other.owned OWNER TO chatdb_test_owner;
"""
GOOD = """\
CREATE TABLE mine (id serial PRIMARY KEY, name citext UNIQUE, note text);
CREATE TYPE state AS ENUM ('on');
CREATE VIEW names AS SELECT name FROM mine;
CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
CREATE TRIGGER t BEFORE INSERT ON mine FOR EACH ROW EXECUTE FUNCTION g();
CREATE TEMPORARY TABLE passing (id serial, note text);
COMMENT ON TABLE mine IS 'x';
ALTER TYPE state ADD VALUE 'off';
INSERT INTO mine (name) SELECT note FROM public.users;
SELECT setval('mine_id_seq', 100);
"""
# What a file does, and the object outside that it changes.
HOSTILE = {
    "DROP TABLE IF EXISTS of a name in public": (
        "DROP TABLE IF EXISTS public.users CASCADE;",
        "public.users",
    ),
    "the same without the schema": ("DROP TABLE IF EXISTS users CASCADE;", "public.users"),
    "CREATE in another schema": ("CREATE TABLE other.new (id int);", "schema other"),
    "CREATE of a schema": ("CREATE SCHEMA fresh;", "database"),
    "CREATE FUNCTION elsewhere": (
        "CREATE FUNCTION other.h() RETURNS int LANGUAGE sql AS 'SELECT 1';",
        "other.h",
    ),
    "CREATE OR REPLACE elsewhere": (
        "CREATE OR REPLACE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 2';",
        "public.f",
    ),
    "ALTER elsewhere": ("ALTER TABLE other.t ADD COLUMN more int;", "other.t"),
    "ALTER of a type": ("ALTER TYPE public.mood ADD VALUE 'bad';", "public.mood"),
    "DROP elsewhere": ("DROP FUNCTION public.f();", "public.f"),
    "DROP SCHEMA": ("DROP SCHEMA public CASCADE;", "public"),
    "RENAME": ("ALTER SCHEMA other RENAME TO another;", "other"),
    "a comment": ("COMMENT ON TABLE public.users IS 'x';", "public.users"),
    "a privilege": ("GRANT SELECT ON other.t TO PUBLIC;", "other.t"),
    "a trigger": (
        "CREATE TRIGGER t BEFORE INSERT ON public.users FOR EACH ROW EXECUTE FUNCTION g();",
        "public.users",
    ),
    "a foreign key": ("CREATE TABLE x (id int REFERENCES public.users);", "public.users"),
    "TRUNCATE": ("TRUNCATE public.users;", "public.users"),
    "DELETE": ("DELETE FROM public.users;", "public.users"),
    "UPDATE": ("UPDATE other.t SET note = 'x';", "other.t"),
    "INSERT": ("INSERT INTO other.t DEFAULT VALUES;", "other.t"),
    "EXECUTE": (
        "DO $$ BEGIN EXECUTE 'DROP TABLE ' || 'public.users CASCADE'; END $$;",
        "public.users",
    ),
    "an exception block": (
        "DO $$ BEGIN DELETE FROM public.users; BEGIN EXECUTE 'ALTER TABLE other.t DROP note'; "
        "PERFORM 1/1; EXCEPTION WHEN others THEN NULL; END; END $$;", "public.users",
    ),
    "DROP OWNED": ("DROP OWNED BY chatdb_test_owner;", "drop objects"),
    "an extension's object": (
        "ALTER FUNCTION public.citext_eq(citext, citext) COST 7;",
        "public.citext_eq",
    ),
    "an extension that others use": ("DROP EXTENSION citext CASCADE;", "citext"),
    "a table moved in": ("ALTER TABLE other.t SET SCHEMA test;", "other.t"),
    "a table moved out": ("ALTER TABLE mine SET SCHEMA other;", "schema other"),
    "its own schema": ("DROP SCHEMA test CASCADE; CREATE SCHEMA test;", "test"),
    "after RESET ALL": ("RESET ALL; ALTER TABLE public.users ADD COLUMN x int;", "public.users"),
    "a sequence": ("SELECT nextval('public.counter');", "public.counter"),
    "setval": ("SELECT setval('public.counter', 7);", "public.counter"),
    "a program": ("COPY mine TO PROGRAM 'cat >/dev/null';", "COPY"),
    "an index": (
        "-- chatdb: transactional: false\nCREATE INDEX CONCURRENTLY i ON public.users (note);",
        "public.users",
    ),
    "a publication": ("CREATE PUBLICATION p FOR ALL TABLES;", "p"),
    "a login elsewhere": ("CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (a 'b');", "far"),
    "a cast": ("CREATE CAST (text AS public.mood) WITH INOUT;", "mood"),
}  # fmt: skip


@pytest.fixture(scope="module")
def outside(server: Server) -> Any:
    """A database of which no object may change."""
    database = server.create()
    database.execute(OUTSIDE)
    yield database
    database.drop()


CATALOG = """\
SELECT (SELECT array_agg((oid, relname, relnamespace, xmin) ORDER BY oid) FROM pg_class WHERE {0}),
       (SELECT array_agg((oid, proname, xmin) ORDER BY oid) FROM pg_proc WHERE oid > 16383
          AND pronamespace <> coalesce(to_regnamespace('test')::oid, 0)),
       (SELECT array_agg((attrelid, attnum, attname, attisdropped) ORDER BY 1) FROM pg_attribute
          WHERE attrelid IN (SELECT oid FROM pg_class WHERE {0})),
       (SELECT array_agg(u::text) FROM public.users u), (SELECT count(*) FROM other.t),
       (SELECT last_value FROM public.counter), (SELECT array_agg(nspname ORDER BY 1) FROM pg_namespace
          WHERE nspname !~ '^pg_' AND nspname <> 'test')""".format(
    "oid > 16383 AND relnamespace::regnamespace::text IN ('public', 'other')"
)


def setup(project: Project, database: Database, name: str = "test", **flags: str) -> Any:
    return make_test_schema(
        open_target(settings_for_tests(database.settings(**flags), name)), project.sql
    ).run


@on_first_server
def test_a_file_that_changes_another_schema_fails_with_line_and_object_and_is_rolled_back(
    project: Project, outside: Database, places: Iterator[int]
) -> None:
    before = outside.query(CATALOG)
    for at in takewhile(len(HOSTILE).__ge__, places):
        case, (sql, changed) = list(HOSTILE.items())[at - 1]
        directive, _, sql = sql.rpartition("\n")
        head = f"{directive}\n{GOOD}\n\n"
        project.write("0001_bad", f"{head}{sql}\n")
        with pytest.raises(ChatdbError) as caught:
            setup(project, outside)
        error = caught.value
        assert (error.code, error.exit) == (Code.REFUSED, 8), (case, error.message)
        assert error.place is not None, case
        place = (error.place.file.name, error.place.line)
        assert place == ("0001_bad.sql", head.count("\n") + 1), case
        assert changed.rpartition(".")[2] in error.message, case
        assert outside.query(CATALOG) == before, case


@on_first_server
def test_a_refused_file_reports_what_was_rolled_back(project: Project, outside: Database) -> None:
    project.write("0001_good", GOOD)
    project.write("0002_bad", "DROP TABLE IF EXISTS users CASCADE;")
    with pytest.raises(MigrationError) as caught:
        setup(project, outside)
    assert [s.state for s in caught.value.run.steps] == ["applied", "failed"]
    assert caught.value.notes[-1] == "0002 was rolled back; 0001 stays applied"
    assert "must be owner of table users" in caught.value.message


@pytest.fixture
def around(database: Database) -> Database:
    database.execute(OUTSIDE)
    return database


def test_a_file_that_stays_inside_passes_while_others_create_and_drop_tables(
    project: Project, around: Database
) -> None:
    project.write("0001_good", GOOD)
    project.write(
        "0002_extension", "CREATE EXTENSION pg_trgm; CREATE EXTENSION hstore SCHEMA public;"
    )
    index = "CREATE INDEX ON mine USING gin (note gin_trgm_ops);"
    project.write("0003_slow", f"SELECT pg_sleep(0.3); {index}")
    index = "CREATE INDEX CONCURRENTLY i ON mine (note);"
    alone = f"-- chatdb: transactional: false\n{index}\nVACUUM mine;\nDROP INDEX CONCURRENTLY i;"
    project.write("0004_alone", alone)
    done = threading.Event()
    created: list[str] = []

    def busy() -> None:
        with around.connect() as conn:
            while not done.is_set():
                created.append(f"busy_{len(created)}")
                conn.execute(f"CREATE TABLE {created[-1]} (id serial PRIMARY KEY, note text)")
                conn.execute(f"INSERT INTO {created[-1]} VALUES (1)")
                conn.execute("ANALYZE")
                conn.execute(f"VACUUM {created[-1]}")
                conn.execute(
                    "CREATE OR REPLACE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 3'"
                )

    other = threading.Thread(target=busy)
    other.start()
    try:
        run = setup(project, around, retries="0")
    finally:
        done.set()
        other.join()
    assert [s.state for s in run.steps] == ["applied"] * 4
    assert created
    assert around.tables("test") == {"mine"}
    assert around.query("SELECT count(*) FROM test.mine") == [(0,)]
    assert len(around.query("SELECT FROM public.users")) == 2


def test_the_shipped_schema_passes_beside_a_copy_of_itself(database: Database) -> None:
    target = open_target(settings_for_tests(database.settings(), "test"))
    for _ in range(2):
        assert (
            make_test_schema(target, SHIPPED).run.current
            == max(p.name for p in (SHIPPED / "up").iterdir())[:4]
        )
    assert "messages" in database.tables("test")
    assert database.tables() == set()


# --- reset and emptied ----------------------------------------------------------------------------

TABLE = "SELECT 'test.mine'::regclass::oid"


@on_first_server
def test_the_same_files_empty_the_test_schema_and_others_rebuild_it(
    project: Project, around: Database
) -> None:
    project.write("0001_good", GOOD)
    assert len(setup(project, around).steps) == 1
    table = around.query(TABLE)
    for _ in range(2):
        around.execute("INSERT INTO test.mine (note) VALUES ('x')")
        assert around.query("SELECT id FROM test.mine") == [(1,)]
        run = setup(project, around)
        assert (run.steps, run.current) == ((), "0001")
        assert around.query(TABLE) == table
        assert around.query("SELECT count(*) FROM test.mine") == [(0,)]
    project.write("0002_more", "CREATE TABLE more (id int);")
    assert len(setup(project, around).steps) == 2
    assert around.query(TABLE) != table
    table = around.query(TABLE)
    project.write("0002_more", "CREATE TABLE other_name (id int);")
    assert len(setup(project, around).steps) == 2
    assert around.tables("test") == {"mine", "other_name"}
    assert len(setup(project, around, 'Odd; "one').steps) == 2
    assert around.tables('Odd; "one') == {"mine", "other_name"}


@on_first_server
@pytest.mark.parametrize("name", ["public", "other", "foreign"])
def test_a_schema_that_chatdb_did_not_create_is_left_alone(
    name: str, project: Project, around: Database
) -> None:
    around.execute('CREATE SCHEMA "foreign"; COMMENT ON SCHEMA "foreign" IS \'mine\'')
    before = around.query(CATALOG)
    project.write("0001_good", GOOD)
    with pytest.raises(ChatdbError) as caught:
        setup(project, around, name)
    assert (caught.value.code, caught.value.exit) == (Code.REFUSED, 8)
    assert "the argument name" in (caught.value.hint or "")
    assert around.query(CATALOG) == before


@on_first_server
def test_an_object_outside_that_depends_on_the_test_schema_prevents_its_reset(
    project: Project, around: Database
) -> None:
    project.write("0001_good", GOOD)
    setup(project, around)
    around.execute("CREATE VIEW other.v AS SELECT * FROM test.mine")
    project.write("0002_more", "")
    with pytest.raises(ChatdbError) as caught:
        setup(project, around)
    assert caught.value.exit == 8
    assert "view other.v" in caught.value.message
    assert around.query("SELECT count(*) FROM other.v") == [(0,)]
    around.execute("DROP VIEW other.v")
    assert len(setup(project, around).steps) == 2


@on_first_server
def test_concurrent_test_setups_wait_for_each_other(project: Project, around: Database) -> None:
    project.write("0001_good", GOOD)
    with ThreadPoolExecutor(3) as pool:
        runs = list(pool.map(lambda _: setup(project, around), range(3)))
    assert sorted(len(run.steps) for run in runs) == [0, 0, 1]


@on_first_server
def test_an_incomplete_test_schema_is_created_again(project: Project, around: Database) -> None:
    project.write("0001_good", GOOD)
    project.write("0002_bad", "SELECT nope")
    with pytest.raises(MigrationError):
        setup(project, around)
    project.write("0002_bad", "SELECT 1")
    assert [s.state for s in setup(project, around).steps] == ["applied", "applied"]


# --- the command ----------------------------------------------------------------------------------


@on_first_server
def test_setup_test_creates_the_test_schema(
    project: Project, around: Database, server: Server, offline: Chatdb, monkeypatch: Any
) -> None:
    project.write(
        "0001_good",
        GOOD.replace("citext", "text").replace("SELECT note FROM public.users", "SELECT 'x'"),
    )
    monkeypatch.setenv("DATABASE_URL", around.url)
    result = offline("setup", "--test")
    assert (result.code, result.out) == (0, "1 applied; current 0001\nemptied 1 table\n"), (
        result.err
    )
    assert "schema test (DATABASE_URL from the environment)" in result.err
    result = offline("setup", "--test", "--name", "t2", "--format", "json")
    assert result.document["schema"] == "t2"
    missing = Database(server, "t_setup_test")
    (project.path / ".env").write_text(f"TEST_DATABASE_URL={missing.url}\n")
    try:
        result = offline("setup", "--test")
        assert result.code == 0, result.err
        assert "TEST_DATABASE_URL from ./.env" in result.err
        assert missing.tables("test") == {"mine"}
    finally:
        missing.drop()
    for wrong in (["--name", "x"], ["--test", "--name", "pg_x"]):
        assert offline("setup", *wrong).code == 2


PROTECTED = ("setup --test", "migrate repair", "migrate redo", "migrate down", "server destroy")


@on_first_server
def test_production_needs_yes(
    project: Project, chatdb: Chatdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write_tables(1)
    assert chatdb("migrate", "up").code == 0
    for command in PROTECTED:
        if command == "migrate repair":
            (project.sql / "up" / "0001_t1.sql").write_text("CREATE TABLE t1 (id bigint);")
        if command == "server destroy":
            assert chatdb("server", "start").code == 0
        with monkeypatch.context() as patch:
            patch.setenv("CHATDB_ENV", "production")
            result = chatdb(*command.split())
            assert (result.code, result.out) == (8, ""), (command, result.err)
            assert "--yes" in result.err
            assert chatdb(*command.split(), "--yes").code == 0, command


@on_first_server
def test_a_down_of_an_irreversible_migration_is_refused(
    project: Project, database: Database, chatdb: Chatdb
) -> None:
    project.write(
        "0001_t", "-- chatdb: irreversible: rows are merged\nCREATE TABLE t (id int);", None
    )
    assert chatdb("migrate", "up").code == 0
    for command in ("down", "redo", "down --allow-data-loss --yes"):
        result = chatdb("migrate", *command.split())
        assert (result.code, result.out) == (8, "")
        assert "0001_t is irreversible: rows are merged" in result.err
    assert database.tables() == {"t"}


@pytest.mark.parametrize("test", [False, True], ids=["setup", "setup --test"])
def test_a_lost_connection_is_reported_and_the_next_run_continues(
    project: Project, database: Database, test: bool
) -> None:
    project.write_tables(1, 2)

    def work(url: str) -> None:
        settings = load_settings({"database_url": url}, environ={})
        if test:
            make_test_schema(open_target(settings_for_tests(settings, "test")), project.sql)
        else:
            create_database(open_target(settings))

    def cut(connection: int, kind: str, number: int) -> bool:
        del kind
        return (connection, number) != (1, last)

    lost = 0
    for last in range(2, 100):  # noqa: B007  (the proxy reads it)
        with Proxy(socket_of(database.server), on_message=cut) as proxy:
            try:
                work(proxy.url(database.name))
            except ChatdbError as error:
                assert (error.code, error.exit) == (Code.LOST, 3)  # noqa: PT017
                lost += 1
            else:
                break
    assert lost > (3 if test else 0)
    work(database.url)
