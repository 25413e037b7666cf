"""A table without a comment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.places import word
from chatdb_cli.lint.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.lint.schema import Schema

RULE = Rule(
    id="missing-comment",
    severity="note",
    title="A table without a comment",
    why=(
        "COMMENT ON TABLE says what the table is for, where everyone looks: in psql, in a "
        "diagram, in the documentation that chatdb writes. Off by default; turn it on in "
        'chatdb.toml with [lint] on = ["missing-comment"].'
    ),
    bad="CREATE TABLE items (id bigint PRIMARY KEY);",
    safe="""\
CREATE TABLE items (id bigint PRIMARY KEY);
COMMENT ON TABLE items IS 'What can be sold.';
""",
    scope="project",
    default=False,
)


def check(schema: Schema, context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    del context
    for table in schema.tables.values():
        made = table.made
        if made is not None and not table.commented and not table.temporary and not table.partition:
            yield Problem(
                f"{table.name} has no comment",
                word(made.statement, table.name),
                f"COMMENT ON TABLE {table.name} IS '...';",
                file=made.file,
            )
