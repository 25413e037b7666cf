"""The columns of `chatdb_migration`, from which its table and the statements that use it are made.

A new column is an entry of `COLUMNS` (see the docstring of the package).  What does not belong here: the
statements (`queries.py`), yoyo's tables (`tables.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Final


class Column(NamedTuple):
    """A column of `chatdb_migration`.

    Attributes:
        definition: its type, its default and its constraints.
        comment: what it holds, for COMMENT ON COLUMN; None if its name tells.
        inserted: the row gets a value for it when a migration is claimed or marked as applied; its
            cast, or an empty string if it needs none.  None if the column is filled later.
        read: it is read with the history; a text can be long and is read only when it is needed.
    """

    definition: str
    comment: str | None = None
    inserted: str | None = None
    read: bool = True


# The columns of chatdb_migration, which yoyo's tables do not have.
COLUMNS: Final = {
    "version": Column(
        "numeric CONSTRAINT chatdb_migration_version PRIMARY KEY",
        "The leading digits of the file name, as a number; inserting it claims the migration",
        inserted="",
    ),
    "migration_id": Column(
        "text NOT NULL CONSTRAINT chatdb_migration_id UNIQUE",
        "The file name without its suffix, as in _yoyo_migration",
        inserted="",
        read=False,
    ),
    "up_checksum": Column(
        "text",
        "Algorithm and digest of the up file, line ends and byte order mark normalized; "
        "NULL if unknown",
        inserted="",
    ),
    "down_checksum": Column("text", inserted=""),
    "up_text": Column("text", inserted="", read=False),
    "down_text": Column(
        "text",
        "The down file when the migration was applied, so that it can be rolled back without the file",
        inserted="",
        read=False,
    ),
    "claimed_at": Column("timestamptz NOT NULL DEFAULT clock_timestamp()", read=False),
    "duration_ms": Column("integer"),
    "applied_by": Column("text NOT NULL DEFAULT session_user", read=False),
    "client": Column(
        "text", "The user and the machine that chatdb ran on", inserted="", read=False
    ),
    "chatdb_version": Column("text", inserted="", read=False),
    "unfinished": Column(
        "text CONSTRAINT chatdb_migration_unfinished CHECK (unfinished IN ('up', 'down'))",
        "The direction of a file outside a transaction that is running or has stopped; NULL if complete",
        inserted="",
    ),
    "statements_done": Column(
        "text[]",
        "The checksums of the statements of that file that are done",
        inserted="::text[]",
    ),
    "statement_begun": Column(
        "text",
        "The statement of that file that works on an index CONCURRENTLY and is running, or failed",
    ),
    "relations_before": Column(
        "text[]",
        "The relations that existed when that statement began, to find out later what it left",
    ),
}
