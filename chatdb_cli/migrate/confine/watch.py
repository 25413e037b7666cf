"""The watch of a test schema: what a transaction has changed or locked outside, whatever way it found.

    Watch    the statements that watch a file, and the names of what it changed

Every row of every catalog that the transaction itself has written is looked at, and every lock on a
relation that it holds: rows of a table can't be changed without one.  Other sessions don't matter: the
transaction sees one snapshot.  Where the rights of a role carry the promise already, this is enough.
Where there is no such role, a checksum of everything outside is taken before and after the file, too,
so that what was dropped is noticed.

What does not belong here: which rows are inside (`catalogs.py`), what an error says (`explain.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import psycopg

from chatdb_cli.migrate.confine import queries
from chatdb_cli.postgres.own import fetch
from chatdb_cli.postgres.quoting import Quoting

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

# What is reached with a table is not named beside it.
_PARTS = (
    "type", "index", "toast table", "rule", "default value", "table constraint", "trigger", "sequence",
)  # fmt: skip


class Object(NamedTuple):
    """An object outside: its catalog and oid, and what to call it if PostgreSQL can't name it."""

    class_: int
    oid: int
    words: str


class Surroundings(NamedTuple):
    """A row of `queries.SURROUNDINGS`."""

    schema: str | None
    role: str
    extensions: list[str]
    role_oids: list[str]
    role_names: list[str]
    members: list[str]
    event_triggers: list[str]
    readable: list[str]


class Watch:
    """Watches transactions for changes outside of a schema.

    Args:
        conn: an idle connection in autocommit mode.
        schema: the schema.
        role: the role that owns what it holds, or None if there is none.

    Attributes:
        before: the statements before a file; empty if nothing has to be kept.
        after: the statements after it, which fail by a division by zero.
        prepare: the statements that prepare the longest of them, in a session of the run's own.
        keep: the statement that keeps a checksum of everything outside.
        unchanged: the statement that compares it, and fails in the same way.
        after_prepared: what to send in place of `after` then.
        surroundings: what was there before the run.
    """

    def __init__(self, conn: psycopg.Connection[Any], schema: str, role: str | None) -> None:
        self._conn = conn
        self._quoting = Quoting(conn, schema)
        query = self._quoting.fill(queries.SURROUNDINGS, name=schema, role=role or "")
        (row,) = fetch(conn, Surroundings, query)
        self.surroundings = row
        self._values = {
            "test": row.schema or "0",
            "role": row.role,
            "known": _array(row.extensions),
            "roles": _array(row.role_oids),
        }
        check = self._fill(queries.no_changes(row.readable))
        self.keep = self._fill(queries.checksum_before(row.readable))
        self.unchanged = self._fill(queries.same_checksum(row.readable))
        self.before: tuple[str, ...] = ()
        rest: tuple[str, ...] = ()
        if role is None:
            self.before = (queries.NO_JIT, self.keep, queries.JIT_AS_IT_WAS)
            rest = (self.unchanged,)
        self.prepare = (queries.PG_CATALOG_ONLY, queries.PREPARE_WATCH.format(query=check))
        self.after = (queries.NO_JIT, check, *rest)
        self.after_prepared = (queries.NO_JIT, queries.EXECUTE_WATCH, *rest)

    def changed(self) -> set[Object]:
        """Return the objects outside that this transaction has changed or locked."""
        query = self._fill(queries.changes(self.surroundings.readable))
        return {Object(int(a), int(b), c) for a, b, c in self._execute(query)}

    def outside(self) -> set[Object]:
        """Return every object outside, with its version."""
        query = self._fill(queries.outside(self.surroundings.readable))
        return {Object(int(a), int(b), c) for a, b, c in self._execute(query)}

    def names(self, objects: Iterable[Object]) -> set[tuple[str, str]]:
        """Return the kind and the name of each object that exists now."""
        names: set[tuple[str, str]] = set()
        if self._conn.info.transaction_status == psycopg.pq.TransactionStatus.INERROR:
            return names
        for class_, oid, words in sorted(objects):
            if class_:
                names.update(self._conn.execute(queries.DESCRIBE, (class_, oid)).fetchall())
            else:
                names.add((words, str(oid) if oid else ""))
        return names

    def roll_back(self, objects: set[Object]) -> str:
        """Roll back, and return the names of these objects, to end a message with.

        An object that was created has a name before the rollback, one that was dropped has it after.
        """
        names = self.names(objects)
        self._conn.execute(queries.ROLLBACK.encode())
        names |= self.names(objects)
        main = {(kind, name) for kind, name in names if kind not in _PARTS}
        shown = sorted(f"{kind} {name}".rstrip() for kind, name in main or names)
        more = f" and {len(shown) - 3} more" if len(shown) > 3 else ""
        return f": {', '.join(shown[:3])}{more}" if shown else ""

    def begin(self) -> None:
        """Begin a transaction that sees one snapshot, in which queries of the watch are quick."""
        self._conn.execute(queries.BEGIN_SNAPSHOT.encode())
        self._conn.execute(queries.PG_CATALOG_ONLY.encode())
        self._conn.execute(queries.NO_JIT.encode())

    def _fill(self, template: str) -> str:
        for name, value in self._values.items():
            template = template.replace(f"{{{name}}}", self._quoting.literal(value))
        return template

    def _execute(self, query: str) -> Iterable[tuple[Any, Any, Any]]:
        return self._conn.execute(query.encode())


def _array(oids: Iterable[str]) -> str:
    return f"{{{','.join(oids)}}}"
