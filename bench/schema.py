"""The frequent operations of the chat schema, for growing tables, with and without row-level security.

Run it by hand: `python bench/schema.py [MESSAGES...] [--seconds N] [--clients N] [--save]`, such as
`python bench/schema.py 10000 100000 1000000 5000000`.  pgbench calls each operation from 8 clients; the
sizes take turns in each round, and the latencies come from its log.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent)]

from results import keep

from chatdb_cli.embedded.server import EmbeddedServer
from chatdb_cli.migrate.migrator import Migrator
from chatdb_cli.postgres.target import open_target
from chatdb_cli.settings.load import load_settings

# 2,000 people, and a channel for 500 messages, 100 channels at the least: the pages of a small database
# are as full as those of a large one.  Some channels are a hundred times as busy as others.  Of three
# people it is known in how many channels they are; the others are in 30.  Everybody has read two of
# three channels up to the end, and lacks up to 200 messages in the third.
DATA = """
SET session_replication_role = replica;
SELECT setseed(0.5);
INSERT INTO users (id, email, username, auth0_id)
SELECT ulid_encode(1500000000000 * 1024 + n, gen_random_uuid()),
       n || '@example.org', 'user_' || n, 'auth0|' || n
  FROM generate_series(1, 2000) n;
CREATE TABLE bench_users AS SELECT id, substr(username, 6)::int AS n FROM users;
CREATE UNIQUE INDEX ON bench_users (n) INCLUDE (id);
INSERT INTO channels (id, type, name, created_by)
SELECT ulid_encode(1500000000000 * 1024 + i, gen_random_uuid()), 'public', 'channel ' || i, u.id
  FROM generate_series(1, {channels}) i, bench_users u WHERE u.n = 1;
CREATE TABLE bench_channels AS SELECT id, substr(name, 9)::int AS n FROM channels;
CREATE UNIQUE INDEX ON bench_channels (n) INCLUDE (id);

DROP INDEX messages_content_search_idx;
INSERT INTO messages (id, channel_id, user_id, content)
SELECT ulid_encode(1600000000000 * 1024 + q.n * 1024000, gen_random_uuid()), c.id, u.id,
       'We should look at case ' || md5(q.n::text) || ' before '
                                 || repeat('the next release ', (q.n % 9)::int)
  FROM (SELECT n, 1 + floor({channels} * power(random(), 2))::int AS channel,
               1 + floor(2000 * random())::int AS author
          FROM generate_series(1::bigint, {messages}) n) q
  JOIN bench_channels c ON c.n = q.channel
  JOIN bench_users u ON u.n = q.author;
CREATE INDEX messages_content_search_idx ON messages USING gin (content gin_trgm_ops)
 WHERE deleted_at IS NULL;
CREATE TABLE bench_messages AS
SELECT id, row_number() OVER (ORDER BY id) AS n FROM messages TABLESAMPLE SYSTEM (50) LIMIT 5000;
CREATE UNIQUE INDEX ON bench_messages (n) INCLUDE (id);

INSERT INTO channel_members (channel_id, user_id, last_read_message_id)
SELECT c.id, u.id, (SELECT m.id FROM messages m WHERE m.channel_id = c.id
                     ORDER BY m.id DESC
                    OFFSET CASE c.n % 3 WHEN 0 THEN (u.n + c.n) * 37 % 200 ELSE 0 END LIMIT 1)
  FROM bench_users u, bench_channels c
 WHERE CASE u.n WHEN 1 THEN c.n % greatest(2, {channels} / 1000) = 0
                WHEN 2 THEN c.n % ({channels} / 50) = 0
                WHEN 3 THEN c.n % ({channels} / 20) = 0
                ELSE (u.n + c.n * 37) % {channels} < 30 END;
