"""An index that another one makes unnecessary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.places import word
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import sql_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.lint.schema import Index, Schema

RULE = Rule(
    id="redundant-index",
    severity="warning",
    title="An index that another one makes unnecessary",
    why=(
        "An index on the first columns of another one answers the same queries, and every "
        "write maintains both. Drop the shorter one, unless it is unique."
    ),
    before="CREATE TABLE users (id bigint PRIMARY KEY, email text, name text);",
    bad="""\
-- chatdb: transactional: false
CREATE INDEX CONCURRENTLY users_email_idx ON users (email);
CREATE INDEX CONCURRENTLY users_email_name_idx ON users (email, name);
""",
    safe="""\
-- chatdb: transactional: false
CREATE INDEX CONCURRENTLY users_email_name_idx ON users (email, name);
""",
    scope="project",
)


def check(schema: Schema, context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    del context
    for table in schema.tables.values():
        indexes = [i for i in schema.indexes_of(table.name) if i.plain and not i.partial]
        for index in indexes:
            longer = next(
                (o for o in indexes if o is not index and _covers(o, index, indexes)), None
            )
            if longer is None or index.constraint:
                continue
            same = longer.keys == index.keys
            yield Problem(
                f"{sql_name(index.name)} is "
                + ("the same as" if same else "a part of")
                + f" {sql_name(longer.name)}: every write maintains both",
                word(index.made.statement, index.name or "index"),
                f"DROP INDEX {sql_name(index.name)};" if index.name else "",
                file=index.made.file,
            )


def _covers(longer: Index, index: Index, order: list[Index]) -> bool:
    """Return whether every query of an index can use a longer one, or the one that was first."""
    if longer.method != "btree" or index.method != "btree" or index.included:
        return False
    if longer.keys[: len(index.keys)] != index.keys or (index.unique and not longer.unique):
        return False
    if longer.keys != index.keys:
        return not index.unique
    # Of two equal ones the later is redundant, or the one that is not unique.
    return (longer.unique, -order.index(longer)) > (index.unique, -order.index(index))
