"""The search_path of a role, a database or the server is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.places import word
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import SetParameter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.syntax.tree.model import Statement

RULE = Rule(
    id="search-path-of-role",
    severity="warning",
    title="The search_path of a role, a database or the server is changed",
    why=(
        "It changes which tables every later session finds, of every application with that "
        "role, and no down file of another migration expects it. chatdb sets search_path "
        "itself, for each file."
    ),
    bad="ALTER ROLE app SET search_path = app, public;",
    safe="CREATE TABLE items (id bigint PRIMARY KEY);",
    reads=(SetParameter,),
)


def check(statement: Statement[SetParameter], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    del context
    setting = statement.body
    if setting.where != "session" and setting.name == "search_path":
        yield Problem(
            f"every later session of {setting.where} {setting.target} finds other tables",
            word(statement, "search_path"),
            "-- name the schema in the connection of the application:\n"
            "-- postgresql://app@host/database?options=-csearch_path%3Dapp",
        )
