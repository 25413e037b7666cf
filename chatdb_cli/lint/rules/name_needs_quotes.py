"""A name that has to be quoted everywhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.names import made_names
from chatdb_cli.lint.places import word
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.keywords import is_reserved
from chatdb_cli.syntax.tree.model import (
    AlterTable,
    Create,
    CreateFunction,
    CreateIndex,
    CreateTable,
    CreateTrigger,
    Rename,
    sql_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.syntax.tree.model import Statement

# Texts and symbols, which nobody writes as a name.
_NOT_NAMES = ("policy", "enum value", "operator")
_PLAIN = re.compile(r"[^\W\dA-Z][\w$]*")

RULE = Rule(
    id="name-needs-quotes",
    severity="warning",
    title="A name that has to be quoted everywhere",
    why=(
        "A name with capitals, blanks or another character, or one that is a reserved word, "
        "must be written in double quotes in every query, by everyone, for ever; without them "
        "another name is meant, or the query is a syntax error."
    ),
    bad='CREATE TABLE "Order" (id bigint PRIMARY KEY);',
    safe="CREATE TABLE orders (id bigint PRIMARY KEY);",
    reads=(
        CreateTable,
        AlterTable,
        CreateIndex,
        CreateFunction,
        Create,
        Rename,
        CreateTrigger,
    ),
)


def check(
    statement: Statement[
        CreateTable | AlterTable | CreateIndex | CreateFunction | Create | Rename | CreateTrigger
    ],
    context: Context,
) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    del context
    for made in made_names(statement.body):
        name = made.name.name
        if made.kind in _NOT_NAMES or not name:
            continue
        plain = _PLAIN.fullmatch(name)
        if plain and not is_reserved(name):
            continue
        reason = "is a reserved word" if plain else "is not all lower-case letters, digits and _"
        yield Problem(
            f"the {made.kind} {sql_name(name)} must be quoted everywhere: it {reason}",
            word(statement, made.name),
            severity="note" if made.kind in ("constraint", "extension", "trigger") else None,
        )
