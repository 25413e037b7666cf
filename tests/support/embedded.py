"""Embedded servers for single tests; most are copies of one, because `initdb` takes a second."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import conninfo

from chatdb_cli.embedded.server import EmbeddedServer
from chatdb_cli.errors import ChatdbError, Code
from tests.support.paths import ROOT
from tests.support.servers import TEMP_FOLDER

Make = Callable[..., EmbeddedServer]


IS_ROOT = os.geteuid() == 0


as_root = pytest.mark.skipif(not IS_ROOT, reason="this happens only to root")


as_user = pytest.mark.skipif(IS_ROOT, reason="root may write everywhere")


DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")


def make_server_folder(tmp: Path) -> Path:
    """Create a folder that the server's user can enter, unlike those of pytest."""
    if not IS_ROOT:
        return tmp
    folder = Path(tempfile.mkdtemp(prefix="ground-", dir=TEMP_FOLDER))
    folder.chmod(0o755)
    return folder


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


def write_row(server: EmbeddedServer, text: str) -> None:
    query(server, f"CREATE TABLE IF NOT EXISTS t AS SELECT '{text}' AS text")


def read_row(server: EmbeddedServer) -> str:
    return str(query(server, "SELECT text FROM t")[0][0])


def start_in_new_processes(home: Path, count: int) -> list[subprocess.Popen[bytes]]:
    code = (
        "import sys; from pathlib import Path; from chatdb_cli.embedded.server import EmbeddedServer\n"
        "print(EmbeddedServer(Path(sys.argv[1])).start())"
    )
    command = [sys.executable, "-c", code, str(home)]
    return [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) for _ in range(count)]


def assert_refused(work: Callable[[], object], *words: str) -> ChatdbError:
    """Check that work fails with an error of the server that has a hint and these words; return it."""
    with pytest.raises(ChatdbError) as caught:
        work()
    error = caught.value
    assert error.code is Code.SERVER
    assert error.hint
    for word in words:
        assert word in " ".join([error.message, error.hint, *error.notes])
    return error


def as_nobody(work: Callable[[], object]) -> str:
    """Do work in a child process as the user `nobody`; return its result as text.

    The process is forked, because `nobody` may be unable to enter the directory of this Python.
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
    with os.fdopen(reading) as output:
        return output.read()


def fake_programs(folder: Path, initdb: str) -> Path:
    folder.mkdir()
    for name in ("initdb", "pg_ctl", "postgres"):
        print_version = 'echo "postgres (PostgreSQL) 18.1"'
        script = f'[ "$1" = --version ] && {print_version} && exit 0\n'
        script += initdb if name == "initdb" else ""
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return folder
