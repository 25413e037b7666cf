"""Every statement that this package sends, each under the question that it answers.

`{name}` is a value that `postgres/quoting.py` inserts, quoted by libpq; `%s` is a parameter.  What does
not belong here: decisions, and SQL of the user.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Final, LiteralString

# Find no function or operator but those of pg_catalog, in this session, and be ended by no timeout.
SETTINGS: Final[LiteralString] = """\
SELECT pg_catalog.set_config(name, value, false)
FROM (VALUES ('search_path', 'pg_catalog, pg_temp'), ('client_encoding', 'UTF8'),
             ('statement_timeout', '0'), ('lock_timeout', '0'), ('idle_session_timeout', '0'),
             ('default_transaction_read_only', 'off')) AS setting (name, value)"""
# The same for one transaction, which writes nothing.
BEGIN_READ_ONLY: Final[LiteralString] = "BEGIN READ ONLY"
PG_CATALOG_ONLY: Final[LiteralString] = "SET LOCAL search_path = pg_catalog, pg_temp"
COMMIT: Final[LiteralString] = "COMMIT"
# How was a database made?  Which columns say so depends on the version.
FORM: Final[LiteralString] = """\
SELECT current_setting('server_version_num')::integer AS server_version,
       pg_encoding_to_char(encoding)::text AS encoding,
       datcollate::text AS collate, datctype::text AS ctype,
       entry ->> 'datlocprovider' AS provider,
       coalesce(entry ->> 'datlocale', entry ->> 'daticulocale') AS locale,
       entry ->> 'daticurules' AS rules
FROM (SELECT d.encoding, d.datcollate, d.datctype, to_jsonb(d) AS entry FROM pg_database d
      WHERE d.datname = coalesce(%s::name, current_database())) AS made"""
# May this role create databases here?
ROLE: Final[LiteralString] = """\
SELECT current_setting('server_version_num')::integer AS server_version,
       rolcreatedb OR rolsuper AS can_create, pg_is_in_recovery() AS in_recovery
FROM pg_roles WHERE rolname = current_user"""
# Hold the lock of a scratch database from before it is created until after it is dropped.
TRY_LOCK: Final[LiteralString] = "SELECT pg_try_advisory_lock(%s, %s)"
UNLOCK: Final[LiteralString] = "SELECT pg_advisory_unlock(%s, %s)"
# Create a scratch database that nobody can enter yet.
CREATE_DATABASE: Final = """\
CREATE DATABASE {database} TEMPLATE template0 ENCODING {encoding} LC_COLLATE {collate}
LC_CTYPE {ctype} {options} ALLOW_CONNECTIONS false"""
# Mark it, then open it.
MARK_DATABASE: Final = "COMMENT ON DATABASE {database} IS {mark}"
OPEN_DATABASE: Final = "ALTER DATABASE {database} ALLOW_CONNECTIONS true"
# Its commits need not reach the disk.
NO_WAIT: Final = "ALTER DATABASE {database} SET synchronous_commit = off"
# Drop it, and end every session in it.
DROP_DATABASE: Final = "DROP DATABASE IF EXISTS {database} WITH (FORCE)"
# Drop one that another run left; this fails while a session is in it.
DROP_LEFT: Final = "DROP DATABASE IF EXISTS {database}"
# Which scratch databases are there that this role may drop, and that nobody uses?  One without the mark
# that lets nobody in is of a run that was killed before it set the mark.
LEFT_OVER: Final[LiteralString] = """\
SELECT d.datname::text AS name FROM pg_database d
WHERE d.datname ~ '^chatdb_scratch_[0-9a-f]{16}$' AND pg_has_role(d.datdba, 'USAGE')
  AND CASE WHEN shobj_description(d.oid, 'pg_database') IS NULL THEN NOT d.datallowconn
           ELSE shobj_description(d.oid, 'pg_database') = %(mark)s END
  AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.datid = d.oid)
ORDER BY 1"""
# Does a run hold the lock of a scratch database?  It may be connected to any database of the server.
IS_LOCKED: Final[LiteralString] = """\
SELECT EXISTS (SELECT FROM pg_locks
               WHERE locktype = 'advisory' AND objsubid = 2
                 AND classid::bigint = %s AND objid::bigint = %s)"""
# Create the schema of the target in it.
CREATE_SCHEMA: Final = "CREATE SCHEMA IF NOT EXISTS {schema}"
# The search path of the prelude.
SET_SEARCH_PATH: Final = "SET search_path = {path}"
