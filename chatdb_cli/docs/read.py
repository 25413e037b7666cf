"""Read a schema from a database, for its documentation.

What does not belong here: reading the catalog (`catalog/`), what the documentation shows of it
(`describe.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.callbacks import ignore
from chatdb_cli.catalog.snapshot import read_snapshot
from chatdb_cli.docs.describe import describe_schema
from chatdb_cli.postgres.connect import blame_tunnel, connect
from chatdb_cli.postgres.model import require_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatdb_cli.docs.model import SchemaDocs
    from chatdb_cli.postgres.model import Target


def read_schema(target: Target, report: Callable[[str], None] = ignore) -> SchemaDocs:
    """Read a snapshot of a schema, and return it as `describe_schema` does; needs no privilege.

    Args:
        target: the schema.
        report: called with a line before each retry to connect.

    Raises:
        ChatdbError: no connection, `MISSING_SCHEMA`, or the role may not read the catalog.
    """
    require_target(target)
    with blame_tunnel(target), connect(target, report) as connection:
        snapshot = read_snapshot(connection, [target.schema])
    return describe_schema(snapshot, target.schema)
