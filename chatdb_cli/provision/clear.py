"""Empty the tables of a test schema or of a test database, and restart its sequences.

    clear_test_data    for applications: by a pool of connections
    empty_schemas      the same in a connection, of certain schemas

Tables that hold rows are truncated together with those that refer to them, so that no order matters and
foreign keys may be circular.  Children and partitions in other schemas are not touched, and no trigger
fires.  What does not belong here: creating the schema (`test_schema.py`, `test_database.py`).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.postgres.diagnosis import explain_failures, server_error
from chatdb_cli.postgres.own import fetch
from chatdb_cli.postgres.quoting import Quoting
from chatdb_cli.provision import queries
from chatdb_cli.provision.marks import is_test_database, is_test_schema
from chatdb_cli.remedy import Advice
from chatdb_cli.syntax.identifiers import display_name, quote_identifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    import psycopg
    from psycopg_pool import ConnectionPool

_T = TypeVar("_T")
_ENABLE = {"O": "ENABLE", "R": "ENABLE REPLICA", "A": "ENABLE ALWAYS"}


class _Name(NamedTuple):
    """The name of a schema."""

    name: str


class _Marks(NamedTuple):
    """A row of `queries.MARKS`."""

    schema: str | None
    database: str | None


class _Table(NamedTuple):
    """A row of `queries.FILLED_TABLES`."""

    schema: str
    name: str
    partitioned: bool
    filled: bool
    elsewhere: str | None

    @property
    def sql(self) -> str:
        """The table without its children; the partitions of a partitioned table are in the schemas."""
        return ("" if self.partitioned else "ONLY ") + quote_identifier(self.schema, self.name)


class _Trigger(NamedTuple):
    """A row of `queries.TRUNCATE_TRIGGERS`."""

    schema: str
    table: str
    name: str
    enabled: str


class _Sequence(NamedTuple):
    """A row of `queries.SEQUENCES`."""

    schema: str
    name: str
    start: int


class _View(NamedTuple):
    """A row of `queries.FILLED_VIEWS`."""

    schema: str
    name: str


class _Items(NamedTuple):
    """A row of `queries.LIST`."""

    items: list[bool]


def clear_test_data(pool: ConnectionPool[psycopg.Connection[Any]]) -> tuple[str, ...]:
    """Empty every table of a test schema or a test database, and restart its sequences.

    The history of the migrations stays.  Foreign keys may be circular; no trigger fires; tables of other
    schemas are never touched.  Only tables that hold rows take time.

    Args:
        pool: what `setup_test_schema`, `setup_test_database` or `setup(test=True)` returned.

    Returns:
        The tables that held rows.

    Raises:
        ChatdbError: `REFUSED`, the schema and its database are not marked as a test's, or an object
            elsewhere refers to a table; `LOCKED`, another session holds a lock.
    """
    with (
        pool.connection() as conn,
        explain_failures("the test data can't be cleared"),
        conn.transaction(),
    ):
        (schema,) = conn.execute(queries.CURRENT_SCHEMA).fetchone() or (None,)
        quoting = Quoting(conn, schema or "")
        (marks,) = fetch(conn, _Marks, quoting.fill(queries.MARKS, name=schema or ""))
        if schema is not None and is_test_schema(marks.schema):
            return empty_schemas(conn, [schema])
        if not is_test_database(marks.database):
            raise ChatdbError(
                Code.REFUSED,
                f"neither schema {schema!r} nor its database is marked as one for tests",
                hint=Advice(
                    "only what {setup_test} or {setup_test_database} has made is ever cleared"
                ),
            )
        return empty_schemas(conn, user_schemas(conn))


def user_schemas(conn: psycopg.Connection[Any]) -> list[str]:
    """Return the names of all schemas of the database but the server's own."""
    return [row.name for row in fetch(conn, _Name, queries.USER_SCHEMAS)]


