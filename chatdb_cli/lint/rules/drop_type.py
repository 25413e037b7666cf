"""A type, domain or function is dropped."""

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
    id="drop-type",
    severity="warning",
    title="A type, domain or function is dropped",
    why=(
        "Code that still uses it fails: casts, prepared statements, calls. Drop it in a "
        "release after the one that stopped using it."
    ),
    before="CREATE TYPE order_state AS ENUM ('new', 'paid');",
    bad="DROP TYPE order_state;",
    safe="""\
-- chatdb: allow: drop-type, the last column of this type went in version 9
DROP TYPE order_state;
""",
    reads=(Drop,),
)


def check(statement: Statement[Drop], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    drop = statement.body
    for name in drop.names if drop.kind in ("type", "domain") else ():
        made = context.schema.enums.get(context.schema.key(name))
        if made is None or made.file.batch != context.file.batch:
            yield Problem(
                f"code that still uses the {drop.kind} {name} fails once this is applied",
                word(statement, name),
                f"-- chatdb: allow: drop-type, nothing uses {name} any more",
            )
