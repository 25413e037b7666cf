"""VACUUM FULL or CLUSTER."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import Maintain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.syntax.tree.model import Statement

RULE = Rule(
    id="vacuum-full",
    severity="error",
    title="VACUUM FULL or CLUSTER",
    why=(
        "Both write a new copy of the table under ACCESS EXCLUSIVE: reads and writes wait "
        "until it is done, and the disk needs room for two copies. pg_repack or pg_squeeze do "
        "the same while work continues; a plain VACUUM is often enough."
    ),
    before="""\
CREATE TABLE users (id bigint PRIMARY KEY, email text, name text);
CREATE TABLE orders (id bigint PRIMARY KEY, user_id bigint, total numeric);
""",
    bad="""\
-- chatdb: transactional: false
VACUUM FULL orders;
""",
    safe="""\
-- chatdb: transactional: false
VACUUM orders;
""",
    reads=(Maintain,),
    down=True,
    small_is_harmless=True,
)


def check(statement: Statement[Maintain], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    del context
    work = statement.body
    if work.verb == "cluster" or work.full:
        what = "CLUSTER" if work.verb == "cluster" else "VACUUM FULL"
        names = ", ".join(map(str, work.relations)) or "every table"
        yield Problem(
            f"{what} rewrites {names} while reads and writes wait",
            safe=f"-- chatdb: transactional: false\nVACUUM {names};" if work.relations else "",
            table=work.relations[0] if work.relations else None,
        )
