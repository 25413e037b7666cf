"""50 files over a link of 20 ms: chatdb compared with a psycopg loop that sends one message per file.

Run it by hand: `python bench/link.py [FILES] [ROUNDS]`.  It prints how often each waits for the
server, and the time relative to the loop's, alternating in one run.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import psycopg

sys.path[:0] = [str(Path(__file__).parent.parent)]

from chatdb_cli.embedded.server import EmbeddedServer
from chatdb_cli.migrate.migrator import Migrator
from chatdb_cli.postgres.target import open_target
from chatdb_cli.settings.load import load_settings
from tests.support.proxy import Proxy

ONE_WAY_S = 0.010


def write_files(folder: Path, number: int) -> None:
    for kind, sql in (("up", "CREATE TABLE t{0} (id int);"), ("down", "DROP TABLE t{0};")):
        (folder / kind).mkdir(parents=True)
        for n in range(1, number + 1):
            (folder / kind / f"{n:04}_t{n}.sql").write_text(sql.format(n))


def with_chatdb(url: str, folder: Path) -> None:
    settings = load_settings({"database_url": url}, environ={}, cwd=Path("/"))
    Migrator(open_target(settings), folder).up()


def with_loop(url: str, folder: Path) -> None:
    """Migrate without a tool: for each file a transaction, one message and a row of history."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("CREATE TABLE history (name text PRIMARY KEY)")
        done = {row[0] for row in conn.execute("SELECT name FROM history")}
        for path in sorted((folder / "up").iterdir()):
            if path.name not in done:
                row = f"INSERT INTO history VALUES ('{path.name}')"
                conn.execute(f"BEGIN; {path.read_text()}; {row}; COMMIT")


def main(number: int = 50, rounds: int = 5) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        write_files(Path(folder) / "sql", number)
        server = EmbeddedServer(Path(folder) / ".chatdb")
        server.start()
        upstream = Path(server.params()["host"]) / ".s.PGSQL.5432"
        seconds: dict[str, list[float]] = {"chatdb": [], "loop": []}
        turns: dict[str, int] = {}
        try:
            for round_ in range(rounds):
                for name, run in (("chatdb", with_chatdb), ("loop", with_loop)):
                    database = f"{name}_{round_}"
                    with psycopg.connect(server.url("postgres"), autocommit=True) as conn:
                        conn.execute(f"CREATE DATABASE {database}")
                    with Proxy(upstream, delay=ONE_WAY_S) as proxy:
                        start = time.perf_counter()
                        run(proxy.url(database), Path(folder) / "sql")
                        seconds[name].append(time.perf_counter() - start)
                        turns[name] = proxy.round_trips()
        finally:
            server.destroy()
    loop = statistics.median(seconds["loop"])
    print(f"{number} files, {2 * ONE_WAY_S * 1000:.0f} ms there and back, {rounds} rounds")
    for name, times in seconds.items():
        ratio = statistics.median(times) / loop
        print(f"{name:<8} {turns[name]:>4} waits   {ratio:.2f} of the loop's time")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
