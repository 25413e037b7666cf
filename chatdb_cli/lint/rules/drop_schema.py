"""A schema is dropped."""

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
    id="drop-schema",
    severity="error",
    title="A schema is dropped",
    why=(
        "Everything in it goes with it. A migration is about one schema: to remove another "
        "one is a decision for a person, not for a file that runs in every environment."
    ),
    bad="DROP SCHEMA archive;",
    safe="""\
-- chatdb: allow: drop-schema, archive is empty since March
DROP SCHEMA archive;
""",
    reads=(Drop,),
)


def check(statement: Statement[Drop], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    drop = statement.body
    for name in drop.names if drop.kind in ("schema", "database") else ():
        made = name.name in context.schema.schemas
        yield Problem(
            f"the {drop.kind} {name} and all that is in it are gone once this is applied",
            word(statement, name),
            f"-- chatdb: allow: drop-schema, nothing uses {name} any more",
            severity="warning" if made else None,
        )
