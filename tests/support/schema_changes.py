"""A schema with an object of every kind, and every kind of change to it.

`schema/world.sql` is the schema, `schema/changes.sql` the changes.  Each is applied to the world alone,
is undone by its own statements, and names the object that a snapshot has to report.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from chatdb_cli.catalog.model import Snapshot
from chatdb_cli.catalog.snapshot import read_snapshot
from tests.support.database import Database

_FOLDER = Path(__file__).parent / "schema"
SCHEMAS = ("public", "Other one")
# The roles that the world grants something to; roles belong to the whole server.
CREATE_ROLES = """
DO $$ DECLARE r text; BEGIN
  FOREACH r IN ARRAY ARRAY['fuzz_owner', 'fuzz_reader', 'fuzz writer'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) THEN
      EXECUTE format('CREATE ROLE %I', r);
    END IF;
  END LOOP;
END $$"""
DROP_ROLES = 'DROP ROLE fuzz_owner, fuzz_reader, "fuzz writer"'
WORLD = (_FOLDER / "world.sql").read_text(encoding="utf-8")


class World(NamedTuple):
    """A database with an object of every kind, a connection to it, and its snapshot."""

    database: Database
    connection: psycopg.Connection[Any]
    snapshot: Snapshot

    def read(self) -> Snapshot:
        return read_snapshot(self.connection, SCHEMAS)


class Change(NamedTuple):
    """A change to the world.

    Attributes:
        kind: what it changes, in words.
        change: its statements.
        undo: the statements that change it back.
        object: the object that it must be reported of, as kind and identity.
        since: the first major version of PostgreSQL that has it.
    """

    kind: str
    change: str
    undo: str
    object: str
    since: int = 0


def _parse(text: str) -> tuple[Change, ...]:
    changes: list[Change] = []
    for block in text.split("\n--- ")[1:]:
        head, _, sql = block.partition("\n")
        if head == "undo":
            changes[-1] = changes[-1]._replace(undo=sql)
        else:
            kind, identity, *since = head.split(" | ")
            changes.append(Change(kind, sql, "", identity, int(since[0]) if since else 0))
    return tuple(changes)


CHANGES = _parse((_FOLDER / "changes.sql").read_text(encoding="utf-8"))
