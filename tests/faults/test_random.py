"""Bad days at random: whatever happens to a run, and whenever, the history is what the schema is.

On each day some commands run one behind the other, and something happens to each of them, at some
message or byte.  After each: what both histories say is applied is there, nothing else is, what the run
said of itself is true; and in the end one more `up` needs no help.  `--long` tries many times as many;
`--seed` tries again what failed.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest

from chatdb_cli.migrate.model import Status
from tests.support import child
from tests.support.children import CONTEXT, start
from tests.support.database import BACKENDS, Database, settled
from tests.support.project import Project, through
from tests.support.proxy import Proxy
from tests.support.servers import first, socket_of

FILES = {
    "1_people": (
        "CREATE TABLE people (id int PRIMARY KEY, name text);\n"
        "CREATE INDEX people_name ON people (name);",
        "DROP TABLE people;",
    ),
    "2_rooms": (
        "CREATE TABLE rooms (id int PRIMARY KEY, owner int REFERENCES people);\n"
        "ALTER TABLE people ADD COLUMN room int REFERENCES rooms;",
        "ALTER TABLE people DROP COLUMN room;\nDROP TABLE rooms;",
    ),
    "3_owner": (
        "-- chatdb: transactional: false\nCREATE INDEX CONCURRENTLY rooms_owner ON rooms (owner);\n"
        "CREATE INDEX CONCURRENTLY people_room ON people (room);",
        "-- chatdb: transactional: false\nDROP INDEX CONCURRENTLY IF EXISTS people_room;\n"
        "DROP INDEX CONCURRENTLY IF EXISTS rooms_owner;",
    ),
    "4_names": (
        "CREATE FUNCTION short(text) RETURNS text LANGUAGE sql IMMUTABLE RETURN left($1, 3);\n"
        "CREATE VIEW names AS SELECT short(name) AS name FROM people;",
        "DROP VIEW names;\nDROP FUNCTION short(text);",
    ),
    "5_words": (
        "CREATE TABLE words (id int, person int REFERENCES people ON DELETE CASCADE);\n"
        "CREATE INDEX words_person ON words (person);",
        "DROP TABLE words;",
    ),
}
INDEXES = ("rooms_owner", "people_room")
SNAPSHOT = """
SELECT 'relation', c.relname, c.relkind::text, coalesce(i.indisvalid, true)::text, coalesce(
       replace(CASE c.relkind WHEN 'i' THEN pg_get_indexdef(c.oid) WHEN 'v' THEN pg_get_viewdef(c.oid)
               END, '{0}.', ''), '')
  FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid
 WHERE c.relnamespace = '{0}'::regnamespace AND c.relname !~ 'yoyo|chatdb' AND c.relkind <> 'S'
UNION ALL
SELECT 'column', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull::text
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
 WHERE c.relnamespace = '{0}'::regnamespace AND c.relname !~ 'yoyo|chatdb' AND c.relkind = 'r'
   AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'constraint', conname, contype::text, convalidated::text,
       replace(pg_get_constraintdef(oid), '{0}.', '')
  FROM pg_constraint
 WHERE connamespace = '{0}'::regnamespace AND conrelid::regclass::text !~ 'yoyo|chatdb'
   AND contype <> 'n'
UNION ALL
SELECT 'function', proname, '', '', replace(pg_get_functiondef(oid), '{0}.', '')
  FROM pg_proc WHERE pronamespace = '{0}'::regnamespace
ORDER BY 1, 2, 3"""
LEFT = """SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


@dataclass(frozen=True)
class Fault:
    """What happens to which command, and before which message (or after which byte of an answer)."""

    what: str
    kind: str
    place: int


DEADLY = ("cut", "cut answer", "kill", "interrupt", "end", "terminate")
HARMLESS = ("stall", "freeze", "rival")
EXITS = {"cut": (3,), "cut answer": (3,), "terminate": (3,), "interrupt": (130,), "end": (143,)}
COMMANDS = ("up", "down!", "redo!")


@dataclass
class Course:
    """How the files go up and down when nothing happens.

    Attributes:
        snapshots: what the schema looks like at each version, from none to the last.
        lengths: (messages, bytes of answers) of each step up and each step down.
    """

    snapshots: list[Any] = field(default_factory=list)
    lengths: dict[str, list[tuple[int, int]]] = field(
        default_factory=lambda: {"up": [], "down": []}
    )

    def fault(self, dice: random.Random, current: int) -> Fault:
        """Choose a command that has something to do, and a place on its way."""
        what = dice.choice([c for c in COMMANDS if current != {"up": len(FILES)}.get(c, 0)])
        ways = {
            "up": self.lengths["up"][current:],
            "down!": self.lengths["down"][:current],
            "redo!": [ways[current - 1] for ways in self.lengths.values()],
        }
        kind = dice.choice((*DEADLY, *DEADLY, *HARMLESS))
        unit = 1 if kind == "cut answer" else 0
        # Each step was measured with a start of its own, which is half of it.
        length = (
            sum(way[unit] for way in ways[what]) * (len(ways[what]) + 1) // (2 * len(ways[what]))
        )
        return Fault(what, kind, dice.randint(1, length))


