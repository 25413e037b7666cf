"""Load a generated chat with N messages, by COPY, for benchmarks.

Indexes, foreign keys and triggers are dropped or disabled before the rows are loaded, and created or
enabled again after them, because it was measured to pay: with indexes and foreign keys in place, 200,000
messages took 2.0 to 7.9 times as long, and 2.2 times the processor time (5 alternating rounds,
PostgreSQL 18.6, on a busy machine with two processors).

What does not belong here: generating the rows (`chat_rows.py`).
"""

from __future__ import annotations

import time
from collections import Counter
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.callbacks import ignore
from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.postgres.own import fetch
from chatdb_cli.remedy import Advice
from chatdb_cli.seed import queries
from chatdb_cli.seed.chat_rows import COLUMNS, ChatGenerator
from chatdb_cli.seed.copy_format import HEADER, TRAILER
from chatdb_cli.seed.model import Seeded, SeedProgress
from chatdb_cli.seed.transaction import ms_since, seed_folder, seed_transaction

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    import psycopg

    from chatdb_cli.postgres.model import Target
    from chatdb_cli.postgres.quoting import Quoting


class _Object(NamedTuple):
    """A row of `queries.DROP_AND_RECREATE`."""

    drop_sql: str | None
    recreate_sql: str


class _Table(NamedTuple):
    """A row of `queries.TABLE_COLUMNS`."""

    name: str
    columns: list[str]


def seed_at_scale(
    target: Target,
    messages: int,
    *,
    random_seed: int = 1,
    directory: str | Path | None = None,
    progress: Callable[[SeedProgress], None] = ignore,
) -> Seeded:
    """Load a generated chat by COPY; the same arguments always generate the same rows.

    Other sessions wait until it has ended. No trigger of the tables fires, so no event is written.

    Args:
        target: its schema must be the chat schema at the newest version.
        messages: the number of messages; people, channels and the rest grow with it.
        random_seed: another one adds other rows.
        directory: as for `Migrator`.
        progress: called as rows are sent and indexes are created.

    Raises:
        ChatdbError: nothing was written, and the schema has not changed.
    """
    start = time.monotonic()
    chat = ChatGenerator(messages, random_seed)
    with seed_transaction(target, seed_folder(target, directory)) as (conn, quoting):
        _refuse_other_schema(conn, quoting, target)
        tables = [f"{quoting.schema}.{quoting.identifier(table)}" for table in COLUMNS]
        conn.execute(queries.LOCK_FOR_SEED.format(tables=", ".join(tables)))
        _refuse_same_rows(conn, quoting, chat, random_seed)
        objects = _read_objects(conn, quoting, tables)
        for item in objects:
            if item.drop_sql:
                conn.execute(item.drop_sql.encode())
        rows = _load(conn, quoting, chat, messages, progress)
        for number, item in enumerate(objects):
            progress(SeedProgress("indexes, keys and triggers restored", number, len(objects)))
            conn.execute(item.recreate_sql.encode())
        conn.execute(queries.ANALYZE.format(tables=", ".join(tables)))
        _refuse_difference(objects, _read_objects(conn, quoting, tables))
    return Seeded(target, tuple(rows.items()), ms_since(start))


def _load(
    conn: psycopg.Connection[Any],
    quoting: Quoting,
    chat: ChatGenerator,
    messages: int,
    progress: Callable[[SeedProgress], None],
) -> Counter[str]:
    rows: Counter[str] = Counter()
    for table, blocks in groupby(chat.blocks(), attrgetter("table")):
        copy_in = queries.COPY_BINARY.format(
            table=f"{quoting.schema}.{quoting.identifier(table)}",
            columns=", ".join(map(quoting.identifier, COLUMNS[table])),
        )
        with conn.cursor().copy(copy_in) as copy:
            copy.write(HEADER)
            for block in blocks:
                copy.write(block.data)
                rows[table] += block.rows
                progress(SeedProgress("messages", rows["messages"], messages))
            copy.write(TRAILER)
    return rows


def _read_objects(
    conn: psycopg.Connection[Any], quoting: Quoting, tables: list[str]
) -> list[_Object]:
    names = ", ".join(map(quoting.literal, tables))
    return fetch(conn, _Object, queries.DROP_AND_RECREATE.format(tables=names))


def _refuse_difference(before: list[_Object], after: list[_Object]) -> None:
    if before != after:
        raise ChatdbError(
            Code.INTERNAL,
            "the schema would differ from what it was; nothing was written",
            hint="report it with the lines above",
            notes=tuple(sorted({item.recreate_sql for item in {*before} ^ {*after}})),
        )


def _refuse_other_schema(conn: psycopg.Connection[Any], quoting: Quoting, target: Target) -> None:
    rows = fetch(conn, _Table, quoting.fill(queries.TABLE_COLUMNS, name=target.schema))
    existing = {row.name: row.columns for row in rows}
    for table, columns in COLUMNS.items():
        missing = [column for column in columns if column not in existing.get(table, columns)]
        if table in existing and not missing:
            continue
        what = f"table {table!r} has no column {missing[0]!r}" if missing else f"no table {table!r}"
        raise ChatdbError(
            Code.REFUSED,
            f"schema {target.schema!r} is not the chat schema of this chatdb: {what}",
            hint=Advice(
                "{scale} fills only the chat schema of chatdb, which {directory_shipped} names"
            ),
        )


def _refuse_same_rows(
    conn: psycopg.Connection[Any], quoting: Quoting, chat: ChatGenerator, random_seed: int
) -> None:
    if conn.execute(quoting.fill(queries.HAS_USER, id=chat.first_id)).fetchone() is not None:
        raise ChatdbError(
            Code.REFUSED,
            f"the rows of random seed {random_seed} exist already; nothing was written",
            hint=Advice(
                "add others with {random_seed}; or start from an empty schema",
                number=random_seed + 1,
            ),
        )
