"""A constraint is added to a domain, and checks every column of it at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.places import part, word
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import AlterDomain, sql_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.syntax.tree.model import Statement

RULE = Rule(
    id="domain-constraint",
    severity="error",
    title="A constraint is added to a domain, and checks every column of it at once",
    why=(
        "ALTER DOMAIN reads every table that has a column of the domain, and holds SHARE on all of "
        "them until the end of the transaction: writes to them wait. NOT VALID reads nothing; "
        "VALIDATE in a later migration reads them."
    ),
    before="""\
CREATE DOMAIN email AS text;
CREATE TABLE users (id bigint PRIMARY KEY, email email);
""",
    bad="ALTER DOMAIN email ADD CONSTRAINT email_check CHECK (VALUE LIKE '%_@_%');",
    safe="""\
ALTER DOMAIN email ADD CONSTRAINT email_check CHECK (VALUE LIKE '%_@_%') NOT VALID;
-- file: up/0003_validate.sql
ALTER DOMAIN email VALIDATE CONSTRAINT email_check;
""",
    reads=(AlterDomain,),
)


def check(statement: Statement[AlterDomain], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    domain = statement.body
    made = context.schema.domains.get(context.schema.key(domain.name))
    if made is not None and made.file.batch == context.file.batch:
        return
    if domain.not_null:
        yield Problem(
            f"every column of the domain {domain.name} is read while writes to its table wait",
            word(statement, domain.name),
            f"ALTER DOMAIN {domain.name} ADD CHECK (VALUE IS NOT NULL) NOT VALID;",
        )
    elif domain.constraint is not None and domain.constraint.validated:
        span = part(statement, domain.constraint)
        name = domain.constraint.name or f"{domain.name.name}_check"
        yield Problem(
            f"every column of the domain {domain.name} is read while writes to its table wait",
            span,
            f"ALTER DOMAIN {domain.name} ADD {context.file.text[span.start : span.end]} NOT VALID;\n"
            f"-- in the next migration:\n"
            f"ALTER DOMAIN {domain.name} VALIDATE CONSTRAINT {sql_name(name)};",
        )
