"""Exit codes of failures outside the files: locks, bugs, closed pipes, full disks, signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chatdb_cli import log
from chatdb_cli.migrate.migrator import Migrator
from chatdb_cli.postgres.quoting import Quoting
from tests.support.chatdb import Chatdb
from tests.support.database import Database
from tests.support.project import Project, command_environment
from tests.support.servers import on_first_server


@on_first_server
def test_another_running_migrator_is_exit_7(
    project: Project, chatdb: Chatdb, database: Database
) -> None:
    project.write_tables(1, 2)
    chatdb("migrate", "up", "--to", "1")
    with database.connect() as conn:
        names = Quoting(conn, "public")
        conn.execute(f"SELECT pg_advisory_lock({names.lock_key})")
        for wait in ("0s", "300ms"):
            started = time.monotonic()
            result = chatdb("migrate", "up", "--wait", wait, "--format", "json")
            assert time.monotonic() - started < 3
            assert result.code == 7
            assert result.document["error"]["code"] == "locked"
    assert chatdb("migrate", "up", "--wait", "0s").code == 0


@on_first_server
def test_a_bug_in_chatdb_is_exit_70_with_an_id(
    project: Project, chatdb: Chatdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Migrator, **_: bool) -> None:
        raise RuntimeError("secret-in-here")

    project.write_tables(1)
    monkeypatch.setattr(Migrator, "status", broken)
    result = chatdb("migrate", "status", "--format", "json")
    assert result.code == 70
    assert result.document["error"]["code"] == "internal"
    assert result.err.startswith(f"error: internal error {log.correlation_id}: RuntimeError\n")
    assert "secret" not in result.err + result.out
    assert "Traceback" not in result.err
    monkeypatch.setenv("CHATDB_DEBUG", "1")
    assert "Traceback" in chatdb("migrate", "status").err


@pytest.fixture
def closed_pipe() -> Iterator[int]:
    """The write end of a pipe whose read end is closed."""
    read, write = os.pipe()
    os.close(read)
    yield write
    os.close(write)


@on_first_server
@pytest.mark.parametrize("line", ["--help", "migrate up", "migrate up --dry-run"])
def test_a_closed_pipe_is_exit_141_without_a_message(
    line: str, project: Project, database: Database, closed_pipe: int
) -> None:
    project.write_tables(1)
    for stderr in (subprocess.PIPE, closed_pipe):
        result = subprocess.run(
            project.command(*line.split()),
            cwd=project.path,
            env=command_environment(project, database),
            stdout=closed_pipe,
            stderr=stderr,
            timeout=60,
        )
        assert result.returncode == 141
        assert b"rror" not in (result.stderr or b"")


@on_first_server
def test_a_full_disk_is_reported(project: Project, database: Database) -> None:
    project.write_tables(1)
    for line in ("migrate status", "migrate status --format json", "--version"):
        with Path("/dev/full").open("w") as full:
            result = subprocess.run(
                project.command(*line.split()),
                cwd=project.path,
                env=command_environment(project, database),
                stdout=full,
                stderr=subprocess.PIPE,
                text=True,
            )
        assert result.returncode == 70
        assert (
            "error: the result can't be written: no space left on device [ENOSPC]\n"
            in result.stderr
        )
        assert "Traceback" not in result.stderr


@on_first_server
def test_an_error_keeps_its_exit_code_when_its_document_cannot_be_written(
    project: Project, database: Database
) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            project.command("migrate", "status", "--dir", "nowhere", "--format", "json"),
            cwd=project.path,
            env=command_environment(project, database),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert result.returncode == 2
    assert "error: there is no folder nowhere [ENOENT]\n" in result.stderr
    assert "Traceback" not in result.stderr


@on_first_server
@pytest.mark.parametrize("closed", [">&-", ">&- 2>&- <&-"])
def test_streams_closed_by_the_shell_do_not_stop_a_run(
    closed: str, project: Project, database: Database
) -> None:
    project.write_tables(1)
    result = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {closed}', "sh", *project.command("migrate", "up")],
        cwd=project.path,
        env=command_environment(project, database),
        capture_output=True,
    )
    assert result.returncode == 0
    assert b"Traceback" not in result.stderr
    assert database.tables() == {"t1"}


@on_first_server
@pytest.mark.parametrize(
    ("number", "code", "word", "form"),
    [
        (signal.SIGINT, 130, "interrupted", "text"),
        (signal.SIGINT, 130, "interrupted", "json"),
        (signal.SIGTERM, 143, "terminated", "json"),
    ],
)
def test_a_signal_rolls_back_says_so_and_the_next_run_continues(
    number: int, code: int, word: str, form: str, project: Project, chatdb: Chatdb,
    database: Database,
) -> None:  # fmt: skip
    project.write_tables(1, 3)
    project.write("0002_slow", "CREATE TABLE t2 ();\nSELECT pg_sleep(30);\n", "DROP TABLE t2")
    process = subprocess.Popen(
        project.command("migrate", "up", "--format", form),
        cwd=project.path,
        env=command_environment(project, database),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = "
    _wait_for(lambda: database.query(f"{sleeping}'{database.name}'") == [(1,)])
    process.send_signal(number)
    started = time.monotonic()
    out, err = process.communicate(timeout=30)
    assert time.monotonic() - started < 5
    assert process.returncode == code
    assert f"error: {word}\n  = 0002 was rolled back; 0001 stays applied\n" in err
    assert "hint: run the same command again to continue\n" in err
    assert "Traceback" not in err
    if form == "json":
        document = json.loads(out)
        assert document["error"]["code"] == word
        states = [s["state"] for s in document["steps"]]
        assert states in (["applied", state, "not-run"] for state in ("not-run", "failed"))
    assert database.tables() == {"t1"}
    assert database.query(f"{sleeping}'{database.name}'") == [(0,)]
    project.write("0002_slow", "CREATE TABLE t2 ();\n", "DROP TABLE t2")
    assert chatdb("migrate", "up").out == "2 applied; current 0003\n"


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
