"""A new column is NOT NULL and has no default."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.columns import new_columns, type_text
from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.places import part
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import AlterTable, sql_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.syntax.tree.model import Statement

RULE = Rule(
    id="new-column-not-null",
    severity="error",
    title="A new column is NOT NULL and has no default",
    why=(
        "PostgreSQL refuses the column if the table has a single row. On an empty database, "
        "as in CI, it passes. Give it a default, or add it as nullable, fill it, and set NOT "
        "NULL later."
    ),
    before="CREATE TABLE users (id bigint PRIMARY KEY, email text, name text);",
    bad="ALTER TABLE users ADD COLUMN locale text NOT NULL;",
    safe="ALTER TABLE users ADD COLUMN locale text NOT NULL DEFAULT 'en';",
    reads=(AlterTable,),
)


def check(statement: Statement[AlterTable], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    for at in new_columns(statement):
        column = at.column
        required = column.has("not null") or column.has("primary key")
        if not at.added or not required or not context.exists(at.table):
            continue
        filled = any(column.has(kind) for kind in ("default", "generated", "identity"))
        if filled or "serial" in column.type.name:
            continue
        yield Problem(
            f"this fails if {at.table} has a row: {sql_name(column.name)} has no value for it",
            part(statement, column),
            f"ALTER TABLE {at.table} ADD COLUMN {sql_name(column.name)} {type_text(column.type)};\n"
            f"-- fill it in batches, then in later migrations:\n"
            f"ALTER TABLE {at.table} ADD CHECK ({sql_name(column.name)} IS NOT NULL) NOT VALID;",
            at.table,
        )