def empty_schemas(conn: psycopg.Connection[Any], schemas: Sequence[str]) -> tuple[str, ...]:
    """Empty all tables of these schemas but those of the history, and restart their sequences.

    Args:
        conn: a connection; one that is in no transaction gets one.
        schemas: the names of the schemas.

    Returns:
        The tables that held rows, for people.

    Raises:
        ChatdbError: `REFUSED`, an object elsewhere refers to a table; `LOCKED`.
    """
    from psycopg import errors

    what = f"schema {schemas[0]!r} can't be emptied" if len(schemas) == 1 else "it can't be emptied"
    try:
        with conn.transaction():
            conn.execute(queries.PG_CATALOG_ONLY)
            emptied = _empty_tables(conn, schemas)
            _restart_sequences(conn, schemas)
            views = _rows(conn, _View, queries.FILLED_VIEWS, schemas)
            names = (quote_identifier(view.schema, view.name) for view in views)
            _execute(conn, [queries.REFRESH.format(view=name) for name in names])
    except errors.Error as error:
        if conn.closed:
            raise
        code = Code.LOCKED if isinstance(error, errors.LockNotAvailable) else Code.REFUSED
        raise server_error(error, code, what) from None
    several = len(schemas) > 1
    return tuple(display_name(t.schema if several else "", t.name) for t in emptied)


def _empty_tables(conn: psycopg.Connection[Any], schemas: Sequence[str]) -> list[_Table]:
    """Truncate the tables that hold rows; return those of them whose rows can be seen."""
    tables = _rows(conn, _Table, queries.FILLED_TABLES, schemas)
    if not tables:
        return []
    for table in tables:
        if table.elsewhere:
            raise ChatdbError(
                Code.REFUSED,
                f"table {display_name(table.schema, table.name)} has a partition in another schema: "
                f"{table.elsewhere}",
                hint="drop that partition",
            )
    filled = [t for t in tables if t.filled]
    conn.execute(queries.ALL_ROWS)
    exist = [queries.HAS_ROWS.format(table=t.sql) for t in filled]
    held = [t for t, has in zip(filled, _flags(conn, exist), strict=True) if has]
    triggers = _rows(conn, _Trigger, queries.TRUNCATE_TRIGGERS, schemas)
    _set_triggers(conn, triggers, enable=False)
    conn.execute(queries.TRUNCATE.format(tables=", ".join(t.sql for t in tables)).encode())
    _set_triggers(conn, triggers, enable=True)
    return held


def _set_triggers(
    conn: psycopg.Connection[Any], triggers: Iterable[_Trigger], *, enable: bool
) -> None:
    _execute(
        conn,
        [
            queries.SET_TRIGGER.format(
                table=quote_identifier(t.schema, t.table),
                how=_ENABLE[t.enabled] if enable else "DISABLE",
                trigger=quote_identifier(t.name),
            )
            for t in triggers
        ],
    )


def _restart_sequences(conn: psycopg.Connection[Any], schemas: Sequence[str]) -> None:
    sequences = _rows(conn, _Sequence, queries.SEQUENCES, schemas)
    names = [quote_identifier(s.schema, s.name) for s in sequences]
    used = _flags(
        conn,
        [
            queries.IS_USED.format(start=s.start, sequence=name)
            for s, name in zip(sequences, names, strict=True)
        ],
    )
    _execute(
        conn,
        [
            queries.RESTART.format(sequence=name)
            for name, is_used in zip(names, used, strict=True)
            if is_used
        ],
    )


def _execute(conn: psycopg.Connection[Any], statements: Sequence[str]) -> None:
    """Execute many statements in one message."""
    if statements:
        conn.execute(";\n".join(statements).encode())


def _flags(conn: psycopg.Connection[Any], conditions: Sequence[str]) -> list[bool]:
    """Return the values of many conditions, asked at once."""
    if not conditions:
        return []
    query = queries.LIST.format(items=", ".join(conditions))
    (row,) = fetch(conn, _Items, query)
    return row.items


def _rows(
    conn: psycopg.Connection[Any], row_type: Callable[..., _T], query: str, schemas: Sequence[str]
) -> list[_T]:
    array = json.dumps(list(schemas), ensure_ascii=False)
    filled = Quoting(conn, schemas[0]).fill(query, schemas=f"{{{array[1:-1]}}}")
    return fetch(conn, row_type, filled)
