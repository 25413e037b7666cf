"""Create the tables of the history: yoyo's, by yoyo's own DDL, and `chatdb_migration`.

What does not belong here: what is written into them (`write.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.history import queries
from chatdb_cli.history.model import YOYO_TABLES

if TYPE_CHECKING:
    from chatdb_cli.history.model import History
    from chatdb_cli.postgres.quoting import Quoting


def create_tables(quoting: Quoting, history: History) -> list[str]:
    """Return the statements that create the missing tables, and adopt what yoyo has applied.

    Args:
        quoting: quotes names for the connection that sends them.
        history: the history that was read, which tells the tables that exist.
    """
    statements = _yoyo_ddl(quoting, YOYO_TABLES - history.tables)
    if "chatdb_migration" not in history.tables:
        statements.append(quoting.fill(queries.CREATE_TABLE))
        statements += map(quoting.fill, queries.COMMENTS)
    return [*statements, quoting.fill(queries.ADOPT)]


def _yoyo_ddl(quoting: Quoting, missing: frozenset[str]) -> list[str]:
    """Return the statements by which yoyo creates its tables, qualified with the schema."""
    if not missing:
        return []
    from yoyo.internalmigrations import mark_schema_version, schema_versions, v2

    recorder = _Recorder(quoting)
    if "_yoyo_migration" in missing:
        v2.create_migration_table(recorder)
    if "_yoyo_log" in missing:
        v2.create_log_table(recorder)
    if "_yoyo_version" in missing:
        v2.create_version_table(recorder)
        mark_schema_version(recorder, max(schema_versions))
    return recorder.statements


class _Recorder:
    """A database backend for yoyo that records statements and executes none."""

    def __init__(self, quoting: Quoting) -> None:
        self._quoting = quoting
        self.statements: list[str] = []
        self.migration_table_quoted = f"{quoting.schema}._yoyo_migration"
        self.log_table_quoted = f"{quoting.schema}._yoyo_log"
        self.version_table_quoted = f"{quoting.schema}._yoyo_version"

    def quote_identifier(self, name: str) -> str:
        return self._quoting.identifier(name)

    def execute(self, sql: str, params: dict[str, object] | None = None) -> None:
        for name, value in (params or {}).items():
            sql = sql.replace(f":{name}", self._quoting.literal(str(value)))
        self.statements.append(sql.strip())
