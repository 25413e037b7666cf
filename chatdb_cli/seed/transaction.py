"""The transaction of a seed: all of it or nothing, on a schema at its newest version.

What does not belong here: the rows (`files.py`, `scale.py`).
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg

from chatdb_cli import log
from chatdb_cli.errors import ChatdbError, Code, Terminated
from chatdb_cli.files.folder import choose_folder
from chatdb_cli.files.read import read_migrations
from chatdb_cli.history.read import require_schema
from chatdb_cli.migrate import compare
from chatdb_cli.migrate.entry import Writability, require_writable
from chatdb_cli.migrate.frame import exclusive_settings
from chatdb_cli.migrate.parts import Timeouts
from chatdb_cli.migrate.reading import read_target_history
from chatdb_cli.plural import plural
from chatdb_cli.postgres.connect import blame_tunnel, connect
from chatdb_cli.postgres.diagnosis import explain_failures
from chatdb_cli.postgres.logged import log_failure
from chatdb_cli.postgres.model import require_target
from chatdb_cli.postgres.quoting import Quoting
from chatdb_cli.remedy import Advice
from chatdb_cli.seed import queries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from chatdb_cli.files.model import Folder
    from chatdb_cli.history.model import History
    from chatdb_cli.postgres.model import Target


@contextmanager
def seed_transaction(
    target: Target, folder: Folder
) -> Iterator[tuple[psycopg.Connection[Any], Quoting]]:
    """Open a transaction on a schema at its newest version, and keep migrators out."""
    complete = False
    with (
        blame_tunnel(target),
        explain_failures("the seed was not finished", Code.STATEMENT),
        connect(target) as conn,
    ):
        past = read_target_history(
            conn, target
        )  # waits for a lock on it, before anything is locked
        facts = Writability(past.database, past.user, past.is_standby, past.is_read_only)
        require_writable(facts, override=target.settings.allow_read_only_override)
        quoting = Quoting(conn, target.schema)
        try:
            with conn.transaction():
                _prepare(conn, quoting, target)
                # Read the history again under the lock: a migrator may just have ended.
                _refuse_other_version(read_target_history(conn, target), target, folder)
                yield conn, quoting
                complete = True
        except KeyboardInterrupt as signal:
            if complete:  # the transaction may be committed
                raise
            term = isinstance(signal, Terminated)
            raise ChatdbError(
                Code.TERMINATED if term else Code.INTERRUPTED,
                f"{'terminated' if term else 'interrupted'}; nothing was written",
            ) from None
        except (ChatdbError, psycopg.Error) as failure:
            error = failure.__context__ if isinstance(failure, ChatdbError) else failure
            if log.enabled() and isinstance(error, psycopg.Error):
                log_failure(error, conn)
            raise


def _prepare(conn: psycopg.Connection[Any], quoting: Quoting, target: Target) -> None:
    settings = target.settings
    conn.execute(queries.READ_WRITE)
    timeouts = Timeouts(settings.lock_timeout_ms, settings.statement_timeout_ms, 0)
    for statement in exclusive_settings(quoting, quoting.path(()), timeouts):
        conn.execute(statement.encode())


def seed_folder(target: Target, directory: str | Path | None) -> Folder:
    """Return the folder that holds the seed of a target."""
    require_target(target)
    return choose_folder(str(directory) if directory else target.settings.directory)


def ms_since(start: float) -> int:
    """Return the milliseconds since a time of the monotonic clock."""
    return round((time.monotonic() - start) * 1000)


def _refuse_other_version(past: History, target: Target, folder: Folder) -> None:
    require_schema(past, target.schema)
    if past.other_relations and not past.exists:
        raise ChatdbError(
            Code.REFUSED,
            f"schema {target.schema!r} holds tables that no migration has created",
            hint=Advice("name a schema of its own with {schema}; {setup} creates it"),
        )
    files = read_migrations(folder, downs=False)
    if problems := compare.problems(files, past.applied):
        raise ChatdbError(Code.HISTORY, problems[0].message, hint=problems[0].hint)
    if pending := compare.pending(files, past.applied):
        count = plural(len(pending), "migration is", "migrations are")
        raise ChatdbError(
            Code.HISTORY,
            f"{count} pending, starting with {pending[0].id}; seed data needs the newest version",
            hint=Advice("run {up} first"),
        )
