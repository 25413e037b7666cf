"""The history can be read and written by yoyo too."""

from __future__ import annotations

import pytest

from tests.support.database import Database
from tests.support.project import Project, states


@pytest.mark.quick
def test_a_yoyo_client_reads_and_extends_the_history(project: Project, database: Database) -> None:
    from yoyo import get_backend, read_migrations

    project.write_tables(1, 2)
    project.migrator(database).up(steps=1)
    url = f"postgresql+psycopg://postgres@/{database.name}?host={database.server.embedded.params()['host']}"
    backend = get_backend(url)
    with backend:
        migrations = read_migrations(str(project.sql / "up"))
        assert [m.id for m in backend.to_apply(migrations)] == ["0002_t2"]
        assert [m.id for m in backend.to_rollback(migrations)] == ["0001_t1"]
        with backend.lock():
            backend.apply_migrations(backend.to_apply(migrations))
    # What yoyo applied counts as applied, and the next write adds it to chatdb's own table.
    status = project.migrator(database).status()
    assert [row.version for row, _ in status.applied] == ["0001", "0002"]
    assert status.problems == ()
    project.write_tables(3)
    project.migrator(database).up()
    assert database.applied() == ["0001_t1", "0002_t2", "0003_t3"]
    project.migrator(database).down()


def test_a_history_that_only_yoyo_has_written_is_adopted(
    project: Project, database: Database
) -> None:
    from yoyo import get_backend, read_migrations

    project.write_tables(1, 2)
    host = database.server.embedded.params()["host"]
    with get_backend(f"postgresql+psycopg://postgres@/{database.name}?host={host}") as backend:
        backend.apply_migrations(backend.to_apply(read_migrations(str(project.sql / "up"))))
    project.write_tables(3)
    assert states(project.migrator(database).up()) == ["applied"]
    assert database.applied() == ["0001_t1", "0002_t2", "0003_t3"]


def test_the_hash_of_a_migration_is_the_one_that_yoyo_computes(
    project: Project, database: Database
) -> None:
    from yoyo.migrations import get_migration_hash

    project.write("0001_é", "SELECT 1;")
    project.migrator(database).up()
    expected = [(get_migration_hash("0001_é"),)]
    assert database.query("SELECT migration_hash FROM _yoyo_migration") == expected
    assert database.query("SELECT migration_hash FROM _yoyo_log") == expected


def test_a_stale_yoyo_lock_is_reported(project: Project, database: Database) -> None:
    project.write_tables(1)
    project.migrator(database).up()
    with database.connect() as conn:
        conn.execute("CREATE TABLE yoyo_lock (locked int, ctime timestamp, pid int)")
        conn.execute("INSERT INTO yoyo_lock VALUES (1, now(), 4711)")
    (problem,) = project.migrator(database).status().problems
    assert problem.code == "yoyo-lock"
    assert "4711" in problem.message
