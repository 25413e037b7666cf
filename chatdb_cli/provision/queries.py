"""Every statement that this package sends, each under the question that it answers.

`{name}` is a value that `postgres/quoting.py` inserts, quoted by libpq; `%s` and `$1` are parameters.
What does not belong here: decisions, and SQL of the user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final

# May this session write?
WRITABILITY: Final = """\
SELECT current_database() AS database, session_user::text AS "user",
       pg_is_in_recovery() AS is_standby,
       current_setting('default_transaction_read_only')::bool AS is_read_only"""
# Write although transactions are read-only by default: for one transaction, or for statements that run
# outside of one.
READ_WRITE: Final = "SET LOCAL transaction_read_only = off"
SESSION_READ_WRITE: Final = "SET default_transaction_read_only = off"
SESSION_DEFAULT: Final = "RESET default_transaction_read_only"
# Create what is missing: the database, the schema.
CREATE_DATABASE: Final = "CREATE DATABASE {database}"
SCHEMA_EXISTS: Final = "SELECT oid::text FROM pg_namespace WHERE nspname = {name}"
CREATE_SCHEMA: Final = "CREATE SCHEMA IF NOT EXISTS {schema}"
# Does a schema exist, and does its comment mark it as a test schema?
SCHEMA_COMMENT: Final = """\
SELECT obj_description(oid, 'pg_namespace') AS comment FROM pg_namespace WHERE nspname = {name}"""
# Reset a test schema: drop it, create it again, and mark it.
MARK_SCHEMA: Final = "COMMENT ON SCHEMA {schema} IS {mark}"
DROP_SCHEMA: Final = "DROP SCHEMA {schema} CASCADE"
# Which tables of a test schema are to be emptied?  All but those of the history.
TEST_TABLES: Final = """\
SELECT relname::text AS name FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
WHERE nspname = {name} AND relkind IN ('r', 'p') AND NOT relispartition
  AND relname NOT IN ('_yoyo_migration', '_yoyo_log', '_yoyo_version', 'chatdb_migration')
ORDER BY 1"""
TRUNCATE: Final = "TRUNCATE {tables} RESTART IDENTITY"
# Wait this long for a lock, then fail.
LOCK_TIMEOUT: Final = "SET LOCAL lock_timeout = {lock_timeout}"
COMMIT: Final = "COMMIT"
ROLLBACK: Final = "ROLLBACK"
