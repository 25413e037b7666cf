"""Every statement that this package sends, each under the question that it answers.

`{name}` is a value that `postgres/quoting.py` inserts, quoted by libpq; `%s` and `$1` are parameters.
They run in a read-only transaction, with `search_path = pg_catalog`.  None of them waits for a lock of a
user's table: so the size of a relation is that of pg_class, and no definition of an object is read.
What does not belong here: decisions, and SQL of the user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

# Does the server answer?
PING: Final = "SELECT 1"
# Read only, and in one transaction, so that the settings apply through a pooler too.
BEGIN: Final = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY"
# Resolve names in pg_catalog alone, and let no statement run or wait for long.
SET_LIMITS: Final = """\
SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true),
       pg_catalog.set_config('statement_timeout', {timeout_ms}, true),
       pg_catalog.set_config('lock_timeout', {lock_timeout_ms}, true),
       pg_catalog.set_config('jit', 'off', true)"""
# Return to here after each question: a failed one must not stop the others.
SAVEPOINT: Final = "SAVEPOINT question"
ROLLBACK_TO_SAVEPOINT: Final = "ROLLBACK TO SAVEPOINT question"
ROLLBACK: Final = "ROLLBACK"
# Give the next question what is left of the time for all of them.
SET_REMAINING_TIME: Final = """\
SELECT set_config('statement_timeout', greatest(1, {timeout_ms}::int - (extract(
    epoch FROM clock_timestamp() - transaction_timestamp()) * 1000)::int)::text, true)"""
# Which session and server is this, what may the role see, and what of chatdb is in the schema?
SERVER: Final = """\
SELECT pg_backend_pid() AS pid, current_setting('server_version') AS version,
       current_setting('server_version_num')::int AS version_number, clock_timestamp() AS now,
       current_user::text AS "user", pg_is_in_recovery() AS standby,
       pg_has_role('pg_read_all_stats', 'USAGE') AS sees_statistics,
       n.oid IS NOT NULL AS schema_exists,
       ARRAY(SELECT c.relname::text FROM pg_class c
             WHERE c.relnamespace = n.oid AND c.relname = ANY ({relations}::text[])) AS relations,
       ARRAY(SELECT c.relname::text FROM pg_class c
             WHERE c.relnamespace = n.oid AND c.relname = ANY ({relations}::text[])
               AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'))
           AS readable
FROM (VALUES (1)) one (row) LEFT JOIN pg_namespace n ON n.nspname = {name}"""
# How many connections are there, and how many may there be?
CONNECTIONS: Final = """\
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
           - coalesce(current_setting('reserved_connections', true), '0')::int AS usable,
       (SELECT count(*) FROM pg_stat_activity
        WHERE backend_type = 'client backend' OR backend_type IS NULL AND datid IS NOT NULL) AS used"""
