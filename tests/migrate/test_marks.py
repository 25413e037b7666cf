"""Promises about `mark`, `unmark` and `baseline`: they change the history alone, and show it first."""

from __future__ import annotations

import pytest

from chatdb_cli.errors import ChatdbError, Code, Exit
from tests.support.chatdb import Chatdb
from tests.support.database import Database
from tests.support.project import Project
from tests.support.servers import on_first_server

pytestmark = on_first_server


def operations(chatdb: Chatdb) -> list[tuple[str, str]]:
    entries = chatdb("migrate", "history", "--format", "json").document["entries"]
    return [(e["operation"], e["migration"]) for e in reversed(entries)]


def test_a_baseline_is_previewed_and_moves_until_a_migration_was_run(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write_tables(1, 2, 3, 4)
    preview = chatdb("migrate", "baseline", "0002_t2", "--dry-run")
    assert preview.code == 0
    assert preview.out.splitlines()[1:3] == [
        "0001     t1    pending  applied",
        "0002     t2    pending  applied",
    ]
    assert chatdb("migrate", "status").out.endswith("schema public\n")
    assert "0 applied" in chatdb("migrate", "status").out
    for version, applied in (("2", 2), ("4", 4), ("1", 1), ("1", 1)):
        result = chatdb("migrate", "baseline", version)
        assert result.code == 0
        assert len(database.applied()) == applied
    shown = chatdb("migrate", "baseline", "3").err
    assert "0002     t2    pending  applied" in shown
    assert database.tables() == set()
    assert chatdb("migrate", "up").code == 0
    assert database.tables() == {"t4"}
    moved = chatdb("migrate", "baseline", "1")
    assert moved.code == Exit.REFUSED
    assert "0004_t4" in moved.err
    assert "migrate unmark" in moved.err


def test_marks_change_only_what_was_shown_and_write_the_audit_log(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write_tables(1, 2, 3)
    unasked = chatdb("migrate", "mark", "2")
    assert unasked.code == Exit.REFUSED
    assert "0002     t2    pending  applied" in unasked.err
    assert chatdb("migrate", "mark", "2", "--dry-run").code == 0
    assert database.query("SELECT to_regclass('chatdb_migration')::text") == [(None,)]
    result = chatdb("migrate", "mark", "2", "3", "--yes", "--format", "json")
    assert [s["state"] for s in result.document["steps"]] == ["marked", "marked"]
    assert result.document["current"] == "0003"
    assert chatdb("migrate", "mark", "3", "--yes").out == "nothing to do; current 0003\n"
    assert database.applied() == ["0002_t2", "0003_t3"]
    (project.sql / "up" / "0003_t3.sql").unlink()  # one whose file is gone, too
    (project.sql / "down" / "0003_t3.sql").unlink()
    assert chatdb("migrate", "unmark", "0003_t3", "--yes").code == 0
    assert database.applied() == ["0002_t2"]
    assert operations(chatdb) == [
        ("mark", "0002_t2"), ("mark", "0003_t3"), ("unmark", "0003_t3"),
    ]  # fmt: skip
    assert chatdb("migrate", "mark", "9", "--yes").code == Exit.USAGE
    assert database.tables() == set()


def test_nothing_is_marked_if_the_history_has_changed_since_it_was_shown(
    project: Project, database: Database
) -> None:
    project.write_tables(1, 2)
    migrator = project.migrator(database)
    shown = migrator.marks("mark", "1")
    migrator.up()
    with pytest.raises(ChatdbError) as caught:
        migrator.mark(shown)
    assert caught.value.code is Code.HISTORY
    removed = migrator.marks("unmark", "2")
    migrator.down()
    with pytest.raises(ChatdbError) as caught:
        migrator.mark(removed)
    assert caught.value.code is Code.HISTORY
    assert database.applied() == ["0001_t1"]


def test_a_file_that_stopped_part_way_can_be_marked_either_way(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    alone = "-- chatdb: transactional: false\n"
    project.write("0001_a", f"{alone}CREATE TABLE a ();\nDROP TABLE nope;", "DROP TABLE a;")
    assert chatdb("migrate", "up").code == 5
    status = chatdb("migrate", "status")
    assert "0 applied, 0 pending, 1 unfinished" in status.out
    assert chatdb("migrate", "unmark", "1", "--yes").code == 0
    assert "0 applied, 1 pending" in chatdb("migrate", "status").out
    database.execute("DROP TABLE a")
    assert chatdb("migrate", "up").code == 5
    assert chatdb("migrate", "mark", "1", "--yes").code == 0
    assert chatdb("migrate", "status", "--check").code == 0
    assert database.applied() == ["0001_a"]


def test_a_file_outside_a_transaction_that_did_nothing_is_pending_as_before(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    alone = "-- chatdb: transactional: false\n"
    project.write_tables(1)
    for stem, text in (
        ("0002_vacuum", "VACUUM nope;"),
        ("0002_index", "CREATE INDEX CONCURRENTLY ON nope (id);"),
        ("0002_table", "CREATE TABLE nope (id missing_type);"),
    ):
        project.write(stem, alone + text, alone + "DROP INDEX CONCURRENTLY nope_i;")
        result = chatdb("migrate", "up")
        assert result.code == 5
        assert "0002 is done: it is pending as before" in result.err
        assert "1 applied, 1 pending" in chatdb("migrate", "status").out
        for direction in ("up", "down"):
            (project.sql / direction / f"{stem}.sql").unlink()
        assert chatdb("migrate", "up").out == "nothing to do; current 0001\n"
    project.write("0002_ok", f"{alone}SELECT 1;", f"{alone}DROP INDEX CONCURRENTLY nope_i;")
    assert chatdb("migrate", "up").code == 0
    failed = chatdb("migrate", "down", "--allow-data-loss")
    assert failed.code == 5
    assert "0002 is done: it is applied as before" in failed.err
    assert chatdb("migrate", "status", "--check").code == 0
    assert len(database.applied()) == 2


def test_an_object_that_exists_already_names_baseline_while_the_history_is_empty(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    database.execute("CREATE TABLE t1 ()")
    project.write_tables(1, 2)
    assert "migrate baseline" in chatdb("migrate", "up", "--allow-non-empty").err
    assert chatdb("migrate", "mark", "1", "--yes").code == 0
    database.execute("CREATE TABLE t2 ()")
    assert "migrate baseline" not in chatdb("migrate", "up").err
