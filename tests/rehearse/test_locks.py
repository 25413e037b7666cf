"""`--locks`: which statement locked, rewrote or read which table that existed before its file."""

from __future__ import annotations

import pytest

from chatdb_cli.files.folder import choose_folder
from chatdb_cli.files.read import read_migrations
from chatdb_cli.migrate.migrator import Migrator
from chatdb_cli.rehearse.lock_trace import LockTrace
from chatdb_cli.rehearse.model import StatementLock
from chatdb_cli.syntax.lock_modes import LOCK_MODES
from tests.support.chatdb import Chatdb
from tests.support.database import Database
from tests.support.project import Project

BASE = """
CREATE TABLE users (id bigint PRIMARY KEY, name text, n int);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint);
CREATE INDEX users_n_idx ON users (n);
CREATE VIEW names AS SELECT name FROM users;
CREATE MATERIALIZED VIEW counts AS SELECT count(*) FROM users;
CREATE SCHEMA other CREATE TABLE things (id int);
"""
REWRITE, READ = "rewritten", "read"


def trace(project: Project, database: Database, up: str) -> list[StatementLock]:
    """Return the locks of a file that runs after the base."""
    project.write("0001_base", BASE, None)
    project.write("0002_file", up, None)
    traced = LockTrace("public")
    Migrator(database.target(), project.sql, watch=traced.watch).up()
    file = read_migrations(choose_folder(str(project.sql))).migrations[1]
    report = traced.locks("0002", file.up)
    assert report is not None
    return list(report.locks)


def shown(lock: StatementLock) -> tuple[int, str, str, str]:
    work = [word for word, is_so in ((REWRITE, lock.rewrites), (READ, lock.reads)) if is_so]
    return lock.line, lock.relation, lock.mode, " ".join(work)


