"""A table, a column or a value of an enum is renamed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.places import word
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import Create, Rename, sql_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.syntax.tree.model import Statement

RULE = Rule(
    id="rename",
    severity="warning",
    title="A table, a column or a value of an enum is renamed",
    why=(
        "The code that runs during the migration still uses the former name, and fails from "
        "this moment on. Add the new name beside the old one (a column that a trigger keeps "
        "equal, a view), deploy the code, and remove the old name later."
    ),
    before="CREATE TABLE users (id bigint PRIMARY KEY, email varchar(255), name text);",
    bad="ALTER TABLE users RENAME COLUMN name TO full_name;",
    safe="ALTER TABLE users ADD COLUMN full_name text;",
    reads=(Rename,),
)


def check(statement: Statement[Rename], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    rename = statement.body
    if rename.kind not in _SEEN:
        return
    if rename.kind in ("table", "column") and not context.exists(rename.relation):
        return
    made = context.schema.enums.get(context.schema.key(rename.relation))
    if made is not None and made.file.batch == context.file.batch:
        return
    old = sql_name(rename.old) if rename.old else str(rename.relation)
    safe = ""
    if rename.kind == "table":
        safe = (
            f"-- keep the former name as a view, in the same transaction\n{statement.text};\n"
            f"CREATE VIEW {rename.relation} AS SELECT * FROM {sql_name(rename.new)};"
        )
    elif rename.kind == "column":
        safe = (
            f"-- add {sql_name(rename.new)} beside {old}, keep both equal by a trigger, deploy the code,\n"
            f"-- and drop {old} in a later migration"
        )
    yield Problem(
        f"code that still uses the {rename.kind} {old} fails once this is applied",
        word(statement, rename.old or rename.relation),
        safe,
        severity="note" if rename.kind == "table" and _has_view(context, rename) else None,
    )


_SEEN = ("table", "column", "enum value", "schema", "view", "type", "function", "sequence")


def _has_view(context: Context, rename: Rename) -> bool:
    """Return whether the same file makes a view of the former name."""
    return any(
        isinstance(other.body, Create)
        and other.body.kind == "view"
        and other.body.name.name == rename.relation.name
        for other in context.file.statements
    )
