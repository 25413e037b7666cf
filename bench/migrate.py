"""chatdb compared with psql and other migration tools, alternating in one run.

Run it by hand: `python bench/migrate.py [FILES] [ROUNDS] [ROW...] [TOOL...] [--save]`, such as
`python bench/migrate.py 100 3 up down psql yoyo`; without rows and tools it runs all of them.  It
installs the other tools into `bench/.tools` the first time (pip, npm), and `--save` writes the table
to `bench/RESULTS.md`.

Every tool gets the same statements, in files written for the best speed of that tool, each in its own
transaction, and a new database of one embedded server with default settings.
"""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent)]

from results import keep

from chatdb_cli.embedded.server import EmbeddedServer
from tests.support.proxy import Proxy

TOOLS = HERE / ".tools"
PYTHON_PACKAGES = ("yoyo-migrations", "psycopg2-binary", "alembic", "psycopg[binary]")
NODE_PACKAGES = ("dbmate", "node-pg-migrate", "pg", "db-migrate", "db-migrate-pg")

ROWS = {
    "up": "up, all pending",
    "noop": "up, nothing pending",
    "status": "status",
    "down": "down, all",
    "start": "cold start",
    "link": "up, 50 files, 20 ms away",
}
LINK_FILES, ONE_WAY_S = 50, 0.010
SHORT_ROWS, SHORT_REPEATS = ("noop", "status", "start"), 3
LONGEST_S = 900


@dataclass(frozen=True)
class Migration:
    """One migration, which each tool gets in its own form."""

    number: int

    @property
    def name(self) -> str:
        return f"{self.number:04}_orders_{self.number}"

    @property
    def up(self) -> str:
        table = f"orders_{self.number}"
        return (
            f"-- what was ordered, part {self.number}\n"
            f"CREATE TABLE {table} (\n"
            "    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n"
            "    customer text NOT NULL,\n"
            "    total numeric(12, 2) NOT NULL DEFAULT 0 CHECK (total >= 0),\n"
            "    ordered_at timestamptz NOT NULL DEFAULT now()\n"
            ");\n\n"
            f"CREATE INDEX {table}_customer ON {table} (customer, ordered_at);\n"
        )

    @property
    def down(self) -> str:
        return f"DROP TABLE orders_{self.number};\n"


@dataclass
class Place:
    """The place where a tool runs: a folder with its files, and a database."""

    folder: Path
    url: str
    environment: dict[str, str]


# --- the tools ------------------------------------------------------------------------------------


class Tool:
    """One way to migrate; a command is None if the tool does not have it.

    In a command `{url}` stands for the database, and `{files}` for how many files there are.
    """

    name = ""
    program: tuple[str, ...] = ()
    up: tuple[str, ...] | None = None
    noop: tuple[str, ...] | None = None
    status: tuple[str, ...] | None = None
    down: tuple[str, ...] | None = None
    start: tuple[str, ...] | None = ("--version",)
    note = ""

    def missing(self) -> str | None:
        """Return why the tool cannot run here, or None."""
        program = self.program[-1]
        return None if Path(program).exists() else "it could not be installed"

    def version(self) -> str:
        result = subprocess.run([*self.program, "--version"], capture_output=True, text=True)
        found = re.search(r"\d+(\.\d+)+", result.stdout)
        return found[0] if found else "of unknown version"

    def write(self, folder: Path, migrations: list[Migration]) -> None:
        raise NotImplementedError

    def url(self, url: str) -> str:
        return url

    def command(self, row: str) -> tuple[str, ...] | None:
        words: tuple[str, ...] | None = getattr(self, "up" if row == "link" else row)
        return None if words is None else (*self.program, *words)


class Chatdb(Tool):
    name = "chatdb"
    program = (str(Path(sys.executable).parent / "chatdb"),)
    up = noop = ("migrate", "up")
    status = ("migrate", "status")
    down = ("migrate", "down", "--all", "--allow-data-loss")  # no other tool looks for rows
    note = "waits for the disk at its last COMMIT only"

    def write(self, folder: Path, migrations: list[Migration]) -> None:
        for m in migrations:
            _write(folder / "sql" / "up" / f"{m.name}.sql", m.up)
            _write(folder / "sql" / "down" / f"{m.name}.sql", m.down)


