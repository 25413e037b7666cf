"""Indexes, constraints, triggers, extensions, privileges: each fault is found, named and explained."""

from __future__ import annotations

from typing import NamedTuple

import psycopg
import pytest

from tests.support.database import Database
from tests.support.health import as_nobody, check_of, health_of, row_of


class Fault(NamedTuple):
    """SQL that causes what a check finds.

    Attributes:
        check: the name of the check.
        sql: causes it; a statement that fails is part of the fault.
        value: what the check measures then.
        says: in the message.
        hints: in the hint.
    """

    check: str
    sql: tuple[str, ...]
    value: int
    says: str
    hints: str


TABLES = "CREATE TABLE t (id int PRIMARY KEY, a int); CREATE TABLE u (id int, t_id int)"
FAULTS = (
    Fault(
        "invalid-indexes",
        (TABLES, "INSERT INTO t VALUES (1, 1), (2, 1)", "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)"),
        1, "1 index is invalid: i of public.t", "REINDEX INDEX CONCURRENTLY public.i",
    ),
    Fault(
        "constraints-not-validated",
        (TABLES, 'ALTER TABLE t ADD CONSTRAINT "A positive" CHECK (a > 0) NOT VALID'),
        1, "1 constraint is not validated: A positive of public.t",
        'ALTER TABLE public.t VALIDATE CONSTRAINT "A positive"',
    ),
    Fault(
        "disabled-triggers",
        (TABLES, "ALTER TABLE u ADD CONSTRAINT f FOREIGN KEY (t_id) REFERENCES t",
         "ALTER TABLE u DISABLE TRIGGER ALL"),
        1, "1 trigger is disabled: f of public.u", "ALTER TABLE public.u ENABLE TRIGGER ALL",
    ),
    Fault(
        "foreign-keys-without-index",
        (TABLES, "ALTER TABLE u ADD CONSTRAINT f FOREIGN KEY (t_id) REFERENCES t",
         "CREATE INDEX ON u (id, t_id)", "CREATE INDEX ON u (t_id) WHERE id > 0"),
        1, "1 foreign key has no index: f of public.u", "create an index",
    ),
    Fault(
        "extensions",
        ("CREATE EXTENSION pg_trgm VERSION '1.3'",),
        1, "1 extension has an update: pg_trgm 1.3 (available: 1.", "ALTER EXTENSION pg_trgm UPDATE",
    ),
    Fault(
        "default-privileges",
        ("GRANT CREATE ON SCHEMA public TO PUBLIC",),
        1, "every role may create objects in schema public",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    ),
    Fault(
        "default-privileges",
        ("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC",),
        1, "every role gets SELECT on each new table of role postgres",
        "ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA public REVOKE SELECT ON TABLES "
        "FROM PUBLIC",
    ),
    Fault(
        "default-privileges",
        ("CREATE TABLE chatdb_migration (id int)",
         "GRANT SELECT, DELETE ON chatdb_migration TO pg_monitor"),
        1, "role pg_monitor may write public.chatdb_migration",
        "REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON public.chatdb_migration FROM pg_monitor",
    ),
)  # fmt: skip


def cause(database: Database, statements: tuple[str, ...]) -> None:
    with database.connect() as conn:
        for statement in statements:
            try:
                conn.execute(statement)
            except psycopg.errors.UniqueViolation:
                assert "CONCURRENTLY" in statement


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f"{f.check} {f.sql[-1][:30]}")
def test_a_fault_is_found_and_the_hint_names_the_object(fault: Fault, database: Database) -> None:
    before = check_of(database, fault.check)
    assert (before.status, before.value, before.hint) == ("ok", 0, "")
    cause(database, fault.sql)
    check = check_of(database, fault.check)
    assert (check.status, check.value, check.threshold) == ("degraded", fault.value, 0)
    assert fault.says in check.message
    assert fault.hints in check.hint
    if "--" not in fault.hints and fault.check == "default-privileges":
        database.execute(check.hint)  # the hint is the remedy
        assert check_of(database, fault.check).status == "ok"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda f: f"{f.check} {f.sql[-1][:30]}")
