"""Keep migrations inside the test schema: a file that changes anything outside is rolled back.

    Isolation    watches each file of a run, and finds the statement that reached outside

At the start of a file and before its COMMIT, a checksum is taken of the rows of every catalog that are
outside, in one snapshot, so that changes by other sessions are not included.  Rows of tables outside
can't be changed without a lock, and the locks of the transaction are checked too.  So it does not matter
how the change was made: by CASCADE, a DO block, EXECUTE or a function.  A file may create an extension
or a role.

What does not belong here: creating and emptying the schema (`provision/test_schema.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import psycopg

from chatdb_cli.errors import ChatdbError, Code, Location
from chatdb_cli.migrate.guards import queries
from chatdb_cli.migrate.transaction import Guard
from chatdb_cli.postgres.diagnosis import server_error
from chatdb_cli.postgres.own import fetch
from chatdb_cli.postgres.quoting import Quoting
from chatdb_cli.postgres.sqlstates import ASSERTION_FAILED, LOCK_NOT_AVAILABLE
from chatdb_cli.syntax.effects import find_lasting_effects, without_concurrently
from chatdb_cli.syntax.location import locate
from chatdb_cli.syntax.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from chatdb_cli.files.model import Script
    from chatdb_cli.migrate.model import LoadedStep

_Row = tuple[int, int, str]  # catalog, object, and a version of it
_PARTS = (
    "type", "index", "toast table", "rule", "default value", "table constraint", "trigger", "sequence",
)  # fmt: skip
_VACUUM = re.compile(r"\s*VACUUM\b", re.IGNORECASE)


class _Surroundings(NamedTuple):
    """The oid of the test schema, and the oids of the database's extensions, as text."""

    schema: str | None
    extensions: list[str]


class Isolation:
    """Watches the files that run in a test schema.

    Args:
        conn: an idle connection in autocommit mode.
        schema: the schema, which exists.
    """

    def __init__(self, conn: psycopg.Connection[Any], schema: str) -> None:
        self._conn = conn
        self._schema = schema
        self._names = names = Quoting(conn, schema)
        (row,) = fetch(conn, _Surroundings, names.fill(queries.TEST_SCHEMA, name=schema))
        self._values = {"test": row.schema, "known": f"{{{','.join(row.extensions)}}}"}
        self.path = names.fill(queries.TEST_PATH, path=names.schema)
        self.before = names.fill(queries.OUTSIDE_BEFORE, **self._values)
        self.after = names.fill(queries.OUTSIDE_AFTER, **self._values)

    def prepare(
        self, script: Script, statements: Sequence[Statement] | None
    ) -> Sequence[Statement] | None:
        """Return a file's statements as they can run in a transaction, where they can be rolled back.

        In a schema without rows an index is built without CONCURRENTLY, and VACUUM has nothing to do.
        """
        if script.directives.transactional or statements is None:
            return statements
        return tuple(
            s._replace(text=without_concurrently(s.text))
            for s in statements
            if not _VACUUM.match(s.text)
        )

    def refuse(self, loaded: LoadedStep) -> ChatdbError | None:
        """Return why a file may not run: its text shows an effect that ROLLBACK does not undo."""
        script = loaded.script
        for effect in find_lasting_effects(script.text, loaded.statements):
            schema, _, _ = (effect.argument or "").rpartition(".")
            is_inside = schema.strip('"') in ("", self._schema)
            if is_inside and effect.what.lower() in ("setval", "nextval"):
                continue
            return ChatdbError(
                Code.REFUSED,
                f"{effect.what} {effect.argument or ''}".rstrip()
                + f" reaches outside of the test schema {self._schema!r}, and ROLLBACK does not undo it",
                hint="leave it out of the migrations that tests run",
                place=locate(script.text, effect.offset, script.path),
            )
        return None

    @property
    def guard(self) -> Guard:
        """The statements that watch a file, the same for each."""
        return Guard((self.before,), (self.after,), snapshot=True, path=self.path)

    def explain(
        self, error: psycopg.Error, loaded: LoadedStep, notes: tuple[str, ...]
    ) -> ChatdbError:
        """Return the error of a file that reached outside, or that could not be checked."""
        if error.sqlstate == ASSERTION_FAILED:
            return self._explain_reach(loaded.script, loaded.statements, notes)
        code = Code.LOCKED if error.sqlstate == LOCK_NOT_AVAILABLE else Code.REFUSED
        what = "could not determine what it changes outside of the test schema"
        failure = server_error(error, code, what)
        return failure.with_(place=Location(loaded.script.path), notes=failure.notes + notes)

    def _explain_reach(
        self, script: Script, statements: Sequence[Statement] | None, notes: tuple[str, ...]
    ) -> ChatdbError:
        """Find the statement that reached outside, by running the file again and rolling back."""
        place = Location(script.path)
        reached: set[_Row] = set()
        self.begin()
        try:
            self._conn.execute(self.path.encode())
            before = self.outside()
            for statement in (Statement(script.text, 0),) if statements is None else statements:
                self._conn.execute(statement.text.encode())
                if reached := self.reached(before):
                    place = locate(script.text, statement.offset, script.path)
                    break
        except psycopg.Error:  # this time the file failed in another way
            pass
        return ChatdbError(
            Code.REFUSED,
            f"this reaches outside of the test schema {self._schema!r}{self.end(reached)}",
            hint="in a migration, name no object of another schema, and create what it needs in a "
            "migration; an extension is allowed",
            place=place,
            notes=notes,
        )

    def end(self, rows: set[_Row]) -> str:
        """Roll back, and return the names of these objects, to end a message with.

        An object that was created has a name before the rollback, one that was dropped has it after.
        """
        names = self._names_of(rows)
        self._conn.execute(queries.ROLLBACK.encode())
        names |= self._names_of(rows)
        # The type, the indexes and the rules of a table are reached with it: only name the table.
        main = {(kind, name) for kind, name in names if kind not in _PARTS}
        shown = sorted(f"{kind} {name}" for kind, name in main or names)
        more = f" and {len(shown) - 3} more" if len(shown) > 3 else ""
        return f": {', '.join(shown[:3])}{more}" if shown else ""

    def begin(self) -> None:
        """Begin a transaction that sees one snapshot."""
        self._conn.execute(queries.BEGIN_SNAPSHOT.encode())
        self._conn.execute(queries.PG_CATALOG_ONLY.encode())

    def outside(self) -> set[_Row]:
        """Return every object outside, with its version."""
        return self._rows(queries.OUTSIDE_LIST)

    def reached(self, before: set[_Row]) -> set[_Row]:
        """Return the objects outside that were created, changed, dropped or locked."""
        return (self.outside() ^ before) | self._rows(queries.OUTSIDE_LOCKS)

    def _names_of(self, rows: set[_Row]) -> set[tuple[str, str]]:
        names: set[tuple[str, str]] = set()
        if self._conn.info.transaction_status != psycopg.pq.TransactionStatus.INERROR:
            for class_, oid in sorted({row[:2] for row in rows}):
                names.update(self._conn.execute(queries.DESCRIBE, (class_, oid)).fetchall())
        return names

    def _rows(self, query: str) -> set[_Row]:
        filled = self._names.fill(query, **self._values)
        return {(int(a), int(b), c) for a, b, c in self._conn.execute(filled.encode())}
