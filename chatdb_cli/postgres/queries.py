"""Every statement that this package sends, each under the question that it answers.

`{name}` stands for a value that `postgres/quoting.py` puts in, quoted by libpq; `%s` and `$1` for a
parameter.  What does not belong here: anything that decides; the SQL of the user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final, LiteralString

# One migrator at a time for this target, as long as the session lasts.
TRY_LOCK: Final = "SELECT pg_try_advisory_lock({key})"
# The same in front of what needs it; the comment is for who reads the server's log.
LOCK_OR_FAIL: Final = "SELECT 1 / pg_try_advisory_lock({key})::int /* 0: another has its turn */"
UNLOCK: Final = "SELECT pg_advisory_unlock({key})"
# A session as a person wants to see it: all of it is text.
_SESSION: Final[LiteralString] = """\
       to_char({since} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
       extract(epoch FROM clock_timestamp() - {since})::bigint::text,
       coalesce(nullif(a.application_name, ''), nullif(a.backend_type, 'client backend')),
       a.usename::text, host(a.client_addr), a.state,
       split_part(ltrim(a.query, E' \\n\\r\\t'), E'\\n', 1)"""
# Who holds that lock, and since when?
LOCK_HOLDER: Final = (
    "SELECT a.pid::text,\n"  # noqa: S608  (constants alone)
    + _SESSION.replace("{since}", "a.backend_start")
    + """
FROM (VALUES ({key})) k (high, low)
JOIN pg_locks l ON l.classid = k.high::oid AND l.objid = k.low::oid AND l.objsubid = 2
JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
)
# Whom does a session wait for?  Behind a pooler it is known by its name alone.  0 is a prepared
# transaction.
BLOCKERS: Final = (
    "SELECT b.pid::text,\n"
    + _SESSION.replace("{since}", "coalesce(a.xact_start, a.backend_start)")
    + """
FROM pg_stat_activity w
CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS b (pid)
LEFT JOIN pg_stat_activity a ON a.pid = b.pid
WHERE w.datname = current_database() AND w.wait_event_type = 'Lock'
  AND w.application_name = $1 AND (w.pid = $2 OR $2 = 0)
ORDER BY 2, 1"""
)
# A pooled connection looks where the migrations put things.
SET_SEARCH_PATH: Final[LiteralString] = "SELECT set_config('search_path', %s, false)"
# Who serves this transaction?
BACKEND_PID: Final = "SELECT pg_backend_pid()"
