"""`chatdb health`: the text, the document, the exit codes; `--wait`, `--watch`, `--threshold`."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from chatdb_cli.cli.render.health import render_health
from chatdb_cli.cli.render.table import Table, layout_table
from chatdb_cli.health.find import definitions
from chatdb_cli.health.model import Check, Health
from tests.support.chatdb import TIME, Chatdb
from tests.support.database import Database
from tests.support.health import health_of
from tests.support.paths import ROOT
from tests.support.project import Project, command_environment
from tests.support.proxy import Proxy
from tests.support.servers import socket_of
from tests.support.terminal import Terminal

# The time that this machine takes is no fault of the database.
SLOW = "latency=1h,connection=1h"
UNREACHABLE = "postgresql://ops@127.0.0.1:1/chat"


@pytest.fixture(autouse=True)
def _slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATDB_THRESHOLD", SLOW)


@pytest.mark.quick
def test_a_healthy_database_has_a_line_for_each_check(
    project: Project, database: Database, chatdb: Chatdb
) -> None:
    project.write_tables(1)
    project.migrator(database).up()
    result = chatdb("health")
    assert (result.code, result.err) == (0, "")
    first, head, *lines = result.out.splitlines()
    assert first.startswith("ok: postgres@[")
    assert re.search(
        rf"/{database.name}, schema public: PostgreSQL {database.server.version}", first
    )
    assert head == "state  check"
    assert all(line.startswith("ok     ") for line in lines)
    assert "ok     pending-migrations: no migration is pending; current 0001" in lines


def test_the_document_has_the_keys_of_the_contract(
    project: Project, database: Database, chatdb: Chatdb
) -> None:
    project.write_tables(1)
    document = chatdb("health", "--format", "json").document
    assert document["target"]["database"] == database.name
    assert document["schema"] == "public"
    assert document["status"] == "degraded"
    assert document["database"] == "connected"
    assert TIME.fullmatch(document["timestamp"])
    assert document["latency_ms"] >= 0
    assert document["server_version"].startswith(f"{database.server.version}.")
    keys = {"name", "status", "value", "unit", "threshold", "message", "hint"}
    assert all(check.keys() == keys for check in document["checks"])
    first = document["checks"][0]  # the worst comes first
    assert first == {
        "name": "pending-migrations",
        "status": "degraded",
        "value": 1,
        "unit": "count",
        "threshold": 0,
        "message": "1 migration is pending: 0001_t1; current none",
        "hint": 'run "chatdb migrate up"',
    }


def test_the_exit_code_is_that_of_the_status(
    project: Project, database: Database, chatdb: Chatdb
) -> None:
    project.write_tables(1)  # pending
    assert chatdb("health").code == 0
    assert chatdb("health", "--strict").code == 1
    assert chatdb("health", "--threshold", "pending-migrations=1", "--strict").code == 0
    error = chatdb("health", "--threshold", "server-version.error=99")
    assert error.code == 1
    assert error.out.splitlines()[2].startswith(
        "error     server-version: the server is PostgreSQL"
    )


def test_thresholds_of_the_environment_and_of_the_option_are_combined(
    project: Project, chatdb: Chatdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write_tables(1)
    monkeypatch.setenv("CHATDB_THRESHOLD", f"{SLOW},pending-migrations=1,connections=0%")
    document = chatdb("health", "--format", "json", "--threshold", "connections=99%").document
    status = {check["name"]: (check["status"], check["threshold"]) for check in document["checks"]}
    assert (status["pending-migrations"], status["connections"]) == (("ok", 1), ("ok", 99))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--threshold", "conections=1"], "threshold 'conections' does not exist; did you mean"),
        (["--threshold", "connections"], "the threshold 'connections' is not NAME=VALUE"),
        (["--wait", "5"], "invalid value for '--wait': '5' has no unit"),
        (["--watch", "--every", "soon"], "invalid value for '--every': 'soon' is not a duration"),
        (["--dir", "missing"], "there is no folder missing"),
        (["--threshold", "connections=500%"], "threshold connections: '500%' is more than 100 %"),
        (["--every", "5s"], "--every is for --watch"),
        (["--strict", "--watch"], "--strict is for one check, --watch continues to check"),
        (["--strict", "--serve", "127.0.0.1:0"], "--strict is for one check, --serve continues"),
        (["--watch", "--serve", "127.0.0.1:0"], "--watch and --serve contradict each other"),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_opened(
    arguments: list[str], message: str, offline: Chatdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", UNREACHABLE)
    result = offline("health", *arguments)
    assert (result.code, result.out) == (2, "")
    assert message in result.err


def test_without_a_database_there_is_a_document_and_exit_3(
    offline: Chatdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", UNREACHABLE)
    result = offline("health", "--format", "json")
    assert result.code == 3
    document = result.document
    assert (document["status"], document["database"]) == ("error", "disconnected")
    assert (document["latency_ms"], document["server_version"]) == (None, None)
    assert document["target"]["user"] == "ops"
    assert document["error"]["errno"] == "ECONNREFUSED"
    (check,) = document["checks"]
    assert (check["name"], check["status"]) == ("connection", "error")
    assert result.err.startswith("error: can't connect to ops@127.0.0.1:1/chat: ")
    text = offline("health")
    assert (text.code, text.err) == (3, "")
    assert text.out.startswith("error: ops@127.0.0.1:1/chat, schema public: disconnected\n")
    assert "hint: start the server, or correct host and port" in text.out


def test_without_a_tunnel_there_is_a_document_and_exit_4(
    offline: Chatdb, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", UNREACHABLE)
    arguments = ("--ssh-host", "127.0.0.1", "--ssh-port", "1", "--ssh-max-retries", "0")
    result = offline("health", "--format", "json", *arguments)
    assert result.code == 4
    assert (result.document["status"], result.document["database"]) == ("error", "disconnected")
    assert result.document["error"]["code"] == "tunnel-refused"


# --- a terminal of 80 x 24 ------------------------------------------------------------------------


def _health(bad: int, unknown: int, message: str) -> Health:
    from datetime import UTC, datetime

    names = [d.name for d in definitions()]
    status = ["degraded"] * bad + ["unknown"] * unknown + ["ok"] * (len(names) - bad - unknown)
    checks = tuple(
        Check(name, kind, 1, 0, "count", message, "" if kind == "ok" else message)  # type: ignore[arg-type]
        for name, kind in zip(names, status, strict=True)
    )
    at = datetime.now(UTC)
    return Health("degraded" if bad else "ok", "connected", at, 1, "18.1", checks)


@pytest.mark.parametrize("message", ["short", "quite long and " * 10, "x" * 300])
@pytest.mark.parametrize(("bad", "unknown"), [(0, 0), (1, 0), (5, 3), (10, 5), (20, 5), (25, 0)])
def test_on_a_terminal_the_result_fits_on_one_screen(bad: int, unknown: int, message: str) -> None:
    rendered = render_health(_health(bad, unknown, message), (80, 24))
    text = "".join(
        layout_table(p, room=80) if isinstance(p, Table) else f"{p}\n" for p in rendered.text
    )
    assert len(text.splitlines()) <= 23  # and the prompt
    assert max(map(len, text.splitlines())) <= 80
    if bad:
        assert text.splitlines()[2].startswith("degraded  ")


def test_the_screen_of_a_database_with_faults_shows_the_hints(
    project: Project, database: Database
) -> None:
    project.write_tables(1)
    command = Terminal(
        project, "health", env={"DATABASE_URL": database.url, "CHATDB_THRESHOLD": SLOW}
    )
    command.expect("pending-migrations")
    assert command.end() == 0
    text = re.sub(r"\x1b\[[0-9;]*m", "", command.text).replace("\r", "")
    assert '\n          hint: run "chatdb migrate up"\n' in text
    assert len(text.splitlines()) <= 23


# --- waiting and watching -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments", [("health", "--wait", "60s"), ("migrate", "up", "--wait-for-server", "60s")]
)
def test_a_command_waits_until_the_database_answers(
    arguments: tuple[str, ...], project: Project, database: Database
) -> None:
    """Nothing listens on the port, until the command has said that it waits."""
    project.write_tables(1)
    with Proxy(socket_of(database.server)) as closed:
        port = closed.port
    env = project.environment(
        DATABASE_URL=f"postgresql://postgres@127.0.0.1:{port}/{database.name}", PYTHONPATH=str(ROOT)
    )
    command = project.command(*arguments)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=project.path, env=env, **pipes) as process:  # type: ignore[call-overload]
        waits = process.stderr.readline()
        with Proxy(socket_of(database.server), listen_at=port):
            out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert waits.endswith("Connection refused; waiting up to 60 s\n")
    assert "0001" in out


def test_wait_gives_up_with_the_last_reason(
    offline: Chatdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", UNREACHABLE)
    result = offline("health", "--wait", "300ms", "--format", "json")
    assert (result.code, result.document["database"]) == (3, "disconnected")
    up = offline("migrate", "up", "--dir", "@chat", "--wait-for-server", "300ms")
    assert up.code == 3
    assert "Connection refused" in up.err


def test_wait_does_not_wait_for_a_refused_login(
    database: Database, offline: Chatdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database.url.replace(database.name, "no_such_database"))
    result = offline("health", "--wait", "1h")
    assert result.code == 3
    assert "no_such_database" in result.out


def test_watch_prints_a_document_an_interval_off_a_terminal_and_ends_with_ctrl_c(
    project: Project, database: Database
) -> None:
    env = command_environment(project, database)
    command = project.command("health", "--watch", "--every", "100ms")
    with subprocess.Popen(command, cwd=project.path, env=env, stdout=subprocess.PIPE) as process:
        assert process.stdout
        documents = [json.loads(process.stdout.readline()) for _ in range(3)]
        database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
            "AND datname = current_database()"
        )
        while True:  # until it has connected again
            documents.append(json.loads(process.stdout.readline()))
            names = {check["name"] for check in documents[-1]["checks"]}
            if documents[-1]["database"] == "connected" and "connection" in names:
                break
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    assert process.returncode == 130
    assert {document["format"] for document in documents} == {1}


def test_watch_redraws_a_terminal(project: Project, database: Database) -> None:
    command = Terminal(
        project,
        "health",
        "--watch",
        "--every",
        "100ms",
        env={"DATABASE_URL": database.url, "CHATDB_THRESHOLD": SLOW},
    )
    command.expect("ok: postgres@[")
    database.execute("CREATE TABLE t (a int); ALTER TABLE t ADD CHECK (a > 0) NOT VALID")
    command.expect("constraints-not-validated: 1")
    os.kill(command.process.pid, signal.SIGINT)
    assert command.end() == 130


def test_help_and_json_of_a_library_call_agree(database: Database, chatdb: Chatdb) -> None:
    names = [check["name"] for check in chatdb("health", "--format", "json").document["checks"]]
    assert sorted(names) == sorted(check.name for check in health_of(database).checks)
