"""A SECURITY DEFINER function without a search_path of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.places import word
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import AlterFunction, CreateFunction, sql_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.lint.schema import Schema

RULE = Rule(
    id="security-definer-search-path",
    severity="error",
    title="A SECURITY DEFINER function without a search_path of its own",
    why=(
        "It runs with the rights of its owner, and looks up names along the caller's "
        "search_path: a role that may create a function or a table in a schema of that path gets "
        "code run as the owner. SET search_path pins it. A body of the SQL standard (RETURN, "
        "BEGIN ATOMIC) is resolved when it is created, and needs none."
    ),
    before="CREATE TABLE users (id bigint PRIMARY KEY);",
    bad="""\
CREATE FUNCTION delete_user(user_id bigint) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  DELETE FROM users u WHERE u.id = delete_user.user_id;
END $$;
""",
    safe="""\
CREATE FUNCTION delete_user(user_id bigint) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
  SET search_path = public, pg_temp AS $$
BEGIN
  DELETE FROM users u WHERE u.id = delete_user.user_id;
END $$;
""",
    scope="project",
)


def check(schema: Schema, context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    del context
    for name, made in schema.functions.items():
        body = made.statement.body
        unsafe = isinstance(body, (CreateFunction, AlterFunction)) and body.security_definer
        if not unsafe or name in schema.pinned:
            continue
        if isinstance(body, CreateFunction) and body.has_sql_body:
            continue
        yield Problem(
            f"{name}() runs as its owner, and looks up names along the caller's search_path",
            word(made.statement, name),
            f"ALTER FUNCTION {sql_name(name)} SET search_path = {schema.default}, pg_temp;",
            file=made.file,
        )
