"""`chatdb counts` compared with psql that counts one table after the other, alternating in one run.

Run it by hand: `python bench/counts.py [ROWS] [ROUNDS] [--save]`.  It prints the time of each as a share
of psql's within a round, and the memory of the command.  `--save` writes bench/RESULTS.md.  `count_rows`
is called in this process: the start of Python (0.3 s on a quiet machine) is in `command` alone.

    psql           SELECT count(*) for each table, one session, the server's two parallel workers
    psql alone     the same without parallel workers
    counts         count_rows()
    counts alone   the same, where the server has no parallel workers either
    md5            psql with md5 over the text of each row, added up, two parallel workers
    checksum       count_rows(checksum=True)
    text           count_rows(checksum=True, form="text"): the portable form
    command        chatdb counts --checksum, from start to end
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT)]

from results import keep

from chatdb_cli.counts.count import count_rows
from chatdb_cli.embedded.server import EmbeddedServer
from chatdb_cli.postgres.target import open_target
from chatdb_cli.settings.load import load_settings

TABLES = 10
# The first table has half of the rows, the next half of what is left, as in real schemas.
CREATE = """\
CREATE TABLE t{n} (id bigint PRIMARY KEY, owner int NOT NULL, at timestamptz NOT NULL, title text,
                   amount numeric(12,2), active boolean, token uuid);
INSERT INTO t{n} SELECT g, g % 1000, '2024-01-01'::timestamptz + g * interval '1.5 s',
       'title number ' || g || repeat('x', g % 20), g / 7.0, g % 3 = 0, gen_random_uuid()
FROM generate_series(1, {rows}) g"""
MD5 = "SELECT count(*), sum(('x' || left(md5(t::text), 16))::bit(64)::bigint) FROM t{n} t"
COUNT = "SELECT count(*) FROM t{n}"
ALONE = "-c max_parallel_workers_per_gather=0"
# Each command is compared with this one.
YARDSTICKS = {
    "counts": "psql", "counts alone": "psql alone", "checksum": "md5", "text": "md5", "command": "md5",
}  # fmt: skip


def works(server: EmbeddedServer) -> dict[str, Callable[[], float]]:
    """Return what is measured; each returns the megabytes that it used at most, or 0."""
    url = server.url("postgres")
    psql = [str(server.programs / "psql"), "-X", "-q", "-A", "-t", url]
    command = [sys.executable, "-m", "chatdb_cli", "counts", "-q", "-d", url, "--checksum"]

    def each(statement: str, variable: str = "") -> Callable[[], float]:
        parts = [part for n in range(TABLES) for part in ("-c", statement.format(n=n))]
        return lambda: run([*psql, *parts], variable)

    def count(options: str = "", **more: Any) -> Callable[[], float]:
        at = f"{url}&options={quote(options)}" if options else url
        settings = load_settings({"database_url": at}, environ={}, cwd=Path("/"))

        def call() -> float:
            with open_target(settings) as target:
                count_rows(target, **more)
            return 0

        return call

    return {
        "psql": each(COUNT),
        "counts": count(),
        "psql alone": each(COUNT, f"PGOPTIONS={ALONE}"),
        "counts alone": count(ALONE),
        "md5": each(MD5),
        "checksum": count(checksum=True),
        "text": count(checksum=True, form="text"),
        "command": lambda: run(command),
    }


def run(command: list[str], variable: str = "") -> float:
    """Run a command that succeeds, and return the megabytes that it used at most."""
    return timed(command, variable, expected=0)[1]


def timed(command: list[str], variable: str = "", *, expected: int) -> tuple[float, float]:
    """Run a command, and return the seconds that it took and the megabytes that it used at most."""
    start = time.perf_counter()
    name, _, value = variable.partition("=")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **({name: value} if name else {})}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != expected:
        raise SystemExit(f"{command[0]} failed")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def fill(server: EmbeddedServer, rows: int) -> str:
    with psycopg.connect(server.url("postgres"), autocommit=True) as conn:
        for n in range(TABLES):
            rows -= (part := rows // 2 if n < TABLES - 1 else rows)
            conn.execute(CREATE.format(n=n, rows=part))
        conn.execute("VACUUM (ANALYZE)")
        conn.execute("CHECKPOINT")
        (version,) = conn.execute("SHOW server_version").fetchone() or ("",)
    return str(version)


def measure(rows: int, rounds: int) -> tuple[str, dict[str, list[tuple[float, float]]]]:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        server = EmbeddedServer(Path(folder) / ".chatdb")
        server.start()
        try:
            version = fill(server, rows)
            todo = works(server)
            results: dict[str, list[tuple[float, float]]] = {name: [] for name in todo}
            for number in range(rounds + 1):
                for name, work in todo.items():
                    start = time.perf_counter()
                    memory = work()
                    seconds = time.perf_counter() - start
                    if number:  # the first round fills the caches
                        results[name].append((seconds, memory))
                        print(f"{name:<13} {seconds:.2f} s", file=sys.stderr)
            return version, results
        finally:
            server.destroy()


def report(rows: int, version: str, results: dict[str, list[tuple[float, float]]]) -> str:
    lines = [
        f"{rows:,} rows in {TABLES} tables, {len(results['psql'])} rounds, PostgreSQL {version}, "
        f"{os.cpu_count()} processors, Python {platform.python_version()}.",
        "",
        "| | seconds | compared with | median share | best share | MB |",
        "|---|---:|---|---:|---:|---:|",
    ]
    for name, pairs in results.items():
        seconds = statistics.median(s for s, _ in pairs)
        cells = ["", "", "", ""]
        if yardstick := YARDSTICKS.get(name):
            shares = [a / b for (a, _), (b, _) in zip(pairs, results[yardstick], strict=True)]
            best = min(s for s, _ in pairs) / min(s for s, _ in results[yardstick])
            cells = [
                yardstick,
                f"**{statistics.median(shares):.2f}**",
                f"{best:.2f}",
                f"{max(m for _, m in pairs):.0f}" if name == "command" else "",
            ]
        lines.append(f"| {name} | {seconds:.2f} | {' | '.join(cells)} |")
    return "\n".join(lines)


# Two tables with the same rows: one in the order of its key, one whose key has no order.
PAIR = """\
CREATE SCHEMA {schema};
CREATE TABLE {schema}.ordered (id bigint PRIMARY KEY, owner int NOT NULL, at timestamptz NOT NULL,
    title text, amount numeric(12,2), active boolean, token uuid);