class Psql(Tool):
    """The lower bound: only the files, without a history or a lock."""

    name = "psql"
    up = ("-Xqf", "up.sql", "{url}")
    down = ("-Xqf", "down.sql", "{url}")
    note = "one process; BEGIN, `\\i`, COMMIT for each file; no history"

    def __init__(self, programs: Path) -> None:
        beside = programs / "psql"
        self.program = (str(beside) if beside.exists() else shutil.which("psql") or "psql",)

    def write(self, folder: Path, migrations: list[Migration]) -> None:
        for direction, ordered in (("up", migrations), ("down", migrations[::-1])):
            for m in ordered:
                _write(folder / direction / f"{m.name}.sql", getattr(m, direction))
            lines = (f"BEGIN;\n\\i {direction}/{m.name}.sql\nCOMMIT;\n" for m in ordered)
            _write(folder / f"{direction}.sql", "\\set ON_ERROR_STOP on\n" + "".join(lines))


class PsqlAsync(Psql):
    """The same lower bound, without waiting for the disk."""

    name = "psql-nowait"
    note = "the same with `synchronous_commit = off`"
    start = None  # type: ignore[assignment]

    def url(self, url: str) -> str:
        return f"{url}&options=-csynchronous_commit%3Doff"


class Bare(Tool):
    """The minimum for a Python program: start, connect, run one query."""

    name = "psycopg"
    program = (sys.executable,)
    noop = status = ("read.py", "{url}")
    start = None  # type: ignore[assignment]
    note = "a script that imports psycopg, connects and reads one row"

    def version(self) -> str:
        return psycopg.__version__

    def write(self, folder: Path, migrations: list[Migration]) -> None:
        del migrations
        lines = ("import sys", "import psycopg", "with psycopg.connect(sys.argv[1]) as conn:",
                 "    conn.execute('SELECT 1').fetchall()", "")  # fmt: skip
        _write(folder / "read.py", "\n".join(lines))


class Yoyo(Tool):
    name = "yoyo"
    program = (str(TOOLS / "python" / "bin" / "yoyo"),)
    _rest = ("--batch", "--no-config-file", "--database", "{url}", "migrations")
    up = noop = ("apply", *_rest)
    status = ("list", *_rest)
    down = ("rollback", "--all", *_rest)
    start = ("--help",)
    note = "SQL files, psycopg2; it has no --version, so its cold start is --help"

    def version(self) -> str:
        return _python_version("yoyo-migrations")

    def write(self, folder: Path, migrations: list[Migration]) -> None:
        for m in migrations:
            _write(folder / "migrations" / f"{m.name}.sql", m.up)
            _write(folder / "migrations" / f"{m.name}.rollback.sql", m.down)


class YoyoPsycopg3(Yoyo):
    """yoyo with the driver that chatdb uses, whose import is most of the start-up time of both."""

    name = "yoyo-psycopg3"
    start = None  # type: ignore[assignment]
    note = "the same with psycopg 3"

    def url(self, url: str) -> str:
        return url.replace("postgresql://", "postgresql+psycopg://", 1)


class Alembic(Tool):
    name = "alembic"
    program = (str(TOOLS / "python" / "bin" / "alembic"),)
    up = noop = ("upgrade", "head")
    status = ("history", "--indicate-current")
    down = ("downgrade", "base")
    note = "`op.execute`, `transaction_per_migration`, psycopg 3; status is `history -i`"

    def version(self) -> str:
        return _python_version("alembic")

    def write(self, folder: Path, migrations: list[Migration]) -> None:
        _write(folder / "alembic.ini", "[alembic]\nscript_location = migrations\n")
        _write(folder / "migrations" / "env.py", _ALEMBIC_ENV)
        before = None
        for m in migrations:
            text = _ALEMBIC_FILE.format(m=m, before=before)
            _write(folder / "migrations" / "versions" / f"{m.name}.py", text)
            before = m.name


