"""A down file that does not name what the up file made."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chatdb_cli.lint.inverse import inverse
from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.names import made_names
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import Create, CreateFunction, Drop, Rename, Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.lint.model import SqlFile
    from chatdb_cli.syntax.tree.model import Body, Statement

_WORD = re.compile(r"[\w$]+")
# Objects that go with another one, or that have no inverse.
_UNNAMED = ("constraint", "enum value", "extension")

RULE = Rule(
    id="down-incomplete",
    severity="warning",
    title="A down file that does not name what the up file made",
    why=(
        "What it leaves behind makes the next up fail (already exists), and nobody notices "
        "before that night. The message names each object that is missing."
    ),
    bad="""\
CREATE TABLE items (id bigint PRIMARY KEY);
CREATE TABLE tags (id bigint PRIMARY KEY);
-- file: down/0002_example.sql
DROP TABLE tags;
""",
    safe="""\
CREATE TABLE items (id bigint PRIMARY KEY);
CREATE TABLE tags (id bigint PRIMARY KEY);
-- file: down/0002_example.sql
DROP TABLE tags;
DROP TABLE items;
""",
    scope="file",
    down=True,
)


def check(file: SqlFile, context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    if file.direction != "down" or not file.statements:
        return
    up = context.pair.up
    words = {token.lower() for token in _WORD.findall(file.text)}
    tables = {
        made.name.name
        for statement in up.statements
        for made in made_names(statement.body)
        if made.kind == "table"
    } | _dropped(file)
    whole = any(isinstance(s.body, Drop) and s.body.kind == "schema" for s in file.statements)
    for statement in up.statements if not whole else ():
        for made in made_names(statement.body):
            gone_with_table = made.table is not None and made.table.name in tables
            if made.kind in _UNNAMED or made.name.name.lower() in words or gone_with_table:
                continue
            if isinstance(statement.body, (CreateFunction, Create)) and statement.body.or_replace:
                continue
            if getattr(statement.body, "if_not_exists", False):
                continue  # it may have been there before
            if _removed_again(up, made.name.name, statement):
                continue
            yield Problem(
                f"the up file makes the {made.kind} {made.name}, which this file does not name",
                Span(0, 0),
                inverse(statement.body),
            )


def _dropped(file: SqlFile) -> set[str]:
    """Return the tables and columns that a down file drops, with all that belongs to them."""
    names: set[str] = set()
    for statement in file.statements:
        if isinstance(statement.body, Drop) and statement.body.kind in ("table", "view", "matview"):
            names.update(name.name for name in statement.body.names)
    return names


def _removed_again(up: SqlFile, name: str, statement: Statement[Body]) -> bool:
    """Return whether the up file drops or renames what it has made."""
    for other in up.statements:
        if other.span.start <= statement.span.start:
            continue
        body = other.body
        if isinstance(body, Drop) and name in [dropped.name for dropped in body.names]:
            return True
        if isinstance(body, Rename) and name in (body.old, body.relation.name):
            return True
    return False