GRANT SELECT ON bench_users, bench_channels, bench_messages TO chat_app;
SET session_replication_role = origin;
"""


def channels(messages: int) -> int:
    """Return the number of channels: 100, 200, 400, 1,000, 2,000 ..."""
    return max(100, messages // 500)


@dataclass(frozen=True)
class Operation:
    """An operation that pgbench calls, and its user."""

    name: str
    sql: str
    channels: int = 50  # of the user who calls it


ME = "current_setting('chat.user_id')"
MINE = (
    f"(SELECT channel_id FROM channel_members WHERE user_id = {ME}"
    " ORDER BY 1 OFFSET :n % {channels} LIMIT 1)"
)
# Not as arguments: a function that is given a subquery is not inlined.
NEWEST = f"{MINE} c, LATERAL list_messages(c.channel_id, 1) m"
ANY = "(SELECT id FROM bench_messages WHERE n = :n)"

OPERATIONS = [
    Operation(
        "newest page", f"SELECT m.* FROM {MINE} c, LATERAL list_messages(c.channel_id) m"
    ),
    Operation(
        "a page further back",
        f"SELECT m.* FROM {MINE} c, {ANY} b, LATERAL list_messages(c.channel_id, 50, b.id) m",
    ),
    Operation("unread counts, 20 channels", f"SELECT * FROM unread_counts({ME})", 20),
    Operation("unread counts, 50 channels", f"SELECT * FROM unread_counts({ME})"),
    Operation("unread counts, 1,000 channels", f"SELECT * FROM unread_counts({ME})", 1000),
    Operation("channel list, 20 channels", f"SELECT * FROM list_channels({ME})", 20),
    Operation("channel list, 50 channels", f"SELECT * FROM list_channels({ME})"),
    Operation("channel list, 1,000 channels", f"SELECT * FROM list_channels({ME})", 1000),
    Operation("search, a rare word", f"SELECT * FROM search_messages({ME}, left(md5(:n::text), 8))"),
    Operation("search, a common word", f"SELECT * FROM search_messages({ME}, 'next release', 20)"),
    Operation("send a message", f"SELECT send_message({MINE}, {ME}, 'One more message ' || :n)"),
    Operation("mark as read", f"SELECT mark_read(m.id, {ME}) FROM {NEWEST}"),
    Operation("mark as delivered", f"SELECT mark_delivered(m.id, {ME}) FROM {NEWEST}"),
    Operation("react", f"SELECT add_reaction(m.id, {ME}, ':' || :n) FROM {NEWEST}"),
]  # fmt: skip
# What the pages would cost without a key, for the reader to compare.
OFFSET = Operation(
    "(page 100 by OFFSET)",
    f"SELECT * FROM messages WHERE channel_id = {MINE} ORDER BY id DESC OFFSET 4950 LIMIT 50",
)
# What the processors themselves allow: it computes, and reads no table.
COMPUTING = Operation("(counting to 3,000)", "SELECT count(*) FROM generate_series(1, 3000)", 20)
WHO = {1000: 1, 50: 2, 20: 3}


class Bench:
    """A server, and pgbench."""

    def __init__(self, server: EmbeddedServer, seconds: int) -> None:
        self.server = server
        self.seconds = seconds

    def load(self, messages: int) -> str:
        """Create a database with this many messages, and return its name."""
        name = f"chat_{messages}"
        with psycopg.connect(self.server.url("postgres"), autocommit=True) as conn:
            conn.execute(f"CREATE DATABASE {name}")
        settings = load_settings({"database_url": self.server.url(name)}, environ={}, cwd=Path("/"))
        Migrator(open_target(settings), HERE.parent / "sql").up()
        with psycopg.connect(self.server.url(name), autocommit=True) as conn:
            data = DATA.replace("{messages}", str(messages))
            conn.execute(data.replace("{channels}", str(channels(messages))))
            conn.execute("VACUUM ANALYZE")
            conn.execute("CHECKPOINT")
        return name

    def user(self, database: str, number: int) -> str:
        with psycopg.connect(self.server.url(database)) as conn:
            row = conn.execute("SELECT id FROM bench_users WHERE n = %s", [number]).fetchone()
        assert row
        return str(row[0])

    def time(
        self, database: str, operation: Operation, clients: int, role: str = "none"
    ) -> list[float]:
        """Return the milliseconds of each call as this role, sorted."""
        user = self.user(database, WHO[operation.channels])
        sql = operation.sql.format(channels=operation.channels)
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder) / "script.sql"
            script.write_text(f"\\set n random(1, 4000)\n{sql};\n")
            subprocess.run(
                [self.server.programs / "pgbench", "--no-vacuum", "--protocol=prepared",
                 f"--client={clients}", f"--jobs={min(clients, 2)}", f"--time={self.seconds}",
                 f"--file={script}", "--log", f"--log-prefix={folder}/log", self.server.url(database)],
                env={**os.environ, "PGOPTIONS": f"-c chat.user_id={user} -c role={role}"},
                check=True, capture_output=True, text=True,
            )  # fmt: skip
            return sorted(
                int(line.split()[2]) / 1000
                for log in Path(folder).glob("log*")
                for line in log.read_text().splitlines()
            )

    def nothing(self, clients: int) -> str:
        """Return the cost of a call that does nothing: p50 / p99."""
        times = self.time("chat_1", Operation("nothing", "SELECT 1", 20), clients)
        return f"{at(0.5, times):.2f} / {at(0.99, times):.2f}"

    def ids(self) -> float:
        """Return the cost of a ULID as a multiple of gen_random_uuid(): the best of 30, in turn."""
        best: dict[str, float] = {}
        with psycopg.connect(self.server.url("chat_1"), autocommit=True) as conn:
            for _ in range(30):
                for call in ("NULL::text", "gen_random_uuid()", "generate_ulid()"):
                    query = f"EXPLAIN (ANALYZE, TIMING OFF) SELECT {call} FROM generate_series(1, 50000)"
                    line = str(conn.execute(query).fetchall()[-1][0])
                    best[call] = min(best.get(call, math.inf), float(line.split()[2]))
        nothing = best["NULL::text"]
        return (best["generate_ulid()"] - nothing) / (best["gen_random_uuid()"] - nothing)


def at(share: float, times: list[float]) -> float:
    return times[min(len(times) - 1, int(share * len(times)))]


def cells(
    bench: Bench, names: dict[int, str], operation: Operation, clients: int, rounds: int
) -> str:
    """Return a row of the table; each cell is the median over the rounds."""
    sizes = [size for size in names if channels(size) >= operation.channels]
    largest = names[sizes[-1]]
    p50: dict[int, list[float]] = {size: [] for size in sizes}
    p99: dict[int, list[float]] = {size: [] for size in sizes}
    alone50, alone99, growth, secured, calm, queued = [], [], [], [], [], []
    for size in sizes:
        bench.time(names[size], operation, clients)  # warm
    for _ in range(rounds):
        for size in sizes:
            free = bench.time(names[size], operation, clients)
            p50[size].append(at(0.5, free))
            p99[size].append(at(0.99, free))
        held = bench.time(largest, operation, clients, "chat_app")
        secured.append(at(0.5, held) / p50[sizes[-1]][-1])
        growth.append(p99[sizes[-1]][-1] / p99[sizes[0]][-1])
        computing = bench.time(largest, COMPUTING, clients)
        queued.append(p99[sizes[-1]][-1] / at(0.99, computing))
        calm.append(at(0.99, bench.time(largest, operation, os.cpu_count() or 1)))
        alone = bench.time(largest, operation, 1)
        alone50.append(at(0.5, alone))
        alone99.append(at(0.99, alone))
    median = statistics.median
    found = [f"{median(p50[n]):.2f} / {median(p99[n]):.2f}" if n in p50 else "-" for n in names]
    grown = f"{median(growth):.2f}" if len(sizes) > 1 else "-"
    one = f"{median(alone50):.2f} / {median(alone99):.2f}"
    held_up = f"{median(queued):.2f} | {median(calm):.2f}"
    return " | ".join([*found, grown, held_up, f"{median(secured):.2f}", one])


def rows(bench: Bench, sizes: list[int], clients: int, rounds: int) -> Iterator[str]:
    names = {size: bench.load(size) for size in sizes}
    for operation in [*OPERATIONS, OFFSET, COMPUTING]:
        if channels(sizes[-1]) < operation.channels:
            continue
        row = f"| {operation.name} | {cells(bench, names, operation, clients, rounds)} |"
        print(row, file=sys.stderr)
        yield row


def main() -> None:
    parser = argparse.ArgumentParser(description="The hot operations of the chat schema.")
    parser.add_argument("messages", nargs="*", type=int, default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--save", action="store_true")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)  # as root the server runs as another user
        server = EmbeddedServer(Path(folder) / ".chatdb")
        server.start()
        try:
            bench = Bench(server, words.seconds)
            bench.load(1)
            sizes = sorted(words.messages)
            table = "\n".join(rows(bench, sizes, words.clients, words.rounds))
            text = f"""\
