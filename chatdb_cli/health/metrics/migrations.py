"""How many migrations are applied, pending and unfinished.

What does not belong here: asking the server (`collect.py`), comparing (`migrate/compare.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.health.definition import Reading
from chatdb_cli.health.history import comparable_files, hidden_tables, replaced_tables
from chatdb_cli.history.read import applied_migrations
from chatdb_cli.migrate import compare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatdb_cli.health.definition import Project, Server
    from chatdb_cli.history.read import HistoryRow


class Migrations(NamedTuple):
    """The migrations of a target.

    Attributes:
        applied: how many are applied.
        unfinished: how many files outside a transaction stopped part-way.
        pending: how many are pending; None if the files can't be read.
        reason: why that is unknown; empty if it is known.
    """

    applied: int
    unfinished: int
    pending: int | None
    reason: str = ""


def hidden(server: Server) -> str:
    """Return why this role can't read the history; empty if it can, or if there is none."""
    if hidden_tables(server):
        return f"role {server.user!r} may not read the history"
    return replaced_tables(server)


def count_migrations(rows: Sequence[HistoryRow], project: Project) -> Migrations:
    """Count the migrations.

    Args:
        rows: the history; empty without one.
        project: the files.
    """
    applied = applied_migrations(rows)
    unfinished = sum(migration.unfinished is not None for migration in applied)
    counts = Migrations(len(applied) - unfinished, unfinished, None)
    files = comparable_files(project, applied)
    if isinstance(files, Reading):
        return counts._replace(reason=files.message)
    return counts._replace(pending=len(compare.pending(files, applied)))
