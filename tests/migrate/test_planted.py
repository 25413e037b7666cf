"""What another role has planted in the schema is never run by chatdb's own statements.

PostgreSQL 14 lets everybody create objects in `public`, and a database that was upgraded still does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import psycopg
import pytest

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.events.listener import Listener
from chatdb_cli.migrate.migrator import Migrator
from chatdb_cli.postgres.target import open_target
from chatdb_cli.settings.load import load_settings
from tests.support.chatdb import Chatdb
from tests.support.database import Database
from tests.support.paths import ROOT, SHIPPED
from tests.support.pooler import PGBOUNCER, pooled
from tests.support.project import Project
from tests.support.servers import Server, allow_logins

OWNER, INTRUDER = "planted_owner", "planted_intruder"
WAYS = [
    "straight",
    pytest.param(
        "pooled", marks=pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed")
    ),
]
STATEMENTS = "".join(path.read_text() for path in (ROOT / "chatdb_cli").rglob("queries.py"))
WORDS = sorted(set(re.findall(r"\b([a-z][a-z0-9_]+)\b", STATEMENTS)))
# A copy of everything in pg_catalog that a statement could name, each of which raises an error when it
# is used; and operators for pairs of types for which pg_catalog has none, which fit better than a cast.
PLANTS = """
CREATE FUNCTION public.planted_now(what text) RETURNS bool LANGUAGE plpgsql AS
  $$ BEGIN RAISE LOG 'planted: %', what; RAISE EXCEPTION 'planted: %', what; END $$;
CREATE FUNCTION public.events_since(text, int) RETURNS TABLE (cursor text) LANGUAGE plpgsql AS
  $$ BEGIN PERFORM public.planted_now('events_since'); END $$;
DO $do$
DECLARE
  o record; n int := 0; arguments text; body text;
  kinds pg_catalog.regtype[] := '{text,varchar,bpchar,name,"char",int2,int4,int8,numeric,float8,oid,bool,
    timestamptz,interval,json,jsonb,text[],oid[],regclass,regtype,regnamespace,xid,tid}';
BEGIN
  FOR o IN
    SELECT oprname, oprleft, oprright, oprresult FROM pg_operator
    WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprname = ANY (:operators)
      AND oprleft::regtype::text !~ 'internal|cstring' AND oprright::regtype::text !~ 'internal|cstring'
      AND (oprleft = 0 OR oprleft = ANY (kinds) OR oprleft::regtype::text ~ '^any')
      AND (oprright = ANY (kinds) OR oprright::regtype::text ~ '^any')
    UNION
    SELECT name, a, b, 'bool'::regtype
    FROM unnest(:operators) name, unnest(kinds) a, unnest(kinds) b
    WHERE name = ANY ('{=,<>,<,>,<=,>=,~,+,-,*,/}')
      AND (a::text, b::text) IN (('name', 'text'), ('text', 'name'), ('varchar', 'text'),
        ('character varying', 'text'), ('text', 'character varying'), ('name', 'character varying'),
        ('numeric', 'integer'), ('integer', 'numeric'), ('oid', 'integer'), ('oid', 'regclass'),
        ('regclass', 'oid'), ('"char"', 'text'), ('"char"', 'character varying'), ('bigint', 'numeric'))
  LOOP
    n := n + 1;
    arguments := concat_ws(', ', nullif(o.oprleft, 0)::regtype::text, o.oprright::regtype::text);
    body := format('BEGIN PERFORM public.planted_now(%L); RETURN NULL; END',
                   format('operator %s(%s)', o.oprname, arguments));
    BEGIN
      EXECUTE format('CREATE FUNCTION public.plant_%s(%s) RETURNS %s LANGUAGE plpgsql AS %L',
                     n, arguments, o.oprresult::regtype, body);
      EXECUTE format('CREATE OPERATOR public.%s (%s RIGHTARG = %s, FUNCTION = public.plant_%s)',
                     o.oprname,
                     CASE WHEN o.oprleft <> 0 THEN format('LEFTARG = %s,', o.oprleft::regtype) END,
                     o.oprright::regtype, n);
    EXCEPTION WHEN duplicate_function OR invalid_function_definition OR undefined_object
                OR datatype_mismatch THEN NULL;
    END;
  END LOOP;
  FOR o IN
    SELECT proname, pg_get_function_identity_arguments(oid) AS arguments, prorettype, proretset
    FROM pg_proc
    WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind IN ('f', 'a', 'w')
      AND proname = ANY (:words)
  LOOP
    body := format('BEGIN PERFORM public.planted_now(%L); END',
                   format('function %s(%s)', o.proname, o.arguments));
    BEGIN
      EXECUTE format('CREATE FUNCTION public.%I(%s) RETURNS %s %s LANGUAGE plpgsql AS %L',
                     o.proname,
                     replace(replace(o.arguments, 'ORDER BY', ','), '"any"', 'anyelement'),
                     CASE WHEN o.proretset THEN 'SETOF' END, o.prorettype::regtype, body);
    EXCEPTION WHEN OTHERS THEN NULL;  -- of internal types, or of OUT parameters
    END;
  END LOOP;
  FOR o IN
    SELECT typname FROM pg_type
    WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype = 'b' AND typelem = 0
      AND typname = ANY (:words)
  LOOP
    EXECUTE format('CREATE DOMAIN public.%I AS pg_catalog.%I CHECK (public.planted_now(%L))',
                   o.typname, o.typname, 'type ' || o.typname);
  END LOOP;
  FOR o IN
    SELECT relname FROM pg_class
    WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind IN ('r', 'v')
      AND relname = ANY (:words)
      AND has_table_privilege(oid, 'SELECT')
      AND NOT EXISTS (SELECT FROM pg_attribute
                      WHERE attrelid = pg_class.oid AND atttypid = 'anyarray'::regtype)
  LOOP
    EXECUTE format(
      'CREATE VIEW public.%I AS SELECT * FROM pg_catalog.%I WHERE public.planted_now(%L)',
      o.relname, o.relname, 'relation ' || o.relname);
  END LOOP;