_ALEMBIC_ENV = """\
import os

from alembic import context
from sqlalchemy import create_engine, pool

engine = create_engine(os.environ["DATABASE_URL"], poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"""
_ALEMBIC_FILE = '''\
from alembic import op

revision = "{m.name}"
down_revision = {before!r}


def upgrade():
    op.execute("""
{m.up}""")


def downgrade():
    op.execute("""
{m.down}""")
'''


class Dbmate(Tool):
    name = "dbmate"
    program = (str(TOOLS / "node" / "node_modules" / "@dbmate" / "linux-x64" / "bin" / "dbmate"),)
    _rest = ("--no-dump-schema", "--migrations-dir", "migrations")
    up = noop = (*_rest, "migrate")
    status = (*_rest, "status")
    note = "its binary without the wrapper; `rollback` rolls back one migration only"

    def write(self, folder: Path, migrations: list[Migration]) -> None:
        for m in migrations:
            text = f"-- migrate:up\n{m.up}\n-- migrate:down\n{m.down}"
            _write(folder / "migrations" / f"{m.name}.sql", text)


class NodeTool(Tool):
    """A tool that runs in Node.js."""

    script = ""

    def __init__(self) -> None:
        path = TOOLS / "node" / "node_modules" / ".bin" / self.script
        self.program = (shutil.which("node") or "node", str(path))


class NodePgMigrate(NodeTool):
    name = script = "node-pg-migrate"
    _rest = ("--no-single-transaction", "--no-verbose", "--migrations-dir", "migrations")
    up = noop = ("up", *_rest)
    down = ("down", "{files}", *_rest)
    note = "SQL files, `--no-single-transaction`; it has no status"

    def write(self, folder: Path, migrations: list[Migration]) -> None:
        for m in migrations:
            text = f"-- Up Migration\n{m.up}\n-- Down Migration\n{m.down}"
            _write(folder / "migrations" / f"{m.name}.sql", text)


class DbMigrate(NodeTool):
    name = script = "db-migrate"
    _rest = ("--config", "database.json", "--migrations-dir", "migrations")
    up = noop = ("up", *_rest)
    status = ("check", *_rest)
    down = ("reset", *_rest)
    note = "`db.runSql` in JavaScript; status is `check`"

    def write(self, folder: Path, migrations: list[Migration]) -> None:
        _write(folder / "database.json", _DB_MIGRATE_CONFIG)
        for m in migrations:
            text = "".join(
                f"exports.{way} = (db) => db.runSql(`{sql}`);\n"
                for way, sql in (("up", m.up), ("down", m.down))
            )
            # It wants the 14 digits of a time.
            _write(folder / "migrations" / f"2026{m.number:010}-orders_{m.number}.js", text)


_DB_MIGRATE_CONFIG = """\
{"dev": {"driver": "pg", "host": {"ENV": "PGHOST"}, "port": {"ENV": "PGPORT"},
         "user": {"ENV": "PGUSER"}, "database": {"ENV": "PGDATABASE"}}}
"""


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _python_version(package: str) -> str:
    code = f"from importlib.metadata import version; print(version({package!r}))"
    python = TOOLS / "python" / "bin" / "python"
    return subprocess.run([python, "-c", code], capture_output=True, text=True).stdout.strip()


def install() -> None:
    """Install the other tools, unless they are installed already."""
    commands = []
    if not (TOOLS / "python" / "bin" / "alembic").exists():
        pip = TOOLS / "python" / "bin" / "pip"
        commands += [
            [sys.executable, "-m", "venv", TOOLS / "python"],
            [pip, "install", "--quiet", "--disable-pip-version-check", *PYTHON_PACKAGES],
        ]
    if not shutil.which("npm"):
        print("there is no npm: the tools that come from it are left out", file=sys.stderr)
    elif not (TOOLS / "node" / "node_modules").exists():
        (TOOLS / "node").mkdir(parents=True, exist_ok=True)
        npm = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"]
        commands.append([*npm, "--prefix", TOOLS / "node", *NODE_PACKAGES])
    for command in commands:
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
        if done.returncode:
            print(f"{' '.join(map(str, command))}\n{done.stderr[-2000:]}", file=sys.stderr)


