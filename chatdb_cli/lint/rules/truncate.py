"""TRUNCATE of a table that exists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.places import word
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import Truncate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.syntax.tree.model import Statement

RULE = Rule(
    id="truncate",
    severity="error",
    title="TRUNCATE of a table that exists",
    why=(
        "All rows are gone at once, under ACCESS EXCLUSIVE, without triggers for each row, "
        "and a rollback to an earlier version does not bring them back. Delete in batches, or "
        "say why it is meant."
    ),
    before="""\
CREATE TABLE users (id bigint PRIMARY KEY, email text, name text);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint, total numeric);
""",
    bad="TRUNCATE orders;",
    safe="""\
-- chatdb: allow: truncate, orders holds only imported rows, which the next job imports again
TRUNCATE orders;
""",
    reads=(Truncate,),
)


def check(statement: Statement[Truncate], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    for name in statement.body.tables:
        if context.exists(name):
            yield Problem(
                f"all rows of {name} are gone once this is applied",
                word(statement, name),
                f"-- chatdb: allow: truncate, the rows of {name} are not needed",
                name,
            )
