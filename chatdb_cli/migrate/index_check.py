"""Whether an index is the one that a statement makes.

The server is asked: the same index is made on an empty copy of the table, and the two definitions are
compared; the copy is rolled back.  The text alone can't tell, since PostgreSQL completes it: casts, the
operator classes, the names that a search_path finds.

What does not belong here: which index to look at, what follows (`nontransactional.py`).
"""

from __future__ import annotations

from secrets import token_hex
from typing import TYPE_CHECKING, NamedTuple

import psycopg

from chatdb_cli.migrate import queries
from chatdb_cli.postgres.own import fetch
from chatdb_cli.postgres.quoting import Quoting
from chatdb_cli.syntax.effects import index_statement_on

if TYPE_CHECKING:
    from typing import Any


class _Table(NamedTuple):
    """The row of `queries.TABLE_OF_INDEX`."""

    schema: str
    name: str


class _Definitions(NamedTuple):
    """The row of `queries.COUNT_DEFINITIONS`."""

    kinds: int


def is_index_of(conn: psycopg.Connection[Any], oid: str, statement: str) -> bool:
    """Return whether an index is the one that CREATE INDEX makes; False also if that can't be found out.

    Changes nothing; it waits for no lock but that of a reader of the table.

    Args:
        conn: an idle connection in autocommit mode, with the settings of the file.
        oid: the OID of the index.
        statement: the statement.
    """
    try:
        with conn.transaction(force_rollback=True):
            (table,) = fetch(conn, _Table, queries.TABLE_OF_INDEX.format(index=int(oid)))
            copy, quoting = f"chatdb_{token_hex(8)}", Quoting(conn, table.schema)
            names = {
                "schema": quoting.schema,
                "table": quoting.identifier(table.name),
                "copy": copy,
            }
            conn.execute(queries.COPY_TABLE.format(**names).encode())
            conn.execute(index_statement_on(statement, table.schema, copy).encode())
            values: dict[str, str | int | None]
            values = {"index": int(oid), "copy": copy, "schema_name": table.schema}
            count = quoting.fill(queries.COUNT_DEFINITIONS, **values)
            (definitions,) = fetch(conn, _Definitions, count)
    except (psycopg.errors.DatabaseError, ValueError):
        if conn.closed:
            raise
        return False
    return definitions.kinds == 1
