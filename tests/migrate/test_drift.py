"""Files and history disagree."""

from __future__ import annotations

import pytest

from chatdb_cli.errors import ChatdbError
from chatdb_cli.migrate.model import Progress
from tests.support.database import Database
from tests.support.project import Project, states


def disagree(project: Project, database: Database) -> ChatdbError:
    with pytest.raises(ChatdbError) as caught:
        project.migrator(database).up()
    assert caught.value.exit == 6
    assert caught.value.hint
    return caught.value


def problem(project: Project, database: Database) -> tuple[str, str | None]:
    (found,) = project.migrator(database).status().problems
    return found.code, found.version


@pytest.mark.quick
def test_an_edited_file_is_found_before_anything_runs(project: Project, database: Database) -> None:
    project.write_tables(1)
    project.migrator(database).up()
    project.write_tables(2)
    project.write("0001_t1", "CREATE TABLE t1 (id bigint);")
    assert "0001_t1" in disagree(project, database).message
    assert problem(project, database) == ("changed", "0001")
    assert database.tables() == {"t1"}


def test_line_ends_and_a_byte_order_mark_do_not_count_as_an_edit(
    project: Project, database: Database
) -> None:
    project.write("1_a", "SELECT 1;\nSELECT 2;\n")
    project.migrator(database).up()
    project.write("1_a", "\ufeffSELECT 1;\r\nSELECT 2;\r\n")
    assert project.migrator(database).status().problems == ()


@pytest.mark.quick
def test_a_missing_file_is_found_before_anything_runs(project: Project, database: Database) -> None:
    project.write_tables(1, 2)
    project.migrator(database).up()
    (project.sql / "up" / "0001_t1.sql").unlink()
    project.write_tables(3)
    assert "0001_t1" in disagree(project, database).message
    assert problem(project, database) == ("missing", "0001")


def test_a_version_used_twice_names_both_files(project: Project, database: Database) -> None:
    project.write_tables(1)
    project.write("1_again", "SELECT 1;")
    error = disagree(project, database)
    assert "0001_t1.sql" in error.message
    assert "1_again.sql" in error.message


def test_an_older_file_names_the_newer_one_and_is_applied_when_allowed(
    project: Project, database: Database
) -> None:
    project.write_tables(1, 3)
    project.migrator(database).up()
    project.write_tables(2)
    error = disagree(project, database)
    assert "0002_t2" in error.message
    assert "0003_t3" in error.message
    assert problem(project, database) == ("out-of-order", "0002")
    assert states(project.migrator(database).up(allow_out_of_order=True)) == ["applied"]
    assert database.applied() == ["0001_t1", "0002_t2", "0003_t3"]


def test_an_applied_version_that_no_file_has_is_unknown(
    project: Project, database: Database
) -> None:
    project.write_tables(1)
    project.migrator(database).up()
    with database.connect() as conn:
        conn.execute(
            "INSERT INTO _yoyo_migration VALUES ('x', 'initial-schema', now()), ('y', '0009_z', now())"
        )
    status = project.migrator(database).status()
    assert {p.version: p.code for p in status.problems} == {"0009": "missing"}
    # Only yoyo has ids without a version; status reports them, and they block nothing.
    assert any("initial-schema" in warning for warning in status.warnings)
    database.execute("DELETE FROM _yoyo_migration WHERE migration_id = '0009_z'")
    assert states(project.migrator(database).down(everything=True)) == ["reverted"]
    assert database.query("SELECT migration_id FROM _yoyo_migration") == [("initial-schema",)]


def test_a_plan_that_no_longer_matches_the_history_does_not_run(
    project: Project, database: Database
) -> None:
    """Another migrator changes the history between reading it and the claim."""
    project.write_tables(1, 2, 3)
    project.migrator(database).up(to="1")
    other = project.migrator(database)
    done: list[str] = []

    def interfere(event: Progress) -> None:
        if event.kind == "planned" and not done:
            done.append("yes")
            other.up(to="2")

    run = project.migrator(database, progress=interfere).up()
    assert states(run) == ["by-another", "applied"]
    assert database.applied() == ["0001_t1", "0002_t2", "0003_t3"]


def test_a_down_never_rolls_back_what_was_not_shown(project: Project, database: Database) -> None:
    project.write_tables(1, 2, 3)
    project.migrator(database).up(to="2")
    done: list[str] = []

    def interfere(event: Progress) -> None:
        if event.kind == "planned" and not done:
            done.append("yes")
            project.migrator(database).up()

    with pytest.raises(ChatdbError) as caught:
        project.migrator(database, progress=interfere).down()
    assert caught.value.exit == 6
    assert database.applied() == ["0001_t1", "0002_t2", "0003_t3"]


def test_a_down_file_of_another_name_never_runs_for_an_applied_version(
    project: Project, database: Database
) -> None:
    project.write("0001_a", "CREATE TABLE a (id int);", "DROP TABLE a;")
    project.migrator(database).up()
    for folder in ("up", "down"):
        (project.sql / folder / "0001_a.sql").unlink()
    project.write("0001_b", "CREATE TABLE b (id int);", "DROP TABLE b;")
    database.execute("CREATE TABLE b (id int)")
    for request in ("down", "redo"):
        with pytest.raises(ChatdbError) as caught:
            getattr(project.migrator(database), request)()
        assert caught.value.exit == 6
        assert caught.value.message == disagree(project, database).message
        assert "0001_a" in caught.value.message
        assert "0001_b" in caught.value.message
    assert database.tables() == {"a", "b"}
    with pytest.raises(ChatdbError) as caught:  # nor where rows may be deleted
        project.migrator(database).down(everything=True, allow_data_loss=True)
    assert caught.value.exit == 6
