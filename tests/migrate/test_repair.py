"""Promises about what changes the history alone: `migrate repair` and `migrate baseline`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.migrate.migrator import Migrator
from tests.support.database import Database
from tests.support.project import Project, states


def problems(project: Project, database: Database) -> dict[str | None, str]:
    return {p.version: p.code for p in project.migrator(database).status().problems}


def log(database: Database) -> list[tuple[Any, ...]]:
    query = "SELECT operation, migration_id FROM _yoyo_log WHERE operation <> 'apply' ORDER BY 1, 2"
    return database.query(query)


@pytest.fixture
def astray(project: Project, database: Database) -> None:
    """A project whose files and history disagree in every way that can be repaired."""
    project.write_tables(1, 2, 3, 4, 5)
    project.migrator(database).up()
    project.write("0001_t1", "CREATE TABLE t1 (id int);\n", "DROP TABLE IF EXISTS t1;\n")
    project.write("0002_t2", "CREATE TABLE t2 (id bigint);\n", "DROP TABLE t2;\n")
    for folder in ("up", "down"):
        (project.sql / folder / "0003_t3.sql").unlink()
        old = project.sql / folder / "0004_t4.sql"
        old.rename(old.with_name("0004_four.sql"))
    database.execute("CREATE TABLE yoyo_lock (locked int, ctime timestamp, pid int)")
    database.execute("INSERT INTO yoyo_lock VALUES (1, now(), 4711)")


@pytest.mark.parametrize("version", ["99", "2.5", "'NaN'", "'Infinity'", "-3"])
def test_a_version_in_the_history_that_no_file_has_is_a_problem_that_repair_mends(
    project: Project, database: Database, version: str
) -> None:
    project.write_tables(1, 2, 3)
    project.migrator(database).up(to="2")
    database.execute("UPDATE chatdb_migration SET version = 1000 - version")  # both are wrong
    database.execute(f"UPDATE chatdb_migration SET version = {version} WHERE version = 998")
    assert problems(project, database) == {"0001": "invalid-history", "0002": "invalid-history"}
    for run in (Migrator.up, Migrator.down, lambda m: m.marks("mark", "3")):
        with pytest.raises(ChatdbError, match="0001_t1") as caught:
            run(project.migrator(database))
        assert (caught.value.code, caught.value.exit) == (Code.HISTORY, 6)
    assert database.tables() == {"t1", "t2"}
    migrator = project.migrator(database)
    migrator.repair(migrator.repairs())
    query = "SELECT version::int, migration_id FROM chatdb_migration ORDER BY 1"
    assert database.query(query) == [(1, "0001_t1"), (2, "0002_t2")]
    assert states(migrator.up()) == ["applied"]
    assert states(migrator.down(everything=True)) == ["reverted"] * 3


@pytest.mark.quick
@pytest.mark.usefixtures("astray")
def test_repair_shows_what_it_will_do_and_then_does_it(
    project: Project, database: Database
) -> None:
    found = problems(project, database)
    assert found == {"0002": "changed", "0003": "missing", "0004": "changed", None: "yoyo-lock"}
    before = database.query("SELECT xmin, * FROM chatdb_migration ORDER BY version")
    shown = project.migrator(database).repairs()
    assert not shown.done
    kinds = [(r.version, r.kind) for r in shown.repairs]
    assert kinds == [
        ("0001", "changed"), ("0002", "changed"), ("0003", "missing"), ("0004", "changed"),
        (None, "yoyo-lock"),
    ]  # fmt: skip
    assert "-DROP TABLE t1;\n+DROP TABLE IF EXISTS t1;" in shown.repairs[0].diff
    assert "-CREATE TABLE t2 (id int);\n+CREATE TABLE t2 (id bigint);" in shown.repairs[1].diff
    assert database.query("SELECT xmin, * FROM chatdb_migration ORDER BY version") == before
    assert project.migrator(database).repair(shown).done
    status = project.migrator(database).status()
    assert (status.problems, status.warnings, status.pending) == ((), (), ())
    assert database.applied() == ["0001_t1", "0002_t2", "0004_four", "0005_t5"]
    assert log(database) == [
        ("mark", "0001_t1"), ("mark", "0002_t2"), ("mark", "0004_four"),
        ("unlock", None), ("unmark", "0003_t3"),
    ]  # fmt: skip
    assert database.tables() == {"t1", "t2", "t3", "t4", "t5"}
    assert project.migrator(database).repairs().repairs == ()
    assert states(project.migrator(database).down(steps=2)) == ["reverted"] * 2


@pytest.mark.usefixtures("astray")
def test_repair_changes_what_was_shown_or_nothing(project: Project, database: Database) -> None:
    shown = project.migrator(database).repairs()
    database.execute("UPDATE chatdb_migration SET up_checksum = 'x' WHERE version = 4")
    before = database.query("SELECT xmin, * FROM chatdb_migration ORDER BY version")
    with pytest.raises(ChatdbError) as caught:
        project.migrator(database).repair(shown)
    assert (caught.value.code, caught.value.exit) == (Code.HISTORY, 6)
    assert database.query("SELECT xmin, * FROM chatdb_migration ORDER BY version") == before
    assert database.query("SELECT count(*) FROM yoyo_lock") == [(1,)]


@pytest.mark.usefixtures("astray")
def test_repair_asks_and_names_the_flag_off_a_terminal(
    project: Project, database: Database
) -> None:
    url = {"DATABASE_URL": database.url}
    result = project.chatdb("migrate", "repair", env=url)
    assert result.returncode == 8
    assert "+CREATE TABLE t2 (id bigint);" in result.stderr
    assert "--yes" in result.stderr
    result = project.chatdb("migrate", "repair", "--dry-run", env=url)
    assert result.returncode == 0
    assert "+CREATE TABLE t2 (id bigint);" in result.stdout
    result = project.chatdb("migrate", "repair", "--format", "json", "--yes", env=url)
    document = json.loads(result.stdout)
    assert document["done"]
    assert [r["code"] for r in document["repairs"]] == [
        "changed", "changed", "missing", "changed", "yoyo-lock"
    ]  # fmt: skip
    assert project.chatdb("migrate", "status", "--check", env=url).returncode == 0
    assert project.chatdb("migrate", "repair", env=url).stdout == "nothing to repair\n"


def test_repair_never_forgets_every_migration_because_of_a_wrong_folder(
    project: Project, database: Database
) -> None:
    project.write_tables(1, 2)
    project.migrator(database).up()
    for path in project.sql.rglob("*.sql"):
        path.unlink()
    project.write("0009_other", "SELECT 1;")
    with pytest.raises(ChatdbError) as caught:
        project.migrator(database).repairs()
    assert caught.value.exit == 8
    assert "directory" in (caught.value.hint or "")


def two_of_one_version(project: Project) -> None:
    project.write("0002_other", "CREATE TABLE other (id int);\n")


def a_down_that_can_not_be_read(project: Project) -> None:
    project.write("0002_t2", "CREATE TABLE t2 (id bigint);\n", "-- chatdb: nonsense: 1\n")


def an_up_that_can_not_be_read(project: Project) -> None:
    project.write("0002_t2", "-- chatdb: nonsense: 1\n", "DROP TABLE IF EXISTS t2;\n")


@pytest.mark.parametrize(
    ("spoil", "exit_code"),
    [(two_of_one_version, 6), (a_down_that_can_not_be_read, 2), (an_up_that_can_not_be_read, 2)],
)
def test_repair_accepts_no_invalid_file(
    project: Project, database: Database, spoil: Callable[[Project], None], exit_code: int
) -> None:
    project.write_tables(1, 2, 3)
    project.migrator(database).up()
    spoil(project)
    before = database.query("SELECT xmin, * FROM chatdb_migration ORDER BY version")
    with pytest.raises(ChatdbError, match=r"0002|nonsense") as caught:
        project.migrator(database).repairs()
    assert caught.value.exit == exit_code
    assert database.query("SELECT xmin, * FROM chatdb_migration ORDER BY version") == before


def test_a_password_is_not_in_what_repair_shows(project: Project, database: Database) -> None:
    project.write("1_role", "-- a\nSELECT 'x PASSWORD ''hunter2''';")
    project.migrator(database).up()
    project.write("1_role", "-- b\nSELECT 'x PASSWORD ''hunter3''';")
    (one,) = project.migrator(database).repairs().repairs
    assert "+-- b" in one.diff
    assert "hunter" not in one.diff


def test_a_history_that_yoyo_wrote_can_be_repaired(project: Project, database: Database) -> None:
    from yoyo import get_backend, read_migrations

    project.write_tables(1, 2)
    url = database.url.replace("postgresql://", "postgresql+psycopg://")
    with get_backend(url) as backend:
        migrations = read_migrations(str(project.sql / "up"))
        backend.apply_migrations(backend.to_apply(migrations))
    for folder in ("up", "down"):
        (project.sql / folder / "0002_t2.sql").unlink()
    assert problems(project, database) == {"0002": "missing"}
    migrator = project.migrator(database)
    migrator.repair(migrator.repairs())
    assert database.applied() == ["0001_t1"]
    with get_backend(url) as backend:
        applied = {m.id for m in backend.to_rollback(read_migrations(str(project.sql / "up")))}
    assert applied == {"0001_t1"}


# --- baseline -------------------------------------------------------------------------------------


def test_a_baseline_marks_existing_migrations_as_applied_and_up_continues_after_it(
    project: Project, database: Database
) -> None:
    project.write_tables(1, 2, 3)
    database.execute("CREATE TABLE t1 (id int); CREATE TABLE t2 (id int)")
    run = project.migrator(database).baseline("2")
    assert (states(run), run.current) == (["marked"] * 2, "0002")
    assert log(database) == [("mark", "0001_t1"), ("mark", "0002_t2")]
    assert states(project.migrator(database).up()) == ["applied"]
    assert database.tables() == {"t1", "t2", "t3"}
    assert project.migrator(database).status().problems == ()
    project.migrator(database).down(everything=True)  # it knows the way back, too
    assert database.tables() == set()


def test_a_baseline_needs_an_empty_history(project: Project, database: Database) -> None:
    project.write_tables(1, 2)
    project.migrator(database).up(steps=1)
    with pytest.raises(ChatdbError) as caught:
        project.migrator(database).baseline("2")
    assert caught.value.exit == 8
    project.migrator(database).down()
    assert states(project.migrator(database).baseline("1")) == ["marked"]


@pytest.mark.parametrize("version", ["7", "x", "0", ""])
def test_a_baseline_at_no_version_is_wrong_usage(
    project: Project, database: Database, version: str
) -> None:
    project.write_tables(1)
    with pytest.raises(ChatdbError) as caught:
        project.migrator(database).baseline(version)
    assert caught.value.exit == 2
    assert database.tables() == set()


def test_yoyo_agrees_with_a_baseline(project: Project, database: Database) -> None:
    from yoyo import get_backend, read_migrations

    project.write_tables(1, 2)
    project.migrator(database).baseline("1")
    url = database.url.replace("postgresql://", "postgresql+psycopg://")
    with get_backend(url) as backend:
        pending = backend.to_apply(read_migrations(str(project.sql / "up")))
    assert [m.id for m in pending] == ["0002_t2"]
