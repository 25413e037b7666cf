"""Count the rows of a target's tables, exactly, in one snapshot.

What does not belong here: comparing two results.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from chatdb_cli.callbacks import ignore
from chatdb_cli.counts.model import Counts
from chatdb_cli.counts.sequences import read_sequences
from chatdb_cli.counts.snapshot import JOBS, Hashing, Snapshot
from chatdb_cli.counts.tables import choose_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chatdb_cli.counts.model import CountProgress, Form, SequenceValue
    from chatdb_cli.postgres.model import Target


def count_rows(
    target: Target,
    tables: Sequence[str] = (),
    *,
    checksum: bool = False,
    form: Form = "native",
    as_text: bool = False,
    columns: Sequence[str] = (),
    exclude_columns: Sequence[str] = (),
    estimate: bool = False,
    sequences: bool = False,
    jobs: int = JOBS,
    progress: Callable[[CountProgress], None] = ignore,
    report: Callable[[str], None] = ignore,
) -> Counts:
    """Count the rows of tables in one consistent snapshot; nothing is changed.

    Args:
        target: the database and the schema.
        tables: the tables, as `table` of that schema or `schema.table`; empty for all of the schema.
        checksum: also compute a checksum of the rows of each table.
        form: `text` for a checksum that is the same on servers that hash differently.
        as_text: hash the texts of all columns, so that the checksum can also be compared when types have
            changed.
        columns: what the checksum covers, as `column` or `table.column`; empty for all columns.
        exclude_columns: what it does not cover.
        estimate: read the statistics instead of the tables.
        sequences: also read sequences and identity columns.
        jobs: how many connections share the work at most.
        progress: called as pages are read.
        report: called with a line for what a person should know.

    Raises:
        ChatdbError: `USAGE` for a table or a column that does not exist, `MISSING_SCHEMA`, `LOGIN` if
            the role may not read a table or not all of its rows, `LOCKED`, `LOST`; or no connection.
    """
    start = time.monotonic()
    with Snapshot(target, tables, jobs=jobs, details=checksum, report=report) as snapshot:
        hashing = {}
        if checksum:
            chosen = choose_columns(snapshot.tables, columns, exclude_columns)
            hashing = {
                oid: Hashing(form, tuple(c._replace(as_text=as_text) for c in covered))
                for oid, covered in chosen.items()
            }
        counted = snapshot.estimate() if estimate else snapshot.count(hashing, progress)
        numbers: tuple[SequenceValue, ...] = ()
        if sequences:
            with snapshot.explained():
                only = {table.name for table in snapshot.tables} if tables else None
                numbers = read_sequences(snapshot.connection, target, only)
        return Counts(
            target,
            counted,
            snapshot.source,
            snapshot.left_out,
            round((time.monotonic() - start) * 1000),
            numbers,
        )
