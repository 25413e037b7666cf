"""Random faults: whatever happens to a run, at any moment, the schema agrees with the history.

On each "day" a few commands run one after another, and a fault strikes each of them at a random message
or byte.  After each command both histories agree, the schema holds what they list and nothing else, and
what the command reported is true; at the end of the day an `up` needs no help.  `--long` tries many
more days; `--seed` repeats those of a failure.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

import pytest

from chatdb_cli.migrate.compare import is_untouched
from chatdb_cli.migrate.model import Status
from tests.support import child
from tests.support.children import CONTEXT, start_child
from tests.support.database import CHATDB_BACKENDS, Database, wait_for_no_sessions
from tests.support.project import Project, migrator_through
from tests.support.proxy import Proxy
from tests.support.servers import on_first_server, socket_of

# A file that continues when it is canceled.
SWALLOW = """DO $$ BEGIN FOR n IN 1..4 LOOP
    BEGIN PERFORM pg_sleep(0.005); EXCEPTION WHEN query_canceled THEN NULL; END;
END LOOP; END $$;"""
# What another branch has in place of the last file, in a directory of its own.
OTHER = ("5_others", "CREATE TABLE others (id int);", "DROP TABLE others;")
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
        "SET application_name = 'mine';\n"
        "CREATE FUNCTION short(text) RETURNS text LANGUAGE sql IMMUTABLE RETURN left($1, 3);\n"
        "CREATE VIEW names AS SELECT short(name) AS name FROM people;",
        "DROP VIEW names;\nDROP FUNCTION short(text);",
    ),
    "5_words": (
        f"{SWALLOW}\nCREATE TABLE words (id int, person int REFERENCES people ON DELETE CASCADE);\n"
        "CREATE INDEX words_person ON words (person);",
        "DROP TABLE words;",
    ),
}
LAST = "5_words"
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
REMAINING_LOCKS = """SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'
   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""

# The exit code of a command, its states or its message, and the version that it ended at.
Answer = tuple[int, Any, str | None]


def branch_of(project: Project) -> Project:
    """Return the project of another branch, which has another last file."""
    return Project(project.path / "branch")


class Victim:
    """A command in a child process, and what a fault needs to strike it."""

    def __init__(self, project: Project, database: Database, schema: str) -> None:
        self.project = project
        self.database = database
        self.schema = schema
        self.rivals: list[BaseProcess] = []
        self.branch = branch_of(project)
        self._answers = CONTEXT.SimpleQueue()
        self._started = threading.Event()

    def start(self, url: str, command: str) -> None:
        self._process = start_child(url, str(self.project.sql), command, self.schema, self._answers)
        self._started.set()

    def signal(self, number: int) -> None:
        assert self._started.wait(30)  # its first message may come before its process id
        assert self._process.pid
        os.kill(self._process.pid, number)

    def wait(self) -> Answer | None:
        """Wait until the command and its rivals have ended; return what the command reported."""
        self._process.join(120)
        assert self._process.exitcode is not None, "the command hangs"
        for rival in self.rivals:
            rival.join(120)
            assert rival.exitcode == 0
        wait_for_no_sessions(self.database)
        return None if self._answers.empty() else self._answers.get()


def cut_connection(_: Victim) -> bool:
    return False  # this tells the proxy to cut


def stall(_: Victim) -> None:
    time.sleep(0.1)


def kill(victim: Victim) -> None:
    victim.signal(signal.SIGKILL)


def interrupt(victim: Victim) -> None:
    victim.signal(signal.SIGINT)


def terminate(victim: Victim) -> None:
    victim.signal(signal.SIGTERM)


def freeze(victim: Victim) -> None:
    victim.signal(signal.SIGSTOP)
    time.sleep(0.1)
    victim.signal(signal.SIGCONT)


def end_session(victim: Victim) -> None:
    with victim.database.connect() as conn:
        conn.execute("SET ROLE NONE")
        conn.execute(f"SELECT pg_terminate_backend(pid) FROM ({CHATDB_BACKENDS}) b")


def start_rival(victim: Victim) -> None:
    url, files = victim.database.url, str(victim.project.sql)
    victim.rivals.append(start_child(url, files, "up", victim.schema))


def start_other_branch(victim: Victim) -> None:
    url, files = victim.database.url, str(victim.branch.sql)
    victim.rivals.append(start_child(url, files, "up", victim.schema))


