"""The history of migrations, for checks and metrics: its statement, who may read it, its files.

    history_question   the statement that reads it
    hidden_tables      what of it the role may not read
    replaced_tables    why it can't be read where something else has its name
    comparable_files   the files to compare it with

What does not belong here: comparing (`migrate/compare.py`), judging (`checks/migrations.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.health.definition import Reading, unknown
from chatdb_cli.history.model import number_of
from chatdb_cli.history.read import HistoryRow, history_statement
from chatdb_cli.remedy import Advice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatdb_cli.files.model import Files
    from chatdb_cli.health.definition import Project, Server
    from chatdb_cli.history.model import AppliedMigration

_TABLES = ("_yoyo_migration", "chatdb_migration")


def history_question(server: Server) -> tuple[str, type[HistoryRow]] | None:
    """Return the statement that reads the history and the type of its rows; None if there is no history.

    Args:
        server: says which tables there are.
    """
    if "_yoyo_migration" not in server.relations:
        return None
    return history_statement(server.relations), HistoryRow


def hidden_tables(server: Server) -> Sequence[str]:
    """Return the tables of the history if the role may not read all of them; else none.

    Args:
        server: says which tables there are, and which of them the role may read.
    """
    tables = [table for table in _TABLES if table in server.relations]
    readable = "_yoyo_migration" not in tables or set(tables) <= set(server.readable)
    return () if readable else tables


def replaced_tables(server: Server) -> str:
    """Return why there is no history to read where a view, for example, has its name; else nothing.

    Args:
        server: says what has the names of the tables.
    """
    names = [f'"{table}"' for table in _TABLES if table in server.not_tables]
    return f"the history can't be used: {', '.join(names)} is not a table" if names else ""


def comparable_files(project: Project, applied: Sequence[AppliedMigration]) -> Files | Reading:
    """Return the files of the migrations, or why they can't be compared with the history.

    Args:
        project: the files.
        applied: the migrations of the history.
    """
    if project.files is None:
        return unknown(f"the files of the migrations can't be read: {project.problem}")
    ours = {migration.number for migration in project.files.migrations}
    if project.assumed and not ours & {number_of(a.version) for a in applied}:
        message = "there are no files of migrations here to compare with the database"
        return unknown(message, Advice("name their folder with {directory}"))
    return project.files
