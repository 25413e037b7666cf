"""`chatdb health` compared with a psycopg script that connects and runs one SELECT.

Run it by hand: `python bench/health.py [ROUNDS]`.  Both are new processes that run in turn, on a
database with the chat schema; the ratio is the median of the pairs.  Then what a scrape of /metrics
takes with 5 and with 500 tables, each with two indexes.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psycopg

sys.path[:0] = [str(Path(__file__).parent.parent)]

from chatdb_cli.embedded.server import EmbeddedServer
from chatdb_cli.health.metrics.collect import collect
from chatdb_cli.health.metrics.files import MigrationFiles
from chatdb_cli.migrate.migrator import Migrator
from chatdb_cli.postgres.connect import connect
from chatdb_cli.postgres.target import open_target
from chatdb_cli.settings.load import load_settings

SELECT = """
import os, psycopg
with psycopg.connect(os.environ["DATABASE_URL"]) as conn:
    print(conn.execute("SELECT 1").fetchone())
"""
COMMANDS = {
    "psycopg, one SELECT": [sys.executable, "-c", SELECT],
    "chatdb health": [sys.executable, "-m", "chatdb_cli", "health", "--dir", "@chat"],
    "chatdb health --format json": [
        sys.executable, "-m", "chatdb_cli", "health", "--dir", "@chat", "--format", "json",
    ],
}  # fmt: skip


def main(rounds: int = 20) -> None:
    with tempfile.TemporaryDirectory(prefix="chatdb-bench-") as made:
        folder = Path(made)
        folder.chmod(0o711)
        server = EmbeddedServer(folder / ".chatdb")
        server.start()
        try:
            measure(server.url("chat"), folder, rounds)
            for tables in (5, 500):
                measure_scrapes(server, folder, tables, rounds)
        finally:
            server.destroy()


def measure(url: str, folder: Path, rounds: int) -> None:
    settings = load_settings({"database_url": url}, environ={}, cwd=folder)
    with open_target(settings) as target:
        Migrator(target, "@chat").up()
    root = str(Path(__file__).parent.parent)
    env = {"PATH": os.environ["PATH"], "DATABASE_URL": url, "PYTHONPATH": root}
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds + 1):  # the first one warms up
        for name, command in COMMANDS.items():
            begun = time.perf_counter()
            subprocess.run(command, env=env, cwd=folder, check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - begun)
    yardstick, *others = (times[1:] for times in seconds.values())
    print(f"{next(iter(COMMANDS))}: {statistics.median(yardstick) * 1000:.0f} ms")
    for name, times in zip(list(COMMANDS)[1:], others, strict=True):
        ratio = statistics.median(t / y for t, y in zip(times, yardstick, strict=True))
        print(f"{name}: {statistics.median(times) * 1000:.0f} ms, {ratio:.2f} x")


def measure_scrapes(server: EmbeddedServer, folder: Path, tables: int, rounds: int) -> None:
    """Print how long a scrape takes, and the processor time of its session on the server."""
    name = f"tables{tables}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}")
    with psycopg.connect(server.url(name), autocommit=True) as conn:
        conn.execute(
            f"DO $$ BEGIN FOR n IN 1..{tables} LOOP EXECUTE format("
            "'CREATE TABLE t%s (id int PRIMARY KEY,"
            " v text UNIQUE); INSERT INTO t%1$s SELECT g, g FROM generate_series(1, 100) g', n);"
            " END LOOP; END $$"
        )
        conn.execute("ANALYZE")
    settings = load_settings({"database_url": server.url(name)}, environ={}, cwd=folder)
    files = MigrationFiles(settings)
    selects, scrapes, used = [], [], 0.0
    with open_target(settings) as target, connect(target) as conn:
        for number in range(rounds + 1):  # the first one fills the caches of the session
            before = _processor_s(conn.info.backend_pid)
            begun = time.perf_counter()
            collect(conn, target, files)
            between = time.perf_counter()
            used += _processor_s(conn.info.backend_pid) - before if number else 0.0
            conn.execute("SELECT 1").fetchone()
            scrapes.append(between - begun)
            selects.append(time.perf_counter() - between)
    ratio = statistics.median(a / b for a, b in zip(scrapes[1:], selects[1:], strict=True))
    print(
        f"scrape with {tables} tables: {statistics.median(scrapes[1:]) * 1000:.1f} ms, "
        f"{ratio:.0f} x SELECT 1; processor time of the server {used / rounds * 1000:.1f} ms"
    )


def _processor_s(pid: int) -> float:
    """Return the processor time that a process has used, in seconds; Linux alone."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
