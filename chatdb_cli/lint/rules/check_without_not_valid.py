"""A check is added to a table that exists, and reads all of it at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.not_valid import not_valid, not_valid_edit
from chatdb_cli.lint.places import part
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import AlterTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.syntax.tree.model import Statement

RULE = Rule(
    id="check-without-not-valid",
    severity="error",
    title="A check is added to a table that exists, and reads all of it at once",
    why=(
        "ADD CONSTRAINT ... CHECK holds ACCESS EXCLUSIVE while it reads the whole table: "
        "reads and writes wait. NOT VALID takes milliseconds; VALIDATE in a later migration "
        "reads the table while both continue."
    ),
    before="""\
CREATE TABLE users (id bigint PRIMARY KEY, email text, name text);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint, total numeric);
""",
    bad="ALTER TABLE orders ADD CONSTRAINT orders_total_check CHECK (total >= 0);",
    safe="""\
ALTER TABLE orders ADD CONSTRAINT orders_total_check CHECK (total >= 0) NOT VALID;
-- file: up/0003_validate.sql
ALTER TABLE orders VALIDATE CONSTRAINT orders_total_check;
""",
    reads=(AlterTable,),
    small_is_harmless=True,
)


def check(statement: Statement[AlterTable], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    alter = statement.body
    for action in alter.actions:
        constraint = action.constraint
        if constraint is None or constraint.kind != "check" or not constraint.validated:
            continue
        if action.kind == "AddConstraint" and context.exists(alter.table):
            span = part(statement, constraint)
            name = constraint.name or f"{alter.table.name}_check"
            yield Problem(
                f"all of {alter.table} is read while reads and writes of it wait",
                span,
                not_valid(alter.table, context.file.text[span.start : span.end], name),
                alter.table,
                not_valid_edit(alter.table, span, name, constraint, context.file.text),
            )
