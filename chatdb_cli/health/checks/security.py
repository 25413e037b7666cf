"""Who may do what: sessions that row-level security does not restrict, rights that everybody has.

What does not belong here: what the chat schema grants (`sql/up`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatdb_cli.health import queries
from chatdb_cli.health.definition import NOT_APPLICABLE, Question, Reading, check
from chatdb_cli.health.words import number, some

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatdb_cli.health.definition import Facts


class Unrestricted(NamedTuple):
    """A row of `queries.UNRESTRICTED`."""

    user: str
    application: str
    reason: str
    sessions: int


class Privilege(NamedTuple):
    """A row of `queries.PRIVILEGES`."""

    problem: str
    remedy: str


UNRESTRICTED = Question(
    queries.UNRESTRICTED,
    Unrestricted,
    lambda facts: None if facts.server.has_row_security else NOT_APPLICABLE,
)
PRIVILEGES = Question(queries.PRIVILEGES, Privilege)


@check("row-level-security", "count", UNRESTRICTED, degraded=0)
def row_level_security(_: Facts, rows: Sequence[Unrestricted]) -> Reading:
    """Sessions of an application that logs in as a role that row-level security does not restrict."""
    if not rows:
        return Reading(0, "row-level security restricts every session of an application")
    row = rows[0]
    count = sum(r.sessions for r in rows)
    return Reading(
        count,
        f"row-level security does not restrict {number(count, 'session')}: role {row.user!r} "
        f"{row.reason}; application {row.application or 'without a name'!r}",
        "let the application log in as another role, in the chat schema a member of chat_app",
    )


@check("default-privileges", "count", PRIVILEGES, degraded=0)
def default_privileges(_: Facts, rows: Sequence[Privilege]) -> Reading:
    """Rights that every role has in the schema, or gets with each new object; writers of the history."""
    if not rows:
        return Reading(0, "no role has more rights in the schema than it was granted by name")
    return Reading(len(rows), some([row.problem for row in rows]), rows[0].remedy)
