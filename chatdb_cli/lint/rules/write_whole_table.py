"""UPDATE or DELETE of a whole table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.places import word
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import Write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.syntax.tree.model import Statement

RULE = Rule(
    id="write-whole-table",
    severity="warning",
    title="UPDATE or DELETE of a whole table",
    why=(
        "Every row is written in one transaction: the rows stay locked, the table grows to "
        "twice its size, replicas fall behind, and a failure at the end throws all of it "
        "away. Write in batches, in a file without a transaction or in a job."
    ),
    before="""\
CREATE TABLE users (id bigint PRIMARY KEY, email text, name text);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint, total numeric);
""",
    bad="UPDATE users SET name = lower(name);",
    safe="UPDATE users SET name = lower(name) WHERE id BETWEEN 1 AND 10000;",
    reads=(Write,),
    small_is_harmless=True,
)


def check(statement: Statement[Write], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    write = statement.body
    if write.verb in ("update", "delete") and not write.limited and context.exists(write.table):
        yield Problem(
            f"{write.verb.upper()} without WHERE writes every row of {write.table} in one transaction",
            word(statement, write.table),
            f"{statement.text}\n WHERE id BETWEEN 1 AND 10000;  -- and so on, in batches",
            write.table,
        )
