"""What proofs cost: rehearsals and drift, as multiples of applying the same files once.

Run it by hand: `python bench/proof.py [ROUNDS]`.  Each round runs every command once, on a new embedded
server, and the ratios are those of one round, so that a slow moment changes both sides.

    up            chatdb migrate up of the chat schema into an empty database: the yardstick
    rehearse      chatdb migrate rehearse of all its versions
    locks         the same with --locks
    seed          the same with --seed
    one version   chatdb migrate rehearse of the newest version alone
    drift         chatdb migrate drift of a database at the newest version

Then, of a database of 1,000 tables with 10,000 columns, where the yardstick is `pg_dump -s`:

    snapshot      chatdb migrate snapshot --output FILE
    read          read_snapshot() alone, without the start of a process
    compare       compare_snapshots() of two that are equal
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

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT)]

from chatdb_cli.catalog.diff import compare_snapshots
from chatdb_cli.catalog.snapshot import read_snapshot
from chatdb_cli.catalog.snapshot_text import format_snapshot, parse_snapshot
from chatdb_cli.embedded.server import EmbeddedServer

REHEARSE = ["migrate", "rehearse"]
NEWEST = max(path.name[:4] for path in (ROOT / "sql" / "up").glob("*.sql"))
COMMANDS = {
    "up": ["migrate", "up"],
    "rehearse": REHEARSE,
    "locks": [*REHEARSE, "--locks"],
    "seed": [*REHEARSE, "--seed"],
    "one version": [*REHEARSE, "--from", NEWEST],
    "drift": ["migrate", "drift"],
}


def measure(server: EmbeddedServer, arguments: list[str]) -> float:
    """Run a command on the shipped files, and return how long it took, in seconds."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(server.home)}
    command = [sys.executable, "-m", "chatdb_cli", *arguments, "--dir", "@chat", "--quiet"]
    begin = time.perf_counter()
    subprocess.run(
        [*command, "-d", server.url("chat")], env=environment, cwd=server.home.parent,
        check=True, capture_output=True,
    )  # fmt: skip
    return time.perf_counter() - begin


def run_round(server: EmbeddedServer) -> dict[str, float]:
    """Return the time of each command, in seconds; `up` comes first, into an empty database."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as conn:
        conn.execute("DROP DATABASE IF EXISTS chat WITH (FORCE)")
        conn.execute("CREATE DATABASE chat")
    return {name: measure(server, arguments) for name, arguments in COMMANDS.items()}


# Tables with a key, an index, a check, a foreign key and comments, as they are in applications.
LARGE = """
DO $do$ BEGIN FOR n IN 1..1000 LOOP
  EXECUTE format($sql$
    CREATE TABLE t%1$s (id bigint PRIMARY KEY, a text NOT NULL, b int DEFAULT %1$s CHECK (b > 0),
        c timestamptz NOT NULL DEFAULT now(), d numeric(10, 2), e jsonb, f text[], g boolean,
        h uuid, t_id bigint REFERENCES t%2$s);
    CREATE INDEX ON t%1$s (t_id);
    COMMENT ON TABLE t%1$s IS 'table %1$s';
    COMMENT ON COLUMN t%1$s.a IS 'a text'$sql$, n, greatest(n - 1, 1));
END LOOP; END $do$"""


def measure_snapshots(server: EmbeddedServer, rounds: int) -> None:
    """Print what a snapshot of a large schema takes, beside `pg_dump -s`."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as conn:
        conn.execute("CREATE DATABASE large")
    url, file = server.url("large"), server.home.parent / "schema.txt"
    dump = [str(server.programs / "pg_dump"), "-s", "-f", os.devnull, url]
    command = [sys.executable, "-m", "chatdb_cli", "migrate", "snapshot", "--output", str(file)]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(server.home)}
    times: dict[str, list[float]] = {}
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(LARGE)
        conn.execute("VACUUM ANALYZE")
        snapshot = read_snapshot(conn, ["public"])
        other = parse_snapshot(format_snapshot(snapshot))
        actions = {
            "pg_dump -s": lambda: subprocess.run(dump, env=environment, check=True),
            "snapshot": lambda: subprocess.run(
                [*command, "-d", url, "--quiet"], env=environment, cwd=server.home.parent,
                check=True, capture_output=True,
            ),
            "read": lambda: read_snapshot(conn, ["public"]),
            "compare": lambda: compare_snapshots(snapshot, other),
        }  # fmt: skip
        for _ in range(rounds):
            for name, action in actions.items():
                begin = time.perf_counter()
                action()
                times.setdefault(name, []).append(time.perf_counter() - begin)
    columns = sum(item.kind == "column" for item in snapshot.objects)
    size = file.stat().st_size
    print(f"1,000 tables, {columns:,} columns, {len(snapshot.objects):,} objects, {size:,} bytes")
    for name, seconds in times.items():
        ratios = [a / b for a, b in zip(seconds, times["pg_dump -s"], strict=True)]
        print(
            f"{name:12} {statistics.median(seconds):7.2f} s"
            f" {statistics.median(ratios):7.2f} x pg_dump -s"
        )


def main() -> None:
    rounds = int(sys.argv[1]) if sys.argv[1:] else 3
    with tempfile.TemporaryDirectory(prefix="chatdb-bench-") as folder:
        Path(folder).chmod(0o711)  # as root the server runs as another user
        server = EmbeddedServer(Path(folder) / ".chatdb")
        server.start()
        try:
            times = [run_round(server) for _ in range(rounds)]
            measure_snapshots(server, rounds)
        finally:
            server.destroy()
    print(
        f"the chat schema, {int(NEWEST)} versions, {rounds} rounds; median, and median of the ratios"
    )
    for name in COMMANDS:
        seconds = statistics.median(t[name] for t in times)
        ratio = statistics.median(t[name] / t["up"] for t in times)
        print(f"{name:12} {seconds:7.2f} s {ratio:7.1f} x up")


if __name__ == "__main__":
    main()
