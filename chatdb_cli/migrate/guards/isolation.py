"""Nothing outside of the test schema may change: what a file reaches for there undoes the file.

    Confinement    guards each file of a run, and finds out which statement reached for what

At the start of a file and before its COMMIT stands a sum of every catalog's rows that are outside, on
one snapshot: what other sessions do meanwhile is not in it.  Rows of tables outside can't be touched
without a lock, and the locks of the transaction are looked at as well; so it does not matter who did it:
CASCADE, a DO block, EXECUTE, a function.  Making an extension or a role is allowed.

What does not belong here: making and emptying the schema (`provision.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import psycopg

from chatdb_cli.errors import ChatdbError, Code, Location
from chatdb_cli.migrate import queries as migrate_queries
from chatdb_cli.migrate.guards import queries as migrate_guards_queries
from chatdb_cli.migrate.transaction import Guard
from chatdb_cli.postgres.quoting import Quoting
from chatdb_cli.syntax.effects import find_lasting_effects, without_concurrently
from chatdb_cli.syntax.location import locate
from chatdb_cli.syntax.statements import Statement

if TYPE_CHECKING:
    from typing import Any

    from chatdb_cli.files.model import Script

_Row = tuple[int, int, str]  # catalog, object, and a version of it
_PARTS = (
    "type", "index", "toast table", "rule", "default value", "table constraint", "trigger", "sequence",
)  # fmt: skip
_VACUUM = re.compile(r"\s*VACUUM\b", re.IGNORECASE)


class Isolation:
    """Guards the files that run in a test schema.

    Args:
        conn: an idle connection in autocommit mode.
        schema: the schema, which is there.
    """

    def __init__(self, conn: psycopg.Connection[Any], schema: str) -> None:
        self._conn = conn
        self._schema = schema
        self._names = names = Quoting(conn, schema)
        row = conn.execute(migrate_guards_queries.TEST_SCHEMA, (schema,)).fetchone() or (
            None,
            None,
            (),
        )
        self._values = {"test": row[0], "known": f"{{{','.join(row[2])}}}"}
        self.path = names.fill(migrate_guards_queries.TEST_PATH, path=names.schema)
        self.before = names.fill(migrate_guards_queries.OUTSIDE_BEFORE, **self._values)
        self.after = names.fill(migrate_guards_queries.OUTSIDE_AFTER, **self._values)

    @property
    def guard(self) -> Guard:
        """What watches a file."""
        return Guard((self.path, self.before), (self.after,), snapshot=True)

    def inside(
        self, script: Script, statements: tuple[Statement, ...] | None
    ) -> tuple[Statement, ...] | None:
        """Return a file's statements as they can run in a transaction, where they can be undone.

        Without rows an index is built at once, and there is nothing to VACUUM.
        """
        if script.directives.transactional or statements is None:
            return statements
        return tuple(
            s._replace(text=without_concurrently(s.text))
            for s in statements
            if not _VACUUM.match(s.text)
        )

    def refused(
        self, script: Script, statements: tuple[Statement, ...] | None
    ) -> ChatdbError | None:
        """Return why a file may not run, as far as its text shows what no rollback would undo."""
        for found in find_lasting_effects(script.text, statements):
            schema, _, _ = (found.argument or "").rpartition(".")
            own = schema.strip('"') in ("", self._schema)
            if own and found.what.lower() in ("setval", "nextval"):
                continue
            return ChatdbError(
                Code.REFUSED,
                f"{found.what} {found.argument or ''}".rstrip()
                + f" reaches outside of the test schema {self._schema!r}, and no rollback undoes it",
                hint="leave it out of what tests run",
                place=locate(script.text, found.offset, script.path),
            )
        return None

    def broken(
        self, script: Script, statements: tuple[Statement, ...] | None, notes: tuple[str, ...]
    ) -> ChatdbError:
        """Return the error of a file that has reached outside; finds out with which statement.

        Runs it once more, in a transaction that is rolled back.

        Args:
            script: the file.
            statements: its statements.
            notes: what became of the run.
        """
        place = Location(script.path)
        whole = (Statement(script.text, 0),)
        found: set[_Row] = set()
        self.begin()
        try:
            self._conn.execute(self.path.encode())
            before = self.outside()
            for statement in whole if statements is None else statements:
                self._conn.execute(statement.text.encode())
                if found := self.reached(before):
                    place = locate(script.text, statement.offset, script.path)
                    break
        except psycopg.Error:  # it came to another end this time
            pass
        return ChatdbError(
            Code.REFUSED,
            f"this reaches outside of the test schema {self._schema!r}{self.end(found)}",
            hint="name nothing of another schema in a migration, and make what it needs in one; "
            "an extension is no matter",
            place=place,
            notes=notes,
        )

    def end(self, rows: set[_Row]) -> str:
        """Roll back, and return the names of these objects: of what was made, and of what is back."""
        names = self._names_of(rows)
        self._conn.execute(migrate_queries.ROLLBACK.encode())
        names |= self._names_of(rows)
        # With a table go its type, its index, its rules: what was named is the table.
        main = {(kind, name) for kind, name in names if kind not in _PARTS}
        shown = sorted(f"{kind} {name}" for kind, name in main or names)
        more = f" and {len(shown) - 3} more" if len(shown) > 3 else ""
        return f": {', '.join(shown[:3])}{more}" if shown else ""

    def begin(self) -> None:
        """Begin a transaction that sees one snapshot."""
        self._conn.execute(migrate_queries.BEGIN.format(isolation="REPEATABLE READ").encode())

    def outside(self) -> set[_Row]:
        """Return all that is outside, as it is now."""
        return self._rows(migrate_guards_queries.OUTSIDE_LIST)

    def reached(self, before: set[_Row]) -> set[_Row]:
        """Return what outside was made, changed, dropped or locked."""
        return (self.outside() ^ before) | self._rows(migrate_guards_queries.OUTSIDE_LOCKS)

    def _names_of(self, rows: set[_Row]) -> set[tuple[str, str]]:
        names: set[tuple[str, str]] = set()
        if self._conn.info.transaction_status != psycopg.pq.TransactionStatus.INERROR:
            for class_, oid in sorted({row[:2] for row in rows}):
                names.update(
                    self._conn.execute(migrate_guards_queries.DESCRIBE, (class_, oid)).fetchall()
                )
        return names

    def _rows(self, query: str) -> set[_Row]:
        filled = self._names.fill(query, **self._values)
        return {(int(a), int(b), c) for a, b, c in self._conn.execute(filled.encode())}
