"""The change log of the chat schema, and its rows that expire.

What does not belong here: the NOTIFY queue, which belongs to the server (`server.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.health import queries
from chatdb_cli.health.definition import NOT_APPLICABLE, Question, Reading, check, unreadable
from chatdb_cli.health.words import age
from chatdb_cli.syntax.identifiers import display_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatdb_cli.health.definition import Facts

_DAY_MS = 86_400_000
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


OLDEST_EVENT = Question(
    queries.OLDEST_EVENT, Oldest, lambda f: _missing(f, ("events", "events_state"))
)
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
