"""The command line as its users meet it: arguments in; exit code, stdout, stderr, database out.

Most commands run in this process, which is thirty times as fast; what needs a process of its own
(signals, pipes, terminals, `import`) gets one.
"""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import typer

from chatdb_cli import log
from chatdb_cli.cli.app import application
from chatdb_cli.migrator import Migrator
from chatdb_cli.names import Names
from tests.support.chatdb import Chatdb, command_paths
from tests.support.database import Database
from tests.support.paths import ROOT
from tests.support.project import Project
from tests.support.psql import run_psql, schema_and_history
from tests.support.servers import Server, first

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
CONNECTION = {
    "--database-url",
    "--schema",
    "--embedded",
    "--insecure",
    "--pooler",
    "--env-file",
    "--dir",
    "--ssh-host",
    "--ssh-port",
    "--ssh-user",
    "--ssh-key-path",
    "--ssh-key-passphrase",
    "--ssh-known-hosts",
    "--ssh-agent",
    "--ssh-max-retries",
    "--ssh-retry-delay",
    "--no-tunnel",
}
OUTPUT = {"--format", "--log-format", "--quiet", "--verbose", "--help", "--version"}
TIMING = {"--retries", "--lock-timeout", "--statement-timeout", "--wait"}
LOCAL = {"--env-file", *OUTPUT}
OPTIONS = {
    (): {"--version", "--help"},
    ("setup",): CONNECTION | OUTPUT | TIMING | {"--seed", "--test", "--name", "--yes"},
    ("docs",): (CONNECTION - {"--dir"}) | OUTPUT | {"--output", "--check"},
    ("listen",): (CONNECTION - {"--dir"}) | OUTPUT | {"--topic", "--from", "--state", "--resync"},
    ("seed",): CONNECTION | OUTPUT
    | {"--scale", "--random-seed", "--yes", "--lock-timeout", "--statement-timeout"},
    ("tunnel",): (CONNECTION - {"--dir"}) | OUTPUT | {"--port"},
    ("migrate",): {"--help"},
    ("migrate", "up"): CONNECTION | OUTPUT | TIMING
    | {"--to", "--steps", "--dry-run", "--allow-out-of-order", "--sync-each"},
    ("migrate", "down"): CONNECTION | OUTPUT | TIMING
    | {"--to", "--steps", "--all", "--dry-run", "--yes", "--allow-data-loss", "--sync-each"},
    ("migrate", "redo"): CONNECTION | OUTPUT | TIMING | {"--dry-run", "--yes", "--allow-data-loss"},
    ("migrate", "baseline"): CONNECTION | OUTPUT | TIMING,
    ("migrate", "repair"): CONNECTION | OUTPUT | TIMING | {"--dry-run", "--yes"},
    ("migrate", "status"): CONNECTION | OUTPUT | {"--check"},
    ("migrate", "history"): CONNECTION | OUTPUT,
    ("migrate", "new"): LOCAL | {"--dir"},
    ("server",): {"--help"},
    ("server", "start"): LOCAL,
    ("server", "stop"): LOCAL,
    ("server", "status"): LOCAL,
    ("server", "url"): LOCAL,
    ("server", "psql"): LOCAL,
    ("server", "destroy"): LOCAL | {"--yes"},
}  # fmt: skip


# --- help, version, usage -------------------------------------------------------------------------


def test_the_commands_are_those_of_the_contract() -> None:
    assert set(command_paths(typer.main.get_command(application()))) == OPTIONS.keys()


@pytest.mark.parametrize("path", OPTIONS, ids=" ".join)
def test_every_command_lists_its_options(path: tuple[str, ...], offline: Chatdb) -> None:
    said = offline(*path, "--help")
    assert (said.code, said.err) == (0, "")
    assert said == offline(*path, "-h")
    listed = re.findall(r"^  (?:-\w, )?(--[a-z-]+)", said.out, re.MULTILINE)
    assert sorted(listed) == sorted(OPTIONS[path])
    assert max(map(len, said.out.splitlines())) <= 80
    assert "..." not in said.out.replace("]...", "").replace("arguments...", "")  # nothing is cut


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_version(flag: str, offline: Chatdb) -> None:
    said = offline(flag)
    assert said.code == 0
    assert re.fullmatch(r"chatdb \d+\.\d+\.\d+\n", said.out)


@pytest.mark.parametrize("path", [(), ("migrate",), ("server",)], ids=" ".join)
def test_a_group_alone_shows_its_help(path: tuple[str, ...], offline: Chatdb) -> None:
    said = offline(*path)
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith(f"Usage: {' '.join(('chatdb', *path))} ")
    assert "error: missing command\n" in said.err


