"""Connections, transactions, locks.

What does not belong here: connecting itself (`connection.py`), another migrator (`migrations.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.health import queries
from chatdb_cli.health.definition import Question, Reading, check, unseen
from chatdb_cli.health.words import age, number, session

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatdb_cli.health.definition import Facts


class Activity(NamedTuple):
    """The row of `queries.ACTIVITY`; from `age_ms` on it is about the oldest transaction."""

    usable: int
    used: int
    idle_in_transaction: int
    age_ms: int | None
    pid: int | None
    application: str | None
    user: str | None
    client: str | None
    state: str | None
    query: str | None


class Prepared(NamedTuple):
    """A row of `queries.PREPARED`."""

    gid: str
    owner: str
    age_ms: int


class Blocked(NamedTuple):
    """The row of `queries.BLOCKED`; from `pid` on it is about the session that blocks most others."""

    waiting: int
    waiting_pid: int
    wait_ms: int | None
    pid: int | None
    application: str | None
    user: str | None
    client: str | None
    state: str | None
    query: str | None


ACTIVITY = Question(queries.ACTIVITY, Activity)
PREPARED = Question(queries.PREPARED, Prepared)
BLOCKED = Question(queries.BLOCKED, Blocked)


@check("connections", "percent", ACTIVITY, degraded=80, error=95)
def connections(_: Facts, rows: Sequence[Activity]) -> Reading:
    """How many of the connections that ordinary roles may open are used."""
    (row,) = rows
    percent = round(100 * row.used / max(row.usable, 1))
    idle = row.idle_in_transaction
    return Reading(
        percent,
        f"{row.used} of {row.usable} connections are used"
        + (f", {idle} of them idle in a transaction" if idle else ""),
        "end idle sessions, make pools smaller, or put a pooler before the server; a higher "
        "max_connections needs a restart",
    )


@check("longest-transaction", "ms", ACTIVITY, degraded=300_000, error=3_600_000)
def longest_transaction(facts: Facts, rows: Sequence[Activity]) -> Reading:
    """The oldest transaction of a client in this database: it holds back VACUUM and keeps its locks."""
    (row,) = rows
    if not facts.server.sees_statistics:
        return unseen("the transactions of other roles", facts.server)
    if row.age_ms is None:
        return Reading(0, "no other session is in a transaction")
    return Reading(
        row.age_ms,
        f"a transaction is open for {age(row.age_ms)}: {session(row)}",
        f"ask its owner, or end it: SELECT pg_terminate_backend({row.pid})",
    )


@check("prepared-transactions", "ms", PREPARED, degraded=300_000, error=3_600_000)
def prepared_transactions(_: Facts, rows: Sequence[Prepared]) -> Reading:
    """The oldest prepared transaction: it keeps its locks until it is ended, even after a restart."""
    if not rows:
        return Reading(0, "there is no prepared transaction")
    (row,) = rows
    gid = row.gid.replace("'", "''")
    return Reading(
        row.age_ms,
        f"transaction {row.gid!r} of role {row.owner} is prepared for {age(row.age_ms)}",
        f"let its transaction manager end it, or end it yourself: ROLLBACK PREPARED '{gid}'",
    )


@check("blocked-sessions", "ms", BLOCKED, degraded=10_000, error=60_000)
def blocked_sessions(_: Facts, rows: Sequence[Blocked]) -> Reading:
    """How long a session has waited for a lock, and which session blocks it."""
    if not rows:
        return Reading(0, "no session waits for a lock")
    (row,) = rows
    wait_ms = row.wait_ms or 0
    waiting = number(row.waiting, "session waits", "sessions wait")
    message = f"{waiting} for a lock, pid {row.waiting_pid} for {age(wait_ms)}"
    if row.pid is None:
        return Reading(wait_ms, message)
    end = f"SELECT pg_terminate_backend({row.pid})" if row.pid else "ROLLBACK PREPARED"
    return Reading(
        wait_ms, f"{message}; blocked by {session(row)}", f"ask its owner, or end it: {end}"
    )
