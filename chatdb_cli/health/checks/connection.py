"""Connecting, answering, the version of the server.

What does not belong here: how many connections there are (`activity.py`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from chatdb_cli.health.definition import NOT_APPLICABLE, Reading, check

if TYPE_CHECKING:
    from chatdb_cli.health.definition import Facts

OLDEST = 14
# The last day of each major version, from https://www.postgresql.org/support/versioning/
_END_OF_LIFE = {
    14: datetime(2026, 11, 12, tzinfo=UTC),
    15: datetime(2027, 11, 11, tzinfo=UTC),
    16: datetime(2028, 11, 9, tzinfo=UTC),
    17: datetime(2029, 11, 8, tzinfo=UTC),
    18: datetime(2030, 11, 14, tzinfo=UTC),
}


@check("connection", "ms", degraded=1000)
def connection(facts: Facts) -> Reading:
    """How long connecting took; not checked on a connection that was open before."""
    if facts.connect_ms is None:
        return NOT_APPLICABLE
    return Reading(
        round(facts.connect_ms),
        f"connecting took {facts.connect_ms:.0f} ms",
        "look at the load of the server, at DNS and at the network; a pooler saves connecting",
    )


@check("latency", "ms", degraded=500)
def latency(facts: Facts) -> Reading:
    """How long one round trip took, and whether all questions were answered in time."""
    message = f"a round trip took {facts.latency_ms:.0f} ms"
    if facts.late:
        message = f"{message}, and {facts.late} of the questions had no answer in time"
    return Reading(
        round(facts.latency_ms),
        message,
        "look at CPU, disk and locks of the server",
        "degraded" if facts.late else None,
    )


@check("server-version", "version", error=OLDEST, lowest=True)
def server_version(facts: Facts) -> Reading:
    """Whether chatdb supports the major version, and PostgreSQL still maintains it."""
    major = facts.server.version_number // 10000
    end = _END_OF_LIFE.get(major)
    message = f"the server is PostgreSQL {facts.server.version}"
    hint = "upgrade the server (pg_upgrade, or a dump and restore)"
    if end and end < facts.server.now:
        message += f", which has had no security fixes since {end:%d %b %Y}"
        return Reading(major, message, hint, "degraded" if major >= OLDEST else None)
    return Reading(major, message, hint)
