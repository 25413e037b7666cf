"""What a database says to the linter: its version, its tables, what is pending.

What does not belong here: the rules (`lint/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.callbacks import ignore
from chatdb_cli.catalog.sizes import read_table_sizes
from chatdb_cli.lint.model import LiveDatabase
from chatdb_cli.migrate.migrator import Migrator

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatdb_cli.postgres.model import Target


def read_live_database(target: Target, report: Callable[[str], None] = ignore) -> LiveDatabase:
    """Read what the linter can use; writes nothing.

    Args:
        target: the database, and the schema with the history.
        report: called with a line before each retry to connect.

    Raises:
        ChatdbError: no connection, or no such schema.
    """
    version, rows = read_table_sizes(target, report)
    status = Migrator(target).status()
    return LiveDatabase(version, rows, frozenset(m.version for m in status.pending))
