"""`chatdb health` compared with a psycopg script that connects and runs one SELECT.

Run it by hand: `python bench/health.py [ROUNDS]`.  Both are new processes that run in turn, on a
database with the chat schema; the ratio is the median of the pairs.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent)]

from chatdb_cli.embedded.server import EmbeddedServer
from chatdb_cli.migrate.migrator import Migrator
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


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