USAGE = {
    "migrate bogus": "no such command 'bogus'",
    "migrate upp": "no such command 'upp'. Did you mean 'up'?",
    "migrate up --bogus": "no such option: --bogus",
    "migrate up extra": "got unexpected extra argument(s) (extra)",
    "migrate up --steps": "option '--steps' requires an argument",
    "migrate up --steps 0": "invalid value for '--steps': '0' is not a whole number from 1",
    "migrate up --steps x": "invalid value for '--steps': 'x' is not a whole number from 1",
    "migrate up --steps ³": "invalid value for '--steps': '³' is not a whole number from 1",
    "migrate down --steps -1": "invalid value for '--steps': '-1' is not a whole number from 1",
    "migrate new": "missing argument 'name'",
    "migrate up --lock-timeout 5": "--lock-timeout: '5' has no unit",
    "migrate up --statement-timeout 5": "--statement-timeout: '5' has no unit",
    "migrate down --wait 0": "--wait: '0' has no unit",
    "migrate redo --wait soon": "--wait: 'soon' is not a duration",
    "setup --lock-timeout 1week": "--lock-timeout: '1week' is not a duration",
    "migrate status --format xml": "--format: 'xml' is none of text, json",
    "migrate status --log-format xml": "--log-format: 'xml' is none of text, json",
    "migrate status --schema pg_x": "--schema: 'pg_x' starts with pg_",
    "migrate status --env-file none": "can't read none: no such file or directory",
    "migrate status --dir none": "there is no folder none",
    "migrate up": "no database configured",
    "migrate status": "no database configured",
    "server psql --bogus": "no such option: --bogus",
}


