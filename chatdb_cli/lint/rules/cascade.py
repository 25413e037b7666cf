"""CASCADE drops what the file does not name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.places import word
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import AlterTable, Drop, Truncate, sql_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.syntax.tree.model import Statement

_CASCADE = re.compile(r"\s+CASCADE\b", re.IGNORECASE)

RULE = Rule(
    id="cascade",
    severity="error",
    title="CASCADE drops what the file does not name",
    why=(
        "CASCADE drops every object that depends on this one: views, foreign keys, functions, "
        "whole tables of a schema. What that is differs between databases, and nobody sees it "
        "in a review. Name each object."
    ),
    before="""\
CREATE TABLE users (id bigint PRIMARY KEY, email text, name text);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint, total numeric);
CREATE VIEW order_totals AS SELECT total FROM orders;
""",
    bad="DROP TABLE orders CASCADE;",
    safe="""\
-- chatdb: allow: drop-table, nothing has used orders since the release of May
DROP VIEW order_totals;
DROP TABLE orders;
""",
    reads=(
        Drop,
        AlterTable,
        Truncate,
    ),
)


def check(
    statement: Statement[Drop | AlterTable | Truncate], context: Context
) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    del context
    body = statement.body
    if isinstance(body, AlterTable):
        for action in body.actions:
            if action.cascade:
                yield Problem(
                    f"CASCADE drops all that depends on {sql_name(action.name)}, unnamed",
                    word(statement, "cascade"),
                    f"{_CASCADE.sub('', statement.text)};",
                )
    elif isinstance(body, (Drop, Truncate)) and body.cascade:
        what = ", ".join(map(str, body.names if isinstance(body, Drop) else body.tables))
        does = "drops" if isinstance(body, Drop) else "empties"
        yield Problem(
            f"CASCADE {does} all that depends on {what}, unnamed",
            word(statement, "cascade"),
            f"{_CASCADE.sub('', statement.text)};",
        )
