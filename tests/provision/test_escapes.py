"""Promises about what leaves a test schema: nothing, whatever a file does."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from typing import Any, NamedTuple

import psycopg
import pytest

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.postgres.target import open_target
from chatdb_cli.provision.model import SetupForTests
from chatdb_cli.provision.test_schema import make_test_schema, settings_for_tests
from chatdb_cli.settings.load import load_settings
from tests.support.database import Database
from tests.support.project import Project
from tests.support.servers import Server, allow_logins

ROLES = ("escape_app", "escape_group", "escape_gone")
LOGINS = {
    "may create roles": "CREATEROLE",
    "may create databases": "CREATEDB",
    "may do neither": "",
}
OUTSIDE = """
CREATE EXTENSION citext;
CREATE TABLE users (id int PRIMARY KEY, note text);
INSERT INTO users VALUES (1, 'a'), (2, 'b');
CREATE TABLE audit (at timestamptz, what text);
CREATE TABLE orders (id serial, x int);
CREATE VIEW seen AS SELECT * FROM users;
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION deletes() RETURNS int LANGUAGE sql SECURITY DEFINER
  AS 'DELETE FROM public.users; SELECT 1';
CREATE TYPE mood AS ENUM ('good');
CREATE DOMAIN pos AS int CONSTRAINT pos_check CHECK (VALUE > 0);
CREATE SCHEMA other;
CREATE TABLE other.t (id serial, note text);
CREATE SEQUENCE counter;
CREATE PUBLICATION pub FOR TABLE users;
SELECT lo_from_bytea(4242, 'abc');
CREATE TEXT SEARCH CONFIGURATION tsc (COPY = english);
CREATE OPERATOR FAMILY fam USING btree;
CREATE STATISTICS st ON id, note FROM users;
CREATE TABLE part (id int) PARTITION BY RANGE (id);
"""
# What a file does to something outside; {db} is the database.
REFUSED = (
    "COMMENT ON DATABASE {db} IS 'x';",
    "COMMENT ON FUNCTION public.f() IS 'x';",
    "COMMENT ON CONSTRAINT pos_check ON DOMAIN public.pos IS 'x';",
    "COMMENT ON ROLE escape_app IS 'x';",
    "COMMENT ON LARGE OBJECT 4242 IS 'x';",
    "ALTER DATABASE {db} CONNECTION LIMIT 33;",
    "ALTER DATABASE {db} SET work_mem = '5MB';",
    "ALTER DATABASE {db} OWNER TO escape_app;",
    "GRANT CREATE ON DATABASE {db} TO escape_app;",
    "REVOKE CONNECT ON DATABASE {db} FROM PUBLIC;",
    "GRANT CREATE ON SCHEMA public TO PUBLIC;",
    "REVOKE USAGE ON TYPE public.mood FROM PUBLIC;",
    "ALTER ROLE escape_app SUPERUSER;",
    "ALTER ROLE escape_app SET statement_timeout = '5s';",
    "ALTER ROLE CURRENT_USER SET work_mem = '5MB';",
    "ALTER ROLE ALL SET work_mem = '5MB';",
    "GRANT escape_group TO escape_app;",
    "CREATE ROLE escape_new; GRANT escape_new TO escape_app;",
    "CREATE ROLE escape_new ROLE escape_app;",
    "CREATE ROLE escape_new IN ROLE escape_group;",
    "DROP ROLE escape_gone;",
    "ALTER ROLE escape_gone RENAME TO escape_gone2;",
    "DO $$ BEGIN EXECUTE 'ALTER ROLE escape_app CREATEDB'; END $$;",
    "REASSIGN OWNED BY escape_app TO escape_group;",
    "SELECT lo_put(4242, 0, 'changed');",
    "SELECT lo_unlink(4242);",
    "SELECT lo_from_bytea(0, 'x');",
    "ALTER PUBLICATION pub ADD TABLE public.audit;",
    "CREATE PUBLICATION mine FOR TABLE public.audit;",
    "CREATE ACCESS METHOD am TYPE INDEX HANDLER bthandler;",
    "CREATE SUBSCRIPTION s CONNECTION 'dbname=x' PUBLICATION p WITH (connect = false);",
    "ALTER TEXT SEARCH CONFIGURATION public.tsc DROP MAPPING FOR word;",
    "ALTER OPERATOR FAMILY public.fam USING btree RENAME TO fam2;",
    "ALTER STATISTICS public.st RENAME TO st2;",
    "ALTER EXTENSION citext ADD FUNCTION public.f();",
    "ALTER EXTENSION citext DROP FUNCTION public.citext_eq(citext, citext);",
    "ALTER EXTENSION citext SET SCHEMA test;",
    "DROP EXTENSION citext CASCADE;",
    "CREATE EXTENSION hstore; CREATE TRANSFORM FOR public.hstore LANGUAGE plpgsql "
    "(FROM SQL WITH FUNCTION public.nope(internal));",
    "SELECT pg_create_physical_replication_slot('escape');",
    "SELECT setval(pg_get_serial_sequence('public.orders', 'id'), 7);",
    "SELECT nextval(('public' || '.counter')::regclass);",
    "DO 'BEGIN PERFORM setval(''public.counter'', 888); END';",
    "SELECT * FROM public.users FOR UPDATE;",
    "SELECT public.deletes();",
    "CREATE TABLE kid () INHERITS (public.users);",
    "CREATE TABLE public.child (id int);",
    "CREATE TABLE inside PARTITION OF public.part DEFAULT;",
    "CREATE TABLE m (id int); CREATE RULE r AS ON INSERT TO m DO ALSO "
    "INSERT INTO public.audit VALUES (now(), 'x'); INSERT INTO m VALUES (1);",
    "CREATE RULE r AS ON INSERT TO _yoyo_migration DO ALSO DELETE FROM public.users;",
    "CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM public.users; "
    "RETURN NULL; END $$; CREATE CONSTRAINT TRIGGER t AFTER UPDATE ON chatdb_migration "
    "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION t();",
    "CREATE TABLE m (id int); CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "DELETE FROM public.users; RETURN NULL; END $$; CREATE CONSTRAINT TRIGGER t AFTER INSERT ON m "
    "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION t(); INSERT INTO m VALUES (1);",
    "CREATE TEMP VIEW pg_locks AS SELECT * FROM pg_catalog.pg_locks WHERE false; "
    "DELETE FROM public.users;",
    "RESET ROLE; DELETE FROM public.users;",
    "SET ROLE NONE; DELETE FROM public.users;",
    "SELECT set_config('role', 'none', true); DELETE FROM public.users;",
    "DO $$ BEGIN RESET SESSION AUTHORIZATION; DELETE FROM public.users; END $$;",
    "SAVEPOINT a; DELETE FROM public.users; RELEASE a;",
    "ALTER FUNCTION chatdb_file() SECURITY INVOKER; DELETE FROM public.users;",
    "SET session_replication_role = replica; DELETE FROM public.users;",
    "INSERT INTO pg_catalog.pg_description SELECT 'public.users'::regclass, "
    "'pg_class'::regclass, 0, 'z';",
    "CREATE FUNCTION e() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$; "
    "CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION e();",
    "CREATE EXTENSION postgres_fdw; CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw;",
    "DO $$ BEGIN EXECUTE 'COPY (SELECT 1) TO ''/tmp/escape'''; END $$;",
    "SELECT pg_reload_conf();",
    "DROP SCHEMA test CASCADE;",
    "COMMENT ON SCHEMA test IS 'x';",
    "-- chatdb: transactional: false\nCREATE DATABASE escape_x;",
    "-- chatdb: transactional: false\nCREATE TABLE a (i int);\nDELETE FROM public.users;",
    "-- chatdb: transactional: false\nCREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN "
    "DELETE FROM public.users; COMMIT; END $$;\nCALL p();",
    "-- chatdb: transactional: false\nALTER SYSTEM SET work_mem = '5MB';",
)
# The error of a procedure is shown at the statement in its text.
LINES = {REFUSED[-2]: 2}
# What stays inside.
TAKEN = (
    "CREATE TYPE price AS RANGE (subtype = numeric);",
    "CREATE TYPE point2 AS (x int, y int); CREATE CAST (point2 AS text) WITH INOUT;",
    "CREATE TABLE kid (m public.mood, p public.pos);",
    "CREATE TEXT SEARCH CONFIGURATION mine (COPY = english);",
    "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC;",
    "CREATE TABLE m (id int); SAVEPOINT a; INSERT INTO m VALUES (1); ROLLBACK TO a; RELEASE a; "
    "INSERT INTO m VALUES (2);",
    "CREATE TABLE m (id int); CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
    "DELETE FROM public.users; RETURN NULL; END $$; "
    "CREATE TRIGGER t AFTER TRUNCATE ON m EXECUTE FUNCTION t(); INSERT INTO m VALUES (1);",
    "CREATE TABLE m (id int); COMMENT ON TABLE m IS 'it''s \\ here'; COMMENT ON COLUMN m.id IS 'x';",
    "CREATE ROLE escape_made NOLOGIN; CREATE ROLE escape_made2; GRANT escape_made TO escape_made2; "
    "ALTER ROLE escape_made SET work_mem = '5MB'; COMMENT ON ROLE escape_made2 IS 'x'; "
    "CREATE TABLE m (id int); GRANT SELECT ON m TO escape_made; DROP ROLE escape_made2;",
    "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'escape_made') THEN "
    "CREATE ROLE escape_made NOLOGIN; END IF; EXECUTE format('CREATE EXTENSION %I', 'hstore'); END $$; "
    "CREATE TABLE m (h hstore);",
    "CREATE EXTENSION hstore; CREATE TABLE m (h hstore, e citext);",
    "-- chatdb: transactional: false\nCREATE TABLE v (i int PRIMARY KEY);\n"
    "REINDEX (CONCURRENTLY) TABLE v;\nVACUUM v;",
    "-- chatdb: transactional: false\nCREATE TYPE st AS ENUM ('a');\nCREATE TABLE c (s st);\n"
    "ALTER TYPE st ADD VALUE 'b';\nINSERT INTO c VALUES ('b');",
    "-- chatdb: transactional: false\nCREATE TABLE q (i int) PARTITION BY RANGE (i);\n"
    "CREATE TABLE q1 PARTITION OF q FOR VALUES FROM (0) TO (9);\n"
    "ALTER TABLE q DETACH PARTITION q1 CONCURRENTLY;",
)  # fmt: skip
_IGNORED = ("pg_statistic", "pg_depend", "pg_shdepend", "pg_statistic_ext_data", "pg_init_privs")
_CATALOGS = f"""\
SELECT relname FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind = 'r'
  AND relname <> ALL (ARRAY{list(_IGNORED)!r})"""


class Outside(NamedTuple):
    """A database of which no object may change, and the roles of its server."""

    database: Database

    def rows(self) -> dict[str, set[str]]:
        """Return every row of every catalog, and what the tables, sequences and large objects hold."""
        with self.database.connect() as conn:
            rows = {
                name: _texts(conn, f"SELECT (t.ctid, t.*)::text FROM pg_catalog.{name} t")
                for (name,) in conn.execute(_CATALOGS).fetchall()
                if name != "pg_class"
            }
            rows["pg_class"] = _texts(
                conn, "SELECT (oid, relname, relnamespace, relowner, relacl)::text FROM pg_class"
            )
            for table in ("users", "audit", "orders", "other.t"):
                rows[table] = _texts(conn, f"SELECT t::text FROM {table} t")
            rows["counter"] = _texts(
                conn, "SELECT (last_value, is_called)::text FROM counter UNION ALL "
                "SELECT (last_value, is_called)::text FROM orders_id_seq"
            )  # fmt: skip
            rows["4242"] = _texts(conn, "SELECT lo_get(4242)::text")
            rows["slots"] = _texts(conn, "SELECT slot_name::text FROM pg_replication_slots")
            return rows

    def without_test_schema(self, project: Project) -> dict[str, set[str]]:
        """Return the rows where the role of the test schema exists, and the schema does not."""
        project.write("0001_first", "")
        setup(project, self.database)
        self.database.execute("DROP SCHEMA test CASCADE")
        return self.rows()

    def drop_test_schema(self) -> None:
        self.database.execute(
            "DROP SCHEMA IF EXISTS test CASCADE; DO $$ DECLARE r name; BEGIN FOR r IN "
            "SELECT rolname FROM pg_roles WHERE rolname ~ '^chatdb_test_' LOOP EXECUTE format("
            "'DROP OWNED BY %1$I; DROP ROLE %1$I', r); END LOOP; END $$"
        )


def _texts(conn: psycopg.Connection[Any], query: str) -> set[str]:
    return {row[0] for row in conn.execute(query).fetchall()}


@pytest.fixture
def exhaustive(request: pytest.FixtureRequest) -> bool:
    """Whether the database is looked at after every file, rather than after all of them."""
    return bool(request.config.getoption("--long"))


@pytest.fixture(scope="module")
def outside(server: Server) -> Iterator[Outside]:
    database = server.create()
    database.execute(OUTSIDE)
    for role in ROLES:
        server.execute(f"CREATE ROLE {role}")
    for name, attribute in LOGINS.items():
        server.execute(f'CREATE ROLE "{name}" LOGIN {attribute}')
        database.execute(f'GRANT CREATE ON DATABASE {database.name} TO "{name}"')
    with allow_logins(server, "local all all trust"):
        yield Outside(database)
    database.drop()
    made = server.query_one(
        "SELECT string_agg(quote_ident(rolname), ', ') FROM pg_roles "
        "WHERE rolname ~ '^escape_|^chatdb_test_test_|^may '"
    )
    server.execute(f"DROP ROLE {made}")


def setup(project: Project, database: Database, role: str | None = None) -> SetupForTests:
    url = database.url if role is None else database.url.replace("postgres@", f"{role}@", 1)
    settings = load_settings({"database_url": url.replace(" ", "%20")}, environ={})
    return make_test_schema(open_target(settings_for_tests(settings, "test")), project.sql)


def _lost(before: dict[str, set[str]], after: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return the rows that changed or are gone; what was added belongs to the test schema."""
    return {name: rows - after[name] for name, rows in before.items() if rows - after[name]}