INSERT INTO {schema}.ordered SELECT g, g % 1000, '2024-01-01'::timestamptz + g * interval '1.5 s',
    'title number ' || g || repeat('x', g % 20), g / 7.0, g % 3 = 0, md5(g::text)::uuid
FROM generate_series(1, {rows}) g;
CREATE TABLE {schema}.unordered (LIKE {schema}.ordered, PRIMARY KEY (token));
INSERT INTO {schema}.unordered TABLE {schema}.ordered"""
DAMAGE = "UPDATE there.{table} SET owner = owner + 1 WHERE id % ({rows} / 10) = 77"


def measure_find(rows: int, rounds: int) -> str:
    """Compare `counts --find` with `counts --checksum`, 10 rows of one side being other ones."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        server = EmbeddedServer(Path(folder) / ".chatdb")
        server.start()
        try:
            with psycopg.connect(server.url("postgres"), autocommit=True) as conn:
                for schema in ("here", "there"):
                    conn.execute(PAIR.format(schema=schema, rows=rows))
                for table in ("ordered", "unordered"):
                    conn.execute(DAMAGE.format(table=table, rows=rows))
                conn.execute("VACUUM (ANALYZE)")
                conn.execute("CHECKPOINT")
            return _report_find(server, rows, rounds)
        finally:
            server.destroy()


def _report_find(server: EmbeddedServer, rows: int, rounds: int) -> str:
    url = server.url("postgres")
    both = ["--schema", "here", "--against", url, "--against-schema", "there"]
    lines = [
        f"10 of {rows:,} rows differ, {rounds} rounds; whole commands, both sides on one server.",
        "",
        "| table | --checksum, s | --find, s | search / checksum, median | best | MB |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for table in ("ordered", "unordered"):
        command = [sys.executable, "-m", "chatdb_cli", "counts", table, "-q", "-d", url, *both]
        pairs = []
        for number in range(rounds + 1):
            (checksum, _), (find, memory) = (
                timed([*command, flag], expected=1) for flag in ("--checksum", "--find")
            )
            if number:
                pairs.append((checksum, find, memory))
                print(f"{table:<9} {checksum:.2f} s, find {find:.2f} s", file=sys.stderr)
        shares = [(find - checksum) / checksum for checksum, find, _ in pairs]
        checksums, finds, memories = zip(*pairs, strict=True)
        best = (min(finds) - min(checksums)) / min(checksums)
        lines.append(
            f"| {table} | {statistics.median(checksums):.2f} | {statistics.median(finds):.2f} "
            f"| **{statistics.median(shares):.2f}** | {best:.2f} | {max(memories):.0f} |"
        )
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    numbers = [int(a) for a in arguments if a.isdecimal()]
    if "find" in arguments:
        rows, rounds = [*numbers, *(2_000_000, 5)[len(numbers) :]][:2]
        table = measure_find(rows, rounds)
        print(table)
        if "--save" in arguments:
            keep(f"# `chatdb counts --find` compared with its checksums\n\n{table}")
        return
    rows, rounds = [*numbers, *(5_000_000, 5)[len(numbers) :]][:2]
    version, results = measure(rows, rounds)
    table = report(rows, version, results)
    print(table)
    if "--save" in arguments:
        about = (__doc__ or "").split("\n\n")[-1]
        keep(f"# `chatdb counts` compared with psql\n\n{table}\n\n```\n{about}```")


if __name__ == "__main__":
    main(sys.argv[1:])
