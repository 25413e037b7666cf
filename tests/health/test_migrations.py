"""Migrations: what is pending, unfinished, or at odds with its files."""

from __future__ import annotations

import pytest

from chatdb_cli.migrate.model import MigrationError
from tests.support.database import Database
from tests.support.health import as_nobody, check_of, health_of, row_of
from tests.support.project import Project
from tests.support.servers import on_first_server

NAMES = ("pending-migrations", "unfinished-migrations", "history-problems")
ALONE = "-- chatdb: transactional: false\n"


def test_pending_migrations_are_counted_and_named(project: Project, database: Database) -> None:
    project.write_tables(1)
    project.migrator(database).up()
    quiet = check_of(database, "pending-migrations", project.sql)
    assert row_of(quiet) == ("ok", 0, 0)
    assert quiet.message == "no migration is pending; current 0001"
    project.write_tables(2, 3)
    check = check_of(database, "pending-migrations", project.sql)
    assert row_of(check) == ("degraded", 2, 0)
    assert check.message == "2 migrations are pending: 0002_t2, 0003_t3; current 0001"
    assert check.hint == "run Migrator.up()"
    assert (
        check_of(database, "pending-migrations", project.sql, pending_migrations="2").status == "ok"
    )


def test_a_migration_that_stopped_part_way_is_an_error_unless_a_migrator_runs_it(
    project: Project, database: Database
) -> None:
    project.write("0001_alone", f"{ALONE}CREATE TABLE t (a int);\nVACUUM missing;", None)
    with pytest.raises(MigrationError):
        project.migrator(database).up()
    check = check_of(database, "unfinished-migrations", project.sql)
    assert row_of(check) == ("error", 1, 0)
    assert check.message == "1 migration stopped part-way: 0001_alone (up)"
    assert check.hint == "continue with Migrator.up()"
    assert check_of(database, "history-problems", project.sql).status == "ok"  # not reported twice
    with database.connect() as conn:
        from chatdb_cli.postgres.quoting import Quoting

        conn.execute(f"SELECT pg_advisory_lock({Quoting(conn, 'public').session_key})")
        running = check_of(database, "unfinished-migrations", project.sql)
    assert (running.status, running.message) == ("ok", "running now: 0001_alone (up)")


def test_differences_between_files_and_history_are_reported_with_their_remedy(
    project: Project, database: Database
) -> None:
    project.write_tables(1, 2)
    project.migrator(database).up()
    assert check_of(database, "history-problems", project.sql).message == "files and history agree"
    (project.sql / "up" / "0001_t1.sql").write_text("CREATE TABLE t1 (id bigint);\n")
    (project.sql / "up" / "0002_t2.sql").unlink()
    (project.sql / "down" / "0002_t2.sql").unlink()
    check = check_of(database, "history-problems", project.sql)
    assert row_of(check) == ("degraded", 2, 0)
    assert "0001_t1" in check.message
    assert check.message.endswith(", and 1 more problem")
    assert "Migrator.repair()" in check.hint


def test_a_lock_that_a_yoyo_client_has_left_is_reported_with_its_remedy(
    project: Project, database: Database
) -> None:
    project.write_tables(1)
    project.migrator(database).up()
    database.execute("CREATE TABLE yoyo_lock (locked int, ctime timestamp, pid int)")
    assert check_of(database, "history-problems", project.sql).status == "ok"
    database.execute("INSERT INTO yoyo_lock VALUES (1, now(), 4711)")
    check = check_of(database, "history-problems", project.sql)
    assert row_of(check) == ("degraded", 1, 0)
    assert check.message.startswith("a yoyo client with process id 4711 has held its lock since")
    assert "Migrator.repair()" in check.hint
    with as_nobody(database) as url:
        database.execute(
            "GRANT SELECT ON _yoyo_migration, chatdb_migration TO health_nobody"
        )  # what is asked for first is enough for the rest of the check
        assert check_of(database, "history-problems", project.sql, url=url).status == "ok"
    migrator = project.migrator(database)
    migrator.repair(migrator.repairs())
    assert check_of(database, "history-problems", project.sql).status == "ok"


def test_a_history_of_yoyo_alone_is_compared_too(project: Project, database: Database) -> None:
    project.write_tables(1, 2)
    project.migrator(database).up()
    database.execute(
        "DROP TABLE chatdb_migration; DELETE FROM _yoyo_migration WHERE migration_id > '0002'"
    )
    check = check_of(database, "pending-migrations", project.sql)
    assert check.message == "1 migration is pending: 0002_t2; current 0001"


def test_a_table_of_the_name_of_the_history_with_other_columns_is_named_as_the_cause(
    project: Project, database: Database
) -> None:
    project.write_tables(1)
    database.execute("CREATE TABLE _yoyo_migration (a int)")
    health = health_of(database, project.sql)
    for name in NAMES:
        check = health.check(name)
        assert check
        assert check.status == "unknown"
        assert check.message == (
            'a table is not as chatdb creates it: column "migration_id" does not exist'
        )


def test_a_role_that_may_not_read_the_history_gets_the_grant(
    project: Project, database: Database
) -> None:
    project.write_tables(1)
    project.migrator(database).up()
    database.execute("REVOKE USAGE ON SCHEMA public FROM PUBLIC")
    with as_nobody(database) as url:
        health = health_of(database, project.sql, url=url)
        assert health.ok
        for name in NAMES:
            check = health.check(name)
            assert check
            assert (check.status, check.value) == ("unknown", None)
            assert "may not see the history of migrations" in check.message
            assert (
                "GRANT SELECT ON public._yoyo_migration, public.chatdb_migration TO" in check.hint
            )
            assert "GRANT USAGE ON SCHEMA public TO" in check.hint
        assert check
        database.execute(check.hint.partition(": ")[2])
        health = health_of(database, project.sql, url=url)
        assert {c.status for c in health.checks if c.name in NAMES} == {"ok"}


@on_first_server
def test_without_files_of_its_own_a_database_without_history_is_not_compared(
    project: Project, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chat schema, which chatdb would take then, is not this application's."""
    monkeypatch.chdir(project.path)
    from chatdb_cli.health.check import check_health

    health = check_health(database.settings(), thresholds={"latency": "1h", "connection": "1h"})
    check = health.check("pending-migrations")
    assert check
    assert check.status == "unknown"
    assert check.message == "there are no files of migrations here to compare with the database"
    assert health.status == "ok"


@on_first_server
def test_files_that_cannot_be_read_are_no_fault_of_the_database(
    project: Project, database: Database
) -> None:
    project.write("0001_a", "-- depends: missing\nSELECT 1;")
    check = check_of(database, "pending-migrations", project.sql)
    assert check.status == "unknown"
    assert check.message.startswith("the files of the migrations can't be read: ")


@on_first_server
def test_a_missing_schema_is_unknown_with_the_way_to_create_it(database: Database) -> None:
    from chatdb_cli.health.check import check_health

    health = check_health(database.settings(schema="missing"))
    check = health.check("pending-migrations")
    assert check
    assert check.status == "unknown"
    assert check.message.startswith("there is no schema 'missing' in database")
    assert "setup()" in check.hint
