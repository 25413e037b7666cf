"""Every statement that this package sends, each under the question that it answers.

`{name}` is a value that `postgres/quoting.py` inserts, quoted by libpq; `%s` and `$1` are parameters.
What does not belong here: decisions, and SQL of the user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final, LiteralString

# Find names of pg_catalog alone, until the end of the transaction, or of the message: where others may
# create objects, an operator or a function of theirs can fit better.  Without pg_temp a temporary object
# would come first.  A policy of row-level security would run functions, too, and hide rows: that fails.
# A role may have a statement_timeout that is meant for statements of an application.
PG_CATALOG_ONLY: Final[LiteralString] = """\
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL row_security = off;
SET LOCAL statement_timeout = 0"""
# Act as the role that logged in; RESET ROLE would return to the default of that role.
OWN_ROLE: Final[LiteralString] = "SET LOCAL ROLE NONE"
# The same for locks: wait no longer than this for another session.
LOCK_TIMEOUT: Final[LiteralString] = "SET LOCAL lock_timeout = {milliseconds}"
# In a transaction of the caller, only for the statement between the two.
OWN_SAVEPOINT: Final[LiteralString] = "SAVEPOINT chatdb_own"
OWN_SAVEPOINT_END: Final[LiteralString] = """\
ROLLBACK TO SAVEPOINT chatdb_own;
RELEASE SAVEPOINT chatdb_own"""
# A role or a database may have a time after which an idle session is ended.
NO_IDLE_TIMEOUT: Final[LiteralString] = (
    "SELECT pg_catalog.set_config('idle_session_timeout', '0', false)"
)
# Is the migration lock free?  Acquires it for this session.
TRY_LOCK: Final = "SELECT pg_catalog.pg_try_advisory_lock({key})"
# The same, but fails if another session holds the lock; the comment explains it in the server's log.
LOCK_OR_FAIL: Final = """\
SELECT 1 OPERATOR(pg_catalog./) pg_catalog.pg_try_advisory_lock({key})::int
/* 0: another session holds the lock */"""
# Was the lock still held?  Releases it.
UNLOCK: Final = "SELECT pg_catalog.pg_advisory_unlock({key})"
# The columns that describe a session to a person, all of them text.  Its query is in hexadecimal: in a
# database whose encoding is SQL_ASCII it can be cut in the middle of a character, and the server would
# refuse to send that.
_SESSION: Final[LiteralString] = """\
       to_char({since} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') AS since,
       extract(epoch FROM clock_timestamp() - {since})::bigint::text AS age_s,
       coalesce(nullif(a.application_name, ''), nullif(a.backend_type, 'client backend'))
           AS application,
       encode(replace(a.usename::text, E'\\\\', E'\\\\\\\\')::bytea, 'hex') AS "user",
       host(a.client_addr) AS client, a.state,
       encode(replace(a.query, E'\\\\', E'\\\\\\\\')::bytea, 'hex') AS query"""
# Which session holds that lock, and since when?
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
# Which other session holds a lock that keeps this one from a table of the history?
TABLE_HOLDER: Final = (
    "SELECT coalesce(l.pid, 0)::text AS pid,\n"  # noqa: S608  (constants alone)
    + _SESSION.replace("{since}", "coalesce(a.xact_start, a.backend_start)")
    + """
FROM pg_locks l
LEFT JOIN pg_stat_activity a USING (pid)
WHERE l.granted AND l.locktype = 'relation' AND l.pid IS DISTINCT FROM pg_backend_pid()
  AND l.mode IN ('AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock', 'ShareLock')
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.relation IN (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                     WHERE n.nspname = {name}
                       AND c.relname IN ('_yoyo_migration', '_yoyo_log', '_yoyo_version',
                                         'chatdb_migration', 'yoyo_lock'))
ORDER BY l.mode <> 'AccessExclusiveLock' LIMIT 1"""
)
# The condition on the session that waits: its process ID; or through a pooler, which hides that, a lock
# that it holds; or its name.
WAITING_PID: Final = "w.pid = {pid}"
WAITING_HOLDER: Final = """\
w.pid IN (SELECT l.pid FROM (VALUES ({key})) k (high, low)
                 JOIN pg_locks l ON l.classid = k.high::oid AND l.objid = k.low::oid
                 WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted
                   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))"""
WAITING_NAME: Final = "w.application_name = {application}"
# Which sessions block a session?  0 is a prepared transaction.
BLOCKERS: Final = (
    "SELECT b.pid::text,\n"
    + _SESSION.replace("{since}", "coalesce(a.xact_start, a.backend_start)")
    + """
FROM pg_stat_activity w
CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS b (pid)
LEFT JOIN pg_stat_activity a ON a.pid = b.pid
WHERE w.datname = current_database() AND w.wait_event_type = 'Lock'
  AND {waiting}
ORDER BY 2, 1"""
)
# Which triggers does a function of this name belong to?  No row: it is not a trigger function.
TRIGGERS_OF_FUNCTION: Final[LiteralString] = """\
SELECT CASE WHEN c.oid IS NOT NULL THEN pg_catalog.format('%%I.%%I', s.nspname, c.relname) END
           AS "table",
       t.tgname::pg_catalog.text AS trigger
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
LEFT JOIN (pg_catalog.pg_trigger t
           JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) t.tgrelid
           JOIN pg_catalog.pg_namespace s ON s.oid OPERATOR(pg_catalog.=) c.relnamespace)
  ON t.tgfoid OPERATOR(pg_catalog.=) p.oid AND NOT t.tgisinternal
     AND t.tgparentid OPERATOR(pg_catalog.=) 0
WHERE p.prorettype OPERATOR(pg_catalog.=) 'pg_catalog.trigger'::pg_catalog.regtype
  AND p.proname OPERATOR(pg_catalog.=) %(name)s
  AND (%(schema)s::pg_catalog.text IS NULL
       OR n.nspname OPERATOR(pg_catalog.=) %(schema)s::pg_catalog.text)"""
# Set the search_path of a connection of the pool to the schema that the migrations use.
SET_SEARCH_PATH: Final[LiteralString] = "SELECT pg_catalog.set_config('search_path', %s, false)"
# Which process of the server runs this transaction?
BACKEND_PID: Final = "SELECT pg_catalog.pg_backend_pid()"
