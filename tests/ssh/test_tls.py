"""TLS and passwords inside the tunnel."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.postgres.connect import connect
from chatdb_cli.postgres.pool import open_pool
from chatdb_cli.postgres.target import open_target
from chatdb_cli.settings.load import load_settings
from tests.support.chatdb import Chatdb
from tests.support.project import Project
from tests.support.servers import TEMP_FOLDER, Server, on_first_server, socket_of
from tests.support.ssh import TunnelSetup, can_connect, wait_for
from tests.support.ssh_server import SshServer
from tests.support.sshd import free_port
from tests.support.tls import TlsFront, write_certificate

pytestmark = on_first_server  # these do not depend on the version of PostgreSQL


REAL_NAME = "db.internal.example"


@pytest.fixture(scope="module")
def tls_server(
    server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[int, Path]]:
    """A PostgreSQL with TLS and passwords; return its port, and its certificate for REAL_NAME."""
    certificates = tmp_path_factory.mktemp("tls")
    write_certificate(certificates, REAL_NAME)
    owner = Path(socket_of(server)).owner()
    programs = server.bin
    port = free_port()
    as_owner: dict[str, Any] = {"user": owner} if os.getuid() == 0 else {}
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}
    with tempfile.TemporaryDirectory(prefix="chatdb-tls-", dir=TEMP_FOLDER) as folder:
        Path(folder, "password").write_text("s3:cret\\x")
        if as_owner:
            shutil.chown(folder, owner)
            shutil.chown(f"{folder}/password", owner)
        subprocess.run(
            [programs / "initdb", "-D", f"{folder}/data", "-U", "app", "-A", "scram-sha-256",
             f"--pwfile={folder}/password", "--no-sync", "-E", "UTF8"],
            check=True, **quiet, **as_owner,
        )  # fmt: skip
        process = subprocess.Popen(
            [programs / "postgres", "-D", f"{folder}/data", "-p", str(port), "-F",
             "-h", "127.0.0.1", "-c", "unix_socket_directories="],
            **quiet, **as_owner,
        )  # fmt: skip
        try:
            url = f"postgresql://app:s3%3Acret%5Cx@127.0.0.1:{port}/postgres"
            wait_for(lambda: can_connect(url))
            with TlsFront(certificates, port) as front:
                yield front.port, certificates / "server.crt"
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


def test_tls_and_pgpass_use_the_real_name_of_the_host(
    tls_server: tuple[int, Path],
    make_server: Callable[..., TunnelSetup],
    home: Path,
    project: Project,
    offline: Chatdb,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only the bastion knows the database's host by name; its certificate and .pgpass name it."""
    port, certificate = tls_server
    tunnel = make_server(SshServer, names={REAL_NAME: "127.0.0.1", "other.example": "127.0.0.1"})
    (home / ".pgpass").write_text(
        "# host, port, database, user, password\n"
        "127.0.0.1:*:*:*:wrong\nother:*:*:*:wrong\n"
        f"{REAL_NAME}:5432:*:*:wrong\n{REAL_NAME}:{port}:postgres:app:s3\\:cret\\\\x\n"
        "other.example:*:*:*:s3\\:cret\\\\x\n"
    )
    (home / ".pgpass").chmod(0o600)
    tls = f"sslmode=verify-full&sslrootcert={certificate}"
    url = f"postgresql://app@{REAL_NAME}:{port}/postgres?{tls}"
    with tunnel.target(DATABASE_URL=url) as target:
        assert target.where == f"app@{REAL_NAME}:{port}/postgres"
        with connect(target) as conn, open_pool(target) as pool, pool.connection() as other:
            for connection in (conn, other):
                assert connection.pgconn.ssl_in_use
        assert target.tunnel
        assert "cret" not in target.tunnel.url
        # Other programs check the name too; their .pgpass needs * as the port.
        monkeypatch.setenv("PGPASSWORD", "s3:cret\\x")
        psycopg.connect(target.tunnel.url).close()
        monkeypatch.delenv("PGPASSWORD")
    # With two hosts, each certificate is compared with the name of its host.
    two_hosts = url.replace(f"{REAL_NAME}:{port}", f"other.example:{port},{REAL_NAME}:{port}")
    with tunnel.target(DATABASE_URL=two_hosts) as target, connect(target) as conn:
        assert target.tunnel
        assert conn.info.port == target.tunnel.ports[1]
    error = tunnel.connect_error(DATABASE_URL=url.replace(REAL_NAME, "other.example"))
    assert error.code is Code.UNREACHABLE
    assert "other.example" in error.message
    (home / ".pgpass").unlink()
    assert tunnel.connect_error(DATABASE_URL=url).code is Code.LOGIN
    project.write_tables(1)
    result = tunnel.run(offline, "migrate", "up", DATABASE_URL=url, PGPASSWORD="s3:cret\\x")
    assert result.code == 0, result.err


def test_production_without_encryption_is_refused_except_through_a_tunnel(
    tunnel: TunnelSetup,
) -> None:
    remote = "postgresql://app@192.0.2.1/chat?sslmode=prefer"
    settings = load_settings(
        environ={"DATABASE_URL": remote, "CHATDB_ENV": "production"}, cwd=Path("/")
    )
    with pytest.raises(ChatdbError) as caught:
        open_target(settings)
    assert (caught.value.code, caught.value.exit) == (Code.REFUSED, 8)
    with tunnel.target(CHATDB_ENV="production", DATABASE_URL=remote):
        pass  # the tunnel encrypts
