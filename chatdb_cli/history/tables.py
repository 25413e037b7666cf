"""Create the tables of the history: yoyo's, by yoyo's own DDL, and `chatdb_migration`.

What does not belong here: what is written into them (`write.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chatdb_cli.postgres.quoting import Quoting


def yoyo_ddl(names: Quoting, missing: frozenset[str]) -> list[str]:
    """Return the statements with which yoyo makes its tables, qualified with the schema."""
    if not missing:
        return []
    from yoyo.internalmigrations import mark_schema_version, schema_versions, v2

    recorder = _Recorder(names)
    if "_yoyo_migration" in missing:
        v2.create_migration_table(recorder)
    if "_yoyo_log" in missing:
        v2.create_log_table(recorder)
    if "_yoyo_version" in missing:
        v2.create_version_table(recorder)
        mark_schema_version(recorder, max(schema_versions))
    return recorder.statements


class _Recorder:
    """What yoyo takes for its database: it keeps the statements in place of running them."""

    def __init__(self, names: Quoting) -> None:
        self._names = names
        self.statements: list[str] = []
        self.migration_table_quoted = f"{names.schema}._yoyo_migration"
        self.log_table_quoted = f"{names.schema}._yoyo_log"
        self.version_table_quoted = f"{names.schema}._yoyo_version"

    def quote_identifier(self, name: str) -> str:
        return self._names.identifier(name)

    def execute(self, sql: str, params: dict[str, object] | None = None) -> None:
        for name, value in (params or {}).items():
            sql = sql.replace(f":{name}", self._names.literal(str(value)))
        self.statements.append(sql.strip())
