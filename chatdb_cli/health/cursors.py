"""The cursors of listeners, read from their files, to compare with the change log.

    read_cursors       the cursors that settings name
    unread_statement   asks how far their listeners have read
    Unread             a row of its answer

What does not belong here: the files (`events/cursor_file.py`), judging (`checks/events.py`), the
metric (`metrics/`).
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple

from chatdb_cli.errors import ChatdbError
from chatdb_cli.health import queries

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from chatdb_cli.settings.model import Settings

# The two forms that `events_since()` describes; PostgreSQL's own limits are checked in `_is_snapshot`.
_SNAPSHOT = r"([0-9]{1,18}:[0-9]{1,18}:[0-9,]*)"
_PAGE = rf"\|{_SNAPSHOT}\|([0-9]{{1,18}})\.([0-9]{{1,18}})\|([0-9]{{0,18}})-([0-9]{{0,18}})"
_CURSOR = re.compile(rf"([0-9a-f]{{12}})\|{_SNAPSHOT}(?:{_PAGE})?")
# The tables of the change log.
LOG = ("events", "events_state")


class Cursor(NamedTuple):
    """A cursor that a listener keeps in a file.

    Attributes:
        name: the name that the settings give it.
        path: the file.
        values: the cursor as a row of SQL, without a number; empty if it is not known.
        problem: why it is not known; empty if it is.
    """

    name: str
    path: Path
    values: str = ""
    problem: str = ""


class Unread(NamedTuple):
    """A row of `queries.UNREAD_EVENTS`.

    Attributes:
        number: the number of the cursor, from 0, of all that the settings name.
        lost: why its listener must read everything again; None if the cursor is valid.
        age_ms: the age of the oldest event that the listener has not read; None if there is none.
    """

    number: int
    lost: Literal["reset", "purged", "ahead"] | None
    age_ms: int | None


def read_cursors(settings: Settings) -> tuple[Cursor, ...]:
    """Return the cursors whose files settings name; one that can't be read has a problem.

    Args:
        settings: name the files.
    """
    files = settings.health_cursors or {}
    return tuple(_read(name, path) for name, path in files.items())


def unread_statement(cursors: Sequence[Cursor]) -> str:
    """Return the statement that asks for the oldest unread event of each cursor that is known.

    Args:
        cursors: at least one of them is known.
    """
    rows = [f"({n}, {cursor.values})" for n, cursor in enumerate(cursors) if cursor.values]
    return queries.UNREAD_EVENTS.replace("{cursors}", ", ".join(rows))


def _read(name: str, path: Path) -> Cursor:
    from chatdb_cli.events.cursor_file import read_cursor

    try:
        text = read_cursor(path)
    except ChatdbError as error:
        return Cursor(name, path, problem=error.message)
    if not text:
        return Cursor(name, path, problem=f"{path} does not exist")
    values = _as_sql(text)
    return Cursor(name, path, values, "" if values else f"{path} holds no cursor")


def _as_sql(cursor: str) -> str:
    """Return the values of a cursor as SQL; empty if it is not one.

    Whatever is returned consists of digits and the punctuation of the cursor, so nothing is quoted.
    """
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        return ""
    epoch, older, newer, seq, xid, first, last = match.groups()
    newer = newer or older
    if not (_is_snapshot(older) and _is_snapshot(newer)):
        return ""
    snapshots = f"'{older}'::pg_snapshot, '{newer}'::pg_snapshot"
    place = f"{seq or 'NULL'}::bigint, nullif('{xid or 0}', '0')::xid8"
    return f"'{epoch}', {snapshots}, {place}, {first or 'NULL'}::bigint, {last or 'NULL'}::bigint"


def _is_snapshot(text: str) -> bool:
    """Return whether PostgreSQL accepts a snapshot: its numbers are xids, and in order."""
    xmin, xmax, running = text.split(":")
    listed = running.split(",") if running else []
    if not all(re.fullmatch("[0-9]{1,18}", xid) for xid in listed):
        return False
    least, most = int(xmin), int(xmax)
    xids = [least, *map(int, listed)]
    ordered = all(a <= b for a, b in pairwise(xids)) and (xids[-1] < most or not listed)
    return ordered and least <= most and bool(least % 2**32 and most % 2**32)
