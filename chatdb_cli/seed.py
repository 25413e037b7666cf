"""Fill a target with rows for development and benchmarks.

    seed_small      what stands in `seed/` beside `up/` and `down/`: written by hand, idempotent
    seed_at_scale   an invented chat with N messages, by COPY
    Seeded          how many rows of which tables that made

Each is one transaction: all of it or nothing, and the schema is afterwards what it was before.  What
does not belong here: inventing the rows (`crowd.py`), migrating (`migrator.py`).
"""

from __future__ import annotations

import time
from collections import Counter
from contextlib import contextmanager
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from chatdb_cli import crowd, plan, queries
from chatdb_cli.callbacks import ignore
from chatdb_cli.errors import ChatdbError, Code, Terminated
from chatdb_cli.files.folder import choose_folder
from chatdb_cli.files.read import read_migrations, read_seed_files
from chatdb_cli.history.read import read_history, require_schema
from chatdb_cli.postgres.connect import blame_tunnel, connect
from chatdb_cli.postgres.diagnosis import explain_failures, statement_error
from chatdb_cli.postgres.quoting import Quoting
from chatdb_cli.syntax.statements import Statement, split_statements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import psycopg

    from chatdb_cli.files.model import Folder, Script
    from chatdb_cli.history.model import History
    from chatdb_cli.postgres.model import Target


class Seeded(NamedTuple):
    """What a seed has written.

    Attributes:
        target: where.
        tables: each table that got rows, and how many.
        duration_ms: how long it took, with the connection and the checks.
    """

    target: Target
    tables: tuple[tuple[str, int], ...]
    duration_ms: int


class Progress(NamedTuple):
    """How far a seed is.

    Attributes:
        what: what is being done, in words.
        done: how much of it.
        total: how much there is.
    """

    what: str
    done: int
    total: int


def seed_small(target: Target, directory: str | Path | None = None) -> Seeded:
    """Run the files of the folder's `seed/`; what is there already stays as it is.

    Args:
        target: its schema has to be at the newest version.
        directory: as for `Migrator`.

    Raises:
        ChatdbError: nothing was written.
    """
    start = time.monotonic()
    folder = _folder(target, directory)
    files = read_seed_files(folder)
    with _transaction(target, folder) as (conn, _):
        for file in files:
            _run(conn, file)
        tables = conn.execute(queries.WRITTEN, (target.schema,)).fetchall()
    return Seeded(target, tuple(tables), _since(start))


def seed_at_scale(
    target: Target,
    messages: int,
    *,
    random_seed: int = 1,
    directory: str | Path | None = None,
    progress: Callable[[Progress], None] = ignore,
) -> Seeded:
    """Load an invented chat by COPY: the same rows for the same numbers, wherever and whenever.

    Other sessions wait meanwhile. No trigger of the tables fires, so that no event is written.

    Args:
        target: its schema has to be the chat schema at the newest version.
        messages: how many; people, channels and the rest grow with their number.
        random_seed: another one gives other rows, beside those that are there.
        directory: as for `Migrator`.
        progress: called as rows are sent and indexes are built.

    Raises:
        ChatdbError: nothing was written, and the schema is what it was.
    """
    start = time.monotonic()
    people = crowd.Crowd(messages, random_seed)
    with _transaction(target, _folder(target, directory)) as (conn, names):
        _refuse_other_schema(conn, target)
        tables = [f"{names.schema}.{names.identifier(table)}" for table in crowd.COLUMNS]
        conn.execute(queries.LOCK_FOR_SEED.format(tables=", ".join(tables)))
        _refuse_same_rows(conn, names, people, random_seed)
        aside = conn.execute(queries.SET_ASIDE, (tables,)).fetchall()
        for away, _ in aside:
            if away:
                conn.execute(away)
        rows = _load(conn, names, people, messages, progress)
        for done, (_, back) in enumerate(aside):
            progress(Progress("indexes, keys and triggers put back", done, len(aside)))
            conn.execute(back)
        conn.execute(queries.ANALYZE.format(tables=", ".join(tables)))
        _prove_same(aside, conn.execute(queries.SET_ASIDE, (tables,)).fetchall())
    return Seeded(target, tuple(rows.items()), _since(start))


@contextmanager
def _transaction(
    target: Target, folder: Folder
) -> Iterator[tuple[psycopg.Connection[Any], Quoting]]:
    """Open a transaction on a schema at its newest version that no migrator works on."""
    complete = False
    with (
        blame_tunnel(target),
        explain_failures("the seed was not finished", Code.STATEMENT),
        connect(target) as conn,
    ):
        past = read_history(conn, target.schema)
        names = Quoting(conn, target.schema)
        try:
            with conn.transaction():
                _prepare(conn, names, target, past)
                # Read again under the lock: a migrator may just have ended.
                _refuse_other_version(read_history(conn, target.schema), target, folder)
                yield conn, names
                complete = True
        except KeyboardInterrupt as signal:
            if complete:  # COMMIT may have been quicker
                raise
            term = isinstance(signal, Terminated)
            raise ChatdbError(
                Code.TERMINATED if term else Code.INTERRUPTED,
                f"{'terminated' if term else 'interrupted'}; nothing was written",
            ) from None


