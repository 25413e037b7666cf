"""Load a generated chat with N messages, by COPY, for benchmarks.

What does not belong here: generating the rows (`chat_rows.py`).
"""

from __future__ import annotations

import time
from collections import Counter
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

from chatdb_cli.callbacks import ignore
from chatdb_cli.errors import ChatdbError, Code
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


def seed_at_scale(
    target: Target,
    messages: int,
    *,
    random_seed: int = 1,
    directory: str | Path | None = None,
    progress: Callable[[SeedProgress], None] = ignore,
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
    people = ChatGenerator(messages, random_seed)
    with seed_transaction(target, seed_folder(target, directory)) as (conn, names):
        _refuse_other_schema(conn, target)
        tables = [f"{names.schema}.{names.identifier(table)}" for table in COLUMNS]
        conn.execute(queries.LOCK_FOR_SEED.format(tables=", ".join(tables)))
        _refuse_same_rows(conn, names, people, random_seed)
        aside = conn.execute(queries.SET_ASIDE, (tables,)).fetchall()
        for away, _ in aside:
            if away:
                conn.execute(away)
        rows = _load(conn, names, people, messages, progress)
        for done, (_, back) in enumerate(aside):
            progress(SeedProgress("indexes, keys and triggers put back", done, len(aside)))
            conn.execute(back)
        conn.execute(queries.ANALYZE.format(tables=", ".join(tables)))
        _prove_same(aside, conn.execute(queries.SET_ASIDE, (tables,)).fetchall())
    return Seeded(target, tuple(rows.items()), ms_since(start))


def _load(
    conn: psycopg.Connection[Any],
    names: Quoting,
    people: ChatGenerator,
    messages: int,
    progress: Callable[[SeedProgress], None],
) -> Counter[str]:
    rows: Counter[str] = Counter()
    for table, blocks in groupby(people.blocks(), attrgetter("table")):
        copy_in = queries.COPY_BINARY.format(
            table=f"{names.schema}.{names.identifier(table)}",
            columns=", ".join(map(names.identifier, COLUMNS[table])),
        )
        with conn.cursor().copy(copy_in) as copy:
            copy.write(HEADER)
            for block in blocks:
                copy.write(block.data)
                rows[table] += block.rows
                progress(SeedProgress("messages", rows["messages"], messages))
            copy.write(TRAILER)
    return rows


def _prove_same(before: list[tuple[Any, ...]], after: list[tuple[Any, ...]]) -> None:
    if before != after:
        raise ChatdbError(
            Code.INTERNAL,
            "the schema would not be what it was; nothing was written",
            hint="report it with the lines above",
            notes=tuple(sorted({str(back) for _, back in {*before} ^ {*after}})),
        )


def _refuse_other_schema(conn: psycopg.Connection[Any], target: Target) -> None:
    there = dict(conn.execute(queries.TABLE_COLUMNS, (target.schema,)).fetchall())
    for table, columns in COLUMNS.items():
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
    conn: psycopg.Connection[Any], names: Quoting, people: ChatGenerator, random_seed: int
) -> None:
    if conn.execute(names.fill(queries.HAS_USER, id=people.first_id)).fetchone() is not None:
        raise ChatdbError(
            Code.REFUSED,
            f"the rows of random seed {random_seed} are there already; nothing was written",
            hint=f"add others with --random-seed {random_seed + 1}; or start from an empty schema",
        )