@pytest.mark.parametrize("line", USAGE)
@pytest.mark.parametrize("form", ["text", "json"])
def test_wrong_usage_is_exit_2(
    line: str, form: str, offline: Chatdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "--dir" in line:
        monkeypatch.setenv("DATABASE_URL", "postgresql://u@h/d")
    if form == "json" and "--format" not in line:
        monkeypatch.setenv("CHATDB_FORMAT", "json")
    said = offline(*line.split())
    assert said.code == 2
    assert said.err.startswith(f"error: {USAGE[line]}")
    assert "Traceback" not in said.err
    if form == "text" or "--format" in line:
        assert said.out == ""
    else:
        error = said.document["error"]
        assert error["code"] in ("usage", "settings", "not-configured")
        assert error["message"].startswith(USAGE[line])


@pytest.mark.parametrize("flag", [["--format", "json"], ["--format=json"]])
def test_the_flag_alone_makes_a_usage_error_json(flag: list[str], offline: Chatdb) -> None:
    assert offline("migrate", "up", *flag, "--bogus").document["error"]["code"] == "usage"
    assert offline("migrate", "up", "--bogus", *flag).document["target"] is None


def test_a_bad_setting_of_the_environment_is_named(
    offline: Chatdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATDB_WAIT", "5")
    said = offline("migrate", "status")
    assert said.code == 2
    assert said.err.startswith("error: CHATDB_WAIT from the environment: '5' has no unit\n")


@first
def test_json_that_an_env_file_asks_for_holds_for_errors_too(
    project: Project, database: Database, offline: Chatdb
) -> None:
    (project.path / ".env").write_text(f"CHATDB_FORMAT=json\nDATABASE_URL={database.url}\n")
    said = offline("migrate", "up", "--schema", "nowhere")
    assert said.code == 2
    assert said.document["error"]["code"] == "missing-schema"
    assert said.document["target"]["schema"] == "nowhere"


@first
@pytest.mark.parametrize(
    "line",
    [
        "migrate up --to 1 --steps 1",
        "migrate down --to 0 --all",
        "migrate down --steps 1 --all",
        "migrate down --to 1 --steps 1 --all",
        "migrate up --to 9",
        "migrate up --to x",
        "migrate up --to 1",
        "migrate down --to 9",
        "migrate up --schema nowhere",
        "migrate status --schema nowhere",
        "migrate history --schema nowhere",
    ],
)
def test_what_contradicts_or_is_not_there_is_exit_2(
    line: str, project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write_tables(1, 2)
    assert chatdb("migrate", "up").code == 0
    said = chatdb(*line.split())
    assert (said.code, said.out) == (2, "")
    assert re.search(r"^error: .+\n\nhint: .+\n", said.err, re.MULTILINE)
    assert database.tables() == {"t1", "t2"}


# --- up, down, redo, status, history --------------------------------------------------------------


@first
def test_the_way_up_and_down_in_text(project: Project, chatdb: Chatdb, database: Database) -> None:
    project.write_tables(1, 2, 3)
    target = f"{database.target().where}, schema public (DATABASE_URL from the environment)"
    steps = [
        (["up", "--steps", "2"], ["applied   0001 t1", "applied   0002 t2"],
         "2 applied; current 0002"),
        (["up"], ["applied   0003 t3"], "1 applied; current 0003"),
        (["up"], [], "nothing to do; current 0003"),
        (["redo"], ["reverted  0003 t3", "applied   0003 t3"],
         "1 taken back, 1 applied; current 0003"),
        (["down"], ["reverted  0003 t3"], "1 taken back; current 0002"),
        (["down", "--to", "0001"], ["reverted  0002 t2"], "1 taken back; current 0001"),
        (["down", "--to", "1"], [], "nothing to take back; current 0001"),
        (["up", "--to", "2"], ["applied   0002 t2"], "1 applied; current 0002"),
        (["down", "--all"], ["reverted  0002 t2", "reverted  0001 t1"],
         "2 taken back; current none"),
        (["down"], [], "nothing to take back; current none"),
        (["up"], ["applied   0001 t1", "applied   0002 t2", "applied   0003 t3"],
         "3 applied; current 0003"),
        (["down", "--steps", "2", "--sync-each"], ["reverted  0003 t3", "reverted  0002 t2"],
         "2 taken back; current 0001"),
        (["down", "--to", "0"], ["reverted  0001 t1"], "1 taken back; current none"),
    ]  # fmt: skip
    for arguments, progress, result in steps:
        said = chatdb("migrate", *arguments)
        assert (said.code, said.out) == (0, f"{result}\n")
        lines = [re.escape(f"target: {target}")]
        lines += [rf"{re.escape(line)} \(\d+ ms\)" for line in progress]
        assert re.fullmatch("".join(f"{line}\n" for line in lines), said.err), said.err
    assert database.tables() == set()


@first
def test_every_key_of_the_documents(project: Project, chatdb: Chatdb, database: Database) -> None:
    project.write_tables(1, 2, 3)
    target = {
        "host": str(database.server.embedded.params()["host"]),
        "port": 5432,
        "database": database.name,
        "user": "postgres",
        "schema": "public",
        "via": None,
        "source": "DATABASE_URL from the environment",
    }
    common = {"format": 1, "target": target, "schema": "public"}

    def call(*arguments: str) -> dict[str, Any]:
        said = chatdb(*arguments, "--format", "json")
        assert said.code == 0
        return said.document

    def step(number: int, state: str, **more: Any) -> dict[str, Any]:
        base = {"version": f"{number:04}", "name": f"t{number}", "state": state, "duration_ms": 0}
        return base | more

    def settled(document: dict[str, Any]) -> dict[str, Any]:
        """The document with durations that are whole numbers as 0, and times as `time`."""
        for row in (*document.get("steps", ()), *document.get("applied", ())):
            assert row["duration_ms"] is None or isinstance(row["duration_ms"], int)
            row["duration_ms"] = row["duration_ms"] and 0
            if "applied_at" in row:
                assert TIME.fullmatch(row["applied_at"])
                row["applied_at"] = "time"
        return document

    pending = [{"version": f"{n:04}", "name": f"t{n}"} for n in (1, 2, 3)]
    assert call("migrate", "status") == common | {
        "current": None, "applied": [], "pending": pending, "problems": [], "warnings": [],
    }  # fmt: skip
    assert call("migrate", "history") == common | {"entries": []}
    assert settled(call("migrate", "up", "--steps", "2")) == common | {
        "direction": "up",
        "steps": [step(1, "applied"), step(2, "applied")],
        "current": "0002",
        "warnings": [],
    }
    assert settled(call("migrate", "status")) == common | {
        "current": "0002",
        "applied": [step(n, "applied", applied_at="time") for n in (1, 2)],
        "pending": pending[2:],
        "problems": [],
        "warnings": [],
    }
    assert settled(call("setup")) == common | {
        "direction": "up", "steps": [step(3, "applied")], "current": "0003", "warnings": [],
    }  # fmt: skip
    assert call("setup")["steps"] == []
    assert settled(call("migrate", "redo"))["steps"] == [
        step(3, "reverted", direction="down"),
        step(3, "applied", direction="up"),
    ]
    assert settled(call("migrate", "down")) == common | {
        "direction": "down", "steps": [step(3, "reverted")], "current": "0002", "warnings": [],
        "losses": [],
    }  # fmt: skip
    assert call("migrate", "down", "--all")["current"] is None
    entries = call("migrate", "history")["entries"]
    assert [(e["operation"], e["migration"]) for e in entries] == [
        ("apply", "0001_t1"), ("apply", "0002_t2"), ("apply", "0003_t3"), ("rollback", "0003_t3"),
        ("apply", "0003_t3"), ("rollback", "0003_t3"), ("rollback", "0002_t2"),
        ("rollback", "0001_t1"),
    ]  # fmt: skip
    for entry in entries:
        assert list(entry) == ["at", "operation", "migration", "user", "host", "comment"]
        assert TIME.fullmatch(entry["at"])
        assert entry["comment"].startswith("chatdb ")


@first
def test_times_are_utc_whatever_the_server_thinks(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    with database.connect() as conn:
        conn.execute(f"ALTER DATABASE {database.name} SET timezone = 'Asia/Kolkata'")
    project.write_tables(1)
    before = time.time()
    chatdb("migrate", "up")
    row = chatdb("migrate", "status", "--format", "json").document["applied"][0]
    assert before - 1 < datetime.fromisoformat(row["applied_at"]).timestamp() < time.time() + 1


@first
def test_versions_stay_as_they_stand_in_the_file_name(project: Project, chatdb: Chatdb) -> None:
    for stem in ("7_a", "0010", "20260101120000_späte-Ünïcode"):
        project.write(stem, "SELECT 1", "SELECT 1")
    steps = chatdb("migrate", "up", "--format", "json").document["steps"]
    assert [(s["version"], s["name"]) for s in steps] == [
        ("7", "a"), ("0010", ""), ("20260101120000", "späte-Ünïcode"),
    ]  # fmt: skip
    assert chatdb("migrate", "down", "--to", "007").out == "2 taken back; current 7\n"


@first
def test_status_in_text(project: Project, chatdb: Chatdb, database: Database) -> None:
    project.write_tables(1, 2, 3)
    project.write("0004_漢字", "SELECT 1", "SELECT 1")
    chatdb("migrate", "up", "--to", "2")
    (project.sql / "up/0001_t1.sql").write_text("CREATE TABLE other ()")
    said = chatdb("migrate", "status")
    where = f"{database.target().where}, schema public"
    text = re.sub(rf"{TIME.pattern}  \d+", "<time>  <ms>", said.out)
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
        "hint: bring the applied text back and put the change into a new migration; "
        '"chatdb migrate repair" shows the difference and accepts it; while developing, '
        '"chatdb migrate redo" applies the newest one anew\n'
    )
    assert (said.code, said.err) == (0, "")


@first
def test_check_has_exit_codes(project: Project, chatdb: Chatdb) -> None:
    project.write_tables(1, 2)
    assert chatdb("migrate", "status", "--check").code == 1
    chatdb("migrate", "up")
    assert chatdb("migrate", "status", "--check").code == 0
    project.write("0001_t1", "SELECT 2", "SELECT 1")
    said = chatdb("migrate", "status", "--check", "--format", "json")
    assert said.code == 6
    assert [(p["code"], p["version"]) for p in said.document["problems"]] == [("changed", "0001")]
    assert list(said.document["problems"][0]) == ["code", "version", "message", "hint"]
    assert said.document["applied"][0]["state"] == "changed"
    assert chatdb("migrate", "status").code == 0


@first
def test_a_status_writes_nothing_and_a_dry_run_neither(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write_tables(1)
    everything = "SELECT count(*), max(xmin::text::bigint) FROM pg_class"
    before = database.query(everything)
    for line in ("status", "history", "up --dry-run", "down --dry-run", "redo --dry-run"):
        said = chatdb("migrate", *line.split())
        assert said.code in (0, 2), said
        assert "target:" not in said.err
    assert database.query(everything) == before


@first
def test_files_and_history_that_disagree_are_exit_6(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write_tables(1, 3)
    chatdb("migrate", "up")
    project.write_tables(2)
    said = chatdb("migrate", "up", "--format", "json")
    assert said.code == 6
    assert said.document["error"]["code"] == "history"
    assert said.document["target"]["database"] == database.name
    assert database.tables() == {"t1", "t3"}
    assert chatdb("migrate", "up", "--allow-out-of-order").code == 0
    assert database.tables() == {"t1", "t2", "t3"}


@first
def test_a_failed_run_gives_the_document_with_the_error(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write_tables(1, 3)
    project.write("0002_bad", "SELECT 1;\nSELECT nope;\n")
    said = chatdb("migrate", "up", "--format", "json")
    assert said.code == 5
    document = said.document
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
    }
    assert "error: column" in said.err  # for people, also in JSON mode
    assert database.applied() == ["0001_t1"]
    log = chatdb("migrate", "history", "--format", "json").document["entries"]
    assert [e["operation"] for e in log] == ["apply", "failed"]


@first
def test_a_missing_down_file_is_a_warning_up_and_exit_8_down(
    project: Project, chatdb: Chatdb
) -> None:
    project.write("0001_a", "SELECT 1", None)
    said = chatdb("migrate", "up")
    assert said.code == 0
    assert "warning: sql/up/0001_a.sql has no down file: it can't be taken back\n" in said.err
    assert chatdb("migrate", "down").code == 8


@first
def test_quiet_leaves_the_result_and_what_matters(project: Project, chatdb: Chatdb) -> None:
    project.write("0001_a", "DO $$ BEGIN RAISE NOTICE 'psst'; END $$", None)
    said = chatdb("migrate", "up", "-q")
    assert said.out == "1 applied; current 0001\n"
    assert said.err == "warning: sql/up/0001_a.sql has no down file: it can't be taken back\n"
    project.write("0002_b", "SELEC 1")
    assert chatdb("migrate", "up", "--quiet").err.startswith("error: syntax error")


@first
def test_notices_of_the_server_are_shown(project: Project, chatdb: Chatdb) -> None:
    project.write(
        "0001_a", "DO $$ BEGIN RAISE WARNING E'care\\x1b[31m'; END $$;\nDROP TABLE IF EXISTS x;"
    )
    said = chatdb("migrate", "up")
    assert "0001 warning: care\\x1b[31m\n" in said.err
    assert '0001 notice: table "x" does not exist, skipping\n' in said.err


@first
def test_verbose_names_each_statement_with_its_milliseconds(
    project: Project, chatdb: Chatdb
) -> None:
    project.write("0001_a", "CREATE TABLE a (id int);\n\nINSERT INTO a VALUES (1);\n", "SELECT 1")
    said = chatdb("migrate", "up", "-v")
    assert said.out == "1 applied; current 0001\n"
    for line, command in ((1, "CREATE TABLE"), (3, "INSERT 0 1")):
        pattern = (
            rf"debug: statement file=sql/up/0001_a.sql line={line} command={command} ms=\d+\.\d"
        )
        assert re.search(rf"(?m)^{pattern}$", said.err)


@first
def test_json_logs(project: Project, chatdb: Chatdb) -> None:
    project.write("0001_a", "CREATE TABLE a (id int);", "SELECT 1")
    said = chatdb("migrate", "up", "--verbose", "--log-format", "json", "--quiet")
    assert said.out == "1 applied; current 0001\n"
    records = [json.loads(line) for line in said.err.splitlines()]
    (record,) = (r for r in records if r["event"] == "statement")
    assert list(record) == ["timestamp", "level", "event", "correlation_id", "data"]
    assert TIME.fullmatch(record["timestamp"])
    assert record["level"] == "debug"
    assert record["correlation_id"] == log.correlation_id
    assert record["data"]["file"] == "sql/up/0001_a.sql"
    assert isinstance(record["data"]["ms"], float)


# --- where: schema, folder, setup -----------------------------------------------------------------


@first
@pytest.mark.parametrize(
    "schema", ['My schéma; DROP "x"', "a'b\\c", "line\nend", "{version}", "%s"]
)
def test_a_schema_of_any_name(
    schema: str, project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write_tables(1, 2)
    given = ("--schema", schema)
    assert chatdb("migrate", "up", *given).code == 2
    said = chatdb("setup", *given)
    assert (said.code, said.out) == (0, "2 applied; current 0002\n")
    assert "made schema " in said.err
    assert not any(line.startswith("end") for line in said.err.splitlines()), said.err
    with database.connect() as conn:
        found = conn.execute(
            "SELECT relname::text FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE nspname = %s AND relkind = 'r' ORDER BY 1",
            (schema,),
        ).fetchall()
    names = ["_yoyo_log", "_yoyo_migration", "_yoyo_version", "chatdb_migration", "t1", "t2"]
    assert [name for (name,) in found] == names
    assert database.tables() == set()
    assert chatdb("migrate", "redo", *given).code == 0
    assert chatdb("migrate", "status", *given, "--format", "json").document["schema"] == schema
    script = chatdb("migrate", "down", "--all", "--dry-run", *given).out
    run_psql(database, script)
    assert chatdb("migrate", "status", *given, "--check").code == 1
    assert chatdb("migrate", "up", *given).code == 0
    assert chatdb("migrate", "down", "--all", *given).code == 0
    assert len(chatdb("migrate", "history", *given).out.splitlines()) == 1 + 2 + 2 + 2 + 2 + 2


@first
def test_setup_makes_the_database_too_and_can_be_repeated(
    project: Project, offline: Chatdb, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write_tables(1)
    missing = Database(server, 'neu; "é')
    monkeypatch.setenv("DATABASE_URL", server.url(missing.name))
    said = offline("migrate", "status", "--format", "json")
    assert said.code == 3
    error = said.document["error"]
    assert (error["code"], error["sqlstate"]) == ("missing-database", "3D000")
    assert error["hint"] == '"chatdb setup" makes it'
    try:
        said = offline("setup")
        assert (said.code, said.out) == (0, "1 applied; current 0001\n")
        assert "made database neu" in said.err
        assert "made schema" not in said.err  # public is there from the beginning
        again = offline("setup")
        assert (again.code, again.out) == (0, "nothing to do; current 0001\n")
        assert "made" not in again.err
    finally:
        server.execute('DROP DATABASE "neu; ""é" WITH (FORCE)')


@first
def test_two_setups_at_once(project: Project, server: Server) -> None:
    project.write_tables(1, 2, 3)
    missing = Database(server, "t_two_at_once")
    env = {"DATABASE_URL": missing.url}
    try:
        with ThreadPoolExecutor(3) as pool:
            runs = list(pool.map(lambda _: project.chatdb("setup", env=env), range(3)))
        assert [r.returncode for r in runs] == [0] * 3, [r.stderr for r in runs]
        assert missing.tables() == {"t1", "t2", "t3"}
        assert missing.applied() == ["0001_t1", "0002_t2", "0003_t3"]
    finally:
        missing.drop()


@first
def test_the_shipped_schema_stays_out_of_other_peoples_schemas(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    with database.connect() as conn:
        conn.execute("CREATE TABLE mine ()")
    for arguments in (["up"], ["up", "--dry-run"]):
        said = chatdb("migrate", *arguments)
        assert (said.code, said.out) == (8, "")
        assert "--dir @chat" in said.err
        assert "files: the chat schema that comes with chatdb" in said.err
    assert chatdb("setup").code == 8
    assert database.tables() == {"mine"}
    assert chatdb("migrate", "up", "--dry-run", "--dir", "@chat").code == 0


def test_the_shipped_schema_goes_into_an_empty_database_and_back(
    chatdb: Chatdb, database: Database
) -> None:
    assert chatdb("setup").code == 0
    assert chatdb("migrate", "status", "--check").code == 0
    assert chatdb("migrate", "down", "--all").code == 0
    assert database.tables() == set()


def test_new_writes_the_next_pair(project: Project, offline: Chatdb) -> None:
    said = offline("migrate", "new", "add users")
    assert (said.code, said.err) == (0, "")
    assert said.out == "sql/up/0001_add_users.sql\nsql/down/0001_add_users.sql\n"
    assert (project.sql / "up/0001_add_users.sql").read_text() == "-- add users\n"
    assert offline("migrate", "new", "b", "--format", "json").document == {
        "format": 1, "target": None, "up": "sql/up/0002_b.sql", "down": "sql/down/0002_b.sql",
    }  # fmt: skip
    assert offline("migrate", "new", "../x").code == 2
    assert offline("migrate", "new", "x", "--dir", "@chat").code == 2


# --- what is destructive --------------------------------------------------------------------------


@first
@pytest.mark.parametrize("what", ["down", "redo"])
def test_production_needs_yes_where_nobody_can_be_asked(
    what: str, project: Project, chatdb: Chatdb, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write_tables(1)
    monkeypatch.setenv("CHATDB_ENV", "production")
    assert chatdb("migrate", "up").code == 0
    said = chatdb("migrate", what)
    assert (said.code, said.out) == (8, "")
    assert "production" in said.err
    assert "--yes" in said.err
    assert chatdb("migrate", what, "--format", "json").document["error"]["code"] == "refused"
    assert database.tables() == {"t1"}
    assert chatdb("migrate", what, "--dry-run").code == 0
    assert chatdb("migrate", what, "--yes").code == 0


class Terminal:
    """A command whose stdin and stderr are a terminal; stdout too, unless it is piped."""

    def __init__(self, project: Project, *arguments: str, env: dict[str, str], pipe: bool = False):
        self.master, slave = pty.openpty()
        os.set_inheritable(slave, True)
        root = str(ROOT)
        self.process = subprocess.Popen(
            project.command(*arguments),
            cwd=project.path,
            env=project.environment(PYTHONPATH=root, TERM="xterm-256color", **env),
            stdin=slave,
            stderr=slave,
            stdout=subprocess.PIPE if pipe else slave,
            start_new_session=True,
            # Ctrl-C reaches whoever has this as its controlling terminal.
            preexec_fn=_take_terminal,
        )
        os.close(slave)
        self.text = ""

    def expect(self, text: str) -> None:
        deadline = time.monotonic() + 30
        while text not in self.text:
            assert time.monotonic() < deadline, self.text
            assert self._read(), self.text

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def end(self, again: str = "") -> int:
        """Wait for the end; type some keys again where nothing comes, as a person would."""
        while True:
            ready, _, _ = select.select([self.master], [], [], 2)
            if not ready and again:
                self.type(again)
            elif ready and not self._read():
                break
        os.close(self.master)
        if self.process.stdout:
            self.process.stdout.close()
        return self.process.wait(30)

    def _read(self) -> bool:
        select.select([self.master], [], [], 30)
        try:
            said = os.read(self.master, 65536)
        except OSError:  # the other side is closed
            return False
        self.text += said.decode().replace("\r\n", "\n")
        return bool(said)


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@first
@pytest.mark.parametrize(
    ("keys", "code"),
    [("{name}\n", 0), ("y\n", 8), ("\x04", 8), ("\x03", 130)],
    ids=["name", "y", "ctrl-d", "ctrl-c"],
)
def test_production_asks_on_a_terminal(
    keys: str, code: int, project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write_tables(1)
    chatdb("migrate", "up")
    env = {"CHATDB_ENV": "production", "DATABASE_URL": database.url}
    terminal = Terminal(project, "migrate", "down", env=env)
    terminal.expect("to go on: ")
    assert f"this would take migrations back in production, on database '{database.name}'" in (
        terminal.text.replace("will", "would")
    )
    terminal.type(keys.format(name=database.name))
    # A Ctrl-C in the moment in which the terminal is being set up for the answer can get lost.
    assert terminal.end(again=keys if keys == "\x03" else "") == code
    assert database.tables() == (set() if code == 0 else {"t1"})


def test_destroy_asks(project: Project, offline: Chatdb, monkeypatch: pytest.MonkeyPatch) -> None:
    said = offline("server", "destroy", "--format", "json")
    assert said.code == 0
    assert said.document == {"format": 1, "target": None, "destroyed": None}
    assert offline("server", "start").code == 0
    home = project.path / ".chatdb"
    try:
        refused = offline("server", "destroy")
        assert (refused.code, refused.out) == (8, "")
        assert "--yes" in refused.err
        terminal = Terminal(project, "server", "destroy", env={})
        terminal.expect("type 'chat' to go on: ")
        terminal.type("n\n")
        assert terminal.end() == 8
        assert offline("server", "status", "--format", "json").document["server"]["running"]
    finally:
        assert offline("server", "destroy", "--yes").out == f"removed {home}\n"
    assert not home.exists()


# --- exit codes that nobody wishes for ------------------------------------------------------------


@first
def test_another_migrator_at_work_is_exit_7(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write_tables(1, 2)
    chatdb("migrate", "up", "--to", "1")
    with database.connect() as conn:
        names = Names(conn, "public")
        conn.execute(f"SELECT pg_advisory_lock({names.lock_key})")
        for wait in ("0s", "300ms"):
            started = time.monotonic()
            said = chatdb("migrate", "up", "--wait", wait, "--format", "json")
            assert time.monotonic() - started < 3
            assert said.code == 7
            assert said.document["error"]["code"] == "locked"
    assert chatdb("migrate", "up", "--wait", "0s").code == 0


@first
def test_a_mistake_of_ours_is_exit_70_with_an_id(
    project: Project, chatdb: Chatdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Migrator) -> None:
        raise RuntimeError("secret-in-here")

    project.write_tables(1)
    monkeypatch.setattr(Migrator, "status", broken)
    said = chatdb("migrate", "status", "--format", "json")
    assert said.code == 70
    assert said.document["error"]["code"] == "internal"
    assert said.err.startswith(f"error: internal error {log.correlation_id}: RuntimeError\n")
    assert "secret" not in said.err + said.out
    assert "Traceback" not in said.err
    monkeypatch.setenv("CHATDB_DEBUG", "1")
    assert "Traceback" in chatdb("migrate", "status").err


@pytest.fixture
def closed_pipe() -> Iterator[int]:
    """The end of a pipe that nobody reads."""
    read, write = os.pipe()
    os.close(read)
    yield write
    os.close(write)


@first
@pytest.mark.parametrize("line", ["--help", "migrate up", "migrate up --dry-run"])
def test_a_closed_pipe_is_141_without_a_word(
    line: str, project: Project, database: Database, closed_pipe: int
) -> None:
    project.write_tables(1)
    for stderr in (subprocess.PIPE, closed_pipe):
        done = subprocess.run(
            project.command(*line.split()),
            cwd=project.path,
            env=_environment(project, database),
            stdout=closed_pipe,
            stderr=stderr,
            timeout=60,
        )
        assert done.returncode == 141
        assert b"rror" not in (done.stderr or b"")


@first
def test_a_full_disk_is_said(project: Project, database: Database) -> None:
    project.write_tables(1)
    for line in ("migrate status", "migrate status --format json", "--version"):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run(
                project.command(*line.split()),
                cwd=project.path,
                env=_environment(project, database),
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
            )
        assert done.returncode == 70
        assert (
            "error: the result can't be written: no space left on device [ENOSPC]\n" in done.stderr
        )
        assert "Traceback" not in done.stderr


@first
def test_an_error_keeps_its_code_where_its_document_has_no_room(
    project: Project, database: Database
) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            project.command("migrate", "status", "--dir", "nowhere", "--format", "json"),
            cwd=project.path,
            env=_environment(project, database),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 2
    assert "error: there is no folder nowhere [ENOENT]\n" in done.stderr
    assert "Traceback" not in done.stderr


@first
@pytest.mark.parametrize("closed", [">&-", ">&- 2>&- <&-"])
def test_streams_that_the_shell_closed(closed: str, project: Project, database: Database) -> None:
    project.write_tables(1)
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {closed}', "sh", *project.command("migrate", "up")],
        cwd=project.path,
        env=_environment(project, database),
        capture_output=True,
    )
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    assert database.tables() == {"t1"}


@first
@pytest.mark.parametrize(
    ("number", "code", "word", "form"),
    [
        (signal.SIGINT, 130, "interrupted", "text"),
        (signal.SIGINT, 130, "interrupted", "json"),
        (signal.SIGTERM, 143, "terminated", "json"),
    ],
)
def test_a_signal_rolls_back_says_so_and_leaves_it_resumable(
    number: int, code: int, word: str, form: str, project: Project, chatdb: Chatdb,
    database: Database,
) -> None:  # fmt: skip
    project.write_tables(1, 3)
    project.write("0002_slow", "CREATE TABLE t2 ();\nSELECT pg_sleep(30);\n", "DROP TABLE t2")
    process = subprocess.Popen(
        project.command("migrate", "up", "--format", form),
        cwd=project.path,
        env=_environment(project, database),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = "
    _until(lambda: database.query(f"{asleep}'{database.name}'") == [(1,)])
    process.send_signal(number)
    started = time.monotonic()
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - started < 5
    assert process.returncode == code
    assert f"error: {word}\n  = 0002 was rolled back; 0001 stays applied\n" in err
    assert "hint: run the same command again to go on\n" in err
    assert "Traceback" not in err
    if form == "json":
        document = json.loads(out)
        assert document["error"]["code"] == word
        states = [s["state"] for s in document["steps"]]
        assert states in (["applied", state, "not-run"] for state in ("not-run", "failed"))
    assert database.tables() == {"t1"}
    assert database.query(f"{asleep}'{database.name}'") == [(0,)]
    project.write("0002_slow", "CREATE TABLE t2 ();\n", "DROP TABLE t2")
    assert chatdb("migrate", "up").out == "2 applied; current 0003\n"


def _environment(project: Project, database: Database) -> dict[str, str]:
    root = str(ROOT)
    return project.environment(DATABASE_URL=database.url, PYTHONPATH=root)


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# --- a dry run is a script for psql ---------------------------------------------------------------


def _timeless(script: str) -> str:
    """A script without the second in which yoyo's tables were made."""
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[.\d]*", "", script)


AWKWARD = {
    "0001_words": "CREATE TABLE words (word text, n int[]); -- no; statement\n/* nor; /* here */ ; */",
    "0002_quotes": "INSERT INTO words VALUES ('it''s; 100 % :name \\ ünï 漢字'), (E'a\\'b'), "
    "($$ dollar; 'quoted' $$), ($x$ $$ $x$) -- the end",
    "0003_crlf": "\ufeffINSERT INTO words\r\n  VALUES ('two\r\nlines');\r\n",
    "0004_function": "CREATE FUNCTION f(int) RETURNS int LANGUAGE plpgsql AS $$\nBEGIN\n"
    "  RETURN $1 + 1;\nEND; $$;\n"
    "CREATE FUNCTION g() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END;",
    "0005_empty": "-- only a comment",
    "0006_serializable": "-- chatdb: isolation: serializable\n-- chatdb: lock-timeout: 1s\n"
    "SELECT 1/count(*) FROM (SELECT current_setting('transaction_isolation')) s(i) "
    "WHERE i = 'serializable'",
    "0007_slice": "SELECT (array[1,2,3])[1:2], 'a'::text;\n"
    "UPDATE words SET n = '{1,2}' WHERE n[1:2] IS NULL;",
    "0008_leftovers": "SET ROLE pg_monitor; RESET ROLE; SET search_path = ''; "
    "CREATE TEMP TABLE gone (); PREPARE p AS SELECT 1; SET standard_conforming_strings = on;",
    "0009_rule": "CREATE OR REPLACE RULE r AS ON DELETE TO words DO ALSO (SELECT 1; SELECT 2);",
}


def test_a_dry_run_is_a_script_that_does_the_same_in_psql(
    project: Project, chatdb: Chatdb, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for stem, text in AWKWARD.items():
        project.write(stem, text, f"-- takes back {stem}\n")
    project.write("0001_words", AWKWARD["0001_words"], "DROP TABLE words;")
    project.write("0004_function", AWKWARD["0004_function"], "DROP FUNCTION f, g;")
    other = database.server.create()
    try:
        flag = "--allow-data-loss"
        for line in ("up --to 3", "up", "redo", "down", f"down --to 4 {flag}",
                     f"down --all {flag}", "up"):  # fmt: skip
            monkeypatch.setenv("DATABASE_URL", other.url)
            printed = chatdb("migrate", *line.split(), "--dry-run")
            document = chatdb("migrate", *line.split(), "--dry-run", "--format", "json").document
            assert (printed.code, printed.err) == (0, "")
            monkeypatch.setenv("DATABASE_URL", database.url)
            assert chatdb("migrate", *line.split()).code == 0
            assert {s["state"] for s in document["steps"]} == {"planned"}
            assert {s["duration_ms"] for s in document["steps"]} == {None}
            # The steps carry what the script is made of.
            script, position = _timeless(printed.out), 0
            for sql in (document.get("prepare_sql", ""), *(s["sql"] for s in document["steps"])):
                position = script.index(_timeless(sql), position) + len(_timeless(sql))
            run_psql(other, printed.out)
            assert schema_and_history(other) == schema_and_history(database), line
    finally:
        other.drop()


@first
def test_a_dry_run_with_nothing_to_do_is_an_empty_script(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write_tables(1)
    assert chatdb("migrate", "down", "--dry-run").out.splitlines()[1:] == [
        "-- nothing to take back; current none"
    ]
    run_psql(database, chatdb("migrate", "up", "--dry-run").out)
    said = chatdb("migrate", "up", "--dry-run")
    assert [line[:3] for line in said.out.splitlines()] == ["-- ", "-- "]
    run_psql(database, said.out)
    assert chatdb("migrate", "up", "--dry-run", "--format", "json").document["steps"] == []


@first
def test_a_script_that_came_too_late_changes_nothing(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write_tables(1, 2)
    script = chatdb("migrate", "up", "--dry-run").out
    chatdb("migrate", "up", "--to", "1")
    with pytest.raises(AssertionError, match="ERROR"):
        run_psql(database, script)
    assert database.applied() == ["0001_t1"]


# --- on and off a terminal ------------------------------------------------------------------------


@first
def test_off_a_terminal_rich_is_never_imported(project: Project, database: Database) -> None:
    project.write_tables(1)
    project.write("0002_bad", "SELECT 'é', nope")
    code = (
        "import sys\nfrom chatdb_cli.cli import run\n"
        "for line in sys.argv[1:]:\n    run(line.split())\n"
        "found = [m for m in sys.modules if m == 'rich' or m.startswith('rich.')]\n"
        "print('imported', found)\n"
    )
    lines = ["--help", "migrate up --help", "migrate up --bogus", "migrate up", "migrate status",
             "migrate history", "migrate down", "migrate status --format json"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code, *lines],
        cwd=project.path,
        env=_environment(project, database),
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines()[-1] == "imported []", done.stderr
    assert "\x1b" not in done.stdout + done.stderr


@first
def test_colours_on_a_terminal_and_none_with_no_color(project: Project, database: Database) -> None:
    project.write_tables(1, 2)
    project.write("0003_bad", "SELECT nope")
    env = {"DATABASE_URL": database.url}
    terminal = Terminal(project, "migrate", "up", env=env)
    assert terminal.end() == 5
    assert "\x1b[32mapplied   0001 t1" in terminal.text
    assert "\x1b[1;31merror: column" in terminal.text
    terminal = Terminal(project, "migrate", "status", env=env | {"NO_COLOR": "1"})
    assert terminal.end() == 0
    assert not re.search(r"\x1b\[[\d;]*3\dm", terminal.text)
    assert "0001     t1    applied" in terminal.text
    piped = Terminal(project, "migrate", "status", env=env, pipe=True)
    assert piped.process.stdout
    assert b"\x1b" not in piped.process.stdout.read()
    assert piped.end() == 0


@first
def test_output_is_utf_8_whatever_the_locale(project: Project, database: Database) -> None:
    project.write("0001_漢字", "SELECT 'é'", "SELECT 1")
    env = {"DATABASE_URL": database.url, "PYTHONIOENCODING": "latin-1",
           "PYTHONUTF8": "0"}  # fmt: skip
    for arguments in (["up", "--dry-run"], ["up", "--format", "json"], ["status"]):
        done = project.chatdb("migrate", *arguments, env=env)
        assert done.returncode == 0, done.stderr
        assert "漢字" in done.stdout