def _prepare(conn: psycopg.Connection[Any], names: Quoting, target: Target, past: History) -> None:
    settings = target.settings
    conn.execute(
        names.fill(
            queries.SETTINGS,
            path=names.path(past.extension_schemas),
            lock_timeout=f"{settings.lock_timeout_ms}ms",
            statement_timeout=f"{settings.statement_timeout_ms}ms",
        )
    )
    conn.execute(queries.LOCK.format(key=names.lock_key))


def _run(conn: psycopg.Connection[Any], file: Script) -> None:
    """Run a file statement by statement."""
    import psycopg

    whole = (Statement(file.text, 0),)
    for statement in split_statements(file.text) or whole:
        try:
            conn.execute(statement.text)
        except psycopg.Error as error:
            # The connection is gone, or another session stands in the way: no fault of the file.
            if not error.sqlstate or error.sqlstate.startswith(("08", "57P", "55P03")):
                raise
            found = statement_error(
                error, file.path, file.text, statement, notes=("nothing was written",)
            )
            found.hint = 'correct the file, or the rows that it met, and run "chatdb seed" again'
            raise found from None


def _load(
    conn: psycopg.Connection[Any],
    names: Quoting,
    people: crowd.Crowd,
    messages: int,
    progress: Callable[[Progress], None],
) -> Counter[str]:
    rows: Counter[str] = Counter()
    for table, blocks in groupby(people.blocks(), attrgetter("table")):
        copy_in = queries.COPY_BINARY.format(
            table=f"{names.schema}.{names.identifier(table)}",
            columns=", ".join(map(names.identifier, crowd.COLUMNS[table])),
        )
        with conn.cursor().copy(copy_in) as copy:
            copy.write(crowd.HEADER)
            for block in blocks:
                copy.write(block.data)
                rows[table] += block.rows
                progress(Progress("messages", rows["messages"], messages))
            copy.write(crowd.TRAILER)
    return rows


def _folder(target: Target, directory: str | Path | None) -> Folder:
    return choose_folder(str(directory) if directory else target.settings.directory)


def _since(start: float) -> int:
    return round((time.monotonic() - start) * 1000)


def _prove_same(before: list[tuple[Any, ...]], after: list[tuple[Any, ...]]) -> None:
    if before != after:
        raise ChatdbError(
            Code.INTERNAL,
            "the schema would not be what it was; nothing was written",
            hint="report it with the lines above",
            notes=tuple(sorted({str(back) for _, back in {*before} ^ {*after}})),
        )


# --- what is refused ------------------------------------------------------------------------------


def _refuse_other_version(past: History, target: Target, folder: Folder) -> None:
    require_schema(past, target.schema)
    if past.other_relations and not past.exists:
        raise ChatdbError(
            Code.REFUSED,
            f"schema {target.schema!r} holds tables that no migration has made",
            hint='name a schema of its own with --schema; "chatdb setup" makes it',
        )
    files = read_migrations(folder, downs=False)
    if problems := plan.problems(files, past.applied):
        raise ChatdbError(Code.HISTORY, problems[0].message, hint=problems[0].hint)
    if todo := plan.pending(files, past.applied):
        raise ChatdbError(
            Code.HISTORY,
            f"pending: {len(todo)}, from {todo[0].id} on; the rows fit the newest version alone",
            hint='run "chatdb migrate up" first',
        )


def _refuse_other_schema(conn: psycopg.Connection[Any], target: Target) -> None:
    there = dict(conn.execute(queries.TABLE_COLUMNS, (target.schema,)).fetchall())
    for table, columns in crowd.COLUMNS.items():
        lacking = [column for column in columns if column not in there.get(table, columns)]
        if table in there and not lacking:
            continue
        what = f"table {table!r} has no column {lacking[0]!r}" if lacking else f"no table {table!r}"
        raise ChatdbError(
            Code.REFUSED,
            f"schema {target.schema!r} is not the chat schema of this chatdb: {what}",
            hint="--scale fills the chat schema that comes with chatdb (--dir @chat), and no other",
        )


def _refuse_same_rows(
    conn: psycopg.Connection[Any], names: Quoting, people: crowd.Crowd, random_seed: int
) -> None:
    if conn.execute(names.fill(queries.HAS_USER, id=people.first_id)).fetchone() is not None:
        raise ChatdbError(
            Code.REFUSED,
            f"the rows of random seed {random_seed} are there already; nothing was written",
            hint=f"add others with --random-seed {random_seed + 1}; or start from an empty schema",
        )