def test_a_role_that_may_only_connect_sees_the_same_faults(
    fault: Fault, database: Database
) -> None:
    """The catalogs are readable for everybody."""
    cause(database, fault.sql)
    seen = check_of(database, fault.check)
    with as_nobody(database) as url:
        assert check_of(database, fault.check, url=url) == seen


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE INDEX ON u (t_id)",
        "CREATE INDEX ON u (t_id, id)",
        "CREATE INDEX ON u (t_id) WHERE t_id IS NOT NULL",
    ],
)
def test_an_index_that_starts_with_the_column_is_one_for_its_foreign_key(
    sql: str, database: Database
) -> None:
    cause(database, (TABLES, "ALTER TABLE u ADD FOREIGN KEY (t_id) REFERENCES t", sql))
    assert check_of(database, "foreign-keys-without-index").status == "ok"


def test_an_index_that_is_being_built_is_not_invalid(database: Database) -> None:
    """A build CONCURRENTLY waits for a transaction, with its index invalid until then."""
    cause(database, FAULTS[0].sql)
    with database.connect() as builder:
        builder.execute("BEGIN; LOCK TABLE t IN SHARE UPDATE EXCLUSIVE MODE")
        assert check_of(database, "invalid-indexes").status == "ok"
    assert check_of(database, "invalid-indexes").status == "degraded"


def test_a_constraint_that_is_not_enforced_is_meant_to_be_so(database: Database) -> None:
    if database.server.version < 18:
        pytest.skip("NOT ENFORCED is new in PostgreSQL 18")
    cause(database, (TABLES, "ALTER TABLE t ADD CHECK (a > 0) NOT ENFORCED"))
    assert check_of(database, "constraints-not-validated").status == "ok"


def test_an_extension_whose_files_are_missing_is_an_error(database: Database) -> None:
    cause(database, ("UPDATE pg_extension SET extname = 'removed' WHERE extname = 'plpgsql'",))
    try:
        check = check_of(database, "extensions")
    finally:
        cause(database, ("UPDATE pg_extension SET extname = 'plpgsql' WHERE extname = 'removed'",))
    assert check.status == "error"
    assert "no files of extension removed" in check.message


def test_an_index_is_unused_only_if_its_table_is_read(database: Database) -> None:
    statements = (
        "CREATE TABLE t (a int)",
        "INSERT INTO t SELECT generate_series(1, 1000)",
        "CREATE INDEX unused ON t (a)",
        "CREATE UNIQUE INDEX enforces ON t (a)",
    )
    cause(database, statements)
    assert check_of(database, "unused-indexes", unused_indexes="1kB").value == 0
    cause(
        database, ("DO $$ BEGIN FOR i IN 1..1000 LOOP PERFORM count(*) FROM t; END LOOP; END $$",)
    )
    check = check_of(database, "unused-indexes", unused_indexes="1kB")
    assert row_of(check)[::2] == ("degraded", 1024)
    assert "1 index is unused" in check.message
    assert "unused of public.t" in check.message
    assert check.hint.endswith("DROP INDEX CONCURRENTLY public.unused")
    assert check_of(database, "unused-indexes").status == "ok"  # it is small


def test_of_many_objects_the_message_names_the_first_three(database: Database) -> None:
    checks = "".join(
        f"ALTER TABLE t ADD CONSTRAINT c{n} CHECK (a > {n}) NOT VALID;" for n in range(5)
    )
    cause(database, ("CREATE TABLE t (a int)", checks))
    check = check_of(database, "constraints-not-validated")
    names = "c0 of public.t, c1 of public.t, c2 of public.t and 2 more"
    assert check.message == f"5 constraints are not validated: {names}"


def test_nothing_that_users_planted_is_run(database: Database) -> None:
    """Names resolve in pg_catalog; a view in place of a table of chatdb is not read."""
    cause(
        database,
        (
            "CREATE TABLE ran (n int)",
            "CREATE FUNCTION trap() RETURNS int LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'trapped'; END $$",
            "CREATE VIEW chatdb_migration AS SELECT trap() AS version",
            "CREATE VIEW _yoyo_migration AS SELECT trap() AS migration_id",
            "CREATE VIEW events AS SELECT trap() AS at, 1 AS seq",
            "CREATE VIEW events_state AS SELECT trap() AS floor",
            "CREATE FUNCTION count(text) RETURNS int LANGUAGE sql AS 'SELECT public.trap()'",
            "CREATE FUNCTION age(bigint) RETURNS int LANGUAGE sql AS 'SELECT public.trap()'",
        ),
    )
    health = health_of(database)
    assert not [c for c in health.checks if "trapped" in c.message or "failed" in c.message]
