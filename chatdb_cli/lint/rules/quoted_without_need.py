"""A name in double quotes that needs none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.names import made_names
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.keywords import is_reserved, keyword
from chatdb_cli.syntax.tree.model import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.lint.model import SqlFile

_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")

RULE = Rule(
    id="quoted-without-need",
    severity="note",
    title="A name in double quotes that needs none",
    why=("The quotes hide that the name is a plain one, and invite the next one to have capitals."),
    bad='CREATE TABLE "items" (id bigint PRIMARY KEY);',
    safe="CREATE TABLE items (id bigint PRIMARY KEY);",
    scope="file",
)


def check(file: SqlFile, context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    del context
    if '"' not in file.text:
        return
    seen: set[str] = set()
    for statement in file.statements:
        names = {made.name.name for made in made_names(statement.body)} - seen
        for name in sorted(names):
            if not _PLAIN.fullmatch(name) or is_reserved(name) or keyword(name):
                continue
            at = statement.text.find(f'"{name}"')
            if at >= 0:
                seen.add(name)
                start = statement.span.start + at
                yield Problem(f"{name} needs no quotes", Span(start, start + len(name) + 2), name)
