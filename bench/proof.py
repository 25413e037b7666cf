"""What proofs cost: rehearsals and drift, as multiples of applying the same files once.

Run it by hand: `python bench/proof.py [ROUNDS]`.  Each round runs every command once, on a new embedded
server, and the ratios are those of one round, so that a slow moment changes both sides.

    up            chatdb migrate up of the chat schema into an empty database: the yardstick
    rehearse      chatdb migrate rehearse of all its versions
    locks         the same with --locks
    seed          the same with --seed
    one version   chatdb migrate rehearse of the newest version alone
    drift         chatdb migrate drift of a database at the newest version
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


def main() -> None:
    rounds = int(sys.argv[1]) if sys.argv[1:] else 3
    with tempfile.TemporaryDirectory(prefix="chatdb-bench-") as folder:
        Path(folder).chmod(0o711)  # as root the server runs as another user
        server = EmbeddedServer(Path(folder) / ".chatdb")
        server.start()
        try:
            times = [run_round(server) for _ in range(rounds)]
        finally:
            server.destroy()
    print(f"the chat schema, {NEWEST} versions, {rounds} rounds; median, and median of the ratios")
    for name in COMMANDS:
        seconds = statistics.median(t[name] for t in times)
        ratio = statistics.median(t[name] / t["up"] for t in times)
        print(f"{name:12} {seconds:7.2f} s {ratio:7.1f} x up")


if __name__ == "__main__":
    main()