def test_a_file_that_reaches_outside_is_undone_and_refused_with_its_line(
    project: Project, outside: Outside, places: Iterator[int], exhaustive: bool
) -> None:
    before = outside.without_test_schema(project)
    for at in takewhile(len(REFUSED).__ge__, places):
        sql = REFUSED[at - 1].replace("{db}", outside.database.name)
        directive, _, rest = sql.rpartition("\n")
        project.write("0001_first", f"{directive}\n{rest}")
        with pytest.raises(ChatdbError) as caught:
            setup(project, outside.database)
        error = caught.value
        assert (error.code, error.exit) == (Code.REFUSED, 8), (sql, error.message)
        assert error.place is not None
        assert error.place.line == LINES.get(sql, f"{directive}\n{rest}".count("\n") + 1), sql
        assert error.hint, sql
        if exhaustive:
            assert _lost(before, outside.rows()) == {}, sql
    assert _lost(before, outside.rows()) == {}


def test_what_stays_inside_is_taken(
    project: Project, outside: Outside, places: Iterator[int], exhaustive: bool
) -> None:
    before = outside.without_test_schema(project)
    for at in takewhile(len(TAKEN).__ge__, places):
        sql = TAKEN[at - 1]
        directive, _, rest = sql.rpartition("\n")
        project.write("0001_first", f"{directive}\n{rest}")
        assert [s.state for s in setup(project, outside.database).run.steps] == ["applied"], sql
        if exhaustive:
            assert _lost(before, outside.rows()) == {}, sql
        outside.database.execute("DROP EXTENSION IF EXISTS hstore CASCADE")
    assert _lost(before, outside.rows()) == {}


