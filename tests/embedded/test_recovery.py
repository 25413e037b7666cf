"""After kills and at simultaneous starts the server comes back."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from typing import Any

import pytest

from chatdb_cli.embedded import postmaster
from tests.support.embedded import (
    IS_ROOT,
    Make,
    connect,
    pid_of,
    query,
    read_row,
    sockets_of,
    start_in_new_processes,
    write_row,
)


def test_a_child_process_that_can_not_exit_does_not_keep_a_killed_server_from_starting(
    fresh: Make,
) -> None:
    server = fresh()
    server.start()
    ((child,),) = query(server, "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'")
    postmaster = server.status().pid
    assert postmaster is not None
    os.kill(child, signal.SIGSTOP)
    os.kill(postmaster, signal.SIGKILL)
    assert server.start()
    assert query(server, "SELECT 1") == [(1,)]


def test_two_projects_have_two_servers(stopped: Make) -> None:
    one, two = stopped("one"), stopped("two")
    assert one.start()
    assert two.start()
    write_row(one, "one")
    write_row(two, "two")
    assert (read_row(one), read_row(two)) == ("one", "two")
    one.stop()
    assert two.status().running


def test_of_many_simultaneous_first_starts_exactly_one_creates_the_server(fresh: Make) -> None:
    server = fresh()
    running = start_in_new_processes(server.home, 4)
    output = sorted(process.communicate()[0] for process in running)
    assert output == [b"False\n"] * 3 + [b"True\n"]
    assert query(server, "SELECT count(*) FROM pg_database") == [(4,)]


def test_the_server_outlives_the_process_and_the_terminal_that_started_it(stopped: Make) -> None:
    server = stopped()
    (process,) = start_in_new_processes(server.home, 1)
    assert process.communicate()[0] == b"True\n"
    pid = pid_of(server)
    assert os.getsid(pid) == pid


# --- kills and stale files


def test_a_server_killed_with_sigkill_starts_again(stopped: Make) -> None:
    server = stopped()
    server.start()
    write_row(server, "committed")
    session = connect(server)
    session.pgconn.send_query(b"SELECT pg_sleep(60)")  # a child that lives a little longer
    pid = pid_of(server)
    os.kill(pid, signal.SIGKILL)
    assert not server.status().running
    assert server.start()
    session.close()
    assert pid_of(server) != pid
    assert read_row(server) == "committed"


def test_a_stale_pid_file_with_the_pid_of_another_process_does_not_block(stopped: Make) -> None:
    server = stopped()
    data = server.home / "data"
    user: Any = {"user": data.stat().st_uid} if IS_ROOT else {}
    other = subprocess.Popen(["sleep", "60"], **user)
    try:
        lines = [str(other.pid), str(data), "0", "5432", str(server.home / "run"), "", "ready"]
        (data / "postmaster.pid").write_text("\n".join(lines))
        (server.home / "run" / ".s.PGSQL.5432.lock").write_text("\n".join(lines))
        for stale in (data / "postmaster.pid", server.home / "run" / ".s.PGSQL.5432.lock"):
            shutil.chown(stale, data.stat().st_uid)
        assert not server.status().running
        assert not server.stop()
        assert server.start()
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_after_a_kill_during_initdb_the_next_start_succeeds(fresh: Make) -> None:
    server = fresh()
    (process,) = start_in_new_processes(server.home, 1)
    while not (server.home / "data.new" / "PG_VERSION").exists():
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.communicate()
    assert not server.exists
    assert server.start()
    assert query(server, "SELECT 1") == [(1,)]
    assert not (server.home / "data.new").exists()


def test_a_socket_directory_that_was_removed_is_created_again(
    stopped: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postmaster, "_ORPHAN_SECONDS", 0.3)
    server = stopped("long/" * 30)
    server.start()
    write_row(server, "kept")
    outside = sockets_of(server).parent
    shutil.rmtree(outside)
    assert not server.status().running
    assert server.start()
    assert read_row(server) == "kept"
    server.stop()
    shutil.rmtree(sockets_of(server).parent)
    assert server.start()
    assert read_row(server) == "kept"
