"""Every statement that this package sends, each under the question that it answers.

`{name}` stands for a value that `postgres/quoting.py` puts in, quoted by libpq; `%s` and `$1` for a
parameter.  What does not belong here: anything that decides; the SQL of the user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final, LiteralString

# The frame of a transaction.  RESET stands inside it: outside it would open an implicit transaction.
BEGIN: Final = "BEGIN ISOLATION LEVEL {isolation} READ WRITE NOT DEFERRABLE"
RESET_ROLE: Final = ("RESET SESSION AUTHORIZATION", "RESET ROLE")
RESETS: Final = (*RESET_ROLE, "RESET ALL")
SETTINGS: Final = """\
SELECT set_config('client_encoding', 'UTF8', true), set_config('search_path', {path}, true),
       set_config('lock_timeout', {lock_timeout}, true),
       set_config('statement_timeout', {statement_timeout}, true),
       set_config('idle_in_transaction_session_timeout', '0', true),
       set_config('tcp_keepalives_idle', '30', true),
       set_config('tcp_keepalives_interval', '10', true)"""
# The last transaction of a run waits for the disk; the log is sequential, so all before it are safe
# then too.
NO_WAIT: Final = ",\n       set_config('synchronous_commit', 'off', true)"
# Of these two, what the record needs behind a RESET ALL: nobody's functions in place of ours.
OWN_NAMES: Final = "SET LOCAL search_path = pg_catalog"
NO_WAITING: Final = "SET LOCAL synchronous_commit = off"
# Only behind a pooler: a session of its own has the name already.
APPLICATION: Final = ",\n       set_config('application_name', {application}, true)"
# Only where the server has it (17 and newer).
TRANSACTION_TIMEOUT: Final = (
    ",\n       set_config('transaction_timeout', {transaction_timeout}, true)"
)
# One migrator at a time for this target, as long as the transaction lasts.
LOCK: Final = "SELECT pg_advisory_xact_lock({key})"
# The same where a transaction has one snapshot for all of its statements: these two take none, so
# that the claim sees what was committed while they waited.
LOCK_TIMEOUT: Final = "SET LOCAL lock_timeout = {lock_timeout}"
NO_STATEMENT_TIMEOUT: Final = "SET LOCAL statement_timeout = 0"
# What holds for the statements of such a file, until they say otherwise.
SESSION_SETTINGS: Final = """\
SELECT set_config('client_encoding', 'UTF8', false), set_config('search_path', {path}, false),
       set_config('lock_timeout', {lock_timeout}, false),
       set_config('statement_timeout', {statement_timeout}, false),
       set_config('default_transaction_read_only', 'off', false)"""
# A file may have taken a role; the journal is not its to write.
OWN_ROLE: Final = ("SET LOCAL SESSION AUTHORIZATION DEFAULT", "SET LOCAL ROLE NONE")
# Wait for a lock as long as it takes, and then again as the file has it.
PATIENT: Final = """\
SELECT set_config('chatdb.lock_timeout', current_setting('lock_timeout'), false),
       set_config('lock_timeout', '0', false)"""
IMPATIENT: Final = (
    "SELECT set_config('lock_timeout', current_setting('chatdb.lock_timeout'), false)"
)
# The indexes of a table, or all that a REINDEX CONCURRENTLY of ours may have left; those that
# another session is building just now are left out.
INDEXES: Final[LiteralString] = """\
SELECT i.indexrelid::text, c.relname::text, i.indisvalid,
       format('%%s.%%I', c.relnamespace::regnamespace, c.relname)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE CASE WHEN %(table)s::text IS NULL
           THEN NOT i.indisvalid AND c.relname ~ '_cc(new|old)[0-9]*$'
                AND pg_has_role(c.relowner, 'USAGE')
           ELSE i.indrelid = to_regclass(%(table)s) END
  AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = c.oid)"""
# Which of these are there?
RELATIONS: Final[LiteralString] = """\
SELECT to_regclass(name)::oid::text FROM unnest(%s::text[]) AS name
WHERE to_regclass(name) IS NOT NULL"""
DROP_INDEX: Final = "DROP INDEX CONCURRENTLY IF EXISTS "
# Behind the file: a deferred constraint fails here, in the file's own settings; then nothing of what
# the file left in the session survives.
SETTLE: Final = ("SET CONSTRAINTS ALL IMMEDIATE", "CLOSE ALL")
DEALLOCATE: Final = "DEALLOCATE ALL"
CLEAN: Final = (*RESETS, DEALLOCATE, "UNLISTEN *", "DISCARD TEMP", "DISCARD SEQUENCES")
# Only behind a pooler, where no lock of a session is ours: the next on this connection is another.
CLEAN_POOLED: Final = (*CLEAN, "SELECT pg_advisory_unlock_all()")
# What a file that failed has left there outlives its transaction; one message, for one session.
ROLLBACK: Final = "ROLLBACK"
ROLLBACK_POOLED: Final = "ROLLBACK; DEALLOCATE ALL; SELECT pg_advisory_unlock_all()"
COMMIT: Final = "COMMIT"
# After a connection was lost: end the session that it leaves behind, and say whether it is still there.
# Behind a pooler it is whichever runs under our name.
END_SESSION: Final[LiteralString] = """\
SELECT CASE WHEN application_name = %(name)s THEN pg_terminate_backend(pid) END
FROM pg_stat_activity
WHERE usename = current_user AND pid <> pg_backend_pid()
  AND (pid = %(pid)s OR %(pid)s = 0 AND application_name = %(name)s AND state <> 'idle')"""
