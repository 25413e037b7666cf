"""Names and values as SQL, quoted by libpq, and the keys of the two advisory locks of a target.

psycopg.sql does the same, but five times slower, which matters for thousands of statements.  What does
not belong here: the statements themselves (`queries.py` of each package).
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    import psycopg

# The first half of an advisory lock's key: "chat" and "chau" in ASCII.  The second is made from the
# schema's name; an advisory lock belongs to one database already.  The session-level lock and the
# transaction-level lock have different keys: the first is polled, the second is waited for.
_TRANSACTION_SPACE, _SESSION_SPACE = 0x63686174, 0x63686175


class Quoting:
    """Puts names and values into chatdb's own statements, quoted by libpq.

    The values are part of the text, not parameters, so that a dry run shows exactly what would be sent,
    and psql can run it.

    Attributes:
        schema: the name of the target's schema as SQL.
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
        """Return a search_path: the schema, `public`, then others; each schema once."""
        return ", ".join(map(self.identifier, dict.fromkeys((self._schema, "public", *others))))

    def literal(self, value: str | int | None) -> str:
        """Return a value as SQL."""
        if value is None:
            return "NULL"
        if isinstance(value, int):
            return str(value)
        return bytes(self._escaping.escape_literal(value.encode())).decode()

    def fill(self, template: str, **values: str | int | None) -> str:
        """Return a statement from a template, with the schema and the values in it."""
        quoted = {name: self.literal(value) for name, value in values.items()}
        return template.format(schema=self.schema, **quoted)

    @property
    def lock_key(self) -> str:
        """The two halves of the key of this target's transaction-level advisory lock."""
        return f"{_TRANSACTION_SPACE}, {self._low}"

    @property
    def session_key(self) -> str:
        """The two halves of the key of this target's session-level advisory lock."""
        return f"{_SESSION_SPACE}, {self._low}"

    @property
    def _low(self) -> int:
        low = zlib.crc32(self._schema.encode())
        return low - (1 << 32) if low >= 1 << 31 else low