END $do$;
"""
OPERATORS = [
    "=",
    "<>",
    "<",
    ">",
    "<=",
    ">=",
    "+",
    "-",
    "*",
    "/",
    "%",
    "||",
    "~",
    "!~",
    "->",
    "->>",
    "~~",
    "&",
    "#",
    "@>",
]


@contextmanager
def as_role(database: Database, role: str) -> Iterator[psycopg.Connection[object]]:
    """A superuser's connection that acts as another role."""
    with database.connect() as conn:
        conn.execute(f"SET SESSION AUTHORIZATION {role}; SET search_path = pg_catalog, pg_temp")
        yield conn


@pytest.fixture
def owner_url(server: Server, database: Database) -> Iterator[str]:
    """The URL of a role that owns nothing yet, in a database where others may create objects."""
    with allow_logins(server, f"local all {OWNER} trust", f"local all {INTRUDER} trust"):
        database.execute(f"CREATE ROLE {OWNER} LOGIN; CREATE ROLE {INTRUDER} LOGIN")
        database.execute(
            f"GRANT CREATE, USAGE ON SCHEMA public TO PUBLIC; "
            f"GRANT CREATE ON DATABASE {database.name} TO {OWNER}"
        )
        try:
            yield database.url.replace("postgres@", f"{OWNER}@", 1)
        finally:
            for role in (INTRUDER, OWNER):
                database.execute(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


def plant(database: Database) -> None:
    """Plant everything as the intruder; only a path with `public` first finds all of it."""
    with as_role(database, INTRUDER) as conn:
        sql = PLANTS
        for name, values in ((":operators", OPERATORS), (":words", WORDS)):
            sql = sql.replace(name, f"'{{{','.join(values)}}}'::text[]")
        conn.execute(sql.encode())
    database.execute(f"ALTER ROLE {OWNER} SET search_path = public, pg_catalog")


# Commands in the order in which they run, with their exit codes; None is any.
COMMANDS = (
    (0, "setup", "--allow-non-empty"),
    (0, "migrate", "status", "--check"),
    (0, "migrate", "history"),
    (0, "migrate", "down", "--allow-data-loss", "--yes"),
    (0, "migrate", "up"),
    (0, "migrate", "redo", "--yes", "--allow-data-loss"),
    (0, "migrate", "down", "--steps", "1", "--yes", "--allow-data-loss"),
    (0, "migrate", "down", "--to", "1", "--yes"),
    (0, "migrate", "up", "--dry-run"),
    (0, "migrate", "up"),
    (0, "migrate", "repair", "--yes"),
    (0, "migrate", "snapshot"),
    (0, "migrate", "lint", "--live"),
    (0, "counts", "--checksum"),
    (0, "counts", "t1"),
    (None, "health"),
    (None, "verify"),
    (0, "docs", "--output", "schema.md"),
    (0, "seed"),
    (0, "migrate", "down", "--all", "--yes", "--allow-data-loss"),
    (0, "migrate", "baseline", "2"),
    (0, "migrate", "mark", "3", "--yes"),
    (0, "migrate", "unmark", "3", "--yes"),
    (1, "migrate", "drift"),
    (0, "migrate", "rehearse"),
    (0, "setup", "--test"),
)
# The same of the chat schema, in a schema of its own that was made before.
SHIPPED_CHAT = ("--dir", str(SHIPPED), "--schema", "chat")
CHAT_COMMANDS = (
    (0, "migrate", "status", "--check", *SHIPPED_CHAT),
    (0, "seed", "--scale", "10", *SHIPPED_CHAT),
    (0, "counts", "--checksum", "--schema", "chat"),
    (None, "health", "--schema", "chat"),
    (None, "verify", *SHIPPED_CHAT),
    (0, "docs", "--output", "chat.md", "--schema", "chat"),
    (0, "migrate", "snapshot", "--schema", "chat"),
    (0, "migrate", "redo", "--yes", "--allow-data-loss", *SHIPPED_CHAT),
)


@pytest.mark.parametrize("way", WAYS)
def test_no_command_runs_what_another_role_has_planted(
    server: Server,
    database: Database,
    project: Project,
    offline: Chatdb,
    owner_url: str,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    project.write_tables(1, 2)
    outside = "-- chatdb: transactional: false\n" if way == "straight" else ""
    concurrently = "CONCURRENTLY" if way == "straight" else ""  # a pooler can't run it
    project.write(
        "0003_index",
        f"{outside}CREATE INDEX {concurrently} i ON t1 (id);\n",
        f"{outside}DROP INDEX {concurrently} i;\n",
    )
    (project.sql / "seed").mkdir()
    (project.sql / "seed" / "1_rows.sql").write_text("INSERT INTO t1 VALUES (1)")
    monkeypatch.setenv("CHATDB_SCHEMA", "public")
    monkeypatch.setenv("CHATDB_SCRATCH_URL", database.url)
    monkeypatch.setenv("DATABASE_URL", owner_url)
    assert offline("setup", "--allow-non-empty", *SHIPPED_CHAT).code == 0
    plant(database)
    log = server.embedded.home / "log"
    begin = log.stat().st_size
    with psycopg.connect(owner_url) as conn, pytest.raises(psycopg.Error, match="planted"):
        conn.execute("SELECT relname FROM pg_catalog.pg_class WHERE relname = 'x'")
    assert b"planted" in log.read_bytes()[begin:]  # so a plant that is run is seen
    begin = log.stat().st_size
    with pooled(database, user=OWNER) if way == "pooled" else nullcontext() as pooler:
        url = pooler.url(database.name) if pooler else owner_url
        monkeypatch.setenv("DATABASE_URL", url)
        for code, *words in COMMANDS + (CHAT_COMMANDS if pooler else ()):
            result = offline(*words)
            assert code in (None, result.code), (words, result.code, result.err)
            assert "planted:" not in result.err, (words, result.err)
            run = log.read_bytes()[begin:]
            assert b"planted:" not in run, (words, run[-3000:])
        check_listener(log, begin, url, project)


def check_listener(log: Path, begin: int, url: str, project: Project) -> None:
    settings = load_settings({"database_url": url}, environ={}, cwd=project.path)
    with pytest.raises(ChatdbError) as caught:
        Listener(open_target(settings))
    assert (caught.value.code, caught.value.exit) == (Code.REFUSED, 8)
    assert "would run with the rights of this role" in caught.value.message
    settings = load_settings({"database_url": url, "schema": "chat"}, environ={}, cwd=project.path)
    Listener(open_target(settings), owned=True).close()
    assert b"planted:" not in log.read_bytes()[begin:]


# Tables by the names of the history, each with something of their owner's that others would run.
PLANTED_TABLES = {
    "a trigger": """
        CREATE TABLE public.chatdb_migration (version numeric PRIMARY KEY, migration_id text,
            up_checksum text, down_checksum text, up_text text, down_text text, duration_ms int,
            unfinished text, statements_done text[], statement_begun text, relations_before text[],
            claimed_at timestamptz, client text, chatdb_version text);
        CREATE TABLE public._yoyo_migration (migration_id text, applied_at_utc timestamp);
        CREATE FUNCTION public.fire() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE 'planted: trigger'; END $$;
        CREATE TRIGGER fire BEFORE INSERT ON public.chatdb_migration EXECUTE FUNCTION public.fire()""",
    "a type with a cast": """
        CREATE TYPE public.id AS ENUM ('0001_t1');
        CREATE FUNCTION public.fire(public.id) RETURNS text LANGUAGE plpgsql AS
            $$ BEGIN RAISE 'planted: cast'; END $$;
        CREATE CAST (public.id AS text) WITH FUNCTION public.fire(public.id) AS IMPLICIT;
        CREATE TABLE public._yoyo_migration (migration_id public.id, applied_at_utc timestamp);
        INSERT INTO public._yoyo_migration VALUES ('0001_t1')""",
    "a policy": """
        CREATE TABLE public._yoyo_migration (migration_id text, applied_at_utc timestamp);
        CREATE FUNCTION public.fire() RETURNS bool LANGUAGE plpgsql AS
            $$ BEGIN RAISE 'planted: policy'; END $$;
        ALTER TABLE public._yoyo_migration ENABLE ROW LEVEL SECURITY;
        CREATE POLICY fire ON public._yoyo_migration USING (public.fire());
        INSERT INTO public._yoyo_migration VALUES ('0001_t1', now())""",
}


@pytest.mark.parametrize("planted", PLANTED_TABLES)
def test_tables_of_the_history_that_another_role_has_planted_are_refused_with_their_owner(
    database: Database,
    project: Project,
    offline: Chatdb,
    owner_url: str,
    monkeypatch: pytest.MonkeyPatch,
    planted: str,
) -> None:
    monkeypatch.setenv("DATABASE_URL", owner_url)
    with as_role(database, INTRUDER) as conn:
        conn.execute(PLANTED_TABLES[planted].encode())
        conn.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {OWNER}")
    project.write_tables(1, 2)
    # Another superuser is not a member of the role that owns the tables, either.
    for url in (owner_url, database.url):
        monkeypatch.setenv("DATABASE_URL", url)
        for words in (("up",), ("baseline", "1"), ("status", "--check"), ("history",)):
            result = offline("migrate", *words)
            assert "planted:" not in result.out + result.err, words
            is_read = words[0] in ("status", "history")
            if planted == "a trigger" and is_read:  # reading them runs nothing
                assert words[0] == "history" or result.code == 6
                assert words[0] == "history" or f"owner: {INTRUDER}" in result.out
            elif planted == "a policy" and url == owner_url and is_read:
                assert result.code, words
            elif planted != "a policy":
                assert result.code == 8, (words, result.err)
                assert f"(owner: {INTRUDER})" in result.err
                assert "revoke CREATE on the schema" in result.err.replace("\n", " ")
            else:
                assert result.code or is_read, words
    assert database.tables() == set()


def test_a_history_of_a_role_that_is_trusted_is_used(
    database: Database, project: Project, owner_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def migrate(url: str) -> None:
        settings = load_settings({"database_url": url}, environ={}, cwd=project.path)
        Migrator(open_target(settings), project.sql).up()

    project.write_tables(1)
    migrate(owner_url)
    project.write_tables(2)
    with pytest.raises(ChatdbError) as caught:
        migrate(database.url)  # a superuser would run the triggers of the owner
    assert (caught.value.code, caught.value.exit) == (Code.REFUSED, 8)
    database.execute(f"GRANT {OWNER} TO postgres")
    migrate(database.url)
    database.execute(f"REVOKE {OWNER} FROM postgres; GRANT {OWNER} TO {INTRUDER}")
    project.write_tables(3)
    migrate(owner_url.replace(OWNER, INTRUDER))  # a member of the role
    database.execute(f"REVOKE {OWNER} FROM {INTRUDER}; ALTER SCHEMA public OWNER TO {OWNER}")
    database.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {INTRUDER}")
    project.write_tables(4)
    migrate(owner_url.replace(OWNER, INTRUDER))  # the owner of the schema owns the history
    assert database.tables() == {"t1", "t2", "t3", "t4"}
    database.execute("ALTER SCHEMA public OWNER TO postgres")
