"""A table is dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.places import word
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import Drop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.syntax.tree.model import Statement

RULE = Rule(
    id="drop-table",
    severity="warning",
    title="A table is dropped",
    why=(
        "Its rows are gone, and the down file can't bring them back. Code that still reads it "
        "fails. Make sure that nothing uses it any more; renaming it first shows that, and is "
        "undone in milliseconds."
    ),
    before="""\
CREATE TABLE users (id bigint PRIMARY KEY, email text, name text);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint, total numeric);
""",
    bad="DROP TABLE orders;",
    safe="""\
-- chatdb: allow: drop-table, nothing has used orders since the release of May
DROP TABLE orders;
""",
    reads=(Drop,),
)


def check(statement: Statement[Drop], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    drop = statement.body
    for name in drop.names if drop.kind in ("table", "foreign_table", "matview") else ():
        if context.exists(name):
            yield Problem(
                f"the rows of {name} are gone once this is applied",
                word(statement, name),
                f"-- chatdb: allow: drop-table, nothing uses {name} any more",
                name,
            )
