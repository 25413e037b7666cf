"""A constraint is validated in the transaction that adds it."""

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
    id="validate-in-same-file",
    severity="warning",
    title="A constraint is validated in the transaction that adds it",
    why=(
        "The lock of ADD CONSTRAINT ... NOT VALID is held until the transaction ends, so "
        "VALIDATE in the same file reads the whole table under it: the same as without NOT "
        "VALID. Validate in a later migration."
    ),
    before="""\
CREATE TABLE users (id bigint PRIMARY KEY, email text, name text);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint, total numeric);
""",
    bad="""\
ALTER TABLE orders ADD CONSTRAINT orders_total_check CHECK (total >= 0) NOT VALID;
ALTER TABLE orders VALIDATE CONSTRAINT orders_total_check;
""",
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
    table = context.table(alter.table)
    if table is None or not context.transactional or not context.exists(alter.table):
        return
    for action in alter.actions:
        if action.kind != "ValidateConstraint":
            continue
        if any(c.name == action.name and m.file is context.file for c, m in table.constraints):
            yield Problem(
                f"{alter.table} is read under the lock of the statement that added {action.name}",
                word(statement, action.name),
                f"-- in the next migration:\n"
                f"ALTER TABLE {alter.table} VALIDATE CONSTRAINT {sql_name(action.name)};",
                alter.table,
            )
