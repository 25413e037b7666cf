"""SET NOT NULL without a validated check."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.places import word
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import Action, AlterTable, sql_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.lint.schema import Table
    from chatdb_cli.syntax.tree.model import Statement

RULE = Rule(
    id="not-null-without-check",
    severity="error",
    title="SET NOT NULL without a validated check",
    why=(
        "SET NOT NULL reads the whole table under ACCESS EXCLUSIVE. It is skipped if a "
        "validated check proves that no value is null: add CHECK (column IS NOT NULL) NOT "
        "VALID, validate it in a later migration, then set NOT NULL and drop the check. Since "
        "PostgreSQL 18 a NOT NULL constraint itself can be NOT VALID."
    ),
    before="CREATE TABLE users (id bigint PRIMARY KEY, email text, name text);",
    bad="ALTER TABLE users ALTER COLUMN email SET NOT NULL;",
    safe="""\
ALTER TABLE users ADD CONSTRAINT users_email_not_null CHECK (email IS NOT NULL) NOT VALID;
-- file: up/0003_validate.sql
ALTER TABLE users VALIDATE CONSTRAINT users_email_not_null;
-- file: up/0004_not_null.sql
ALTER TABLE users ALTER COLUMN email SET NOT NULL, DROP CONSTRAINT users_email_not_null;
""",
    reads=(AlterTable,),
    since=12,
    small_is_harmless=True,
)


def check(statement: Statement[AlterTable], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    alter = statement.body
    table = context.table(alter.table)
    for action in alter.actions if context.exists(alter.table) else ():
        for named in _made_not_null(action, table):
            if table is not None and _is_proved(named, table):
                continue
            name = sql_name(f"{alter.table.name}_{named}_not_null")
            column = sql_name(named)
            yield Problem(
                f"all of {alter.table} is read for nulls in {column} while reads and writes of it wait",
                word(statement, action.name or "primary"),
                f"ALTER TABLE {alter.table} ADD CONSTRAINT {name} CHECK ({column} IS NOT NULL) NOT VALID;\n"
                f"-- in the next migration:\n"
                f"ALTER TABLE {alter.table} VALIDATE CONSTRAINT {name};\n"
                f"-- and in the one after it:\n"
                f"ALTER TABLE {alter.table} ALTER COLUMN {column} SET NOT NULL, DROP CONSTRAINT {name};",
                alter.table,
            )


def _made_not_null(action: Action, table: Table | None) -> tuple[str, ...]:
    """Return the columns that an action makes NOT NULL: a primary key of an index does so, too."""
    if action.kind == "SetNotNull":
        return (action.name,)
    key = action.constraint
    if key is None or key.kind != "primary key" or not key.using_index or table is None:
        return ()
    index = table.indexes.get(key.using_index)
    return tuple(c for c in index.keys if c not in table.not_null) if index else ()


def _is_proved(column: str, table: Table) -> bool:
    """Return whether a validated constraint proves that no value of a column is null."""
    return any(
        constraint.validated
        and (
            (constraint.expression is not None and constraint.expression.not_null == column)
            or (constraint.kind == "not null" and column in constraint.columns)
        )
        for constraint, _ in table.constraints
    )
