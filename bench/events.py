"""The cost of the change log and of its notifications, and the delay of an event.

Run it by hand: `python bench/events.py [--seconds N] [--rounds N] [--save]`.  pgbench inserts into the
real `messages`; the ways to notify others take turns.  Consumers are separate processes, which read
with `chatdb_cli.listen()`.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent)]

from results import keep

from chatdb_cli.embedded.server import EmbeddedServer
from chatdb_cli.migrate.migrator import Migrator
from chatdb_cli.postgres.target import open_target
from chatdb_cli.settings.load import load_settings
from chatdb_cli.settings.model import Settings

DATA = """
INSERT INTO users (email, username, auth0_id)
SELECT n || '@example.org', 'user_' || n, 'auth0|' || n FROM generate_series(1, 100) n;
INSERT INTO channels (type, name, created_by)
SELECT 'public', 'channel ' || n, (SELECT min(id) FROM users) FROM generate_series(1, 100) n;
CREATE TABLE bench_users AS SELECT id, row_number() OVER () AS n FROM users;
CREATE TABLE bench_channels AS SELECT id, row_number() OVER () AS n FROM channels;
CREATE UNIQUE INDEX ON bench_users (n) INCLUDE (id);
CREATE UNIQUE INDEX ON bench_channels (n) INCLUDE (id);

-- what most chat back ends do
CREATE FUNCTION notify_row() RETURNS trigger LANGUAGE plpgsql
AS $$ BEGIN PERFORM pg_notify('rows', row_to_json(NEW)::text); RETURN NULL; END $$;
CREATE TRIGGER notify_row AFTER INSERT ON messages FOR EACH ROW EXECUTE FUNCTION notify_row();
ANALYZE;
"""
INSERT = r"""
\set channel random(1, 100)
\set user random(1, 100)
INSERT INTO messages (channel_id, user_id, content)
VALUES ((SELECT id FROM bench_channels WHERE n = :channel), (SELECT id FROM bench_users WHERE n = :user),
        'We should look at this case before the next release, don''t you think so?');
"""
# The way: which of the triggers, the doorbell, and how many consume.
WAYS = {
    "no events": ("none", "off", 0),
    "log alone": ("log", "off", 0),
    "log and notifications, no listener": ("log", "doorbell", 0),
    "log and notifications, 1 consumer": ("log", "doorbell", 1),
    "log and notifications, 4 consumers": ("log", "doorbell", 4),
    "log, every transaction notifies, 1 consumer": ("log", "every", 1),
    "the row as payload, 1 listener": ("row", "off", 1),
}
CLIENTS = (1, 8, 32)
RATES = (50, 200, 1000, 0)  # transactions a second; 0 is as many as go


def consume(url: str) -> None:
    """Read events until interrupted, then print the delay of each, in milliseconds."""
    from chatdb_cli.events.listener import listen

    late: list[float] = []
    with suppress(KeyboardInterrupt):
        late.extend((time.time() - event.at.timestamp()) * 1000 for event in listen(_settings(url)))
    sys.stdout.write(json.dumps(late))


def listen_to_rows(url: str) -> None:
    """LISTEN to payloads until interrupted."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("LISTEN rows")
        try:
            for _ in conn.notifies():
                pass
        except KeyboardInterrupt:
            sys.stdout.write("[]")


def _settings(url: str) -> Settings:
    return load_settings({"database_url": url}, environ={}, cwd=Path("/"))


