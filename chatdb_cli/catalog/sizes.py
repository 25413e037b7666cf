"""The tables of a database with about how many rows each has, from the statistics.

What does not belong here: exact counts (`counts/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.callbacks import ignore
from chatdb_cli.catalog import queries
from chatdb_cli.postgres.connect import blame_tunnel, connect
from chatdb_cli.postgres.diagnosis import explain_failures
from chatdb_cli.postgres.model import require_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatdb_cli.postgres.model import Target


class _Size(NamedTuple):
    """A row of `queries.TABLE_SIZES`."""

    schema: str
    name: str
    rows: int | None


def read_table_sizes(
    target: Target, report: Callable[[str], None] = ignore
) -> tuple[int, dict[tuple[str, str], int | None]]:
    """Read the major version of the server, and the estimated rows of each table; writes nothing.

    Args:
        target: any schema of the database.
        report: called with a line before each retry to connect.

    Returns:
        The version, and the number of rows by schema and name; None if nothing is known.

    Raises:
        ChatdbError: no connection.
    """
    from psycopg.rows import class_row

    require_target(target)
    with (
        blame_tunnel(target),
        explain_failures("the catalog can't be read"),
        connect(target, report) as conn,
    ):
        with conn.transaction():
            conn.execute(queries.SIZES_SETTINGS)
            rows = conn.cursor(row_factory=class_row(_Size)).execute(queries.TABLE_SIZES).fetchall()
        return conn.info.server_version // 10_000, {
            (row.schema, row.name): None if row.rows is None or row.rows < 0 else row.rows
            for row in rows
        }
