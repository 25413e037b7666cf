"""`chatdb setup --test` compared with `chatdb migrate up` of the same files, alternating in one run.

Run it by hand: `python bench/test_schema.py [FILES] [ROUNDS] [--save]`, such as
`python bench/test_schema.py 360 3`; `--save` writes the table to `bench/RESULTS.md`.

The yardstick is `migrate up` of the same files, which promises nothing about what is outside.  A test
schema is measured when it is made first, when it is made again because a file has changed, and when its
tables, one row in each, are emptied.
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

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from migrate import Migration
from results import keep

from chatdb_cli.embedded.server import EmbeddedServer

CHATDB = [sys.executable, "-m", "chatdb_cli"]


def write(folder: Path, files: int) -> None:
    for direction in ("up", "down"):
        (folder / "sql" / direction).mkdir(parents=True)
    for number in range(1, files + 1):
        migration = Migration(number)
        for direction in ("up", "down"):
            path = folder / "sql" / direction / f"{migration.name}.sql"
            path.write_text(getattr(migration, direction), encoding="utf-8")


def timed(url: str, folder: Path, *arguments: str) -> float:
    start = time.perf_counter()
    subprocess.run(
        [*CHATDB, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(HERE.parent), "DATABASE_URL": url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - start


def measure(server: EmbeddedServer, folder: Path, files: int, n: int) -> dict[str, float]:
    seconds: dict[str, float] = {}
    for command in ("up", "test"):
        with psycopg.connect(server.url("postgres"), autocommit=True) as conn:
            conn.execute(f"CREATE DATABASE {command}_{n}")
    seconds["migrate up"] = timed(server.url(f"up_{n}"), folder, "migrate", "up")
    url = server.url(f"test_{n}")
    seconds["the first time"] = timed(url, folder, "setup", "--test")
    with psycopg.connect(url, autocommit=True) as conn:
        for number in range(1, files + 1):
            conn.execute(f"INSERT INTO test.orders_{number} (customer) VALUES ('x')")
    seconds["emptied, a row in each table"] = timed(url, folder, "setup", "--test")
    seconds["emptied, no rows"] = timed(url, folder, "setup", "--test")
    changed = folder / "sql" / "up" / f"{Migration(files).name}.sql"
    changed.write_text(changed.read_text() + f"-- round {n}\n", encoding="utf-8")
    seconds["made again"] = timed(url, folder, "setup", "--test")
    return seconds


def main() -> None:
    numbers = [int(a) for a in sys.argv[1:] if a.isdecimal()]
    files, rounds = [*numbers, *(360, 3)[len(numbers) :]][:2]
    runs = []
    with tempfile.TemporaryDirectory() as temporary:
        Path(temporary).chmod(0o711)
        folder = Path(temporary) / "project"
        write(folder, files)
        server = EmbeddedServer(Path(temporary) / ".chatdb")
        server.start()
        try:
            runs = [measure(server, folder, files, n) for n in range(rounds)]
        finally:
            server.destroy()
    lines = [
        "# `chatdb setup --test` compared with `chatdb migrate up`",
        "",
        f"Written by `python bench/test_schema.py {files} {rounds} --save`: {files} files, "
        f"{rounds} rounds.",
        "",
        "| | seconds | relative to `migrate up` |",
        "|---|---:|---:|",
    ]
    for name in runs[0]:
        seconds = statistics.median(run[name] for run in runs)
        ratio = statistics.median(run[name] / run["migrate up"] for run in runs)
        lines.append(f"| {name} | {seconds:.2f} | **{ratio:.2f}** |")
    table = "\n".join(lines) + "\n"
    print(table)
    if "--save" in sys.argv:
        keep(table)


if __name__ == "__main__":
    main()
