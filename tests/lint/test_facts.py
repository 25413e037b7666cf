"""What the rules believe about PostgreSQL, compared with PostgreSQL."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import psycopg

from chatdb_cli.lint.columns import STABLE, VOLATILE, keeps_rows
from chatdb_cli.lint.locks import strong_locks
from chatdb_cli.lint.rule import load_rules
from chatdb_cli.syntax.tree import model as sql
from chatdb_cli.syntax.tree.parse import Unreadable, parse_statements

if TYPE_CHECKING:
    from chatdb_cli.lint.rule import Rule
    from tests.support.database import Database

FIND_NODE = "SELECT relfilenode FROM pg_class WHERE oid = 't'::regclass"
TYPES = [
    "varchar(10)", "varchar(20)", "varchar", "text", "char(10)", "numeric(10, 2)", "numeric(12, 2)",
    "numeric(12, 4)", "numeric", "integer", "bigint", "varbit(4)", "varbit(8)", "varbit", "cidr", "inet",
    "timestamptz", "timestamp", "json", "jsonb", "integer[]", "bigint[]",
]  # fmt: skip


def column_type(name: str) -> sql.Type:
    parsed = parse_statements(f"CREATE TABLE t (a {name})")
    assert not isinstance(parsed, Unreadable)
    body = parsed[0].body
    assert isinstance(body, sql.CreateTable)
    return body.columns[0].type


def test_a_type_change_that_is_called_harmless_rewrites_nothing(database: Database) -> None:
    """And one that is not either rewrites the table, or has to check it, or is not possible."""
    wrong = []
    with database.connect() as conn:
        # In UTC timestamp and timestamptz are stored alike, but a migration can't rely on that.
        conn.execute("SET TimeZone = 'Europe/Berlin'")
        for old in TYPES:
            for new in TYPES:
                conn.execute(f"DROP TABLE IF EXISTS t; CREATE TEMP TABLE t (a {old})")
                before = conn.execute(FIND_NODE).fetchone()
                try:
                    conn.execute(f"ALTER TABLE t ALTER a TYPE {new} USING a::{new}")
                except psycopg.Error:
                    continue
                kept = conn.execute(FIND_NODE).fetchone() == before
                if keeps_rows(column_type(old), column_type(new)) and not kept:
                    wrong.append((old, new, "rewrites"))
                if kept and not keeps_rows(column_type(old), column_type(new)):
                    wrong.append((old, new, "is harmless"))
    assert wrong == []


def test_the_volatile_functions_are_volatile(database: Database) -> None:
    rows = database.query(
        "SELECT proname, bool_or(provolatile = 'v'), bool_and(provolatile = 'v') "
        "FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace GROUP BY 1"
    )
    known = {name: (some, every) for name, some, every in rows}
    assert [name for name in STABLE & known.keys() if known[name][0]] == []
    assert [name for name in VOLATILE & known.keys() if not known[name][1]] == []


LOCKS = """
    SELECT c.relname, l.mode FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
     WHERE l.pid = pg_backend_pid() AND c.relnamespace = 'public'::regnamespace
       AND c.relkind IN ('r', 'p')
"""
ORDER = ["ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"]
SETUP = """
    CREATE TABLE users (id bigint PRIMARY KEY, email text, c int);
    ALTER TABLE users ADD CONSTRAINT k CHECK (c > 0) NOT VALID;
    CREATE TABLE orders (id bigint PRIMARY KEY, u bigint);
    CREATE INDEX users_c_idx ON users (c);
    CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER tr AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION t();
    CREATE POLICY p ON users USING (true);
    CREATE TABLE parts (id bigint) PARTITION BY LIST (id);
    CREATE TABLE part1 (id bigint);
