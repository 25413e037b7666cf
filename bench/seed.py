"""`chatdb seed --scale` compared with a plain COPY of the same rows, alternating in one run.

Run it by hand: `python bench/seed.py [MESSAGES] [ROUNDS] [--save]`.  It prints the messages per
second of each, and the speed of `chatdb seed` relative to it within a round.  The same generator feeds
all of them, in the same blocks, so that only the loading differs.  `--save` writes bench/RESULTS.md.

    chatdb       the real tables: foreign keys and indexes built after the rows, ANALYZE, checks
    no search    the same, in a schema without the search index (no pg_trgm)
    bare         tables with the same columns: no index, no key, no check, no trigger
    own          the real tables with their keys, checks and indexes, without foreign keys, triggers and
                 the search index: the least that a COPY must maintain if nothing is built afterwards
    all          the real tables unchanged, with everything: what a plain COPY must maintain
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

import psycopg

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT)]

from results import keep

from chatdb_cli.embedded.server import EmbeddedServer
from chatdb_cli.migrate.migrator import Migrator
from chatdb_cli.postgres.model import Target
from chatdb_cli.postgres.target import open_target
from chatdb_cli.seed.chat_rows import COLUMNS, ChatGenerator
from chatdb_cli.seed.copy_format import HEADER, TRAILER
from chatdb_cli.seed.scale import seed_at_scale
from chatdb_cli.settings.load import load_settings

DROP_FOREIGN_KEYS = """SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname)
FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace"""
DISABLE_TRIGGERS = """SELECT format('ALTER TABLE %I DISABLE TRIGGER USER', relname)
FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"""
NO_SEARCH = "DROP INDEX messages_content_search_idx"

Conn = psycopg.Connection[Any]


def copy(conn: Conn, schema: str, messages: int) -> None:
    """Load without a tool: COPY, in one transaction."""
    blocks = ChatGenerator(messages, 1).blocks()
    with conn.transaction():
        for table, some in groupby(blocks, attrgetter("table")):
            columns = ", ".join(COLUMNS[table])
            into = f"COPY {schema}.{table} ({columns}) FROM STDIN (FORMAT binary)"
            with conn.cursor().copy(into) as stream:
                stream.write(HEADER)
                for block in some:
                    stream.write(block.data)
                stream.write(TRAILER)


def prepare(conn: Conn, variant: str) -> None:
    if variant == "bare":
        conn.execute("CREATE SCHEMA bare")
        for table in COLUMNS:
            conn.execute(f"CREATE TABLE bare.{table} (LIKE public.{table} INCLUDING DEFAULTS)")
    if variant == "own":
        for query in (DROP_FOREIGN_KEYS, DISABLE_TRIGGERS):
            for (statement,) in conn.execute(query).fetchall():
                conn.execute(statement)
    if variant in ("own", "no search"):
        conn.execute(NO_SEARCH)
    conn.execute("CHECKPOINT")


def timed(url: str, variant: str, messages: int) -> float:
    target: Target = open_target(
        load_settings({"database_url": url, "dir": str(ROOT / "sql")}, environ={}, cwd=Path("/"))
    )
    with psycopg.connect(url, autocommit=True) as conn:
        prepare(conn, variant)
        run: dict[str, Callable[[], object]] = {
            "chatdb": lambda: seed_at_scale(target, messages),
            "no search": lambda: seed_at_scale(target, messages),
        }
        schema = "bare" if variant == "bare" else "public"
        start = time.perf_counter()
        run.get(variant, lambda: copy(conn, schema, messages))()
        return time.perf_counter() - start


def measure(messages: int, rounds: int, variants: list[str]) -> tuple[str, dict[str, list[float]]]:
    seconds: dict[str, list[float]] = {variant: [] for variant in variants}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        server = EmbeddedServer(Path(folder) / ".chatdb")
        server.start()
        try:
            with psycopg.connect(server.url("postgres"), autocommit=True) as conn:
                version = conn.execute("SHOW server_version").fetchone()
                conn.execute("CREATE DATABASE template")
                Migrator(
                    open_target(
                        load_settings(
                            {"database_url": server.url("template")}, environ={}, cwd=Path("/")
                        )
                    ),
                    ROOT / "sql",
                ).up()
                for number in range(rounds):
                    turn = number % len(variants)
                    for variant in variants[turn:] + variants[:turn]:
                        conn.execute("CREATE DATABASE measured TEMPLATE template")
                        seconds[variant].append(timed(server.url("measured"), variant, messages))
                        print(f"{variant:<10} {seconds[variant][-1]:.2f} s", file=sys.stderr)
                        conn.execute("DROP DATABASE measured WITH (FORCE)")
        finally:
            server.destroy()
    return str(version[0] if version else ""), seconds


def generated(messages: int) -> float:
    start = time.perf_counter()
    for _ in ChatGenerator(messages, 1).blocks():
        pass
    return time.perf_counter() - start


def report(messages: int, version: str, seconds: dict[str, list[float]], alone: float) -> str:
    def share(of: str, to: str) -> str:
        pairs = zip(seconds[to], seconds[of], strict=True)
        return f"{statistics.median(a / b for a, b in pairs):.2f}"

    lines = [
        f"{messages:,} messages and the rows that belong to them, {len(seconds['chatdb'])} rounds, "
        f"PostgreSQL {version}, {os.cpu_count()} processors, Python {platform.python_version()}.",
        f"Generating the rows alone takes {alone:.1f} s.",
        "",
        "| | seconds | messages/s | relative to `chatdb` | relative to `no search` |",
        "|---|---:|---:|---:|---:|",
    ]
    for variant, times in seconds.items():
        middle = statistics.median(times)
        lines.append(
            f"| {variant} | {middle:.2f} | {messages / middle:,.0f} "
            f"| **{share('chatdb', variant)}** | {share('no search', variant)} |"
        )
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    numbers = [int(a) for a in arguments if a.isdecimal()]
    messages, rounds = [*numbers, *(100_000, 3)[len(numbers) :]][:2]
    variants = ["chatdb", "no search", "bare", "own", "all"]
    version, seconds = measure(messages, rounds, variants)
    table = report(messages, version, seconds, generated(messages))
    print(table)
    if "--save" in arguments:
        about = (__doc__ or "").split("\n\n")[-1]
        keep(f"# `chatdb seed --scale` compared with a plain COPY\n\n{table}\n\n```\n{about}```")


if __name__ == "__main__":
    main(sys.argv[1:])
