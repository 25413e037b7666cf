"""PgBouncer in front of a server."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from chatdb_cli.migrate.migrator import Migrator
from tests.support.database import Database
from tests.support.project import Project
from tests.support.servers import TEMP_FOLDER, Server, socket_of

START_TIMEOUT_S = 60.0

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


CONFIGURATION = """\
[databases]
* = host={host} user={user}
[pgbouncer]
listen_addr =
listen_port = 6432
unix_socket_dir = {folder}
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
server_login_retry = 1
logfile = {folder}/log
"""


def allow_owner_login(server: Server) -> None:
    """Let the owner of the server's files log in; by default only root and the project's owner can.

    A restart of the server removes this permission.
    """
    if os.getuid() == 0:
        owner = Path(socket_of(server)).owner()
        with psycopg.connect(server.url("postgres"), autocommit=True) as conn:
            row = conn.execute("SELECT current_setting('ident_file')").fetchone()
            assert row is not None
            with Path(row[0]).open("a") as file:
                file.write(f'chatdb "{owner}" postgres\n')
            conn.execute("SELECT pg_reload_conf()")


@dataclass
class Pooler:
    """A PgBouncer in front of a server, with its own folder."""

    server: Server
    folder: Path
    mode: str
    size: int
    user: str = "postgres"

    @property
    def socket(self) -> Path:
        return self.folder / ".s.PGSQL.6432"

    def start(self) -> None:
        # PgBouncer refuses to run as root.
        owner = os.stat(socket_of(self.server))
        host = self.server.embedded.params()["host"]
        text = CONFIGURATION.format(
            host=host, user=self.user, folder=self.folder, mode=self.mode, size=self.size
        )
        (self.folder / "ini").write_text(text)
        os.chown(self.folder, owner.st_uid, owner.st_gid)
        as_owner: dict[str, Any] = {}
        if os.getuid() == 0:
            as_owner = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
        command = [PGBOUNCER or "", "-q", str(self.folder / "ini")]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL, **as_owner)
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                psycopg.connect(self.url("postgres")).close()
            except psycopg.OperationalError:
                assert time.monotonic() < deadline, (self.folder / "log").read_text()
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.socket.unlink(missing_ok=True)

    def restart(self) -> None:
        self.kill()
        self.start()

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}&port=6432"

    def migrator(self, project: Project, database: Database, **flags: Any) -> Migrator:
        return project.migrator(database, database_url=self.url(database.name), **flags)


@contextmanager
def pooled(
    database: Database, size: int = 3, mode: str = "transaction", user: str = "postgres"
) -> Iterator[Pooler]:
    with tempfile.TemporaryDirectory(prefix="chatdb-test-", dir=TEMP_FOLDER) as folder:
        pooler = Pooler(database.server, Path(folder), mode, size, user)
        try:
            pooler.start()
            yield pooler
        finally:
            pooler.kill()
