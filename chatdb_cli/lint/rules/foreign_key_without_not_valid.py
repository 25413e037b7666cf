"""A foreign key is added to a table that exists, and checks it at once."""

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
    id="foreign-key-without-not-valid",
    severity="error",
    title="A foreign key is added to a table that exists, and checks it at once",
    why=(
        "ADD FOREIGN KEY holds SHARE ROW EXCLUSIVE on both tables while it looks up every "
        "row: writes to both wait. NOT VALID checks new rows only and takes milliseconds; "
        "VALIDATE in a later migration reads the table while writes continue."
    ),
    before="""\
CREATE TABLE users (id bigint PRIMARY KEY, email text, name text);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint, total numeric);
CREATE INDEX orders_user_id_idx ON orders (user_id);
""",
    bad="ALTER TABLE orders ADD CONSTRAINT orders_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id);",
    safe="""\
ALTER TABLE orders ADD CONSTRAINT orders_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) NOT VALID;
-- file: up/0003_validate.sql
ALTER TABLE orders VALIDATE CONSTRAINT orders_user_id_fkey;
""",
    reads=(AlterTable,),
    small_is_harmless=True,
)


def check(statement: Statement[AlterTable], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    alter = statement.body
    for action in alter.actions:
        constraint = action.constraint
        if constraint is None or constraint.kind != "foreign key" or not constraint.validated:
            continue
        if action.kind == "AddConstraint" and context.exists(alter.table):
            span = part(statement, constraint)
            name = constraint.name or "_".join((alter.table.name, *constraint.columns, "fkey"))
            yield Problem(
                f"every row of {alter.table} is checked while writes to it and to "
                f"{constraint.references} wait",
                span,
                not_valid(alter.table, context.file.text[span.start : span.end], name),
                alter.table,
                not_valid_edit(alter.table, span, name, constraint, context.file.text),
            )
