"""`chatdb migrate`: its exit codes, what it prints, and what it does to the database."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from chatdb_cli import __version__, log
from tests.support.chatdb import TIME, Chatdb
from tests.support.database import Database
from tests.support.project import Project
from tests.support.servers import on_first_server


@pytest.mark.quick
@on_first_server
def test_up_down_and_redo_print_each_step_and_a_summary(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write_tables(1, 2, 3)
    target = f"{database.target().where}, schema public (DATABASE_URL from the environment)"
    runs = [
        (["up", "--steps", "2"], ["applied   0001 t1", "applied   0002 t2"],
         "2 applied; current 0002"),
        (["up"], ["applied   0003 t3"], "1 applied; current 0003"),
        (["up"], [], "nothing to do; current 0003"),
        (["redo"], ["reverted  0003 t3", "applied   0003 t3"],
         "1 rolled back, 1 applied; current 0003"),
        (["down"], ["reverted  0003 t3"], "1 rolled back; current 0002"),
        (["down", "--to", "0001"], ["reverted  0002 t2"], "1 rolled back; current 0001"),
        (["down", "--to", "1"], [], "nothing to roll back; current 0001"),
        (["up", "--to", "2"], ["applied   0002 t2"], "1 applied; current 0002"),
        (["down", "--all"], ["reverted  0002 t2", "reverted  0001 t1"],
         "2 rolled back; current none"),
        (["down"], [], "nothing to roll back; current none"),
        (["up"], ["applied   0001 t1", "applied   0002 t2", "applied   0003 t3"],
         "3 applied; current 0003"),
        (["down", "--steps", "2", "--sync-each"], ["reverted  0003 t3", "reverted  0002 t2"],
         "2 rolled back; current 0001"),
        (["down", "--to", "0"], ["reverted  0001 t1"], "1 rolled back; current none"),
    ]  # fmt: skip
    for arguments, progress, summary in runs:
        result = chatdb("migrate", *arguments)
        assert (result.code, result.out) == (0, f"{summary}\n")
        lines = [re.escape(f"target: {target}")]
        lines += [rf"{re.escape(line)} \(\d+ ms\)" for line in progress]
        assert re.fullmatch("".join(f"{line}\n" for line in lines), result.err), result.err
    assert database.tables() == set()


Document = Callable[..., dict[str, Any]]


def common(database: Database) -> dict[str, Any]:
    """Return the keys that every document begins with."""
    target = {
        "host": str(database.server.embedded.params()["host"]),
        "port": 5432,
        "database": database.name,
        "user": "postgres",
        "schema": "public",
        "via": None,
        "source": "DATABASE_URL from the environment",
    }
    return {"format": 1, "target": target, "schema": "public"}


def step(number: int, state: str, **more: Any) -> dict[str, Any]:
    base = {"version": f"{number:04}", "name": f"t{number}", "state": state, "duration_ms": 0}
    return base | more


def without_times(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document with each duration as 0 and each time as `time`, after checking both."""
    for row in (*document.get("steps", ()), *document.get("applied", ())):
        assert row["duration_ms"] is None or isinstance(row["duration_ms"], int)
        row["duration_ms"] = row["duration_ms"] and 0
        if "applied_at" in row:
            assert TIME.fullmatch(row["applied_at"])
            row["applied_at"] = "time"
    return document


@pytest.fixture
def document(project: Project, chatdb: Chatdb) -> Document:
    """Run a command in a project of three migrations, and return its document without times."""
    project.write_tables(1, 2, 3)

    def call(*arguments: str) -> dict[str, Any]:
        result = chatdb(*arguments, "--format", "json")
        assert result.code == 0
        return without_times(result.document)

    return call


@pytest.mark.quick
@on_first_server
def test_the_document_of_status_lists_what_is_applied_and_what_is_pending(
    document: Document, database: Database
) -> None:
    pending = [{"version": f"{n:04}", "name": f"t{n}"} for n in (1, 2, 3)]
    empty: dict[str, Any] = {"problems": [], "warnings": []}
    assert document("migrate", "status") == common(database) | {
        "current": None, "applied": [], "pending": pending, **empty,
    }  # fmt: skip
    document("migrate", "up", "--steps", "2")
    applied = [step(n, "applied", applied_at="time") for n in (1, 2)]
    assert document("migrate", "status") == common(database) | {
        "current": "0002", "applied": applied, "pending": pending[2:], **empty,
    }  # fmt: skip


@pytest.mark.quick
@on_first_server
def test_the_document_of_up_lists_the_steps(document: Document, database: Database) -> None:
    assert document("migrate", "up", "--steps", "2") == common(database) | {
        "direction": "up",
        "steps": [step(1, "applied"), step(2, "applied")],
        "current": "0002",
        "warnings": [],
    }


