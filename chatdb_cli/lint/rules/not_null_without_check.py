"""SET NOT NULL without a validated check."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.places import word
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import AlterTable, sql_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
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
    for action in alter.actions:
        if action.kind != "SetNotNull" or not context.exists(alter.table):
            continue
        table = context.table(alter.table)
        proofs = [
            constraint
            for constraint, _ in (table.constraints if table else ())
            if constraint.validated
            and (
                (
                    constraint.expression is not None
                    and constraint.expression.not_null == action.name
                )
                or (constraint.kind == "not null" and action.name in constraint.columns)
            )
        ]
        if proofs:
            continue
        name = sql_name(f"{alter.table.name}_{action.name}_not_null")
        column = sql_name(action.name)
        yield Problem(
            f"all of {alter.table} is read for nulls while reads and writes of it wait",
            word(statement, action.name),
            f"ALTER TABLE {alter.table} ADD CONSTRAINT {name} CHECK ({column} IS NOT NULL) NOT VALID;\n"
            f"-- in the next migration:\n"
            f"ALTER TABLE {alter.table} VALIDATE CONSTRAINT {name};\n"
            f"-- and in the one after it:\n"
            f"ALTER TABLE {alter.table} ALTER COLUMN {column} SET NOT NULL, DROP CONSTRAINT {name};",
            alter.table,
        )