def available(programs: Path, wanted: list[str]) -> list[Tool]:
    """Return the requested tools that can run here; print why others cannot."""
    tools = [Chatdb(), Psql(programs), PsqlAsync(programs), Bare(), Yoyo(), YoyoPsycopg3(),
             Alembic(), Dbmate(),
             NodePgMigrate(), DbMigrate()]  # fmt: skip
    names = {tool.name for tool in tools}
    if unknown := set(wanted) - names - {*ROWS, "--save"}:
        raise SystemExit(f"{', '.join(unknown)}: neither a row nor a tool; {__doc__}")
    if chosen := names.intersection(wanted):
        tools = [tool for tool in tools if tool.name in chosen | {"chatdb"}]
    for tool in tools:
        if reason := tool.missing():
            print(f"{tool.name} is left out: {reason}", file=sys.stderr)
    return [tool for tool in tools if not tool.missing()]


# --- measuring ------------------------------------------------------------------------------------


class Bench:
    """Run the rows, and record the seconds of each."""

    def __init__(self, server: EmbeddedServer, folder: Path, tools: list[Tool], files: int) -> None:
        self.server = server
        self.folder = folder
        self.tools = tools
        self.turns = tools
        self.files = files
        self.seconds: dict[tuple[str, str], list[float]] = {}
        self.failed: set[tuple[str, str]] = set()

    def write(self) -> None:
        for tool in self.tools:
            for count in {self.files, LINK_FILES}:
                folder = self.folder / str(count) / tool.name
                folder.mkdir(parents=True)
                tool.write(folder, [Migration(n) for n in range(1, count + 1)])

    def round(self, rows: list[str]) -> None:
        """Run every row once, the short ones more often; the tools take turns within each.

        Another begins each round: the first finds the server in another state than the last.
        """
        self.turns = self.turns[1:] + self.turns[:1]
        if "start" in rows:
            for _ in range(SHORT_REPEATS):
                for tool in self.turns:
                    self.time(tool, "start", self.place(tool, self.files, "postgres"))
        if "link" in rows:
            for tool in self.turns:
                with self.database("link") as database, self.link(database) as url:
                    self.time(tool, "link", self.place(tool, LINK_FILES, database, url))
        if {"up", "noop", "status", "down"} & set(rows):
            self.life(rows)

    def life(self, rows: list[str]) -> None:
        """Migrate an empty database up and down again: up, nothing to do, status, down."""
        names = {tool: f"life_{n}" for n, tool in enumerate(self.turns)}
        for database in names.values():
            self.sql(f"CREATE DATABASE {database}")
        try:
            for row in ("up", "noop", "status", "down"):
                if row not in rows and row != "up":
                    continue
                for _ in range(SHORT_REPEATS if row in SHORT_ROWS else 1):
                    for tool, database in names.items():
                        self.time(tool, row, self.place(tool, self.files, database))
        finally:
            for database in names.values():
                self.sql(f"DROP DATABASE {database}")

    def place(self, tool: Tool, files: int, database: str, url: str | None = None) -> Place:
        url = url or self.server.url(database)
        parts = psycopg.conninfo.conninfo_to_dict(url)
        url = tool.url(url)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LC_ALL": "C.UTF-8",
            "DATABASE_URL": url,
            "PGHOST": str(parts["host"]),
            "PGPORT": str(parts["port"]),
            "PGUSER": str(parts["user"]),
            "PGDATABASE": str(parts["dbname"]),
            "PGSSLMODE": "disable",
        }
        return Place(self.folder / str(files) / tool.name, url, environment)

    def time(self, tool: Tool, row: str, place: Place) -> None:
        """Run one command, and record its duration or its failure."""
        template = tool.command(row)
        if template is None:
            return
        command = [
            word.format(url=place.url, files=self.files) if "{" in word else word
            for word in template
        ]
        self.sql("CHECKPOINT")
        start = time.perf_counter()
        done = subprocess.run(
            command,
            cwd=place.folder,
            env=place.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=LONGEST_S,
        )
        seconds = time.perf_counter() - start
        problem = done.stderr.decode()[-2000:] if done.returncode else self.wrong(row, place)
        if problem:
            print(f"{tool.name} {row} failed: {problem}", file=sys.stderr)
            self.failed.add((tool.name, row))
        self.seconds.setdefault((tool.name, row), []).append(seconds)

    def wrong(self, row: str, place: Place) -> str | None:
        """Check the number of tables, so that no tool wins by doing less than the others."""
        expected = {"up": self.files, "link": LINK_FILES, "down": 0}.get(row)
        if expected is None:
            return None
        query = "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'orders\\_%'"
        with psycopg.connect(place.url.replace("+psycopg", "", 1)) as conn:
            (count,) = conn.execute(query).fetchone() or (None,)
        return None if count == expected else f"{count} tables, not {expected}"

    @contextmanager
    def database(self, name: str) -> Iterator[str]:
        self.sql(f"CREATE DATABASE {name}")
        try:
            yield name
        finally:
            self.sql(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def link(self, database: str) -> Iterator[str]:
        upstream = Path(self.server.params()["host"]) / ".s.PGSQL.5432"
        with Proxy(upstream, delay=ONE_WAY_S) as proxy:
            yield proxy.url(database)

    def sql(self, statement: str) -> None:
        with psycopg.connect(self.server.url("postgres"), autocommit=True) as conn:
            conn.execute(statement)


# --- the table ------------------------------------------------------------------------------------


def table(bench: Bench, rows: list[str]) -> str:
    """Return the table; a cell is a multiple of chatdb's time, and the median in seconds."""
    lines = [f"| | {' | '.join(ROWS[row] for row in rows)} |", f"|---{'|---:' * len(rows)}|"]
    for tool in bench.tools:
        cells = (_cell(bench, tool, row) for row in rows)
        lines.append(f"| {tool.name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(bench: Bench, tool: Tool, row: str) -> str:
    if (tool.name, row) in bench.failed:
        return "failed"
    if (tool.name, row) not in bench.seconds:
        return "-"
    seconds, unit = bench.seconds[tool.name, row], bench.seconds["chatdb", row]
    ratio = statistics.median(own / other for own, other in zip(seconds, unit, strict=True))
    return f"**{ratio:.2f}** ({statistics.median(seconds):.2f} s)"


def report(bench: Bench, rows: list[str], rounds: int, arguments: list[str]) -> str:
    """Return the chapter: the table, and how to read it."""
    with psycopg.connect(bench.server.url("postgres")) as conn:
        (server,) = conn.execute("SHOW server_version").fetchone() or ("",)
    tools = "\n".join(f"- {t.name} {t.version()}: {t.note}." for t in bench.tools)
    return f"""\
# chatdb compared with other tools

Written by `python bench/migrate.py {" ".join(arguments)}`: {bench.files} files, {rounds} rounds.

{table(bench, rows)}

A cell shows the tool's time as a multiple of chatdb's time in the same round (above 1 is slower than
chatdb), and in parentheses the seconds, which depend on the machine; both are medians. The time covers
the whole command, from start to end. The tools take turns within each round, and each round starts with
another tool, so a slow minute of the machine affects all of them. A dash means that the tool has no such
command.

Each file creates a table of four columns with a key, a check and an index, in its own transaction.
The server is PostgreSQL {server}, embedded, reached by its Unix socket, with its default settings
(`fsync` and `synchronous_commit` are on); {os.cpu_count()} processors for client and server together.

{tools}
"""


def main(words: list[str]) -> None:
    numbers = [int(word) for word in words if word.isdecimal()]
    names = [word for word in words if not word.isdecimal()]
    files, rounds = (*numbers, *(1000, 5)[len(numbers) :])
    rows = [row for row in ROWS if row in names] or list(ROWS)
    install()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)  # as root the server runs as another user
        server = EmbeddedServer(folder / ".chatdb")
        server.start()
        try:
            bench = Bench(server, folder, available(server.programs, names), files)
            bench.write()
            for n in range(1, rounds + 1):
                bench.round(rows)
                text = report(bench, rows, n, words)
                print(f"round {n} of {rounds}", file=sys.stderr)
                if "--save" in words:
                    keep(text)
        finally:
            server.destroy()
    print(text)


if __name__ == "__main__":
    main(sys.argv[1:])
