"""A down file without a statement, for an up file with some."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.inverse import inverse
from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import Comment, Maintain, Query, Reindex, SetParameter, Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.lint.model import SqlFile
    from chatdb_cli.syntax.tree.model import Body

RULE = Rule(
    id="down-empty",
    severity="error",
    title="A down file without a statement, for an up file with some",
    why=(
        "Rolling back would do nothing and say that it is done: the next up then fails, or "
        "applies to what is still there. chatdb refuses it. Write the inverse; if nothing "
        "has to be undone, say so with the directive `nothing-to-undo: why`."
    ),
    bad="""\
CREATE TABLE items (id bigint PRIMARY KEY);
-- file: down/0002_example.sql
-- nothing yet
""",
    safe="""\
CREATE TABLE items (id bigint PRIMARY KEY);
-- file: down/0002_example.sql
DROP TABLE items;
""",
    scope="file",
    down=True,
)


def check(file: SqlFile, context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    up = context.pair.up
    empty = file.direction == "down" and file.unreadable is None and not file.statements
    if file.directives.nothing_to_undo:
        return
    if empty and any(_lasts(statement.body) for statement in up.statements):
        yield Problem(
            "rolling back would do nothing: the file has no statement, and the up file has "
            f"{len(up.statements)}",
            Span(0, 0),
            "\n".join(inverse(statement.body) for statement in reversed(up.statements)).strip(),
        )


def _lasts(body: Body) -> bool:
    """Return whether a statement leaves something that a down could remove."""
    return not isinstance(body, (Query, SetParameter, Maintain, Reindex, Comment))
