"""Bad days at random: whatever happens to a run, and whenever, the history is what the schema is.

A round takes a run, lets something happen to it at some message or byte, and looks: what the history
says is applied is there, nothing else is, and one more `up` needs no help.  `--long` tries ten times as
many; what fails is printed so that it can be tried again.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
from conftest import Database, Project, first
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from proxy import Proxy
from test_engine import socket_of
from test_faults import BACKENDS, settled, start

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
        "-- chatdb: transactional: false\nDROP INDEX CONCURRENTLY people_room;\n"
        "DROP INDEX CONCURRENTLY rooms_owner;",
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
SNAPSHOT = """
SELECT 'relation', c.relname, c.relkind::text, coalesce(i.indisvalid, true)::text FROM pg_class c
  LEFT JOIN pg_index i ON i.indexrelid = c.oid
 WHERE c.relnamespace = '{0}'::regnamespace AND c.relname !~ 'yoyo|chatdb' AND c.relkind <> 'S'
UNION ALL
SELECT 'column', c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
 WHERE c.relnamespace = '{0}'::regnamespace AND c.relname !~ 'yoyo|chatdb' AND c.relkind = 'r'
   AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'constraint', conname, contype::text, '' FROM pg_constraint
 WHERE connamespace = '{0}'::regnamespace AND conrelid::regclass::text !~ 'yoyo|chatdb'
   AND contype <> 'n'
UNION ALL
SELECT 'function', proname, '', '' FROM pg_proc WHERE pronamespace = '{0}'::regnamespace
ORDER BY 1, 2, 3"""


@dataclass(frozen=True)
class Fault:
    """What happens, and before which message of the client (or after which byte of the server)."""

    kind: str
    place: int


HAPPENINGS = ["cut", "stall", "kill", "interrupt", "end", "freeze", "terminate", "rival"]
faults = st.one_of(
    st.builds(Fault, st.sampled_from(HAPPENINGS), st.integers(1, 120)),
    st.builds(Fault, st.just("cut answer"), st.integers(1, 20_000)),
)


@pytest.fixture
def references(project: Project, database: Database) -> list[Any]:
    """What the schema looks like at each version, from none to the last."""
    for stem, (up, down) in FILES.items():
        project.write(stem, up, down)
    database.execute("CREATE SCHEMA reference")
    found = [database.query(SNAPSHOT.format("reference"))]
    for _ in FILES:
        project.migrator(database, schema="reference").up(steps=1)
        found.append(database.query(SNAPSHOT.format("reference")))
    return found


def suffer(fault: Fault, project: Project, database: Database, schema: str, what: str) -> None:
    """Run what is asked, and have the fault happen to it."""
    sent = count(1)
    ready = threading.Event()
    rivals: list[Any] = []

    def strike(_connection: int, _kind: str, _number: int) -> bool:
        if fault.kind == "cut answer" or next(sent) != fault.place:
            return True
        ready.wait(30)
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
        run = start(proxy.url(database.name), str(project.sql), what, schema)
        ready.set()
        run.join(120)
        assert run.exitcode is not None, "the run hangs"
    for rival in rivals:
        rival.join(120)
        assert rival.exitcode == 0
    settled(database)


@first
@pytest.mark.parametrize("what", ["up", "down!"])
def test_whatever_happens_to_a_run_it_is_done_or_not_done_and_the_next_one_goes_on(
    what: str,
    project: Project,
    database: Database,
    references: list[Any],
    request: pytest.FixtureRequest,
) -> None:
    numbers = count(1)
    rounds = 1000 if request.config.getoption("--long") else 100

    @settings(
        max_examples=rounds,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    @given(fault=faults)
    def round_(fault: Fault) -> None:
        schema = f"round_{next(numbers)}"
        database.execute(f"CREATE SCHEMA {schema}")
        again = project.migrator(database, schema=schema, connect_retries="0")
        if what == "down!":
            again.up()
        suffer(fault, project, database, schema, what)

        status = again.status()
        if status.problems:  # a file without a transaction stopped part-way, and it says so
            assert [problem.code for problem in status.problems] == ["unfinished"]
        else:
            assert database.query(SNAPSHOT.format(schema)) == references[len(status.applied)]
        if what == "down!" and status.problems:  # what went half down has to go down first
            again.down(everything=True, allow_data_loss=True)
        again.up()
        assert database.query(SNAPSHOT.format(schema)) == references[-1]
        assert again.status().pending == ()
        database.execute(f"DROP SCHEMA {schema} CASCADE")

    round_()
