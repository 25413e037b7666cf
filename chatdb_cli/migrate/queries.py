"""Every statement that this package sends, each after the question that it answers.

`{name}` is replaced by a value that `postgres/quoting.py` quotes with libpq; `%s` is a parameter.  What
does not belong here: decisions, the SQL of the user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final, LiteralString

# Begin a transaction.  Everything is reset inside it: outside, in a pipeline, RESET would begin an
# implicit transaction, which BEGIN would join.
BEGIN: Final = "BEGIN ISOLATION LEVEL {isolation} READ WRITE NOT DEFERRABLE"
RESET_ROLE: Final = ("RESET SESSION AUTHORIZATION", "RESET ROLE")
RESETS: Final = (*RESET_ROLE, "RESET ALL")
# A role may have a statement_timeout that is too short for the statements of the frame.
NO_STATEMENT_TIMEOUT: Final = "SET LOCAL statement_timeout = 0"
# Set what chatdb's own statements need, for this transaction: they find the names of pg_catalog alone.
# The claim sets the search_path of the file.
SETTINGS: Final = """\
SELECT pg_catalog.set_config('client_encoding', 'UTF8', true),
       pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true),
       pg_catalog.set_config('lock_timeout', {lock_timeout}, true),
       pg_catalog.set_config('statement_timeout', {statement_timeout}, true),
       pg_catalog.set_config('idle_in_transaction_session_timeout', '0', true),
       pg_catalog.set_config('tcp_keepalives_idle', '30', true),
       pg_catalog.set_config('tcp_keepalives_interval', '10', true)"""
# Only the last transaction of a run waits for the disk: the write-ahead log is sequential, so those
# before it are then on the disk, too.
NO_WAIT: Final = ",\n       pg_catalog.set_config('synchronous_commit', 'off', true)"
# That one waits also where the default of the server or the role is not to.
_WAITS: Final = """\
pg_catalog.set_config('synchronous_commit',
           CASE WHEN pg_catalog.current_setting('synchronous_commit') OPERATOR(pg_catalog.=) 'off'
                THEN 'on' ELSE pg_catalog.current_setting('synchronous_commit') END, {is_local})"""
WAIT: Final = ",\n       " + _WAITS.format(is_local="true")
# Have chatdb's own statements find the names of pg_catalog alone again; without pg_temp, a temporary
# object would come first.  Then the names that the file finds.
PG_CATALOG_ONLY: Final = "SET LOCAL search_path = pg_catalog, pg_temp"
_PATH = """\
pg_catalog.set_config('search_path', pg_catalog.concat_ws(', ', {path}, (
           SELECT pg_catalog.string_agg(DISTINCT pg_catalog.quote_ident(n.nspname), ', ')
           FROM pg_catalog.pg_extension e
           JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
           WHERE n.nspname OPERATOR(pg_catalog.<>) 'pg_catalog'
             AND n.nspname OPERATOR(pg_catalog.<>) 'public')), %s)"""
SEARCH_PATH: Final = "SELECT " + _PATH % "true"
# After RESET ALL: wait for the disk, or do not.
SYNCHRONOUS_COMMIT: Final = "SELECT " + _WAITS.format(is_local="true")
ASYNCHRONOUS_COMMIT: Final = "SET LOCAL synchronous_commit = off"
# Only through a pooler: set the name that a session of its own has from the start.
APPLICATION: Final = ",\n       pg_catalog.set_config('application_name', {application}, true)"
# Only in PostgreSQL 17 and newer.
TRANSACTION_TIMEOUT: Final = (
    ",\n       pg_catalog.set_config('transaction_timeout', {transaction_timeout}, true)"
)
# Only behind a pooler: mark the transaction as one of this run, by a lock that no other session has.
MARK: Final = "SELECT pg_catalog.pg_advisory_xact_lock({mark})"
# Keep other migrators of this target out until the transaction ends.
LOCK: Final = "SELECT pg_catalog.pg_advisory_xact_lock({key})"
# The timeouts while a transaction with one snapshot waits for other migrators: SET takes no snapshot, so
# the claim sees what was committed in that time.
LOCK_TIMEOUT: Final = "SET LOCAL lock_timeout = {lock_timeout}"
# Set what the statements of a file outside a transaction start with, for this session.
SESSION_SETTINGS: Final = f"""\
SELECT pg_catalog.set_config('client_encoding', 'UTF8', false),
       {_PATH % "false"},
       pg_catalog.set_config('lock_timeout', {{lock_timeout}}, false),
       pg_catalog.set_config('statement_timeout', {{statement_timeout}}, false),
       pg_catalog.set_config('default_transaction_read_only', 'off', false),
       {_WAITS.format(is_local="false")}"""
# Write the journal as the role that logged in: the file may have set another.
OWN_ROLE: Final = ("SET LOCAL SESSION AUTHORIZATION DEFAULT", "SET LOCAL ROLE NONE")
# Let a statement wait for locks without a limit; afterwards, restore the limit of the file.
NO_LOCK_TIMEOUT: Final = """\
SELECT pg_catalog.set_config(
           'chatdb.lock_timeout', pg_catalog.current_setting('lock_timeout'), false),
       pg_catalog.set_config('lock_timeout', '0', false)"""
RESTORE_LOCK_TIMEOUT: Final = """\
SELECT pg_catalog.set_config(
    'lock_timeout', pg_catalog.current_setting('chatdb.lock_timeout'), false)"""
# Which indexes does a table have; or, without a table, which INVALID indexes can a REINDEX CONCURRENTLY
# have left?  Indexes that another session is building are left out.  The name of the table is found with
# the search_path of the file, so that all other names are written with their schema.
INDEXES: Final[LiteralString] = """\
SELECT i.indexrelid::pg_catalog.text AS oid, c.relname::pg_catalog.text AS name,
       i.indisvalid AS is_valid,
       pg_catalog.format('%%s.%%I', c.relnamespace::pg_catalog.regnamespace, c.relname)
           AS qualified_name
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
WHERE CASE WHEN %(table)s::pg_catalog.text IS NULL
           THEN NOT i.indisvalid AND c.relname OPERATOR(pg_catalog.~) '_cc(new|old)[0-9]*$'
                AND pg_catalog.pg_has_role(c.relowner, 'USAGE')
           ELSE i.indrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%(table)s::pg_catalog.text)
           END
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p
                  WHERE p.index_relid OPERATOR(pg_catalog.=) c.oid)"""
# Which of these relations exist?
RELATIONS: Final[LiteralString] = """\
SELECT pg_catalog.to_regclass(name)::pg_catalog.oid::pg_catalog.text AS oid
FROM pg_catalog.unnest(%s::pg_catalog.text[]) AS name
WHERE pg_catalog.to_regclass(name) IS NOT NULL"""
# Which table does an index belong to?
TABLE_OF_INDEX: Final = """\
SELECT n.nspname::text AS schema, c.relname::text AS name
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE i.indexrelid = {index}"""
# Make an empty copy of a table, in a transaction that is rolled back.
COPY_TABLE: Final = "CREATE TABLE {schema}.{copy} (LIKE {schema}.{table} INCLUDING GENERATED)"
# How many definitions do an index and the one index of that copy have?  The numbers of columns differ
# where one was dropped, so they are compared by name; NULLS NOT DISTINCT is new in PostgreSQL 15.
COUNT_DEFINITIONS: Final = """\
SELECT count(DISTINCT definition) AS kinds FROM (
    SELECT ROW(c.relam, i.indisunique, to_jsonb(i) ->> 'indnullsnotdistinct', i.indnkeyatts,
               i.indclass::text, i.indcollation::text, i.indoption::text, c.reloptions, c.reltablespace,
               pg_get_expr(i.indpred, i.indrelid),
               ARRAY(SELECT pg_get_indexdef(i.indexrelid, n, false)
                     FROM generate_series(1, i.indnatts) n))::text AS definition
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indexrelid = {index}
       OR i.indrelid = (SELECT t.oid FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace
                        WHERE t.relname = {copy} AND n.nspname = {schema_name})) d"""
# Drop an INVALID index that a statement has left.
DROP_INDEX: Final = "DROP INDEX CONCURRENTLY IF EXISTS {index}"
# After the file: check deferred constraints while the file's own settings are in effect; then reset
# everything that the file may have changed in the session.
SETTLE: Final = ("SET CONSTRAINTS ALL IMMEDIATE", "CLOSE ALL")
DEALLOCATE: Final = "DEALLOCATE ALL"
CLEAN: Final = (
    *RESETS,
    DEALLOCATE,
    "UNLISTEN *",
    "DISCARD TEMP",
    "DISCARD SEQUENCES",
)
# Only through a pooler, where chatdb holds no session-level lock: the file may have acquired one, and
# the next client of this session would keep it.
_UNLOCK_ALL: Final = "SELECT pg_catalog.pg_advisory_unlock_all()"
CLEAN_POOLED: Final = (*CLEAN, _UNLOCK_ALL)
# Roll back a migration that failed; through a pooler, in one message, together with what the file may
# have left in the session.
ROLLBACK: Final = "ROLLBACK"
ROLLBACK_POOLED: Final = f"ROLLBACK; DEALLOCATE ALL; {_UNLOCK_ALL}"
COMMIT: Final = "COMMIT"
# After a lost connection: does its session still exist?  It began before the history was read; a newer
# one has only got its process ID.  (Both statements run as the role that logged in, in pg_catalog.)
_BEGAN_BEFORE: Final = "a.pid = {pid} AND extract(epoch FROM a.backend_start) <= {since}"
OWN_SESSION: Final = "SELECT a.pid FROM pg_stat_activity a WHERE " + _BEGAN_BEFORE  # noqa: S608
# The same behind a pooler: which sessions hold the lock that marks a transaction of the run, or the
# migration lock in the session that the run had?  NULL is a prepared transaction.
_HOLDERS: Final = """\
SELECT l.pid FROM (VALUES ({key})) k (high, low)
JOIN pg_locks l ON l.classid = k.high::oid AND l.objid = k.low::oid
WHERE l.locktype = 'advisory' AND l.objsubid = 2
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
MARKED_SESSIONS: Final = (
    _HOLDERS.replace("{key}", "{mark}")
    + "\nUNION\nSELECT a.pid FROM pg_stat_activity a\nWHERE "
    + _BEGAN_BEFORE
    + "\n  AND a.pid IN (\n"
    + _HOLDERS.replace("{key}", "{lock}")
    + ")"
)
# End one of them.
TERMINATE: Final = "SELECT pg_terminate_backend({pid}) AS told"
