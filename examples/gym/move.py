"""Move the rows of the old system into the new schema, and prove that they all arrived.

    python move.py                      the move, and the proof
    python move.py --prove [OPTIONS]    the proof alone; options of `chatdb counts`, such as --find

DATABASE_URL names the new database and CHATDB_AGAINST_URL the old one, in the environment or in `.env`,
with everything else that chatdb knows, such as a tunnel to each.  The old database is only read.  The
new one has its schema already (`chatdb migrate up`) and no rows; all of them come in one transaction, or
none.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from psycopg import sql

from chatdb_cli import ChatdbError, connect, load_settings, open_target, settings_against

# The new tables in the order of their foreign keys.  gyms and users refer to each other: gyms is first,
# because the reference to its manager can wait until COMMIT.
TABLES = (
    "roles", "versions", "app_stores", "gyms", "users", "graduations", "class", "assets", "attachments",
    "checkins", "notifications",
)  # fmt: skip
# What has another name in the old database: new name, old name.
OLD_TABLES = {"class": "classes", "checkins": "check_ins", "app_stores": "appstores"}
OLD_COLUMNS = {("notifications", "recipients"): "to"}

Connection = psycopg.Connection[Any]


def move(old: Connection, new: Connection) -> Mapping[str, int]:
    """Copy every table in one transaction, and return the number of rows of each.

    Args:
        old: a connection to the old database, which is read in one snapshot.
        new: a connection to the new database.

    Raises:
        SystemExit: if a table of the new database has rows already.
        psycopg.Error: if a row does not fit; nothing is changed then.
    """
    old.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    with new.transaction():
        names = sql.SQL(", ").join(map(sql.Identifier, TABLES))
        new.execute(sql.SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(names))
        for table in TABLES:
            if (
                new.execute(
                    sql.SQL("SELECT FROM {} LIMIT 1").format(sql.Identifier(table))
                ).fetchone()
                is not None
            ):
                raise SystemExit(
                    f"the table {table} of the new database has rows already; nothing was changed"
                )
        new.execute("SET CONSTRAINTS ALL DEFERRED")
        rows = {table: copy(old, new, table) for table in TABLES}
        for table in TABLES:
            set_sequences(old, new, table)
    return rows


def copy(old: Connection, new: Connection, table: str) -> int:
    """Copy the rows of a table by COPY, and return their number."""
    described = new.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(sql.Identifier(table)))
    columns = [column.name for column in described.description or ()]
    there = [OLD_COLUMNS.get((table, column), column) for column in columns]
    read = sql.SQL("COPY (SELECT {} FROM {}) TO STDOUT").format(
        sql.SQL(", ").join(map(sql.Identifier, there)), sql.Identifier(OLD_TABLES.get(table, table))
    )
    write = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    cursor = new.cursor()
    with old.cursor().copy(read) as source, cursor.copy(write) as sink:
        for block in source:
            sink.write(block)
    return cursor.rowcount


def set_sequences(old: Connection, new: Connection, table: str) -> None:
    """Let a sequence continue where the old one is: the numbers of deleted rows are not reused."""
    there = OLD_TABLES.get(table, table)
    found = old.execute("SELECT pg_get_serial_sequence(quote_ident(%s), 'id')", (there,)).fetchone()
    if not found or not found[0]:  # the key of roles is a text
        return
    state = old.execute(f"SELECT last_value, is_called FROM {found[0]}").fetchone()
    new.execute(
        "SELECT setval(pg_get_serial_sequence(quote_ident(%s), 'id'), %s, %s)",
        (table, *(state or ())),
    )


def prove(options: Sequence[str]) -> int:
    """Compare both databases with `chatdb counts`; return its exit code, 0 if they have the same rows.

    The old database must still be as it was when it was copied: nobody writes to it any more.

    Args:
        options: more options of `chatdb counts`.
    """
    command = [sys.executable, "-m", "chatdb_cli", "counts", "--checksum", *options]
    for table, there in OLD_TABLES.items():
        command.append(f"--map={there}={table}")
    for (table, column), there in OLD_COLUMNS.items():
        command.append(f"--map-column={table}.{there}={column}")
    return subprocess.run(command, check=False).returncode


def main(arguments: list[str]) -> int:
    """Move and prove, or only prove; return the exit code."""
    if arguments and arguments[0] != "--prove":
        print(__doc__, file=sys.stderr)
        return 2
    if not arguments:
        try:
            settings = load_settings()
            other = settings_against(settings)
            if other is None:
                raise SystemExit("CHATDB_AGAINST_URL is not set: it names the old database")
            with (
                open_target(settings) as target,
                open_target(other) as source,
                connect(source) as old,
                connect(target) as new,
            ):
                rows = move(old, new)
        except (ChatdbError, psycopg.Error) as error:
            print(f"nothing was moved: {error}", file=sys.stderr)
            return 1
        for table, number in rows.items():
            print(f"{table:<14} {number:>9,} rows")
    return prove(arguments[1:])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
