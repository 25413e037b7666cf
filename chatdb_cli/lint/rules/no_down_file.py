"""A migration without a down file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.lint.model import SqlFile

RULE = Rule(
    id="no-down-file",
    severity="warning",
    title="A migration without a down file",
    why=(
        "It can't be rolled back: the night it has to be, nobody has written the file. If "
        "that is meant, say so in the head of the up file."
    ),
    bad="CREATE TABLE items (id bigint PRIMARY KEY);",
    safe="""\
-- chatdb: irreversible: the rows of the former table are gone
CREATE TABLE items (id bigint PRIMARY KEY);
""",
    scope="file",
)


def check(file: SqlFile, context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    missing = file.direction == "up" and file.version and context.pair.down is None
    if missing and file.directives.irreversible is None:
        yield Problem(
            "there is no down file: the migration can't be rolled back",
            Span(0, 0),
            "-- chatdb: irreversible: why",
        )