def test_the_rights_of_the_role_that_migrates_decide_what_confines_the_files(
    project: Project, outside: Outside
) -> None:
    before = outside.rows()
    outside.drop_test_schema()
    outside.database.execute("GRANT ALL ON public.users TO PUBLIC")
    granted = outside.rows()
    try:
        for role, contained in (("may create roles", "rights"), ("may do neither", "watch")):
            project.write("0001_first", "CREATE TABLE t (id int); INSERT INTO t VALUES (1);")
            made = setup(project, outside.database, role)
            assert (made.contained, made.emptied) == (contained, ("t",))
            assert bool(made.warnings) == (contained == "watch")
            project.write("0001_first", "DELETE FROM public.users;")
            with pytest.raises(ChatdbError) as caught:
                setup(project, outside.database, role)
            assert caught.value.exit == 8
            assert "public.users" in caught.value.message
            assert outside.rows()["users"] == before["users"]
            outside.drop_test_schema()
        with pytest.raises(ChatdbError) as caught:
            setup(project, outside.database, "may create databases")
        assert caught.value.exit == 8
        assert "setup_test_database()" in (caught.value.hint or "")
        assert outside.database.query("SELECT FROM pg_namespace WHERE nspname = 'test'") == []
    finally:
        outside.database.execute("REVOKE ALL ON public.users FROM PUBLIC")
    assert {"users": granted["users"]} == {"users": before["users"]}


def test_an_event_trigger_of_the_database_is_named(project: Project, database: Database) -> None:
    database.execute(
        "CREATE TABLE log (at timestamptz); CREATE FUNCTION note() RETURNS event_trigger "
        "LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.log VALUES (now()); END $$; "
        "CREATE EVENT TRIGGER audit ON ddl_command_end EXECUTE FUNCTION note()"
    )
    project.write("0001_t", "CREATE TABLE t (id int);")
    try:
        with pytest.raises(ChatdbError) as caught:
            setup(project, database)
        assert caught.value.exit == 8
        assert "event trigger audit (function public.note)" in " ".join(caught.value.notes)
    finally:
        database.execute("DROP EVENT TRIGGER audit")