class Bench:
    """A server with the chat schema, pgbench, and consumers."""

    def __init__(self, server: EmbeddedServer, folder: Path, seconds: int) -> None:
        self.server = server
        self.seconds = seconds
        self.script = folder / "insert.sql"
        self.script.write_text(INSERT)
        with psycopg.connect(server.url("postgres"), autocommit=True) as conn:
            conn.execute("CREATE DATABASE bench")
        self.url = server.url("bench")
        Migrator(open_target(_settings(self.url)), HERE.parent / "sql").up()
        self.sql(DATA)

    def sql(self, *statements: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as conn:
            for statement in statements:
                conn.execute(statement)

    def arrange(self, way: str) -> None:
        triggers, mode, _ = WAYS[way]
        log, row = ("ENABLE" if triggers == name else "DISABLE" for name in ("log", "row"))
        self.sql(
            f"ALTER TABLE messages {log} TRIGGER messages_notify_insert",
            f"ALTER TABLE messages {row} TRIGGER notify_row",
            f"SELECT set_notify_mode('{mode}')",
            "TRUNCATE messages CASCADE",  # each begins with the same
            "TRUNCATE events",
            "CHECKPOINT",
        )

    @contextmanager
    def consumers(self, number: int, what: str) -> Iterator[list[float]]:
        """Run consumers; at the end, the yielded list holds the delays of all events."""
        late: list[float] = []
        command = [sys.executable, __file__, what, self.url]
        running = [
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(number)
        ]
        time.sleep(1.0 if running else 0)
        try:
            yield late
            time.sleep(0.5 if running else 0)
        finally:
            for one in running:
                one.send_signal(signal.SIGINT)
            for one in running:
                late += json.loads(one.communicate()[0] or "[]")

    def write(self, clients: int, rate: int = 0) -> float:
        """Insert for a while; return the transactions per second."""
        result = subprocess.run(
            [self.server.programs / "pgbench", "--no-vacuum", "--protocol=prepared",
             f"--client={clients}", "--jobs=2", f"--time={self.seconds}", f"--file={self.script}",
             *([f"--rate={rate}"] if rate else []), self.url],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        line = next(line for line in result.stdout.splitlines() if line.startswith("tps"))
        return float(line.split()[2])


def throughput(bench: Bench, rounds: int) -> Iterator[str]:
    tps: dict[tuple[str, int], list[float]] = {}
    for n in range(rounds):
        for clients in CLIENTS:
            for way, (triggers, _, number) in WAYS.items():
                bench.arrange(way)
                with bench.consumers(number, "rows" if triggers == "row" else "consume"):
                    tps.setdefault((way, clients), []).append(bench.write(clients))
        print(f"round {n + 1} of {rounds}", file=sys.stderr)
    for way in WAYS:
        cells = []
        for clients in CLIENTS:
            free = tps["no events", clients]
            ratio = statistics.median(a / b for a, b in zip(tps[way, clients], free, strict=True))
            cells.append(f"{ratio:.2f} ({statistics.median(tps[way, clients]):,.0f})")
        yield f"| {way} | {' | '.join(cells)} |"


def delivery(bench: Bench) -> Iterator[str]:
    for rate in RATES:
        cells = []
        for number in (1, 4):
            bench.arrange("log and notifications, 1 consumer")
            with bench.consumers(number, "consume") as late:
                bench.write(8, rate)
            late.sort()
            at = [late[int(share * len(late))] for share in (0.5, 0.99)]
            cells.append(f"{at[0]:.1f} / {at[1]:.1f}")
        yield f"| {rate or 'maximum'} | {' | '.join(cells)} |"


def printing(bench: Bench, events: int = 50_000) -> float:
    """Return the processor time of `chatdb listen --format json` for each event, in microseconds."""
    bench.arrange("log alone")
    newest = "SELECT cursor FROM events_since('')"
    insert = (
        "INSERT INTO messages (channel_id, user_id, content) SELECT c.id, u.id, 'Hello ' || c.n"
        " FROM bench_channels c, bench_users u LIMIT 1000"
    )
    used = []
    with psycopg.connect(bench.url, autocommit=True) as conn:
        for number in (1000, events + 1000):  # the difference leaves out the start of the command
            [(cursor,)] = conn.execute(newest).fetchall()
            for _ in range(number // 1000):
                conn.execute(insert)
            command = [sys.executable, "-m", "chatdb_cli", "listen", "--format", "json"]
            one = subprocess.Popen(
                [*command, "--from", cursor, "--database-url", bench.url], stdout=subprocess.PIPE
            )
            assert one.stdout
            for _ in range(number):
                assert one.stdout.readline()
            one.send_signal(signal.SIGTERM)
            usage = os.wait4(one.pid, 0)[2]
            one.returncode = 0  # it was waited for
            used.append(usage.ru_utime + usage.ru_stime)
    return (used[1] - used[0]) / events * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description="The change log and its doorbell.")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--save", action="store_true")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)  # for root, the server runs as another user
        server = EmbeddedServer(Path(folder) / ".chatdb")
        server.start()
        try:
            bench = Bench(server, Path(folder), words.seconds)
            late = "\n".join(delivery(bench))
            rows = "\n".join(throughput(bench, words.rounds))
            printed = statistics.median(printing(bench) for _ in range(words.rounds))
        finally:
            server.destroy()
    text = f"""\
# Events

Written by `python bench/events.py {" ".join(sys.argv[1:])}`: pgbench inserts into `messages`, prepared
statements, {words.seconds} s each, {words.rounds} rounds; {os.cpu_count()} processors for pgbench,
server and consumers together.

| inserts compared with no events (per second), clients: | {" | ".join(map(str, CLIENTS))} |
|---|{"---:|" * len(CLIENTS)}
{rows}

A share is the median over the rounds; the variants take turns within each round.

| delivery p50 / p99 in ms, at this many events per second from 8 clients | 1 consumer | 4 consumers |
|---|---:|---:|
{late}

The time from the trigger of the INSERT, before its COMMIT, until the consumer has the event.

`chatdb listen --format json` takes {printed:.0f} µs of processor time an event.
"""
    print(text)
    if words.save:
        keep(text)


if __name__ == "__main__":
    # Consumers are interrupted; a shell that runs this in the background would have them ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if sys.argv[1:2] == ["consume"]:
        consume(sys.argv[2])
    elif sys.argv[1:2] == ["rows"]:
        listen_to_rows(sys.argv[2])
    else:
        main()