# A file, and the locks that it takes, the worst first: line, relation, mode, what was done to all of it.
# What is left out blocks nobody.
CASES = {
    "a new column without a default": (
        "ALTER TABLE users ADD c int;", [(1, "users", "ACCESS EXCLUSIVE", "")],
    ),
    "a new column with a volatile default is a rewrite": (
        "ALTER TABLE users ADD c float DEFAULT random();",
        [(1, "users", "ACCESS EXCLUSIVE", "rewritten read"),
         (1, "users_n_idx", "ACCESS EXCLUSIVE", "rewritten"),
         (1, "users_pkey", "ACCESS EXCLUSIVE", "rewritten")],
    ),
    "a type that needs a rewrite": (
        "\n\nALTER TABLE orders ALTER user_id TYPE int;",
        [(3, "orders", "ACCESS EXCLUSIVE", "rewritten read"),
         (3, "orders_pkey", "ACCESS EXCLUSIVE", "rewritten")],
    ),
    "a type that needs none": (
        "ALTER TABLE orders ADD s varchar(5);\nALTER TABLE orders ALTER s TYPE varchar(9);",
        [(1, "orders", "ACCESS EXCLUSIVE", "")],
    ),
    "NOT NULL reads the table": (
        "ALTER TABLE users ALTER name SET NOT NULL;", [(1, "users", "ACCESS EXCLUSIVE", "read")],
    ),
    "a check that is validated at once": (
        "ALTER TABLE users ADD CHECK (n > 0);", [(1, "users", "ACCESS EXCLUSIVE", "read")],
    ),
    "a check that is not": (
        "ALTER TABLE users ADD CHECK (n > 0) NOT VALID;", [(1, "users", "ACCESS EXCLUSIVE", "")],
    ),
    "an index": ("CREATE INDEX ON users (name);", [(1, "users", "SHARE", "read")]),
    "a foreign key that is validated at once, with an index": (
        "SET LOCAL enable_seqscan = off; ALTER TABLE orders ADD FOREIGN KEY (user_id) REFERENCES users;",
        [(1, "orders", "SHARE ROW EXCLUSIVE", "read"), (1, "users", "SHARE ROW EXCLUSIVE", "")],
    ),
    "a foreign key that is not": (
        "ALTER TABLE orders ADD FOREIGN KEY (user_id) REFERENCES users NOT VALID;",
        [(1, "orders", "SHARE ROW EXCLUSIVE", ""), (1, "users", "SHARE ROW EXCLUSIVE", "")],
    ),
    "a foreign key of a new table": (
        "CREATE TABLE lines (order_id bigint REFERENCES orders);",
        [(1, "orders", "SHARE ROW EXCLUSIVE", "")],
    ),
    "a trigger": (
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';\n"
        "CREATE TRIGGER t BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION f();",
        [(2, "users", "SHARE ROW EXCLUSIVE", "")],
    ),
    "a table that is read under a lock of an earlier statement": (
        "ALTER TABLE users ADD c int;\nUPDATE users SET c = n;",
        [(2, "users", "ACCESS EXCLUSIVE", "read"), (1, "users", "ACCESS EXCLUSIVE", "")],
    ),
    "an update alone": ("UPDATE users SET n = 1;", []),
    "a table of the file itself": (
        "CREATE TABLE a (n int); CREATE INDEX ON a (n); ALTER TABLE a ALTER n TYPE bigint;", [],
    ),
    "a table that is dropped": (
        "DROP TABLE orders;",
        [(1, "orders", "ACCESS EXCLUSIVE", ""), (1, "orders_pkey", "ACCESS EXCLUSIVE", "")][:1],
    ),
    "a view that is replaced": (
        "CREATE OR REPLACE VIEW names AS SELECT name FROM users WHERE n > 0;",
        [(1, "names", "ACCESS EXCLUSIVE", "")],
    ),
    "a materialized view that is refreshed": (
        "REFRESH MATERIALIZED VIEW counts;", [(1, "counts", "ACCESS EXCLUSIVE", "rewritten")],
    ),
    "an index that is built again": (
        "REINDEX INDEX users_n_idx;",
        [(1, "users_n_idx", "ACCESS EXCLUSIVE", "rewritten"), (1, "users", "SHARE", "read")],
    ),
    "a table of another schema": (
        "ALTER TABLE other.things ADD c int;", [(1, "other.things", "ACCESS EXCLUSIVE", "")],
    ),
    "what a DO block does": (
        "DO $$ BEGIN\n  EXECUTE 'ALTER TABLE users ALTER name SET NOT NULL';\nEND $$;",
        [(1, "users", "ACCESS EXCLUSIVE", "read")],
    ),
    "under another role and path": (
        "SET LOCAL search_path = pg_catalog;\nALTER TABLE public.users ADD c int;",
        [(2, "users", "ACCESS EXCLUSIVE", "")],
    ),
    "a table locked by hand": ("LOCK TABLE users IN EXCLUSIVE MODE;", [(1, "users", "EXCLUSIVE", "")]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_lock_of_each_statement_is_found(
    project: Project, database: Database, case: str
) -> None:
    up, expected = CASES[case]
    locks = trace(project, database, up)
    assert [shown(lock) for lock in locks if lock.blocks] == expected
    assert all(lock.held_ms >= 0 for lock in locks)


def test_a_lock_that_is_needed_for_as_long_as_the_table_is_large_is_a_failure(
    project: Project, chatdb: Chatdb
) -> None:
    project.write("0001_base", BASE, None)
    project.write("0002_index", "CREATE INDEX ON users (name);\n", None)
    project.write("0003_column", "ALTER TABLE users ADD c int;\n", None)
    assert chatdb("migrate", "rehearse").code == 0, "without --locks nothing is said of them"
    result = chatdb("migrate", "rehearse", "--locks", "--format", "json")
    assert (result.code, result.document["ok"]) == (1, False)
    _, index, column = result.document["versions"]
    assert (index["ok"], column["ok"]) == (False, True)
    assert index["locks"][0] | {"held_ms": 0} == {
        "line": 1, "relation": "users", "lock": "SHARE", "rewrites": False, "reads": True,
        "held_ms": 0, "blocks": "writes", "ok": False, "accepted": None,
    }  # fmt: skip


# The lines before the statement, or in the head; whether the lock is accepted.
ALLOWANCES = {
    "exactly": ("-- chatdb: allow-lock: SHARE users, at night\n", True),
    "in other letters": ("--CHATDB: allow-lock:  share   users ,at night\n", True),
    "with the schema": ("-- chatdb: allow-lock: SHARE public.users, at night\n", True),
    "a stronger one": ("-- chatdb: allow-lock: ACCESS EXCLUSIVE users, at night\n", True),
    "a weaker one": ("-- chatdb: allow-lock: ROW EXCLUSIVE users, at night\n", False),
    "of another table": ("-- chatdb: allow-lock: SHARE orders, at night\n", False),
    "before the statement": (
        "SELECT 1;\n-- chatdb: allow-lock: SHARE users, at night\n", True,
    ),
    "before another statement": (
        "SELECT 0;\n-- chatdb: allow-lock: SHARE users, at night\nSELECT 1;\n", False,
    ),
    "among other comments": (
        "SELECT 1;\n-- why\n-- chatdb: allow-lock: SHARE users, at night\n/* so */\n", True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", ALLOWANCES)
def test_a_directive_accepts_a_lock(project: Project, database: Database, case: str) -> None:
    head, accepted = ALLOWANCES[case]
    locks = trace(project, database, f"{head}CREATE INDEX ON users (name);")
    (lock,) = [lock for lock in locks if lock.blocks]
    assert lock.accepted == ("at night" if accepted else None)
    assert lock.ok is accepted


@pytest.mark.parametrize("mode", LOCK_MODES)
def test_every_mode_is_known_by_its_name(project: Project, database: Database, mode: str) -> None:
    locks = trace(project, database, f"LOCK TABLE users IN {mode} MODE;")
    assert [lock.mode for lock in locks if lock.relation == "users"] == [mode]


@pytest.mark.parametrize(
    "text",
    ["ACCES EXCLUSIVE users, why", "users, why", "SHARE, why", "SHARE users", "SHARE users,"],
)
def test_a_directive_that_accepts_nothing_by_mistake_is_refused(
    project: Project, chatdb: Chatdb, text: str
) -> None:
    project.write("0001_t", f"-- chatdb: allow-lock: {text}\nCREATE TABLE t ();", "DROP TABLE t;")
    result = chatdb("migrate", "rehearse", "--locks")
    assert result.code == 2
    assert "sql/up/0001_t.sql:1" in result.err


def test_a_table_a_version_shows_the_worst_first(project: Project, chatdb: Chatdb) -> None:
    project.write("0001_base", BASE, None)
    project.write(
        "0002_several",
        "ALTER TABLE orders ADD c int;\nSELECT count(*) FROM users;\n"
        "-- chatdb: allow-lock: SHARE users, few rows\nCREATE INDEX ON users (name);\n"
        "ALTER TABLE users ALTER n SET NOT NULL;\n",
        None,
    )
    result = chatdb("migrate", "rehearse", "--locks", "--from", "2")
    assert result.code == 1
    table = [line.split() for line in result.out.splitlines()]
    assert [row[:2] for row in table if row[0].isdecimal()] == [
        ["0002", "several"], ["5", "users"], ["4", "users"], ["1", "orders"], ["1", "lock"],
        ["0", "rehearsed,"],
    ]  # fmt: skip
    assert "not accepted" in result.out.splitlines()[2]
    assert "accepted" in result.out.splitlines()[3]
    assert "lock that blocks neither reads nor writes" in result.out


def test_a_directive_that_accepts_nothing_and_a_file_that_can_not_be_traced_are_noted(
    project: Project, chatdb: Chatdb
) -> None:
    project.write("0001_base", BASE, None)
    outside = "-- chatdb: transactional: false\n"
    project.write(
        "0002_outside",
        f"{outside}CREATE INDEX CONCURRENTLY i ON users (name);",
        f"{outside}DROP INDEX CONCURRENTLY i;",
    )
    allow = "-- chatdb: allow-lock: SHARE orders, why\n"
    project.write("0003_nothing", f"\n{allow}CREATE TABLE a ();", "DROP TABLE a;")
    result = chatdb("migrate", "rehearse", "--locks", "--from", "2")
    assert result.code == 0
    assert result.out.splitlines()[:-1] == [
        "0002 outside  ok",
        "  its locks can't be seen: it runs outside a transaction",
        "0003 nothing  ok",
        "  note: line 2: this allow-lock accepts no lock that was found",
    ]
