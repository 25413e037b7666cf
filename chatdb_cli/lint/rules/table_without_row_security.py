"""A table without row-level security, in a project whose other tables have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.places import word
from chatdb_cli.lint.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.lint.schema import Schema

# With fewer tables there is no habit to go by.
_FEW = 3

RULE = Rule(
    id="table-without-row-security",
    severity="warning",
    title="A table without row-level security, in a project whose other tables have it",
    why=(
        "At least nine of ten tables of this project have row-level security, so that this "
        "one was probably forgotten: everyone who is granted it sees every row."
    ),
    before="""\
CREATE TABLE notes (id bigint PRIMARY KEY);
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE TABLE books (id bigint PRIMARY KEY);
ALTER TABLE books ENABLE ROW LEVEL SECURITY;
CREATE TABLE pages (id bigint PRIMARY KEY);
ALTER TABLE pages ENABLE ROW LEVEL SECURITY;
""",
    bad="CREATE TABLE tags (id bigint PRIMARY KEY);",
    safe="""\
CREATE TABLE tags (id bigint PRIMARY KEY);
ALTER TABLE tags ENABLE ROW LEVEL SECURITY;
""",
    scope="project",
)


def check(schema: Schema, context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    del context
    tables = [t for t in schema.tables.values() if t.made and not t.temporary and not t.partition]
    secured = [table for table in tables if table.row_security]
    if len(secured) < _FEW or len(secured) * 10 < (len(tables) - 1) * 9:
        return
    for table in tables:
        if not table.row_security and table.made is not None:
            yield Problem(
                f"{table.name} has no row-level security; {len(secured)} of the {len(tables) - 1} "
                "other tables have it",
                word(table.made.statement, table.name),
                f"ALTER TABLE {table.name} ENABLE ROW LEVEL SECURITY;",
                file=table.made.file,
            )