"""


STATEMENTS = [
    "CREATE INDEX ON users (email)",
    "CREATE TRIGGER x AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION t()",
    "DROP TRIGGER tr ON users",
    "CREATE POLICY q ON users USING (true)",
    "DROP POLICY p ON users",
    "ALTER TABLE users ADD COLUMN x int",
    "ALTER TABLE users DROP COLUMN email",
    "ALTER TABLE users ADD CHECK (id > 0)",
    "ALTER TABLE users ADD CHECK (id > 0) NOT VALID",
    "ALTER TABLE users VALIDATE CONSTRAINT k",
    "ALTER TABLE orders ADD FOREIGN KEY (u) REFERENCES users NOT VALID",
    "ALTER TABLE users ALTER email SET NOT NULL",
    "ALTER TABLE users ALTER email SET DEFAULT 'x'",
    "ALTER TABLE users ALTER email SET STATISTICS 5",
    "ALTER TABLE users SET (fillfactor = 90)",
    "ALTER TABLE users DISABLE TRIGGER tr",
    "ALTER TABLE users ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE users REPLICA IDENTITY FULL",
    "ALTER TABLE users CLUSTER ON users_c_idx",
    "ALTER TABLE parts ATTACH PARTITION part1 FOR VALUES IN (1)",
    "ALTER TABLE users RENAME email TO mail",
    "ALTER TABLE users RENAME TO people",
    "DROP TABLE orders",
    "TRUNCATE orders",
    "CREATE TABLE new (id bigint REFERENCES users)",
    "UPDATE users SET c = 1",
    "COMMENT ON TABLE users IS 'x'",
]


def test_the_strong_locks_are_those_of_the_server(database: Database) -> None:
    database.execute(SETUP)
    with database.connect() as conn:
        found = {statement: locks_of(conn, statement) for statement in STATEMENTS}
    assert found == {statement: expected_locks(statement) for statement in STATEMENTS}


def expected_locks(statement: str) -> dict[str, str]:
    """Return what the linter believes: the strongest mode for each table."""
    parsed = parse_statements(statement)
    assert not isinstance(parsed, Unreadable)
    modes: dict[str, str] = {}
    for lock in strong_locks(parsed[0].body):
        mode = lock.mode.title().replace(" ", "") + "Lock"
        modes[lock.table.name] = max(modes.get(lock.table.name, mode), mode, key=ORDER.index)
    return modes


def locks_of(conn: psycopg.Connection[Any], statement: str) -> dict[str, str]:
    """Return the strong locks that a statement has acquired on tables that were there before."""
    with conn.transaction(force_rollback=True):
        conn.execute(statement)
        rows = conn.execute(LOCKS).fetchall()
    modes: dict[str, str] = {}
    for name, mode in rows:
        if mode in ORDER and name not in ("new", "part1"):
            table = "users" if name == "people" else name
            modes[table] = max(modes.get(table, mode), mode, key=ORDER.index)
    if statement == "DROP TABLE orders":  # it is no longer in the catalog
        modes["orders"] = "AccessExclusiveLock"
    return modes


# These need what a test database does not have, or are wrong on purpose.
NOT_RUN = {
    "bad-file", "syntax", "refused-statement", "search-path-of-role", "grant-to-public",
    "security-definer-search-path", "exclusion-constraint", "reindex-without-concurrently",
}  # fmt: skip
RULES = [loaded.rule for name, loaded in load_rules().items() if name not in NOT_RUN]


def test_the_safe_examples_of_the_pages_run(database: Database) -> None:
    failed = {}
    with database.connect() as conn:
        for rule in RULES:
            conn.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
            if rule.id == "drop-schema":
                conn.execute("CREATE SCHEMA archive")
            try:
                run_example(conn, rule)
            except psycopg.Error as error:
                failed[rule.id] = str(error)
    assert failed == {}


def run_example(conn: psycopg.Connection[Any], rule: Rule) -> None:
    up = re.sub(r"^-- file: down/.*\Z", "", rule.safe, flags=re.MULTILINE | re.DOTALL)
    for text in (rule.before, up):
        parsed = parse_statements(text)
        assert not isinstance(parsed, Unreadable)
        for statement in parsed:
            if not statement.text.startswith("SET LOCAL"):
                conn.execute(statement.text)
