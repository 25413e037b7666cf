"""A column becomes shorter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.columns import narrows, type_text
from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.places import word
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import AlterTable, sql_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.syntax.tree.model import Statement

RULE = Rule(
    id="varchar-narrowed",
    severity="error",
    title="A column becomes shorter",
    why=(
        "Every value has to be checked, under ACCESS EXCLUSIVE, and one that is too long "
        "makes the migration fail; on the data of a test it passes. Add a check NOT VALID "
        "instead, and validate it in a later migration."
    ),
    before="CREATE TABLE users (id bigint PRIMARY KEY, email varchar(255), name text);",
    bad="ALTER TABLE users ALTER COLUMN email TYPE varchar(100);",
    safe="ALTER TABLE users ADD CONSTRAINT users_email_length CHECK (length(email) <= 100) NOT VALID;",
    reads=(AlterTable,),
)


def check(statement: Statement[AlterTable], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    alter = statement.body
    table = context.table(alter.table)
    for action in alter.actions:
        if action.kind != "AlterColumnType" or action.column is None or table is None:
            continue
        old = table.columns.get(action.name)
        new = action.column.type
        if old is None or not narrows(old, new) or not context.exists(alter.table):
            continue
        column = sql_name(action.name)
        name = sql_name(f"{alter.table.name}_{action.name}_length")
        yield Problem(
            f"{column} becomes {type_text(new)}: a longer value of {type_text(old)} makes it fail",
            word(statement, action.name),
            f"ALTER TABLE {alter.table} ADD CONSTRAINT {name}"
            f" CHECK (length({column}) <= {(new.arguments or (0,))[0]}) NOT VALID;",
            alter.table,
        )
