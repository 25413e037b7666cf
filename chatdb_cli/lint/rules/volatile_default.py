"""A new column has a volatile default, so the table is rewritten."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chatdb_cli.lint.columns import STABLE, VOLATILE, new_columns, type_text
from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.places import part
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import AlterTable, sql_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.syntax.tree.model import Statement

RULE = Rule(
    id="volatile-default",
    severity="error",
    title="A new column has a volatile default, so the table is rewritten",
    why=(
        "A default that is the same for all rows is stored once, in milliseconds. A volatile "
        "one (random(), gen_random_uuid(), clock_timestamp()) is computed for every row: the "
        "table and its indexes are rewritten under ACCESS EXCLUSIVE. Add the column without "
        "it, set the default for new rows, and fill old rows in batches."
    ),
    before="CREATE TABLE users (id bigint PRIMARY KEY, email text, name text);",
    bad="ALTER TABLE users ADD COLUMN token uuid DEFAULT gen_random_uuid();",
    safe="""\
ALTER TABLE users ADD COLUMN token uuid;
ALTER TABLE users ALTER COLUMN token SET DEFAULT gen_random_uuid();
""",
    reads=(AlterTable,),
    small_is_harmless=True,
)


def check(statement: Statement[AlterTable], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    for at in new_columns(statement):
        default = at.column.has("default")
        if not at.added or default is None or default.expression is None:
            continue
        unknown = [call for call in default.expression.calls if call not in STABLE]
        if not unknown or not context.exists(at.table):
            continue
        volatile = next((call for call in unknown if call in VOLATILE), None)
        column = sql_name(at.column.name)
        value = context.file.text[slice(*part(statement, default))].removeprefix("DEFAULT").strip()
        yield Problem(
            f"{at.table} is rewritten while reads and writes of it wait: {volatile or unknown[0]}() "
            + ("differs in each row" if volatile else "may differ in each row"),
            part(statement, default),
            f"ALTER TABLE {at.table} ADD COLUMN {column} {type_text(at.column.type)};\n"
            f"ALTER TABLE {at.table} ALTER COLUMN {column} SET DEFAULT {_value(value)};\n"
            f"-- then fill the old rows in batches",
            at.table,
            severity=None if volatile else "warning",
        )


def _value(text: str) -> str:
    """Return the default without the constraints that follow it."""
    return re.split(r"\s+(?:NOT\s+NULL|UNIQUE|CHECK|REFERENCES|CONSTRAINT)\b", text, flags=re.I)[0]
