"""A policy on a table whose row-level security is not enabled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.lint.schema import Schema

RULE = Rule(
    id="policy-without-row-security",
    severity="error",
    title="A policy on a table whose row-level security is not enabled",
    why=(
        "CREATE POLICY alone does nothing: until row-level security is enabled, everyone who "
        "is granted the table sees every row."
    ),
    before="CREATE TABLE notes (id bigint PRIMARY KEY, author text);",
    bad="CREATE POLICY notes_own ON notes USING (author = current_user);",
    safe="""\
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY notes_own ON notes USING (author = current_user);
""",
    scope="project",
)


def check(schema: Schema, context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    del context
    for table in schema.tables.values():
        if table.policies and not table.row_security and table.made is not None:
            made = table.policies[-1]
            yield Problem(
                f"row-level security of {table.name} is not enabled, so that the policy does nothing",
                made.statement.span,
                f"ALTER TABLE {table.name} ENABLE ROW LEVEL SECURITY;",
                file=made.file,
            )
