"""A stored generated column is added to a table that exists."""

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
    id="generated-column",
    severity="error",
    title="A stored generated column is added to a table that exists",
    why=(
        "The value of a stored generated column is computed for every row: the table is "
        "rewritten under ACCESS EXCLUSIVE. Since PostgreSQL 18 a VIRTUAL one is computed when "
        "it is read; before, add a plain column, fill it by a trigger and in batches."
    ),
    before="CREATE TABLE users (id bigint PRIMARY KEY, email text, name text);",
    bad="ALTER TABLE users ADD COLUMN domain text GENERATED ALWAYS AS (split_part(email, '@', 2)) STORED;",
    safe="ALTER TABLE users ADD COLUMN domain text;",
    reads=(AlterTable,),
    small_is_harmless=True,
)


def check(statement: Statement[AlterTable], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    for at in new_columns(statement):
        generated = at.column.has("generated")
        if at.added and generated is not None and generated.stored and context.exists(at.table):
            yield Problem(
                f"{at.table} is rewritten while reads and writes of it wait",
                part(statement, at.column),
                f"ALTER TABLE {at.table} ADD COLUMN {sql_name(at.column.name)}"
                f" {type_text(at.column.type)};\n-- fill it by a trigger, and old rows in batches",
                at.table,
            )
