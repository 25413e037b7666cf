"""How many migrations are applied, pending and unfinished.

What does not belong here: asking the server (`collect.py`), comparing (`migrate/compare.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.history.model import number_of
from chatdb_cli.history.read import HistoryRow, applied_migrations, history_statement
from chatdb_cli.migrate import compare

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatdb_cli.health.definition import Project, Server

_TABLES = {"_yoyo_migration", "chatdb_migration"}


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


def history_question(server: Server) -> tuple[str, type[HistoryRow]] | None:
    """Return the statement that reads the history and the type of its rows; None if there is no history.

    Args:
        server: says which tables there are.
    """
    if "_yoyo_migration" not in server.relations:
        return None
    return history_statement(server.relations), HistoryRow


def hidden(server: Server) -> str:
    """Return why this role can't read the history; empty if it can, or if there is none."""
    tables = _TABLES & set(server.relations)
    if "_yoyo_migration" not in tables or tables <= set(server.readable):
        return ""
    return f"role {server.user!r} may not read the history"


def count_migrations(rows: Sequence[HistoryRow], project: Project) -> Migrations:
    """Count the migrations.

    Args:
        rows: the history; empty without one.
        project: the files.
    """
    applied = applied_migrations(rows)
    unfinished = sum(migration.unfinished is not None for migration in applied)
    counts = Migrations(len(applied) - unfinished, unfinished, None)
    if project.files is None:
        return counts._replace(
            reason=f"the files of the migrations can't be read: {project.problem}"
        )
    ours = {migration.number for migration in project.files.migrations}
    if project.assumed and not ours & {number_of(a.version) for a in applied}:
        return counts._replace(reason="there are no files of migrations here")
    return counts._replace(pending=len(compare.pending(project.files, applied)))
