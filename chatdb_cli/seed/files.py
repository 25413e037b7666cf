"""Run the files of `seed/`, next to `up/` and `down/`: written by hand, idempotent.

What does not belong here: generated rows (`scale.py`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli import log
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.files.read import read_seed_files
from chatdb_cli.postgres.diagnosis import statement_error
from chatdb_cli.postgres.own import fetch
from chatdb_cli.remedy import Advice
from chatdb_cli.seed import queries
from chatdb_cli.seed.model import Seeded
from chatdb_cli.seed.transaction import ms_since, seed_folder, seed_transaction
from chatdb_cli.syntax.statements import Statement, split_statements

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    import psycopg

    from chatdb_cli.files.model import Script
    from chatdb_cli.postgres.model import Target


_CORRECT = "correct the file, or the rows that it conflicts with, and run {seed} again"


class _Written(NamedTuple):
    """A row of `queries.WRITTEN`."""

    name: str
    row_count: int


def seed_files(target: Target, directory: str | Path | None = None) -> Seeded:
    """Run the files of the folder's `seed/`, which leave existing rows as they are.

    Args:
        target: its schema must be at the newest version.
        directory: as for `Migrator`.

    Raises:
        ChatdbError: nothing was written.
    """
    start = time.monotonic()
    folder = seed_folder(target, directory)
    files = read_seed_files(folder)
    with seed_transaction(target, folder) as (conn, quoting):
        for file in files:
            log.info("seed", f"seeding: {file.path.name}", file=file.path)
            _run(conn, file)
        written = quoting.fill(queries.WRITTEN, name=target.schema)
        tables = fetch(conn, _Written, written)
    counts = tuple((table.name, table.row_count) for table in tables)
    return Seeded(target, counts, ms_since(start))


def require_seedable(target: Target, directory: str | Path | None = None) -> None:
    """Check what a seed needs before anything is created.

    Args:
        target: it may be missing yet.
        directory: as for `Migrator`.

    Raises:
        ChatdbError: `REFUSED` in production, where only a seed of its own is meant; or a seed file
            can't be read.
    """
    if target.settings.environment == "production":
        raise ChatdbError(
            Code.REFUSED,
            "the seed would write invented rows into production",
            hint=Advice("omit it; if this is intended, run {seed_in_production} afterwards"),
        )
    read_seed_files(seed_folder(target, directory))


def _run(conn: psycopg.Connection[Any], file: Script) -> None:
    """Run a file statement by statement."""
    import psycopg

    from chatdb_cli.postgres.sqlstates import LOCK_NOT_AVAILABLE

    whole = (Statement(file.text, 0),)
    for statement in split_statements(file.text) or whole:
        try:
            conn.execute(statement.text)
        except psycopg.Error as error:
            # The connection is lost, or another session holds a lock: the file is not to blame.
            if not error.sqlstate or error.sqlstate.startswith(("08", "57P", LOCK_NOT_AVAILABLE)):
                raise
            raise statement_error(
                error, file.path, file.text, statement, notes=("nothing was written",)
            ).with_(hint=Advice(_CORRECT)) from None
