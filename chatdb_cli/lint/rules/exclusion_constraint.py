"""An exclusion constraint is added to a table that exists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.places import part
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import AlterTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.syntax.tree.model import Statement

RULE = Rule(
    id="exclusion-constraint",
    severity="error",
    title="An exclusion constraint is added to a table that exists",
    why=(
        "ADD CONSTRAINT ... EXCLUDE builds an index and checks every row under ACCESS "
        "EXCLUSIVE, and PostgreSQL has no way to do it concurrently. Add it to a new table, "
        "copy the rows in batches, and exchange the tables; or do it when nobody works."
    ),
    before="CREATE TABLE bookings (id bigint PRIMARY KEY, during tstzrange NOT NULL);",
    bad="ALTER TABLE bookings ADD CONSTRAINT bookings_no_overlap EXCLUDE USING gist (during WITH &&);",
    safe="""\
CREATE TABLE bookings_new (
  id bigint PRIMARY KEY,
  during tstzrange NOT NULL,
  CONSTRAINT bookings_no_overlap EXCLUDE USING gist (during WITH &&)
);
""",
    reads=(AlterTable,),
    small_is_harmless=True,
)


def check(statement: Statement[AlterTable], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    for action in statement.body.actions:
        constraint = action.constraint
        if constraint is None or constraint.kind != "exclusion":
            continue
        if context.exists(statement.body.table):
            yield Problem(
                f"every row is checked while reads and writes of {statement.body.table} wait",
                part(statement, constraint),
                table=statement.body.table,
            )
