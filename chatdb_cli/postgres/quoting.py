"""Names and values as SQL, quoted by libpq, and the keys of the two advisory locks of a target.

psycopg.sql does the same five times slower, for thousands of statements.  What does not belong here:
the statements themselves (`queries.py` of each package).
"""

from __future__ import annotations

import zlib
from functools import cache
from string import Formatter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    import psycopg

# The first half of an advisory lock's key: "chat" and "chau" in ASCII.  The second is the schema's
# name, for locks are of one database already.  The lock of a session is another than that of a
# transaction: who waits for the first polls, who waits for the second stands in a queue.
_TRANSACTION_SPACE, _SESSION_SPACE = 0x63686174, 0x63686175
# The values of the statements that are numbers; all others are text.
_NUMBERS = ("version", "head", "least")


class Quoting:
    """Puts names and values into chatdb's own statements, quoted by libpq.

    The statements carry their values in the text, not as parameters, so that `--dry-run` shows, and
    psql runs, exactly what would be sent.
    """

    def __init__(self, conn: psycopg.Connection[Any], schema: str) -> None:
        from psycopg.pq import Escaping

        self._escaping = Escaping(conn.pgconn)
        self._schema = schema
        self.schema = self.identifier(schema)

    def identifier(self, name: str) -> str:
        """Return a name as SQL."""
        return bytes(self._escaping.escape_identifier(name.encode())).decode()

    def path(self, others: Iterable[str]) -> str:
        """Return the search path of whoever works on the schema: it, `public`, and others."""
        return ", ".join(map(self.identifier, dict.fromkeys((self._schema, "public", *others))))

    def literal(self, value: str | int | None) -> str:
        """Return a value as SQL."""
        if value is None:
            return "NULL"
        if isinstance(value, int):
            return str(value)
        return bytes(self._escaping.escape_literal(value.encode())).decode()

    def fill(self, template: str, **values: str | int | None) -> str:
        """Return a statement of `queries` with the schema and the values in it."""
        quoted = {name: self.literal(value) for name, value in values.items()}
        return template.format(schema=self.schema, **quoted)

    def prepare(self, name: str, template: str) -> str:
        """Return the statement that has the server keep a statement of `queries` ready."""
        fields = _fields(template)
        types = ", ".join("numeric" if f in _NUMBERS else "text" for f in fields)
        sql = template.format(schema=self.schema, **{f: f"${n}" for n, f in enumerate(fields, 1)})
        return f"PREPARE {name} ({types}) AS {sql}"

    def execute(self, name: str, template: str, **values: str | int | None) -> str:
        """Return the statement that runs what `prepare` has prepared."""
        return f"EXECUTE {name} ({', '.join(self.literal(values[f]) for f in _fields(template))})"

    @property
    def lock_key(self) -> str:
        """The two halves of this target's advisory lock of a transaction."""
        return f"{_TRANSACTION_SPACE}, {self._low}"

    @property
    def session_key(self) -> str:
        """The two halves of this target's advisory lock of a session."""
        return f"{_SESSION_SPACE}, {self._low}"

    @property
    def _low(self) -> int:
        low = zlib.crc32(self._schema.encode())
        return low - (1 << 32) if low >= 1 << 31 else low


@cache
def _fields(template: str) -> tuple[str, ...]:
    """Return the names of a template's values, each once."""
    names = (name for _, name, _, _ in Formatter().parse(template) if name)
    return tuple(dict.fromkeys(name for name in names if name != "schema"))
