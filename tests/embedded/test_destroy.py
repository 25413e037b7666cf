"""`destroy` removes every file that chatdb created, and no other."""

from __future__ import annotations

import os

import pytest

from tests.support.embedded import Make, assert_refused, pid_of


def test_destroy_removes_every_file_that_chatdb_created(stopped: Make) -> None:
    for running in (False, True):
        server = stopped(f"running-{running}")
        pid = None
        if running:
            server.start()
            pid = pid_of(server)
        server.destroy()
        assert not server.home.exists()
        assert not server.exists
        if pid:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
        server.destroy()


def test_destroy_removes_an_incomplete_home(fresh: Make) -> None:
    server = fresh()
    server.home.mkdir()
    (server.home / "lock").touch()
    server.destroy()
    assert not server.home.exists()
    server.home.mkdir()
    (server.home / "server.json").write_text("{}")
    (server.home / "data.new").mkdir()
    server.destroy()
    assert not server.home.exists()


def test_destroy_leaves_the_files_of_others(stopped: Make, fresh: Make) -> None:
    server = stopped()
    (server.home / "notes.txt").write_text("mine")
    server.destroy()
    assert [path.name for path in server.home.iterdir()] == ["notes.txt"]
    foreign = fresh("foreign")
    (foreign.home / "data").mkdir(parents=True)
    for work in (foreign.destroy, foreign.start):
        assert_refused(work, "was not created by chatdb", "CHATDB_HOME")
    assert (foreign.home / "data").exists()
