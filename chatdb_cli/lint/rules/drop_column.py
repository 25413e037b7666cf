"""A column is dropped."""

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
    id="drop-column",
    severity="warning",
    title="A column is dropped",
    why=(
        "Its values are gone, and the down file can't bring them back. Code that still names "
        "it fails, and so do prepared statements. Drop it in a release after the one that "
        "stopped using it."
    ),
    before="""\
CREATE TABLE users (id bigint PRIMARY KEY, email text, name text);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint, total numeric);
""",
    bad="ALTER TABLE users DROP COLUMN name;",
    safe="""\
-- chatdb: allow: drop-column, the code stopped using users.name in version 12
ALTER TABLE users DROP COLUMN name;
""",
    reads=(AlterTable,),
)


def check(statement: Statement[AlterTable], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    alter = statement.body
    for action in alter.actions if alter.kind == "table" else ():
        if action.kind == "DropColumn" and context.exists(alter.table):
            yield Problem(
                f"the values of {alter.table}.{sql_name(action.name)} are gone once this is applied",
                word(statement, action.name),
                "-- chatdb: allow: drop-column, nothing uses "
                f"{alter.table}.{sql_name(action.name)} any more",
                alter.table,
            )
