"""The type of a column changes, and the table is rewritten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.columns import keeps_rows, narrows, type_text
from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.places import word
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import AlterTable, sql_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.syntax.tree.model import Statement

RULE = Rule(
    id="type-change",
    severity="error",
    title="The type of a column changes, and the table is rewritten",
    why=(
        "Most changes of a type rewrite the table and its indexes under ACCESS EXCLUSIVE. "
        "These do not: varchar(n) to a larger n, to varchar or to text; numeric to a larger "
        "precision of the same scale; the same for varbit; cidr to inet. "
        "Otherwise add a new column, fill it in batches, and exchange the two."
    ),
    before="""\
CREATE TABLE users (id bigint PRIMARY KEY, email varchar(255), name text);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint);
""",
    bad="ALTER TABLE orders ALTER COLUMN user_id TYPE integer;",
    safe="ALTER TABLE users ALTER COLUMN email TYPE text;",
    reads=(AlterTable,),
    small_is_harmless=True,
)


def check(statement: Statement[AlterTable], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    alter = statement.body
    table = context.table(alter.table)
    for action in alter.actions:
        if action.kind != "AlterColumnType" or action.column is None:
            continue
        if alter.kind != "table" or not context.exists(alter.table):
            continue
        new = action.column.type
        old = table.columns.get(action.name) if table else None
        if old is not None and (keeps_rows(old, new) or narrows(old, new)):
            continue
        if old is None and new.name in ("text", "varchar") and not new.arguments:
            continue  # the usual reason is a varchar(n) that became too short
        column = sql_name(action.name)
        before = f" from {type_text(old)}" if old else ""
        yield Problem(
            f"{alter.table} is rewritten while reads and writes of it wait: "
            f"{column} changes{before} to {type_text(new)}"
            if old
            else f"{alter.table} is rewritten, unless the type of {column} can become "
            f"{type_text(new)} as it is",
            word(statement, action.name),
            f"ALTER TABLE {alter.table} ADD COLUMN {sql_name(action.name + '_new')} {type_text(new)};\n"
            f"-- fill it by a trigger, and old rows in batches; then exchange the two columns",
            alter.table,
            severity=None if old else "warning",
        )