@on_first_server
def test_the_document_of_setup_is_that_of_up(document: Document, database: Database) -> None:
    document("migrate", "up", "--steps", "2")
    assert document("setup") == common(database) | {
        "direction": "up", "steps": [step(3, "applied")], "current": "0003", "warnings": [],
    }  # fmt: skip
    assert document("setup")["steps"] == []


@on_first_server
def test_the_document_of_redo_names_the_direction_of_each_step(document: Document) -> None:
    document("migrate", "up")
    assert document("migrate", "redo")["steps"] == [
        step(3, "reverted", direction="down"),
        step(3, "applied", direction="up"),
    ]


@on_first_server
def test_the_document_of_down_lists_the_steps_and_the_deleted_rows(
    document: Document, database: Database
) -> None:
    document("migrate", "up")
    assert document("migrate", "down") == common(database) | {
        "direction": "down", "steps": [step(3, "reverted")], "current": "0002", "warnings": [],
        "losses": [],
    }  # fmt: skip
    assert document("migrate", "down", "--all")["current"] is None


@on_first_server
def test_the_document_of_history_has_an_entry_for_each_step_ever_run(
    document: Document, database: Database
) -> None:
    assert document("migrate", "history") == common(database) | {"entries": []}
    for arguments in (["up"], ["redo"], ["down", "--all"]):
        document("migrate", *arguments)
    entries = document("migrate", "history")["entries"]
    assert [(entry["operation"], entry["migration"]) for entry in reversed(entries)] == [
        ("apply", "0001_t1"), ("apply", "0002_t2"), ("apply", "0003_t3"),
        ("rollback", "0003_t3"), ("apply", "0003_t3"),
        ("rollback", "0003_t3"), ("rollback", "0002_t2"), ("rollback", "0001_t1"),
    ]  # fmt: skip
    newest = document("migrate", "history", "--limit", "2")["entries"]
    assert newest == entries[:2]
    for entry in entries:
        assert list(entry) == [
            "at", "operation", "migration", "user", "host", "comment", "correlation_id",
        ]  # fmt: skip
        assert entry["correlation_id"] == log.correlation_id
        assert TIME.fullmatch(entry["at"])
        assert entry["comment"] == f"chatdb {__version__}"


