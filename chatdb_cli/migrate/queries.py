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
# Set what chatdb's own statements and the file need, for this transaction.
SETTINGS: Final = """\
SELECT set_config('client_encoding', 'UTF8', true), set_config('search_path', {path}, true),
       set_config('lock_timeout', {lock_timeout}, true),
       set_config('statement_timeout', {statement_timeout}, true),
       set_config('idle_in_transaction_session_timeout', '0', true),
       set_config('tcp_keepalives_idle', '30', true),
       set_config('tcp_keepalives_interval', '10', true)"""
# Only the last transaction of a run waits for the disk: the write-ahead log is sequential, so those
# before it are then on the disk, too.
NO_WAIT: Final = ",\n       set_config('synchronous_commit', 'off', true)"
# After RESET ALL: have the record find the functions of pg_catalog alone, and not wait for the disk.
PG_CATALOG_ONLY: Final = "SET LOCAL search_path = pg_catalog"
ASYNCHRONOUS_COMMIT: Final = "SET LOCAL synchronous_commit = off"
# Only through a pooler: set the name that a session of its own has from the start.
APPLICATION: Final = ",\n       set_config('application_name', {application}, true)"
# Only in PostgreSQL 17 and newer.
TRANSACTION_TIMEOUT: Final = (
    ",\n       set_config('transaction_timeout', {transaction_timeout}, true)"
)
# Keep other migrators of this target out until the transaction ends.
LOCK: Final = "SELECT pg_advisory_xact_lock({key})"
# The timeouts while a transaction with one snapshot waits for other migrators: SET takes no snapshot, so
# the claim sees what was committed in that time.
LOCK_TIMEOUT: Final = "SET LOCAL lock_timeout = {lock_timeout}"
NO_STATEMENT_TIMEOUT: Final = "SET LOCAL statement_timeout = 0"
# Set what the statements of a file outside a transaction start with, for this session.
SESSION_SETTINGS: Final = """\
SELECT set_config('client_encoding', 'UTF8', false), set_config('search_path', {path}, false),
       set_config('lock_timeout', {lock_timeout}, false),
       set_config('statement_timeout', {statement_timeout}, false),
       set_config('default_transaction_read_only', 'off', false)"""
# Write the journal as the role that logged in: the file may have set another.
OWN_ROLE: Final = ("SET LOCAL SESSION AUTHORIZATION DEFAULT", "SET LOCAL ROLE NONE")
# Let a statement wait for locks without a limit; afterwards, restore the limit of the file.
NO_LOCK_TIMEOUT: Final = """\
SELECT set_config('chatdb.lock_timeout', current_setting('lock_timeout'), false),
       set_config('lock_timeout', '0', false)"""
RESTORE_LOCK_TIMEOUT: Final = (
    "SELECT set_config('lock_timeout', current_setting('chatdb.lock_timeout'), false)"
)
# Which indexes does a table have; or, without a table, which INVALID indexes can a REINDEX CONCURRENTLY
# have left?  Indexes that another session is building are left out.
INDEXES: Final[LiteralString] = """\
SELECT i.indexrelid::text AS oid, c.relname::text AS name, i.indisvalid AS is_valid,
       format('%%s.%%I', c.relnamespace::regnamespace, c.relname) AS qualified_name
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE CASE WHEN %(table)s::text IS NULL
           THEN NOT i.indisvalid AND c.relname ~ '_cc(new|old)[0-9]*$'
                AND pg_has_role(c.relowner, 'USAGE')
           ELSE i.indrelid = to_regclass(%(table)s) END
  AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = c.oid)"""
# Which of these relations exist?
RELATIONS: Final[LiteralString] = """\
SELECT to_regclass(name)::oid::text AS oid FROM unnest(%s::text[]) AS name
WHERE to_regclass(name) IS NOT NULL"""
# Drop an INVALID index that a statement has left.
DROP_INDEX: Final = "DROP INDEX CONCURRENTLY IF EXISTS {index}"
# After the file: check deferred constraints while the file's own settings are in effect; then reset
# everything that the file may have changed in the session.
SETTLE: Final = ("SET CONSTRAINTS ALL IMMEDIATE", "CLOSE ALL")
DEALLOCATE: Final = "DEALLOCATE ALL"
CLEAN: Final = (*RESETS, DEALLOCATE, "UNLISTEN *", "DISCARD TEMP", "DISCARD SEQUENCES")
# Only through a pooler, where chatdb holds no session-level lock: the file may have acquired one, and
# the next client of this session would keep it.
CLEAN_POOLED: Final = (*CLEAN, "SELECT pg_advisory_unlock_all()")
# Roll back a migration that failed; through a pooler, in one message, together with what the file may
# have left in the session.
ROLLBACK: Final = "ROLLBACK"
ROLLBACK_POOLED: Final = "ROLLBACK; DEALLOCATE ALL; SELECT pg_advisory_unlock_all()"
COMMIT: Final = "COMMIT"
# After a lost connection: end the session that the server may still run, and return a row if it exists.
# Through a pooler it is the session that has our application_name.
END_SESSION: Final[LiteralString] = """\
SELECT CASE WHEN application_name = %(name)s THEN pg_terminate_backend(pid) END
FROM pg_stat_activity
WHERE usename = current_user AND pid <> pg_backend_pid()
  AND (pid = %(pid)s OR %(pid)s = 0 AND application_name = %(name)s AND state <> 'idle')"""
