"""A primary key of type integer or smallint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.places import part
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import CreateTable, sql_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.syntax.tree.model import Statement

_TINY = ("int2", "smallserial", "serial2")
_SMALL = (*_TINY, "int4", "serial", "serial4")

RULE = Rule(
    id="small-key",
    severity="warning",
    title="A primary key of type integer or smallint",
    why=(
        "An integer ends at 2,147,483,647. Aborted inserts use numbers too, and the day it is "
        "reached every INSERT fails; the change to bigint then rewrites the largest table of "
        "the project. bigint costs 4 bytes."
    ),
    bad="CREATE TABLE items (id integer PRIMARY KEY, name text);",
    safe="CREATE TABLE items (id bigint PRIMARY KEY, name text);",
    reads=(CreateTable,),
)


def check(statement: Statement[CreateTable], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    del context
    create = statement.body
    keys = {
        c
        for constraint in create.constraints
        if constraint.kind == "primary key"
        for c in constraint.columns
    }
    if len(keys) > 1:
        return  # the number of a thing in another one, or a link: it does not grow with the table
    for column in create.columns:
        kind = column.type.name
        if kind not in _SMALL or not (column.name in keys or column.has("primary key")):
            continue
        if column.has("foreign key") or any(
            column.name in constraint.columns
            for constraint in create.constraints
            if constraint.kind == "foreign key"
        ):
            continue
        most = 32_767 if kind in _TINY else 2_147_483_647
        identity = " GENERATED ALWAYS AS IDENTITY" if "serial" in kind else ""
        yield Problem(
            f"the key {sql_name(column.name)} of {create.table} ends at {most:,}",
            part(statement, column.type),
            f"{sql_name(column.name)} bigint{identity}",
        )