def cut_answer(_: Victim) -> None:
    """Do nothing: the proxy cuts the connection in the middle of an answer."""


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    Attributes:
        strike: applies the fault to a victim that is about to send a message.
        deadly: whether it ends a run that is not finished.
        exits: exit codes that it can cause; a killed run has none.
    """

    strike: Callable[[Victim], bool | None]
    deadly: bool = False
    exits: tuple[int, ...] = ()


KINDS = {
    "connection cut": Kind(cut_connection, deadly=True, exits=(3,)),
    "answer cut": Kind(cut_answer, deadly=True, exits=(3,)),
    "killed": Kind(kill, deadly=True),
    "interrupted": Kind(interrupt, deadly=True, exits=(130,)),
    "terminated": Kind(terminate, deadly=True, exits=(143,)),
    "session ended": Kind(end_session, deadly=True, exits=(3,)),
    "stalled": Kind(stall),
    "frozen": Kind(freeze),
    "rival": Kind(start_rival),
    "other branch": Kind(start_other_branch),
}
DEADLY = [name for name, kind in KINDS.items() if kind.deadly]
HARMLESS = [name for name, kind in KINDS.items() if not kind.deadly]
COMMANDS = ("up", "down!", "redo!")


@dataclass(frozen=True)
class Fault:
    """A kind of fault, the command that it strikes, and where.

    Attributes:
        place: the number of the message that the command is about to send; for "answer cut" the
            number of bytes that it has received.
    """

    command: str
    kind: str
    place: int


class Length(NamedTuple):
    """How much a run sends and receives."""

    messages: int
    answered: int  # bytes


def estimated_length(single_steps: list[int]) -> int:
    """Estimate the length of a run of several steps from the lengths of one run for each step.

    About half of a run of one step is its start, and a run of several steps starts only once.
    """
    total = sum(single_steps)
    start_of_a_run = total / len(single_steps) / 2
    return int(total - start_of_a_run * (len(single_steps) - 1))


@dataclass
class Course:
    """What the files do when no fault strikes.

    Attributes:
        snapshots: the schema at each version, from no version to the last.
        other: the schema at the last version of the other branch.
        up: the length of the step up from each version.
        down: the length of the step down to each version.
    """

    snapshots: list[Any] = field(default_factory=list)
    other: Any = None
    up: list[Length] = field(default_factory=list)
    down: list[Length] = field(default_factory=list)

    def steps(self, command: str, version: int) -> list[Length]:
        """Return the steps that a command runs at a version."""
        if command == "up":
            return self.up[version:]
        if command == "down!":
            return self.down[:version]
        return [self.down[version - 1], self.up[version - 1]] if version else []

    def choose_fault(self, dice: random.Random, version: int) -> Fault:
        """Choose a command that has something to do, a kind of fault, and a place in the run."""
        command = dice.choice([c for c in COMMANDS if self.steps(c, version)])
        steps = self.steps(command, version)
        kind = dice.choice((*DEADLY, *DEADLY, *HARMLESS))
        lengths = [step.answered if kind == "answer cut" else step.messages for step in steps]
        return Fault(command, kind, dice.randint(1, estimated_length(lengths)))


@pytest.fixture
def course(project: Project, database: Database, other_role: str) -> Course:
    branch = branch_of(project)
    for stem, (up, down) in FILES.items():
        project.write(stem, up, down)
        if stem != LAST:
            branch.write(stem, up, down)
    branch.write(*OTHER)
    database.execute("CREATE SCHEMA course")
    course = Course([database.query(SNAPSHOT.format("course"))])
    # One up and down first, so that the tables of the history exist.
    project.migrator(database, schema="course").up()
    project.migrator(database, schema="course").down(everything=True, allow_data_loss=True)
    branch.migrator(database, schema="course").up()
    course.other = database.query(SNAPSHOT.format("course"))
    branch.migrator(database, schema="course").down(everything=True, allow_data_loss=True)
    for _ in FILES:
        with Proxy(socket_of(database.server)) as proxy:
            migrator_through(proxy, project, database, schema="course").up(steps=1)
        course.up.append(Length(len(proxy.kinds), proxy.answered))
        course.snapshots.append(database.query(SNAPSHOT.format("course")))
    for _ in FILES:
        with Proxy(socket_of(database.server)) as proxy:
            migrator_through(proxy, project, database, schema="course").down(allow_data_loss=True)
        course.down.insert(0, Length(len(proxy.kinds), proxy.answered))
    assert database.query(SNAPSHOT.format("course")) == course.snapshots[0]
    return course


def run_with_fault(fault: Fault, victim: Victim) -> tuple[bool, Answer | None]:
    """Run the command of a fault; return whether the fault struck, and what the command reported."""
    messages = count(1)
    struck = threading.Event()

    def strike(_connection: int, _kind: str, _number: int) -> bool | None:
        if next(messages) != fault.place:
            return True
        struck.set()
        return KINDS[fault.kind].strike(victim) is not False

    proxy = Proxy(socket_of(victim.database.server))
    if fault.kind == "answer cut":
        proxy.cut_after = fault.place
    else:
        proxy.on_message = strike
    with proxy:
        victim.start(proxy.url(victim.database.name), fault.command)
        answer = victim.wait()
    cut = fault.kind == "answer cut" and proxy.cut_after is None
    return struck.is_set() or cut, answer


def check_schema(status: Status, course: Course, database: Database, schema: str) -> None:
    """Check that the schema is what the history says, and that both histories agree."""
    snapshot = database.query(SNAPSHOT.format(schema))
    applied = [a.id for a, state in status.applied if state == "applied"]
    assert applied == list(FILES)[: len(applied)]
    if status.problems:  # a nontransactional file stopped part-way, and this is reported
        assert [problem.code for problem in status.problems] == ["unfinished"]
        (row,) = (a for a, state in status.applied if state == "unfinished")
        # A down passes over a file of which nothing is done.
        assert len(applied) == 2 or (len(applied) < 2 and is_untouched(row))
        snapshot = [row for row in snapshot if row[1] not in INDEXES]
    elif status.applied:
        assert database.applied(schema) == applied
        log = database.query(
            f"SELECT migration_id, operation FROM {schema}._yoyo_log ORDER BY created_at_utc"
        )
        last_operations = {
            name: operation for name, operation in log if operation in ("apply", "rollback")
        }
        assert (
            sorted(name for name, operation in last_operations.items() if operation == "apply")
            == applied
        )
    assert snapshot == course.snapshots[len(applied)]
    assert database.query(REMAINING_LOCKS) == [(0,)]


def check_other_branch(
    status: Status, course: Course, project: Project, database: Database, schema: str
) -> bool:
    """Return whether the other branch has applied its last file; check that, and roll it back."""
    if not status.applied or status.applied[-1][0].id != OTHER[0]:
        return False
    assert [(p.code, p.version) for p in status.problems] == [("changed", "5")]
    assert OTHER[0] in status.problems[0].message
    assert database.query(SNAPSHOT.format(schema)) == course.other
    branch_of(project).migrator(database, schema=schema).down()
    return True


def check_answer(answer: Answer | None, fault: Fault, status: Status) -> None:
    """Check that what a run reported is true."""
    if answer is None:
        assert fault.kind == "killed"
        return
    code, message, current = answer
    # It finished, or the fault stopped it, or a file that an earlier run left unfinished did.
    assert code in {0, *KINDS[fault.kind].exits, 6}, message
    if fault.kind not in ("rival", "other branch") and current != child.UNKNOWN:
        assert current == status.current, message


@on_first_server
@pytest.mark.timeout(4 * 3600)  # with --long, on a machine that does other work
@pytest.mark.parametrize("half", [1, 2])  # two tests, so that two workers share the work
def test_after_any_fault_each_version_is_whole_or_absent_and_the_next_run_continues(
    half: int,
    project: Project,
    database: Database,
    course: Course,
    request: pytest.FixtureRequest,
) -> None:
    days = 1000 if request.config.getoption("--long") else 10
    seed = request.config.getoption("--seed") or random.randrange(1 << 32)
    request.node.add_report_section("setup", "faults", f"--seed {seed}")
    dice = random.Random(seed + half)
    struck, stopped = Counter[str](), Counter[str]()
    versions = Counter[int]()
    for day in range(days):
        schema = f"day_{day}"
        database.execute(f"CREATE SCHEMA {schema}")
        migrator = project.migrator(database, schema=schema)
        status = migrator.status()
        for _ in range(4):
            version = sum(state == "applied" for _, state in status.applied)
            fault = course.choose_fault(dice, version)
            request.node.add_report_section("call", "faults", f"{schema}: {fault}")
            hit, answer = run_with_fault(fault, Victim(project, database, schema))
            status = migrator.status()
            if check_other_branch(status, course, project, database, schema):
                assert fault.kind == "other branch"
                # An up never reports the file of another branch as done.
                assert fault.command != "up" or answer is None or answer[0] != 0
                status = migrator.status()
            check_schema(status, course, database, schema)
            struck[fault.kind] += hit
            stopped[fault.kind] += answer is None or answer[0] != 0
            versions[len(status.applied)] += 1
            check_answer(answer, fault, status)
        if any(a.unfinished and a.unfinished.direction == "down" for a, _ in status.applied):
            migrator.down(everything=True, allow_data_loss=True)  # as the hint of the problem says
        migrator.up()
        check_schema(migrator.status(), course, database, schema)
        assert migrator.status().pending == ()
        database.execute(f"DROP SCHEMA {schema} CASCADE")
    # Most places are within the run, and most deadly faults there end it before it finishes.
    assert struck.total() > days * 3
    assert sum(stopped[kind] for kind in DEADLY) > days * 2
    assert {0, len(FILES)} < set(versions)
