"""Read the history.

It is in yoyo's own tables (`_yoyo_migration`, `_yoyo_log`, `_yoyo_version`) in the target's schema, so
that any yoyo client reads it, and beside them in `chatdb_migration`: checksums, texts, duration, who.
What does not belong here: writing it (`write.py`), which migrations to run (`migrate/plan.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatdb_cli.errors import ChatdbError, Code
from chatdb_cli.history import queries
from chatdb_cli.history.model import HISTORY_TABLES, AppliedMigration, History, LogEntry, YoyoLock
from chatdb_cli.postgres.quoting import Quoting

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import psycopg


def read_history(conn: psycopg.Connection[Any], schema: str) -> History:
    """Read the history in two round trips, three where a yoyo client has ever locked.

    Writes nothing and takes no lock; needs the right to read, where there is something to read.
    """
    pid, version, database, user, exists, tables, other, extensions = conn.execute(
        queries.INSPECT, (schema,)
    ).fetchone() or (0, 0, "", "", False, [], False, [])
    present = frozenset(tables)
    history = History(
        pid, version, database, user, exists, present & HISTORY_TABLES, other, tuple(extensions)
    )
    if not history.exists:
        return history
    names = Quoting(conn, schema)
    query = queries.READ if "chatdb_migration" in present else queries.READ_YOYO
    rows = conn.execute(names.fill(query)).fetchall()
    # Only we know of a file that stopped on its way; yoyo's row comes at its end.
    begun = [r for r in rows if r[0] is None and r[7]]
    whole = [r for r in rows if r[0] is not None]
    applied = tuple(AppliedMigration(r[0] or r[1], *r[2:]) for r in (*whole, *begun))
    # A yoyo id without digits has no version, and so no row of ours.
    to_adopt = len(whole) + len(begun) < len(rows) or any(
        r[0] != r[1] and r[0][0].isdecimal() for r in whole
    )
    lock = None
    if "yoyo_lock" in present:
        row = conn.execute(names.fill(queries.READ_YOYO_LOCK)).fetchone()
        lock = YoyoLock(*row) if row else None
    return History(
        pid, version, database, user, exists, history.tables, other, tuple(extensions),
        applied, to_adopt, lock,
    )  # fmt: skip


def require_schema(past: History, schema: str) -> None:
    """Refuse to go on where there is no such schema.

    Raises:
        ChatdbError: `MISSING_SCHEMA`.
    """
    if not past.schema_exists:
        raise ChatdbError(
            Code.MISSING_SCHEMA,
            f"there is no schema {schema!r} in database {past.database!r}",
            hint='"chatdb setup" makes it',
        )


def read_texts(
    conn: psycopg.Connection[Any], schema: str, ids: Sequence[str]
) -> dict[str, tuple[str | None, str | None]]:
    """Return the up and down texts with which migrations were applied, by id."""
    import json

    # Without parameters: a % in the schema's name would be taken for one.
    query = Quoting(conn, schema).fill(queries.READ_TEXTS, ids=json.dumps(list(ids)))
    return {r[0]: (r[1], r[2]) for r in conn.execute(query)}


def read_log(conn: psycopg.Connection[Any], schema: str) -> tuple[LogEntry, ...]:
    """Return the audit log, oldest first."""
    rows = conn.execute(Quoting(conn, schema).fill(queries.READ_LOG)).fetchall()
    return tuple(LogEntry(*row) for row in rows)