# The chat schema

Written by `python bench/schema.py {" ".join(sys.argv[1:])}`: pgbench, {words.clients} clients,
prepared statements, {words.seconds} s each, the median of {words.rounds} rounds;
{os.cpu_count()} processors for clients and server together. They are all busy, so calls wait for each
other: compare the last row, which reads no table.

| p50 / p99, ms | {" | ".join(f"{n:,}" for n in sizes)} | growth | of computing \
| {os.cpu_count()} clients | row-level security | one client |
|---|{"---:|" * (len(sizes) + 5)}
{table}

The first columns are numbers of messages, with one channel per 500 messages, at least 100; the user is a
member of 50 channels unless the row says otherwise. "Growth" is p99 at the largest size divided by p99
at the smallest. "Of computing" is p99 divided by that of the last row, which reads no table, in the same
round; the next column is p99 with as many clients as processors. These and the last two columns are for
{sizes[-1]:,} messages: p50 as a member of `chat_app` divided by p50 as the owner, and p50 / p99 of a
single client. A `SELECT 1` by {words.clients} clients takes {bench.nothing(words.clients)} ms here.

`generate_ulid()` takes {bench.ids():.2f} times as long as `gen_random_uuid()` (the best of 30, in turn).
"""
        finally:
            server.destroy()
    print(text)
    if words.save:
        keep(text)


if __name__ == "__main__":
    main()
