"""A partition is detached without CONCURRENTLY."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.lint.model import Problem
from chatdb_cli.lint.places import word
from chatdb_cli.lint.rule import Rule
from chatdb_cli.syntax.tree.model import AlterTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatdb_cli.lint.context import Context
    from chatdb_cli.syntax.tree.model import Statement

RULE = Rule(
    id="detach-without-concurrently",
    severity="warning",
    title="A partition is detached without CONCURRENTLY",
    why=(
        "DETACH PARTITION needs ACCESS EXCLUSIVE on the whole partitioned table: it waits for "
        "every query on any partition, and all later ones wait for it. Since PostgreSQL 14 "
        "CONCURRENTLY needs much less."
    ),
    before="""\
CREATE TABLE events (at date NOT NULL, id bigint NOT NULL, PRIMARY KEY (at, id)) PARTITION BY RANGE (at);
CREATE TABLE events_2020 PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
""",
    bad="ALTER TABLE events DETACH PARTITION events_2020;",
    safe="""\
-- chatdb: transactional: false
ALTER TABLE events DETACH PARTITION events_2020 CONCURRENTLY;
""",
    reads=(AlterTable,),
    since=14,
)


def check(statement: Statement[AlterTable], context: Context) -> Iterator[Problem]:
    """Yield a problem for each place that the rule is about."""
    alter = statement.body
    for action in alter.actions:
        if action.kind != "DetachPartition" or action.partition is None or action.concurrently:
            continue
        if context.exists(alter.table):
            yield Problem(
                f"every query on {alter.table} waits until {action.partition} is detached",
                word(statement, action.partition),
                "-- chatdb: transactional: false\n"
                f"ALTER TABLE {alter.table} DETACH PARTITION {action.partition} CONCURRENTLY;",
                alter.table,
            )
