"""Indexes, constraints, triggers and extensions of the database, in every schema of users.

What does not belong here: whether the schema is what its files say (`migrations.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.health import queries
from chatdb_cli.health.definition import Question, Reading, check
from chatdb_cli.health.words import number, objects, size, some
from chatdb_cli.syntax.identifiers import display_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatdb_cli.health.definition import Facts


class OfTable(NamedTuple):
    """An object of a table: an index, a constraint or a trigger."""

    schema: str
    name: str
    table: str


class UnusedIndex(NamedTuple):
    """A row of `queries.UNUSED_INDEXES`."""

    schema: str
    name: str
    table: str
    bytes: int


class Extension(NamedTuple):
    """A row of `queries.EXTENSIONS`."""

    name: str
    version: str
    available: str | None


INVALID_INDEXES = Question(queries.INVALID_INDEXES, OfTable)
NOT_VALID = Question(queries.NOT_VALID, OfTable)
DISABLED_TRIGGERS = Question(queries.DISABLED_TRIGGERS, OfTable)
UNINDEXED_FOREIGN_KEYS = Question(queries.UNINDEXED_FOREIGN_KEYS, OfTable)
UNUSED_INDEXES = Question(queries.UNUSED_INDEXES, UnusedIndex)
EXTENSIONS = Question(queries.EXTENSIONS, Extension)


def _path(row: OfTable | UnusedIndex) -> str:
    return display_name(row.schema, row.name)


@check("invalid-indexes", "count", INVALID_INDEXES, degraded=0)
def invalid_indexes(_: Facts, rows: Sequence[OfTable]) -> Reading:
    """Indexes that a failed CREATE INDEX CONCURRENTLY has left: only writes still use them."""
    if not rows:
        return Reading(0, "every index is valid")
    return Reading(
        len(rows),
        f"{number(len(rows), 'index is', 'indexes are')} invalid: {objects(rows)}",
        f"REINDEX INDEX CONCURRENTLY {_path(rows[0])}, or drop it and create it again",
    )


@check("constraints-not-validated", "count", NOT_VALID, degraded=0)
def constraints_not_validated(_: Facts, rows: Sequence[OfTable]) -> Reading:
    """Constraints that were added NOT VALID: older rows may violate them."""
    if not rows:
        return Reading(0, "every constraint is validated")
    first = rows[0]
    table, name = display_name(first.schema, first.table), display_name(first.name)
    return Reading(
        len(rows),
        f"{number(len(rows), 'constraint is', 'constraints are')} not validated: {objects(rows)}",
        f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}; it fails if a row violates it",
    )


@check("disabled-triggers", "count", DISABLED_TRIGGERS, degraded=0)
def disabled_triggers(_: Facts, rows: Sequence[OfTable]) -> Reading:
    """Triggers that do not fire; the constraint of a foreign key is not checked then."""
    if not rows:
        return Reading(0, "every trigger is enabled")
    first = rows[0]
    table = display_name(first.schema, first.table)
    return Reading(
        len(rows),
        f"{number(len(rows), 'trigger is', 'triggers are')} disabled: {objects(rows)}",
        f"ALTER TABLE {table} ENABLE TRIGGER ALL; rows that were written meanwhile are not checked",
    )


@check("foreign-keys-without-index", "count", UNINDEXED_FOREIGN_KEYS, degraded=0)
def foreign_keys_without_index(_: Facts, rows: Sequence[OfTable]) -> Reading:
    """Foreign keys without an index: deleting a referenced row reads the whole table."""
    if not rows:
        return Reading(0, "every foreign key has an index")
    return Reading(
        len(rows),
        f"{number(len(rows), 'foreign key has', 'foreign keys have')} no index: {objects(rows)}",
        "create an index that starts with the columns of the foreign key, CONCURRENTLY",
    )


@check("unused-indexes", "bytes", UNUSED_INDEXES, degraded=100 * 1024**2)
def unused_indexes(_: Facts, rows: Sequence[UnusedIndex]) -> Reading:
    """Indexes that no query of this server has used, although their tables are read."""
    if not rows:
        return Reading(0, "every index of a table that is read is used")
    unused = number(len(rows), "index is", "indexes are")
    return Reading(
        sum(row.bytes for row in rows),
        f"{unused} unused, {size(sum(row.bytes for row in rows))}: {objects(rows)}",
        f"if no other server uses it, and no monthly job: DROP INDEX CONCURRENTLY {_path(rows[0])}",
    )


@check("extensions", "count", EXTENSIONS, degraded=0)
def extensions(_: Facts, rows: Sequence[Extension]) -> Reading:
    """Extensions whose version is not that of the server's files."""
    if not rows:
        return Reading(0, "every extension has the version of the server's files")
    first = rows[0]
    if first.available is None:
        names = some([row.name for row in rows if row.available is None])
        return Reading(
            len(rows),
            f"the server has no files of extension {names}, which the database uses",
            "install its package on the server",
            "error",
        )
    listed = some([f"{row.name} {row.version} (available: {row.available})" for row in rows])
    return Reading(
        len(rows),
        f"{number(len(rows), 'extension has', 'extensions have')} an update: {listed}",
        f"ALTER EXTENSION {display_name(first.name)} UPDATE, after reading its release notes",
    )