@pytest.fixture
def course(project: Project, database: Database) -> Course:
    for stem, (up, down) in FILES.items():
        project.write(stem, up, down)
    database.execute("CREATE SCHEMA course")
    found = Course([database.query(SNAPSHOT.format("course"))])
    project.migrator(database, schema="course").up()  # once there and back: the history stands
    project.migrator(database, schema="course").down(everything=True, allow_data_loss=True)
    for direction in ("up", "down"):
        for _ in FILES:
            with Proxy(socket_of(database.server)) as proxy:
                migrator = through(proxy, project, database, schema="course")
                if direction == "up":
                    migrator.up(steps=1)
                    found.snapshots.append(database.query(SNAPSHOT.format("course")))
                else:
                    migrator.down(allow_data_loss=True)
            found.lengths[direction].append((len(proxy.kinds), proxy.answered))
    found.lengths["down"].reverse()
    assert database.query(SNAPSHOT.format("course")) == found.snapshots[0]
    return found


def suffer(
    fault: Fault, project: Project, database: Database, schema: str
) -> tuple[bool, tuple[int, Any, str | None] | None]:
    """Run the command, and have the fault happen to it; return whether it did, and what was said."""
    sent = count(1)
    ready = threading.Event()
    rivals: list[Any] = []
    struck: list[Fault] = []
    said = CONTEXT.SimpleQueue()

    def strike(_connection: int, _kind: str, _number: int) -> bool:
        if fault.kind == "cut answer" or next(sent) != fault.place:
            return True
        ready.wait(30)
        struck.append(fault)
        if fault.kind == "cut":
            return False
        pid = run.pid
        assert pid
        if fault.kind == "stall":
            time.sleep(0.1)
        elif fault.kind == "kill":
            run.kill()
        elif fault.kind == "interrupt":
            os.kill(pid, signal.SIGINT)
        elif fault.kind == "end":
            os.kill(pid, signal.SIGTERM)
        elif fault.kind == "freeze":
            os.kill(pid, signal.SIGSTOP)
            time.sleep(0.1)
            os.kill(pid, signal.SIGCONT)
        elif fault.kind == "terminate":
            database.query(f"SELECT pg_terminate_backend(pid) FROM ({BACKENDS}) b")
        else:
            rivals.append(start(database.url, str(project.sql), "up", schema))
        return True

    cut_after = fault.place if fault.kind == "cut answer" else None
    with Proxy(socket_of(database.server), on_message=strike, cut_after=cut_after) as proxy:
        run = start(proxy.url(database.name), str(project.sql), fault.what, schema, said)
        ready.set()
        run.join(120)
        assert run.exitcode is not None, "the run hangs"
    for rival in rivals:
        rival.join(120)
        assert rival.exitcode == 0
    settled(database)
    hit = bool(struck) or (cut_after is not None and proxy.cut_after is None)
    return hit, None if said.empty() else said.get()


def look(status: Status, course: Course, database: Database, schema: str) -> None:
    """See that the schema is what the history says, and that all of the history says the same."""
    found = database.query(SNAPSHOT.format(schema))
    applied = [a.id for a, state in status.applied if state == "applied"]
    assert applied == list(FILES)[: len(applied)]
    if status.problems:  # a file without a transaction stopped part-way, and it says so
        assert [problem.code for problem in status.problems] == ["unfinished"]
        assert len(applied) == 2
        found = [row for row in found if row[1] not in INDEXES]
    elif status.applied:
        assert database.applied(schema) == applied
        log = database.query(
            f"SELECT migration_id, operation FROM {schema}._yoyo_log ORDER BY created_at_utc"
        )
        last = {name: done for name, done in log if done in ("apply", "rollback")}
        assert sorted(name for name, done in last.items() if done == "apply") == applied
    assert found == course.snapshots[len(applied)]
    assert database.query(LEFT) == [(0,)]


def compare(said: tuple[int, Any, str | None] | None, fault: Fault, status: Status) -> None:
    """See that what a run said of itself is true."""
    if said is None:
        assert fault.kind == "kill"
        return
    code, message, current = said
    # It had something to go on with, or it says that this stands in the way.
    assert code in {0, *EXITS.get(fault.kind, ()), 6}, message
    if fault.kind != "rival" and current != child.UNKNOWN:
        assert current == status.current, message


@first
@pytest.mark.parametrize("half", [1, 2])  # each on a processor of its own
def test_whatever_happens_to_a_run_it_is_done_or_not_done_and_the_next_one_goes_on(
    half: int,
    project: Project,
    database: Database,
    course: Course,
    request: pytest.FixtureRequest,
) -> None:
    days = 250 if request.config.getoption("--long") else 10
    seed = request.config.getoption("--seed") or random.randrange(1 << 32)
    request.node.add_report_section("setup", "faults", f"--seed {seed}")
    dice = random.Random(seed + half)
    struck, stopped = Counter[str](), Counter[str]()
    ended = Counter[int]()
    for day in range(days):
        schema = f"day_{day}"
        database.execute(f"CREATE SCHEMA {schema}")
        again = project.migrator(database, schema=schema)
        status = again.status()
        for _ in range(4):
            fault = course.fault(dice, sum(state == "applied" for _, state in status.applied))
            request.node.add_report_section("call", "faults", f"{schema}: {fault}")
            hit, said = suffer(fault, project, database, schema)
            status = again.status()
            look(status, course, database, schema)
            struck[fault.kind] += hit
            stopped[fault.kind] += said is None or said[0] != 0
            ended[len(status.applied)] += 1
            compare(said, fault, status)
        if any(a.unfinished and a.unfinished.direction == "down" for a, _ in status.applied):
            again.down(everything=True, allow_data_loss=True)  # as its problem says
        again.up()
        look(again.status(), course, database, schema)
        assert again.status().pending == ()
        database.execute(f"DROP SCHEMA {schema} CASCADE")
    # Most places are on the way, and most of what is deadly there ends a run before it is done.
    assert struck.total() > days * 3
    assert sum(stopped[kind] for kind in DEADLY) > days * 2
    assert {0, len(FILES)} < set(ended)
