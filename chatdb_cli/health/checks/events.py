"""The change log of the chat schema, its listeners, and rows that expire.

What does not belong here: the NOTIFY queue, which belongs to the server (`server.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.health import queries
from chatdb_cli.health.cursors import LOG, Unread, unread_statement
from chatdb_cli.health.definition import (
    NOT_APPLICABLE,
    Question,
    Reading,
    check,
    unknown,
    unreadable,
)
from chatdb_cli.health.words import age, some
from chatdb_cli.remedy import Advice
from chatdb_cli.syntax.identifiers import display_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatdb_cli.health.definition import Facts

_MINUTE_MS, _HOUR_MS, _DAY_MS = 60_000, 3_600_000, 86_400_000
# Why a listener can't continue from its cursor.
_LOST = {
    "purged": "events after it were purged",
    "reset": "the database was restored, copied or reset",
    "ahead": "it is ahead of the log, so the database was restored",
}
_RELOAD = "start it with an empty cursor, and reload what it shows; {listen_resync} says when"
EXPIRING = ("sessions", "rate_limits", "notifications", "refresh_tokens")


class Oldest(NamedTuple):
    """The row of `queries.OLDEST_EVENT`."""

    age_ms: int


class Expired(NamedTuple):
    """The row of `queries.EXPIRED`."""

    table: str
    age_ms: int | None


def _missing(facts: Facts, tables: Sequence[str]) -> Reading | None:
    """Return why tables of the chat schema can't be read, or None."""
    server = facts.server
    if not set(tables) <= set(server.relations):
        return NOT_APPLICABLE
    if server.standby:
        return NOT_APPLICABLE  # the primary purges
    if hidden := [table for table in tables if table not in server.readable]:
        return unreadable(", ".join(hidden), hidden, facts)
    return None


def _unread_hidden(facts: Facts) -> Reading | None:
    """Return why the change log can't be compared with the cursors, or None."""
    if not facts.cursors:
        return NOT_APPLICABLE
    if not set(LOG) <= set(facts.server.relations):
        message = f"there is no change log in schema {facts.target.schema!r}"
        return unknown(message, Advice("name the schema of the chat back end with {schema}"))
    if facts.server.standby:
        return unknown("this server is a standby, where no listener reads", "check the primary")
    if any(cursor.values for cursor in facts.cursors):
        return _missing(facts, LOG)
    return _unknown_cursors(facts)


def _unknown_cursors(facts: Facts) -> Reading | None:
    """Return the reading of the cursors that are not known, or None if all are."""
    problems = [f"{c.name!r} ({c.problem})" for c in facts.cursors if c.problem]
    if not problems:
        return None
    return unknown(
        f"not known: {some(problems)}",
        "start the listener, which writes the file; or correct the name or the rights of the file",
    )


OLDEST_EVENT = Question(queries.OLDEST_EVENT, Oldest, lambda f: _missing(f, LOG))
UNREAD = Question(lambda f: unread_statement(f.cursors), Unread, _unread_hidden)
EXPIRED = Question(queries.EXPIRED, Expired, lambda f: _missing(f, EXPIRING))


@check("event-log", "ms", OLDEST_EVENT, degraded=8 * _DAY_MS)
def event_log(facts: Facts, rows: Sequence[Oldest]) -> Reading:
    """How old the oldest event of the change log is: it grows until it is purged."""
    if not rows:
        return Reading(0, "the change log is empty")
    (row,) = rows
    return Reading(
        row.age_ms,
        f"the oldest event of the change log is {age(row.age_ms)} old",
        f"purge it daily, until it returns 0: SELECT {display_name(facts.target.schema)}"
        ".purge_events('7 days')",
    )


def _lost(facts: Facts, row: Unread) -> Reading | None:
    """Return the reading of a cursor from which its listener can't continue; None if it can."""
    if row.lost is None:
        return None
    cursor = facts.cursors[row.number]
    first = "SELECT {log}.events_reset(), as its owner; then " if row.lost == "ahead" else ""
    return Reading(
        None,
        f"the listener with the cursor {cursor.name!r} can't continue: {_LOST[row.lost]}",
        Advice(first + _RELOAD, log=display_name(facts.target.schema)),
        "error",
    )


@check("event-cursors", "ms", UNREAD, degraded=_MINUTE_MS, error=_HOUR_MS)
def event_cursors(facts: Facts, rows: Sequence[Unread]) -> Reading:
    """How old the oldest event is that the slowest listener has not read, of those that are named."""
    for row in rows:
        if lost := _lost(facts, row):
            return lost
    slowest = max(rows, key=lambda row: -1 if row.age_ms is None else row.age_ms)
    missing = _unknown_cursors(facts)
    if slowest.age_ms is None:
        read = some([repr(facts.cursors[row.number].name) for row in rows])
        return missing or Reading(
            0, f"every event is read by the listeners with the cursors {read}"
        )
    reading = Reading(
        slowest.age_ms,
        f"the listener with the cursor {facts.cursors[slowest.number].name!r} has not read an event "
        f"that is {age(slowest.age_ms)} old",
        "start it if it does not run; else look at what reads its output",
    )
    if missing is None:
        return reading
    message = f"{reading.message}; {missing.message}"
    return Reading(slowest.age_ms, message, f"{reading.hint}; {missing.hint}", "unknown")


@check("expired-rows", "ms", EXPIRED, degraded=_DAY_MS)
def expired_rows(facts: Facts, rows: Sequence[Expired]) -> Reading:
    """How long ago the oldest row expired that is not deleted yet."""
    (row,) = rows
    if row.age_ms is None or row.age_ms <= 0:
        return Reading(0, "no row has expired")
    return Reading(
        row.age_ms,
        f"a row of {row.table} expired {age(row.age_ms)} ago and is not deleted",
        f"run it every hour: SELECT {display_name(facts.target.schema)}.purge_expired()",
    )