@on_first_server
def test_times_are_utc_whatever_the_time_zone_of_the_server(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    with database.connect() as conn:
        conn.execute(f"ALTER DATABASE {database.name} SET timezone = 'Asia/Kolkata'")
    project.write_tables(1)
    before = time.time()
    chatdb("migrate", "up")
    row = chatdb("migrate", "status", "--format", "json").document["applied"][0]
    assert before - 1 < datetime.fromisoformat(row["applied_at"]).timestamp() < time.time() + 1


@on_first_server
def test_versions_are_shown_as_in_the_file_name(project: Project, chatdb: Chatdb) -> None:
    for stem in ("7_a", "0010", "20260101120000_späte-Ünïcode"):
        project.write(stem, "SELECT 1", "SELECT 1")
    steps = chatdb("migrate", "up", "--format", "json").document["steps"]
    assert [(s["version"], s["name"]) for s in steps] == [
        ("7", "a"), ("0010", ""), ("20260101120000", "späte-Ünïcode"),
    ]  # fmt: skip
    assert chatdb("migrate", "down", "--to", "007").out == "2 rolled back; current 7\n"


@pytest.mark.quick
@on_first_server
def test_status_prints_what_is_applied_pending_and_wrong(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write_tables(1, 2, 3)
    project.write("0004_漢字", "SELECT 1", "SELECT 1")
    chatdb("migrate", "up", "--to", "2")
    (project.sql / "up/0001_t1.sql").write_text("CREATE TABLE other ()")
    result = chatdb("migrate", "status")
    where = f"{database.target().where}, schema public"
    text = re.sub(rf"{TIME.pattern}  \d+", "<time>  <ms>", result.out)
    text = re.sub(r"(?m)  applied at +ms$", "  applied at  ms", text)
    assert text == (
        "version  name  state    applied at  ms\n"
        "0001     t1    changed  <time>  <ms>\n"
        "0002     t2    applied  <time>  <ms>\n"
        "0003     t3    pending\n"
        "0004     漢字  pending\n"
        "current 0002; 2 applied, 2 pending\n"
        f"{where}\n"
        "\n"
        "problem: sql/up/0001_t1.sql was changed after 0001_t1 was applied\n"
        "hint: restore the applied text, and put the change into a new migration; "
        '"chatdb migrate repair" shows the difference and accepts it; during development, '
        '"chatdb migrate redo" applies the newest one again\n'
    )
    assert (result.code, result.err) == (0, "")


@pytest.mark.quick
@on_first_server
def test_status_check_exits_with_a_code_for_each_state(project: Project, chatdb: Chatdb) -> None:
    project.write_tables(1, 2)
    assert chatdb("migrate", "status", "--check").code == 1
    chatdb("migrate", "up")
    assert chatdb("migrate", "status", "--check").code == 0
    project.write("0001_t1", "SELECT 2", "SELECT 1")
    result = chatdb("migrate", "status", "--check", "--format", "json")
    assert result.code == 6
    assert [(p["code"], p["version"]) for p in result.document["problems"]] == [("changed", "0001")]
    assert list(result.document["problems"][0]) == ["code", "version", "message", "hint"]
    assert result.document["applied"][0]["state"] == "changed"
    assert chatdb("migrate", "status").code == 0


@on_first_server
def test_neither_status_nor_a_dry_run_writes_anything(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write_tables(1)
    everything = "SELECT count(*), max(xmin::text::bigint) FROM pg_class"
    before = database.query(everything)
    for line in ("status", "history", "up --dry-run", "down --dry-run", "redo --dry-run"):
        result = chatdb("migrate", *line.split())
        assert result.code in (0, 2), result
        assert "target:" not in result.err
    assert database.query(everything) == before


@on_first_server
def test_files_and_history_that_disagree_are_exit_6(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write_tables(1, 3)
    chatdb("migrate", "up")
    project.write_tables(2)
    result = chatdb("migrate", "up", "--format", "json")
    assert result.code == 6
    assert result.document["error"]["code"] == "history"
    assert result.document["target"]["database"] == database.name
    assert database.tables() == {"t1", "t3"}
    assert chatdb("migrate", "up", "--allow-out-of-order").code == 0
    assert database.tables() == {"t1", "t2", "t3"}


@on_first_server
def test_a_failed_run_prints_its_document_with_the_error(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write_tables(1, 3)
    project.write("0002_bad", "SELECT 1;\nSELECT nope;\n")
    result = chatdb("migrate", "up", "--format", "json")
    assert result.code == 5
    document = result.document
    assert [(s["version"], s["state"]) for s in document["steps"]] == [
        ("0001", "applied"), ("0002", "failed"), ("0003", "not-run"),
    ]  # fmt: skip
    assert document["steps"][2]["duration_ms"] is None
    assert document["current"] == "0001"
    assert document["error"] == {
        "code": "statement",
        "message": 'column "nope" does not exist',
        "hint": 'correct the file and run "chatdb migrate up" again',
        "file": "sql/up/0002_bad.sql",
        "line": 2,
        "column": 8,
        "sqlstate": "42703",
        "errno": None,
        "notes": ["0002 was rolled back; 0001 stays applied"],
        "correlation_id": log.correlation_id,
    }
    assert "error: column" in result.err  # for people, also in JSON mode
    assert database.applied() == ["0001_t1"]
    entries = chatdb("migrate", "history", "--format", "json").document["entries"]
    assert [e["operation"] for e in entries] == ["failed", "apply"]


@on_first_server
def test_a_missing_down_file_is_a_warning_for_up_and_exit_8_for_down(
    project: Project, chatdb: Chatdb
) -> None:
    project.write("0001_a", "SELECT 1", None)
    result = chatdb("migrate", "up")
    assert result.code == 0
    assert "warning: sql/up/0001_a.sql has no down file: it can't be rolled back\n" in result.err
    assert chatdb("migrate", "down").code == 8


@on_first_server
def test_quiet_prints_only_the_result_and_warnings(project: Project, chatdb: Chatdb) -> None:
    project.write("0001_a", "DO $$ BEGIN RAISE NOTICE 'psst'; END $$", None)
    result = chatdb("migrate", "up", "-q")
    assert result.out == "1 applied; current 0001\n"
    assert result.err == "warning: sql/up/0001_a.sql has no down file: it can't be rolled back\n"
    project.write("0002_b", "SELEC 1")
    assert chatdb("migrate", "up", "--quiet").err.startswith("error: syntax error")


@on_first_server
def test_notices_of_the_server_are_shown(project: Project, chatdb: Chatdb) -> None:
    project.write(
        "0001_a", "DO $$ BEGIN RAISE WARNING E'care\\x1b[31m'; END $$;\nDROP TABLE IF EXISTS x;"
    )
    result = chatdb("migrate", "up")
    assert "0001 warning: care\\x1b[31m\n" in result.err
    assert '0001 notice: table "x" does not exist, skipping\n' in result.err


@on_first_server
def test_verbose_names_each_statement_with_its_milliseconds(
    project: Project, chatdb: Chatdb
) -> None:
    project.write("0001_a", "CREATE TABLE a (id int);\n\nINSERT INTO a VALUES (1);\n", "SELECT 1")
    result = chatdb("migrate", "up", "-v")
    assert result.out == "1 applied; current 0001\n"
    for line, command in ((1, "CREATE TABLE"), (3, "INSERT 0 1")):
        pattern = (
            rf"debug: statement file=sql/up/0001_a.sql line={line} command={command} ms=\d+\.\d"
        )
        assert re.search(rf"(?m)^{pattern}$", result.err)
